"""What the hub knows right now, in one place: the facts that its reconcilers share.

One event loop owns it, so there are no locks: evaluation replaces `desired`, rendering fills `candidates`,
dispatch fills `assigned` and `decisions`, rollup fills `statuses`. Nothing here is durable by itself; each
owner stores what must survive before it changes it here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

import msgspec

from fleet.argo.children import Offer
from fleet.argo.documents import Problem
from fleet.children import Choice
from fleet.model.application import Application
from fleet.model.appset import ApplicationSet
from fleet.model.assignment import ClusterRules
from fleet.model.assignment import Hold as Reason
from fleet.model.cluster import Cluster
from fleet.model.identity import AppName, ClusterName, TargetId
from fleet.model.project import AppProject
from fleet.model.report import ClusterFacts, TargetStatus
from fleet.model.target import Target
from fleet.moves import Candidate, Decision, Facts
from fleet.wire.rules import NO_RULES
from hub.placement import Placement
from hub.unread import Unread

V = TypeVar("V")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """Something that waits for ``fleet approve SUBJECT``; ``digest`` names exactly what is held."""

    subject: str
    message: str
    removed: tuple[str, ...]
    digest: str
    added: tuple[str, ...] = ()
    """What would be made, and what would change, at the same moment: all of a set's result waits."""
    changed: tuple[str, ...] = ()


