"""``fleet app diff|events|logs|manifests|resources`` against a hub that answers as a test says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from fleet.cli.answers import frames
from fleet.cli.appreads import tree
from fleet.cli.logtext import clean
from fleet.errors import Transient
from fleet.testing.served import Served
from fleet.wire import codec
from fleet.wire.appdiff import ObjectDiff, ObjectNote, ResourceRow
from fleet.wire.requests import (
    Compared,
    Difference,
    End,
    Event,
    EventRow,
    Failure,
    Frame,
    LogLine,
    Manifest,
    Note,
    Problem,
    Resource,
    Streams,
    encode_frame,
)

Fleet = Callable[..., Any]

WEB = "apps/Deployment:shop/web"
POD = "/Pod:shop/web-a"
ROWS = (
    ResourceRow(ref=WEB, sync="Synced", health="Progressing"),
    ResourceRow(ref="apps/ReplicaSet:shop/web-1", parent=WEB),
    ResourceRow(ref=POD, parent="apps/ReplicaSet:shop/web-1", health="Healthy"),
    ResourceRow(ref="/Service:shop/web", sync="OutOfSync", message="spec differs"),
)
CHANGED = ObjectDiff(ref=WEB, change="changed", paths=("spec.replicas",), diff="@@\n-a: 1\n+a: 2\n")


class Hub(Served):
    """Answers every read with the same bytes."""

    def __init__(self) -> None:
        super().__init__()
        self.body = b""
        self.status = 200
        self.asked: list[tuple[str, dict[str, str]]] = []

    def say(self, *said: Frame) -> None:
        self.body = b"".join(encode_frame(frame) for frame in said)

    def application(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/api/v1/apps/{name}/{kind}", self.answer)
        return app

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append((request.match_info["kind"], dict(request.query)))
        return web.Response(body=self.body, status=self.status)


@pytest.fixture
def hub() -> Iterator[Hub]:
    with Hub() as made:
        yield made


@pytest.fixture
def app(hub: Hub, fleet: Fleet, tmp_path: Path) -> Fleet:
    token = tmp_path / "token"
    token.write_text("x")

    def run(*arguments: str) -> Any:
        options = ("--hub", f"http://127.0.0.1:{hub.port}", "--token-file", token)
        return fleet(*options, "app", arguments[0], "shop", *arguments[1:])

    return run


def line(text: str, pod: str = "web-a", container: str = "main") -> LogLine:
    return LogLine(pod=pod, container=container, time="2026-01-01T00:00:00Z", text=text)


# logs


def test_logs_have_their_pod_in_front(hub: Hub, app: Fleet) -> None:
    hub.say(Streams(names=("web-a/main", "web-b/main")), line("one"), line("two", "web-b"), End())
    done = app("logs")
    assert (done.status, done.out) == (0, "web-a  one\nweb-b  two\n")


def test_containers_are_named_where_there_are_several(hub: Hub, app: Fleet) -> None:
    hub.say(Streams(names=("web-a/main", "web-a/proxy")), line("one", container="proxy"), End())
    assert app("logs").out == "web-a/proxy  one\n"
    assert app("logs", "--no-prefix", "--timestamps").out == "2026-01-01T00:00:00Z one\n"


def test_logs_for_programs(hub: Hub, app: Fleet) -> None:
    hub.say(Streams(names=()), line("a\x1b[31mb"), End())
    assert app("logs", "-o", "json").json == {
        "frame": "log",
        "pod": "web-a",
        "container": "main",
        "time": "2026-01-01T00:00:00Z",
        "text": "ab",
    }


def test_what_is_asked_of_logs(hub: Hub, app: Fleet) -> None:
    hub.say(End())
    options = [
        "-c",
        "main",
        "-f",
        "--tail",
        "5",
        "--since",
        "5m",
        "--pod",
        "web-*",
        "--filter",
        "oops",
    ]
    assert app("logs", *options).status == 0
    app("logs", "-p", "--tail", "-1")
    assert hub.asked == [
        (
            "logs",
            {
                "container": "main",
                "follow": "true",
                "previous": "false",
                "tail": "5",
                "since": "300",
                "pod": "web-*",
                "filter": "oops",
            },
        ),
        (
            "logs",
            {
                "container": "",
                "follow": "false",
                "previous": "true",
                "tail": "-1",
                "since": "0",
                "pod": "",
                "filter": "",
            },
        ),
    ]


@pytest.mark.parametrize("since", ["soon", "5", "0s", "0.5s"])
def test_a_time_that_makes_no_sense(hub: Hub, app: Fleet, since: str) -> None:
    done = app("logs", "--since", since)
    assert (done.status, done.out, hub.asked) == (1, "", [])
    assert since in done.err


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07x", "x"),
        ("\x1b]8;;http://evil\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("a\rb\x08c\x9bd", "abcd"),
        ("safe\u202eeverse\u2066", "safeeverse"),
        ("tab\there", "tab\there"),
        ("\x1b", ""),
        ("größe 漢字", "größe 漢字"),
    ],
)
def test_nothing_in_a_log_can_fool_a_terminal(text: str, shown: str) -> None:
    assert clean(text) == shown


@given(st.text())
def test_no_text_at_all_can(text: str) -> None:
    assert all(char.isprintable() or char in "\t\n" for char in clean(text))


# the other reads


def test_events(hub: Hub, app: Fleet) -> None:
    row = EventRow(
        time="2026-01-01T00:00:00Z", type="Warning", reason="BackOff", object="shop/Pod/web-a",
        message="restarting", count=7,
    )  # fmt: skip
    hub.say(Event(row=row), Note(message="2 older events are left out"), End())
    done = app("events")
    assert done.out.splitlines()[1].split() == [
        "2026-01-01T00:00:00Z", "Warning", "BackOff", "shop/Pod/web-a", "7", "restarting",
    ]  # fmt: skip
    assert done.err == "note: 2 older events are left out\n"
    assert app("events", "-o", "json").fits("app-events")["items"][0]["count"] == 7


def test_resources(hub: Hub, app: Fleet) -> None:
    hub.say(*(Resource(row=row) for row in ROWS), End())
    assert WEB in app("resources").out
    assert len(app("resources", "-o", "json").fits("app-resources")["items"]) == len(ROWS)
    assert app("resources", "-o", "tree").out.splitlines() == [
        f"{WEB}  Synced, Progressing",
        "└─ apps/ReplicaSet:shop/web-1",
        f"   └─ {POD}  Healthy",
        "/Service:shop/web  OutOfSync  spec differs",
    ]


def test_a_tree_of_owners_that_own_each_other_ends() -> None:
    rows = (ResourceRow(ref="a", parent="b"), ResourceRow(ref="b", parent="a"))
    assert list(tree(rows)) == []
    assert list(tree([ResourceRow(ref="a", parent="gone")])) == ["a"]


def test_manifests(hub: Hub, app: Fleet) -> None:
    hub.say(Manifest(object={"kind": "A"}), Manifest(object={"kind": "B"}), End())
    assert app("manifests").out == "kind: A\n---\nkind: B\n"
    assert app("manifests", "--live", "-o", "json").fits("app-manifests") == [
        {"kind": "A"},
        {"kind": "B"},
    ]
    assert [query["live"] for _, query in hub.asked] == ["false", "true"]


@pytest.mark.parametrize(
    ("said", "options", "status"),
    [
        pytest.param([], [], 0, id="none"),
        pytest.param([Difference(object=CHANGED)], [], 3, id="some"),
        pytest.param([Difference(object=CHANGED)], ["--no-exit-code"], 0, id="not by status"),
        pytest.param(
            [Problem(object=ObjectNote(ref=WEB, reason="Invalid", message="no"))],
            [],
            1,
            id="problem",
        ),
    ],
)
def test_exit_status_of_diff(
    hub: Hub, app: Fleet, said: list[Frame], options: list[str], status: int
) -> None:
    hub.say(Compared(target="shop", artifact="sha256:1"), *said, End())
    assert app("diff", *options).status == status
    assert app("diff", "-o", "json", *options).fits("app-diff")["artifact"] == "sha256:1"


def test_diff_of_some_objects(hub: Hub, app: Fleet) -> None:
    hub.say(Compared(target="shop", artifact="a"), Difference(object=CHANGED), End())
    done = app("diff", "--resource", "apps:Deployment:web", "--resource", WEB)
    assert hub.asked == [("diff", {"refs": "apps/Deployment:/web,apps/Deployment:shop/web"})]
    assert "spec.replicas" in done.out
    assert "+a: 2" in done.out
    assert "1 changed" in done.err
    assert app("diff", "--resource", "nonsense").status == 1


# what goes wrong


@pytest.mark.parametrize("command", ["logs", "events", "resources", "manifests", "diff"])
def test_an_answer_that_was_cut_off_is_no_answer(hub: Hub, app: Fleet, command: str) -> None:
    hub.body = b""
    done = app(command)
    assert done.status == 1
    assert "cut off" in done.err


def test_the_reason_in_the_middle_of_an_answer_is_told(hub: Hub, app: Fleet) -> None:
    hub.say(line("one"), Failure(reason="Unavailable", message="the agent broke off"))
    hub.body = hub.body.replace(b'{"frame":"failure"', b'{"frame":"log","po\n{"frame":"failure"')
    done = app("logs")
    assert (done.status, done.out) == (1, "web-a  one\n")
    assert done.err == "fleet: the agent broke off\n"


def test_what_the_hub_refuses_is_told(hub: Hub, app: Fleet) -> None:
    hub.status = 409
    hub.body = (
        b'{"error":{"reason":"NotReady","message":"cluster x was last heard of 5 minutes ago"}}'
    )
    done = app("logs")
    assert (done.status, done.out) == (1, "")
    assert done.err == "fleet: cluster x was last heard of 5 minutes ago\n"


def test_a_later_version_is_said(hub: Hub, app: Fleet) -> None:
    hub.body = b'{"frame":"hologram"}\n' + codec.encode(End()) + b"\n"
    assert "too far apart" in app("logs").err


@given(st.lists(st.integers(min_value=1, max_value=40), min_size=1))
def test_frames_do_not_depend_on_how_the_bytes_come(steps: list[int]) -> None:
    said: list[Frame] = [line("one"), Note(message="two"), line("three")]
    data = b"\n\n".join(codec.encode(frame) + b"\n" for frame in [*said, End()])

    async def parts() -> AsyncIterator[bytes]:
        start, index = 0, 0
        while start < len(data):
            step = steps[index % len(steps)]
            yield data[start : start + step]
            start, index = start + step, index + 1

    async def read() -> list[Frame]:
        return [frame async for frame in frames(parts())]

    assert asyncio.run(read()) == said


@given(st.binary(max_size=200))
def test_no_bytes_at_all_are_taken_for_an_answer(data: bytes) -> None:
    async def parts() -> AsyncIterator[bytes]:
        yield data

    async def read() -> list[Frame]:
        return [frame async for frame in frames(parts())]

    with pytest.raises(Transient):
        asyncio.run(read())
