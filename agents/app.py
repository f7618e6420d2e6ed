"""The composition root: the one place where the agent's objects are made and put together.

Starting needs the cluster (to know whose it is) and an identity (or a hub to get one from); it does not need the hub
otherwise. Everything that runs is a named task of the supervisor.
"""

from __future__ import annotations

import functools
import gc
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, TypeVar

import msgspec
import structlog

from agents import enrolment
from agents import identity as identities
from agents.cache import Cache
from agents.core import POSITION, Core, Surroundings, build_core, make_backoff
from agents.facts import cluster_uid, read_facts
from agents.filerecords import FileRecords
from agents.identity import Identity
from agents.kuberecords import KubeRecords
from agents.link import Link
from agents.probing import probe_server
from agents.records import Records
from agents.renewal import Renewal
from agents.requests import Requests
from agents.settings import AgentSettings, Backend
from agents.transport import Transport
from fleet.errors import Denied, FleetError, NotReady, Transient
from fleet.kube.adapter import KubernetesCluster
from fleet.kube.connection import Connection, ConnectionSettings
from fleet.kube.port import ClusterPort
from fleet.runtime import log as fields
from fleet.runtime.backoff import Backoff
from fleet.runtime.clock import Clock, SystemClock
from fleet.runtime.probes import Probes
from fleet.runtime.supervisor import Supervisor
from fleet.wire.token import JoinToken

if TYPE_CHECKING:
    from agents.reads import Reads

log = structlog.get_logger(__name__)

_FACTS_EVERY = 60.0

T = TypeVar("T")


@dataclass(slots=True, kw_only=True)
class Agent:
    """Everything one agent process is made of."""

    settings: AgentSettings
    cluster: ClusterPort
    core: Core
    link: Link
    renewal: Renewal
    requests: Requests
    transport: Transport
    clock: Clock

    async def run(self, supervisor: Supervisor) -> int:
        """Work until the supervisor stops; returns the exit status."""
        self.core.spawn(supervisor)
        supervisor.spawn("facts", self._run_facts)
        supervisor.spawn("polls", self.link.run_polls)
        supervisor.spawn("fetches", self.link.run_fetches)
        supervisor.spawn("reports", self.link.run_reports)
        supervisor.spawn("renewals", self.renewal.run)
        supervisor.spawn("reads", self.requests.run)
        listen = self.settings.probes.listen
        if listen:
            probes = Probes(readiness={"assignment": self._has_assignment})
            supervisor.spawn("probes", lambda: probe_server(listen, probes))
        gc.collect()
        gc.freeze()
        try:
            return await supervisor.run()
        finally:
            await self.transport.close()
            await self.cluster.close()

    def _has_assignment(self) -> str:
        return "" if self.link.assignment is not None else "no assignment yet"

    async def _run_facts(self) -> None:
        """Look now and then at what the cluster is and serves."""
        uid = self.link.identity.cluster_uid
        while True:
            await self.clock.sleep(_FACTS_EVERY)
            try:
                before = await self.cluster.discovery()
                after = await self.cluster.discovery(refresh=True)
                self.link.facts_changed(await read_facts(self.cluster, uid))
                if before is not after:
                    self.core.engine.kinds_changed()
            except FleetError as error:
                log.info("cluster not reached", **{fields.ERROR: str(error)})
            self.core.observer.keep_only(self.core.engine.kinds_in_use())


async def build(settings: AgentSettings, clock: Clock | None = None) -> Agent:
    """Put an agent together: read its state, and join the hub where there is no identity yet."""
    clock = clock or SystemClock()
    cluster = connect(settings)
    uid = await _patiently(lambda: cluster_uid(cluster), clock)
    records = make_records(settings, cluster)
    transport = new_transport(settings, secrets.token_hex(8))
    identity = await _patiently(lambda: identified(settings, records, transport, uid), clock)
    await transport.use(identity)
    cache = Cache(settings.state.path)
    cache.open()
    around = Surroundings(
        cluster=cluster,
        cluster_uid=uid,
        name=identity.cluster,
        records=records,
        cache=cache,
        clock=clock,
    )
    return await assemble(settings, around, identity, transport)


async def enrol(settings: AgentSettings) -> Identity:
    """Join and keep the identity; what ``agent join`` does."""
    cluster = connect(settings)
    transport = new_transport(settings, "")
    try:
        uid = await cluster_uid(cluster)
        records = make_records(settings, cluster)
        return await identified(settings, records, transport, uid, insist=True)
    finally:
        await transport.close()
        await cluster.close()


def connect(settings: AgentSettings) -> KubernetesCluster:
    """The agent's own cluster."""
    wanted = settings.cluster
    return KubernetesCluster(
        Connection(
            ConnectionSettings(
                kubeconfig=str(settings.kubeconfig),
                context=wanted.context,
                qps=wanted.qps,
                burst=wanted.burst,
                parallel=wanted.concurrency + 4,
                request_timeout=wanted.request_timeout.total_seconds(),
                stall_timeout=wanted.stall_timeout.total_seconds(),
            )
        )
    )


