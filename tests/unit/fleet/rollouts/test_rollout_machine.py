"""The machine under random fleets, orders, failures and restarts: the three promises of a rollout.

Never more than maxUpdate targets of a step are let go at once, never one before every target of the steps before it is
settled, and whatever happened, it comes to an end once the world holds still.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from fleet.errors import BadInput
from fleet.model.identity import AppName, ClusterName, TargetId
from fleet.model.rollout import (
    Limit,
    Member,
    Offline,
    OnFailure,
    Rollout,
    RolloutPlan,
    RolloutState,
    Standing,
    Step,
    TargetState,
)
from fleet.rollout import (
    LET_GO,
    ROLLOUTS,
    TARGETS,
    RolloutEvent,
    TargetEvent,
    WrongEvent,
    moved,
    stands,
)
from fleet.rollouts import orders
from fleet.rollouts.advance import Advanced, advance
from fleet.rollouts.facts import TargetFacts

START = datetime(2026, 1, 1, tzinfo=UTC)
WINDOW = timedelta(minutes=5)
SETTLED = {TargetState.HEALTHY, TargetState.FAILED, TargetState.SET_ASIDE}


@dataclass
class Spoke:
    """One target in the field."""

    step: int
    candidate: str
    assigned: str = ""
    applied: str = ""
    is_online: bool = True
    is_sick: bool = False
    needs: frozenset[TargetId] = frozenset()


@dataclass
class Field:
    """Hub, agents and clock, as far as a rollout can tell."""

    plan: RolloutPlan
    spokes: dict[TargetId, Spoke]
    now: datetime = START
    rollout: Rollout | None = None
    bad: set[str] = field(default_factory=set)
    """Artifacts that never turn Healthy."""
    last: Advanced | None = None

    def is_good(self, id_: TargetId) -> bool:
        spoke = self.spokes[id_]
        return (
            spoke.is_online
            and bool(spoke.assigned)
            and spoke.applied == spoke.assigned
            and spoke.assigned not in self.bad
            and not spoke.is_sick
        )

    def facts(self) -> dict[TargetId, TargetFacts]:
        found = {}
        for id_, spoke in self.spokes.items():
            lacks = frozenset(need for need in spoke.needs if not self.is_good(need))
            found[id_] = TargetFacts(
                step=spoke.step,
                candidate=spoke.candidate,
                assigned=spoke.assigned,
                is_applied=True,
                is_good=self.is_good(id_),
                is_held_back=bool(lacks) and spoke.applied != spoke.assigned,
                blocked="a dependency" if lacks else "",
                needs=spoke.needs,
                lacks=lacks,
                is_online=spoke.is_online,
            )
        return found

    def look(self) -> Advanced:
        self.last = advance(self.plan, self.rollout, self.facts(), self.now)
        self.rollout = self.last.rollout
        return self.last

    def member(self, id_: TargetId) -> Member:
        assert self.rollout is not None
        return self.rollout.members[id_]

    def dispatch(self) -> None:
        """Assign what is let go, and what goes back."""
        for id_, spoke in self.spokes.items():
            member = self.member(id_)
            if member.state is TargetState.RETURNED and member.previous is not None:
                spoke.assigned = member.previous
            elif member.state in LET_GO and member.digest == spoke.candidate:
                lacks = any(not self.is_good(need) for need in spoke.needs)
                if not lacks:
                    spoke.assigned = member.digest

    def apply(self) -> None:
        """Every agent that can does what it is assigned."""
        for id_, spoke in self.spokes.items():
            if spoke.is_online and all(self.is_good(need) for need in spoke.needs):
                spoke.applied = spoke.assigned
            assert id_ in self.spokes

    def state(self) -> RolloutState:
        assert self.rollout is not None
        return self.rollout.standing.state


def target(number: int) -> TargetId:
    return TargetId(ClusterName(f"c{number}"), AppName("web"))


def moving(rollout: Rollout, step: int) -> set[TargetId]:
    busy = (TargetState.PENDING, TargetState.PROGRESSING)
    return {id_ for id_, m in rollout.members.items() if m.step == step and m.state in busy}


limits = st.one_of(
    st.none(),
    st.builds(Limit, amount=st.integers(1, 3)),
    st.builds(Limit, amount=st.integers(1, 100), is_percent=st.just(True)),
)
steps = st.builds(
    Step,
    max_update=limits,
    soak=st.sampled_from((timedelta(), timedelta(minutes=1), timedelta(minutes=20))),
)
plans = st.builds(
    RolloutPlan,
    steps=st.lists(steps, min_size=1, max_size=4).map(tuple),
    health_window=st.just(WINDOW),
    max_failures=st.builds(Limit, amount=st.integers(0, 2)),
    on_failure=st.sampled_from(OnFailure),
    offline=st.sampled_from(Offline),
)


class Machine(RuleBasedStateMachine):
    """Anything may happen in any order."""

    world: Field
    commits: int

    @initialize(
        plan=plans, places=st.lists(st.integers(0, 3), min_size=1, max_size=9), data=st.data()
    )
    def begin(self, plan: RolloutPlan, places: list[int], data: st.DataObject) -> None:
        self.commits = 0
        spokes: dict[TargetId, Spoke] = {}
        for number, place in enumerate(places):
            step = min(place, len(plan.steps) - 1)
            earlier = [id_ for id_, other in spokes.items() if other.step <= step]
            needs = data.draw(st.sets(st.sampled_from(earlier), max_size=1)) if earlier else set()
            spokes[target(number)] = Spoke(
                step=step,
                candidate="d0",
                assigned=data.draw(st.sampled_from(("", "d0"))),
                needs=frozenset(needs),
            )
        for spoke in spokes.values():
            spoke.applied = spoke.assigned
        self.world = Field(plan=plan, spokes=spokes)
        self.watch()

    def watch(self) -> None:
        """Look, and hold every release against the promises."""
        before = self.world.rollout
        after = self.world.look().rollout
        known = before.members if before else {}
        let_go = {
            id_
            for id_, member in after.members.items()
            if member.state is TargetState.PENDING
            and (id_ not in known or known[id_].state is not TargetState.PENDING)
            and self.world.spokes[id_].assigned != member.digest  # else it is only held back again
        }
        if let_go:
            assert after.standing.state is RolloutState.PROGRESSING
        facts = self.world.facts()
        for id_ in let_go:
            step = after.members[id_].step
            for other, member in after.members.items():
                if member.step < step and not after.standing.is_full:
                    is_excused = member.state is TargetState.RETURNED and member.excused
                    assert member.state in SETTLED or is_excused, f"{id_} before {other}"
        for step in {after.members[id_].step for id_ in let_go}:
            at_once = {
                i
                for i in moving(after, step)
                if not facts[i].is_held_back and (i in let_go or not facts[i].blocked)
            }
            count = sum(member.step == step for member in after.members.values())
            is_promoted = after.standing.is_full or step < after.standing.promoted
            assert is_promoted or len(at_once) <= self.world.plan.steps[step].room(count)

    @rule()
    def look(self) -> None:
        self.watch()

    @rule(kind=st.sampled_from(("good", "bad")), data=st.data())
    def commit(self, kind: str, data: st.DataObject) -> None:
        self.commits += 1
        digest = f"d{self.commits}"
        if kind == "bad":
            self.world.bad.add(digest)
        everybody = sorted(self.world.spokes)
        for id_ in data.draw(st.sets(st.sampled_from(everybody), min_size=1)):
            self.world.spokes[id_].candidate = digest
        self.watch()

    @rule()
    def dispatch(self) -> None:
        self.world.dispatch()

    @rule()
    def apply(self) -> None:
        self.world.apply()
        self.watch()

    @rule(number=st.integers(0, 8))
    def flap(self, number: int) -> None:
        spoke = self.world.spokes.get(target(number))
        if spoke is not None:
            spoke.is_online = not spoke.is_online
            self.watch()

    @rule(number=st.integers(0, 8))
    def sicken(self, number: int) -> None:
        spoke = self.world.spokes.get(target(number))
        if spoke is not None:
            spoke.is_sick = not spoke.is_sick
            self.watch()

    @rule(minutes=st.sampled_from((1, 4, 6, 30)))
    def wait(self, minutes: int) -> None:
        self.world.now += timedelta(minutes=minutes)
        self.watch()

    @rule()
    def restart(self) -> None:
        """What is durable is all there is, and a new look at the same facts changes nothing."""
        rollout = self.world.look().rollout
        standing = msgspec.json.decode(msgspec.json.encode(rollout.standing), type=Standing)
        members = {
            id_: msgspec.json.decode(msgspec.json.encode(member), type=Member)
            for id_, member in rollout.members.items()
        }
        self.world.rollout = Rollout(standing=standing, members=members)
        assert self.world.rollout == rollout
        again = self.world.look().rollout
        assert again.members == rollout.members
        assert again.standing.passed == rollout.standing.passed

    @rule(order=st.sampled_from(orders.Order), back=st.booleans())
    def say(self, order: orders.Order, back: bool) -> None:
        assert self.world.rollout is not None
        assert self.world.last is not None
        options = orders.Options(take_back=back)
        try:
            self.world.rollout = orders.obey(
                order, self.world.rollout, self.world.last.open_step, options, self.world.now
            )
        except BadInput:
            return
        self.watch()

    def teardown(self) -> None:
        """The world holds still from now on: it ends."""
        if not hasattr(self, "world"):
            return
        world = self.world
        for spoke in world.spokes.values():
            spoke.is_online, spoke.is_sick = True, False
        for _ in range(40 + 12 * len(world.spokes) * (1 + len(world.plan.steps))):
            last = world.look()
            world.dispatch()
            world.apply()
            world.now += timedelta(minutes=1)
            if last.look_again is not None:
                world.now = max(world.now, last.look_again)
        ended = {RolloutState.DONE, RolloutState.STOPPED, RolloutState.PAUSED, RolloutState.ABORTED}
        members = world.look().rollout.members
        is_held = any(member.refused for member in members.values())
        is_blocked = any(not world.is_good(need) for s in world.spokes.values() for need in s.needs)
        if not is_held and not is_blocked:
            assert world.state() in ended


EXAMPLES = max(60, settings.default.max_examples // 20 if settings.default else 0)
"""Sixty, or a thousand with ``FLEET_HYPOTHESIS=thorough``: one is forty steps."""
Machine.TestCase.settings = settings(
    max_examples=EXAMPLES,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
TestMachine = Machine.TestCase


@pytest.mark.parametrize("state", TargetState)
@pytest.mark.parametrize("event", TargetEvent)
def test_a_target_knows_an_event_or_refuses_it(state: TargetState, event: TargetEvent) -> None:
    member = Member(state=state, digest="d1", since=START, step=0)
    later = START + WINDOW
    if (state, event) in TARGETS:
        assert moved(member, event, later) == replace(
            member, state=TARGETS[state, event], since=later
        )
    else:
        with pytest.raises(WrongEvent, match=f"{state} does not know {event}"):
            moved(member, event, later)


@pytest.mark.parametrize("state", RolloutState)
@pytest.mark.parametrize("event", RolloutEvent)
def test_a_rollout_knows_an_event_or_refuses_it(state: RolloutState, event: RolloutEvent) -> None:
    standing = Standing(state=state, since=START)
    later = START + WINDOW
    if (state, event) in ROLLOUTS:
        after = stands(standing, event, later)
        assert after.state is ROLLOUTS[state, event]
        assert after.since == (START if after.state is state else later)
    else:
        with pytest.raises(WrongEvent, match=f"{state} does not know {event}"):
            stands(standing, event, later)


def test_every_state_can_be_reached_and_left() -> None:
    assert set(TARGETS.values()) == set(TargetState)
    assert {before for before, _ in TARGETS} == set(TargetState)
    assert set(ROLLOUTS.values()) == set(RolloutState)
    assert {before for before, _ in ROLLOUTS} == set(RolloutState)
