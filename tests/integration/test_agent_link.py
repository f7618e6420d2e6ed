"""The agent and a hub's real listener: joining, assignments in, reports out, and what the agent does not believe.

The cluster is in memory; TLS, certificates, signatures and the wire are real.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from agents import app, enrolment
from agents.app import Agent
from agents.cache import Cache
from agents.core import Surroundings
from agents.filerecords import FileRecords
from agents.identity import Identity
from agents.settings import AgentSettings, Backend, LinkSettings, ProbeSettings, StateSettings
from agents.transport import Transport
from fleet.codec.canonical import Digest, canonical_bytes, digest_bytes
from fleet.codec.jsontypes import JsonObject
from fleet.errors import Denied, FleetError, Transient
from fleet.model.assignment import (
    Head,
    KindPattern,
    ProjectRules,
    Section,
    SectionRef,
    SignedHead,
)
from fleet.model.identity import ClusterName
from fleet.model.report import Report, ReportAnswer, Sync, TargetStatus
from fleet.pki.keys import SigningKey
from fleet.runtime.supervisor import Supervisor
from fleet.testing.cluster import FakeCluster
from fleet.testing.store import MemoryStore
from fleet.wire.heads import head_digest, sign_head
from fleet.wire.reports import SendAll, Whole, apply_report
from fleet.wire.sections import encode_section
from hub.agentports import CurrentHead
from hub.ca import Authority, CaSettings
from hub.gateway import Gateway, GatewaySettings
from hub.requests import Requests

SPOKE = ClusterName("spoke")


class MovedClock:
    """The machine's clock, its wall time moved by what a test says; long sleeps are short."""

    def __init__(self) -> None:
        self.shift = timedelta()

    def now(self) -> datetime:
        return datetime.now(UTC) + self.shift

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(min(max(seconds, 0.0), 0.2))


class Hub:
    """A listener, and what it hands out; the rest of a hub is not needed here."""

    def __init__(self, authority: Authority, clock: MovedClock) -> None:
        self.authority = authority
        self.clock = clock
        self.gateway: Gateway
        self.port = 0
        self.head: CurrentHead | None = None
        self.blobs: dict[Digest, bytes] = {}
        self.whole: Whole | None = None
        self.reports: list[Report] = []
        self.refused_reports = 0
        self.generation = 0
        self.fetched: list[Digest] = []
        self._news = asyncio.Event()

    async def start(self, port: int = 0) -> None:
        settings = GatewaySettings(listen=f"127.0.0.1:{port}", handshakes_per_second=1000)
        self.gateway = Gateway(
            self.authority, self, self, Requests(self.clock), settings, self.clock
        )
        await self.gateway.start()
        self.port = self.gateway.port

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def assign(self, *sections: Section, **changes: object) -> SignedHead:
        self.generation += 1
        refs = []
        for section in sections:
            data = encode_section(section)
            self.blobs[digest_bytes(data)] = data
            refs.append(SectionRef(target=section.target, digest=digest_bytes(data)))
        identity = self.authority.identity(SPOKE)
        values: dict[str, object] = {
            "hub": self.authority.hub_id,
            "cluster": SPOKE,
            "cluster_uid": identity.cluster_uid if identity else "",
            "epoch": 1,
            "generation": self.generation,
            "sections": tuple(refs),
        }
        head = Head(**{**values, **changes})  # type: ignore[arg-type]
        return self.offer(sign_head(head, self.authority.signing_keys()))

    def offer(self, signed: SignedHead) -> SignedHead:
        self.head = CurrentHead(signed, head_digest(signed))
        news, self._news = self._news, asyncio.Event()
        news.set()
        return signed

    def render(self, *objects: JsonObject) -> Digest:
        data = canonical_bytes({"objects": list(objects)})
        self.blobs[digest_bytes(data)] = data
        return digest_bytes(data)

    def status(self, target: str) -> TargetStatus:
        found = self.whole.statuses.get(target) if self.whole else None
        return found or TargetStatus(target=target)

    # what the listener asks

    def current(self, cluster: ClusterName) -> CurrentHead | None:
        return self.head

    async def changed(self, cluster: ClusterName, etag: str, timeout: float) -> CurrentHead | None:  # noqa: ASYNC109
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min(timeout, 2)):
                while self.head is None or self.head.etag == etag:
                    await self._news.wait()
                return self.head
        return None

    async def section(self, cluster: ClusterName, digest: Digest) -> bytes | None:
        self.fetched.append(digest)
        return self.blobs.get(digest)

    async def artifact(self, cluster: ClusterName, digest: Digest) -> bytes | None:
        return self.blobs.get(digest)

    async def accept(self, cluster: ClusterName, report: Report) -> ReportAnswer:
        if self.refused_reports:
            self.refused_reports -= 1
            return ReportAnswer(send_all=True)
        whole = apply_report(self.whole, report)
        if isinstance(whole, SendAll):
            return ReportAnswer(send_all=True)
        self.whole = whole
        self.reports.append(report)
        return ReportAnswer()

    def seen(self, cluster: ClusterName) -> None:
        pass


