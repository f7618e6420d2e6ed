"""The hub's composition root: the one place where its parts are built; `hub.joints` says how they are joined."""

from __future__ import annotations

import asyncio
import gc
import logging
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import structlog

from fleet.codec.redaction import redact
from fleet.errors import BadInput
from fleet.fetch.helmrepo import ChartRepositories
from fleet.fetch.http import Http
from fleet.fetch.scm.forges import Forges
from fleet.fetch.settings import ChartAccess, ChartSettings
from fleet.git.mirrors import Mirrors
from fleet.git.settings import GitSettings, RepositoryAccess
from fleet.jq.paths import JqPaths
from fleet.model.identity import ClusterName, TargetId
from fleet.render.renderer import Renderer
from fleet.render.settings import RenderSettings
from fleet.runtime import log as logs
from fleet.runtime.clock import Clock, SystemClock
from fleet.runtime.looplag import LoopLag
from fleet.runtime.probes import Probes
from fleet.runtime.reconciler import Done, Outcome, Reconciler, RequeueAfter
from fleet.runtime.settings import load_settings
from fleet.runtime.supervisor import Supervisor
from fleet.store.blobs import FileArtifactStore
from fleet.store.port import ArtifactStore, Kind, Put, Store
from fleet.store.sql import SqlStore
from hub.accepted import Accepted
from hub.answers import Answers
from hub.api import Api, read_or_make_token
from hub.appops import AppOperations
from hub.appreads import AppReads
from hub.approvals import Approvals
from hub.assignments import AssignmentRecords
from hub.ca import Authority, CaSettings
from hub.children import Children
from hub.childsyncs import ChildSyncs
from hub.closures import Closures
from hub.dismissal import Dismissal
from hub.dispatch import Dispatcher
from hub.enrolment import Enrolment
from hub.evaluate import Evaluator
from hub.fleetrepo import FleetRepo
from hub.gateway import Gateway, GatewaySettings
from hub.history import History
from hub.identities import Identity, Standing
from hub.joints import Joints, Queues
from hub.operations import Operations
from hub.parents import Parents
from hub.poller import Poller
from hub.records import Records
from hub.refresh import Refresher
from hub.renderings import Renderings
from hub.requests import Requests
from hub.retention import Retention
from hub.rollbacks import Rollbacks
from hub.rolloutapi import RolloutApi
from hub.rolloutfacts import RolloutFacts
from hub.rollouts import Rollouts
from hub.rolloutviews import RolloutViews
from hub.rollup import Rollup
from hub.settings import HubSettings
from hub.state import State
from hub.views import Views
from hub.world import Worlds

log = structlog.get_logger(__name__)

EPOCH = "epoch"
FULL_EVALUATION = timedelta(minutes=10)
"""How often the fleet is evaluated although nothing happened."""


def load(path: Path) -> HubSettings:
    """Read hub.yaml; raises BadInput with file, line and field."""
    settings = load_settings(path.resolve(), HubSettings)
    if not settings.repositories:
        raise BadInput(f"{path}: repositories: at least one repository is needed")
    if not settings.external_url.startswith("https://"):
        raise BadInput(f"{path}: externalURL: agents dial https://HOST:PORT")
    return settings


