"""The agents' listener over real TLS: who is let in, what they get, and what cuts them off."""

from __future__ import annotations

import asyncio
import io
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest
from prometheus_client import REGISTRY

from fleet.codec.canonical import Digest, digest_bytes
from fleet.model.assignment import Head, SectionRef, SignedHead
from fleet.model.identity import ClusterName
from fleet.model.report import ClusterFacts, Report, ReportAnswer
from fleet.pki import enrol
from fleet.testing.store import MemoryStore
from fleet.wire import codec, frames, routes
from fleet.wire.enrolment import (
    CaAnswer,
    FetchRequest,
    JoinAnswer,
    JoinRequest,
    NonceAnswer,
    RenewAnswer,
    RenewRequest,
)
from fleet.wire.errors import ErrorBody
from fleet.wire.heads import head_digest, sign_head
from hub.ca import Authority, CaSettings
from hub.gateway import ROUTES, Access, CurrentHead, Gateway, GatewaySettings
from hub.requests import Requests

A, B = ClusterName("a"), ClusterName("b")
UNKNOWN = digest_bytes(b"unknown")


class ShiftedClock:
    """The machine's clock, with a wall clock that a test may move; long sleeps end when the test says so."""

    def __init__(self) -> None:
        self.shift = timedelta()
        self.long_sleeps_end = asyncio.Event()

    def now(self) -> datetime:
        return datetime.now(UTC) + self.shift

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        if seconds < 10:
            await asyncio.sleep(seconds)
            return
        await self.long_sleeps_end.wait()
        self.long_sleeps_end.clear()


class Content:
    """Assignments of two clusters, each with a section and an artifact of its own."""

    def __init__(self, authority: Authority) -> None:
        self._authority = authority
        self._heads: dict[ClusterName, CurrentHead] = {}
        self._blobs: dict[ClusterName, dict[Digest, bytes]] = {A: {}, B: {}}
        self._news: dict[ClusterName, asyncio.Event] = {A: asyncio.Event(), B: asyncio.Event()}
        self.generation = 0

    def assign(self, cluster: ClusterName) -> CurrentHead:
        self.generation += 1
        section = f"section of {cluster} {self.generation} ".encode() * 200
        artifact = f"artifact of {cluster} {self.generation}".encode()
        self._blobs[cluster] |= {digest_bytes(data): data for data in (section, artifact)}
        identity = self._authority.identity(cluster)
        assert identity is not None
        head = Head(
            hub=self._authority.hub_id,
            cluster=cluster,
            cluster_uid=identity.cluster_uid,
            epoch=1,
            generation=self.generation,
            sections=(SectionRef(target="app", digest=digest_bytes(section)),),
        )
        signed = sign_head(head, self._authority.signing_keys())
        self._heads[cluster] = CurrentHead(signed, head_digest(signed))
        self._news[cluster].set()
        self._news[cluster] = asyncio.Event()
        return self._heads[cluster]

    def digests(self, cluster: ClusterName) -> tuple[Digest, ...]:
        return tuple(self._blobs[cluster])

    def blob(self, cluster: ClusterName, digest: Digest) -> bytes:
        return self._blobs[cluster][digest]

    def current(self, cluster: ClusterName) -> CurrentHead | None:
        return self._heads.get(cluster)

    async def changed(self, cluster: ClusterName, etag: str, timeout: float) -> CurrentHead | None:  # noqa: ASYNC109
        try:
            async with asyncio.timeout(timeout):
                while (head := self.current(cluster)) is None or head.etag == etag:
                    await self._news[cluster].wait()
        except TimeoutError:
            return None
        return head

    async def section(self, cluster: ClusterName, digest: Digest) -> bytes | None:
        data = self._blobs[cluster].get(digest)
        return data if data and data.startswith(b"section") else None

    async def artifact(self, cluster: ClusterName, digest: Digest) -> bytes | None:
        data = self._blobs[cluster].get(digest)
        return data if data and data.startswith(b"artifact") else None


