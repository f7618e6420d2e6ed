"""Children: what Applications on the management cluster bring to the fleet, from offers to rows in force.

`hub.parents` gathers the facts, `fleet.children` decides over all of them, and what would vanish is judged like the rows
of a set. It works on the result of the evaluation before, so that a parent that left is noticed one evaluation later;
whatever is not known right now leaves everything as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field, replace
from typing import TypeVar

from fleet import children, guard
from fleet.argo.children import Child, with_parents
from fleet.children import Choice
from fleet.generators import inforce
from fleet.model.application import Application, Deletion
from fleet.model.appset import ApplicationSet
from fleet.model.identity import AppName, TargetId
from fleet.model.project import AppProject
from fleet.model.report import Health
from fleet.model.target import Target
from fleet.model.world import World
from hub.accepted import PARENT, Rows
from hub.childsyncs import Request
from hub.claims import NO_WAITS, REMOVALS, Claims, Waits
from hub.judgement import Judge, Outcome
from hub.parents import Fact, Parents
from hub.sethealth import rate
from hub.state import Hold, SetStatus

K = TypeVar("K", bound=str)

HOLD = "children/"
"""What the subject of a hold on the children of an Application begins with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Adoption:
    """What came of the parents in one evaluation."""

    choices: Mapping[AppName, Choice] = field(default_factory=dict)
    parents: frozenset[AppName] = frozenset()
    """Those that were there."""
    targets: Mapping[TargetId, Target] = field(default_factory=dict)
    """Their targets as they were: the decision lags by one evaluation where these change."""
    appsets: Mapping[str, ApplicationSet] = field(default_factory=dict)
    projects: Mapping[str, AppProject] = field(default_factory=dict)
    requests: Mapping[AppName, Request] = field(default_factory=dict)
    """Those that were open: one that came later is still to be looked at."""
    judged_by: Mapping[str, AppProject] = field(default_factory=dict)
    """All projects as they were."""
    chains: Mapping[str, tuple[AppName, ...]] = field(default_factory=dict)
    """By set that is a child: the Applications above it."""
    claims: Claims = field(default_factory=Claims)
    """What does not render, and may bring what leaves elsewhere."""
    confirmed: Set[str] | None = None
    """What left and was seen leaving before everything was rendered; None: no manifests bring anything."""
    is_early: bool = False
    """Whether something could go if nothing new came into force: it is looked at again when that is rendered."""
    kept_back: frozenset[AppName] = frozenset()
    """Parents that may bring nothing because they were seen leaving."""
    awaited: frozenset[TargetId] = frozenset()
    being_rendered: frozenset[TargetId] = frozenset()
    awaited_children: frozenset[AppName] = frozenset()
    awaited_sets: frozenset[str] = frozenset()

    def lags(
        self,
        targets: Mapping[TargetId, Target],
        applications: Set[AppName],
        projects: Mapping[str, AppProject],
    ) -> bool:
        """Whether parents, or the projects that judge them, are others now than those that were decided about."""
        changed = any(targets.get(id_) != target for id_, target in self.targets.items())
        judged = not self.parents or projects == self.judged_by
        return changed or not judged or not self.parents <= applications

    def is_outdated(self, leaving: Set[str]) -> bool:
        """Whether it is to be decided again: what may go by now, or what a parent brings that does not leave after all."""
        return self.is_early or not self.kept_back <= leaving

    def hears_of(self, sets: Mapping[str, SetStatus]) -> bool:
        """Whether a set that a wave waits for is Healthy by its new result; one with a rollout tells of itself."""
        plans = {
            name: self.appsets[name].rollout for name in self.awaited_sets & self.appsets.keys()
        }
        return any(
            rate(sets.get(name), is_rolling=plan is not None and not plan.invalid) is Health.HEALTHY
            for name, plan in plans.items()
        )

    def hold_back(self, outcome: Outcome) -> Waits:
        """Hold what is leaving and may come back by what does not render now."""
        if self.confirmed is None:
            return NO_WAITS
        waits = self.claims.of(outcome.leaving, confirmed=self.confirmed)
        outcome.holds |= waits.holds()
        outcome.unsure |= waits.approved
        return waits

    def extend(self, world: World) -> World:
        """Add sets and projects; documents of the fleet repositories come first."""
        return replace(
            world,
            appsets={**self.appsets, **world.appsets},
            projects=children.with_brought(self.projects, world.projects),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Weight:
    """How a choice is judged."""

    subject: str
    verdict: guard.Verdict
    hold: Hold | None
    earlier: tuple[guard.Size, ...]
    harmless: frozenset[str]
    leaving: frozenset[str]
    count: int

    @property
    def message(self) -> str:
        """What it waits for."""
        return self.hold.message if self.hold else ""


@dataclass(slots=True, kw_only=True)
class Children:
    """Keeps the children of Applications in force."""

    parents: Parents
    _brought: dict[str, dict[AppName, tuple[Application, Application]]] = field(
        default_factory=dict
    )
    """By set: what it makes, without and with who is above it."""
    _seen_leaving: frozenset[str] = frozenset()
    _confirmed: frozenset[str] = frozenset()

    def adopt(self, judge: Judge) -> Adoption:
        """Decide about all children and judge what would vanish; the rows are in the judge's outcome then."""
        requests, judged_by = self.parents.syncs.open(), self.parents.projects(judge.world)
        world = replace(judge.world, projects=judged_by)
        claims = Claims(
            claimants=tuple(self.parents.claimants(world)),
            projects=judged_by,
            approvals=judge.approvals,
            documents=self.parents.documents,
        )
        facts = {fact.parent.name: fact for fact in self.parents.facts(world)}
        choices, weights = self._choose(facts, judge)
        confirmed = self._confirmed | self._rendered_since(claims, judge)
        is_moving = any(_brings(facts[name], choice) for name, choice in choices.items())
        is_early = is_moving and confirmed != self._confirmed
        if confirmed != self._confirmed and not is_moving:
            self._confirmed = confirmed
            choices, weights = self._choose(facts, judge)
        is_joined = any(cluster.management for cluster in judge.world.clusters)
        judge.confirmed = self._confirmed if is_joined else None
        for name, choice in choices.items():
            judge.outcome.leaving |= choice.leaving | weights[name].leaving
            self._put_in_force(facts[name], choice, weights[name], judge)
            fact = facts[name]
            place = str(fact.target.id) if fact.target else name
            judge.outcome.problems += children.problems(fact.parent, choice, place)
        rows = {name: judge.outcome.rows.get(PARENT + name, Rows()) for name in choices}
        awaited = {key for choice in choices.values() for key in choice.awaited}
        moving = [facts[name] for name, choice in choices.items() if choice.pending or choice.extra]
        return Adoption(
            choices=choices,
            parents=frozenset(name for name, fact in facts.items() if not fact.parent.is_gone),
            targets={fact.target.id: fact.target for fact in facts.values() if fact.target},
            appsets={key: item for each in rows.values() for key, item in each.appsets.items()},
            projects={key: item for each in rows.values() for key, item in each.projects.items()},
            requests=requests,
            judged_by=judged_by,
            claims=claims,
            confirmed=judge.confirmed,
            is_early=is_early,
            kept_back=frozenset(
                name
                for name, fact in facts.items()
                if name in self._seen_leaving and not fact.parent.is_gone
            ),
            chains={
                key: choices[name].chain for name, each in rows.items() for key in each.appsets
            },
            awaited=frozenset(id_ for fact in moving for id_ in fact.awaited),
            being_rendered=frozenset(
                fact.target.id for fact in moving if fact.is_rendering and fact.target
            ),
            awaited_children=frozenset(AppName(key) for key in awaited if "/" not in key),
            awaited_sets=frozenset(key.partition("/")[2] for key in awaited if "/" in key),
        )

    def _rendered_since(self, claims: Claims, judge: Judge) -> frozenset[str]:
        """Name what was seen leaving before everything was rendered, and of which nobody is known who may bring it.

        It may go, unless something new comes into force now: that is to be rendered first, and may bring or break it.
        """
        if self.parents.is_unsettled():
            # who does not render is not known yet, so what was approved may still have to wait
            judge.outcome.unsure |= {name for name in judge.approvals if name.startswith(REMOVALS)}
            return frozenset()
        waits = claims.of(self._seen_leaving, confirmed=self._confirmed)
        return self._seen_leaving - waits.waiting()

    def follow(self, leaving: Iterable[str]) -> None:
        """Note what was seen leaving: once everything is rendered again it may go."""
        self._seen_leaving = frozenset(leaving)
        self._confirmed &= self._seen_leaving

    def chained(
        self, owner: str, rows: Mapping[AppName, Application], adoption: Adoption
    ) -> Mapping[AppName, Application]:
        """Write into the Applications of a set who is above it; the same input gives the same objects."""
        chain = adoption.chains.get(owner, ())
        known = self._brought.pop(owner, {})
        if not chain:
            return rows
        brought = self._brought[owner] = {
            name: pair
            if (pair := known.get(name)) and pair[0] is item and pair[1].parents == chain
            else (item, with_parents(item, chain))
            for name, item in rows.items()
        }
        return {name: pair[1] for name, pair in brought.items()}

    async def settle(self, adoption: Adoption, outcome: Outcome) -> None:
        """Close requests that were carried out, or whose manifests are not the newest any more."""
        for name, request in sorted(adoption.requests.items()):
            choice, offer = adoption.choices.get(name), self.parents.offer(name)
            if offer is None and (choice is None or name in adoption.parents):
                continue  # not rendered yet, as after a restart
            current = offer is not None and self.parents.syncs.asks(name, offer.digest)
            busy = choice is not None and bool(
                choice.pending
                or choice.deferred
                or (request.prune and choice.extra and choice.waits_for)
                or HOLD + name in outcome.holds
            )
            if not (current and busy):
                await self.parents.syncs.done(name, request)

    def _choose(
        self, facts: Mapping[AppName, Fact], judge: Judge
    ) -> tuple[dict[AppName, Choice], dict[AppName, _Weight]]:
        """Decide until nobody else is held: what a held parent does not take stays with the one that has it."""
        fleet = self.parents.fleet(
            facts.values(), judge.world, confirmed=self._confirmed, leaving=self._seen_leaving
        )
        held: dict[AppName, _Weight] = {}
        while True:
            going = {key for weight in held.values() for key in weight.leaving}
            parents = [
                replace(
                    fact.parent,
                    waits_for=held[name].message if name in held else fact.parent.waits_for,
                    is_leaving=name in going,
                )
                for name, fact in facts.items()
            ]
            choices = children.choose(parents, fleet)
            weights = {
                name: held.get(name) or self._weigh(facts[name], choice, judge)
                for name, choice in choices.items()
            }
            now_held = {name: weight for name, weight in weights.items() if weight.hold}
            if now_held.keys() == held.keys():
                return choices, weights
            held = now_held

    def _weigh(self, fact: Fact, choice: Choice, judge: Judge) -> _Weight:
        """Judge all that a choice would remove at once or as soon as everything is rendered again."""
        parent = fact.parent
        rows = self.parents.accepted.get(PARENT + parent.name)
        before = {k: c for k, c in parent.in_force.items() if k not in choice.handed_over}
        after = {k: c for k, c in choice.in_force.items() if k not in choice.deferred}
        counted, harmless = _countable(before, judge), set[str]()
        if parent.is_gone:
            going = {
                AppName(k): item for k, item in _applications(before).items() if k not in after
            }
            harmless = {str(name) for name in inforce.harmless(going)}
            counted -= harmless
        elsewhere = len(parent.in_force) - len(counted | (after.keys() & before.keys()))
        earlier = guard.without(rows.sizes, elsewhere)
        offer = parent.offer
        verdict = children.judge(
            parent.name,
            counted,
            set(after),
            largest=guard.baseline(earlier, judge.now),
            application=fact.application,
            is_empty=offer is not None and not offer.children and not offer.others,
        )
        subject = HOLD + parent.name
        hold = judge.held(
            subject,
            verdict,
            new={key: child.item for key, child in after.items() if child.item},
            previous={key: child.item for key, child in before.items() if child.item},
        )
        return _Weight(
            subject=subject,
            verdict=verdict,
            hold=hold,
            earlier=earlier,
            harmless=frozenset(harmless),
            leaving=choice.leaving,
            count=len(after),
        )

    def _put_in_force(self, fact: Fact, choice: Choice, weight: _Weight, judge: Judge) -> None:
        """Put the choice of one parent in the rows; an approval has served only when everything is gone."""
        parent, outcome = fact.parent, judge.outcome
        owner = PARENT + parent.name
        rows = self.parents.accepted.get(owner)
        sizes = rows.sizes
        outcome.harmless |= weight.harmless
        if weight.hold is not None:
            outcome.holds[weight.subject] = weight.hold
        elif choice.deferred or (parent.offer is None and not parent.is_gone):
            outcome.unsure.add(weight.subject)
        else:
            sizes = judge.passed(weight.subject, weight.verdict, weight.earlier, weight.count)
        if choice.in_force or (sizes and not parent.is_gone):
            outcome.rows[owner] = self._rows(fact, rows, choice, sizes)

    def _rows(
        self, fact: Fact, before: Rows, choice: Choice, sizes: tuple[guard.Size, ...]
    ) -> Rows:
        """Make the rows of a parent; the same ones if nothing changed."""
        items = [child.item for child in choice.in_force.values()]
        application = fact.application
        new = Rows(
            applications={
                item.name: with_parents(item, choice.chain)
                for item in items
                if isinstance(item, Application)
            },
            appsets={item.name: item for item in items if isinstance(item, ApplicationSet)},
            projects={item.name: item for item in items if isinstance(item, AppProject)},
            sizes=sizes,
            outlive=before.outlive
            if application is None
            else application.deletion is Deletion.ORPHAN,
        )
        return before if _is_same(new, before) else new


def _brings(fact: Fact, choice: Choice) -> bool:
    """Whether a choice puts anything in force that is not yet, or not in this version."""
    before = fact.parent.in_force
    return any(not child.is_same(before.get(key)) for key, child in choice.in_force.items())


def _countable(before: Mapping[str, Child], judge: Judge) -> set[str]:
    """What counts as removed: everything but Applications whose cluster is not there."""
    known = judge.countable({AppName(key): item for key, item in _applications(before).items()})
    return {key for key, child in before.items() if child.kind != "Application" or key in known}


def _applications(found: Mapping[str, Child]) -> dict[str, Application]:
    return {k: child.item for k, child in found.items() if isinstance(child.item, Application)}


def _is_same(new: Rows, before: Rows) -> bool:
    def same(left: Mapping[K, object], right: Mapping[K, object]) -> bool:
        return left.keys() == right.keys() and all(item is right[key] for key, item in left.items())

    return (
        same(new.applications, before.applications)
        and same(new.appsets, before.appsets)
        and same(new.projects, before.projects)
        and (new.sizes, new.outlive) == (before.sizes, before.outlive)
    )
