"""Joints: what has happened in one part of the hub decides which keys another part looks at.

    poller ──moved──> evaluate ──evaluated──> render (per target) ──rendered──> dispatch (per cluster) ──> agents
                                                  ^                                ^
    reports ──facts changed───────────────────────┘         status changed ────────┘
                                                  offered ──> evaluate (app of apps)
 rendered, assigned, status changed ──> rollouts (per set) ──gates changed──> dispatch

Only keys travel: whoever gets one reads the facts again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Set
from dataclasses import dataclass, field
from datetime import timedelta

from fleet.codec.identity import renewed
from fleet.model.assignment import ClusterRules
from fleet.model.identity import AppName, ClusterName, TargetId
from fleet.model.report import Health
from fleet.runtime.clock import Clock
from fleet.runtime.queue import WorkQueue
from fleet.wire.rules import NO_RULES
from hub import sethealth
from hub.placement import Placement
from hub.poller import Poller
from hub.records import Records
from hub.sourceindex import CHARTS, SourceIndex, Touched
from hub.state import Desired, State

FLEET_KEY = "fleet"
"""The one key of evaluation."""
EVERYTHING = timedelta(minutes=10)
"""How often at least all is evaluated, looked at and dispatched, whatever is known: versions of charts, keys, what expired."""
COALESCE = 0.02
"""Seconds that a cluster's dispatch waits for more news of the same kind."""
RENDERING = 0.1
"""Seconds that it waits at most while targets of the cluster are still being rendered: a few generations instead of fifty."""


@dataclass(slots=True, kw_only=True)
class Queues:
    """The keys that wait."""

    repositories: WorkQueue[str]
    fleet: WorkQueue[str]
    targets: WorkQueue[TargetId]
    clusters: WorkQueue[ClusterName]
    history: WorkQueue[TargetId]
    rollouts: WorkQueue[str]

    @classmethod
    def make(cls, clock: Clock) -> Queues:
        """Make empty queues."""
        return cls(
            repositories=WorkQueue(clock, "repositories"),
            fleet=WorkQueue(clock, "fleet"),
            targets=WorkQueue(clock, "targets"),
            clusters=WorkQueue(clock, "clusters"),
            history=WorkQueue(clock, "history"),
            rollouts=WorkQueue(clock, "rollouts"),
        )

    def evaluate(self) -> None:
        """Ask for an evaluation."""
        self.fleet.add(FLEET_KEY)

    def answered(self) -> None:
        """A forge or plugin says something else; what many say at once makes one evaluation."""
        self.fleet.add_after(FLEET_KEY, 0.5)

    def brought(self) -> None:
        """An Application brings other documents, or may bring them into force now; a burst makes one evaluation."""
        self.fleet.add_after(FLEET_KEY, COALESCE)

    def moved(self) -> None:
        """A repository has news; several that move together make one evaluation."""
        self.fleet.add_after(FLEET_KEY, 0.005)


