"""Evaluation: from the World to the Applications and targets in force.

One key, level-based: look at the world, evaluate the sets whose inputs changed, fetch what they miss, judge what
would vanish, put the rest in force. A set that fails keeps its last good rows; a result over the shrink budget
waits for an approval of exactly what it would remove. Deciding is `fleet.generators`, `fleet.guard`,
`fleet.targets` and `fleet.graph`; rendering and handing out come after, elsewhere.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Set
from dataclasses import dataclass, field, replace

import structlog
from prometheus_client import Counter, Histogram

from fleet import graph, guard
from fleet.argo.documents import Problem
from fleet.argo.policy import Trim
from fleet.codec.canonical import digest_value
from fleet.errors import BadInput, FleetError, NotReady
from fleet.generators import inforce
from fleet.generators.evaluate import evaluate_set
from fleet.generators.kept import Kept
from fleet.generators.result import Failed, Generated, Inputs, Missing, SetError
from fleet.jq.paths import JqPaths
from fleet.jq.trimming import trimmed
from fleet.model.application import Application
from fleet.model.appset import ApplicationSet
from fleet.model.cluster import Cluster
from fleet.model.identity import AppName, ClusterName
from fleet.model.world import BlobRequest, SourceRequest, Tree, TreeRequest, World
from fleet.runtime.clock import Clock
from fleet.runtime.reconciler import Done, Outcome
from fleet.targets import ClusterIndex, Targets, resolve_targets
from hub import setstatus
from hub.accepted import BY_HAND, FLEET, NO_ROWS, Accepted, Rows
from hub.state import Desired, Hold, SetStatus, State
from hub.world import Worlds

log = structlog.get_logger(__name__)

MAX_PASSES = 12
APP = "app/"
"""What the subject of a hold on one application begins with."""

_SETS = Counter(
    "fleet_hub_sets_evaluated_total", "ApplicationSets evaluated, by result.", ["result"]
)
_SECONDS = Histogram("fleet_hub_evaluation_seconds", "Wall time of one evaluation of the fleet.")


@dataclass(frozen=True, slots=True)
class _Memo:
    """The last result of a set and what it was computed from."""

    token: object
    inputs: Inputs
    result: Generated | Failed


@dataclass(slots=True)
class _Outcome:
    """What judging collects over all sets."""

    index: ClusterIndex
    trims: Mapping[str, Mapping[str, Trim]]
    """By set: what its jq expressions left over of the Applications that it changes."""
    rows: dict[str, Rows] = field(default_factory=dict)
    sets: dict[str, SetStatus] = field(default_factory=dict)
    holds: dict[str, Hold] = field(default_factory=dict)
    approved: set[str] = field(default_factory=set)
    """Names whose removal somebody said yes to: they do not count against the fleet's budget."""
    harmless: set[str] = field(default_factory=set)
    """Names that go with their set and leave everything on their clusters: no removals either."""
    used_approvals: set[str] = field(default_factory=set)


