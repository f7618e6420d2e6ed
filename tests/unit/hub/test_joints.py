"""When a cluster is dispatched after an evaluation: with the last rendering, or a little later without it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from fleet.model.application import Application, Destination, Source
from fleet.model.cluster import Cluster, default_server
from fleet.model.identity import AppName, ClusterName, TargetId
from fleet.model.project import AppProject
from fleet.model.report import TargetStatus
from fleet.model.target import Edge, Reference, ReferenceKind, Target
from fleet.moves import Candidate
from fleet.runtime.clock import Clock
from fleet.testing.clock import FakeClock
from fleet.testing.store import MemoryStore
from hub.joints import EVERYTHING, RENDERING, Joints, Queues
from hub.poller import Poller
from hub.records import ClusterRecord, Records
from hub.state import Desired, Pin, State

ONE = ClusterName("one")
WEB, DB = (TargetId(ONE, AppName(name)) for name in ("web", "db"))


class NoPoller:
    def want(self, _repositories: object) -> None:
        """Nobody is polled here."""


class Bench:
    """Joints over queues that a fake clock drives."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.queues = Queues.make(cast("Clock", self.clock))
        self.state = State()
        self.agents = [ONE]
        self.looked: list[str] = []
        self.taken: set[TargetId] = set()
        self.failing: set[TargetId] = set()
        self.touched: set[str] = set()
        self.records = Records(MemoryStore())
        self.joints = Joints(
            state=self.state,
            queues=self.queues,
            records=self.records,
            poller=cast("Poller", NoPoller()),
            fleet_repositories=frozenset(),
            agents=lambda: self.agents,
            look_at_rollouts=lambda: self.looked.append("all"),
            look_at_rollouts_of=lambda ids: self.looked.extend(str(id_) for id_ in ids),
            handed_out=lambda _moved: None,
            remembered=tuple,
            has_failed=lambda id_: id_ in self.failing,
            failing=lambda: self.failing,
            touched=lambda place: place.path in self.touched,
            clock=cast("Clock", self.clock),
        )

    def evaluated(self, *ids: TargetId) -> None:
        self.state.desired = Desired(targets={id_: cast("Target", None) for id_ in ids})
        self.joints.evaluated(frozenset())

    async def settled(self, id_: TargetId) -> None:
        """A worker takes a target out of the queue and looks at it."""
        while id_ not in self.taken:
            self.taken.add(await self.queues.targets.get())
        self.joints.settled(id_)
        self.taken.remove(id_)
        self.queues.targets.done(id_)

    async def is_due(self) -> bool:
        """Whether a dispatch of the cluster is due now."""
        waiting = asyncio.create_task(self.queues.clusters.get())
        for _ in range(5):
            await asyncio.sleep(0)
        if not waiting.done():
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
            return False
        self.queues.clusters.done(waiting.result())
        return True


async def test_the_last_rendering_dispatches_at_once() -> None:
    bench = Bench()
    bench.evaluated(WEB, DB)
    bench.joints.rendered(WEB)
    await bench.settled(WEB)
    assert not await bench.is_due()
    await bench.settled(DB)
    assert await bench.is_due()


async def test_a_rendering_that_hangs_holds_the_others_only_for_a_moment() -> None:
    bench = Bench()
    bench.evaluated(WEB, DB)
    bench.joints.rendered(WEB)
    await bench.settled(WEB)
    await bench.clock.advance(RENDERING)
    assert await bench.is_due()
    bench.joints.rendered(WEB)
    assert not await bench.is_due()
    await bench.clock.advance(RENDERING)
    assert await bench.is_due()


async def test_a_cluster_without_targets_waits_for_nothing() -> None:
    bench = Bench()
    bench.evaluated()
    await bench.clock.advance(0.02)
    assert await bench.is_due()


async def test_a_removal_that_a_stop_cut_short_is_finished() -> None:
    bench = Bench()
    await bench.records.put(ONE, ClusterRecord(removing=True))
    bench.agents = []  # its identity went first
    bench.evaluated()
    await bench.clock.advance(0.02)
    assert await bench.is_due()


