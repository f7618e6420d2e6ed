"""Interactive reads over real TLS: a person, the hub's two listeners, an agent, and a cluster in memory.

Streaming is exercised for real: lines that come while they are written, and everybody who may hang up.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import aiohttp
import pytest

from fleet.codec.jsontypes import JsonObject
from fleet.model.identity import AppName, ClusterName, TargetId
from fleet.model.report import Sync
from fleet.model.target import Target
from fleet.pki import enrol
from fleet.runtime.probes import Probes
from fleet.wire import codec, routes
from fleet.wire.enrolment import JoinAnswer
from fleet.wire.requests import End, Failure, Frame, LogLine, Note, decode_frame
from hub.api import Api
from hub.appreads import AppReads
from hub.settings import ApiListener, Webhook
from hub.state import Desired, State
from tests.integration.linked import SPOKE, Hub, Spoke, invited, listening, section, until

TOKEN = "right"
UNASKED: Any = None


class Person:
    """Somebody with a token, and the listener for people."""

    def __init__(self, api: Api, url: str, session: aiohttp.ClientSession, reads: AppReads) -> None:
        self.api = api
        self.url = url
        self.session = session
        self.reads = reads

    def get(self, path: str, **query: str) -> Any:
        return self.session.get(f"{self.url}/api/v1/apps/{path}", params=query)

    async def failure(self, path: str, **query: str) -> tuple[int, str]:
        async with asyncio.timeout(20), self.get(path, **query) as answer:
            assert answer.content_type == "application/json"
            return answer.status, (await answer.json())["error"]["message"]

    async def frames(self, path: str, **query: str) -> list[Frame]:
        async with asyncio.timeout(20), self.get(path, **query) as answer:
            data = await answer.read()
            assert answer.status == 200, data
            return [decode_frame(line) for line in data.splitlines() if line]


@contextlib.asynccontextmanager
async def served(hub: Hub, age: timedelta | None = timedelta()) -> AsyncIterator[Person]:
    names = [TargetId(SPOKE, AppName(name)) for name in ("shop", "other")]
    state = State()
    state.desired = Desired(targets=dict.fromkeys(names, cast("Target", None)))
    reads = AppReads(state=state, requests=hub.requests, heard=lambda _cluster: age)
    api = Api(
        settings=ApiListener(listen="127.0.0.1:0"),
        webhook=Webhook(),
        token=TOKEN,
        state=state,
        views=UNASKED,
        parts=(reads,),
        approvals=UNASKED,
        enrolment=UNASKED,
        refresher=UNASKED,
        poller=UNASKED,
        news=UNASKED,
        probes=Probes(),
    )
    host, port = await api.start()
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with aiohttp.ClientSession(headers=headers) as session:
        yield Person(api, f"http://{host}:{port}", session, reads)
    await api.stop()


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[Hub]:
    async with listening(tmp_path / "hub") as made:
        yield made


@pytest.fixture
async def spoke(hub: Hub, tmp_path: Path) -> AsyncIterator[Spoke]:
    async with invited(hub, tmp_path / "agent") as made:
        yield made


@pytest.fixture
async def person(hub: Hub) -> AsyncIterator[Person]:
    async with served(hub) as made:
        yield made


def deployment(name: str) -> JsonObject:
    labels = {"app": name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "main", "image": "app:1"}]},
            },
        },
    }


SECRET: JsonObject = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {"name": "login", "namespace": "default"},
    "data": {"password": "aHVudGVyMg=="},
}


async def add_pod(spoke: Spoke, name: str, owner: str) -> None:
    discovery = await spoke.cluster.discovery()
    pods, sets = discovery.preferred("", "Pod"), discovery.preferred("apps", "ReplicaSet")
    assert pods is not None
    assert sets is not None
    deployed = spoke.cluster.objects("Deployment")[f"default/{owner}"]
    made = await spoke.cluster.create(
        sets, owned(sets.api_version, "ReplicaSet", f"{name}-rs", deployed)
    )
    body = owned("v1", "Pod", name, made)
    await spoke.cluster.create(
        pods, {**body, "spec": {"nodeName": "node", "containers": [{"name": "main"}]}}
    )


def owned(api_version: str, kind: str, name: str, owner: JsonObject) -> JsonObject:
    reference = {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
    }
    metadata = {"name": name, "namespace": "default", "ownerReferences": [reference]}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata}


@pytest.fixture
async def deployed(hub: Hub, spoke: Spoke) -> Spoke:
    """Two applications with a Pod each."""
    await spoke.start()
    hub.assign(
        section("other", hub.render(deployment("other"))),
        section("shop", hub.render(deployment("shop"), SECRET)),
    )
    await until(lambda: all(hub.status(name).sync is Sync.SYNCED for name in ("shop", "other")))
    for name in ("shop", "other"):
        await add_pod(spoke, f"{name}-pod", name)
        spoke.cluster.containers.write("default", f"{name}-pod", "main", f"hello of {name}")
    return spoke


async def next_line(answer: aiohttp.ClientResponse) -> str:
    """The next line of a log, whatever comes before it."""
    async with asyncio.timeout(10):
        while line := await answer.content.readline():
            if line.strip() and isinstance(frame := decode_frame(line), LogLine):
                return frame.text
    raise AssertionError("the answer ended")


def texts(frames: list[Frame]) -> list[str]:
    return [frame.text for frame in frames if isinstance(frame, LogLine)]


# answers


async def test_logs_come_from_the_cluster_at_once(deployed: Spoke, person: Person) -> None:
    started = time.monotonic()
    frames = await person.frames("shop/logs")
    assert texts(frames) == ["hello of shop"]
    assert frames[-1] == End()
    assert time.monotonic() - started < 1, "the parked poll did not return early"


async def test_the_poll_that_returns_early_keeps_its_etag(
    hub: Hub, deployed: Spoke, person: Person
) -> None:
    fetched = len(hub.fetched)
    for _ in range(5):
        await person.frames("shop/logs")
    assert len(hub.fetched) == fetched
    hub.assign(section("shop", hub.render(deployment("shop"))))
    await until(lambda: "default/login" not in deployed.cluster.objects("Secret"))


@pytest.mark.parametrize("kind", ["events", "resources", "manifests", "diff"])
async def test_every_kind_has_an_answer(deployed: Spoke, person: Person, kind: str) -> None:
    frames = await person.frames(f"shop/{kind}")
    assert frames[-1] == End()


@pytest.mark.parametrize("query", [{}, {"live": "true"}], ids=["source", "live"])
async def test_secrets_are_masked_in_the_spoke(
    deployed: Spoke, person: Person, query: dict[str, str]
) -> None:
    async with person.get("shop/manifests", **query) as answer:
        data = await answer.read()
    assert b'"login"' in data
    assert b"aHVudGVyMg" not in data
    deployed.cluster.edit("Secret", "default", "login", {"data": {"password": "b3RoZXI="}})
    async with person.get("shop/diff") as answer:
        data = await answer.read()
    assert b"aHVudGVyMg" not in data
    assert b"b3RoZXI" not in data


async def test_lines_come_while_they_are_written(deployed: Spoke, person: Person) -> None:
    async with person.get("shop/logs", follow="true") as answer:
        assert await next_line(answer) == "hello of shop"
        deployed.cluster.containers.write("default", "shop-pod", "main", "again")
        assert await next_line(answer) == "again"


async def test_several_read_at_a_time_and_the_fifth_is_told(
    deployed: Spoke, person: Person
) -> None:
    followers = [await person.get("shop/logs", follow="true") for _ in range(4)]
    for answer in followers:
        assert await next_line(answer) == "hello of shop"
    status, message = await person.failure("shop/events")
    assert (status, "4 reads of cluster spoke" in message) == (503, True)
    followers[0].close()
    await until(lambda: deployed.cluster.containers.readers == 3)
    assert (await person.frames("shop/events"))[-1] == End()
    for answer in followers[1:]:
        answer.close()


async def test_reads_do_not_hold_up_the_engine(hub: Hub, deployed: Spoke, person: Person) -> None:
    followers = [await person.get("shop/logs", follow="true") for _ in range(4)]
    for answer in followers:
        await next_line(answer)
    digest = hub.render(deployment("shop"), deployment("more"))
    hub.assign(section("shop", digest))
    await until(lambda: hub.status("shop").applied == digest)
    for answer in followers:
        answer.close()


# who hangs up


async def test_a_person_who_hangs_up_ends_the_stream_within_a_second(
    hub: Hub, deployed: Spoke, person: Person
) -> None:
    answer = await person.get("shop/logs", follow="true")
    assert await next_line(answer) == "hello of shop"
    assert deployed.cluster.containers.readers == 1
    answer.close()
    await until(lambda: deployed.cluster.containers.readers == 0, within=1)
    assert (await person.frames("shop/events"))[-1] == End()


async def test_an_agent_that_dies_in_the_middle_is_no_end(deployed: Spoke, person: Person) -> None:
    async with person.get("shop/logs", follow="true") as answer:
        await next_line(answer)
        await deployed.stop()
        async with asyncio.timeout(10):
            last = [line for line in (await answer.read()).splitlines() if line][-1]
        assert isinstance(frame := decode_frame(last), Failure)
        assert "broke off" in frame.message


async def test_a_hub_that_stops_says_so(hub: Hub, deployed: Spoke, person: Person) -> None:
    async with person.get("shop/logs", follow="true") as answer:
        await next_line(answer)
        hub.requests.close()
        async with asyncio.timeout(10):
            last = [line for line in (await answer.read()).splitlines() if line][-1]
        assert isinstance(frame := decode_frame(last), Failure)
        assert "the hub is stopping" in frame.message
    await until(lambda: deployed.cluster.containers.readers == 0)


async def test_a_person_who_does_not_read_holds_up_the_log_and_nothing_else(
    deployed: Spoke, person: Person
) -> None:
    lines = 40_000
    deployed.cluster.containers.write("default", "shop-pod", "main", *["x" * 1000] * lines)
    answer = await person.get("shop/logs", tail="-1")
    assert await next_line(answer) == "hello of shop"
    before = -1
    while before != deployed.cluster.containers.given:
        before = deployed.cluster.containers.given
        await asyncio.sleep(0.3)
    assert before < lines / 2, "forty megabytes went somewhere"
    assert (await person.frames("shop/events"))[-1] == End()
    answer.close()
    await until(lambda: deployed.cluster.containers.readers == 0)


async def test_revoking_the_agent_ends_what_it_streams(
    hub: Hub, deployed: Spoke, person: Person
) -> None:
    async with person.get("shop/logs", follow="true") as answer:
        await next_line(answer)
        await hub.authority.revoke(SPOKE)
        async with asyncio.timeout(2):
            last = [line for line in (await answer.read()).splitlines() if line][-1]
        assert isinstance(frame := decode_frame(last), Failure)
        assert "replaced or revoked" in frame.message


# what is refused


@pytest.mark.parametrize(
    ("path", "query", "status", "message"),
    [
        pytest.param("ghost/logs", {}, 404, "no application 'ghost'", id="no application"),
        pytest.param("shop/logs", {"tail": "many"}, 400, "tail", id="no number"),
        pytest.param("shop/logs", {"tail": "-2"}, 400, "no number of lines", id="negative"),
        pytest.param("shop/logs", {"since": "-1"}, 400, "future", id="future"),
        pytest.param("shop/logs", {"lines": "1"}, 400, "takes no parameter 'lines'", id="unknown"),
        pytest.param("shop/events", {"tail": "1"}, 400, "it takes none", id="none wanted"),
        pytest.param("shop/logs", {"filter": "x" * 5000}, 400, "longer than", id="too long"),
        pytest.param(
            "shop/logs", {"follow": "true", "previous": "true"}, 400, "followed", id="contradiction"
        ),
        pytest.param("shop/diff", {"refs": "nonsense"}, 400, "not a resource", id="no reference"),
    ],
)
async def test_bad_questions_do_not_get_to_the_cluster(
    person: Person, path: str, query: dict[str, str], status: int, message: str
) -> None:
    found = await person.failure(path, **query)
    assert found[0] == status
    assert message in found[1]


async def test_what_is_not_the_applications_is_not_there(deployed: Spoke, person: Person) -> None:
    for pod in ("other-pod", "ghost"):
        status, message = await person.failure("shop/logs", pod=pod)
        assert (status, f"no pod '{pod}'" in message) == (404, True)
    status, message = await person.failure("shop/logs", container="x")
    assert (status, "there are main" in message) == (404, True)
    status, message = await person.failure("shop/diff", refs="apps/Deployment:default/other")
    assert (status, "no object apps/Deployment:default/other" in message) == (400, True)


async def test_nobody_reads_without_a_token(person: Person) -> None:
    async with aiohttp.ClientSession() as session:
        for kind in ("logs", "events", "resources", "manifests", "diff"):
            async with session.get(f"{person.url}/api/v1/apps/shop/{kind}") as answer:
                assert answer.status == 401


@pytest.mark.parametrize(
    ("age", "message"),
    [
        pytest.param(
            timedelta(minutes=5), "cluster spoke was last heard of 5 minutes ago", id="gone"
        ),
        pytest.param(
            timedelta(days=2), "cluster spoke was last heard of 2 days ago", id="long gone"
        ),
        pytest.param(None, "no agent of cluster spoke was ever heard of", id="never there"),
    ],
)
async def test_a_cluster_that_is_away_is_said_so_at_once(
    hub: Hub, age: timedelta | None, message: str
) -> None:
    async with served(hub, age) as person:
        started = time.monotonic()
        status, found = await person.failure("shop/logs")
        assert (status, message in found) == (409, True)
        assert time.monotonic() - started < 1


# agents that are not ours


class Stranger:
    """A joined agent, by hand."""

    def __init__(self, hub: Hub, folder: Path, joined: JoinAnswer, key: str) -> None:
        context = ssl.create_default_context(cadata=joined.ca_bundle)
        path = folder / f"{joined.cluster}.pem"
        path.write_text(key + joined.certificate)
        context.load_cert_chain(path)
        self.session = aiohttp.ClientSession(
            hub.url, connector=aiohttp.TCPConnector(ssl=context, limit=0)
        )

    @classmethod
    @contextlib.asynccontextmanager
    async def of(cls, hub: Hub, folder: Path, cluster: ClusterName) -> AsyncIterator[Stranger]:
        token = await hub.authority.create_cluster_token(cluster)
        key = enrol.new_key()
        joined = await hub.authority.join(token, key.csr_pem, f"uid-of-{cluster}")
        made = cls(hub, folder, joined, key.key_pem)
        yield made
        await made.session.close()

    async def fetch(self) -> list[JsonObject]:
        async with self.session.get(routes.REQUESTS) as answer:
            found: list[JsonObject] = (await answer.json())["requests"]
            return found

    async def answer(self, id_: str, body: Any, **headers: str) -> int:
        async with (
            asyncio.timeout(10),
            self.session.post(f"{routes.REQUESTS}/{id_}", data=body, headers=headers) as answer,
        ):
            await answer.read()
            return answer.status


@pytest.fixture
async def ours(hub: Hub, tmp_path: Path) -> AsyncIterator[Stranger]:
    async with Stranger.of(hub, tmp_path, SPOKE) as made:
        yield made


@pytest.fixture
async def theirs(hub: Hub, tmp_path: Path) -> AsyncIterator[Stranger]:
    async with Stranger.of(hub, tmp_path, ClusterName("foreign")) as made:
        yield made


async def fetched(stranger: Stranger) -> str:
    for _ in range(500):
        if found := await stranger.fetch():
            return str(found[0]["id"])
        await asyncio.sleep(0.01)
    raise AssertionError("nothing to fetch")


async def test_a_foreign_cluster_neither_sees_nor_answers(
    person: Person, ours: Stranger, theirs: Stranger
) -> None:
    asking = asyncio.create_task(person.frames("shop/logs"))
    id_ = await fetched(ours)
    assert await theirs.fetch() == []
    forged = codec.encode(LogLine(pod="shop", container="main", time="", text="forged")) + b"\n"
    assert await theirs.answer(id_, forged) == 404
    assert await theirs.answer("guessed", forged) == 404
    assert await ours.answer(id_, codec.encode(End()) + b"\n") == 204
    assert await asking == [End()]
    assert await ours.answer(id_, forged) == 404, "an answer is given once"


async def test_packed_answers_are_refused(person: Person, ours: Stranger) -> None:
    """A limit on packed bytes would be none."""
    asking = asyncio.create_task(person.frames("shop/logs"))
    id_ = await fetched(ours)
    assert await ours.answer(id_, b"x", **{"Content-Encoding": "gzip"}) == 415
    assert await ours.answer(id_, codec.encode(End()) + b"\n") == 204
    await asking


async def test_an_answer_over_the_limit_is_cut(
    person: Person, ours: Stranger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub.requests.MAX_ANSWER", 1_000_000)
    asking = asyncio.create_task(person.frames("shop/logs"))
    id_ = await fetched(ours)
    note = codec.encode(Note(message="x" * 1000)) + b"\n"

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield note * 20

    with contextlib.suppress(aiohttp.ClientError):  # the hub may close before its answer is read
        assert await ours.answer(id_, endless()) == 410
    frames = await asking
    assert isinstance(frames[-1], Failure)
    assert "--tail" in frames[-1].message


async def test_an_agent_that_takes_a_read_and_falls_silent(
    person: Person, ours: Stranger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub.requests.BEGIN_SECONDS", 0.3)
    asking = asyncio.create_task(person.failure("shop/logs"))
    await fetched(ours)
    status, message = await asking
    assert (status, "gave no answer" in message) == (503, True)


async def test_an_agent_that_falls_silent_in_its_answer(
    person: Person, ours: Stranger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub.requests.SILENCE_SECONDS", 0.3)
    asking = asyncio.create_task(person.frames("shop/logs"))
    id_ = await fetched(ours)
    silent = asyncio.Event()

    async def dripping() -> AsyncIterator[bytes]:
        yield codec.encode(Note(message="one")) + b"\n"
        await silent.wait()

    answering = asyncio.create_task(ours.answer(id_, dripping()))
    frames = await asking
    assert isinstance(frames[-1], Failure)
    assert "fell silent" in frames[-1].message
    assert await answering == 410


async def test_an_older_agent_is_found_out_after_a_short_time(
    hub: Hub, person: Person, ours: Stranger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It polls, sees a header that it does not know, and polls again."""
    monkeypatch.setattr("hub.requests.FETCH_SECONDS", 1.5)
    polls: list[str] = []

    async def poll() -> None:
        while True:
            async with ours.session.get(f"{routes.ASSIGNMENT}?wait=20") as answer:
                polls.append(answer.headers.get(routes.REQUESTS_HEADER, ""))

    polling = asyncio.create_task(poll())
    status, message = await person.failure("shop/logs")
    polling.cancel()
    await asyncio.wait({polling})
    assert (status, "older than this hub" in message) == (409, True)
    assert 1 <= polls.count("1") <= 4, "it is told again, but not in a storm"


