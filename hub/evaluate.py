"""Evaluation: from the World to the Applications and targets in force.

One key, level-based: look at the world, evaluate the sets whose inputs changed, fetch what they miss, judge what
would vanish, put the rest in force. A set that fails keeps its last good rows; a result over the shrink budget
waits for an approval of exactly what it would remove. Deciding is `hub.judgement` with `fleet.generators`,
`fleet.guard`, `fleet.targets` and `fleet.graph`; rendering and handing out come after, elsewhere.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Set
from dataclasses import dataclass, field

import structlog
from prometheus_client import Histogram

from fleet import graph
from fleet.argo.documents import Problem
from fleet.argo.policy import Trim
from fleet.errors import NotReady
from fleet.generators.result import Failed, Generated
from fleet.jq.paths import JqPaths
from fleet.model.application import Application
from fleet.model.cluster import Cluster
from fleet.model.identity import AppName, ClusterName, TargetId
from fleet.model.target import Target
from fleet.model.world import BlobRequest, TreeRequest, World
from fleet.runtime import heap
from fleet.runtime.clock import Clock
from fleet.runtime.reconciler import Done
from fleet.runtime.reconciler import Outcome as Reconciled
from fleet.targets import KeptTargets, Targets, resolve_targets
from hub.accepted import BY_HAND, FLEET, Accepted
from hub.children import Adoption, Children
from hub.judgement import APP, Judge, Outcome, pointless_approvals
from hub.placement import Placement
from hub.rowrecords import UnreadKey
from hub.rules import FleetRules
from hub.setresults import SetResults
from hub.sourceindex import Place, Seen
from hub.state import Desired, Hold, State
from hub.unread import Unread
from hub.world import Worlds

log = structlog.get_logger(__name__)

_SECONDS = Histogram("fleet_hub_evaluation_seconds", "Wall time of one evaluation of the fleet.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What an evaluation decides by, besides what is in force."""

    world: World
    problems: tuple[Problem, ...]
    judge: Judge
    """It has judged what Applications bring already."""
    adoption: Adoption
    results: Mapping[str, Generated | Failed]
    trims: Mapping[str, Mapping[str, Trim]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """What comes into force, and what is known of it beforehand."""

    outcome: Outcome
    desired: Desired
    placement: Placement


@dataclass(slots=True, kw_only=True)
class Evaluator:
    """Keeps `State.desired` up to date."""

    worlds: Worlds
    accepted: Accepted
    state: State
    clock: Clock
    jq: JqPaths
    children: Children
    held_clusters: Callable[[], Iterable[Cluster]]
    """Clusters that only the hub knows (``fleet cluster add --label``)."""
    joined_clusters: Callable[[], Iterable[ClusterName]]
    """Clusters that have an agent: those that git forgot are detached."""
    approval_used: Callable[[str], Awaitable[None]]
    """Told the subject of an approval that has served."""
    evaluated: Callable[[Set[str]], None]
    """Told that `State.desired` is new, with the repositories that generators look at."""
    rules: FleetRules = field(init=False)
    _results: SetResults = field(init=False)
    _seen: Seen = field(default_factory=Seen)
    _targets: KeptTargets = field(default_factory=KeptTargets)
    _edges: graph.KeptEdges = field(default_factory=graph.KeptEdges)

    def __post_init__(self) -> None:
        self.rules = FleetRules(store=self.accepted.store, state=self.state)
        self._results = SetResults(worlds=self.worlds, accepted=self.accepted, jq=self.jq)

    def touched(self, place: Place) -> bool:
        """Whether a folder is another one than at the evaluation before; what generators do not look at may be."""
        return self._seen.touched(place)

    async def reconcile(self, _key: str) -> Reconciled:
        """Evaluate the fleet once; what the first time makes mostly stays."""
        if self.state.desired.evaluated:
            return await self._reconcile()
        with heap.lasting():
            return await self._reconcile()

    async def _reconcile(self) -> Reconciled:
        with _SECONDS.time():
            world, problems = await self.worlds.snapshot(self.held_clusters(), self._results.used())
            if not any(repo.loaded for repo in self.worlds.repos):
                errors = "; ".join(repo.error for repo in self.worlds.repos if repo.error)
                raise NotReady(f"no fleet repository could be read yet: {errors}")
            of_rules = await self.rules.follow(
                world.resources, complete=self.worlds.complete, places=world.places
            )
            decided = await self._put_in_force(world, (*problems, *of_rules))
            self.worlds.forget_unused(self._results.used())
            self.state.holds = {
                **_holds_of(self.state.holds, decided.desired),
                **decided.outcome.holds,
            }
            self.state.replace_desired(decided.desired, decided.placement)
            self.children.follow(decided.outcome.leaving)
        self.evaluated(
            {
                request.repo_url
                for request in self._results.used()
                if isinstance(request, TreeRequest | BlobRequest)
            }
        )
        return Done()

    async def _put_in_force(self, world: World, problems: tuple[Problem, ...]) -> Decided:
        """Decide beside the event loop, which has other things to do with a large fleet, and make it durable."""
        while True:
            version = self.accepted.version
            facts = await self._facts(world, problems)
            decided = await asyncio.to_thread(self._decide, facts)
            if await self.accepted.replace(decided.outcome.rows, version=version):
                break
        outcome = decided.outcome
        for subject in sorted(outcome.used_approvals):
            log.info("approved removal in force", subject=subject)
        pointless = pointless_approvals(self.state.approvals, outcome)
        for subject in sorted(outcome.used_approvals | pointless):
            await self.approval_used(subject)
        await self.children.settle(facts.adoption, outcome)
        return decided

    async def _facts(self, world: World, problems: tuple[Problem, ...]) -> Facts:
        """Gather everything: what Applications bring first, for there are sets and projects among it."""
        judge = Judge(
            accepted=self.accepted,
            approvals=dict(self.state.approvals),
            world=world,
            complete=self.worlds.complete,
            now=self.clock.now(),
        )
        adoption = self.children.adopt(judge)
        results, judge.world = await self._results.of(adoption.extend(world))
        self._seen = self._seen.followed_by(judge.world.trees)
        trims = await self._results.trims(results, judge.world)
        return Facts(
            world=judge.world,
            problems=problems,
            judge=judge,
            adoption=adoption,
            results=results,
            trims=trims,
        )

    def _decide(self, facts: Facts) -> Decided:
        judge, adoption = facts.judge, facts.adoption
        judge.sets(facts.results, facts.trims)
        combined = judge.combined(lambda name, rows: self.children.chained(name, rows, adoption))
        desired = self._desired(facts, judge.fleet(combined))
        placement = self.state.placement.followed_by(desired.targets)
        return Decided(outcome=judge.outcome, desired=desired, placement=placement)

    def _desired(self, facts: Facts, applications: dict[AppName, Application]) -> Desired:
        world, outcome, adoption = facts.world, facts.judge.outcome, facts.adoption
        waits = adoption.hold_back(outcome)
        found = resolve_targets(applications, world, self._targets)
        targets = graph.resolve_edges(
            found.targets,
            found.references,
            appsets=set(world.appsets) | (outcome.rows.keys() - {BY_HAND, FLEET}),
            kept=self._edges,
        )
        clusters = {cluster.name: cluster for cluster in world.clusters}
        unrendered = self.children.parents.unrendered(targets, clusters, outcome.rows)
        is_read = (
            self.worlds.complete
            and not unrendered
            and not any(item.last_good and not item.applications for item in outcome.sets.values())
        )
        unread = self.accepted.unread(outcome.rows)
        waiting = _unread_applications(unread, applications)
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
            unread=waiting,
            problems=(
                *facts.problems,
                *(item.problem for item in unread.values()),
                *outcome.problems,
                *waits.problems(),
                *found.problems,
            ),
            refused={
                **_refused(applications, found),
                **{name: item.message for name, item in waiting.items()},
            },
            certain=is_read and not unread,
            is_read=is_read,
            children=adoption.choices,
            unrendered=unrendered,
            awaited=adoption.awaited | _targets_of(adoption.awaited_children, targets),
            awaited_sets=adoption.awaited_sets,
            being_rendered=adoption.being_rendered,
            letting_go=waits.letting_go(),
            is_restless=adoption.hears_of(outcome.sets)
            or adoption.lags(targets, applications.keys(), world.projects)
            or adoption.is_outdated(outcome.leaving),
            evaluated=True,
        )