class Spoke:
    """An agent in a cluster in memory, with its folder."""

    def __init__(self, hub: Hub, folder: Path) -> None:
        self.hub = hub
        self.folder = folder
        self.cluster = FakeCluster()
        self.clock = MovedClock()
        self.agent: Agent
        self._supervisor: Supervisor
        self._running: asyncio.Task[int] | None = None

    @property
    def settings(self) -> AgentSettings:
        return AgentSettings(
            hub=self.hub.url,
            kubeconfig=Path("unused"),
            state=StateSettings(path=self.folder, backend=Backend.FILE),
            token_file=self.folder / "token",
            link=LinkSettings(poll=timedelta(seconds=1), timeout=timedelta(seconds=5)),
            probes=ProbeSettings(listen=""),
        )

    async def identity(self, transport: Transport) -> Identity:
        return await app.identified(
            self.settings, FileRecords(self.folder), transport, self.cluster.uid
        )

    async def start(self) -> None:
        transport = app.new_transport(self.settings, "instance")
        try:
            identity = await self.identity(transport)
        except BaseException:
            await transport.close()
            raise
        await transport.use(identity)
        cache = Cache(self.folder)
        cache.open()
        around = Surroundings(
            cluster=self.cluster,
            cluster_uid=self.cluster.uid,
            name=identity.cluster,
            records=FileRecords(self.folder),
            cache=cache,
            clock=self.clock,
        )
        self.agent = await app.assemble(self.settings, around, identity, transport)
        self._supervisor = Supervisor(signals=())
        self._running = asyncio.create_task(self.agent.run(self._supervisor))

    async def stop(self) -> None:
        if self._running is not None:
            self._supervisor.stop()
            await asyncio.wait_for(self._running, 20)
            self._running = None

    def maps(self) -> list[str]:
        return sorted(self.cluster.objects("ConfigMap"))


async def until(holds: Callable[[], bool], *, within: float = 15) -> None:
    """Wait for something that happens in other tasks and over sockets."""
    deadline = time.monotonic() + within
    while not holds():
        assert time.monotonic() < deadline, "it did not come to hold"
        await asyncio.sleep(0.01)


def section(target: str, artifact: Digest) -> Section:
    return Section(
        target=target,
        artifact=artifact,
        namespace="default",
        project=ProjectRules(
            name="default", namespaces=("*",), cluster_kinds=(KindPattern(group="*", kind="*"),)
        ),
        automated=True,
        prune=True,
        self_heal=True,
    )


def config_map(name: str, **data: str) -> JsonObject:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[Hub]:
    clock = MovedClock()
    settings = CaSettings(hosts=("127.0.0.1",))
    authority = await Authority.open(tmp_path / "hub", MemoryStore(), settings, clock)
    made = Hub(authority, clock)
    await made.start()
    yield made
    await made.gateway.stop()


@pytest.fixture
async def spoke(hub: Hub, tmp_path: Path) -> AsyncIterator[Spoke]:
    folder = tmp_path / "agent"
    folder.mkdir()
    made = Spoke(hub, folder)
    token = await hub.authority.create_cluster_token(SPOKE)
    (folder / "token").write_text(token.text())
    yield made
    await made.stop()


async def test_joins_applies_and_reports(hub: Hub, spoke: Spoke) -> None:
    await spoke.start()
    hub.assign(section("app", hub.render(config_map("a", x="1"))))
    await until(lambda: hub.status("app").sync is Sync.SYNCED)
    assert spoke.maps() == ["default/a"]
    assert hub.whole is not None
    facts = hub.reports[-1].facts
    assert (facts.uid, facts.kube_version) == (spoke.cluster.uid, "v1.35.4")
    assert "apps/v1/Deployment" in facts.api_versions
    assert hub.reports[-1].generation == hub.generation


