"""Rollouts over dispatch: which artifact stands in each cluster's assignment, and what a stop in between leaves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta

import msgspec
import pytest

from fleet.argo.rollingsync import PREFIX, read_plan
from fleet.codec.jsontypes import JsonObject
from fleet.errors import BadInput, NotReady, Transient
from fleet.model.application import Application, Automated, Destination, Source, SyncPolicy
from fleet.model.appset import ApplicationSet
from fleet.model.assignment import Head, Hold, Section
from fleet.model.cluster import Cluster, default_server
from fleet.model.identity import AppName, ClusterName, TargetId
from fleet.model.project import DEFAULT_PROJECT
from fleet.model.report import Health, Ready, Sync, TargetStatus
from fleet.model.rollout import RolloutState, TargetState
from fleet.model.target import Edge, Reference, ReferenceKind, Target
from fleet.moves import Candidate
from fleet.pki.keys import SigningKey
from fleet.rollouts.orders import Options, Order
from fleet.runtime.reconciler import RequeueAfter
from fleet.store.port import Change, Kind
from fleet.testing.clock import FakeClock
from fleet.testing.store import MemoryArtifactStore, MemoryStore
from fleet.wire.heads import payload_of
from hub.assignments import AssignmentRecords
from hub.dispatch import Dispatcher
from hub.operations import Operations
from hub.rolloutfacts import RolloutFacts
from hub.rollouts import Rollouts
from hub.state import Desired, Pin, Seen, State

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
            look=lambda _name, _seconds: None,
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

    def commit(self, digest: str, *clusters: str) -> None:
        """Git wants this on some clusters (none: on all)."""
        for id_ in self.state.desired.targets:
            if not clusters or id_.cluster in clusters:
                self.state.candidates[id_] = Candidate(digest=digest, kinds={"/ConfigMap": 1})

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


@pytest.fixture
def bench() -> Bench:
    return Bench()


FLEET = {"a": "canary", "b": "rest", "c": "rest"}
WINDOW = {f"{PREFIX}health-window": "5m"}
RETURN = {f"{PREFIX}on-failure": "return", **WINDOW}


async def deployed(bench: Bench, *args: object, **more: object) -> None:
    """Bring a first version everywhere, then ask for the steps that a test is about."""
    bench.want(FLEET)
    bench.commit("d1")
    await bench.settle()
    bench.want(FLEET, *args, **more)  # type: ignore[arg-type]
    await bench.settle()
    assert set(bench.assigned().values()) == {"d1"}
    assert bench.stands() is RolloutState.DONE


async def test_the_next_step_opens_when_the_one_before_is_healthy(bench: Bench) -> None:
    await deployed(bench)
    bench.bad.add("d2")
    bench.commit("d2")
    await bench.settle()
    assert bench.assigned() == {"a": "d2", "b": "d1", "c": "d1"}
    held = (await bench.section("b")).held
    assert held is not None
    assert held.reason is Hold.ROLLOUT
    assert held.message == "waits for step 2 of the rollout of ApplicationSet 'web'"
    bench.bad.clear()
    await bench.settle()
    assert set(bench.assigned().values()) == {"d2"}
    assert (await bench.section("b")).held is None


async def test_a_first_deployment_goes_through_the_steps(bench: Bench) -> None:
    bench.bad.add("d1")
    bench.want(FLEET)
    bench.commit("d1")
    await bench.settle()
    assert bench.assigned() == {"a": "d1", "b": "", "c": ""}


async def test_no_more_than_max_update_move_at_once(bench: Bench) -> None:
    bench.want({"a": "rest", "b": "rest", "c": "rest"}, strategy(stage("rest", maxUpdate="40%")))
    bench.bad.add("d1")
    bench.commit("d1")
    await bench.settle()
    assert bench.assigned() == {"a": "d1", "b": "", "c": ""}


async def test_max_update_zero_waits_for_a_person(bench: Bench) -> None:
    await deployed(bench, None)
    bench.want(FLEET, strategy(stage("canary", maxUpdate=0), stage("rest")))
    bench.commit("d2")
    await bench.settle()
    assert set(bench.assigned().values()) == {"d1"}
    await bench.told(Order.PROMOTE)
    await bench.settle()
    assert set(bench.assigned().values()) == {"d2"}


async def test_one_target_can_be_synced_by_hand(bench: Bench) -> None:
    await deployed(bench)
    bench.want(FLEET, strategy(stage("canary", maxUpdate=0), stage("rest")))
    bench.commit("d2")
    await bench.settle()
    await bench.rollouts.let_go(bench.state.desired.targets[target_id("b")])
    await bench.settle()
    assert bench.assigned() == {"a": "d1", "b": "d2", "c": "d1"}


async def test_nothing_is_let_go_on_an_incomplete_picture(bench: Bench) -> None:
    """A later step's rendering comes first: it must not overtake the canary."""
    await deployed(bench)
    bench.rendering.add(target_id("a"))
    bench.commit("d2", "b", "c")
    await bench.settle()
    assert set(bench.assigned().values()) == {"d1"}
    bench.rendering.clear()
    bench.state.revisions[target_id("a")] = "c1"
    bench.state.revisions |= {target_id("b"): "c2", target_id("c"): "c2"}
    await bench.settle()
    assert set(bench.assigned().values()) == {"d1"}, "they were rendered at different commits"
    bench.state.revisions[target_id("a")] = "c2"
    bench.failed.add(target_id("a"))
    await bench.settle()
    assert set(bench.assigned().values()) == {"d1"}, "the canary could not be rendered"
    bench.failed.clear()
    bench.bad.add("d2")
    bench.commit("d2", "a")
    await bench.settle()
    assert bench.assigned() == {"a": "d2", "b": "d1", "c": "d1"}


