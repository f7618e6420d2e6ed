"""What came from elsewhere cannot steer the terminal of who reads it, whichever command shows it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec
import pytest
import typer

from fleet.cli import main, options
from fleet.wire import api

Fleet = Callable[..., Any]
EVIL = "\x1b]0;owned\x07\x1b[2K\u202eevil"

ROW = api.AppRow(
    name="web", cluster="one", set="", project="default", sync="Synced", health="Healthy",
    revision="", digest="", waiting_for=(EVIL,), message=EVIL, age_seconds=1,
)  # fmt: skip
WINDOW = api.WindowRow(
    kind="deny", schedule=EVIL, duration="1h", time_zone=EVIL, open=True, changes_at="",
    manual_sync=True, description=EVIL,
)  # fmt: skip
ANSWERS: dict[str, msgspec.Struct] = {
    "apps": api.AppList(items=(ROW,)),
    "apps/web": api.AppDetail(
        app=ROW, namespace="", server="", sources=(EVIL,), automated=True, prune=True,
        self_heal=True, deletion="keep", applied="", phase="", objects=1, warnings=(EVIL,),
        problems=(api.ObjectRow(ref=EVIL, sync="Synced", health=None, message=EVIL),),
        operation=EVIL,
    ),
    "apps/web/sync": api.OperationAnswer(id="op", target="one/web", kind="sync"),
    "appsets/set": api.AppSetRow(
        name="set", applications=("web",), reason=EVIL, errors=(EVIL,), held=EVIL, last_good=False
    ),
    "explain/one/web": api.Explanation(
        target="one/web", exists=True, why=EVIL, set="", row=EVIL, file="", line=0, app=ROW,
        decision=EVIL, needed_by=(),
        edges=(api.EdgeRow(reference=EVIL, targets=(), satisfied=False, message=EVIL),),
        windows=api.Windows(automated=False, manual=False, message=EVIL, items=(WINDOW,)),
    ),
    "clusters/one": api.ClusterRow(
        name="one", server="", project="", labels={"a": EVIL}, source="git", management=False,
        state="Connected", health="Healthy", targets=1, synced=1, healthy=1, generation=1, age_seconds=1,
        kube_version=EVIL, agent_version=EVIL,
    ),
}  # fmt: skip


class Answering(BaseHTTPRequestHandler):
    """A hub that says what an evil agent told it."""

    def do_GET(self) -> None:
        body = msgspec.json.encode(ANSWERS[self.path.removeprefix("/api/v1/")])
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class's word
        """Say nothing."""


@pytest.fixture(scope="module")
def hub() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    "arguments",
    [
        ["app", "list"],
        ["app", "get", "web"],
        ["appset", "get", "set"],
        ["cluster", "get", "one"],
        ["explain", "one/web"],
    ],
    ids=" ".join,
)
def test_no_control_character_reaches_the_terminal(
    fleet: Fleet, hub: str, tmp_path: Path, arguments: list[str]
) -> None:
    (tmp_path / "token").write_text("t")
    done = fleet("--hub", hub, "--token-file", tmp_path / "token", *arguments)
    assert done.status == 0
    assert "evil" in done.out
    assert not set("\x1b\x07\u202e") & set(done.out)


def test_a_sync_that_waits_for_its_window_says_so(
    fleet: Fleet, hub: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "token").write_text("t")
    windows = api.Windows(automated=False, manual=False, message="blocked until noon", items=())
    detail = msgspec.structs.replace(ANSWERS["apps/web"], windows=windows)
    monkeypatch.setitem(ANSWERS, "apps/web", detail)
    asked = fleet("--hub", hub, "--token-file", tmp_path / "token", "app", "sync", "web")
    assert asked.status == 0
    assert "it waits: blocked until noon" in asked.err
    wrong = fleet("app", "sync", "web", "--strategy", "none")
    assert wrong.status == 2


def test_a_target_may_be_named_as_applications_are(fleet: Fleet, hub: str, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("t")
    for name in ("one/web", "one~web"):
        assert fleet("--hub", hub, "--token-file", tmp_path / "token", "explain", name).status == 0


def test_targets_are_completed_and_a_hub_that_is_away_completes_nothing(
    hub: str, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("t")
    command = typer.main.get_command(main.app)
    for url, expected in ((hub, ["one/web"]), ("http://127.0.0.1:9", [])):
        context = typer.Context(command)
        context.params = {"hub": url, "token_file": tmp_path / "token", "ca": None}
        assert options.complete_target(context, "one/") == expected
        assert options.complete_target(context, "two") == []