def _unread_applications(
    unread: Mapping[UnreadKey, Unread], applications: Mapping[AppName, Application]
) -> dict[AppName, Unread]:
    """What cannot be read, without what somebody else has put in force under its name."""
    return {
        AppName(key.name): item
        for key, item in unread.items()
        if key.kind == "Application" and key.name not in applications
    }


def _targets_of(names: Set[AppName], targets: Mapping[TargetId, Target]) -> frozenset[TargetId]:
    return frozenset(id_ for id_ in targets if id_.app in names) if names else frozenset()


def _holds_of(holds: Mapping[str, Hold], desired: Desired) -> dict[str, Hold]:
    """Holds on single applications, as far as these are still wanted: dispatch judges the others no more."""
    targets = {f"{APP}{id_}" for id_ in desired.targets} if holds else set()
    return {subject: hold for subject, hold in holds.items() if subject in targets}


def _refused(applications: Mapping[AppName, Application], found: Targets) -> dict[AppName, str]:
    """Applications that have no target at all, with the reason."""
    if len(found.targets) == len(applications):
        return {}  # none has more than one
    placed = {id_.app for id_ in found.targets}
    reasons = {problem.where.object: problem.message for problem in found.problems}
    return {
        name: reasons.get(f"Application/{name}", "it has no destination")
        for name in applications
        if name not in placed
    }