async def test_what_matches_no_step_is_held_and_says_so(bench: Bench) -> None:
    bench.want({"a": "canary", "b": ""})
    bench.commit("d1")
    await bench.settle()
    assert bench.assigned() == {"a": "d1", "b": ""}
    held = (await bench.section("b")).held
    assert held is not None
    assert "matches no step of the rollout of ApplicationSet 'web'" in held.message


async def test_an_invalid_rollout_holds_its_set(bench: Bench) -> None:
    await deployed(bench)
    bench.want(FLEET, strategy(stage("canary", maxUpdate="many")))
    bench.commit("d2")
    await bench.settle()
    assert set(bench.assigned().values()) == {"d1"}
    held = (await bench.section("a")).held
    assert held is not None
    assert "spec.strategy.rollingSync.steps[0].maxUpdate: 'many'" in held.message
    with pytest.raises(NotReady):
        await bench.told(Order.PROMOTE)


async def test_a_step_soaks(bench: Bench) -> None:
    await deployed(bench, annotations={f"{PREFIX}soak": "10m,0s"})
    bench.commit("d2")
    await bench.settle()
    assert bench.stands() is RolloutState.SOAKING
    assert await bench.rollouts.reconcile("web") == RequeueAfter(60.0), "the lease ends first"
    await bench.wait(300)
    bench.bad.add("d2")
    await bench.settle()
    assert bench.states()["a"] is TargetState.PROGRESSING, "it fell while it soaked"
    bench.bad.clear()
    await bench.settle()
    await bench.wait(540)
    assert bench.assigned()["b"] == "d1", "the soak began anew"
    await bench.wait(60)
    assert set(bench.assigned().values()) == {"d2"}


async def test_promote_ends_the_soak(bench: Bench) -> None:
    await deployed(bench, annotations={f"{PREFIX}soak": "10m"})
    bench.commit("d2")
    await bench.settle()
    assert bench.assigned()["b"] == "d1"
    await bench.told(Order.PROMOTE)
    await bench.settle()
    assert set(bench.assigned().values()) == {"d2"}


async def test_a_failed_canary_stops_the_rollout(bench: Bench) -> None:
    await deployed(bench, annotations=WINDOW)
    bench.bad.add("d2")
    bench.commit("d2")
    await bench.settle()
    await bench.wait(299)
    assert bench.stands() is RolloutState.PROGRESSING
    await bench.wait(1)
    assert bench.stands() is RolloutState.STOPPED
    rollout = bench.rollouts.get("web")
    assert rollout is not None
    assert rollout.standing.reason == "step 1 failed: a/web-a"
    bench.bad.clear()
    await bench.wait(1000)
    assert bench.assigned() == {"a": "d2", "b": "d1", "c": "d1"}, "a stop waits for a person"
    await bench.told(Order.RESUME)
    await bench.settle()
    assert set(bench.assigned().values()) == {"d2"}


async def test_a_failed_step_returns_to_what_it_had(bench: Bench) -> None:
    await deployed(bench, annotations=RETURN)
    bench.bad.add("d2")
    bench.commit("d2")
    await bench.settle()
    await bench.wait(300)
    assert set(bench.assigned().values()) == {"d1"}
    assert bench.stands() is RolloutState.STOPPED
    section = await bench.section("a")
    assert section.ungated
    assert section.held is not None
    assert section.held.reason is Hold.ROLLOUT
    assert "went back to what it had" in section.held.message
    assert bench.rollouts.named() == {"d1", "d2"}
    bench.commit("d3")
    await bench.settle()
    assert set(bench.assigned().values()) == {"d3"}
    assert not (await bench.section("a")).ungated