async def test_content_is_fetched_once(hub: Hub, spoke: Spoke) -> None:
    await spoke.start()
    one, two = hub.render(config_map("a")), hub.render(config_map("b"))
    hub.assign(section("app", one))
    await until(lambda: hub.status("app").applied == one)
    hub.assign(section("app", one), section("web", two))
    await until(lambda: hub.status("web").applied == two)
    assert {one, two} <= set(hub.fetched)
    assert len(hub.fetched) == len(set(hub.fetched))


async def test_report_that_cannot_be_placed_is_sent_whole(hub: Hub, spoke: Spoke) -> None:
    await spoke.start()
    digest = hub.render(config_map("a"))
    hub.assign(section("app", digest))
    await until(lambda: hub.status("app").applied == digest)
    hub.whole = None
    hub.assign(section("app", digest), section("web", digest))
    await until(lambda: hub.status("web").assigned == digest)
    assert hub.status("app").applied == digest
    assert hub.reports[-1].complete or any(r.complete for r in hub.reports[1:])


async def test_section_that_leaves_is_reported_gone(hub: Hub, spoke: Spoke) -> None:
    await spoke.start()
    hub.assign(section("app", hub.render(config_map("a"))))
    await until(lambda: hub.status("app").sync is Sync.SYNCED)
    hub.assign()
    await until(lambda: hub.whole is not None and not hub.whole.statuses)


async def test_works_on_with_the_hub_gone_and_after_a_restart_without_it(
    hub: Hub, spoke: Spoke
) -> None:
    await spoke.start()
    digest = hub.render(config_map("a", x="1"))
    hub.assign(section("app", digest))
    await until(lambda: hub.status("app").sync is Sync.SYNCED)
    await hub.gateway.stop()
    spoke.cluster.edit("ConfigMap", "default", "a", {"data": {"x": "mine"}})
    await until(lambda: spoke.cluster.objects("ConfigMap")["default/a"]["data"] == {"x": "1"})

    await spoke.stop()
    spoke.cluster.edit("ConfigMap", "default", "a", {"data": {"x": "mine"}})
    await spoke.start()
    await until(lambda: spoke.cluster.objects("ConfigMap")["default/a"]["data"] == {"x": "1"})

    await hub.start(hub.port)
    hub.whole = None
    await until(lambda: hub.status("app").sync is Sync.SYNCED)


async def test_damaged_cache_is_fetched_again(hub: Hub, spoke: Spoke) -> None:
    await spoke.start()
    digest = hub.render(config_map("a", x="1"))
    hub.assign(section("app", digest))
    await until(lambda: hub.status("app").sync is Sync.SYNCED)
    await spoke.stop()
    for path in (spoke.folder / "blobs").iterdir():
        path.write_bytes(path.read_bytes()[:-1] + b"X")
    await spoke.start()
    spoke.cluster.edit("ConfigMap", "default", "a", {"data": {"x": "mine"}})
    await until(lambda: spoke.cluster.objects("ConfigMap")["default/a"]["data"] == {"x": "1"})


async def test_older_assignment_is_refused_also_after_a_restart(hub: Hub, spoke: Spoke) -> None:
    await spoke.start()
    one, two = hub.render(config_map("a", x="1")), hub.render(config_map("a", x="2"))
    old = hub.assign(section("app", one))
    await until(lambda: hub.status("app").applied == one)
    hub.assign(section("app", two))
    await until(lambda: hub.status("app").applied == two)
    hub.offer(old)
    await refused(spoke, "older")
    await spoke.stop()
    (spoke.folder / "head.json").unlink()
    await spoke.start()
    await refused(spoke, "older")
    assert spoke.cluster.objects("ConfigMap")["default/a"]["data"] == {"x": "2"}


@pytest.mark.parametrize(
    "change",
    [{"cluster": "other"}, {"cluster_uid": "another-control-plane"}, {"hub": "another-hub"}],
    ids=["cluster", "control plane", "hub"],
)
async def test_assignment_for_somebody_else_is_refused(
    hub: Hub, spoke: Spoke, change: dict[str, str]
) -> None:
    await spoke.start()
    hub.assign(section("app", hub.render(config_map("a"))), **change)
    await refused(spoke, "another")
    assert spoke.maps() == []


async def test_assignment_signed_by_a_stranger_is_refused(hub: Hub, spoke: Spoke) -> None:
    await spoke.start()
    identity = hub.authority.identity(SPOKE)
    assert identity is not None
    head = Head(
        hub=hub.authority.hub_id,
        cluster=SPOKE,
        cluster_uid=identity.cluster_uid,
        epoch=9,
        generation=9,
        sections=(),
    )
    hub.offer(sign_head(head, [SigningKey.generate()]))
    await refused(spoke, "not signed by a trusted key")


