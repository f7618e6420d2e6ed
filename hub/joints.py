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

from fleet.model.identity import ClusterName, TargetId
from fleet.model.report import Health
from fleet.runtime.clock import Clock
from fleet.runtime.queue import WorkQueue
from hub import sethealth
from hub.poller import Poller
from hub.records import Records
from hub.state import State

FLEET_KEY = "fleet"
"""The one key of evaluation."""
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

    def moved(self, _repo_url: str) -> None:
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
    _rendering: defaultdict[ClusterName, set[TargetId]] = field(
        default_factory=lambda: defaultdict(set)
    )

    def evaluated(self, generator_repositories: Set[str]) -> None:
        """The desired state is new: render every target, dispatch every cluster, poll what is in use."""
        desired = self.state.desired
        sources = {
            source.repo_url
            for application in desired.applications.values()
            for source in application.sources
            if not source.chart
        }
        self.poller.want(self.fleet_repositories | generator_repositories | sources)
        self.look_at_rollouts()
        targets = {*desired.targets, *self.state.candidates}
        for id_ in targets:
            self._rendering[id_.cluster].add(id_)
        self.queues.targets.add_all(targets)
        for name in {*desired.clusters, *self.agents(), *self.records.removing()}:
            self._dispatch_soon(name)
        for id_ in self.remembered():
            if id_ not in desired.targets:
                self.queues.history.add(id_)
        for parent in desired.children:
            for cluster in self.state.placement.places.get(parent, ()):
                self.queues.history.add(TargetId(cluster, parent))
        self._look_again()

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

    def status_changed(self, cluster: ClusterName, changed: frozenset[TargetId]) -> None:
        """Targets were reported otherwise: what waits for them looks again."""
        self.look_at_rollouts_of(changed)
        self._news(changed)
        for id_ in changed:
            self.queues.history.add(id_)
        for name in self.state.waiting_clusters(changed):
            self.queues.clusters.add(name)
        if self.records.is_removing(cluster):
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
