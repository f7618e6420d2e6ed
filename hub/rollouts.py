"""Rollouts: ApplicationSets with a RollingSync, carried out. Facts in, gates out.

One key per set, level-based: read what is known of its targets, let `fleet.rollouts` advance the durable rollout, write
what changed, then show it. `hub.dispatch` asks for the gate of every target and gets "stay" for whatever is not certain,
so that a stop at any moment lets nothing go early. A restart finds the same members in the same states; it gives the
agents a whole lease to be heard of again before it calls any cluster offline.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

import msgspec
import structlog
from prometheus_client import Counter

from fleet.codec.redaction import one_line
from fleet.errors import BadInput, NotReady
from fleet.model.identity import ClusterName, TargetId
from fleet.model.rollout import DeletionOrder, Member, Rollout, RolloutPlan, Standing, TargetState
from fleet.model.target import Target
from fleet.moves import Gate
from fleet.rollout import LET_GO
from fleet.rollouts import orders, removal
from fleet.rollouts.advance import Advanced, advance
from fleet.runtime import log as fields
from fleet.runtime.clock import Clock
from fleet.runtime.reconciler import Done, Outcome, RequeueAfter
from fleet.store.port import Change, Delete, Kind, Put, Store
from hub.rolloutfacts import RolloutFacts
from hub.state import State

log = structlog.get_logger(__name__)

NO_STEP = -1

PATIENCE = 0.05
PATIENCE_OF_ONE = 0.0005

_EVENTS = Counter("fleet_hub_rollout_states_total", "States that rollouts came into.", ["state"])


@dataclass(slots=True, kw_only=True)
class Rollouts:
    """The rollouts of all sets, written through to the store."""

    store: Store
    state: State
    clock: Clock
    facts: RolloutFacts
    look: Callable[[str, float], None]
    """Told a set that is to be looked at, and in how many seconds: more news may come meanwhile."""
    dispatch: Callable[[ClusterName], None]
    """Told a cluster whose gates changed."""
    rolled: Callable[[str], None] = lambda _name: None
    """Told a set whose rollout is through, at every look."""
    _rollouts: dict[str, Rollout] = field(default_factory=dict)
    _open: dict[str, int | None] = field(default_factory=dict)
    """The open step of each set at the last look."""
    _sets: dict[TargetId, str] = field(default_factory=dict)
    """The set of every member."""
    _busy: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def restore(self) -> None:
        """Read where every rollout stands."""
        self.facts.begin()
        standings: dict[str, Standing] = {}
        members: dict[str, dict[TargetId, Member]] = {}
        for key, data in (await self.store.load(Kind.ROLLOUTS)).items():
            name, _, target = key.partition("/")
            if target:
                member = msgspec.json.decode(data, type=Member)
                members.setdefault(name, {})[TargetId.parse(target)] = member
            else:
                standings[name] = msgspec.json.decode(data, type=Standing)
        for name, standing in standings.items():
            self._install(name, Rollout(standing=standing, members=members.get(name, {})))

    # what others ask

    def plan(self, name: str) -> RolloutPlan | None:
        """Return what a set asks for; of one that has no document now, what it asked for last."""
        appset = self.state.desired.appsets.get(name)
        if appset is not None:
            return appset.rollout
        rollout = self._rollouts.get(name)
        return rollout.standing.plan if rollout else None

    def names(self) -> frozenset[str]:
        """Return the sets that have a rollout, or should."""
        wanted = {name for name, item in self.state.desired.appsets.items() if item.rollout}
        return frozenset(wanted | self._rollouts.keys())

    def look_at_all(self) -> None:
        """Have every rollout looked at."""
        for name in self.names():
            self.look(name, self._patience(name))

    def look_at(self, targets: Iterable[TargetId]) -> None:
        """Have the rollouts of some targets looked at."""
        found = set()
        for id_ in targets:
            target = self.state.desired.targets.get(id_)
            name = target.application.appset if target else self._sets.get(id_, "")
            if name and self.plan(name) is not None:
                found.add(name)
        for name in found:
            self.look(name, self._patience(name))

    def _patience(self, name: str) -> float:
        """Seconds that news of a set are gathered: a look costs some 20 us a member, and shall be 4 % of the time."""
        rollout = self._rollouts.get(name)
        return max(PATIENCE, PATIENCE_OF_ONE * len(rollout.members) if rollout else 0.0)

    def get(self, name: str) -> Rollout | None:
        """Return where a rollout stands."""
        return self._rollouts.get(name)

    def open_step(self, name: str) -> int | None:
        """Return the index of the open step as the last look found it; None: all are done."""
        rollout = self._rollouts.get(name)
        if name in self._open or rollout is None:
            return self._open.get(name)
        passed = rollout.standing.passed
        return passed if passed < len(rollout.standing.plan.steps) else None

    def named(self) -> frozenset[str]:
        """Return the artifacts that a rollout may bring targets to."""
        return frozenset(
            digest
            for rollout in self._rollouts.values()
            for member in rollout.members.values()
            for digest in (member.digest, member.previous)
            if digest
        )

    def gate(self, target: Target) -> Gate | None:
        """Return what the rollout of its set says about a target; None where there is none."""
        name = target.application.appset
        plan = self.plan(name) if name else None
        if plan is None:
            return None
        if plan.invalid:
            return Gate(
                message=f"the rollout of ApplicationSet {name!r} is not valid: {plan.invalid}"
            )
        step = plan.step_of(target.application.labels)
        if step is None:
            return Gate(
                message=f"matches no step of the rollout of ApplicationSet {name!r}, so it is never synced: "
                "give it a label that a step selects"
            )
        rollout = self._rollouts.get(name)
        member = rollout.members.get(target.id) if rollout else None
        waits = f"waits for step {step + 1} of the rollout of ApplicationSet {name!r}"
        if member is None:
            return Gate(message=waits)
        if member.state is TargetState.RETURNED and member.previous:
            return Gate(
                message=f"the rollout of ApplicationSet {name!r} failed, and this went back to what it had",
                returned=member.previous,
                kinds=member.previous_kinds,
            )
        let_go = member.digest if member.state in LET_GO else ""
        return Gate(message=waits, let_go=let_go, automated=member.moved)

    def stays(self, leaving: TargetId) -> bool:
        """Whether a target of a removed set has to wait until it is its turn to go."""
        name = self._sets.get(leaving, "")
        rollout = self._rollouts.get(name)
        if rollout is None or not self._is_leaving_in_order(name):
            return False
        return leaving not in removal.may_go(rollout.members, self.facts.present)

    # carrying out

    async def reconcile(self, name: str) -> Outcome:
        """Advance one set's rollout."""
        if not self.state.desired.evaluated:
            return Done()
        async with self._busy:
            plan = self.plan(name)
            targets = self.facts.targets(name)
            if plan is None or (not targets and name not in self.state.desired.appsets):
                return await self._end(name)
            if plan.invalid:
                return Done()
            advanced = self._look(name, plan)
            await self._write(name, advanced)
            return self._next(advanced)

    async def order(self, name: str, order: orders.Order, options: orders.Options) -> str:
        """Do what a person says; returns a sentence for people."""
        async with self._busy:
            plan = self.plan(name)
            if plan is None or plan.invalid or not self.state.desired.evaluated:
                raise NotReady(
                    f"ApplicationSet {name!r} has no rollout that could be told to {order}",
                    hint=plan.invalid if plan else "spec.strategy.type: RollingSync makes one",
                )
            looked = self._look(name, plan)
            options = replace(options, reason=one_line(options.reason))
            now = self.clock.now()
            told = orders.obey(order, looked.rollout, looked.open_step, options, now)
            after = self._advanced(name, plan, told)
            await self._write(name, after)
            self.look(name, self._patience(name))  # what is due next may have changed
            log.info(
                "rollout told",
                appset=name,
                order=order.value,
                state=after.rollout.standing.state.value,
                reason_given=options.reason,
            )
        return f"the rollout of {name} is {after.rollout.standing.state}"

    def check(self, target: Target) -> None:
        """Raise BadInput for a target that `let_go` would refuse."""
        name = target.application.appset
        plan = self.plan(name) if name else None
        if plan is not None and (plan.invalid or plan.step_of(target.application.labels) is None):
            raise BadInput(self._refusal(target))

    async def let_go(self, target: Target) -> None:
        """Sync one target now, whatever the steps say (``fleet app sync``)."""
        name = target.application.appset
        plan = self.plan(name) if name else None
        if plan is None:
            return
        async with self._busy:
            self.check(target)
            looked = self._look(name, plan)
            facts = self.facts.of(name, plan, judged=NO_STEP)
            if target.id not in facts:
                raise NotReady(f"{target.id} is not wanted any more")
            member = orders.let_go(
                looked.rollout.members[target.id], facts[target.id], self.clock.now()
            )
            members = {**looked.rollout.members, target.id: member}
            await self._write(
                name, replace(looked, rollout=replace(looked.rollout, members=members))
            )
            self.look(name, self._patience(name))

    def _refusal(self, target: Target) -> str:
        gate = self.gate(target)
        return f"{target.id} cannot be synced: {gate.message if gate else 'it has no rollout'}"

    def _look(self, name: str, plan: RolloutPlan) -> Advanced:
        return self._advanced(name, plan, self._rollouts.get(name))

    def _advanced(self, name: str, plan: RolloutPlan, known: Rollout | None) -> Advanced:
        """Advance a rollout; only the open step is judged, so look again where another one opens by that."""
        judged = self._open.get(name) or 0
        while True:
            facts = self.facts.of(name, plan, judged=judged)
            advanced = advance(plan, known, facts, self.clock.now())
            last = len(plan.steps) - 1
            wanted = last if advanced.rollout.standing.is_full else (advanced.open_step or 0)
            if wanted <= judged:
                return advanced
            judged = wanted

    def _next(self, advanced: Advanced) -> Outcome:
        if advanced.look_again is None:
            return Done()
        return RequeueAfter(max(0.0, (advanced.look_again - self.clock.now()).total_seconds()))

    async def _write(self, name: str, advanced: Advanced) -> None:
        """Durable first, then visible; only what changed is written."""
        before, after = self._rollouts.get(name), advanced.rollout
        seen = {id_: self._brought(id_, member) for id_, member in after.members.items()}
        known = before.members if before else {}
        news = {id_: m for id_, m in after.members.items() if known.get(id_) != m}
        gone = known.keys() - after.members.keys()
        changes: list[Change] = [
            Put(Kind.ROLLOUTS, f"{name}/{id_}", msgspec.json.encode(member))
            for id_, member in news.items()
        ]
        changes += [Delete(Kind.ROLLOUTS, f"{name}/{id_}") for id_ in gone]
        if before is None or before.standing != after.standing:
            changes.append(Put(Kind.ROLLOUTS, name, msgspec.json.encode(after.standing)))
        if changes:
            await self.store.commit(*changes)
        self._install(name, after)
        self._open[name] = advanced.open_step
        self._tell(name, before, after, news)
        if advanced.open_step is None:
            self.state.rolled[name] = seen
            self.rolled(name)
        else:
            self.state.rolled.pop(name, None)
        for cluster in sorted({id_.cluster for id_ in (*news, *gone)}):
            self.dispatch(cluster)

    def _brought(self, id_: TargetId, member: Member) -> str:
        """The artifact that a rollout has nothing left to do for: of what takes no part in it, whatever git wants."""
        if member.state is TargetState.HEALTHY and id_ not in self.state.pins:
            return member.digest
        candidate = self.state.candidates.get(id_)
        return candidate.digest if candidate else ""

    def _tell(
        self, name: str, before: Rollout | None, after: Rollout, news: Mapping[TargetId, Member]
    ) -> None:
        let_go = sorted(str(id_) for id_, m in news.items() if m.state is TargetState.PENDING)
        state = after.standing.state
        is_new = before is None or before.standing.state is not state
        if is_new:
            _EVENTS.labels(state.value).inc()
        if is_new or let_go:
            log.info(
                "rollout",
                appset=name,
                state=state.value,
                version=after.standing.version,
                passed=after.standing.passed,
                let_go=let_go[:10],
                **{fields.COUNT: len(let_go), fields.REASON: after.standing.reason},
            )

    def _install(self, name: str, rollout: Rollout) -> None:
        before = self._rollouts.get(name)
        for id_ in (before.members.keys() if before else set()) - rollout.members.keys():
            self._sets.pop(id_, None)
        self._sets |= dict.fromkeys(rollout.members, name)
        self._rollouts[name] = rollout

    # removal

    def _is_leaving_in_order(self, name: str) -> bool:
        rollout = self._rollouts.get(name)
        return (
            rollout is not None
            and name not in self.state.desired.appsets
            and rollout.standing.plan.deletion_order is DeletionOrder.REVERSE
        )

    async def _end(self, name: str) -> Outcome:
        """Forget a rollout: at once, or when the last of a removed set is gone, if they go in order."""
        rollout = self._rollouts.get(name)
        if rollout is None:
            return Done()
        if self._is_leaving_in_order(name):
            going = removal.may_go(rollout.members, self.facts.present)
            for id_ in sorted(going):
                self.dispatch(id_.cluster)
            if going:
                return RequeueAfter(self.facts.lease.total_seconds())
        await self.store.commit(
            Delete(Kind.ROLLOUTS, name),
            *(Delete(Kind.ROLLOUTS, f"{name}/{id_}") for id_ in rollout.members),
        )
        del self._rollouts[name]
        self._open.pop(name, None)
        self.state.rolled.pop(name, None)
        for id_ in rollout.members:
            self._sets.pop(id_, None)
            self.dispatch(id_.cluster)
        return Done()
