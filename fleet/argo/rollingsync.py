"""``spec.strategy`` of an ApplicationSet, and our annotations beside it, to a `RolloutPlan`.

Without an annotation the plan is Argo CD's RollingSync (argo.md 1.7). Whatever is wrong with it makes it invalid, with
the first thing that Argo CD would name: nothing of the set moves then, and everybody is told why.

| annotation | what it says |
|---|---|
| ``gitopsfleet.io/rollout-soak`` | ``10m``, or one for every step: ``10m,30m,0s`` |
| ``gitopsfleet.io/rollout-health-window`` | within which a target that moved must be Synced and Healthy, else it failed |
| ``gitopsfleet.io/rollout-max-failures`` | failed targets that a step may have: ``2`` or ``10%``; without it none |
| ``gitopsfleet.io/rollout-on-failure`` | ``stop`` or ``return`` |
| ``gitopsfleet.io/rollout-offline`` | ``skip`` or ``wait`` |
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import TypeVar

from fleet.argo.durations import parse_go_duration
from fleet.argo.shapes import nearest
from fleet.codec.jsontypes import JsonObject, JsonValue
from fleet.errors import BadInput
from fleet.model.rollout import (
    DeletionOrder,
    LabelRule,
    Limit,
    Offline,
    OnFailure,
    Operator,
    RolloutPlan,
    Step,
)

ROLLING = "RollingSync"
TYPES = ("AllAtOnce", ROLLING)

PREFIX = "gitopsfleet.io/rollout-"
SOAK = f"{PREFIX}soak"
HEALTH_WINDOW = f"{PREFIX}health-window"
MAX_FAILURES = f"{PREFIX}max-failures"
ON_FAILURE = f"{PREFIX}on-failure"
OFFLINE = f"{PREFIX}offline"
ANNOTATIONS = (SOAK, HEALTH_WINDOW, MAX_FAILURES, ON_FAILURE, OFFLINE)

DEFAULT_WINDOW = timedelta(minutes=10)
"""The health window of a set that speaks of failures and names none: Kubernetes' own progress deadline."""

T = TypeVar("T")


def read_plan(strategy: JsonObject, annotations: Mapping[str, str]) -> RolloutPlan | None:
    """Read what a set asks for; None when it has no RollingSync."""
    rolling = strategy.get("rollingSync")
    if strategy.get("type") != ROLLING or rolling is None:
        return None
    order = DeletionOrder.ALL_AT_ONCE
    try:
        order = _deletion_order(strategy.get("deletionOrder", ""))
        steps = _steps(rolling.get("steps", ()))
        return _extended(RolloutPlan(steps=steps, deletion_order=order), annotations)
    except BadInput as error:
        return RolloutPlan(deletion_order=order, invalid=error.message)


def type_problem(strategy: JsonObject) -> str:
    """Say what is wrong with ``spec.strategy.type``, which Argo CD would not: it takes any other word for none."""
    name = strategy.get("type", "")
    if name and name not in TYPES:
        return f'unknown strategy "{name}"{nearest(name, TYPES)}: nothing is rolled out in steps'
    if name == ROLLING and strategy.get("rollingSync") is None:
        return "type RollingSync without rollingSync: nothing is rolled out in steps"
    return ""


def _steps(entries: JsonValue) -> tuple[Step, ...]:
    """Read the steps; what is wrong is named in Argo CD's order: operators, limits, no steps."""
    rules = [_rules(entry, f"{_at(n)}.matchExpressions") for n, entry in enumerate(entries)]
    limits = [_max_update(entry.get("maxUpdate"), _at(n)) for n, entry in enumerate(entries)]
    if not rules:
        raise BadInput("spec.strategy.rollingSync.steps: No steps defined for rollout")
    return tuple(
        Step(rules=rule, max_update=limit) for rule, limit in zip(rules, limits, strict=True)
    )


def _at(position: int) -> str:
    return f"spec.strategy.rollingSync.steps[{position}]"