@dataclass(slots=True, kw_only=True)
class Evaluator:
    """Keeps `State.desired` up to date."""

    worlds: Worlds
    accepted: Accepted
    state: State
    clock: Clock
    jq: JqPaths
    held_clusters: Callable[[], Iterable[Cluster]]
    """Clusters that only the hub knows (``fleet cluster add --label``)."""
    joined_clusters: Callable[[], Iterable[ClusterName]]
    """Clusters that have an agent: those that git forgot are detached."""
    approval_used: Callable[[str], Awaitable[None]]
    """Told the subject of an approval that has served."""
    evaluated: Callable[[Set[str]], None]
    """Told that `State.desired` is new, with the repositories that generators look at."""
    _memos: dict[str, _Memo] = field(default_factory=dict)
    _kept: dict[str, Kept] = field(default_factory=dict)

    async def reconcile(self, _key: str) -> Outcome:
        """Evaluate the fleet once."""
        with _SECONDS.time():
            world, problems = await self.worlds.snapshot(self.held_clusters(), self._used())
            if not any(repo.loaded for repo in self.worlds.repos):
                errors = "; ".join(repo.error for repo in self.worlds.repos if repo.error)
                raise NotReady(f"no fleet repository could be read yet: {errors}")
            results, world = await self._results(world)
            self.worlds.forget_unused(self._used())
            trims = await self._trim(results, world)
            outcome = self._judge(results, trims, world)
            applications, duplicates = self._combine(outcome, world)
            applications = self._judge_fleet(applications, outcome, world)
            await self.accepted.replace(outcome.rows)
            for subject in sorted(outcome.used_approvals):
                log.info("approved removal in force", subject=subject)
            for subject in sorted(outcome.used_approvals | self._pointless_approvals(outcome)):
                await self.approval_used(subject)
            desired = self._desired(world, applications, outcome, (*problems, *duplicates))
            self.state.holds = {
                **_holds_of(self.state.holds, desired),
                **outcome.holds,
            }
            self.state.replace_desired(desired)
        self.evaluated(
            {
                request.repo_url
                for request in self._used()
                if isinstance(request, TreeRequest | BlobRequest)
            }
        )
        return Done()

    def _pointless_approvals(self, outcome: _Outcome) -> set[str]:
        """Approvals of what is held no more: one that had served when the hub was stopped must not serve again."""
        failed = {f"appset/{name}" for name, item in outcome.sets.items() if item.last_good}
        return {
            subject
            for subject in self.state.approvals
            if not subject.startswith(APP) and subject not in outcome.holds.keys() | failed
        }

    def _used(self) -> set[SourceRequest]:
        used: set[SourceRequest] = set()
        for memo in self._memos.values():
            used |= memo.inputs.trees | memo.inputs.blobs | memo.inputs.answers
        return used

    async def _results(self, world: World) -> tuple[dict[str, Generated | Failed], World]:
        self._memos = {name: memo for name, memo in self._memos.items() if name in world.appsets}
        self._kept = {name: kept for name, kept in self._kept.items() if name in world.appsets}
        results: dict[str, Generated | Failed] = {}
        pending = sorted(world.appsets)
        for _ in range(MAX_PASSES):
            missing: set[SourceRequest] = set()
            for name in pending:
                result = await self._evaluate(world.appsets[name], world)
                if isinstance(result, Missing):
                    missing |= result.requests
                else:
                    results[name] = result
            pending = [name for name in pending if name not in results]
            if not pending:
                return results, world
            world = await self.worlds.answer(world, missing)
        message = f"its generators keep asking for more after {MAX_PASSES} passes"
        endless = Failed(
            errors=(SetError(reason="InternalError", message=message),), inputs=Inputs()
        )
        return results | dict.fromkeys(pending, endless), world

    async def _evaluate(self, appset: ApplicationSet, world: World) -> Generated | Missing | Failed:
        memo = self._memos.get(appset.name)
        if memo is not None and memo.token == _token(appset, memo.inputs, world):
            _SETS.labels("unchanged").inc()
            return memo.result
        kept = self._kept.setdefault(appset.name, Kept())
        result = await asyncio.to_thread(_evaluate_alone, appset, world, kept)
        if isinstance(result, Missing):
            return result
        _SETS.labels("failed" if isinstance(result, Failed) else "generated").inc()
        if isinstance(result, Failed) and result.inputs == Inputs():
            return result
        token = _token(appset, result.inputs, world)
        self._memos[appset.name] = _Memo(token, result.inputs, result)
        return result

    async def _trim(
        self, results: dict[str, Generated | Failed], world: World
    ) -> dict[str, Mapping[str, Trim]]:
        """Evaluate the jq expressions of sets; with one that cannot be used a set fails."""
        trims: dict[str, Mapping[str, Trim]] = {}
        for name, result in results.items():
            if isinstance(result, Generated):
                previous = self.accepted.get(name).applications
                wanted = inforce.to_trim(result, previous, world.appsets[name])
                try:
                    trims[name] = await trimmed(self.jq, wanted)
                except FleetError as error:
                    failure = SetError(reason=error.reason, message=str(error))
                    results[name] = Failed(errors=(failure,), inputs=result.inputs)
        return trims

    def _judge(
        self,
        results: Mapping[str, Generated | Failed],
        trims: Mapping[str, Mapping[str, Trim]],
        world: World,
    ) -> _Outcome:
        outcome = _Outcome(index=ClusterIndex.of(world), trims=trims)
        for name in sorted(set(results) | self.accepted.names()):
            previous = self.accepted.get(name)
            result = results.get(name)
            if result is None and not self.worlds.complete:
                result = Failed(errors=(), inputs=Inputs())
            if isinstance(result, Failed):
                outcome.rows[name] = previous
                outcome.sets[name] = setstatus.failed(name, result, previous)
                continue
            self._judge_set(name, result, world, outcome)
        for name in outcome.rows.keys() - world.appsets.keys():
            _hand_over(name, outcome)
        return outcome

    def _judge_set(
        self, name: str, result: Generated | None, world: World, outcome: _Outcome
    ) -> None:
        previous = self.accepted.get(name)
        appset = world.appsets.get(name)
        new = _in_force(result, previous, appset, world, outcome.trims.get(name, {}))
        if not self.worlds.complete:
            # clusters of a repository that is unread are missing from its rows, which is no removal
            new = {**previous.applications, **new}
        counted = _countable(previous.applications, outcome.index)
        if appset is None:
            gone = inforce.harmless(previous.applications) - new.keys()
            outcome.harmless |= gone
            counted -= gone
        earlier = guard.without(
            previous.sizes, len(set(previous.applications) - counted - set(new))
        )
        verdict = guard.judge(
            counted,
            set(new),
            largest=guard.baseline(earlier, self.clock.now()),
            what=f"ApplicationSet {name!r}",
            allowed=inforce.max_removals(appset),
        )
        subject = f"appset/{name}"
        sizes = guard.remember(earlier, len(new), self.clock.now())
        if verdict.held:
            hold = setstatus.hold(subject, verdict, new, previous.applications)
            if self.state.approvals.get(subject) != hold.digest:
                outcome.holds[subject] = hold
                outcome.rows[name] = previous
                outcome.sets[name] = setstatus.status(
                    name, result, previous.applications, verdict.message
                )
                return
            outcome.used_approvals.add(subject)
            outcome.approved |= set(verdict.removed)
            sizes = (guard.Size(self.clock.now(), len(new)),)
        if sizes and earlier and sizes[-1].count == earlier[-1].count:
            sizes = earlier  # an unchanged size is not worth a write at every evaluation
        if appset is not None:
            outlive = inforce.outlive(appset)
            outcome.rows[name] = Rows(applications=new, sizes=sizes, outlive=outlive)
            outcome.sets[name] = setstatus.status(name, result, new, "")
        elif new:
            outcome.rows[name] = Rows(applications=new, sizes=sizes, outlive=True)
            outcome.sets[name] = replace(
                setstatus.status(name, None, new, ""), reason=setstatus.DELETED
            )

    def _combine(
        self, outcome: _Outcome, world: World
    ) -> tuple[dict[AppName, Application], list[Problem]]:
        applications = {AppName(name): item for name, item in world.applications.items()}
        if not self.worlds.complete:
            applications = {**self.accepted.get(BY_HAND).applications, **applications}
        outcome.rows[BY_HAND] = Rows(applications=dict(applications))
        problems: list[Problem] = []
        for name in sorted(outcome.rows.keys() - {BY_HAND, FLEET}):
            for item in outcome.rows[name].applications.values():
                first = applications.setdefault(item.name, item)
                if first is not item:
                    problems.append(setstatus.claimed_twice(item, first))
        return applications, problems

    def _judge_fleet(
        self,
        applications: dict[AppName, Application],
        outcome: _Outcome,
        world: World,
    ) -> dict[AppName, Application]:
        previous = {
            name: item
            for set_name in (*sorted(self.accepted.names()), BY_HAND)
            for name, item in self.accepted.get(set_name).applications.items()
        }
        countable = _countable(previous, outcome.index) - outcome.harmless
        counted = countable - outcome.approved
        sizes = guard.without(
            self.accepted.get(FLEET).sizes, len(set(previous) - countable - set(applications))
        )
        verdict = guard.judge(
            counted,
            set(applications),
            largest=guard.baseline(sizes, self.clock.now()) - len(outcome.approved),
            what="this evaluation of the fleet",
        )
        now = self.clock.now()
        if verdict.held:
            hold = setstatus.hold("fleet", verdict, {}, {})
            if self.state.approvals.get("fleet") != hold.digest:
                outcome.holds["fleet"] = hold
                return self._keep(verdict.removed, previous, applications, outcome)
            outcome.used_approvals.add("fleet")
            sizes = ()
        if outcome.approved or not sizes or sizes[-1].count != len(applications):
            kept = () if outcome.approved else sizes
            sizes = guard.remember(kept, len(applications), now)
        outcome.rows[FLEET] = Rows(sizes=sizes)
        return applications

    def _keep(
        self,
        removed: Iterable[str],
        previous: Mapping[AppName, Application],
        applications: dict[AppName, Application],
        outcome: _Outcome,
    ) -> dict[AppName, Application]:
        """Hold a removal fleet-wide: what would go stays in the rows of its set."""
        outcome.rows[FLEET] = self.accepted.get(FLEET)
        kept = dict(applications)
        for name in removed:
            item = kept[AppName(name)] = previous[AppName(name)]
            rows = outcome.rows.get(item.appset, NO_ROWS)
            outcome.rows[item.appset] = replace(
                rows, applications={**rows.applications, item.name: item}
            )
        return kept

    def _desired(
        self,
        world: World,
        applications: dict[AppName, Application],
        outcome: _Outcome,
        problems: tuple[Problem, ...],
    ) -> Desired:
        found = resolve_targets(applications, world)
        targets = graph.resolve_edges(
            found.targets,
            found.references,
            appsets=set(world.appsets) | (outcome.rows.keys() - {BY_HAND, FLEET}),
        )
        clusters = {cluster.name: cluster for cluster in world.clusters}
        return Desired(
            clusters=clusters,
            detached=frozenset(self.joined_clusters()) - clusters.keys()
            if self.worlds.complete
            else frozenset(),
            projects=world.projects,
            appsets=world.appsets,
            applications=applications,
            targets=targets,
            sets=outcome.sets,
            problems=(*problems, *found.problems),
            refused=_refused(applications, found),
            certain=self.worlds.complete
            and not any(item.last_good and not item.applications for item in outcome.sets.values()),
            evaluated=True,
        )