class Inbox:
    """Takes reports."""

    def __init__(self) -> None:
        self.reports: list[tuple[ClusterName, Report]] = []
        self.alive: list[ClusterName] = []
        self.delay = asyncio.Event()
        self.delay.set()
        self.begun = asyncio.Event()
        self._heard = asyncio.Event()

    async def accept(self, cluster: ClusterName, report: Report) -> ReportAnswer:
        self.begun.set()
        await self.delay.wait()
        self.reports.append((cluster, report))
        return ReportAnswer(send_all=not report.complete)

    def seen(self, cluster: ClusterName) -> None:
        self.alive.append(cluster)
        self._heard.set()
        self._heard = asyncio.Event()

    async def heard(self, cluster: ClusterName, times: int) -> None:
        while self.alive.count(cluster) < times:
            await self._heard.wait()


@dataclass(kw_only=True)
class Agent:
    """What an agent has after joining, and its way to the hub."""

    url: str
    folder: Path
    joined: JoinAnswer
    key: str
    instance: str = ""
    sessions: list[aiohttp.ClientSession] = field(default_factory=list)

    def context(self, *, certificate: bool = True) -> ssl.SSLContext:
        context = ssl.create_default_context(cadata=self.joined.ca_bundle)
        if certificate:
            path = self.folder / f"{self.joined.cluster}-{len(list(self.folder.iterdir()))}.pem"
            path.write_text(self.key + self.joined.certificate)
            context.load_cert_chain(path)
        return context

    def session(self, *, certificate: bool = True) -> aiohttp.ClientSession:
        headers = {routes.INSTANCE_HEADER: self.instance} if self.instance else {}
        made = aiohttp.ClientSession(
            self.url,
            connector=aiohttp.TCPConnector(ssl=self.context(certificate=certificate)),
            headers=headers,
            timeout=aiohttp.ClientTimeout(total=20),
        )
        self.sessions.append(made)
        return made

    def renewed(self, answer: RenewAnswer, key: str) -> Agent:
        joined = JoinAnswer(
            cluster=self.joined.cluster,
            cluster_id=self.joined.cluster_id,
            hub=self.joined.hub,
            certificate=answer.certificate,
            ca_bundle=answer.ca_bundle,
            signing_keys=self.joined.signing_keys,
        )
        return replace(self, joined=joined, key=key)


class Fleet:
    """A hub's listener and two joined agents."""

    def __init__(self, folder: Path, authority: Authority, clock: ShiftedClock) -> None:
        self.folder = folder
        self.clock = clock
        self.authority = authority
        self.content = Content(authority)
        self.inbox = Inbox()
        self.requests = Requests(clock)
        self.gateway = Gateway(
            authority,
            self.content,
            self.inbox,
            self.requests,
            GatewaySettings(listen="127.0.0.1:0", handshakes_per_second=1000),
            clock,
        )
        self.agents: dict[ClusterName, Agent] = {}
        self.sessions: list[aiohttp.ClientSession] = []
        self.polls: list[asyncio.Task[aiohttp.ClientResponse]] = []

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.gateway.port}"

    def anybody(self) -> aiohttp.ClientSession:
        """Somebody who knows the CA and has no certificate."""
        made = aiohttp.ClientSession(
            self.url,
            connector=aiohttp.TCPConnector(
                ssl=ssl.create_default_context(cadata=self.authority.keyring.bundle())
            ),
        )
        self.sessions.append(made)
        return made

    async def join(self, cluster: ClusterName, uid: str = "") -> Agent:
        token = await self.authority.create_cluster_token(cluster)
        made = enrol.new_key()
        request = JoinRequest(
            token=token.text(), csr=made.csr_pem, cluster_uid=uid or f"uid-of-{cluster}"
        )
        async with self.anybody().post(routes.JOIN, data=codec.encode(request)) as answer:
            assert answer.status == 200, await answer.text()
            joined = codec.decode(await answer.read(), JoinAnswer)
        agent = Agent(
            url=self.url,
            folder=self.folder,
            joined=joined,
            key=made.key_pem,
            sessions=self.sessions,
        )
        self.agents[cluster] = agent
        return agent