def _rules(entry: JsonValue, field: str) -> tuple[LabelRule, ...]:
    return tuple(
        LabelRule(
            key=rule.get("key", ""),
            operator=_operator(rule.get("operator", ""), f"{field}[{n}].operator"),
            values=tuple(rule.get("values", ())),
        )
        for n, rule in enumerate(entry.get("matchExpressions", ()))
    )


def _operator(text: str, field: str) -> Operator:
    try:
        return Operator(text)
    except ValueError:
        raise BadInput(f"{field}: {text!r} is neither In nor NotIn") from None


def _max_update(value: JsonValue, at: str) -> Limit | None:
    return None if value is None else _limit(value, f"{at}.maxUpdate")


def _limit(value: JsonValue, field: str) -> Limit:
    """Read ``2`` or ``"25%"``; Kubernetes' IntOrString takes a plain number in quotes for an error."""
    if isinstance(value, int):
        if value < 0:
            raise BadInput(f"{field}: {value} is negative")
        return Limit(amount=value)
    number = str(value).removesuffix("%")
    if not (str(value).endswith("%") and number.isascii() and number.isdigit()):
        raise BadInput(f"{field}: {value!r} is neither a whole number nor a percentage like 25%")
    return Limit(amount=int(number), is_percent=True)


def _deletion_order(text: str) -> DeletionOrder:
    for order in DeletionOrder:
        if text.lower() in ("", order.value.lower()):
            return order
    raise BadInput(f"spec.strategy.deletionOrder: {text!r} is neither AllAtOnce nor Reverse")


def _extended(plan: RolloutPlan, annotations: Mapping[str, str]) -> RolloutPlan:
    """Lay our annotations over Argo CD's plan."""
    for name in annotations:
        if name.startswith(PREFIX) and name not in ANNOTATIONS:
            raise BadInput(f"metadata.annotations: unknown {name}{nearest(name, ANNOTATIONS)}")
    window = _read(annotations, HEALTH_WINDOW, _window)
    failures = _read(annotations, MAX_FAILURES, _failures)
    on_failure = _read(annotations, ON_FAILURE, OnFailure)
    if window is None and (failures is not None or on_failure is not None):
        window = DEFAULT_WINDOW
    soaks = _read(annotations, SOAK, _durations) or (timedelta(),)
    if len(soaks) not in (1, len(plan.steps)):
        raise BadInput(
            f"metadata.annotations: {SOAK} names {len(soaks)} durations for {len(plan.steps)} steps"
        )
    return RolloutPlan(
        steps=tuple(
            Step(rules=step.rules, max_update=step.max_update, soak=soaks[n if soaks[1:] else 0])
            for n, step in enumerate(plan.steps)
        ),
        health_window=window,
        max_failures=failures or Limit(amount=0),
        on_failure=on_failure or OnFailure.STOP,
        offline=_read(annotations, OFFLINE, Offline) or Offline.SKIP,
        deletion_order=plan.deletion_order,
    )


def _read(annotations: Mapping[str, str], name: str, read: Callable[[str], T]) -> T | None:
    text = annotations.get(name)
    if text is None:
        return None
    try:
        return read(text.strip())
    except ValueError:
        known = " nor ".join(OnFailure if name == ON_FAILURE else Offline)
        raise BadInput(f"metadata.annotations: {name}: {text!r} is neither {known}") from None
    except BadInput as error:
        raise BadInput(f"metadata.annotations: {name}: {error.message}") from None


def _durations(text: str) -> tuple[timedelta, ...]:
    return tuple(parse_go_duration(part.strip()) for part in text.split(","))


def _window(text: str) -> timedelta:
    window = parse_go_duration(text)
    if not window:
        raise BadInput("a window of no length lets nothing become Healthy")
    return window


def _failures(text: str) -> Limit:
    return _limit(int(text) if text.isascii() and text.isdigit() else text, "the budget")