class Pin(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A target that somebody brought back to an earlier artifact; it stays there until it is synced again."""

    digest: str
    deployment: int
    """Id in its history."""
    at: datetime
    revision: str = ""
    reason: str = ""
    kinds: dict[str, int] = {}
    bundle: str = ""
    """Everything that it rendered then, with the documents that it brought to the fleet; empty: it brings none."""
    namespace: str = ""
    """Where documents of the bundle live that name no namespace."""
    prune: bool = False
    """Whether documents go that the bundle lacks."""

    @property
    def words(self) -> str:
        """Say it to people."""
        version = f" ({self.revision[:12]})" if self.revision else ""
        why = f": {self.reason}" if self.reason else ""
        return (
            f"rolled back to deployment {self.deployment}{version} at {self.at:%Y-%m-%d %H:%M} UTC, "
            f"until somebody syncs it{why}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SetStatus:
    """How one ApplicationSet stands after the last evaluation."""

    name: str
    applications: tuple[AppName, ...] = ()
    kept: tuple[AppName, ...] = ()
    """Those that it does not make any more, and that its policy keeps."""
    errors: tuple[str, ...] = ()
    reason: str = "ApplicationSetUpToDate"
    held: str = ""
    last_good: bool = False
    """The rows in force are older than the document or the world: generation failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Desired:
    """The result of one evaluation, replaced as a whole."""

    clusters: Mapping[ClusterName, Cluster] = field(default_factory=dict)
    detached: frozenset[ClusterName] = frozenset()
    projects: Mapping[str, AppProject] = field(default_factory=dict)
    appsets: Mapping[str, ApplicationSet] = field(default_factory=dict)
    applications: Mapping[AppName, Application] = field(default_factory=dict)
    targets: Mapping[TargetId, Target] = field(default_factory=dict)
    sets: Mapping[str, SetStatus] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    refused: Mapping[AppName, str] = field(default_factory=dict)
    """Applications without a usable target, with the reason: what they have stays."""
    unread: Mapping[AppName, Unread] = field(default_factory=dict)
    """Applications in force that this version of the hub cannot read: what they have stays too."""
    is_read: bool = True
    """Whether every repository was read and every set and parent has rows or is rightly empty."""
    certain: bool = True
    """Whether besides nothing in force is unread: only then does absence count."""
    children: Mapping[AppName, Choice] = field(default_factory=dict)
    """By parent: what it brings to the fleet, and how that stands (app of apps)."""
    unrendered: frozenset[TargetId] = frozenset()
    """Targets that may bring children, of which nothing is known yet."""
    awaited: frozenset[TargetId] = frozenset()
    """Targets whose news may let children come into force."""
    awaited_sets: frozenset[str] = frozenset()
    """ApplicationSets that a wave waits for."""
    being_rendered: frozenset[TargetId] = frozenset()
    """Targets that would have changed what they bring, had they not been about to be rendered."""
    letting_go: Mapping[str, frozenset[TargetId]] = field(default_factory=dict)
    """What leaves as soon as everything is rendered, by name, with the targets that may bring it and do not render:
    with none of these it goes."""
    is_restless: bool = False
    """Whether another evaluation is due as soon as everything is rendered."""
    evaluated: bool = False


@dataclass(slots=True)
class Seen:
    """When a cluster's agent was last heard of, and what it is."""

    at: datetime | None = None
    facts: ClusterFacts | None = None


@dataclass(slots=True)
class State:
    """The shared facts."""

    desired: Desired = field(default_factory=Desired)
    candidates: dict[TargetId, Candidate] = field(default_factory=dict)
    offers: dict[TargetId, Offer] = field(default_factory=dict)
    """What the newest rendering of each target on the management cluster brings to the fleet."""
    pinned_offers: dict[TargetId, Offer] = field(default_factory=dict)
    """What each parent that is pinned brought then."""
    revisions: dict[TargetId, str] = field(default_factory=dict)
    """Display revision of each target's newest rendering."""
    assigned: dict[TargetId, str] = field(default_factory=dict)
    kinds: dict[TargetId, Mapping[str, int]] = field(default_factory=dict)
    """Objects by kind of what is assigned: the baseline of the object budget."""
    decisions: dict[TargetId, Decision] = field(default_factory=dict)
    past_needs: dict[TargetId, tuple[str, ...]] = field(default_factory=dict)
    """What targets needed on other clusters when they left, until they are reported gone."""
    statuses: dict[ClusterName, dict[str, TargetStatus]] = field(default_factory=dict)
    seen: dict[ClusterName, Seen] = field(default_factory=dict)
    holds: dict[str, Hold] = field(default_factory=dict)
    approvals: dict[str, str] = field(default_factory=dict)
    """Subject -> digest of what was approved."""
    rolled: dict[str, Mapping[TargetId, str]] = field(default_factory=dict)
    """By ApplicationSet whose rollout is through: the artifact of each target that nothing is left to do for."""
    pins: dict[TargetId, Pin] = field(default_factory=dict)
    rules: ClusterRules = NO_RULES
    """What holds for every target: the fleet's own health rules, and what it never compares."""
    placement: Placement = field(default_factory=Placement)
    """Of the desired targets."""

    def replace_desired(self, desired: Desired, placement: Placement | None = None) -> None:
        """Take over the result of an evaluation, with the placement of its targets if that was made there."""
        self.desired = desired
        self.placement = placement or self.placement.followed_by(desired.targets)

    def forget_cluster(self, cluster: ClusterName) -> None:
        """Drop what was assigned to a cluster that was removed: another one may come under its name."""
        _drop(self.assigned, cluster)
        _drop(self.kinds, cluster)
        _drop(self.decisions, cluster)
        _drop(self.past_needs, cluster)

    def status(self, target: TargetId) -> TargetStatus | None:
        """Return the last report about a target."""
        return self.statuses.get(target.cluster, {}).get(target.app)

    def all_statuses(self) -> dict[TargetId, TargetStatus]:
        """Return the last report about every target."""
        return {
            TargetId(cluster, AppName(name)): status
            for cluster, statuses in self.statuses.items()
            for name, status in statuses.items()
        }

    def users(self, target: TargetId) -> frozenset[TargetId]:
        """Return the targets that need this one directly."""
        return self.placement.users.get(target, frozenset())

    def waiting_clusters(self, changed: Iterable[TargetId]) -> frozenset[ClusterName]:
        """Return the other clusters with targets that need any of these."""
        return frozenset(
            user.cluster
            for id_ in changed
            for user in self.users(id_)
            if user.cluster != id_.cluster
        )

    def waiting(self, cluster: ClusterName) -> frozenset[TargetId]:
        """Return the targets of a cluster that wait at the hub for a dependency on another one."""
        pending = _Pending(self.decisions)
        return frozenset(
            target.id for target in self.on_cluster(cluster).values() if target.id in pending
        )

    def offer(self, target: TargetId) -> Offer | None:
        """Return what a target on the management cluster is to bring to the fleet: as git says, or as it is pinned."""
        pin = self.pins.get(target)
        known = self.pinned_offers if pin is not None and pin.bundle else self.offers
        return known.get(target)

    def on_cluster(self, cluster: ClusterName) -> Mapping[AppName, Target]:
        """Return the desired targets of one cluster."""
        return self.placement.on_cluster.get(cluster, {})

    def is_elsewhere(self, name: AppName, cluster: ClusterName) -> bool:
        """Whether an application is wanted on another cluster than this one."""
        return bool(self.placement.places.get(name, frozenset()) - {cluster})

    def facts(self) -> Facts:
        """Return what `fleet.moves` may look at; nothing is copied, for every cluster asks at every evaluation."""
        return Facts(
            candidates=self.candidates,
            assigned=self.assigned,
            pending=_Pending(self.decisions),
            statuses=_Statuses(self),
        )


def _drop(table: dict[TargetId, V], cluster: ClusterName) -> None:
    for id_ in [id_ for id_ in table if id_.cluster == cluster]:
        del table[id_]


@dataclass(frozen=True, slots=True)
class _Pending:
    """The targets that a dependency holds back at the hub."""

    decisions: Mapping[TargetId, Decision]

    def __contains__(self, id_: object) -> bool:
        decision = self.decisions.get(id_) if isinstance(id_, TargetId) else None
        return (
            decision is not None
            and decision.held is not None
            and decision.held.reason is Reason.DEPENDENCY
        )


class _Statuses(Mapping[TargetId, TargetStatus]):
    """The reports of all clusters, looked up without copying them."""

    def __init__(self, state: State) -> None:
        self._state = state

    def __getitem__(self, id_: TargetId) -> TargetStatus:
        status = self._state.status(id_)
        if status is None:
            raise KeyError(id_)
        return status

    def __iter__(self) -> Iterator[TargetId]:
        return iter(self._state.all_statuses())

    def __len__(self) -> int:
        return sum(len(statuses) for statuses in self._state.statuses.values())
