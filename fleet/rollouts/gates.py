"""The gates: which step is open, how many of its targets may still be let go, and which come next.

A step is open when every step before it is done. Done means: each of its targets is Healthy, has failed within the
budget, or was set aside, and the step has soaked. A step whose changed targets are all set aside proved nothing and is
not done. Targets that are let go and wait for a dependency do not move: they lend their room to what they wait for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from fleet.model.identity import TargetId
from fleet.model.rollout import Member, RolloutPlan, Standing, TargetState
from fleet.rollouts.facts import Facts

MOVING = frozenset((TargetState.PENDING, TargetState.PROGRESSING))
FELL_SHORT = frozenset((TargetState.FAILED, TargetState.RETURNED))


@dataclass(frozen=True, slots=True, kw_only=True)
class Gates:
    """The steps of a rollout as its members stand."""

    plan: RolloutPlan
    standing: Standing
    facts: Facts
    steps: tuple[Mapping[TargetId, Member], ...]
    """The members of each step."""

    @classmethod
    def of(
        cls,
        plan: RolloutPlan,
        standing: Standing,
        facts: Facts,
        members: Mapping[TargetId, Member],
    ) -> Gates:
        """Sort the members into their steps."""
        steps: tuple[dict[TargetId, Member], ...] = tuple({} for _ in plan.steps)
        for id_, member in members.items():
            steps[member.step][id_] = member
        return cls(plan=plan, standing=standing, facts=facts, steps=steps)

    def failed_step(self) -> int | None:
        """Return the first step with more failures than the budget allows."""
        if self.plan.health_window is None:
            return None
        for index, members in enumerate(self.steps):
            failures = sum(
                member.state in FELL_SHORT and not member.excused for member in members.values()
            )
            if failures > self.plan.max_failures.of(len(members)):
                return index
        return None

    def open_step(self, now: datetime) -> int | None:
        """Return the first step that is not done; None when all are."""
        for index in range(len(self.steps)):
            if not self.is_settled(index):
                return index
            end = self.soak_end(index)
            if end is not None and end > now:
                return index
        return None

    def is_settled(self, index: int) -> bool:
        """Whether nothing more has to happen to the targets of a step than to stay as they are."""
        members = self.steps[index]
        return all(self._is_settled(id_, member) for id_, member in members.items()) and (
            self._is_proven(index)
        )

    def soak_end(self, index: int) -> datetime | None:
        """Return when the targets of a settled step that moved have been good for long enough."""
        if index < self.standing.passed or self._is_promoted(index):
            return None
        since = [
            member.since
            for member in self.steps[index].values()
            if member.state is TargetState.HEALTHY and member.moved
        ]
        return max(since) + self.plan.steps[index].soak if since else None

    def releases(self, index: int) -> list[TargetId]:
        """Return the targets of an open step that may be let go now."""
        members = self.steps[index]
        moving = [id_ for id_, member in members.items() if self._moves(id_, member)]
        waiting = [id_ for id_ in moving if self._is_held_back(id_)]
        limit = self.limit(index)
        room, lent_room = limit - len(moving), limit - len(moving) + len(waiting)
        lent = self._lent(waiting)
        chosen = []
        for id_ in sorted(id_ for id_, member in members.items() if self._is_ready(id_, member)):
            if room > 0 or (lent_room > 0 and id_ in lent):
                chosen.append(id_)
                room, lent_room = room - 1, lent_room - 1
        return chosen

    def limit(self, index: int) -> int:
        """Return how many targets of a step may move at a time; a step that a person promoted has no limit."""
        count = len(self.steps[index])
        return count if self._is_promoted(index) else self.plan.steps[index].room(count)

    def waits_for_a_person(self, index: int) -> bool:
        """Whether a step has something to do and lets nothing go before it is promoted (maxUpdate 0)."""
        states = {member.state for member in self.steps[index].values()}
        return self.limit(index) == 0 and TargetState.WAITING in states and not states & MOVING

    def _is_held_back(self, id_: TargetId) -> bool:
        return self.facts[id_].is_held_back or bool(self.facts[id_].blocked)

    def _moves(self, id_: TargetId, member: Member) -> bool:
        return member.state in MOVING and not self.facts[id_].is_pinned

    def _is_settled(self, id_: TargetId, member: Member) -> bool:
        facts = self.facts[id_]
        if facts.is_pinned:
            return True
        if not facts.is_known:
            return False
        if member.state is TargetState.RETURNED:
            return member.excused
        return member.state in (TargetState.HEALTHY, TargetState.FAILED, TargetState.SET_ASIDE)

    def _is_proven(self, index: int) -> bool:
        if self._is_promoted(index):
            return True
        states = {member.state for member in self.steps[index].values()}
        return TargetState.SET_ASIDE not in states or TargetState.HEALTHY in states

    def _is_promoted(self, index: int) -> bool:
        return self.standing.is_full or index < self.standing.promoted

    def _is_ready(self, id_: TargetId, member: Member) -> bool:
        facts = self.facts[id_]
        if member.state is not TargetState.WAITING or member.refused or not facts.is_known:
            return False
        if facts.candidate != member.digest or facts.is_pinned:
            return False
        if not facts.is_judged or facts.blocked:
            return False
        return facts.is_online and not any(
            self._comes_first(need, member.step) for need in facts.needs
        )

    def _comes_first(self, need: TargetId, index: int) -> bool:
        """Whether a dependency in the same step or an earlier one is not there yet: it goes first."""
        return any(
            need in members
            and members[need].state in MOVING | {TargetState.WAITING}
            and not members[need].refused
            for members in self.steps[: index + 1]
        )

    def _lent(self, waiting: Iterable[TargetId]) -> set[TargetId]:
        """Return what the targets that are let go wait for, directly and through others."""
        found: set[TargetId] = set()
        todo = list(waiting)
        while todo:
            facts = self.facts.get(todo.pop())
            new = (facts.lacks if facts else frozenset()) - found
            found |= new
            todo += new
        return found