async def test_the_budget_tolerates_as_many_failures_as_it_says(bench: Bench) -> None:
    bench.want(
        {"a": "canary", "b": "canary", "c": "rest"},
        annotations={f"{PREFIX}max-failures": "50%", **WINDOW},
    )
    bench.commit("d1")
    bench.commit("sick", "a")
    bench.bad.add("sick")
    await bench.settle()
    await bench.wait(300)
    assert bench.assigned() == {"a": "sick", "b": "d1", "c": "d1"}
    assert bench.stands() is RolloutState.DONE


async def test_an_offline_cluster_is_set_aside_and_caught_up(bench: Bench) -> None:
    await deployed(bench)
    await bench.wait(LEASE.total_seconds(), "b")
    bench.commit("d2")
    await bench.settle("b")
    assert bench.assigned() == {"a": "d2", "b": "d1", "c": "d2"}
    assert bench.states()["b"] is TargetState.SET_ASIDE
    assert bench.stands() is RolloutState.DONE
    bench.bad.add("d3")
    bench.commit("d3")
    await bench.settle("b")
    bench.hear("b")
    await bench.settle()
    assert bench.assigned() == {"a": "d3", "b": "d1", "c": "d2"}, "its step is not open"
    bench.bad.clear()
    await bench.settle()
    assert set(bench.assigned().values()) == {"d3"}


async def test_a_canary_that_nobody_has_seen_proves_nothing(bench: Bench) -> None:
    await deployed(bench)
    await bench.wait(LEASE.total_seconds(), "a")
    bench.commit("d2")
    await bench.settle("a")
    assert set(bench.assigned().values()) == {"d1"}
    await bench.told(Order.PROMOTE)
    await bench.settle("a")
    assert bench.assigned() == {"a": "d1", "b": "d2", "c": "d2"}


async def test_a_rollout_can_wait_for_offline_clusters(bench: Bench) -> None:
    await deployed(bench, annotations={f"{PREFIX}offline": "wait"})
    await bench.wait(LEASE.total_seconds(), "a")
    bench.commit("d2")
    await bench.settle("a")
    assert set(bench.assigned().values()) == {"d1"}
    assert bench.states()["a"] is TargetState.WAITING


async def test_a_newer_version_starts_from_the_first_step(bench: Bench) -> None:
    await deployed(bench)
    bench.commit("d2", "a")
    bench.commit("bad", "b", "c")
    bench.bad |= {"bad", "d3"}
    await bench.settle()
    assert bench.assigned() == {"a": "d2", "b": "bad", "c": "bad"}
    bench.commit("d3")
    await bench.settle()
    assert bench.assigned() == {"a": "d3", "b": "bad", "c": "bad"}
    bench.bad.remove("d3")
    await bench.settle()
    assert set(bench.assigned().values()) == {"d3"}


async def test_an_application_that_is_not_automated_is_synced_by_its_rollout(bench: Bench) -> None:
    bench.want(FLEET, automated=False)
    bench.bad.add("d1")
    bench.commit("d1")
    await bench.settle()
    assert (await bench.section("a")).automated
    assert not (await bench.section("a")).prune
    assert not (await bench.section("b")).automated


async def test_a_dependency_goes_first_and_what_waits_for_it_takes_no_room(bench: Bench) -> None:
    bench.want({"a": "rest", "b": "rest"}, strategy(stage("rest", maxUpdate=1)), needs={"a": "b"})
    bench.bad.add("d1")
    bench.commit("d1")
    await bench.settle()
    assert bench.assigned() == {"a": "", "b": "d1"}
    bench.bad.clear()
    await bench.settle()
    assert bench.assigned() == {"a": "d1", "b": "d1"}


async def test_a_pinned_target_takes_no_part(bench: Bench) -> None:
    await deployed(bench)
    bench.state.pins[target_id("a")] = Pin(digest="d1", deployment=1, at=bench.clock.now())
    bench.commit("d2")
    await bench.settle()
    assert bench.assigned() == {"a": "d1", "b": "d2", "c": "d2"}
    del bench.state.pins[target_id("a")]
    await bench.settle()
    assert set(bench.assigned().values()) == {"d2"}


