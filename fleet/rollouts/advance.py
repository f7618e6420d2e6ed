"""One look at a rollout: every target brought up to date, failures judged, the open step's targets let go.

Level-based: the same facts and the same time give the same rollout again, and calling it twice changes nothing. The
order matters for safety: failures are judged before anything is let go.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from fleet.model.identity import TargetId
from fleet.model.rollout import (
    Member,
    OnFailure,
    Rollout,
    RolloutPlan,
    RolloutState,
    Standing,
    TargetState,
)
from fleet.rollout import RolloutEvent, TargetEvent, moved, stands
from fleet.rollouts.facts import Facts, TargetFacts
from fleet.rollouts.following import expires, first, follow, is_changed
from fleet.rollouts.gates import MOVING, Gates

RUNNING = frozenset((RolloutState.PROGRESSING, RolloutState.SOAKING, RolloutState.DONE))


@dataclass(frozen=True, slots=True, kw_only=True)
class Advanced:
    """A rollout after a look at it."""

    rollout: Rollout
    open_step: int | None = None
    """None: all steps are done."""
    look_again: datetime | None = None
    """When time alone will change something."""


def advance(plan: RolloutPlan, rollout: Rollout | None, facts: Facts, now: datetime) -> Advanced:
    """Bring a rollout up to date."""
    before = rollout or Rollout(standing=Standing(since=now, started=now))
    known = before.members
    standing = replace(_version(before, facts, now), plan=plan)
    members = {
        id_: follow(known.get(id_) or first(item, now), item, plan, now, passed=standing.passed)
        for id_, item in facts.items()
    }
    gates = Gates.of(plan, standing, facts, members)
    open_step = gates.open_step(now)
    standing = replace(standing, passed=max(standing.passed, _count(open_step, plan)))
    if standing.state in RUNNING:
        standing, open_step = _judge(gates, standing, members, open_step, now)
    if standing.state in RUNNING and open_step is not None:
        steps = range(len(plan.steps)) if standing.is_full else (open_step,)
        for index in steps:
            for id_ in gates.releases(index):
                members[id_] = release(members[id_], facts[id_], TargetEvent.RELEASED, now)
    if standing.state is RolloutState.RETURNING:
        standing = _returning(standing, members, facts, plan, now)
    after = Rollout(standing=standing, members=members)
    return Advanced(
        rollout=after,
        open_step=open_step,
        look_again=_next_look(plan, after, facts, gates, open_step, now),
    )


def release(member: Member, facts: TargetFacts, event: TargetEvent, now: datetime) -> Member:
    """Let a target go, and remember what it had."""
    if member.previous is not None:
        return replace(moved(member, event, now), moved=True)
    return replace(
        moved(member, event, now),
        moved=True,
        previous=facts.assigned if facts.assigned != member.digest else "",
        previous_kinds=facts.kinds,
    )


def take_back(members: dict[TargetId, Member], step: int | None, now: datetime) -> None:
    """Send what moved back to what it had: in one step, or (None) in all of them."""
    for id_, member in members.items():
        if step in (None, member.step) and _may_return(member):
            members[id_] = moved(member, TargetEvent.RETURN, now)


def withdraw(members: dict[TargetId, Member], now: datetime) -> None:
    """Hold what was let go and does not move yet; what is assigned already is taken up again at the next look."""
    for id_, member in members.items():
        if member.state is TargetState.PENDING:
            members[id_] = moved(member, TargetEvent.WITHDRAWN, now)


def _version(rollout: Rollout, facts: Facts, now: datetime) -> Standing:
    """Start again from the first step when a target has to go somewhere else; what was refused stays refused."""
    standing, known = rollout.standing, rollout.members
    changed = {id_ for id_, item in facts.items() if id_ in known and _is_renewed(known[id_], item)}
    if not changed:
        return standing
    is_refused = any(m.refused for id_, m in known.items() if id_ in facts and id_ not in changed)
    if standing.state is not RolloutState.ABORTED or not is_refused:
        standing = stands(standing, RolloutEvent.NEW_VERSION, now)
    return replace(
        standing,
        version=standing.version + 1,
        passed=0,
        promoted=0,
        is_full=False,
        started=now,
        reason=standing.reason if standing.state not in RUNNING else "",
    )


def _is_renewed(member: Member, facts: TargetFacts) -> bool:
    """Whether a target has a new artifact to go to; its first one makes no new version of the rollout."""
    return bool(member.digest) and is_changed(member, facts)


def _count(open_step: int | None, plan: RolloutPlan) -> int:
    return len(plan.steps) if open_step is None else open_step


def _judge(
    gates: Gates,
    standing: Standing,
    members: dict[TargetId, Member],
    open_step: int | None,
    now: datetime,
) -> tuple[Standing, int | None]:
    failed = gates.failed_step()
    if failed is not None:
        return _stop(gates, standing, members, failed, now), failed
    if open_step is None:
        return stands(standing, RolloutEvent.FINISHED, now), None
    soaks = gates.is_settled(open_step)
    return stands(standing, RolloutEvent.SOAK if soaks else RolloutEvent.MOVING, now), open_step


def _stop(
    gates: Gates,
    standing: Standing,
    members: dict[TargetId, Member],
    failed: int,
    now: datetime,
) -> Standing:
    names = sorted(
        str(id_)
        for id_, member in gates.steps[failed].items()
        if member.state in (TargetState.FAILED, TargetState.RETURNED) and not member.excused
    )
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    reason = f"step {failed + 1} failed: {', '.join(names[:3])}{more}"
    event = RolloutEvent.SPENT
    if gates.plan.on_failure is OnFailure.RETURN:
        event = RolloutEvent.SPENT_RETURN
        take_back(members, failed, now)
    withdraw(members, now)
    return replace(stands(standing, event, now), reason=reason)


def _may_return(member: Member) -> bool:
    is_elsewhere = member.state in (TargetState.WAITING, TargetState.RETURNED)
    return member.moved and bool(member.previous) and not is_elsewhere


def _returning(
    standing: Standing,
    members: Mapping[TargetId, Member],
    facts: Facts,
    plan: RolloutPlan,
    now: datetime,
) -> Standing:
    """Wait until everything is back and well, but not for ever."""
    is_back = all(
        facts[id_].assigned == member.previous
        and (facts[id_].is_good or not facts[id_].is_online or _is_late(member, plan, now))
        for id_, member in members.items()
        if member.state is TargetState.RETURNED and not facts[id_].is_pinned
    )
    return stands(standing, RolloutEvent.BACK, now) if is_back else standing


def _is_late(member: Member, plan: RolloutPlan, now: datetime) -> bool:
    return plan.health_window is not None and member.since + plan.health_window <= now


def _next_look(
    plan: RolloutPlan,
    rollout: Rollout,
    facts: Facts,
    gates: Gates,
    open_step: int | None,
    now: datetime,
) -> datetime | None:
    return min(
        (at for at in _deadlines(plan, rollout, facts, gates, open_step) if at > now), default=None
    )


def _deadlines(
    plan: RolloutPlan, rollout: Rollout, facts: Facts, gates: Gates, open_step: int | None
) -> Iterator[datetime]:
    is_returning = rollout.standing.state is RolloutState.RETURNING
    waits = MOVING | {TargetState.WAITING, TargetState.HEALTHY, TargetState.RETURNED}
    for id_, member in rollout.members.items():
        end = expires(member, plan)
        if end is not None:
            yield end
        if is_returning and plan.health_window and member.state is TargetState.RETURNED:
            yield member.since + plan.health_window
        offline = facts[id_].offline_at
        if offline is not None and member.state in waits - {TargetState.HEALTHY}:
            yield offline
    if open_step is not None:
        end = gates.soak_end(open_step)
        if end is not None:
            yield end
