"""Judgement: of an evaluation's results, which may come into force and which wait for somebody's yes.

Rows of a set that failed stay as they were, what a result would remove is counted against the shrink budget of its
owner and then of the whole fleet, and of two owners of one name the first keeps it. Nothing is fetched or written
here: `hub.evaluate` brings the results and puts the outcome in force.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TypeAlias, TypeVar

from fleet import guard
from fleet.argo.documents import Problem
from fleet.argo.policy import Trim
from fleet.errors import BadInput
from fleet.generators import inforce
from fleet.generators.result import Failed, Generated, Inputs
from fleet.model.application import Application, Destination
from fleet.model.appset import ApplicationSet
from fleet.model.identity import AppName
from fleet.model.world import World
from fleet.targets import ClusterIndex
from hub import setstatus
from hub.accepted import BY_HAND, FLEET, NO_ROWS, PARENT, Accepted, Rows, is_set, owner_of
from hub.state import Hold, SetStatus

T = TypeVar("T", bound=str)
_Applications: TypeAlias = Mapping[AppName, Application]

APP = "app/"
"""What the subject of a hold on one application begins with."""


@dataclass(slots=True)
class Outcome:
    """What judging collects over all sets."""

    rows: dict[str, Rows] = field(default_factory=dict)
    sets: dict[str, SetStatus] = field(default_factory=dict)
    holds: dict[str, Hold] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    approved: set[str] = field(default_factory=set)
    """Names whose removal somebody said yes to: they do not count against the fleet's budget."""
    harmless: set[str] = field(default_factory=set)
    """Names that go with their owner and leave everything on their clusters: no removals either."""
    used_approvals: set[str] = field(default_factory=set)
    unsure: set[str] = field(default_factory=set)
    """Subjects of which it is not known now whether anything of them is to be held."""
    leaving: set[str] = field(default_factory=set)
    """What goes, or waits until everything was rendered since it was seen leaving."""