async def test_every_news_of_a_target_makes_its_rollout_look() -> None:
    bench = Bench()
    target = cast("Target", SimpleNamespace(id=WEB, edges=()))
    bench.state.replace_desired(Desired(targets={WEB: target}))
    happenings: tuple[Callable[[], object], ...] = (
        lambda: bench.joints.rendered(WEB),
        lambda: bench.joints.settled(WEB),
        lambda: bench.joints.assigned(frozenset({WEB})),
        lambda: bench.joints.status_changed(ONE, frozenset({WEB})),
        lambda: bench.joints.came_back(ONE),
    )
    for happens in happenings:
        happens()
        assert bench.looked == ["one/web"]
        bench.looked.clear()
    bench.joints.evaluated(frozenset())
    assert bench.looked == ["all"]


async def test_a_target_that_is_to_be_looked_at_again_is_still_rendering() -> None:
    """What was begun before an evaluation says nothing about what that evaluation has seen."""
    bench = Bench()
    bench.evaluated(WEB)
    bench.taken.add(await bench.queues.targets.get())
    bench.joints.evaluated(frozenset())
    await bench.settled(WEB)
    assert bench.joints.is_rendering(WEB)
    await bench.settled(WEB)
    assert not bench.joints.is_rendering(WEB)


async def test_a_pin_is_looked_at_when_its_target_moved() -> None:
    """It may have left: nothing else would say so before the next evaluation."""
    bench = Bench()
    bench.state.pins[WEB] = cast("Pin", None)
    bench.joints.assigned(frozenset((WEB, DB)))
    assert [bench.queues.history.is_due(id_) for id_ in (WEB, DB)] == [True, False]


def wanted(text: str, *, path: str = "", repo: str = "apps") -> Target:
    id_ = TargetId.parse(text)
    source = Source(repo_url=f"https://git.example.com/{repo}.git", path=path)
    application = Application(
        name=id_.app,
        namespace="argocd",
        project="default",
        sources=(source,),
        destination=Destination(name=id_.cluster),
    )
    return Target(id=id_, application=application)


class Fleet(Bench):
    """Joints after an evaluation that everything came of: every target rendered, every cluster dispatched."""

    def __init__(self, *targets: Target, management: str = "") -> None:
        super().__init__()
        self.management = management
        self.evaluate(*targets)
        for target in targets:
            self.state.candidates[target.id] = Candidate(digest="d")
        self.forget()

    def evaluate(self, *targets: Target, **others: Any) -> None:
        names = sorted({target.id.cluster for target in targets})
        desired = Desired(
            clusters={
                name: Cluster(
                    name=name, server=default_server(name), management=name == self.management
                )
                for name in names
            },
            applications={target.id.app: target.application for target in targets},
            targets={target.id: target for target in targets},
            evaluated=True,
        )
        self.agents = names
        self.state.replace_desired(replace(desired, **others))
        self.joints.evaluated(frozenset())

    def forget(self) -> None:
        """What was asked for is done."""
        for id_ in list(self.state.desired.targets):
            self.joints.settled(id_)
        self.queues = self.joints.queues = Queues.make(cast("Clock", self.clock))

    async def looked_at(self) -> list[str]:
        found = []
        while len(self.queues.targets):
            found.append(str(await self.queues.targets.get()))
        return found

    async def dispatched(self) -> set[str]:
        await self.clock.advance(RENDERING)
        found = set()
        while len(self.queues.clusters):
            found.add(str(await self.queues.clusters.get()))
        return found


WEB_ONE, DB_ONE = wanted("one/web", path="web"), wanted("one/db", path="db")
API_TWO, OWN = wanted("two/api", path="web"), wanted("hub/own", path="own", repo="own")


async def test_an_evaluation_without_news_looks_at_nothing() -> None:
    fleet = Fleet(WEB_ONE, DB_ONE, API_TWO)
    fleet.evaluate(WEB_ONE, DB_ONE, API_TWO)
    assert await fleet.looked_at() == []
    assert await fleet.dispatched() == set()


async def test_what_is_new_is_looked_at_and_its_cluster_dispatched() -> None:
    fleet = Fleet(WEB_ONE, DB_ONE, API_TWO)
    fleet.evaluate(WEB_ONE, wanted("one/db", path="other"), API_TWO)
    assert await fleet.looked_at() == ["one/db"]
    assert await fleet.dispatched() == {"one"}