def make_records(settings: AgentSettings, cluster: ClusterPort) -> Records:
    """Where state is kept."""
    if settings.state.backend is Backend.FILE:
        return FileRecords(settings.state.path)
    return KubeRecords(cluster, settings.state.namespace)


def new_transport(settings: AgentSettings, instance: str) -> Transport:
    """A transport to the hub, without an identity yet."""
    return Transport(settings.hub, timeout=settings.link.timeout, instance=instance)


async def identified(
    settings: AgentSettings,
    records: Records,
    transport: Transport,
    uid: str,
    *,
    insist: bool = False,
) -> Identity:
    """The kept identity, or a new one by the join token.

    Another token than the one that was joined with means that somebody wants a new identity, such as after a
    revocation. A kept identity stays where that fails, for the agent has to work without a hub, too; with
    ``insist`` the failure is raised.
    """
    data = await records.load_identity()
    kept = identities.decode(data) if data is not None else None
    if kept is None or not kept.is_joined:
        token = enrolment.read_token(settings.token_file)
        return await _join(settings, records, transport, token, kept, uid)
    try:
        token = enrolment.read_token(settings.token_file)
        if token.id != kept.token_id:
            return await _join(settings, records, transport, token, kept, uid)
    except FleetError as error:
        if insist or kept.cluster_uid != uid:
            raise
        log.info("no new identity", **{fields.ERROR: str(error)})
    if kept.cluster_uid != uid:
        raise Denied(
            "the kept identity belongs to another control plane "
            f"(kube-system UID {kept.cluster_uid}, here {uid})",
            hint="a rebuilt cluster joins again with a new token: fleet cluster add",
        )
    return kept


async def _join(
    settings: AgentSettings,
    records: Records,
    transport: Transport,
    token: JoinToken,
    kept: Identity | None,
    uid: str,
) -> Identity:
    """Join; what is kept is replaced by what comes of it, and until then only learns the new key."""
    started = kept
    if kept is None or kept.is_joined or kept.token_id != token.id or kept.cluster_uid != uid:
        key = kept.pending_key if kept is not None else ""
        started = Identity(hub_url=settings.hub, cluster_uid=uid, pending_key=key)
    assert started is not None

    async def save(identity: Identity) -> None:
        if kept is not None and kept.is_joined and not identity.is_joined:
            identity = msgspec.structs.replace(kept, pending_key=identity.pending_key)
        await records.save_identity(identities.encode(identity))

    joined, _ = await enrolment.join(transport, token, started=started, save=save)
    return joined


async def assemble(
    settings: AgentSettings, around: Surroundings, identity: Identity, transport: Transport
) -> Agent:
    clock, cluster = around.clock, around.cluster
    kept = await _patiently(around.records.load, clock)
    core = await _patiently(
        lambda: build_core(around, kept, cluster=settings.cluster, sync=settings.sync), clock
    )

    @functools.cache
    def reads() -> Reads:
        from agents.reads import Reads

        return Reads(
            cluster, core.reader(), core.inventories, lambda: core.engine.assignment, clock
        )

    requests = Requests(transport, lambda request: reads().read(request), clock)
    backoff = make_backoff(settings.link.first_retry, settings.link.last_retry)
    renewal = Renewal(
        transport,
        identity,
        fresh=lambda: new_transport(settings, ""),
        records=around.records,
        clock=clock,
        backoff=backoff,
    )
    link = Link(
        transport,
        renewal,
        journal=core.journal,
        cache=around.cache,
        board=core.board,
        clock=clock,
        accept=core.engine.accept,
        arrived=core.engine.enqueue,
        applied=core.inventories.applied,
        fence=core.engine.fence,
        requested=requests.announced,
        poll=settings.link.poll,
        backoff=backoff,
    )
    link.facts = await _patiently(lambda: read_facts(cluster, identity.cluster_uid), clock)
    link.restore(kept.get(POSITION))
    return Agent(
        settings=settings,
        cluster=cluster,
        core=core,
        link=link,
        renewal=renewal,
        requests=requests,
        transport=transport,
        clock=clock,
    )


async def _patiently(ask: Callable[[], Awaitable[T]], clock: Clock) -> T:
    """Ask until it is answered: while starting, a cluster or a hub that is not there yet is waited for."""
    backoff, rng, tries = Backoff(initial=0.5, maximum=15.0), Random(), 0  # noqa: S311  # jitter
    while True:
        try:
            return await ask()
        except (NotReady, Transient) as error:
            tries += 1
            log.info("waiting to start", **{fields.ERROR: str(error)})
            await clock.sleep(backoff.delay(tries, rng))
