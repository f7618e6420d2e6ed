"""Rollouts over dispatch: which artifact stands in each cluster's assignment, and what a stop in between leaves."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fleet.argo.rollingsync import PREFIX
from fleet.errors import BadInput, NotReady, Transient
from fleet.model.appset import ApplicationSet
from fleet.model.assignment import Hold
from fleet.model.identity import ClusterName
from fleet.model.rollout import RolloutState, TargetState
from fleet.rollouts.orders import Order
from fleet.runtime.reconciler import RequeueAfter
from fleet.store.port import Kind
from hub.state import Pin
from tests.unit.hub.rollout_bench import LEASE, Bench, stage, strategy, target_id


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


async def test_a_rollout_says_when_it_is_through(bench: Bench) -> None:
    told: list[str] = []
    bench.rollouts.rolled = told.append
    await deployed(bench)
    everywhere = {target_id(name): "d1" for name in FLEET}
    assert (bench.state.rolled, set(told)) == ({"web": everywhere}, {"web"})
    bench.rendering.add(target_id("a"))
    bench.commit("d2", "b", "c")
    await bench.settle()
    assert bench.state.rolled == {}
    bench.rendering.clear()
    bench.bad.add("d2")
    bench.commit("d2")
    told.clear()
    await bench.settle()
    assert (bench.state.rolled, told) == ({}, [])
    bench.bad.clear()
    await bench.settle()
    assert set(bench.state.rolled["web"].values()) == {"d2"}
    assert told
    bench.want(FLEET, appset=False)
    await bench.settle()
    assert bench.state.rolled == {"web": dict.fromkeys(everywhere, "d2")}


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
    bench.rollouts.check(bench.state.desired.targets[target_id("a")])
    with pytest.raises(BadInput, match="matches no step"):
        bench.rollouts.check(bench.state.desired.targets[target_id("b")])


async def test_an_invalid_rollout_holds_its_set(bench: Bench) -> None:
    await deployed(bench)
    bench.want(FLEET, strategy(stage("canary", maxUpdate="many")))
    bench.commit("d2")
    await bench.settle()
    assert set(bench.assigned().values()) == {"d1"}
    held = (await bench.section("a")).held
    assert held is not None
    assert "spec.strategy.rollingSync.steps[0].maxUpdate: 'many'" in held.message
    with pytest.raises(BadInput, match="cannot be synced"):
        bench.rollouts.check(bench.state.desired.targets[target_id("a")])
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
    bench.commit("d2", objects=7)
    await bench.settle()
    await bench.wait(300)
    assert set(bench.assigned().values()) == {"d1"}
    assert bench.stands() is RolloutState.STOPPED
    section = await bench.section("a")
    assert section.ungated
    assert section.held is not None
    assert section.held.reason is Hold.ROLLOUT
    assert "went back to what it had" in section.held.message
    assert bench.state.kinds[target_id("a")] == {"/ConfigMap": 1}, "the object budget goes by it"
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
    await bench.clock.advance(10 * LEASE.total_seconds())  # the hub is away for long
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


async def test_after_an_order_the_rollout_is_looked_at_again(bench: Bench) -> None:
    await deployed(bench)
    for order in (Order.PAUSE, Order.RESUME):
        bench.looks.clear()
        await bench.told(order)
        assert bench.looks == ["web"], "what was due by the clock is due again"
    bench.looks.clear()
    await bench.rollouts.let_go(bench.state.desired.targets[target_id("a")])
    assert bench.looks == ["web"]


async def test_news_of_targets_have_their_set_looked_at(bench: Bench) -> None:
    await deployed(bench)
    bench.looks.clear()
    bench.rollouts.look_at([target_id("a"), target_id("b"), target_id("elsewhere")])
    assert bench.looks == ["web"]
    bench.rollouts.look_at_all()
    assert bench.looks == ["web", "web"]


async def test_a_rollout_prunes_as_a_policy_that_is_switched_off_says(bench: Bench) -> None:
    document = {"spec": {"syncPolicy": {"automated": {"enabled": False, "prune": True}}}}
    bench.want(FLEET, automated=False, document=document)
    bench.bad.add("d1")
    bench.commit("d1")
    await bench.settle()
    assert (await bench.section("a")).prune
    assert not (await bench.section("b")).prune, "it is not let go"


async def test_promote_can_open_everything_at_once(bench: Bench) -> None:
    await deployed(bench, strategy(stage("canary"), stage("rest", maxUpdate=1)))
    bench.bad.add("d2")
    bench.commit("d2")
    await bench.settle()
    assert bench.assigned() == {"a": "d2", "b": "d1", "c": "d1"}
    await bench.told(Order.PROMOTE, full=True)
    await bench.settle()
    assert set(bench.assigned().values()) == {"d2"}
    bench.bad.add("d3")
    bench.commit("d3")
    await bench.settle()
    assert bench.assigned() == {"a": "d3", "b": "d2", "c": "d2"}, "for that version only"


@pytest.mark.parametrize("annotations", [WINDOW, RETURN], ids=["stop", "return"])
async def test_a_stopped_version_can_be_tried_again(
    bench: Bench, annotations: dict[str, str]
) -> None:
    await deployed(bench, annotations=annotations)
    bench.bad.add("d2")
    bench.commit("d2")
    await bench.settle()
    await bench.wait(300)
    assert bench.stands() is RolloutState.STOPPED
    await bench.told(Order.RETRY)
    await bench.settle()
    assert bench.assigned() == {"a": "d2", "b": "d1", "c": "d1"}
    assert bench.states()["a"] is TargetState.PROGRESSING
    await bench.wait(299)
    assert bench.stands() is RolloutState.PROGRESSING, "it has a whole window again"
    await bench.wait(1)
    assert bench.stands() is RolloutState.STOPPED


async def test_resume_after_a_return_leaves_the_step_where_it_was(bench: Bench) -> None:
    await deployed(bench, annotations=RETURN)
    bench.bad.add("d2")
    bench.commit("d2")
    await bench.settle()
    await bench.wait(300)
    bench.bad.clear()
    await bench.told(Order.RESUME)
    await bench.settle()
    assert bench.assigned() == {"a": "d1", "b": "d2", "c": "d2"}
    assert bench.stands() is RolloutState.DONE
