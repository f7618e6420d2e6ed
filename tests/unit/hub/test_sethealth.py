"""Waves of an app of apps wait for ApplicationSets, by Argo CD's rating of these, and never for good without saying so."""

from __future__ import annotations

import pytest

from fleet.argo.rollingsync import read_plan
from fleet.codec.jsontypes import JsonObject
from fleet.model.identity import AppName, TargetId
from fleet.model.report import Health
from hub import childviews, sethealth
from hub.state import SetStatus
from tests.unit.hub.children_bench import Hub, app, appset, configmap
from tests.unit.hub.rollout_bench import stage

ROOT = app("root")


@pytest.fixture
def hub() -> Hub:
    return Hub()


def first(*elements: str, **spec: object) -> JsonObject:
    """A set that makes Applications, in wave 0."""
    found = appset("shops", *elements)
    found["spec"] |= spec
    return found


LATER = app("later", "edge", wave=1)
STRATEGY: JsonObject = {
    "type": "RollingSync",
    "rollingSync": {"steps": [stage("canary")]},
}


def waits_for(hub: Hub) -> str:
    return hub.state.desired.children[AppName("root")].waits_for


async def test_a_wave_goes_on_when_the_set_before_it_is_up_to_date(hub: Hub) -> None:
    assert await hub.commit(ROOT, root=[first("x", "y"), LATER]) == ["later", "root", "x", "y"]
    assert hub.seen[-1] == ["later", "root", "x", "y"]
    assert ["root", "x", "y"] in hub.seen, "the set came first"
    assert not hub.state.desired.awaited_sets


async def test_a_wave_waits_for_a_set_with_an_error(hub: Hub) -> None:
    broken = first(generators=[{"list": {"elementsYaml": "{"}}])
    assert await hub.commit(ROOT, root=[broken, LATER]) == ["root"]
    assert waits_for(hub) == "wave 0 is not healthy: ApplicationSet/shops"
    assert sethealth.health(hub.state, "shops") is Health.DEGRADED
    shown = childviews.rows(hub.state, TargetId.parse("hub/root"), lambda _id: pytest.fail("none"))
    assert [(row.name, row.health) for row in shown if row.kind == "ApplicationSet"] == [
        ("shops", "Degraded")
    ]
    assert await hub.commit(root=[first("x"), LATER]) == ["later", "root", "x"]


async def test_a_wave_waits_for_a_set_that_waits_for_an_approval(hub: Hub) -> None:
    before = await hub.commit(ROOT, root=[first("x", "y"), configmap("own")])
    assert await hub.commit(root=[first("z"), LATER, configmap("own")]) == before
    assert waits_for(hub) == "wave 0 is not healthy: ApplicationSet/shops"
    assert sethealth.health(hub.state, "shops") is Health.PROGRESSING
    await hub.records.approve("appset/shops", hub.state.holds["appset/shops"].digest)
    assert await hub.settle() == ["later", "root", "z"]


async def test_a_restart_waits_for_what_it_does_not_know_yet(hub: Hub) -> None:
    before = await hub.commit(ROOT, root=[first("x"), LATER])
    hub.manifests.of["root"] = [first("x"), LATER, app("next", "edge", wave=2)]
    await hub.restart()
    assert hub.apps() == sorted([*before, "next"])


async def test_a_wave_waits_for_the_rollout_of_a_set(hub: Hub) -> None:
    rolling = first("x", strategy=STRATEGY)
    rolling["spec"]["template"]["metadata"]["labels"] = {"stage": "canary"}
    assert await hub.commit(ROOT, root=[rolling, LATER]) == ["root", "x"]
    x = TargetId.parse("edge/x")
    hub.joints.rolled("shops")
    assert await hub.work() == ["root", "x"], "it was not looked at"
    hub.state.rolled["shops"] = {x: "an older artifact"}
    hub.joints.rolled("shops")
    assert await hub.work() == ["root", "x"]
    hub.state.rolled["shops"] = {x: hub.state.candidates[x].digest}
    assert sethealth.health(hub.state, "shops", lambda _id: True) is Health.PROGRESSING
    hub.joints.rolled("shops")
    assert await hub.work() == ["later", "root", "x"]
    evaluations = hub.evaluations
    hub.joints.rolled("shops")
    await hub.work()
    assert hub.evaluations == evaluations, "nothing waits for it any more"


@pytest.mark.parametrize(
    "strategy",
    [{"type": "RollingSync", "rollingSync": {"steps": []}}, STRATEGY],
    ids=["not-valid", "matches-no-step"],
)
async def test_a_rollout_that_moves_nothing_holds_no_wave(hub: Hub, strategy: JsonObject) -> None:
    assert read_plan(strategy, {}) is not None
    rolling = first("x", strategy=strategy)
    if strategy is STRATEGY:
        hub.state.rolled["shops"] = {}
    await hub.commit(ROOT, root=[rolling, LATER])
    hub.joints.rolled("shops")
    assert await hub.work() == ["later", "root", "x"]


@pytest.mark.parametrize(
    ("status", "is_rolling", "expected"),
    [
        pytest.param(None, False, Health.PROGRESSING, id="never-evaluated"),
        pytest.param(SetStatus(name="s"), False, Health.HEALTHY, id="up-to-date"),
        pytest.param(SetStatus(name="s"), True, Health.PROGRESSING, id="rolling"),
        pytest.param(SetStatus(name="s", errors=("no",)), True, Health.DEGRADED, id="error"),
        pytest.param(SetStatus(name="s", held="yes"), False, Health.PROGRESSING, id="held"),
    ],
)
def test_the_rating_is_that_of_argo_cd(
    status: SetStatus | None, *, is_rolling: bool, expected: Health
) -> None:
    assert sethealth.rate(status, is_rolling=is_rolling) is expected
