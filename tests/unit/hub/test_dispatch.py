"""Dispatch: what stands in a cluster's assignment, who may read what, and what a restart keeps."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest

from fleet.errors import Transient
from fleet.model.application import Application, Automated, Destination, Source, SyncPolicy
from fleet.model.assignment import Head, Hold, Section
from fleet.model.cluster import Cluster, default_server
from fleet.model.identity import AppName, ClusterName, TargetId
from fleet.model.project import DEFAULT_PROJECT, OrphanedResources
from fleet.model.report import Health, OperationResult, Ready, Sync, TargetStatus
from fleet.model.target import Edge, Reference, ReferenceKind, Target
from fleet.moves import Candidate, Gate
from fleet.pki.keys import SigningKey
from fleet.store.port import Change, Kind, Store
from fleet.testing.clock import FakeClock
from fleet.testing.store import MemoryArtifactStore, MemoryStore
from fleet.wire.heads import payload_of
from hub.assignments import AssignmentRecords
from hub.dispatch import Dispatcher
from hub.operations import LIFETIME, Operations
from hub.sections import section_for
from hub.state import Desired, Pin, State

ONE, TWO, THREE = ClusterName("one"), ClusterName("two"), ClusterName("three")


def cluster(name: ClusterName) -> Cluster:
    return Cluster(name=name, server=default_server(name))


def target(text: str, *needs: str, **changes: Any) -> Target:
    id_ = TargetId.parse(text)
    application = Application(
        name=id_.app,
        namespace="argocd",
        project="default",
        sources=(Source(repo_url="https://git.example.com/x.git"),),
        destination=Destination(name=id_.cluster),
        sync_policy=SyncPolicy(automated=Automated(prune=True)),
    )
    edges = tuple(
        Edge(
            reference=Reference(kind=ReferenceKind.CLUSTER, name=need, text=f"cluster/{need}"),
            targets=(TargetId.parse(need),),
        )
        for need in needs
    )
    return replace(Target(id=id_, application=application, edges=edges), **changes)


def good(name: str, digest: str) -> TargetStatus:
    return TargetStatus(
        target=name,
        sync=Sync.SYNCED,
        health=Health.HEALTHY,
        assigned=digest,
        applied=digest,
        ready=Ready(ready=True),
    )


class GatedStore(MemoryStore):
    """A store whose commits can be made to wait."""

    gate: asyncio.Event | None = None

    async def commit(self, *changes: Change) -> None:
        if self.gate is not None:
            await self.gate.wait()
        await super().commit(*changes)


@dataclass
class Bench:
    """A dispatcher over facts that a test sets."""

    store: GatedStore = field(default_factory=GatedStore)
    artifacts: MemoryArtifactStore = field(default_factory=MemoryArtifactStore)
    key: SigningKey = field(default_factory=SigningKey.generate)
    removing: set[str] = field(default_factory=set)
    assigned: list[frozenset[TargetId]] = field(default_factory=list)
    turned: list[frozenset[TargetId]] = field(default_factory=list)
    gates: dict[TargetId, Gate] = field(default_factory=dict)
    kept: set[TargetId] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        self.state = State()
        self.operations = Operations(
            store=self.store, clock=FakeClock(), changed=lambda _cluster: None
        )
        self.assignments = AssignmentRecords(
            store=self.store, artifacts=self.artifacts, state=self.state
        )
        self.dispatcher = Dispatcher(
            assignments=self.assignments,
            state=self.state,
            operations=self.operations,
            hub_id="hub",
            epoch=1,
            keys=lambda: [self.key],
            cluster_uid=lambda name: f"uid-{name}",
            removing=lambda name: name in self.removing,
            assigned=self.assigned.append,
            turned=self.turned.append,
            approval_used=self.used,
            gate=lambda target: self.gates.get(target.id),
            keeps=lambda id_: id_ in self.kept,
        )

    async def used(self, subject: str) -> None:
        del self.state.approvals[subject]

    def want(
        self,
        *targets: Target,
        clusters: tuple[ClusterName, ...] = (ONE, TWO),
        complete: bool = True,
    ) -> None:
        self.state.replace_desired(
            Desired(
                clusters={name: cluster(name) for name in clusters},
                detached=frozenset({ONE, TWO} - set(clusters)) if complete else frozenset(),
                projects={"default": DEFAULT_PROJECT},
                applications={item.id.app: item.application for item in targets},
                targets={item.id: item for item in targets},
                evaluated=True,
            )
        )

    def rendered(self, **digests: str) -> None:
        for id_ in self.state.desired.targets:
            if id_.app in digests:
                digest = digests[id_.app]
                self.state.candidates[id_] = Candidate(digest=digest, kinds={"/ConfigMap": 10})

    def head(self, name: ClusterName) -> Head:
        current = self.assignments.current(name)
        assert current is not None
        return msgspec.json.decode(payload_of(current.signed), type=Head)

    async def sections(self, name: ClusterName) -> dict[str, Section]:
        found = {}
        for ref in self.head(name).sections:
            data = await self.assignments.section(name, ref.digest)  # type: ignore[arg-type]  # a digest
            assert data is not None
            found[ref.target] = msgspec.json.decode(data, type=Section)
        return found

    async def dispatch(self, *names: ClusterName) -> None:
        for name in names or (ONE, TWO):
            await self.dispatcher.reconcile(name)


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def test_a_target_gets_its_section_and_nothing_else(bench: Bench) -> None:
    bench.want(target("one/web"), target("two/db"))
    bench.rendered(web="d1", db="d2")
    await bench.dispatch()
    sections = await bench.sections(ONE)
    assert list(sections) == ["web"]
    assert sections["web"].artifact == "d1"
    assert sections["web"].prune
    assert not sections["web"].self_heal


async def test_nothing_changed_makes_no_generation(bench: Bench) -> None:
    bench.want(target("one/web"))
    bench.rendered(web="d1")
    await bench.dispatch(ONE)
    await bench.dispatch(ONE)
    assert bench.head(ONE).generation == 1


async def test_a_section_that_nothing_is_new_of_is_not_written_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []

    def noted(wanted: Target, *rest: Any) -> Section:
        written.append(wanted.id.app)
        return section_for(wanted, *rest)

    monkeypatch.setattr("hub.sections.section_for", noted)
    web, db = target("one/web"), target("one/db")
    bench.want(web, db)
    bench.rendered(web="d1", db="d1")
    await bench.dispatch(ONE)
    assert sorted(written) == ["db", "web"]
    written.clear()
    bench.want(web, db)
    bench.rendered(web="d1", db="d2")
    await bench.dispatch(ONE)
    assert written == ["db"]
    sections = await bench.sections(ONE)
    assert {name: section.artifact for name, section in sections.items()} == {
        "web": "d1",
        "db": "d2",
    }
    written.clear()
    other = replace(DEFAULT_PROJECT, orphaned=OrphanedResources())
    bench.state.desired = replace(bench.state.desired, projects={"default": other})
    await bench.dispatch(ONE)
    assert sorted(written) == ["db", "web"]


async def test_a_section_whose_commit_failed_is_written_again(bench: Bench) -> None:
    bench.want(target("one/web"))
    bench.rendered(web="d1")
    bench.store.fail_next()
    with pytest.raises(Transient):
        await bench.dispatch(ONE)
    await bench.dispatch(ONE)
    assert (await bench.sections(ONE))["web"].artifact == "d1"
    bench.rendered(web="d2")
    bench.store.fail_next()
    with pytest.raises(Transient):
        await bench.dispatch(ONE)
    await bench.dispatch(ONE)
    assert (await bench.sections(ONE))["web"].artifact == "d2"
    (ref,) = bench.head(ONE).sections
    assert await bench.store.get(Kind.SECTIONS, ref.digest), "it outlives a restart"


async def test_a_section_is_readable_by_its_own_cluster_only(bench: Bench) -> None:
    data = b"{}"
    digest = await bench.artifacts.put(data)
    bench.want(target("one/web"), target("two/db"))
    bench.rendered(web=digest, db="other")
    await bench.dispatch()
    assert await bench.assignments.artifact(ONE, digest) == data
    assert await bench.assignments.artifact(TWO, digest) is None
    (ref,) = bench.head(ONE).sections
    assert await bench.assignments.section(TWO, ref.digest) is None  # type: ignore[arg-type]  # a digest


async def test_old_content_stays_readable_for_two_generations(bench: Bench) -> None:
    digests = [await bench.artifacts.put(f"{n}".encode()) for n in range(4)]
    bench.want(target("one/web"))
    for digest in digests:
        bench.rendered(web=digest)
        await bench.dispatch(ONE)
    readable = [await bench.assignments.artifact(ONE, digest) for digest in digests]
    assert readable == [None, b"1", b"2", b"3"]


async def test_a_dependency_on_another_cluster_gates_a_change(bench: Bench) -> None:
    bench.want(target("one/web", "two/db"), target("two/db"))
    bench.rendered(web="w1", db="d1")
    await bench.dispatch()
    section = (await bench.sections(ONE))["web"]
    assert section.artifact == ""
    assert section.held is not None
    assert section.held.reason is Hold.DEPENDENCY
    bench.state.statuses[TWO] = {"db": good("db", "d1")}
    await bench.dispatch()
    assert (await bench.sections(ONE))["web"].artifact == "w1"
    bench.state.statuses[TWO] = {"db": TargetStatus(target="db", assigned="d1")}
    await bench.dispatch()
    assert (await bench.sections(ONE))["web"].artifact == "w1", "a bad dependency reverts nothing"


async def test_a_chain_over_clusters_moves_in_order(bench: Bench) -> None:
    bench.want(target("one/a"), target("two/b", "one/a"), target("one/c", "two/b"))
    bench.rendered(a="a1", b="b1", c="c1")
    await bench.dispatch()
    bench.state.statuses = {ONE: {"a": good("a", "a1")}, TWO: {"b": good("b", "")}}
    await bench.dispatch(TWO, ONE)
    assert (await bench.sections(TWO))["b"].artifact == "b1"
    assert (await bench.sections(ONE))["c"].artifact == "", "b is not ready at what it was given"
    bench.state.statuses[TWO] = {"b": good("b", "b1")}
    await bench.dispatch(ONE)
    assert (await bench.sections(ONE))["c"].artifact == "c1"


async def test_what_ceases_to_wait_by_itself_is_told_to_what_waits_for_it(bench: Bench) -> None:
    """It is assigned nothing else then: its new artifact was taken back."""
    wanted = (target("one/web", "two/api"), target("two/api", "three/db"), target("three/db"))
    bench.want(*wanted, clusters=(ONE, TWO, THREE))
    bench.rendered(web="d1", api="d1", db="d1")
    for name, app in ((THREE, "db"), (TWO, "api"), (ONE, "web")):
        await bench.dispatch(name)
        bench.state.statuses[name] = {app: good(app, "d1")}
    bench.rendered(web="d2", api="d2", db="d2")
    await bench.dispatch(THREE, TWO, ONE)
    assert bench.turned == [{TargetId.parse("two/api")}, {TargetId.parse("one/web")}]
    bench.rendered(web="d2", api="d1", db="d2")
    bench.turned.clear()
    bench.assigned.clear()
    await bench.dispatch(TWO, ONE)
    assert bench.assigned == [{TargetId.parse("one/web")}]
    assert bench.turned == [{TargetId.parse("two/api")}, {TargetId.parse("one/web")}]
    await bench.dispatch(THREE, TWO, ONE)
    assert len(bench.turned) == 2


async def test_a_restart_keeps_everything_even_before_rendering(bench: Bench) -> None:
    bench.want(target("one/web"))
    bench.rendered(web="d1")
    await bench.dispatch(ONE)
    before = bench.assignments.current(ONE)
    bench.start()
    await bench.assignments.restore()
    assert bench.assignments.current(ONE) == before
    bench.want(target("one/web"))
    await bench.dispatch(ONE)
    assert bench.assignments.current(ONE) == before, "not rendered yet is no reason to change"


async def test_losing_most_objects_is_held_until_it_is_approved(bench: Bench) -> None:
    bench.want(target("one/web"))
    bench.rendered(web="d1")
    await bench.dispatch(ONE)
    id_ = TargetId.parse("one/web")
    bench.state.candidates[id_] = Candidate(digest="d2", kinds={"/ConfigMap": 2})
    await bench.dispatch(ONE)
    section = (await bench.sections(ONE))["web"]
    assert section.artifact == "d1"
    assert section.held is not None
    assert section.held.reason is Hold.BUDGET
    hold = bench.state.holds["app/one/web"]
    bench.state.approvals[hold.subject] = hold.digest
    await bench.dispatch(ONE)
    assert (await bench.sections(ONE))["web"].artifact == "d2"
    assert bench.state.holds == {}


async def test_a_detached_cluster_is_frozen(bench: Bench) -> None:
    bench.want(target("one/web"))
    bench.rendered(web="d1")
    await bench.dispatch(ONE)
    before = bench.head(ONE)
    bench.want(clusters=(TWO,))
    await bench.dispatch(ONE)
    assert bench.head(ONE).detached
    assert bench.head(ONE).sections == before.sections


async def test_removing_a_cluster_takes_everything_away(bench: Bench) -> None:
    bench.want(target("one/web"))
    bench.rendered(web="d1")
    await bench.dispatch(ONE)
    bench.want(clusters=(TWO,))
    bench.removing = {"one"}
    await bench.dispatch(ONE)
    assert bench.head(ONE).sections == ()
    assert not bench.head(ONE).detached


async def test_a_refused_application_keeps_its_section(bench: Bench) -> None:
    bench.want(target("one/web"))
    bench.rendered(web="d1")
    await bench.dispatch(ONE)
    bench.want()
    bench.state.desired = replace(bench.state.desired, refused={AppName("web"): "no such cluster"})
    await bench.dispatch(ONE)
    assert (await bench.sections(ONE))["web"].artifact == "d1"


async def test_a_dependency_leaves_after_its_dependent_on_another_cluster(bench: Bench) -> None:
    bench.want(target("one/web", "two/db"), target("two/db"))
    bench.rendered(web="w1", db="d1")
    bench.state.statuses = {TWO: {"db": good("db", "d1")}}
    await bench.dispatch()
    bench.state.statuses = {TWO: {"db": good("db", "d1")}, ONE: {"web": good("web", "w1")}}
    bench.want()
    await bench.dispatch(TWO, ONE)
    assert list(await bench.sections(TWO)) == ["db"], "web is still there"
    await bench.dispatch(TWO)
    assert list(await bench.sections(TWO)) == ["db"], "web left the assignment but is not gone"
    bench.state.statuses[ONE] = {}
    await bench.dispatch(TWO)
    assert bench.head(TWO).sections == ()


async def test_what_moved_to_another_cluster_is_released_until_it_is_let_go(bench: Bench) -> None:
    bench.want(target("one/web"))
    bench.rendered(web="d1")
    await bench.dispatch()
    bench.state.statuses = {ONE: {"web": good("web", "d1")}}
    bench.want(target("two/web"))
    bench.rendered(web="d1")
    await bench.dispatch()
    assert bench.head(ONE).released == ("web",)
    assert bench.head(ONE).sections == ()
    bench.state.statuses = {ONE: {}}
    await bench.dispatch()
    assert bench.head(ONE).released == ()


async def test_a_parked_poll_wakes_when_its_cluster_moves(bench: Bench) -> None:
    bench.want(target("one/web"))
    bench.rendered(web="d1")
    await bench.dispatch(ONE)
    current = bench.assignments.current(ONE)
    assert current is not None
    poll = asyncio.create_task(bench.assignments.changed(ONE, current.etag, 5.0))
    await asyncio.sleep(0)
    bench.rendered(web="d2")
    await bench.dispatch(ONE)
    news = await poll
    assert news is not None
    assert news.etag != current.etag


async def test_an_operation_rides_until_it_is_reported(bench: Bench) -> None:
    bench.want(target("one/web"))
    bench.rendered(web="d1")
    operation = await bench.operations.ask(TargetId.parse("one/web"), "sync", {"prune": True})
    again = await bench.operations.ask(TargetId.parse("one/web"), "sync", {"prune": True})
    assert again == operation, "asking twice is asking once"
    await bench.dispatch(ONE)
    assert bench.head(ONE).operations == (operation,)
    done = msgspec.structs.replace(
        good("web", "d1"), operation={"id": operation.id, "phase": "Succeeded"}
    )
    done = msgspec.convert(msgspec.to_builtins(done), TargetStatus)
    await bench.operations.settle(ONE, {"web": done})
    await bench.dispatch(ONE)
    assert bench.head(ONE).operations == ()


async def test_an_unbound_cluster_has_no_assignment(bench: Bench) -> None:
    bench.want(target("one/web"))
    bench.dispatcher.cluster_uid = lambda _name: ""
    await bench.dispatch(ONE)
    assert bench.assignments.current(ONE) is None


async def test_a_cluster_that_comes_again_goes_on_counting(bench: Bench) -> None:
    bench.want(target("one/web"))
    for digest in ("d1", "d2", "d3"):
        bench.rendered(web=digest)
        await bench.dispatch(ONE)
    assert bench.head(ONE).generation == 3
    await bench.assignments.forget(ONE)
    bench.start()
    await bench.assignments.restore()
    assert bench.assignments.current(ONE) is None
    bench.want(target("one/web"))
    bench.rendered(web="d3")
    await bench.dispatch(ONE)
    assert bench.head(ONE).generation == 4


async def test_a_removal_that_is_done_twice_counts_on_all_the_same(bench: Bench) -> None:
    """By two people at once, and by a hub that was stopped in the middle of it."""
    bench.want(target("one/web", "two/db"), target("two/db"))
    bench.rendered(web="d1", db="d2")
    await bench.dispatch(ONE)
    bench.store.gate = asyncio.Event()
    removals = [asyncio.create_task(bench.assignments.forget(ONE)) for _ in range(2)]
    await asyncio.sleep(0)
    bench.store.gate.set()
    await asyncio.gather(*removals)
    assert await bench.assignments.past_generation(ONE) == 1
    bench.start()
    await bench.assignments.restore()
    await bench.assignments.forget(ONE)
    assert await bench.assignments.past_generation(ONE) == 1


async def test_what_is_still_applied_stays_readable_and_a_report_alone_opens_nothing(
    bench: Bench,
) -> None:
    mine, other = await bench.artifacts.put(b"mine"), await bench.artifacts.put(b"other")
    bench.want(target("one/web"), target("two/db"))
    bench.rendered(web=mine, db=other)
    await bench.dispatch()
    for applied in (mine, other):
        bench.state.statuses[ONE] = {"web": good("web", applied)}
        for digest in "abcd":
            bench.rendered(web=digest)
            await bench.dispatch(ONE)
        assert await bench.assignments.artifact(ONE, mine) == (b"mine" if applied == mine else None)
        assert await bench.assignments.artifact(ONE, other) is None
    assert await bench.assignments.artifact(TWO, other) == b"other"


async def test_an_approval_serves_once(bench: Bench) -> None:
    bench.want(target("one/web"))
    id_ = TargetId.parse("one/web")
    for expected in (Hold.BUDGET, Hold.BUDGET):
        bench.rendered(web="d1")
        await bench.dispatch(ONE)
        bench.state.candidates[id_] = Candidate(digest="d2", kinds={"/ConfigMap": 2})
        await bench.dispatch(ONE)
        held = (await bench.sections(ONE))["web"].held
        assert held is not None
        assert held.reason is expected
        hold = bench.state.holds["app/one/web"]
        bench.state.approvals[hold.subject] = hold.digest
        await bench.dispatch(ONE)
        assert (await bench.sections(ONE))["web"].artifact == "d2"
        assert bench.state.approvals == {}


async def test_a_cluster_that_comes_again_gates_its_first_deployment(bench: Bench) -> None:
    bench.want(target("one/web", "two/db"), target("two/db"))
    bench.rendered(web="w1", db="d1")
    await bench.dispatch()
    bench.state.statuses[TWO] = {"db": good("db", "d1")}
    await bench.dispatch()
    assert (await bench.sections(ONE))["web"].artifact == "w1"
    await bench.assignments.forget(ONE)
    bench.state.statuses[TWO] = {}
    await bench.dispatch()
    section = (await bench.sections(ONE))["web"]
    assert section.artifact == ""
    assert section.held is not None
    assert section.held.reason is Hold.DEPENDENCY


async def test_a_restart_lets_no_dependency_leave_before_its_dependents(bench: Bench) -> None:
    bench.want(target("one/web", "two/db"), target("two/db"))
    bench.rendered(web="w1", db="d1")
    statuses = {TWO: {"db": good("db", "d1")}, ONE: {"web": good("web", "w1")}}
    bench.state.statuses = dict(statuses)
    await bench.dispatch()
    bench.want()
    await bench.dispatch(ONE)
    for _ in range(2):
        bench.start()
        bench.state.statuses = dict(statuses)
        await bench.assignments.restore()
        bench.want()
        await bench.dispatch()
        assert bench.head(ONE).sections == ()
        assert list(await bench.sections(TWO)) == ["db"], "web is not reported gone yet"
    bench.state.statuses[ONE] = {}
    await bench.dispatch()
    assert bench.head(TWO).sections == ()


async def test_a_cluster_in_a_repository_that_is_unread_is_not_called_detached(
    bench: Bench,
) -> None:
    bench.want(target("one/web"))
    bench.rendered(web="d1")
    await bench.dispatch(ONE)
    before = bench.head(ONE)
    bench.want(clusters=(TWO,), complete=False)
    await bench.dispatch(ONE)
    assert bench.head(ONE) == before


async def test_a_cluster_that_joins_before_it_was_evaluated_loses_nothing(bench: Bench) -> None:
    bench.want(clusters=(TWO,), complete=False)
    await bench.dispatch(ONE)
    assert bench.head(ONE).sections == ()
    assert bench.head(ONE).detached


async def test_what_is_being_committed_is_in_use(bench: Bench) -> None:
    bench.want(target("one/web"))
    bench.rendered(web="d1")
    seen: list[frozenset[str]] = []
    commit = bench.store.commit

    async def spying(*changes: Change) -> None:
        seen.append(bench.assignments.named())
        await commit(*changes)

    bench.assignments.store = cast("Store", SimpleNamespace(commit=spying, get=bench.store.get))
    await bench.dispatch(ONE)
    assert "d1" in seen[0]
    assert seen[0] == bench.assignments.named()


class Busy(MemoryStore):
    """A store whose commits let others go on meanwhile."""

    async def commit(self, *changes: Change) -> None:
        await asyncio.sleep(0)
        await super().commit(*changes)


async def test_two_reports_may_settle_the_same_operation(bench: Bench) -> None:
    bench.operations.store = Busy()
    operation = await bench.operations.ask(TargetId.parse("one/web"), "sync", {})
    done = msgspec.structs.replace(
        good("web", "d1"), operation=OperationResult(id=operation.id, phase="Succeeded")
    )
    await asyncio.gather(*(bench.operations.settle(ONE, {"web": done}) for _ in range(2)))
    assert bench.operations.open_for(ONE) == ()


async def test_operations_that_nobody_takes_up_do_not_pile_up(bench: Bench) -> None:
    clock = bench.operations.clock
    assert isinstance(clock, FakeClock)
    for _ in range(3):
        await bench.operations.ask(TargetId.parse("one/web"), "sync", {})
        await clock.advance(LIFETIME.total_seconds() + 1)
    assert len(await bench.store.load(Kind.OPERATIONS)) == 1


async def test_absence_counts_only_once_every_row_was_there(bench: Bench) -> None:
    """A hub that lost its state while a source is down does not know what it forgets."""
    bench.want(target("one/web"))
    bench.rendered(web="d1")
    bench.state.desired = replace(bench.state.desired, certain=False)
    await bench.dispatch(ONE)
    assert bench.head(ONE).additive
    bench.state.desired = replace(bench.state.desired, certain=True)
    await bench.dispatch(ONE)
    assert not bench.head(ONE).additive
    bench.state.desired = replace(bench.state.desired, certain=False)
    await bench.dispatch(ONE)
    assert not bench.head(ONE).additive, "the last good rows stand for what is missing now"


@pytest.mark.parametrize(
    ("held", "expected"),
    [
        pytest.param("", ("d0", Hold.PINNED, {"/ConfigMap": 7}), id="pinned"),
        pytest.param(
            "its project permits nothing here",
            ("d1", Hold.UNSUPPORTED, {"/ConfigMap": 10}),
            id="what-may-not-be-here-does-not-move",
        ),
    ],
)
async def test_a_pin_moves_a_target_that_may_be_there(
    bench: Bench, held: str, expected: tuple[str, Hold, dict[str, int]]
) -> None:
    web = target("one/web")
    bench.want(web)
    bench.rendered(web="d1")
    await bench.dispatch(ONE)
    bench.want(replace(web, held=held))
    bench.state.pins[web.id] = Pin(
        digest="d0", deployment=1, at=datetime.now(UTC), kinds={"/ConfigMap": 7}
    )
    await bench.dispatch(ONE)
    section = (await bench.sections(ONE))["web"]
    assert section.held is not None
    assert (section.artifact, section.held.reason, bench.state.kinds[web.id]) == expected


async def test_nothing_waits_for_approval_of_a_target_that_is_pinned(bench: Bench) -> None:
    """Until git decides about it again; by then it may be about something else."""
    web = target("one/web")
    bench.want(web)
    bench.rendered(web="d1")
    await bench.dispatch(ONE)
    bench.state.candidates[web.id] = Candidate(digest="d2", kinds={"/ConfigMap": 2})
    await bench.dispatch(ONE)
    assert bench.state.holds.keys() == {"app/one/web"}
    bench.state.pins[web.id] = Pin(
        digest="d1", deployment=1, at=datetime.now(UTC), kinds={"/ConfigMap": 10}
    )
    await bench.dispatch(ONE)
    assert bench.state.holds == {}
    del bench.state.pins[web.id]
    await bench.dispatch(ONE)
    assert bench.state.holds.keys() == {"app/one/web"}


async def test_a_rollout_brings_nothing_back_that_may_not_be_there(bench: Bench) -> None:
    web = target("one/web")
    bench.want(web)
    bench.rendered(web="d1")
    await bench.dispatch(ONE)
    bench.want(replace(web, held="its project permits nothing here"))
    bench.gates[web.id] = Gate(message="it failed", returned="d0", kinds={"/ConfigMap": 7})
    await bench.dispatch(ONE)
    section = (await bench.sections(ONE))["web"]
    assert (section.artifact, bench.state.kinds[web.id]) == ("d1", {"/ConfigMap": 10})


async def test_a_commit_that_a_removal_overtakes_leaves_nothing(bench: Bench) -> None:
    """The removal comes by the API while a worker has the cluster's key."""
    bench.want(target("one/web", "two/db"), target("two/db"))
    bench.rendered(web="d1", db="d2")
    await bench.dispatch()
    bench.rendered(web="d1", db="d3")
    bench.store.gate = asyncio.Event()
    committing = asyncio.create_task(bench.dispatch(TWO))
    await asyncio.sleep(0)
    forgetting = asyncio.create_task(bench.assignments.forget(TWO))
    waiting = asyncio.create_task(bench.dispatch(TWO))
    await asyncio.sleep(0)
    bench.store.gate.set()
    await asyncio.gather(committing, forgetting, waiting)
    assert bench.assignments.get(TWO) is None
    assert not [id_ for id_ in bench.state.assigned if id_.cluster == TWO]
    assert TWO not in await bench.store.load(Kind.ASSIGNMENTS)
    assert await bench.assignments.past_generation(TWO) == 2


async def test_who_needs_a_target_is_known_as_long_as_it_is_assigned(bench: Bench) -> None:
    web, db = TargetId.parse("one/web"), TargetId.parse("two/db")
    bench.want(target("one/web", "two/db"), target("two/db"))
    bench.rendered(web="d1", db="d2")
    bench.state.statuses[TWO] = {"db": good("db", "d2")}
    await bench.dispatch(TWO, ONE)
    assert bench.assignments.users_elsewhere(db) == [web]
    bench.start()
    await bench.assignments.restore()
    assert bench.assignments.users_elsewhere(db) == [web]
    bench.want(target("one/web"), target("two/db"))
    bench.rendered(web="d1", db="d2")
    await bench.dispatch(ONE)
    assert bench.assignments.users_elsewhere(db) == []
    bench.want(target("one/web", "two/db"), target("two/db"))
    await bench.dispatch(ONE)
    await bench.assignments.forget(ONE)
    assert bench.assignments.users_elsewhere(db) == []