@pytest.mark.parametrize("rounds", range(8))
async def test_a_restart_changes_nothing(bench: Bench, rounds: int) -> None:
    """After any number of turns of the wheel the restarted hub is where it was, and goes on to the same end."""
    await deployed(bench, annotations={f"{PREFIX}soak": "1m"})
    bench.bad.add("d2")
    bench.commit("d2")
    await bench.settle(rounds=rounds)
    before = bench.rollouts.get("web")
    generations = {name: bench.assignments.generation(ClusterName(name)) for name in "abc"}
    await bench.restart()
    assert bench.rollouts.get("web") == before
    await bench.clock.advance(LEASE.total_seconds() / 2)
    await bench.rollouts.reconcile("web")
    assert bench.rollouts.get("web") == before, "agents have not had time to be heard of"
    await bench.dispatch()
    if before and all(m.state is not TargetState.PENDING for m in before.members.values()):
        again = {name: bench.assignments.generation(ClusterName(name)) for name in "abc"}
        assert again == generations
    bench.bad.clear()
    await bench.wait(1)
    await bench.wait(60)
    assert set(bench.assigned().values()) == {"d2"}


async def test_nothing_is_let_go_that_is_not_durable(bench: Bench) -> None:
    await deployed(bench)
    bench.commit("d2")
    bench.store.broken = True
    with pytest.raises(Transient):
        await bench.rollouts.reconcile("web")
    gate = bench.rollouts.gate(bench.state.desired.targets[target_id("a")])
    assert gate is not None
    assert gate.let_go == "d1"
    bench.store.broken = False
    await bench.settle()
    assert set(bench.assigned().values()) == {"d2"}


async def test_pause_and_resume(bench: Bench) -> None:
    await deployed(bench)
    await bench.told(Order.PAUSE, reason="lunch")
    bench.commit("d2")
    await bench.settle()
    assert set(bench.assigned().values()) == {"d1"}
    with pytest.raises(BadInput, match="a rollout that is Paused cannot be told to promote"):
        await bench.told(Order.PROMOTE)
    await bench.restart()
    await bench.settle()
    assert bench.stands() is RolloutState.PAUSED
    await bench.told(Order.RESUME)
    await bench.settle()
    assert set(bench.assigned().values()) == {"d2"}


async def test_abort_goes_no_further_and_can_take_back(bench: Bench) -> None:
    await deployed(bench)
    bench.bad.add("d2")
    bench.commit("d2")
    await bench.settle()
    await bench.told(Order.ABORT)
    bench.bad.clear()
    await bench.settle()
    assert bench.assigned() == {"a": "d2", "b": "d1", "c": "d1"}
    bench.want({**FLEET, "d": "rest"})
    bench.commit("d2", "d")
    await bench.settle()
    assert bench.assigned()["b"] == "d1", "a new cluster takes up no version that was aborted"
    await bench.told(Order.ABORT, take_back=True)
    await bench.settle()
    assert bench.assigned() == {"a": "d1", "b": "d1", "c": "d1", "d": ""}
    await bench.told(Order.RETRY)
    await bench.settle()
    assert set(bench.assigned().values()) == {"d2"}


async def test_a_removed_set_goes_in_reverse_one_at_a_time(bench: Bench) -> None:
    await deployed(bench, strategy(deletionOrder="reverse"))
    bench.want({}, appset=False)
    gone = []
    before = set(bench.state.assigned)
    for _ in range(8):
        await bench.rollouts.reconcile("web")
        await bench.dispatch()
        left = before - set(bench.state.assigned)
        if left:
            gone.append(sorted(id_.cluster for id_ in left))
            before -= left
            await bench.dispatch()
            assert before == set(bench.state.assigned), "the next one waits until it is gone"
        bench.report()
    assert gone == [["b"], ["c"], ["a"]]
    assert bench.rollouts.get("web") is None
    assert await bench.store.load(Kind.ROLLOUTS) == {}


async def test_a_set_without_a_rollout_forgets_it(bench: Bench) -> None:
    await deployed(bench)
    bench.commit("d2")
    bench.state.replace_desired(
        replace(
            bench.state.desired, appsets={"web": ApplicationSet(name="web", namespace="argocd")}
        )
    )
    await bench.settle()
    assert set(bench.assigned().values()) == {"d2"}
    assert bench.rollouts.get("web") is None


async def test_a_set_whose_document_is_away_keeps_its_steps(bench: Bench) -> None:
    await deployed(bench)
    bench.bad.add("d2")
    bench.want(FLEET, appset=False)
    bench.commit("d2")
    await bench.settle()
    assert bench.assigned() == {"a": "d2", "b": "d1", "c": "d1"}
