"""A rollout and sync windows: a target that waits for its window fails nothing, and nothing goes back because of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from fleet.argo.rollingsync import PREFIX
from fleet.model.identity import AppName, ClusterName
from fleet.model.project import DEFAULT_PROJECT, SyncWindow, WindowKind
from fleet.model.report import Health, Sync, TargetStatus
from fleet.model.rollout import RolloutState, TargetState
from hub.rolloutviews import RolloutViews
from tests.unit.hub.rollout_bench import Bench

WEB = AppName("web-a")
FREEZE = SyncWindow(
    kind=WindowKind.DENY, schedule="0 0 * * *", duration=timedelta(hours=1), applications=("*",)
)


def frozen(bench: Bench) -> None:
    projects = {"default": replace(DEFAULT_PROJECT, windows=(FREEZE,))}
    bench.state.replace_desired(replace(bench.state.desired, projects=projects))


def blocked(bench: Bench) -> None:
    """The agent of ``a`` has the new artifact and may not apply it."""
    bench.state.statuses[ClusterName("a")][WEB] = TargetStatus(
        target=WEB,
        sync=Sync.OUT_OF_SYNC,
        health=Health.HEALTHY,
        assigned="d2",
        applied="d1",
        message="blocked by sync window",
    )


async def pass_time(bench: Bench, minutes: int) -> None:
    for _ in range(minutes):
        await bench.clock.advance(60)
        bench.hear("a", "b")
        blocked(bench)
        await bench.settle("a", rounds=3)


async def test_a_target_that_waits_for_its_window_has_not_failed() -> None:
    bench = Bench()
    annotations = {f"{PREFIX}on-failure": "return", f"{PREFIX}health-window": "5m"}
    bench.want({"a": "canary", "b": "rest"}, annotations=annotations)
    bench.commit("d1")
    await bench.settle()
    frozen(bench)
    await bench.wait(60)
    bench.commit("d2")
    await bench.settle("a", rounds=3)
    await pass_time(bench, 20)
    assert bench.stands() is RolloutState.PROGRESSING
    assert bench.states() == {"a": TargetState.PENDING, "b": TargetState.WAITING}
    views = RolloutViews(
        state=bench.state, rollouts=bench.rollouts, facts=bench.rollouts.facts, clock=bench.clock
    )
    shown = {row.target: row.message for row in views.detail("web").targets}
    assert 'blocked by sync window "deny 0 0 * * * for 1h"' in shown["a/web-a"]
    assert "step 1 is not done" in shown["b/web-b"]
    await pass_time(bench, 40)  # the window is over, and its health window begins
    assert bench.states()["a"] is TargetState.PROGRESSING
    await bench.wait(60)
    assert bench.stands() is RolloutState.DONE


async def test_a_target_that_does_nothing_after_its_window_fails() -> None:
    bench = Bench()
    bench.want({"a": "canary", "b": "rest"}, annotations={f"{PREFIX}health-window": "5m"})
    bench.commit("d1")
    await bench.settle()
    frozen(bench)
    await bench.wait(60)
    bench.commit("d2")
    await bench.settle("a", rounds=3)
    await pass_time(bench, 70)
    assert bench.stands() is RolloutState.STOPPED
    assert bench.states()["a"] is TargetState.FAILED
