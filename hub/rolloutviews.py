"""How rollouts stand, for people: facts of the hub in the words of `fleet.wire.rollouts`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from fleet.model.identity import TargetId
from fleet.model.rollout import Member, Rollout, RolloutPlan, TargetState
from fleet.moves import describe
from fleet.rollouts.advance import RUNNING
from fleet.rollouts.facts import Facts, TargetFacts
from fleet.rollouts.gates import Gates
from fleet.runtime.clock import Clock
from fleet.wire import rollouts as wire
from hub.peoplehttp import NotFound
from hub.rolloutfacts import RolloutFacts
from hub.rollouts import Rollouts
from hub.state import State

INVALID = "Invalid"
UNMATCHED = "Unmatched"
WAITS_FOR_PROMOTE = "Held"
"""State of an open step that lets nothing go unless a person promotes it."""
_MOVING = (TargetState.PENDING, TargetState.PROGRESSING)
_FAILED = (TargetState.FAILED, TargetState.RETURNED)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """One set as it is looked at."""

    name: str
    plan: RolloutPlan
    rollout: Rollout
    facts: Facts
    unmatched: tuple[TargetId, ...]
    open_step: int | None


@dataclass(slots=True, kw_only=True)
class RolloutViews:
    """What is shown of rollouts."""

    state: State
    rollouts: Rollouts
    facts: RolloutFacts
    clock: Clock

    def rows(self) -> wire.RolloutList:
        """Every set with a rollout."""
        names = sorted(self.rollouts.names())
        return wire.RolloutList(items=tuple(self._row(self._see(name)) for name in names))

    def detail(self, name: str) -> wire.RolloutDetail:
        """One set; raises NotFound."""
        if name not in self.rollouts.names():
            is_known = name in self.state.desired.appsets
            raise NotFound(
                f"ApplicationSet {name!r} has no rollout: its strategy is not RollingSync"
                if is_known
                else f"there is no ApplicationSet {name!r}"
            )
        seen = self._see(name, whole=True)
        started = seen.rollout.standing.started
        window = seen.plan.health_window
        return wire.RolloutDetail(
            rollout=self._row(seen),
            started=started.isoformat() if started else "",
            health_window_seconds=int(window.total_seconds()) if window else None,
            max_failures=str(seen.plan.max_failures),
            on_failure=seen.plan.on_failure.value,
            offline=seen.plan.offline.value,
            deletion_order=seen.plan.deletion_order.value,
            steps=tuple(self._steps(seen)),
            targets=(*self._targets(seen), *self._unmatched(seen)),
        )

    def line(self, name: str) -> str:
        """One sentence about a set's rollout; empty where it has none."""
        if self.rollouts.plan(name) is None:
            return ""
        row = self._row(self._see(name))
        at = f", step {row.step} of {row.steps}" if row.step else ""
        counts = f"{row.healthy} of {row.targets} healthy"
        lost = f", {row.unmatched} match no step" if row.unmatched else ""
        return f"{row.state}{at}: {counts}{lost}" + (f": {row.message}" if row.message else "")

    def _see(self, name: str, *, whole: bool = False) -> _Seen:
        """Look at a set; only ``whole`` has the facts about each target, for they cost."""
        plan = self.rollouts.plan(name) or RolloutPlan()
        facts: Facts = {}
        unmatched: tuple[TargetId, ...] = ()
        if not plan.invalid:
            unmatched = self.facts.unmatched(name, plan)
            facts = self.facts.of(name, plan, judged=len(plan.steps)) if whole else {}
        return _Seen(
            name=name,
            plan=plan,
            rollout=self.rollouts.get(name) or Rollout(),
            facts=facts,
            unmatched=unmatched,
            open_step=self.rollouts.open_step(name),
        )

    def _row(self, seen: _Seen) -> wire.RolloutRow:
        members = seen.rollout.members.values()
        counts = Counter(member.state for member in members)
        standing = seen.rollout.standing
        is_open = not seen.plan.invalid and seen.open_step is not None
        return wire.RolloutRow(
            name=seen.name,
            state=INVALID if seen.plan.invalid else standing.state.value,
            version=standing.version,
            step=seen.open_step + 1 if is_open and seen.open_step is not None else 0,
            steps=len(seen.plan.steps),
            targets=len(members),
            waiting=counts[TargetState.WAITING],
            moving=sum(counts[state] for state in _MOVING),
            healthy=counts[TargetState.HEALTHY],
            failed=sum(counts[state] for state in _FAILED),
            set_aside=counts[TargetState.SET_ASIDE],
            unmatched=len(seen.unmatched),
            message=seen.plan.invalid or standing.reason,
        )

    def _steps(self, seen: _Seen) -> Iterable[wire.RolloutStepRow]:
        if seen.plan.invalid:
            return
        gates = _gates(seen)
        for index, step in enumerate(seen.plan.steps):
            members = gates.steps[index]
            counts = Counter(member.state for member in members.values())
            state, until = self._step_state(seen, gates, index)
            yield wire.RolloutStepRow(
                number=index + 1,
                state=state,
                max_update="" if step.max_update is None else str(step.max_update),
                room=gates.limit(index),
                soak_seconds=int(step.soak.total_seconds()),
                soaks_until=until.isoformat() if until else "",
                targets=len(members),
                waiting=counts[TargetState.WAITING],
                moving=sum(counts[each] for each in _MOVING),
                healthy=counts[TargetState.HEALTHY],
                failed=sum(counts[each] for each in _FAILED),
                set_aside=counts[TargetState.SET_ASIDE],
            )

    def _step_state(self, seen: _Seen, gates: Gates, index: int) -> tuple[str, datetime | None]:
        if seen.open_step is None or index < seen.open_step:
            return "Done", None
        if index > seen.open_step:
            return "Closed", None
        if gates.waits_for_a_person(index):
            return WAITS_FOR_PROMOTE, None
        end = gates.soak_end(index) if gates.is_settled(index) else None
        if end is not None and end > self.clock.now():
            return "Soaking", end
        return "Open", None

    def _targets(self, seen: _Seen) -> Iterable[wire.RolloutTargetRow]:
        members = seen.rollout.members
        for id_ in sorted(members, key=lambda id_: (members[id_].step, id_)):
            member = members[id_]
            yield wire.RolloutTargetRow(
                target=str(id_),
                step=member.step + 1,
                state=member.state.value,
                digest=member.digest,
                previous=member.previous or "",
                since=member.since.isoformat(),
                message=self._message(seen, id_, member),
            )

    def _unmatched(self, seen: _Seen) -> Iterable[wire.RolloutTargetRow]:
        for id_ in seen.unmatched:
            yield wire.RolloutTargetRow(
                target=str(id_), step=0, state=UNMATCHED, digest="", previous="", since="",
                message="matches no step: it is never synced",
            )  # fmt: skip

    def _message(self, seen: _Seen, id_: TargetId, member: Member) -> str:
        facts = seen.facts.get(id_)
        if facts is None:
            return "leaves"
        match member.state:
            case TargetState.WAITING:
                return _why_waiting(seen, member, facts)
            case TargetState.PENDING:
                return facts.blocked or "is being assigned"
            case TargetState.SET_ASIDE:
                return f"cluster {id_.cluster} is offline: it is caught up when it comes back"
            case TargetState.RETURNED:
                return "went back to what it had"
            case TargetState.PROGRESSING | TargetState.FAILED:
                status = self.state.status(id_)
                return f"is {describe(status)}: {status.message}".rstrip(": ") if status else ""
            case TargetState.HEALTHY:
                return "is kept at an earlier version by a person" if facts.is_pinned else ""


