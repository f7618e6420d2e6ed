"""A hub's rollouts and dispatch over facts that a test sets, with agents that do what they are told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

import msgspec

from fleet.argo.rollingsync import read_plan
from fleet.codec.jsontypes import JsonObject
from fleet.errors import Transient
from fleet.model.application import Application, Automated, Destination, Source, SyncPolicy
from fleet.model.appset import ApplicationSet
from fleet.model.assignment import Head, Section
from fleet.model.cluster import Cluster, default_server
from fleet.model.identity import AppName, ClusterName, TargetId
from fleet.model.project import DEFAULT_PROJECT
from fleet.model.report import Health, Ready, Sync, TargetStatus
from fleet.model.rollout import RolloutState, TargetState
from fleet.model.target import Edge, Reference, ReferenceKind, Target
from fleet.moves import Candidate
from fleet.pki.keys import SigningKey
from fleet.rollouts.orders import Options, Order
from fleet.store.port import Change
from fleet.testing.clock import FakeClock
from fleet.testing.store import MemoryArtifactStore, MemoryStore
from fleet.wire.heads import payload_of
from hub.assignments import AssignmentRecords
from hub.dispatch import Dispatcher
from hub.operations import Operations
from hub.rolloutfacts import RolloutFacts
from hub.rollouts import Rollouts
from hub.state import Desired, Seen, State

LEASE = timedelta(seconds=60)
STAGES = ("canary", "rest")


class Stubborn(MemoryStore):
    """A store that can be told to take nothing."""

    broken = False

    async def commit(self, *changes: Change) -> None:
        if self.broken:
            raise Transient("the disk takes nothing")
        await super().commit(*changes)


def strategy(*steps: JsonObject, **more: str) -> JsonObject:
    """A RollingSync; without steps, one a stage."""
    chosen = list(steps) or [stage(name) for name in STAGES]
    return {"type": "RollingSync", "rollingSync": {"steps": chosen}, **more}


def stage(*names: str, **more: object) -> JsonObject:
    rule: JsonObject = {"key": "stage", "operator": "In", "values": list(names)}
    return {"matchExpressions": [rule], **more}


@dataclass
class Bench:
    """Rollouts and a dispatcher over facts that a test sets."""

    store: Stubborn = field(default_factory=Stubborn)
    key: SigningKey = field(default_factory=SigningKey.generate)
    clock: FakeClock = field(default_factory=FakeClock)
    due: set[ClusterName] = field(default_factory=set)
    looks: list[str] = field(default_factory=list)
    """Sets that are to be looked at again."""
    rendering: set[TargetId] = field(default_factory=set)
    failed: set[TargetId] = field(default_factory=set)
    bad: set[str] = field(default_factory=set)
    """Artifacts that do not turn Healthy."""

    def __post_init__(self) -> None:
        self.state = State()
        self.start()

    def start(self) -> None:
        """A hub that begins with what is durable, and what agents report again."""
        old, self.state = self.state, State()
        self.state.replace_desired(old.desired)
        self.state.candidates = old.candidates
        self.state.statuses, self.state.seen = old.statuses, old.seen
        self.state.revisions, self.state.pins = old.revisions, old.pins
        self.rollouts = Rollouts(
            store=self.store,
            state=self.state,
            clock=self.clock,
            facts=RolloutFacts(
                state=self.state,
                clock=self.clock,
                lease=LEASE,
                is_rendering=self.rendering.__contains__,
                has_failed=self.failed.__contains__,
                is_removing=lambda _name: False,
            ),
            look=lambda name, _seconds: self.looks.append(name),
            dispatch=self.due.add,
        )
        self.assignments = AssignmentRecords(
            store=self.store, artifacts=MemoryArtifactStore(), state=self.state
        )
        self.dispatcher = Dispatcher(
            assignments=self.assignments,
            state=self.state,
            operations=Operations(store=self.store, clock=self.clock, changed=self.due.add),
            hub_id="hub",
            epoch=1,
            keys=lambda: [self.key],
            cluster_uid=lambda name: f"uid-{name}",
            removing=lambda _name: False,
            assigned=lambda _moved: None,
            turned=lambda _ids: None,
            approval_used=self.used,
            gate=self.rollouts.gate,
            keeps=self.rollouts.stays,
        )

    async def restart(self) -> None:
        """Stop and start the hub."""
        self.start()
        await self.assignments.restore()
        await self.rollouts.restore()

    async def used(self, subject: str) -> None:
        """No approvals here."""

    def want(
        self,
        stages: Mapping[str, str],
        plan: JsonObject | None = None,
        *,
        annotations: Mapping[str, str] | None = None,
        needs: Mapping[str, str] | None = None,
        automated: bool = True,
        document: JsonObject | None = None,
        appset: bool = True,
    ) -> None:
        """One application ``web`` on each cluster, with the stage it belongs to."""
        targets = {}
        for cluster, name in stages.items():
            policy = SyncPolicy(automated=Automated(prune=True) if automated else None)
            application = Application(
                name=AppName(f"web-{cluster}"),
                namespace="argocd",
                project="default",
                sources=(Source(repo_url="https://git.example.com/x.git"),),
                destination=Destination(name=cluster),
                sync_policy=policy,
                labels={"stage": name} if name else {},
                appset="web",
                document=document or {},
            )
            id_ = target_id(cluster)
            edges: tuple[Edge, ...] = ()
            if needs and cluster in needs:
                text = f"cluster/{needs[cluster]}/web-{needs[cluster]}"
                reference = Reference(kind=ReferenceKind.CLUSTER, name=text, text=text)
                edges = (Edge(reference=reference, targets=(target_id(needs[cluster]),)),)
            targets[id_] = Target(id=id_, application=application, edges=edges)
        read = read_plan(plan or strategy(), annotations or {})
        clusters = {ClusterName(name) for name in stages} | set(self.state.desired.clusters)
        self.state.replace_desired(
            Desired(
                clusters={
                    name: Cluster(name=name, server=default_server(name)) for name in clusters
                },
                projects={"default": DEFAULT_PROJECT},
                appsets={"web": ApplicationSet(name="web", namespace="argocd", rollout=read)}
                if appset
                else {},
                applications={id_.app: item.application for id_, item in targets.items()},
                targets=targets,
                evaluated=True,
            )
        )
        for cluster in stages:
            self.hear(cluster)

    def hear(self, *clusters: str) -> None:
        """Agents give a sign of life."""
        for name in clusters:
            self.state.seen.setdefault(ClusterName(name), Seen()).at = self.clock.now()

    def commit(self, digest: str, *clusters: str, objects: int = 1) -> None:
        """Git wants this on some clusters (none: on all)."""
        for id_ in self.state.desired.targets:
            if not clusters or id_.cluster in clusters:
                self.state.candidates[id_] = Candidate(digest=digest, kinds={"/ConfigMap": objects})

    async def settle(self, *offline: str, rounds: int = 12) -> None:
        """Let hub and agents work until nothing changes, without time passing; ``offline`` agents do nothing."""
        for _ in range(rounds):
            await self.rollouts.reconcile("web")
            await self.dispatch()
            self.report(*offline)
        await self.rollouts.reconcile("web")

    async def dispatch(self) -> None:
        for cluster in sorted(self.state.desired.clusters):
            await self.dispatcher.reconcile(cluster)

    def report(self, *offline: str) -> None:
        """What agents that are online make of their assignments."""
        for id_, digest in list(self.state.assigned.items()):
            if id_.cluster in offline or not digest:
                continue
            good = digest not in self.bad
            self.state.statuses.setdefault(id_.cluster, {})[id_.app] = TargetStatus(
                target=id_.app,
                sync=Sync.SYNCED,
                health=Health.HEALTHY if good else Health.DEGRADED,
                assigned=digest,
                applied=digest,
                ready=Ready(ready=good),
            )
        for cluster, known in self.state.statuses.items():
            for name in list(known):
                if TargetId(cluster, AppName(name)) not in self.state.assigned:
                    del known[name]

    async def wait(self, seconds: float, *offline: str) -> None:
        """Let time pass; agents that are online are heard of."""
        await self.clock.advance(seconds)
        self.hear(*(name for name in self.state.desired.clusters if name not in offline))
        await self.settle(*offline)

    def assigned(self) -> dict[str, str]:
        return {id_.cluster: digest for id_, digest in sorted(self.state.assigned.items())}

    def states(self) -> dict[str, TargetState]:
        rollout = self.rollouts.get("web")
        assert rollout is not None
        return {id_.cluster: member.state for id_, member in sorted(rollout.members.items())}

    def stands(self) -> RolloutState:
        rollout = self.rollouts.get("web")
        assert rollout is not None
        return rollout.standing.state

    async def section(self, cluster: str) -> Section:
        name = ClusterName(cluster)
        current = self.assignments.current(name)
        assert current is not None
        head = msgspec.json.decode(payload_of(current.signed), type=Head)
        (ref,) = head.sections
        data = await self.assignments.section(name, ref.digest)  # type: ignore[arg-type]  # a digest
        assert data is not None
        return msgspec.json.decode(data, type=Section)

    async def told(self, order: Order, **options: object) -> str:
        return await self.rollouts.order("web", order, Options(**options))  # type: ignore[arg-type]


def target_id(cluster: str) -> TargetId:
    return TargetId(ClusterName(cluster), AppName(f"web-{cluster}"))