@pytest.fixture
async def fleet(tmp_path: Path) -> AsyncIterator[Fleet]:
    clock = ShiftedClock()
    store = MemoryStore()
    authority = await Authority.open(
        tmp_path, store, CaSettings(hosts=("127.0.0.1", "hub.example.com")), clock
    )
    (tmp_path / "agents").mkdir()
    running = Fleet(tmp_path / "agents", authority, clock)
    await running.gateway.start()
    for cluster in (A, B):
        await running.join(cluster)
        running.content.assign(cluster)
    yield running
    for polling in running.polls:
        polling.cancel()
    await asyncio.gather(*running.polls, return_exceptions=True)
    for session in running.sessions:
        await session.close()
    await running.gateway.stop()


async def error_of(answer: aiohttp.ClientResponse) -> str:
    return codec.decode(await answer.read(), ErrorBody).error.reason


def report_of(cluster: ClusterName, **fields: bool | str) -> Report:
    uid = str(fields.get("uid", f"uid-of-{cluster}"))
    complete = bool(fields.get("complete", True))
    return Report(sequence=1, epoch=1, generation=1, facts=ClusterFacts(uid=uid), complete=complete)


# who is let in


async def test_without_a_certificate_only_the_open_routes_answer(fleet: Fleet) -> None:
    """The crawl of row 63: everything in the table, and paths and methods that are not."""
    session = fleet.anybody()
    tried = [
        *((route.method, route.path.replace("{digest}", UNKNOWN), route) for route in ROUTES),
        *(
            (method, path, None)
            for method in ("GET", "POST", "PUT")
            for path in ("/", "/v1", "/v1/x", "/metrics")
        ),
    ]
    for method, path, route in tried:
        async with session.request(method, path, data=b"{}" if method != "GET" else None) as answer:
            if route is not None and route.access is Access.ANYONE:
                assert answer.status == 200, path
            elif route is not None and route.access is not Access.CERTIFICATE:
                assert answer.status in (400, 401), path
            else:
                assert (answer.status, await error_of(answer)) == (401, "Unauthenticated"), path


def test_the_open_routes_are_these() -> None:
    assert {
        route.path: route.access for route in ROUTES if route.access is not Access.CERTIFICATE
    } == {
        "/v1/ca": Access.ANYONE,
        "/v1/nonce": Access.ANYONE,
        "/v1/join": Access.TOKEN,
        "/v1/renew": Access.CERTIFICATE_OR_PROOF,
    }


async def test_a_certificate_of_another_ca_ends_the_handshake(fleet: Fleet, tmp_path: Path) -> None:
    other = await Authority.open(
        tmp_path / "other", MemoryStore(), CaSettings(hosts=("127.0.0.1",)), fleet.clock
    )
    token = await other.create_cluster_token(A)
    made = enrol.new_key()
    theirs = await other.join(token, made.csr_pem, "uid-of-a")
    ours = fleet.agents[A]
    answer = RenewAnswer(certificate=theirs.certificate, ca_bundle=ours.joined.ca_bundle)
    impostor = ours.renewed(answer, made.key_pem)

    with pytest.raises((aiohttp.ClientError, ssl.SSLError)):
        await impostor.session().get(routes.ASSIGNMENT)


async def test_tls_1_2_is_refused(fleet: Fleet) -> None:
    context = fleet.agents[A].context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await asyncio.open_connection("127.0.0.1", fleet.gateway.port, ssl=context)


async def test_the_pin_finds_the_ca_and_the_ca_verifies_the_server(fleet: Fleet) -> None:
    token = await fleet.authority.create_cluster_token(ClusterName("new"))
    blind = aiohttp.ClientSession(fleet.url, connector=aiohttp.TCPConnector(ssl=False))
    fleet.sessions.append(blind)
    async with blind.get(routes.CA) as answer:
        offered = codec.decode(await answer.read(), CaAnswer).ca_bundle

    pinned = enrol.pinned_bundle(offered, token.ca_pin)
    trusting = aiohttp.ClientSession(
        fleet.url,
        connector=aiohttp.TCPConnector(ssl=ssl.create_default_context(cadata=pinned)),
    )
    fleet.sessions.append(trusting)
    async with trusting.get(routes.NONCE) as answer:
        assert answer.status == 200


