"""What people are shown of rollouts: counts, the state of each step, and why each target is not further."""

from __future__ import annotations

import pytest

from fleet.argo.rollingsync import PREFIX
from fleet.rollouts.orders import Order
from hub.peoplehttp import NotFound
from hub.problems import all_problems
from hub.rolloutviews import RolloutViews
from tests.unit.hub.rollout_bench import LEASE, Bench, stage, strategy

STAGES = {"a": "canary", "b": "rest", "c": "rest", "d": ""}


@pytest.fixture
def bench() -> Bench:
    return Bench()


def views(bench: Bench) -> RolloutViews:
    return RolloutViews(
        state=bench.state, rollouts=bench.rollouts, facts=bench.rollouts.facts, clock=bench.clock
    )


def targets(bench: Bench) -> dict[str, tuple[str, str]]:
    """State and message by cluster."""
    shown = views(bench).detail("web").targets
    return {row.target.partition("/")[0]: (row.state, row.message) for row in shown}


def steps(bench: Bench) -> list[str]:
    return [row.state for row in views(bench).detail("web").steps]


async def test_a_rollout_under_way(bench: Bench) -> None:
    bench.bad.add("d1")
    bench.want(STAGES)
    bench.commit("d1")
    await bench.settle()
    (row,) = views(bench).rows().items
    assert (row.state, row.step, row.steps) == ("Progressing", 1, 2)
    assert (row.targets, row.moving, row.waiting, row.unmatched) == (3, 1, 2, 1)
    assert steps(bench) == ["Open", "Closed"]
    assert targets(bench) == {
        "a": ("Progressing", "is Synced and Degraded"),
        "b": ("Waiting", "step 1 is not done"),
        "c": ("Waiting", "step 1 is not done"),
        "d": ("Unmatched", "matches no step: it is never synced"),
    }
    assert views(bench).line("web") == "Progressing, step 1 of 2: 0 of 3 healthy, 1 match no step"


async def test_a_step_that_soaks_says_until_when(bench: Bench) -> None:
    bench.want(STAGES, annotations={f"{PREFIX}soak": "10m"})
    bench.commit("d1")
    await bench.settle()
    first, second = views(bench).detail("web").steps
    assert (first.state, first.soaks_until) == ("Soaking", "2026-01-01T00:10:00+00:00")
    assert (second.state, second.soaks_until) == ("Closed", "")


async def test_why_a_target_of_the_open_step_waits(bench: Bench) -> None:
    plan = strategy(stage("canary", maxUpdate=0), stage("rest"))
    bench.want(STAGES, plan, needs={"a": "b"})
    bench.commit("d1")
    await bench.settle()
    state, message = targets(bench)["a"]
    assert state == "Waiting"
    assert "b/web-b has nothing assigned yet" in message
    assert message.endswith("(b/web-b is in a later step: it has to come first)")
    bench.want(STAGES, plan)
    assert targets(bench)["a"] == (
        "Waiting", "maxUpdate of its step is 0: it waits for fleet rollout promote",
    )  # fmt: skip
    assert steps(bench) == ["Held", "Closed"]
    bench.rendering.add(next(iter(bench.state.desired.targets)))
    assert targets(bench)["a"] == ("Waiting", "its newest version is not rendered")
    bench.rendering.clear()
    await bench.told(Order.ABORT)
    assert targets(bench)["a"] == ("Waiting", "this version was aborted")


async def test_a_step_without_room_is_held_until_it_is_promoted(bench: Bench) -> None:
    bench.want(STAGES, strategy(stage("canary"), stage("rest", maxUpdate=0)))
    bench.commit("d1")
    await bench.settle()
    assert steps(bench) == ["Done", "Held"]
    await bench.told(Order.PAUSE)
    assert targets(bench)["b"] == ("Waiting", "the rollout is Paused")
    await bench.told(Order.RESUME)
    await bench.told(Order.PROMOTE)
    (_, second) = views(bench).detail("web").steps
    assert (second.state, second.room) == ("Open", 2), "a promoted step has no limit"
    await bench.settle()
    assert steps(bench) == ["Done", "Done"]


async def test_what_is_aside_failed_and_returned(bench: Bench) -> None:
    annotations = {f"{PREFIX}on-failure": "return", f"{PREFIX}health-window": "5m"}
    bench.want({"a": "canary", "b": "canary", "c": "rest"}, annotations=annotations)
    bench.commit("d1")
    await bench.settle()
    await bench.wait(LEASE.total_seconds(), "b")
    bench.bad.add("d2")
    bench.commit("d2")
    await bench.settle("b")
    await bench.wait(300, "b")
    (row,) = views(bench).rows().items
    assert (row.state, row.message) == ("Stopped", "step 1 failed: a/web-a")
    assert (row.failed, row.set_aside) == (1, 1)
    assert targets(bench)["a"] == ("Returned", "went back to what it had")
    offline = "cluster b is offline: it is caught up when it comes back"
    assert targets(bench)["b"] == ("SetAside", offline)


async def test_an_invalid_plan_is_shown_and_nothing_else_is_claimed(bench: Bench) -> None:
    bench.want(STAGES, strategy(stage("canary", maxUpdate="lots")))
    await bench.settle()
    detail = views(bench).detail("web")
    assert detail.rollout.state == "Invalid"
    assert "maxUpdate: 'lots'" in detail.rollout.message
    assert (detail.steps, detail.targets) == ((), ())


def test_what_has_no_rollout_is_not_found(bench: Bench) -> None:
    bench.want(STAGES, {"type": "AllAtOnce"})
    with pytest.raises(NotFound, match="'web' has no rollout: its strategy is not RollingSync"):
        views(bench).detail("web")
    with pytest.raises(NotFound, match="there is no ApplicationSet 'shop'"):
        views(bench).detail("shop")
    assert views(bench).line("web") == ""


def test_who_matches_no_step_or_several_is_a_problem(bench: Bench) -> None:
    bench.want(
        {"a": "canary", "b": "both", "d": ""}, strategy(stage("canary", "both"), stage("both"))
    )
    found = [(item.reason, item.message) for item in all_problems(bench.state, {})]
    assert found == [
        (
            "InvalidRolloutConfig",
            "application 'web-b' is selected by steps 1, 2: the first one counts",
        ),
        ("MatchesNoStep", "application 'web-d' on d matches no step, so it is never synced"),
    ]