@dataclass(slots=True, kw_only=True)
class Joints:
    """The callbacks of the parts."""

    state: State
    queues: Queues
    records: Records
    poller: Poller
    fleet_repositories: frozenset[str]
    agents: Callable[[], Iterable[ClusterName]]
    """Clusters that have an agent."""
    handed_out: Callable[[Iterable[TargetId]], None]
    """Told which targets were assigned another digest, at that moment."""
    remembered: Callable[[], Iterable[TargetId]]
    """Targets of which the hub keeps more than is desired: their deployments, their pins."""
    look_at_rollouts: Callable[[], None]
    """Told that the desired state is new: every rollout is looked at."""
    look_at_rollouts_of: Callable[[Iterable[TargetId]], None]
    """Told of targets with news: the rollouts of their sets are looked at."""
    has_failed: Callable[[TargetId], bool]
    """Whether the last try to render a target failed."""
    failing: Callable[[], Iterable[TargetId]]
    """The targets of which that is so."""
    touched: Touched
    """Whether a folder is another one than at the evaluation before."""
    clock: Clock
    _rendering: defaultdict[ClusterName, set[TargetId]] = field(
        default_factory=lambda: defaultdict(set)
    )
    _sources: SourceIndex = field(default_factory=SourceIndex)
    _moved: set[str] = field(default_factory=set)
    """Repositories with news since the last evaluation."""
    _seen: Desired | None = None
    """What was looked at last, with where it was and the rules of that moment."""
    _placement: Placement = field(default_factory=Placement)
    _rules: ClusterRules = NO_RULES
    _everything_at: float = 0.0
    """When everything is looked at again although nothing is known to be different."""

    def moved(self, repo_url: str) -> None:
        """A repository has news: whatever reads it is looked at after the evaluation that this asks for."""
        self._moved.add(repo_url)
        self.queues.moved()

    def evaluated(self, generator_repositories: Set[str]) -> None:
        """The desired state is new: render and dispatch what is different by it, poll what is in use.

        Now and then, and where the difference concerns all, everything is looked at.
        """
        desired = self.state.desired
        changed = self._sources.follow(desired.applications)
        self.poller.want(
            self.fleet_repositories | generator_repositories | self._sources.repositories()
        )
        self.look_at_rollouts()
        everything = self._is_everything_due()
        targets = self._all_targets() if everything else self._targets_with_news(changed)
        for id_ in targets:
            self._rendering[id_.cluster].add(id_)
        self.queues.targets.add_all(targets)
        for name in self._all_clusters() if everything else self._clusters_with_news():
            self._dispatch_soon(name)
        self._moved = set()
        self._seen, self._placement = desired, self.state.placement
        self._rules = self.state.rules
        for id_ in self.remembered():
            if id_ not in desired.targets:
                self.queues.history.add(id_)
        for parent in desired.children:
            for cluster in self.state.placement.places.get(parent, ()):
                self.queues.history.add(TargetId(cluster, parent))
        self._look_again()

    def everything_in(self) -> float:
        """Seconds until an evaluation looks at everything; without one by then nothing would."""
        return max(0.0, self._everything_at - self.clock.monotonic())

    def _is_everything_due(self) -> bool:
        desired, before = self.state.desired, self._seen
        now = self.clock.monotonic()
        is_alike = (
            before is not None
            and now < self._everything_at
            and desired.projects == before.projects
            and desired.certain == before.certain
            and self.state.rules == self._rules
        )
        if not is_alike:
            self._everything_at = now + EVERYTHING.total_seconds()
        return not is_alike

    def _all_targets(self) -> dict[TargetId, None]:
        return dict.fromkeys((*self.state.desired.targets, *self.state.candidates))

    def _targets_with_news(self, changed: Iterable[AppName]) -> dict[TargetId, None]:
        """What may render otherwise, what is new first; also what may bring documents, for that lets others go."""
        state, desired = self.state, self.state.desired
        names = (*changed, *self._sources.readers((*self._moved, CHARTS), self.touched))
        places = state.placement.places
        found = dict.fromkeys(
            TargetId(cluster, name) for name in names for cluster in places.get(name, ())
        )
        own = {name for name, cluster in desired.clusters.items() if cluster.management}
        for name in own | self._other_clusters():
            found |= dict.fromkeys(target.id for target in state.on_cluster(name).values())
        # what never came of it: it failed, or it left while it was looked at
        for id_ in desired.targets.keys() ^ state.candidates.keys():
            found[id_] = None
        for id_ in self.failing():
            found[id_] = None
        return found

    def _all_clusters(self) -> set[ClusterName]:
        return {*self.state.desired.clusters, *self.agents(), *self.records.removing()}

    def _clusters_with_news(self) -> set[ClusterName]:
        """Where targets are other ones, or where some are still to leave, also after they had moved away."""
        before, now = self._placement.on_cluster, self.state.placement.on_cluster
        places = self.state.placement.places
        gone = set() if places is self._placement.places else self._placement.places.keys() - places
        leaving = self.state.assigned.keys() - self.state.desired.targets.keys()
        return {
            *renewed(now, before),
            *(before.keys() - now.keys()),
            *self._other_clusters(),
            *self.records.removing(),
            *(id_.cluster for id_ in leaving),
            *(name for name, known in self.state.statuses.items() if not gone.isdisjoint(known)),
        }

    def _other_clusters(self) -> set[ClusterName]:
        """Clusters that came, went or are said to be otherwise."""
        now, before = self.state.desired, self._seen or Desired()
        names = now.clusters.keys() | before.clusters.keys()
        other = {name for name in names if now.clusters.get(name) != before.clusters.get(name)}
        return other | (now.detached ^ before.detached)

    def rendered(self, id_: TargetId) -> None:
        """A target has another candidate; what it brings to the fleet may have waited for that."""
        if id_.app in self.state.desired.children:
            self.queues.brought()
        self._dispatch_soon(id_.cluster)
        self.look_at_rollouts_of((id_,))
        if id_ in self.state.pins:
            self.queues.history.add(id_)

    def offered(self, id_: TargetId) -> None:
        """A target brings other documents to the fleet."""
        offer = self.state.offers.get(id_)
        desired = self.state.desired
        is_awaited = any(id_ in waiters for waiters in desired.letting_go.values())
        if (offer and offer.children) or id_.app in desired.children or is_awaited:
            self.queues.brought()

    def pinned(self, id_: TargetId) -> None:
        """A target was brought back to an earlier artifact, or git decides about it again."""
        self.queues.clusters.add(id_.cluster)
        cluster = self.state.desired.clusters.get(id_.cluster)
        if cluster is not None and cluster.management:
            self.queues.brought()

    def is_rendering(self, id_: TargetId) -> bool:
        """Whether a target is about to be looked at."""
        return id_ in self._rendering.get(id_.cluster, ())

    def settled(self, id_: TargetId) -> None:
        """A target was looked at; with the last one of its cluster there is nothing more to wait for."""
        self.look_at_rollouts_of((id_,))
        if self.queues.targets.is_due(id_):
            return  # it was asked for while it was looked at: what was begun before says nothing about what is new
        rendering = self._rendering.get(id_.cluster)
        if rendering is not None and id_ in rendering:
            rendering.remove(id_)
            if not rendering:
                del self._rendering[id_.cluster]
                self.queues.clusters.add(id_.cluster)
                self._look_again()
        if id_ in self.state.desired.being_rendered:
            self.queues.brought()

    def assigned(self, moved: frozenset[TargetId]) -> None:
        """Targets were assigned other digests: what waits for them looks again."""
        self.handed_out(moved)
        self.look_at_rollouts_of(moved)
        self._news(moved)
        for id_ in moved & self.state.pins.keys():
            self.queues.history.add(id_)
        for name in self.state.waiting_clusters(moved):
            self.queues.clusters.add(name)

    def turned(self, ids: frozenset[TargetId]) -> None:
        """Targets began to wait for another cluster, or wait no more, maybe without another digest."""
        for name in self.state.waiting_clusters(ids):
            self.queues.clusters.add(name)

    def status_changed(self, cluster: ClusterName, changed: frozenset[TargetId]) -> None:
        """Targets were reported otherwise: what waits for them looks again."""
        self.look_at_rollouts_of(changed)
        self._news(changed)
        for id_ in changed:
            self.queues.history.add(id_)
        for name in self.state.waiting_clusters(changed):
            self.queues.clusters.add(name)
        # what the agent let go of is not named to it any more
        if self.records.is_removing(cluster) or None in map(self.state.status, changed):
            self.queues.clusters.add(cluster)

    def released(self, needed: TargetId) -> None:
        """Something that needed this target is gone: it may leave now, if it wants to."""
        self.queues.clusters.add(needed.cluster)

    def facts_changed(self, cluster: ClusterName) -> None:
        """A cluster has other capabilities: charts may ask about them."""
        for target in self.state.on_cluster(cluster).values():
            self._render(target.id)

    def came_back(self, cluster: ClusterName) -> None:
        """A cluster that counted as offline was heard of: rollouts that set it aside catch it up."""
        self.look_at_rollouts_of(target.id for target in self.state.on_cluster(cluster).values())

    def joined(self, cluster: ClusterName) -> None:
        """A cluster has an agent now."""
        self.queues.evaluate()
        self.queues.clusters.add(cluster)

    def rolled(self, name: str) -> None:
        """The rollout of a set is through: a wave may have waited for that."""
        if name not in self.state.desired.awaited_sets:
            return
        if sethealth.health(self.state, name, self.is_rendering) is Health.HEALTHY:
            self.queues.brought()

    def _news(self, ids: Iterable[TargetId]) -> None:
        """Children may come into force by what others have come to."""
        awaited = self.state.desired.awaited
        if awaited and not awaited.isdisjoint(ids):
            self.queues.brought()

    def _look_again(self) -> None:
        """Evaluate once more when all is rendered that may bring documents, if the last evaluation waits for that."""
        desired = self.state.desired
        own = [name for name, cluster in desired.clusters.items() if cluster.management]
        if any(self._rendering.get(name) for name in own):
            return
        known = desired.unrendered and desired.unrendered <= self.state.offers.keys()
        # with the last one that renders again there is news
        lets_go = any(
            not any(map(self.has_failed, waiters)) for waiters in set(desired.letting_go.values())
        )
        if desired.is_restless or lets_go or known:
            self.queues.brought()

    def _render(self, id_: TargetId) -> None:
        self._rendering[id_.cluster].add(id_)
        self.queues.targets.add(id_)

    def _dispatch_soon(self, cluster: ClusterName) -> None:
        wait = RENDERING if self._rendering.get(cluster) else COALESCE
        self.queues.clusters.add_after(cluster, wait)