@dataclass(slots=True, kw_only=True)
class Hub:
    """All parts, joined."""

    settings: HubSettings
    clock: Clock
    state: State
    queues: Queues
    records: Records
    accepted: Accepted
    worlds: Worlds
    operations: Operations
    evaluator: Evaluator
    renderings: Renderings
    dispatcher: Dispatcher
    rollup: Rollup
    poller: Poller
    enrolment: Enrolment
    gateway: Gateway
    api: Api
    lag: LoopLag
    retention: Retention
    history: History
    rollbacks: Rollbacks
    rollouts: Rollouts
    requests: Requests

    async def restore(self) -> None:
        """Read everything durable, in the order in which parts need each other."""
        await self.records.restore()
        self.state.approvals = self.records.approvals
        await self.operations.restore()
        await self.rollup.restore()
        await self.dispatcher.assignments.restore()
        await self.rollouts.restore()
        await self.accepted.restore()
        await self.evaluator.children.parents.syncs.restore()
        await self.worlds.restore()
        await self.evaluator.rules.restore()
        await self.history.restore()
        await self.rollbacks.restore()

    def begin(self) -> None:
        """Ask for the first round of everything."""
        self.poller.want(item.repo_url for item in self.settings.repositories)
        self.queues.evaluate()
        for id_ in self.state.all_statuses():
            self.queues.history.add(id_)  # a stop may have come between a report and its entry

    async def evaluate(self, key: str) -> Outcome:
        await self.evaluator.reconcile(key)
        due = self.worlds.answers.next_due() if self.worlds.answers else None
        full = FULL_EVALUATION.total_seconds()
        return RequeueAfter(full if due is None else min(full, max(1.0, due)))

    async def dispatch(self, cluster: ClusterName) -> Outcome:
        outcome = await self.dispatcher.reconcile(cluster)
        await self.enrolment.finish_removal(cluster)
        return outcome

    async def remember(self, target: TargetId) -> Outcome:
        """Bring what is kept of a target's past up to date: its deployments, and its pin."""
        await self.history.reconcile(target)
        await self.rollbacks.settle(target)
        return Done()

    def reconcilers(self) -> list[Reconciler[str] | Reconciler[TargetId] | Reconciler[ClusterName]]:
        workers = self.settings.render.concurrency
        queues, clock = self.queues, self.clock
        return [
            Reconciler(
                "fetch", self.poller.reconcile, queues.repositories, workers=16, clock=clock
            ),
            Reconciler("evaluate", self.evaluate, queues.fleet, workers=1, clock=clock),
            Reconciler(
                "render",
                self.renderings.reconcile,
                queues.targets,
                workers=4 * workers,
                clock=clock,
            ),
            Reconciler("dispatch", self.dispatch, queues.clusters, workers=4, clock=clock),
            Reconciler(
                "rollouts", self.rollouts.reconcile, queues.rollouts, workers=1, clock=clock
            ),
            Reconciler("history", self.remember, queues.history, workers=4, clock=clock),
        ]