# what they get


async def test_an_assignment_is_had_at_once_and_then_when_it_changes(fleet: Fleet) -> None:
    session = fleet.agents[A].session()
    async with session.get(routes.ASSIGNMENT) as answer:
        assert answer.status == 200
        etag = answer.headers["ETag"]
        signed = codec.decode(await answer.read(), SignedHead)
    assert f'"{head_digest(signed)}"' == etag

    waiting = asyncio.ensure_future(session.get(routes.ASSIGNMENT, headers={"If-None-Match": etag}))
    await asyncio.wait_for(fleet.inbox.heard(A, 2), 5)
    assert not waiting.done()
    expected = fleet.content.assign(A)
    answer = await asyncio.wait_for(waiting, 5)
    assert answer.headers["ETag"] == f'"{expected.etag}"'
    assert codec.decode(await answer.read(), SignedHead) == expected.signed


async def test_a_poll_without_news_ends_with_304(fleet: Fleet) -> None:
    head = fleet.content.current(A)
    assert head is not None
    async with (
        fleet.agents[A]
        .session()
        .get(
            f"{routes.ASSIGNMENT}?wait=0.01", headers={"If-None-Match": f'"{head.etag}"'}
        ) as answer
    ):
        assert answer.status == 304


async def test_a_cluster_without_an_assignment_gets_204(fleet: Fleet) -> None:
    new = ClusterName("new")
    fleet.content._news[new] = asyncio.Event()
    agent = await fleet.join(new)
    async with agent.session().get(f"{routes.ASSIGNMENT}?wait=0.01") as answer:
        assert answer.status == 204


@pytest.mark.parametrize("wait", ["x", "", "1,5"])
async def test_a_wait_that_is_no_number_is_a_bad_request(fleet: Fleet, wait: str) -> None:
    head = fleet.content.current(A)
    assert head is not None
    async with (
        fleet.agents[A]
        .session()
        .get(f"{routes.ASSIGNMENT}?wait={wait}", headers={"If-None-Match": head.etag}) as answer
    ):
        assert answer.status == 400


@pytest.mark.parametrize("compressed", [True, False])
async def test_own_blobs_are_had(fleet: Fleet, compressed: bool) -> None:
    session = fleet.agents[A].session()
    headers = {} if compressed else {"Accept-Encoding": "identity"}
    section, artifact = fleet.content.digests(A)
    for path, digest in ((routes.SECTIONS, section), (routes.ARTIFACTS, artifact)):
        async with session.get(f"{path}/{digest}", headers=headers) as answer:
            assert answer.status == 200
            assert await answer.read() == fleet.content.blob(A, digest)


async def test_large_blobs_pass(fleet: Fleet) -> None:
    large = b"artifact " + bytes(range(256)) * 20_000
    digest = digest_bytes(large)
    fleet.content._blobs[A][digest] = large
    session = fleet.agents[A].session()
    for headers in ({}, {"Accept-Encoding": "identity"}):
        async with session.get(f"{routes.ARTIFACTS}/{digest}", headers=headers) as answer:
            assert await answer.read() == large
        async with session.post(
            routes.FETCH, data=codec.encode(_fetch([digest])), headers=headers
        ) as answer:
            assert frames.read_frames(await answer.read()) == (frames.Frame(digest, large),)


async def test_any_route_times_another_clusters_digest_is_as_if_it_did_not_exist(
    fleet: Fleet,
) -> None:
    session = fleet.agents[A].session()
    foreign = [*fleet.content.digests(B), UNKNOWN, "sha256:short", "..%2f..%2fetc", "md5:0"]
    answers = set()
    for path in (routes.SECTIONS, routes.ARTIFACTS):
        for digest in foreign:
            async with session.get(f"{path}/{digest}") as answer:
                answers.add((answer.status, answer.content_type, await answer.read()))

    assert len(answers) == 1
    assert next(iter(answers))[0] == 404


