"""What a person may say about a rollout: pause, resume, promote, retry, abort, and one target's sync.

An order that makes no sense where the rollout stands is refused with what to do instead.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from fleet.errors import BadInput
from fleet.model.identity import TargetId
from fleet.model.rollout import Member, Rollout, RolloutState, Standing, TargetState
from fleet.rollout import TARGETS, RolloutEvent, TargetEvent, WrongEvent, moved, stands
from fleet.rollouts.advance import release, take_back, withdraw
from fleet.rollouts.facts import TargetFacts


class Order(StrEnum):
    """The words of ``fleet rollout``."""

    PAUSE = "pause"
    RESUME = "resume"
    PROMOTE = "promote"
    RETRY = "retry"
    ABORT = "abort"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How an order is meant."""

    reason: str = ""
    full: bool = False
    """Of promote: all steps at once."""
    take_back: bool = False
    """Of abort: what moved in this version goes back to what it had."""


_EVENTS = {
    Order.PAUSE: RolloutEvent.PAUSE,
    Order.RESUME: RolloutEvent.RESUME,
    Order.PROMOTE: RolloutEvent.PROMOTE,
    Order.RETRY: RolloutEvent.RETRY,
    Order.ABORT: RolloutEvent.ABORT,
}

_INSTEAD: Mapping[tuple[Order, RolloutState], str] = {
    (Order.PAUSE, RolloutState.PAUSED): "fleet rollout resume goes on",
    (Order.PAUSE, RolloutState.STOPPED): "nothing is let go already",
    (Order.PAUSE, RolloutState.ABORTED): "nothing is let go already",
    (Order.PAUSE, RolloutState.RETURNING): "fleet rollout status shows what goes back",
    (Order.RESUME, RolloutState.PROGRESSING): "fleet rollout promote opens the step that waits",
    (Order.RESUME, RolloutState.SOAKING): "fleet rollout promote ends the soak",
    (Order.RESUME, RolloutState.RETURNING): "wait until what goes back is back",
    (Order.PROMOTE, RolloutState.PAUSED): "fleet rollout resume first",
    (Order.PROMOTE, RolloutState.STOPPED): "fleet rollout resume goes on although targets failed",
    (Order.PROMOTE, RolloutState.RETURNING): "wait until what goes back is back",
    (Order.PROMOTE, RolloutState.ABORTED): "fleet rollout retry takes the version up again",
    (Order.RETRY, RolloutState.PAUSED): "fleet rollout resume first",
    (Order.RESUME, RolloutState.DONE): "nothing of it is held",
    (Order.PROMOTE, RolloutState.DONE): "no step of it waits",
    (Order.ABORT, RolloutState.DONE): "with --return what moved goes back to what it had",
    (Order.ABORT, RolloutState.ABORTED): "with --return what moved goes back to what it had",
    (Order.ABORT, RolloutState.RETURNING): "wait until what goes back is back",
}


def obey(
    order: Order, rollout: Rollout, open_step: int | None, options: Options, now: datetime
) -> Rollout:
    """Return a rollout after an order; raises BadInput."""
    event = _EVENTS[order]
    if order is Order.ABORT and options.take_back:
        event = RolloutEvent.ABORT_RETURN
    try:
        standing = stands(rollout.standing, event, now)
    except WrongEvent:
        state = rollout.standing.state
        raise BadInput(
            f"a rollout that is {state} cannot be told to {order}",
            hint=_INSTEAD.get((order, state), "fleet rollout status shows where it stands"),
        ) from None
    members = dict(rollout.members)
    match order:
        case Order.PAUSE:
            standing = replace(standing, reason=options.reason)
        case Order.RESUME:
            standing = replace(standing, reason="")
            _each(members, _excused)
        case Order.PROMOTE:
            standing = _promoted(standing, open_step, full=options.full)
        case Order.RETRY:
            standing = replace(standing, reason="")
            _retry(members, now)
        case Order.ABORT:
            standing = replace(standing, reason=options.reason or "aborted by a person")
            withdraw(members, now)
            if options.take_back:
                take_back(members, None, now)
            _each(members, _refused)
    return Rollout(standing=standing, members=members)


def let_go(member: Member, facts: TargetFacts, now: datetime) -> Member:
    """Sync one target now, whatever the steps say; one that moves or is there already stays as it is."""
    if (member.state, TargetEvent.ORDERED) not in TARGETS:
        return member
    return replace(release(member, facts, TargetEvent.ORDERED, now), refused=False)


def _promoted(standing: Standing, open_step: int | None, *, full: bool) -> Standing:
    if open_step is None:
        return standing
    return replace(standing, promoted=open_step + 1, is_full=full or standing.is_full)


def _retry(members: dict[TargetId, Member], now: datetime) -> None:
    for id_, member in members.items():
        falls_short = (member.state, TargetEvent.RETRY) in TARGETS
        again = moved(member, TargetEvent.RETRY, now) if falls_short else member
        members[id_] = replace(again, excused=False, refused=False)


def _excused(member: Member) -> Member:
    is_short = member.state in (TargetState.FAILED, TargetState.RETURNED)
    return replace(member, excused=member.excused or is_short, refused=False)


def _refused(member: Member) -> Member:
    is_open = member.state not in (TargetState.HEALTHY, TargetState.FAILED)
    return replace(member, refused=is_open)


def _each(members: dict[TargetId, Member], change: Callable[[Member], Member]) -> None:
    for id_, member in members.items():
        members[id_] = change(member)
