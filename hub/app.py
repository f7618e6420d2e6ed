"""The hub's composition root: the one place where its parts are built; `hub.joints` says how they are joined."""

from __future__ import annotations

import asyncio
import gc
import logging
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import structlog

from fleet.codec.redaction import redact
from fleet.errors import BadInput
from fleet.jq.paths import JqPaths
from fleet.model.identity import ClusterName, TargetId
from fleet.runtime import log as logs
from fleet.runtime.clock import Clock, SystemClock
from fleet.runtime.looplag import LoopLag
from fleet.runtime.probes import Probes
from fleet.runtime.reconciler import Done, Outcome, Reconciler, RequeueAfter
from fleet.runtime.settings import load_settings
from fleet.runtime.supervisor import Supervisor
from hub.accepted import Accepted
from hub.adapters import Adapters, open_adapters
from hub.answers import Answers
from hub.api import Api, read_or_make_token
from hub.appops import AppOperations
from hub.appreads import AppReads
from hub.approvals import Approvals
from hub.assignments import AssignmentRecords
from hub.children import Children
from hub.childsyncs import ChildSyncs
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
    joints: Joints
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
        full = self.joints.everything_in()
        return RequeueAfter(max(1.0, full if due is None else min(full, due)))

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
    """Open the adapters and join all parts; what has to be closed is registered with the stack."""
    hub = _join(settings, clock, await open_adapters(settings, clock, stack))
    if hub.worlds.answers is not None:
        stack.push_async_callback(hub.worlds.answers.close)
    return hub


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
        moved=lambda repo_url: joints.moved(repo_url),  # noqa: PLW0108  # made below
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
        failing=lambda: renderings.problems,
        touched=lambda place: evaluator.touched(place),  # noqa: PLW0108  # made below
        clock=clock,
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
        rolled=joints.rolled,
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
        turned=joints.turned,
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
        changed=joints.pinned,
        is_bound=parents.is_bound,
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
        is_rendering=joints.is_rendering,
        clock=clock,
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
        joints=joints,
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
