"""``spec.strategy`` and our annotations: what they ask for, and what is wrong with them, in words."""

from __future__ import annotations

from datetime import timedelta

import pytest

from fleet.argo.rollingsync import (
    DEFAULT_WINDOW,
    HEALTH_WINDOW,
    MAX_FAILURES,
    OFFLINE,
    ON_FAILURE,
    PREFIX,
    SOAK,
    read_plan,
    type_problem,
)
from fleet.codec import yamldoc
from fleet.model.rollout import DeletionOrder, Limit, Offline, OnFailure, RolloutPlan, Step

STAGES = """
type: RollingSync
rollingSync:
  steps:
    - matchExpressions: [{key: env, operator: In, values: [dev]}]
    - matchExpressions:
        - {key: env, operator: NotIn, values: [dev]}
        - {key: tier, operator: In, values: [gold, silver]}
      maxUpdate: 10%
    - maxUpdate: 3
"""


def plan(text: str = STAGES, **annotations: str) -> RolloutPlan:
    found = read_plan(
        yamldoc.load_one(text),
        {PREFIX + name.replace("_", "-"): value for name, value in annotations.items()},
    )
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param("{}", "", id="none"),
        pytest.param("type: AllAtOnce", "", id="all at once"),
        pytest.param(
            "type: RollingSync",
            "type RollingSync without rollingSync: nothing is rolled out in steps",
            id="no steps object",
        ),
        pytest.param(
            "{type: RolingSync, rollingSync: {steps: [{}]}}",
            'unknown strategy "RolingSync" (did you mean "RollingSync"?): nothing is rolled out in steps',
            id="misspelled",
        ),
    ],
)
def test_only_rolling_sync_rolls(text: str, problem: str) -> None:
    assert read_plan(yamldoc.load_one(text), {}) is None
    assert type_problem(yamldoc.load_one(text)) == problem


def test_without_annotations_it_is_argos_rolling_sync() -> None:
    found = plan()
    assert found.invalid == ""
    assert found.health_window is None, "nothing ever fails"
    assert found.offline is Offline.SKIP
    assert found.deletion_order is DeletionOrder.ALL_AT_ONCE
    assert [step.soak for step in found.steps] == [timedelta()] * 3


@pytest.mark.parametrize(
    ("labels", "steps"),
    [
        pytest.param({"env": "dev"}, (0, 2), id="In; the first one counts"),
        pytest.param({"env": "dev", "tier": "gold"}, (0, 2), id="all expressions must hold"),
        pytest.param({"env": "prod", "tier": "gold"}, (1, 2), id="NotIn and In"),
        pytest.param({"tier": "silver"}, (1, 2), id="NotIn holds without the label"),
        pytest.param({}, (2,), id="In does not; a step without expressions takes all"),
    ],
)
def test_a_step_selects_by_labels(labels: dict[str, str], steps: tuple[int, ...]) -> None:
    assert plan().steps_of(labels) == steps
    assert plan().step_of(labels) == steps[0]


def test_a_target_may_match_no_step() -> None:
    text = "{type: RollingSync, rollingSync: {steps: [{matchExpressions: [{key: a, operator: In, values: [b]}]}]}}"
    assert plan(text).step_of({}) is None


@pytest.mark.parametrize(
    ("limit", "count", "room"),
    [
        pytest.param(None, 7, 7, id="none: all"),
        pytest.param(Limit(amount=2), 7, 2, id="a number"),
        pytest.param(Limit(amount=0), 7, 0, id="0 blocks"),
        pytest.param(Limit(amount=25, is_percent=True), 7, 1, id="rounded down"),
        pytest.param(Limit(amount=99, is_percent=True), 7, 6, id="rounded down to less than all"),
        pytest.param(Limit(amount=1, is_percent=True), 7, 1, id="at least one above 0 %"),
        pytest.param(Limit(amount=0, is_percent=True), 7, 0, id="0 % blocks"),
    ],
)
def test_how_many_may_move_at_once(limit: Limit | None, count: int, room: int) -> None:
    assert Step(max_update=limit).room(count) == room