@dataclass(slots=True, kw_only=True)
class Judge:
    """Judges one evaluation."""

    accepted: Accepted
    approvals: Mapping[str, str]
    world: World
    complete: bool
    """Whether every fleet repository was read: until then nothing is missing."""
    now: datetime
    confirmed: Set[str] | None = None
    """Applications that were seen leaving before everything was rendered again: the manifests of another Application
    may bring what a document or a set lets go. None: no manifests bring anything."""
    outcome: Outcome = field(default_factory=Outcome)
    _index: ClusterIndex = field(init=False)
    _reachable: dict[tuple[str, str], bool] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._index = ClusterIndex.of(self.world)

    def sets(
        self,
        results: Mapping[str, Generated | Failed],
        trims: Mapping[str, Mapping[str, Trim]],
    ) -> None:
        """Judge the result of every set, and those whose document is gone."""
        outcome = self.outcome
        for name in sorted(set(results) | self.accepted.names()):
            previous = self.accepted.get(name)
            result = results.get(name)
            if result is None and not self.complete:
                result = Failed(errors=(), inputs=Inputs())
            elif result is None and self.accepted.is_unread_set(name):
                result = setstatus.unread(name)
            if isinstance(result, Failed):
                outcome.rows[name] = previous
                outcome.sets[name] = setstatus.failed(name, result, previous)
                continue
            self._set(name, result, trims.get(name, {}))
        for name in outcome.rows.keys() - self.world.appsets.keys():
            if is_set(name):
                self._hand_over(name)

    def combined(
        self, chained: Callable[[str, _Applications], _Applications]
    ) -> dict[AppName, Application]:
        """Put the rows of all owners together: what is written by hand, what Applications bring, what sets make.

        ``chained`` writes into the Applications of a set who is above it.
        """
        outcome = self.outcome
        applications = {AppName(name): item for name, item in self.world.applications.items()}
        if not self.complete:
            applications = {**self.accepted.get(BY_HAND).applications, **applications}
        outcome.rows[BY_HAND] = Rows(applications=dict(applications))
        for name in sorted(
            outcome.rows.keys() - {BY_HAND, FLEET}, key=lambda name: (is_set(name), name)
        ):
            rows = chained(name, outcome.rows[name].applications)
            if applications.keys().isdisjoint(rows):
                applications |= rows
                continue
            for item in rows.values():
                first = applications.setdefault(item.name, item)
                if first is not item:
                    outcome.problems.append(setstatus.claimed_twice(item, first))
        return applications

    def fleet(self, applications: dict[AppName, Application]) -> dict[AppName, Application]:
        """Judge what the evaluation as a whole would remove; returns what is in force with it."""
        outcome = self.outcome
        previous = self._previous()
        leaving = previous.keys() - applications.keys()
        outcome.leaving |= leaving
        fresh = set() if self.confirmed is None else leaving - self.confirmed
        if fresh:
            applications = self._keep(fresh, previous, applications)
            # an approval of these has not served yet
            owners = {f"appset/{owner_of(previous[name])}" for name in fresh}
            outcome.used_approvals -= owners
            outcome.unsure |= owners | {"fleet"}
        countable = self._countable_if_lost(previous, applications) - outcome.harmless
        counted = countable - outcome.approved
        sizes = guard.without(
            self.accepted.get(FLEET).sizes, len(set(previous) - countable - set(applications))
        )
        unread = set(self.accepted.unread_applications())  # these stay where they are
        verdict = guard.judge(
            counted | unread,
            set(applications) | unread,
            largest=guard.baseline(sizes, self.now) - len(outcome.approved),
            what="this evaluation of the fleet",
            allowed=0 if self.accepted.is_uncounted(FLEET, self.now) else None,
        )
        if verdict.held:
            hold = setstatus.hold("fleet", verdict, {}, {})
            if self.approvals.get("fleet") != hold.digest:
                outcome.holds["fleet"] = hold
                return self._keep(verdict.removed, previous, applications)
            outcome.used_approvals.add("fleet")
            sizes = ()
        count = len(applications.keys() | unread)
        if outcome.approved or not sizes or sizes[-1].count != count:
            earlier = () if outcome.approved else sizes
            sizes = guard.remember(earlier, count, self.now)
        outcome.rows[FLEET] = Rows(sizes=sizes)
        return applications

    def countable(self, applications: Mapping[AppName, Application]) -> set[str]:
        """Names whose loss counts: an application of a cluster that left git is detached, not removed."""
        return {name for name, item in applications.items() if self._has_cluster(item)}

    def held(
        self,
        subject: str,
        verdict: guard.Verdict,
        *,
        new: Mapping[T, setstatus.Documented],
        previous: Mapping[T, setstatus.Documented],
    ) -> Hold | None:
        """Hold a result, unless the budget has room for it or exactly this was approved."""
        if not verdict.held:
            return None
        hold = setstatus.hold(subject, verdict, new, previous)
        return None if self.approvals.get(subject) == hold.digest else hold

    def passed(
        self, subject: str, verdict: guard.Verdict, earlier: tuple[guard.Size, ...], count: int
    ) -> tuple[guard.Size, ...]:
        """Count a result that comes into force; returns the sizes to remember with it."""
        if verdict.held:
            self.outcome.used_approvals.add(subject)
            self.outcome.approved |= {name for name in verdict.removed if "/" not in name}
            return (guard.Size(self.now, count),)
        sizes = guard.remember(earlier, count, self.now)
        # an unchanged size is not worth a write at every evaluation
        return earlier if earlier and sizes[-1].count == earlier[-1].count else sizes

    def _previous(self) -> dict[AppName, Application]:
        owners = sorted(self.accepted.names())
        owners += [f"{PARENT}{name}" for name in sorted(self.accepted.parents())]
        found: dict[AppName, Application] = {}
        for owner in (*owners, BY_HAND):
            found |= self.accepted.get(owner).applications
        return found

    def _set(self, name: str, result: Generated | None, trims: Mapping[str, Trim]) -> None:
        outcome, previous = self.outcome, self.accepted.get(name)
        appset = self.world.appsets.get(name)
        new = _in_force(result, previous, appset, self.world, trims)
        if not self.complete:
            # clusters of a repository that is unread are missing from its rows, which is no removal
            new = {**previous.applications, **new}
        unread = self.accepted.unread_of(name)
        if appset is not None and not inforce.makes_anew(appset):
            new = {app: item for app, item in new.items() if app not in unread}
        counted = self._countable_if_lost(previous.applications, new)
        if appset is None:
            gone = inforce.harmless(previous.applications) - new.keys()
            outcome.harmless |= gone
            counted -= gone
        earlier = guard.without(
            previous.sizes, len(set(previous.applications) - counted - set(new))
        )
        uncounted = self.accepted.is_uncounted(name, self.now)
        verdict = guard.judge(
            counted | unread,
            set(new) | unread,
            largest=guard.baseline(earlier, self.now),
            what=f"ApplicationSet {name!r}",
            allowed=0 if uncounted else inforce.max_removals(appset),
        )
        subject = f"appset/{name}"
        hold = self.held(subject, verdict, new=new, previous=previous.applications)
        if hold is not None:
            outcome.holds[subject] = hold
            outcome.rows[name] = previous
            outcome.sets[name] = setstatus.status(
                name, result, previous.applications, verdict.message
            )
            return
        sizes = self.passed(subject, verdict, earlier, len(new.keys() | unread))
        if appset is not None:
            outlive = inforce.outlive(appset)
            outcome.rows[name] = Rows(applications=new, sizes=sizes, outlive=outlive)
            outcome.sets[name] = setstatus.status(name, result, new, "")
        elif new:
            outcome.rows[name] = Rows(applications=new, sizes=sizes, outlive=True)
            outcome.sets[name] = replace(
                setstatus.status(name, None, new, ""), reason=setstatus.DELETED
            )

    def _hand_over(self, name: str) -> None:
        """Take out of the rows of a set that is gone what another set makes now."""
        outcome = self.outcome
        taken = {
            app
            for other, rows in outcome.rows.items()
            if other != name
            for app in rows.applications
        }
        rows = outcome.rows[name]
        kept = inforce.after_deletion(rows.applications, taken)
        if rows.outlive and len(kept) < len(rows.applications):
            outcome.rows[name] = replace(rows, applications=kept)

    def _keep(
        self,
        removed: Iterable[str],
        previous: Mapping[AppName, Application],
        applications: dict[AppName, Application],
    ) -> dict[AppName, Application]:
        """Hold a removal fleet-wide: what would go stays in the rows of its set."""
        rows = self.outcome.rows
        rows[FLEET] = self.accepted.get(FLEET)
        kept = dict(applications)
        for name in removed:
            item = kept[AppName(name)] = previous[AppName(name)]
            owner = owner_of(item)
            own = rows.get(owner, NO_ROWS)
            rows[owner] = replace(own, applications={**own.applications, item.name: item})
        return kept

    def _countable_if_lost(
        self, previous: Mapping[AppName, Application], new: Mapping[AppName, Application]
    ) -> set[str]:
        """Where no name is lost nobody has to know which losses would count."""
        return self.countable(previous) if previous.keys() - new.keys() else set()

    def _has_cluster(self, application: Application) -> bool:
        destination = application.destination
        place = destination.name, destination.server
        known = self._reachable.get(place)
        if known is None:
            known = self._reachable[place] = self._resolves(destination)
        return known

    def _resolves(self, destination: Destination) -> bool:
        try:
            self._index.resolve(destination)
        except BadInput:
            return False
        return True


def pointless_approvals(approvals: Iterable[str], outcome: Outcome) -> set[str]:
    """Name approvals of what is held no more: one that had served when the hub was stopped must not serve again."""
    failed = {f"appset/{name}" for name, item in outcome.sets.items() if item.last_good}
    kept = outcome.holds.keys() | failed | outcome.unsure
    return {subject for subject in approvals if not subject.startswith(APP) and subject not in kept}


def _in_force(
    result: Generated | None,
    previous: Rows,
    appset: ApplicationSet | None,
    world: World,
    trims: Mapping[str, Trim],
) -> Mapping[AppName, Application]:
    if result is not None and appset is not None:
        return inforce.in_force(result, previous.applications, appset, trims)
    if previous.outlive:
        return inforce.after_deletion(previous.applications, world.applications)
    return {}