def _evaluate_alone(
    appset: ApplicationSet, world: World, kept: Kept
) -> Generated | Missing | Failed:
    """Evaluate one set; a bug that its input brings to light is that set's failure and stops no other."""
    try:
        return evaluate_set(appset, world, kept)
    except Exception as error:  # isolation: see above
        log.error("evaluation of a set failed", appset=appset.name, exc_info=error)
        message = f"a bug in the evaluation, please report it: {type(error).__name__}"
        # what the set had looked at is unknown: it is evaluated again each time, and its rows stay
        return Failed(errors=(SetError(reason="InternalError", message=message),), inputs=Inputs())


def _holds_of(holds: Mapping[str, Hold], desired: Desired) -> dict[str, Hold]:
    """Holds on single applications, as far as these are still wanted: dispatch judges the others no more."""
    targets = {f"{APP}{id_}" for id_ in desired.targets} if holds else set()
    return {subject: hold for subject, hold in holds.items() if subject in targets}


def _hand_over(name: str, outcome: _Outcome) -> None:
    """Take out of the rows of a set that is gone what another set makes now."""
    taken = {
        app for other, rows in outcome.rows.items() if other != name for app in rows.applications
    }
    rows = outcome.rows[name]
    kept = inforce.after_deletion(rows.applications, taken)
    if rows.outlive and len(kept) < len(rows.applications):
        outcome.rows[name] = replace(rows, applications=kept)