async def test_announced_signing_key_is_trusted_after_that(hub: Hub, spoke: Spoke) -> None:
    await spoke.start()
    digest = hub.render(config_map("a"))
    fresh = SigningKey.generate()
    known = tuple(key.public for key in hub.authority.signing_keys())
    hub.assign(section("app", digest), keys=(*known, fresh.public))
    await until(lambda: hub.status("app").applied == digest)
    web = hub.render(config_map("web"))
    hub.assign(section("web", web))
    await until(lambda: hub.status("web").applied == web)
    assert set(spoke.agent.link.identity.signing_keys) == {*known, fresh.public}


async def test_position_is_on_disk_before_anything_is_applied(hub: Hub, spoke: Spoke) -> None:
    await spoke.start()
    seen: list[bool] = []
    position = spoke.folder / "records" / "position"
    spoke.cluster.before_write = lambda _write: seen.append(
        position.exists() and f'"generation":{hub.generation}' in position.read_text()
    )
    hub.assign(section("app", hub.render(config_map("a"))))
    await until(lambda: hub.status("app").sync is Sync.SYNCED)
    assert seen
    assert all(seen)


async def test_position_that_cannot_be_written_down_accepts_nothing(
    hub: Hub, spoke: Spoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    await spoke.start()

    async def full(*_arguments: object) -> None:
        raise Transient("no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(FileRecords, "write", full)
        digest = hub.render(config_map("a"))
        hub.assign(section("app", digest))
        await refused(spoke, "no space left")
        assert spoke.agent.link.assignment is None
    await until(lambda: hub.status("app").applied == digest)


async def test_disk_that_takes_nothing_costs_only_the_cache(
    hub: Hub, spoke: Spoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    await spoke.start()

    def full(*_arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("agents.cache._write", full)
    digest = hub.render(config_map("a"))
    hub.assign(section("app", digest))
    await until(lambda: hub.status("app").applied == digest)
    assert spoke.maps() == ["default/a"]


# identity


async def test_hub_with_another_key_than_the_token_names_gets_nothing(
    hub: Hub, spoke: Spoke, tmp_path: Path
) -> None:
    stranger = await Authority.open(
        tmp_path / "stranger", MemoryStore(), CaSettings(hosts=("127.0.0.1",)), hub.clock
    )
    token = await stranger.create_cluster_token(SPOKE)
    (spoke.folder / "token").write_text(token.text())
    with pytest.raises(Denied, match="join token"):
        await spoke.start()
    assert not (spoke.folder / "identity.json").exists()


async def test_lost_answer_of_a_join_is_had_again(
    hub: Hub, spoke: Spoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Cut(Exception):
        pass

    async def cut(*_arguments: object) -> Identity:
        raise Cut

    with monkeypatch.context() as patch:
        patch.setattr(enrolment, "_certified", cut)
        with pytest.raises(Cut):
            await spoke.start()
    await spoke.start()
    assert spoke.agent.link.identity.cluster == SPOKE


async def test_certificate_is_renewed_in_its_life(hub: Hub, spoke: Spoke) -> None:
    await spoke.start()
    first = spoke.agent.link.identity
    assert first.not_after is not None
    spoke.clock.shift = (first.not_after - datetime.now(UTC)) * 0.9
    await until(lambda: spoke.agent.link.identity.certificate != first.certificate)
    digest = hub.render(config_map("a"))
    hub.assign(section("app", digest))
    await until(lambda: hub.status("app").applied == digest)
    assert spoke.agent.link.identity.key != first.key


async def test_expired_certificate_is_renewed_by_proof(hub: Hub, spoke: Spoke) -> None:
    await spoke.start()
    first = spoke.agent.link.identity
    await spoke.stop()
    hub.clock.shift = spoke.clock.shift = timedelta(days=7)
    await spoke.start()
    await until(lambda: spoke.agent.link.identity.certificate != first.certificate)


async def test_identity_of_another_control_plane_is_refused(hub: Hub, spoke: Spoke) -> None:
    await spoke.start()
    await spoke.stop()
    spoke.cluster = FakeCluster()
    with pytest.raises(Denied, match="another control plane"):
        await spoke.start()


async def refused(spoke: Spoke, words: str) -> None:
    """The link refuses what it is offered, and says why."""
    found: list[str] = []
    deadline = time.monotonic() + 10
    while not found and time.monotonic() < deadline:
        try:
            await spoke.agent.link.poll_once()
        except FleetError as error:
            found.append(str(error))
    assert words in "".join(found)