def _why_waiting(seen: _Seen, member: Member, facts: TargetFacts) -> str:
    if member.refused:
        return "this version was aborted"
    if not facts.is_known:
        return "its newest version is not rendered"
    if seen.open_step is not None and member.step > seen.open_step:
        return f"step {seen.open_step + 1} is not done"
    if facts.blocked:
        late = sorted(str(id_) for id_ in facts.lacks if _is_later(seen, id_, member))
        hint = f" ({', '.join(late)} is in a later step: it has to come first)" if late else ""
        return facts.blocked + hint
    if not facts.is_online:
        return "its cluster is offline"
    if seen.rollout.standing.state not in RUNNING:
        return f"the rollout is {seen.rollout.standing.state}"
    if member.step == seen.open_step and _gates(seen).limit(member.step) == 0:
        return "maxUpdate of its step is 0: it waits for fleet rollout promote"
    return "waits for its turn"


def _gates(seen: _Seen) -> Gates:
    known = {id_: m for id_, m in seen.rollout.members.items() if id_ in seen.facts}
    known = {id_: m for id_, m in known.items() if m.step < len(seen.plan.steps)}
    return Gates.of(seen.plan, seen.rollout.standing, seen.facts, known)


def _is_later(seen: _Seen, needed: TargetId, member: Member) -> bool:
    other = seen.rollout.members.get(needed)
    return other is not None and other.step > member.step