def _countable(applications: Mapping[AppName, Application], index: ClusterIndex) -> set[str]:
    """Names whose loss counts: an application of a cluster that left git is detached, not removed."""
    return {name for name, item in applications.items() if _has_cluster(item, index)}


def _has_cluster(application: Application, index: ClusterIndex) -> bool:
    try:
        index.resolve(application.destination)
    except BadInput:
        return False
    return True


def _refused(applications: Mapping[AppName, Application], found: Targets) -> dict[AppName, str]:
    """Applications that have no target at all, with the reason."""
    placed = {id_.app for id_ in found.targets}
    reasons = {problem.where.object: problem.message for problem in found.problems}
    return {
        name: reasons.get(f"Application/{name}", "it has no destination")
        for name in applications
        if name not in placed
    }


def _token(appset: ApplicationSet, inputs: Inputs, world: World) -> object:
    trees = []
    for request in sorted(inputs.trees, key=lambda r: (r.repo_url, r.revision)):
        tree = world.trees.get(request)
        trees.append(tree.root if isinstance(tree, Tree) else repr(tree))
    unread = [
        request for request in inputs.blobs if not isinstance(world.blobs.get(request), bytes)
    ]
    return (
        digest_value(appset.document),
        world.clusters if inputs.clusters else (),
        sorted((name, digest_value(p.document)) for name, p in world.projects.items())
        if inputs.projects
        else (),
        tuple(trees),
        repr(unread),
        {request: world.answers.get(request) for request in inputs.answers},
        world.resources if inputs.resources else (),
    )


def _in_force(
    result: Generated | None,
    previous: Rows,
    appset: ApplicationSet | None,
    world: World,
    trims: Mapping[str, Trim],
) -> dict[AppName, Application]:
    if result is not None and appset is not None:
        return inforce.in_force(result, previous.applications, appset, trims)
    if previous.outlive:
        return inforce.after_deletion(previous.applications, world.applications)
    return {}
