"""When a cluster is dispatched after an evaluation: with the last rendering, or a little later without it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import cast

from fleet.model.identity import AppName, ClusterName, TargetId
from fleet.model.target import Target
from fleet.runtime.clock import Clock
from fleet.testing.clock import FakeClock
from fleet.testing.store import MemoryStore
from hub.joints import RENDERING, Joints, Queues
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
            has_failed=lambda _id: False,
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