@pytest.mark.parametrize(
    ("text", "expected"),
    [("10m", [10, 10, 10]), ("10m,30m, 0s", [10, 30, 0]), ("1h30m", [90, 90, 90])],
)
def test_soak_is_one_for_all_or_one_a_step(text: str, expected: list[int]) -> None:
    assert [step.soak for step in plan(soak=text).steps] == [timedelta(minutes=n) for n in expected]


def test_failures_have_a_window_even_where_none_is_named() -> None:
    assert plan(health_window="2m").health_window == timedelta(minutes=2)
    assert plan(on_failure="return").health_window == DEFAULT_WINDOW
    found = plan(max_failures="10%", health_window="30s", on_failure="stop", offline="wait")
    assert found.health_window == timedelta(seconds=30)
    assert found.max_failures == Limit(amount=10, is_percent=True)
    assert (found.on_failure, found.offline) == (OnFailure.STOP, Offline.WAIT)
    assert plan(max_failures="2").max_failures == Limit(amount=2)


@pytest.mark.parametrize("text", ["Reverse", "reverse", "REVERSE"])
def test_the_deletion_order_is_read_in_any_case(text: str) -> None:
    assert plan(f"{STAGES}\ndeletionOrder: {text}").deletion_order is DeletionOrder.REVERSE


OPERATOR = "matchExpressions: [{key: a, operator: Exists}]"


@pytest.mark.parametrize(
    ("text", "annotations", "message"),
    [
        pytest.param(
            f"{{type: RollingSync, rollingSync: {{steps: [{{maxUpdate: x}}, {{{OPERATOR}}}]}}}}",
            {},
            "spec.strategy.rollingSync.steps[1].matchExpressions[0].operator: 'Exists' is neither In nor NotIn",
            id="operators before limits",
        ),
        pytest.param(
            "{type: RollingSync, rollingSync: {steps: [{maxUpdate: '5'}]}}",
            {},
            "spec.strategy.rollingSync.steps[0].maxUpdate: '5' is neither a whole number nor a percentage like 25%",
            id="a quoted number",
        ),
        pytest.param(
            "{type: RollingSync, rollingSync: {steps: [{maxUpdate: -1}]}}",
            {},
            "spec.strategy.rollingSync.steps[0].maxUpdate: -1 is negative",
            id="negative",
        ),
        pytest.param(
            "{type: RollingSync, rollingSync: {steps: []}}",
            {},
            "spec.strategy.rollingSync.steps: No steps defined for rollout",
            id="no steps, in Argo CD's words",
        ),
        pytest.param(
            f"{STAGES}\ndeletionOrder: Random",
            {},
            "spec.strategy.deletionOrder: 'Random' is neither AllAtOnce nor Reverse",
            id="deletion order",
        ),
        pytest.param(
            STAGES,
            {f"{PREFIX}sok": "1m"},
            f'metadata.annotations: unknown {PREFIX}sok (did you mean "{SOAK}"?)',
            id="a misspelled annotation",
        ),
        pytest.param(
            STAGES,
            {SOAK: "1m,2m"},
            f"metadata.annotations: {SOAK} names 2 durations for 3 steps",
            id="soak of some steps",
        ),
        pytest.param(
            STAGES,
            {SOAK: "ten minutes"},
            f"metadata.annotations: {SOAK}: not a duration: 'ten minutes'",
            id="soak",
        ),
        pytest.param(
            STAGES,
            {HEALTH_WINDOW: "0s"},
            f"metadata.annotations: {HEALTH_WINDOW}: a window of no length lets nothing become Healthy",
            id="window",
        ),
        pytest.param(
            STAGES,
            {MAX_FAILURES: "few"},
            f"metadata.annotations: {MAX_FAILURES}: the budget: 'few' is neither a whole number nor a percentage like 25%",
            id="budget",
        ),
        pytest.param(
            STAGES,
            {ON_FAILURE: "rollback"},
            f"metadata.annotations: {ON_FAILURE}: 'rollback' is neither stop nor return",
            id="on failure",
        ),
        pytest.param(
            STAGES,
            {OFFLINE: "ignore"},
            f"metadata.annotations: {OFFLINE}: 'ignore' is neither skip nor wait",
            id="offline",
        ),
    ],
)
def test_what_is_wrong_is_named(text: str, annotations: dict[str, str], message: str) -> None:
    found = read_plan(yamldoc.load_one(text), annotations)
    assert found is not None
    assert found.invalid == message