async def test_a_refusal_keeps_its_meaning(person: Person, ours: Stranger) -> None:
    asking = asyncio.create_task(person.failure("shop/logs"))
    id_ = await fetched(ours)
    body = json.dumps(
        {"error": {"reason": "NotFound", "message": "no pods\u202e at https://me:hunter2@host"}}
    )
    assert await ours.answer(id_, body, **{routes.FAILED_HEADER: "404"}) == 204
    status, message = await asking
    assert status == 404
    assert message.startswith("no pods")
    assert "hunter2" not in message


@pytest.mark.parametrize("status", ["200", "abc", "99999", "-1", "٤٠٤"])
async def test_a_refusal_that_makes_no_sense_is_still_one(
    person: Person, ours: Stranger, status: str
) -> None:
    asking = asyncio.create_task(person.failure("shop/logs"))
    id_ = await fetched(ours)
    headers = {routes.FAILED_HEADER: status.encode().decode("latin-1")}
    assert await ours.answer(id_, b"\xff\xfe", **headers) == 204
    assert (await asking)[0] in (400, 503)


async def test_two_lengths_of_one_answer_are_refused(
    hub: Hub, person: Person, ours: Stranger, tmp_path: Path
) -> None:
    """Request smuggling: whoever sends both a length and chunks is not listened to."""
    asking = asyncio.create_task(person.frames("shop/logs"))
    id_ = await fetched(ours)
    identity = hub.authority.identity(SPOKE)
    assert identity is not None
    context = ssl.create_default_context(cadata=hub.authority.keyring.bundle())
    context.load_cert_chain(tmp_path / f"{SPOKE}.pem")
    reader, writer = await asyncio.open_connection("127.0.0.1", hub.port, ssl=context)
    end = codec.encode(End()) + b"\n"
    writer.write(
        f"POST {routes.REQUESTS}/{id_} HTTP/1.1\r\nHost: hub\r\nContent-Length: {len(end)}\r\n"
        "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n".encode()
        + end
    )
    async with asyncio.timeout(5):
        assert b" 400 " in await reader.readline()
    writer.close()
    assert await ours.answer(id_, end) == 204
    assert await asking == [End()]