async def run(settings: HubSettings) -> int:
    """Run the daemon until it is asked to stop; returns the exit status."""
    logs.configure(settings.log.level, settings.log.form, redact=redact)
    for chatty in ("aiosqlite", "git", "alembic"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    supervisor = Supervisor(grace=settings.grace)
    async with AsyncExitStack() as stack:
        hub = await build(settings, SystemClock(), stack)
        await hub.restore()
        gc.freeze()
        await hub.gateway.start()
        stack.push_async_callback(hub.gateway.stop)
        address = await hub.api.start()
        stack.push_async_callback(hub.api.stop)
        stack.callback(hub.requests.close)  # so that people who follow a log are told why it ends
        for reconciler in hub.reconcilers():
            supervisor.spawn(reconciler.name, _draining(reconciler, supervisor), drains=True)
        supervisor.spawn("jq", hub.evaluator.jq.run)
        supervisor.spawn("loop-lag", hub.lag.run)
        supervisor.spawn("retention", hub.retention.run)
        hub.begin()
        log.info("hub started", api=f"{address[0]}:{address[1]}", agents=settings.agents.listen)
        return await supervisor.run()


async def build(settings: HubSettings, clock: Clock, stack: AsyncExitStack) -> Hub:
    """Build and join all parts; what has to be closed is registered with the stack."""
    settings.state.mkdir(parents=True, exist_ok=True, mode=0o700)
    store = await SqlStore.open(
        settings.database or f"sqlite+aiosqlite:///{settings.state / 'hub.db'}"
    )
    stack.push_async_callback(store.close)
    artifacts = FileArtifactStore(settings.state / "artifacts")
    mirrors = Mirrors(_git_settings(settings))
    stack.push_async_callback(mirrors.close)
    fetching = _chart_settings(settings)
    charts = ChartRepositories(fetching)
    stack.push_async_callback(charts.close)
    http = Http(fetching, clock=clock)
    stack.push_async_callback(http.close)
    forges = Forges(http, clock, scm=settings.scm, plugins=settings.plugins, access=fetching.access)
    closures = Closures(store)
    renderer = Renderer(
        sources=mirrors,
        charts=charts,
        artifacts=artifacts,
        closures=closures,
        settings=_render_settings(settings),
    )
    await renderer.start()
    stack.push_async_callback(renderer.close)
    authority = await Authority.open(settings.state, store, _ca_settings(settings), clock)
    epoch = await read_epoch(store)
    hub = _join(
        settings,
        clock,
        Adapters(
            store=store,
            artifacts=artifacts,
            closures=closures,
            mirrors=mirrors,
            charts=charts,
            forges=forges,
            renderer=renderer,
            authority=authority,
            epoch=epoch,
        ),
    )
    if hub.worlds.answers is not None:
        stack.push_async_callback(hub.worlds.answers.close)
    return hub


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapters:
    """What was opened with I/O."""

    store: Store
    artifacts: ArtifactStore
    closures: Closures
    mirrors: Mirrors
    charts: ChartRepositories
    forges: Forges
    renderer: Renderer
    authority: Authority
    epoch: int


def _join(settings: HubSettings, clock: Clock, adapters: Adapters) -> Hub:
    store, artifacts, authority = adapters.store, adapters.artifacts, adapters.authority
    mirrors, renderer = adapters.mirrors, adapters.renderer
    state = State()
    queues = Queues.make(clock)
    records = Records(store)
    answers = Answers(forges=adapters.forges, clock=clock, changed=queues.answered)
    worlds = Worlds(
        mirrors,
        tuple(FleetRepo(item, mirrors, store) for item in settings.repositories),
        clock,
        answers,
        templated_projects=settings.templated_projects,
    )
    operations = Operations(store=store, clock=clock, changed=queues.clusters.add)
    poller = Poller(
        mirrors=mirrors,
        queue=queues.repositories,
        interval=settings.git.poll_interval,
        moved=queues.moved,
    )
    history = History(store=store, state=state, clock=clock)
    joints = Joints(
        state=state,
        queues=queues,
        records=records,
        poller=poller,
        fleet_repositories=frozenset(item.repo_url for item in settings.repositories),
        agents=lambda: [ClusterName(item.name) for item in authority.identities()],
        handed_out=history.assigned,
        remembered=lambda: (*history.known(), *state.pins),
        look_at_rollouts=lambda: rollouts.look_at_all(),  # noqa: PLW0108  # made below: they ask the joints
        look_at_rollouts_of=lambda ids: rollouts.look_at(ids),  # noqa: PLW0108  # made below
        has_failed=lambda id_: id_ in renderings.problems,  # made below
    )
    authority.subscribe(joints.joined)
    accepted = Accepted(store)
    syncs = ChildSyncs(store=store, evaluate=queues.evaluate)
    parents = Parents(
        accepted=accepted,
        state=state,
        syncs=syncs,
        is_bound=lambda name: bool(uid_of(authority.identity(name))),
        is_rendering=joints.is_rendering,
        has_failed=joints.has_failed,
    )
    evaluator = Evaluator(
        worlds=worlds,
        accepted=accepted,
        state=state,
        clock=clock,
        jq=JqPaths(clock),
        children=Children(parents=parents),
        held_clusters=records.declared,
        joined_clusters=joints.agents,
        approval_used=records.used,
        evaluated=joints.evaluated,
    )
    renderings = Renderings(
        renderer=renderer,
        artifacts=artifacts,
        state=state,
        rendered=joints.rendered,
        offered=joints.offered,
        settled=joints.settled,
    )
    assignments = AssignmentRecords(store=store, artifacts=artifacts, state=state)
    rollout_facts = RolloutFacts(
        state=state,
        clock=clock,
        lease=settings.lease,
        is_rendering=joints.is_rendering,
        has_failed=joints.has_failed,
        is_removing=records.is_removing,
    )
    rollouts = Rollouts(
        store=store,
        state=state,
        clock=clock,
        facts=rollout_facts,
        look=queues.rollouts.add_after,
        dispatch=queues.clusters.add,
    )
    rollout_views = RolloutViews(state=state, rollouts=rollouts, facts=rollout_facts, clock=clock)
    dispatcher = Dispatcher(
        assignments=assignments,
        state=state,
        operations=operations,
        hub_id=authority.hub_id,
        epoch=adapters.epoch,
        keys=authority.signing_keys,
        cluster_uid=lambda name: uid_of(authority.identity(name)),
        removing=records.is_removing,
        assigned=joints.assigned,
        approval_used=records.used,
        gate=rollouts.gate,
        keeps=rollouts.stays,
    )
    rollup = Rollup(
        store=store,
        state=state,
        operations=operations,
        clock=clock,
        lease=settings.lease,
        status_changed=joints.status_changed,
        released=joints.released,
        facts_changed=joints.facts_changed,
        came_back=joints.came_back,
    )
    rollbacks = Rollbacks(
        store=store,
        artifacts=artifacts,
        state=state,
        history=history,
        operations=operations,
        clock=clock,
        dispatch=lambda id_: queues.clusters.add(id_.cluster),
    )
    enrolment = Enrolment(
        authority=authority,
        records=records,
        dispatcher=dispatcher,
        rollup=rollup,
        state=state,
        external_url=settings.external_url,
        token_lifetime=settings.identity.join_token_lifetime,
        evaluate=queues.evaluate,
        dispatch=queues.clusters.add,
        forgetting=(operations.forget, rollbacks.forget, history.forget),
        clock=clock,
    )
    views = Views(
        state=state,
        rollup=rollup,
        dispatcher=dispatcher,
        records=records,
        renderings=renderings,
        worlds=worlds,
        poller=poller,
        rollouts=rollout_views,
    )
    views.export()
    lag = LoopLag(clock)
    requests = Requests(clock)
    dismissal = Dismissal(state=state, accepted=accepted, evaluate=queues.evaluate)
    app_operations = AppOperations(
        state=state,
        operations=operations,
        rollbacks=rollbacks,
        history=history,
        may_go=rollouts.check,
        let_go=rollouts.let_go,
        children=parents,
        dismiss=dismissal.dismiss,
    )
    api = Api(
        settings=settings.api,
        webhook=settings.webhook,
        token=read_or_make_token(settings.api.token_file or settings.state / "admin.token"),
        state=state,
        views=views,
        approvals=Approvals(
            state=state, records=records, evaluate=queues.evaluate, dispatch=joints.rendered
        ),
        enrolment=enrolment,
        refresher=Refresher(
            state=state,
            poller=poller,
            renderings=renderings,
            operations=operations,
            render=queues.targets.add,
        ),
        poller=poller,
        parts=(
            app_operations,
            AppReads(state=state, requests=requests, heard=rollup.age),
            RolloutApi(views=rollout_views, rollouts=rollouts),
        ),
        probes=_probes(state, lag),
        news=answers.news,
    )
    gateway = Gateway(
        authority=authority,
        assignments=assignments,
        reports=rollup,
        requests=requests,
        settings=GatewaySettings(
            listen=settings.agents.listen,
            handshakes_per_second=settings.agents.handshakes_per_second,
        ),
        clock=clock,
    )
    retention = Retention(
        store=store,
        artifacts=artifacts,
        state=state,
        clock=clock,
        named=lambda: assignments.named() | history.named() | rollbacks.named() | rollouts.named(),
        forgotten=adapters.closures.forget,
    )
    return Hub(
        settings=settings,
        clock=clock,
        state=state,
        queues=queues,
        records=records,
        accepted=accepted,
        worlds=worlds,
        operations=operations,
        evaluator=evaluator,
        renderings=renderings,
        dispatcher=dispatcher,
        rollup=rollup,
        poller=poller,
        enrolment=enrolment,
        gateway=gateway,
        api=api,
        rollouts=rollouts,
        lag=lag,
        retention=retention,
        history=history,
        rollbacks=rollbacks,
        requests=requests,
    )


def uid_of(identity: Identity | None) -> str:
    """UID of the control plane that a cluster's agent joined with; empty while none has, or it is revoked."""
    if identity is None or identity.standing is not Standing.JOINED:
        return ""
    return identity.cluster_uid


async def read_epoch(store: Store) -> int:
    """Return the hub's epoch, 1 at the first start; a hub restored from a backup is given a higher one."""
    data = await store.get(Kind.META, EPOCH)
    if data is None:
        await store.commit(Put(Kind.META, EPOCH, b"1"))
        return 1
    return int(data)


def _draining(reconciler, supervisor: Supervisor):  # type: ignore[no-untyped-def]  # any key type
    async def work() -> None:
        async def stop() -> None:
            await supervisor.stopping.wait()
            reconciler.stop()

        async with asyncio.TaskGroup() as group:
            group.create_task(stop(), name=f"{reconciler.name}-stop")
            await reconciler.run()

    return work


def _probes(state: State, lag: LoopLag) -> Probes:
    def evaluated() -> str:
        return "" if state.desired.evaluated else "the fleet has not been evaluated yet"

    def responsive() -> str:
        late = lag.recent_p99()
        return "" if late < 5 else f"the event loop is {late:.1f} s late"

    return Probes(liveness={"event-loop": responsive}, readiness={"evaluation": evaluated})


def _git_settings(settings: HubSettings) -> GitSettings:
    return GitSettings(
        state=settings.state / "mirrors",
        access=tuple(
            RepositoryAccess(
                url_prefix=item.url_prefix,
                username_file=item.username_file,
                password_file=item.password_file,
                ssh_key_file=item.ssh_key_file,
                known_hosts_file=item.known_hosts_file,
                ca_file=item.ca_file,
                insecure=item.insecure,
            )
            for item in settings.access
        ),
        allow_file=settings.git.allow_file,
        allow_http=settings.git.allow_http,
        timeout=settings.git.timeout,
        clone_timeout=settings.git.clone_timeout,
        limits=settings.git.limits,
    )


def _ca_settings(settings: HubSettings) -> CaSettings:
    host = urlsplit(settings.external_url).hostname or ""
    return CaSettings(
        hosts=tuple(dict.fromkeys((host, *settings.agents.names))),
        certificate_lifetime=settings.identity.certificate_lifetime,
        renew_expired_for=settings.identity.renew_expired_for,
        join_token_lifetime=settings.identity.join_token_lifetime,
    )


def _chart_settings(settings: HubSettings) -> ChartSettings:
    return ChartSettings(
        state=settings.state / "charts",
        access=tuple(
            ChartAccess(
                url_prefix=item.url_prefix,
                username_file=item.username_file,
                password_file=item.password_file,
                ca_file=item.ca_file,
                insecure=item.insecure,
                pass_credentials=item.pass_credentials,
            )
            for item in settings.access
        ),
        hosts=settings.charts.hosts,
        realm_hosts=settings.charts.realm_hosts,
        allow_http=settings.git.allow_http,
        allow_loopback=settings.charts.allow_loopback,
    )


def _render_settings(settings: HubSettings) -> RenderSettings:
    render = settings.render
    return RenderSettings(
        helm=render.helm,
        kubectl=render.kubectl,
        concurrency=render.concurrency,
        timeout=render.timeout.total_seconds(),
        require_sandbox=render.require_sandbox,
        allow_remote_bases=render.allow_remote_bases,
    )