async def test_fetch_answers_many_and_nothing_of_others(fleet: Fleet) -> None:
    own, foreign = fleet.content.digests(A), fleet.content.digests(B)
    asked = [own[0], foreign[0], own[1], foreign[1], UNKNOWN]
    body = codec.encode(_fetch(asked))
    async with fleet.agents[A].session().post(routes.FETCH, data=body) as answer:
        assert answer.status == 200
        data = await answer.read()

    assert [(frame.digest, frame.data) for frame in frames.read_frames(data)] == [
        (own[0], fleet.content.blob(A, own[0])),
        (foreign[0], None),
        (own[1], fleet.content.blob(A, own[1])),
        (foreign[1], None),
        (UNKNOWN, None),
    ]
    assert b"of b" not in data


def _fetch(digests: list[Digest]) -> FetchRequest:
    return FetchRequest(digests=tuple(digests))


async def test_an_answer_with_many_blobs_stops_in_time(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub.agentapi._FETCH", 10)
    own = list(fleet.content.digests(A))
    async with (
        fleet.agents[A].session().post(routes.FETCH, data=codec.encode(_fetch(own))) as answer
    ):
        got = frames.read_frames(await answer.read())

    assert [frame.digest for frame in got] == own[:1]


@pytest.mark.parametrize("count", [0, frames.MAX_DIGESTS + 1])
async def test_fetch_of_none_or_too_many_is_refused(fleet: Fleet, count: int) -> None:
    body = codec.encode(_fetch([UNKNOWN] * count))
    async with fleet.agents[A].session().post(routes.FETCH, data=body) as answer:
        assert answer.status == 400


@pytest.mark.parametrize("packed", [False, True])
async def test_a_report_is_taken_for_the_cluster_of_the_certificate(
    fleet: Fleet, packed: bool
) -> None:
    body = codec.encode(report_of(A, complete=False))
    headers = {"Content-Encoding": "gzip"} if packed else {}
    data = codec.compress(body) if packed else body
    async with fleet.agents[A].session().post(routes.REPORT, data=data, headers=headers) as answer:
        assert codec.decode(await answer.read(), ReportAnswer) == ReportAnswer(send_all=True)

    assert fleet.inbox.reports == [(A, report_of(A, complete=False))]


async def test_a_report_of_another_control_plane_is_refused(fleet: Fleet) -> None:
    body = codec.encode(report_of(A, uid="uid-of-b"))
    async with fleet.agents[A].session().post(routes.REPORT, data=body) as answer:
        assert (answer.status, await error_of(answer)) == (403, "Denied")
    assert fleet.inbox.reports == []


@pytest.mark.parametrize(
    ("route", "data", "headers", "status"),
    [
        pytest.param(routes.REPORT, b"{", {}, 400, id="not JSON"),
        pytest.param(routes.REPORT, b"[]", {}, 400, id="not an object"),
        pytest.param(routes.REPORT, b"null", {}, 400, id="null"),
        pytest.param(routes.REPORT, b'{"sequence": "x"}', {}, 400, id="wrong type"),
        pytest.param(routes.REPORT, b"x", {"Content-Encoding": "gzip"}, 400, id="not gzip"),
        pytest.param(routes.REPORT, b"x", {"Content-Encoding": "br"}, 415, id="other encoding"),
        pytest.param(routes.REPORT, bytes(4 * 1024 * 1024 + 1), {}, 413, id="too large"),
        pytest.param(routes.FETCH, bytes(128 * 1024 + 1), {}, 413, id="too many digests"),
        pytest.param(
            routes.REPORT,
            codec.compress(bytes(17 * 1024 * 1024)),
            {"Content-Encoding": "gzip"},
            400,
            id="gzip bomb",
        ),
        pytest.param(routes.FETCH, b'{"digests": ["../x"]}', {}, 400, id="not a digest"),
    ],
)
async def test_bad_bodies_have_their_status(
    fleet: Fleet, route: str, data: bytes, headers: dict[str, str], status: int
) -> None:
    async with (
        fleet.agents[A].session().post(route, data=io.BytesIO(data), headers=headers) as answer
    ):
        assert answer.status == status
        assert await error_of(answer)


async def test_a_chunked_body_over_the_limit_is_cut_off(fleet: Fleet) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(200):
            yield bytes(64 * 1024)

    try:
        async with fleet.agents[A].session().post(routes.REPORT, data=endless()) as answer:
            assert answer.status == 413
    except aiohttp.ClientConnectionError:
        pass  # cut off while still sending
    assert fleet.inbox.reports == []


async def test_a_report_is_finished_though_the_agent_hangs_up(fleet: Fleet) -> None:
    fleet.inbox.delay.clear()
    session = fleet.agents[A].session()
    sending = asyncio.ensure_future(session.post(routes.REPORT, data=codec.encode(report_of(A))))
    await fleet.inbox.begun.wait()
    sending.cancel()
    await session.close()
    await asyncio.sleep(0.05)  # the hub hears of the closed connection
    fleet.inbox.delay.set()
    for _ in range(10):
        await asyncio.sleep(0)

    assert len(fleet.inbox.reports) == 1


# renewal


async def test_renewal_over_the_connection_supersedes_at_first_use(fleet: Fleet) -> None:
    old = fleet.agents[A]
    made = enrol.new_key()
    request = codec.encode(RenewRequest(csr=made.csr_pem))
    certificates = set()
    for _ in range(2):  # the answer got lost: the same again
        async with old.session().post(routes.RENEW, data=request) as answer:
            assert answer.status == 200
            renewed = codec.decode(await answer.read(), RenewAnswer)
            certificates.add(renewed.certificate)
    assert len(certificates) == 1
    async with old.session().get(routes.ASSIGNMENT) as answer:
        assert answer.status == 200, "the old one is good until the new one was used"

    async with old.renewed(renewed, made.key_pem).session().get(routes.ASSIGNMENT) as answer:
        assert answer.status == 200
    async with old.session().get(routes.ASSIGNMENT) as answer:
        assert (answer.status, await error_of(answer)) == (401, "Unauthenticated")


async def test_an_expired_agent_comes_back_by_proof(fleet: Fleet) -> None:
    agent = fleet.agents[A]
    fleet.clock.shift = timedelta(days=7)
    async with agent.session().get(routes.ASSIGNMENT) as answer:
        assert answer.status == 401, "the connection stands, the certificate is expired for the hub"

    made = enrol.new_key()
    session = agent.session(certificate=False)
    async with session.get(routes.NONCE) as answer:
        nonce = codec.decode(await answer.read(), NonceAnswer).nonce
    request = RenewRequest(
        csr=made.csr_pem,
        old_certificate=agent.joined.certificate,
        nonce=nonce,
        signature=enrol.prove(agent.key, made.csr_pem, nonce),
    )
    async with session.post(routes.RENEW, data=codec.encode(request)) as answer:
        assert answer.status == 200, await answer.text()
        renewed = codec.decode(await answer.read(), RenewAnswer)
    identity = fleet.authority.identity(A)
    assert identity is not None
    [_, issued] = identity.certificates
    assert issued.pem == renewed.certificate


async def test_a_certificate_that_expired_for_tls_too_is_left_out_and_proven(fleet: Fleet) -> None:
    fleet.clock.shift = -timedelta(days=2)
    agent = await fleet.join(A)
    fleet.clock.shift = timedelta()
    with pytest.raises((aiohttp.ClientError, ssl.SSLError)):
        await agent.session().get(routes.ASSIGNMENT)

    made = enrol.new_key()
    session = agent.session(certificate=False)
    async with session.get(routes.NONCE) as answer:
        nonce = codec.decode(await answer.read(), NonceAnswer).nonce
    request = RenewRequest(
        csr=made.csr_pem,
        old_certificate=agent.joined.certificate,
        nonce=nonce,
        signature=enrol.prove(agent.key, made.csr_pem, nonce),
    )
    async with session.post(routes.RENEW, data=codec.encode(request)) as answer:
        renewed = codec.decode(await answer.read(), RenewAnswer)
    async with agent.renewed(renewed, made.key_pem).session().get(routes.ASSIGNMENT) as answer:
        assert answer.status == 200


async def test_the_listeners_certificate_changes_while_it_runs(fleet: Fleet) -> None:
    async def shown() -> bytes:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # it is of the future
        _, writer = await asyncio.open_connection("127.0.0.1", fleet.gateway.port, ssl=context)
        certificate = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        writer.close()
        await writer.wait_closed()
        return bytes(certificate)

    before = await shown()
    assert await shown() == before
    fleet.clock.shift = timedelta(days=25)
    fleet.clock.long_sleeps_end.set()
    for _ in range(200):
        if await shown() != before:
            return
    pytest.fail("still the old certificate")


# slow and silent peers


async def test_a_peer_that_never_shakes_hands_holds_up_nobody(fleet: Fleet) -> None:
    silent = [await asyncio.open_connection("127.0.0.1", fleet.gateway.port) for _ in range(50)]
    async with fleet.agents[A].session().get(routes.ASSIGNMENT) as answer:
        assert answer.status == 200
    for _, writer in silent:
        writer.close()


async def test_a_body_that_drips_is_cut_off(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hub.httpio.BODY_SECONDS", 0.05)

    async def dripping() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.Event().wait()

    async with asyncio.timeout(5):
        async with fleet.agents[A].session().post(routes.REPORT, data=dripping()) as answer:
            assert answer.status == 408


async def test_headers_that_never_end_are_cut_off(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fleet.gateway.stop()
    monkeypatch.setattr("hub.gateway._KEEPALIVE_SECONDS", 0.1)
    gateway = Gateway(
        fleet.authority,
        fleet.content,
        fleet.inbox,
        fleet.requests,
        GatewaySettings(listen="127.0.0.1:0"),
        fleet.clock,
    )
    await gateway.start()
    context = fleet.agents[A].context()
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port, ssl=context)
    writer.write(b"GET /v1/assignment HTTP/1.1\r\nX-Slow: ")
    async with asyncio.timeout(5):
        assert await reader.read() == b""
    writer.close()
    await gateway.stop()


async def test_nobody_renews_without_certificate_or_proof(fleet: Fleet) -> None:
    request = codec.encode(RenewRequest(csr=enrol.new_key().csr_pem))
    async with fleet.anybody().post(routes.RENEW, data=request) as answer:
        assert (answer.status, await error_of(answer)) == (401, "Unauthenticated")


# what cuts them off


async def park(
    fleet: Fleet, cluster: ClusterName, agent: Agent | None = None
) -> asyncio.Task[aiohttp.ClientResponse]:
    """Open a poll that has nothing to wait for, and return when the hub holds it."""
    head = fleet.content.current(cluster)
    assert head is not None
    before = fleet.inbox.alive.count(cluster)
    session = (agent or fleet.agents[cluster]).session()

    async def poll() -> aiohttp.ClientResponse:
        return await session.get(routes.ASSIGNMENT, headers={"If-None-Match": head.etag})

    polling = asyncio.create_task(poll())
    fleet.polls.append(polling)
    await asyncio.wait_for(fleet.inbox.heard(cluster, before + 1), 5)
    return polling


async def test_revocation_cuts_a_parked_poll_and_the_open_connection(fleet: Fleet) -> None:
    polling, other = await park(fleet, A), await park(fleet, B)
    await fleet.authority.revoke(A)

    answer = await asyncio.wait_for(polling, 2)
    assert (answer.status, await error_of(answer)) == (401, "Unauthenticated")
    assert answer.headers["Connection"] == "close"
    assert not other.done()
    async with fleet.agents[A].session().get(routes.ASSIGNMENT) as answer:
        assert answer.status == 401


async def test_revocation_counts_on_a_connection_that_is_kept_open(fleet: Fleet) -> None:
    session = fleet.agents[A].session()
    async with session.get(routes.ASSIGNMENT) as answer:
        assert answer.status == 200
    await fleet.authority.revoke(A)
    for digest in fleet.content.digests(A):
        async with session.get(f"{routes.SECTIONS}/{digest}") as answer:
            assert answer.status == 401


async def test_a_report_that_was_still_coming_at_the_revocation_is_refused(fleet: Fleet) -> None:
    data = codec.encode(report_of(A))

    async def slowly() -> AsyncIterator[bytes]:
        yield data[:9]
        await asyncio.sleep(0.1)  # the hub lets the request in meanwhile
        await fleet.authority.revoke(A)
        yield data[9:]

    async with fleet.agents[A].session().post(routes.REPORT, data=slowly()) as answer:
        assert (answer.status, await error_of(answer)) == (401, "Unauthenticated")
    assert fleet.inbox.reports == []


async def test_a_new_assignment_does_not_reach_a_poll_that_was_revoked_meanwhile(
    fleet: Fleet,
) -> None:
    polling = await park(fleet, A)
    fleet.content.assign(A)
    await fleet.authority.revoke(A)
    answer = await asyncio.wait_for(polling, 2)

    assert answer.status == 401


async def test_a_poll_ends_when_its_certificate_does(fleet: Fleet) -> None:
    identity = fleet.authority.identity(A)
    assert identity is not None
    left = identity.certificates[0].not_after - fleet.clock.now()
    fleet.clock.shift = left - timedelta(seconds=0.3)
    polling = await park(fleet, A)
    answer = await asyncio.wait_for(polling, 5)

    assert answer.status == 401


async def test_joining_again_replaces_the_agent_at_once(fleet: Fleet) -> None:
    polling = await park(fleet, A)
    old = fleet.agents[A]
    new = await fleet.join(A, uid="rebuilt")

    assert (await asyncio.wait_for(polling, 2)).status == 401
    async with old.session().get(routes.ASSIGNMENT) as answer:
        assert answer.status == 401
    async with new.session().get(routes.ASSIGNMENT) as answer:
        assert answer.status == 200


async def test_a_second_process_with_the_same_identity_is_refused(fleet: Fleet) -> None:
    first = replace(fleet.agents[A], instance="one")
    second = replace(fleet.agents[A], instance="two")
    polling = await park(fleet, A, first)
    for method, path in (("GET", routes.ASSIGNMENT), ("POST", routes.REPORT)):
        async with second.session().request(method, path) as answer:
            assert (answer.status, await error_of(answer)) == (409, "Conflict")
    assert not polling.done(), "the first one is left alone"


async def test_a_process_that_is_gone_makes_room_at_once(fleet: Fleet) -> None:
    polling = await park(fleet, A, replace(fleet.agents[A], instance="one"))
    polling.cancel()
    for session in fleet.sessions:
        await session.close()
    statuses: list[int] = []
    while 200 not in statuses and len(statuses) < 100:
        async with (
            replace(fleet.agents[A], instance="two").session().get(routes.ASSIGNMENT) as answer
        ):
            statuses.append(answer.status)

    assert statuses[-1] == 200


async def test_a_poll_whose_agent_hung_up_is_held_no_longer(fleet: Fleet) -> None:
    def held() -> float:
        return REGISTRY.get_sample_value("fleet_hub_parked_polls") or 0.0

    before = held()
    polling = await park(fleet, A)
    assert held() == before + 1
    polling.cancel()
    for session in fleet.sessions:
        await session.close()
    for _ in range(200):
        if held() == before:
            return
        await asyncio.sleep(0.01)
    pytest.fail("still held")


async def test_stopping_answers_what_is_parked(fleet: Fleet) -> None:
    polling = await park(fleet, A)
    await fleet.gateway.stop()
    answer = await asyncio.wait_for(polling, 2)

    assert answer.status == 304
    with pytest.raises(aiohttp.ClientConnectionError):
        await fleet.agents[A].session().get(routes.ASSIGNMENT)
