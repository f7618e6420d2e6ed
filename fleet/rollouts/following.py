"""Following one target: which events its facts amount to."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from fleet.model.rollout import Member, Offline, RolloutPlan, TargetState
from fleet.rollout import TargetEvent, moved
from fleet.rollouts.facts import TargetFacts

_GONE_FROM = (TargetState.PROGRESSING, TargetState.HEALTHY, TargetState.FAILED)
"""States in which the artifact is assigned; where it is not (a cluster that was rebuilt), it is a new start."""


def first(facts: TargetFacts, now: datetime) -> Member:
    """Take up a target that the rollout did not know."""
    return Member(
        state=TargetState.WAITING, digest=facts.candidate, since=now, step=facts.step
    )  # fmt: skip


def follow(
    member: Member, facts: TargetFacts, plan: RolloutPlan, now: datetime, *, passed: int
) -> Member:
    """Bring a target up to date; ``passed`` steps of the rollout are done."""
    if member.step != facts.step:
        member = replace(member, step=facts.step)
    if facts.is_pinned:
        return member
    if is_changed(member, facts):
        member = _renewed(member, facts, now)
    while (event := _event(member, facts, plan, now, passed=passed)) is not None:
        member = moved(member, event, now)
    return member


def is_changed(member: Member, facts: TargetFacts) -> bool:
    """Whether a target has to go somewhere else than it had, or again."""
    if not facts.is_known or facts.is_pinned:
        return False
    return facts.candidate != member.digest or (
        member.state in _GONE_FROM and facts.assigned != member.digest
    )


def expires(member: Member, plan: RolloutPlan) -> datetime | None:
    """Return when a target that moves has failed."""
    if plan.health_window is None or member.state is not TargetState.PROGRESSING:
        return None
    return member.since + plan.health_window


def _renewed(member: Member, facts: TargetFacts, now: datetime) -> Member:
    """Start again with another artifact; what a target that never got well had before stays its way back."""
    is_well = member.state in (TargetState.WAITING, TargetState.HEALTHY)
    keeps = member.moved and not is_well and facts.assigned == member.digest
    return replace(
        moved(member, TargetEvent.CHANGED, now),
        digest=facts.candidate,
        previous=member.previous if keeps else None,
        previous_kinds=member.previous_kinds if keeps else {},
        moved=False,
        excused=False,
        refused=False,
    )


def _event(
    member: Member, facts: TargetFacts, plan: RolloutPlan, now: datetime, *, passed: int
) -> TargetEvent | None:
    """Return the next thing that happened to a target; None when its state says it all."""
    is_there = bool(member.digest) and facts.assigned == member.digest
    is_lost = not facts.is_online and plan.offline is Offline.SKIP
    match member.state:
        case TargetState.WAITING:
            if is_there and member.moved:
                return TargetEvent.ASSIGNED
            if is_there and facts.is_applied:
                return TargetEvent.FOUND
            return TargetEvent.LOST if is_lost else None
        case TargetState.PENDING:
            if is_there and not facts.is_held_back:
                return TargetEvent.ASSIGNED
            return TargetEvent.LOST if is_lost else None
        case TargetState.PROGRESSING:
            return _while_moving(member, facts, plan, now, is_there=is_there, is_lost=is_lost)
        case TargetState.HEALTHY:
            soaks = member.moved and member.step >= passed and bool(plan.steps[member.step].soak)
            return TargetEvent.FELL if soaks and facts.is_online and not facts.is_good else None
        case TargetState.FAILED:
            return TargetEvent.GOOD if is_there and facts.is_good else None
        case TargetState.SET_ASIDE:
            return None if is_lost else TargetEvent.HEARD
        case TargetState.RETURNED:
            return None


def _while_moving(
    member: Member,
    facts: TargetFacts,
    plan: RolloutPlan,
    now: datetime,
    *,
    is_there: bool,
    is_lost: bool,
) -> TargetEvent | None:
    if is_there and facts.is_good:
        return TargetEvent.GOOD
    if is_lost:
        return TargetEvent.LOST
    if facts.is_held_back:
        return TargetEvent.BLOCKED
    end = expires(member, plan)
    return TargetEvent.EXPIRED if end is not None and end <= now else None