async def test_what_left_is_forgotten_and_its_cluster_dispatched_until_it_is_gone() -> None:
    fleet = Fleet(WEB_ONE, DB_ONE, API_TWO)
    fleet.state.assigned[DB_ONE.id] = "d"
    for _ in range(2):
        fleet.evaluate(WEB_ONE, API_TWO)
        assert await fleet.looked_at() == ["one/db"]
        assert await fleet.dispatched() == {"one"}
        fleet.forget()


async def test_what_went_everywhere_concerns_a_cluster_that_it_had_moved_away_from() -> None:
    """Its agent may still have it, and was told to leave it alone because it was somewhere else."""
    fleet = Fleet(WEB_ONE, wanted("two/db"))
    fleet.state.statuses[ONE] = {"db": cast("TargetStatus", None)}
    fleet.evaluate(WEB_ONE)
    assert await fleet.dispatched() >= {"one"}


async def test_a_cluster_is_dispatched_when_its_agent_let_go_of_something() -> None:
    fleet = Fleet(WEB_ONE)
    fleet.state.statuses[ONE] = {"web": cast("TargetStatus", object())}
    fleet.joints.status_changed(ONE, frozenset({WEB}))
    assert await fleet.dispatched() == set()
    fleet.joints.status_changed(ONE, frozenset({WEB, DB}))
    assert await fleet.dispatched() == {"one"}


async def test_what_waits_for_a_target_is_dispatched_when_that_waits_no_more() -> None:
    edge = Edge(
        reference=Reference(kind=ReferenceKind.CLUSTER, name="db", text="cluster/one/db"),
        targets=(DB,),
    )
    fleet = Fleet(DB_ONE, replace(API_TWO, edges=(edge,)))
    fleet.joints.turned(frozenset({DB}))
    assert await fleet.dispatched() == {"two"}


async def test_readers_of_a_repository_that_moved_are_looked_at_the_touched_first() -> None:
    fleet = Fleet(WEB_ONE, DB_ONE, API_TWO, OWN)
    fleet.touched = {"db"}
    fleet.joints.moved("https://git.example.com/apps")
    fleet.evaluate(WEB_ONE, DB_ONE, API_TWO, OWN)
    looked = await fleet.looked_at()
    assert looked[0] == "one/db"
    assert sorted(looked) == ["one/db", "one/web", "two/api"]
    assert await fleet.dispatched() == set()  # until one of them renders otherwise
    fleet.evaluate(WEB_ONE, DB_ONE, API_TWO, OWN)
    assert await fleet.looked_at() == []


async def test_what_may_bring_documents_failed_or_never_rendered_is_always_looked_at() -> None:
    fleet = Fleet(WEB_ONE, DB_ONE, API_TWO, OWN, management="hub")
    fleet.failing = {WEB_ONE.id}
    del fleet.state.candidates[API_TWO.id]
    fleet.evaluate(WEB_ONE, DB_ONE, API_TWO, OWN)
    assert sorted(await fleet.looked_at()) == ["hub/own", "one/web", "two/api"]


async def test_a_cluster_that_is_another_concerns_its_targets() -> None:
    fleet = Fleet(WEB_ONE, API_TWO)
    fleet.management = "two"
    fleet.evaluate(WEB_ONE, API_TWO)
    assert await fleet.looked_at() == ["two/api"]
    assert await fleet.dispatched() == {"two"}


@pytest.mark.parametrize(
    "others", [{"projects": {"new": AppProject(name="new")}}, {"certain": False}], ids=str
)
async def test_what_concerns_all_makes_all_looked_at(others: dict[str, Any]) -> None:
    fleet = Fleet(WEB_ONE, API_TWO)
    fleet.evaluate(WEB_ONE, API_TWO, **others)
    assert sorted(await fleet.looked_at()) == ["one/web", "two/api"]
    assert await fleet.dispatched() == {"one", "two"}


async def test_now_and_then_everything_is_looked_at() -> None:
    fleet = Fleet(WEB_ONE, API_TWO)
    await fleet.clock.advance(EVERYTHING.total_seconds() / 4)
    fleet.evaluate(WEB_ONE, API_TWO)
    assert fleet.joints.everything_in() == EVERYTHING.total_seconds() * 3 / 4
    fleet.forget()
    await fleet.clock.advance(fleet.joints.everything_in())
    fleet.evaluate(WEB_ONE, API_TWO)
    assert sorted(await fleet.looked_at()) == ["one/web", "two/api"]
    assert await fleet.dispatched() == {"one", "two"}
