"""An agent on a cluster in memory, and a hub's real listener that hands out what a test says.

TLS, certificates, signatures and the wire are real; the rest of a hub is not needed.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from agents import app
from agents.app import Agent
from agents.cache import Cache
from agents.core import Surroundings
from agents.filerecords import FileRecords
from agents.identity import Identity
from agents.settings import AgentSettings, Backend, LinkSettings, ProbeSettings, StateSettings
from agents.transport import Transport
from fleet.codec.canonical import Digest, canonical_bytes, digest_bytes
from fleet.codec.jsontypes import JsonObject
from fleet.model.assignment import (
    Head,
    KindPattern,
    ProjectRules,
    Section,
    SectionRef,
    SignedHead,
)
from fleet.model.identity import ClusterName
from fleet.model.report import Report, ReportAnswer, TargetStatus
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
        self.requests = Requests(clock)
        self.reports: list[Report] = []
        self.refused_reports = 0
        self.generation = 0
        self.fetched: list[Digest] = []
        self._news = asyncio.Event()

    async def start(self, port: int = 0) -> None:
        self.requests = Requests(self.clock)
        settings = GatewaySettings(listen=f"127.0.0.1:{port}", handshakes_per_second=1000)
        self.gateway = Gateway(self.authority, self, self, self.requests, settings, self.clock)
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
        folder.mkdir()
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


@contextlib.asynccontextmanager
async def listening(folder: Path) -> AsyncIterator[Hub]:
    """A hub that listens."""
    clock = MovedClock()
    settings = CaSettings(hosts=("127.0.0.1",))
    authority = await Authority.open(folder, MemoryStore(), settings, clock)
    made = Hub(authority, clock)
    await made.start()
    yield made
    await made.gateway.stop()


@contextlib.asynccontextmanager
async def invited(hub: Hub, folder: Path) -> AsyncIterator[Spoke]:
    """A spoke with a join token; it is not started."""
    made = Spoke(hub, folder)
    token = await hub.authority.create_cluster_token(SPOKE)
    (folder / "token").write_text(token.text())
    yield made
    await made.stop()
