"""Parents: the facts of Applications on the management cluster that bring documents to the fleet.

What each offers and has in force, whether its policy or somebody's request lets it change that, what it waits for, and
what its project permits, all as of the evaluation before. `fleet.children` decides by them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field

from fleet import moves
from fleet.argo.application import DEFAULT_NAMESPACE
from fleet.argo.children import GROUP, Child, Item, Offer, child_of, key_of
from fleet.children import Fleet, Parent, denial, made_by, with_brought, written
from fleet.claims import Claimant
from fleet.model.application import Application, Deletion
from fleet.model.cluster import Cluster
from fleet.model.identity import AppName, ClusterName, TargetId
from fleet.model.project import AppProject
from fleet.model.report import Health
from fleet.model.target import Target
from fleet.model.world import World
from fleet.targets import find_project, refusal
from hub import sethealth
from hub.accepted import BY_HAND, PARENT, Accepted, Rows
from hub.childsyncs import ChildSyncs
from hub.state import Pin, State


@dataclass(frozen=True, slots=True)
class Fact:
    """A parent as it is now, with what its budget has to know."""

    parent: Parent
    target: Target | None
    application: Application | None
    awaited: frozenset[TargetId] = frozenset()
    """Targets whose news may let it move."""
    is_rendering: bool = False


@dataclass(slots=True, kw_only=True)
class Parents:
    """Gathers the facts."""

    accepted: Accepted
    state: State
    syncs: ChildSyncs
    is_bound: Callable[[ClusterName], bool] = lambda _name: False
    """Whether a cluster has an agent."""
    is_rendering: Callable[[TargetId], bool] = lambda _id: False
    """Whether a target is about to be looked at."""
    has_failed: Callable[[TargetId], bool] = lambda _id: False
    """Whether the last try to render a target failed."""
    _in_force: dict[AppName, tuple[Rows, dict[str, Child]]] = field(default_factory=dict)

    def facts(self, world: World) -> Iterator[Fact]:
        """Return every parent, those included that are gone and have children in force; ``world`` has all `projects`."""
        offering = {id_.app for id_, offer in self.state.offers.items() if offer.children}
        offering |= {id_.app for id_, pin in self.state.pins.items() if pin.bundle}
        known = self.accepted.parents()
        self._in_force = {name: item for name, item in self._in_force.items() if name in known}
        for name in sorted(offering | known):
            yield self._fact(name, world)

    def _fact(self, name: AppName, world: World) -> Fact:
        desired = self.state.desired
        rows = self.accepted.get(PARENT + name)
        application = world.applications.get(name) or desired.applications.get(name)
        target = self._target(name)
        if application is None:
            parent = Parent(
                name=name,
                in_force=self._children(name, rows),
                is_gone=desired.evaluated and name not in self.accepted.unread_applications(),
                leaves_children=rows.outlive,
            )
            return Fact(parent, None, None)
        offer = self.state.offer(target.id) if target else None
        pin = self._pin(target)
        waits_for, awaited = (
            self._gate(target, application, world)
            if target
            else ("it is on no cluster", frozenset())
        )
        automated = application.sync_policy.automated
        asked = offer is not None and self.syncs.asks(name, offer.digest)
        newest = self.state.offers.get(target.id) if target and pin else None
        parent = Parent(
            name=name,
            offer=offer,
            later=newest.children.keys() if newest else frozenset(),
            in_force=self._children(name, rows),
            adopts=automated is not None or asked or pin is not None,
            prunes=bool(automated and automated.prune)
            or (asked and self.syncs.prunes(name))
            or bool(pin and pin.prune),
            waits_for=waits_for,
            denied=self._denied(offer, application, target, world),
            leaves_children=application.deletion is Deletion.ORPHAN,
        )
        is_rendering = target is not None and not pin and self.is_rendering(target.id)
        return Fact(parent, target, application, awaited, is_rendering)

    def _pin(self, target: Target | None) -> Pin | None:
        """What keeps a parent at the documents of an earlier version."""
        pin = self.state.pins.get(target.id) if target else None
        return pin if pin and pin.bundle else None

    def _children(self, name: AppName, rows: Rows) -> dict[str, Child]:
        known = self._in_force.get(name)
        if known is None or known[0] is not rows:
            items: tuple[Item, ...] = (
                *rows.applications.values(),
                *rows.appsets.values(),
                *rows.projects.values(),
            )
            found = [child_of(item) for item in items]
            known = self._in_force[name] = (rows, {child.key: child for child in found})
        return known[1]

    def _target(self, name: AppName) -> Target | None:
        """The target of an Application on the management cluster."""
        desired = self.state.desired
        for cluster in self.state.placement.places.get(name, ()):
            known = desired.clusters.get(cluster)
            if known is not None and known.management:
                return desired.targets[TargetId(cluster, name)]
        return None

    async def sync(self, target: TargetId, *, prune: bool) -> bool:
        """Bring what an Application renders for the fleet into force although its policy does not (``fleet app sync``);
        returns whether there is anything of that kind."""
        offer = self.state.offers.get(target)
        if offer is None or not (offer.children or target.app in self.accepted.parents()):
            return False
        await self.syncs.ask(target.app, offer.digest, prune=prune)
        return True

    def offer(self, name: AppName) -> Offer | None:
        """What an Application brings, if that is known now."""
        target = self._target(name)
        return self.state.offer(target.id) if target else None

    def is_unsettled(self) -> bool:
        """Whether anything that may bring documents is about to be looked at, or nothing was yet."""
        return not self.state.desired.evaluated or any(
            self.is_rendering(id_) for id_ in self._own()
        )

    def claimants(self, world: World) -> Iterator[Claimant]:
        """Return what may bring documents and does not render; ``world`` has all `projects`."""
        known = self.accepted.parents()
        for id_ in self._own():
            if not (self.has_failed(id_) and self._brings(id_, known)):
                continue
            application = (
                world.applications.get(id_.app) or self.state.desired.applications[id_.app]
            )
            yield Claimant(
                id=id_,
                cluster=self.state.desired.clusters[id_.cluster],
                project=find_project(world.projects, application.project),
                namespace=application.destination.namespace or DEFAULT_NAMESPACE,
            )

    def documents(self, keys: Set[str]) -> dict[str, Child | None]:
        """Return documents in force, whoever brought them to the fleet; None for what cannot be read."""
        found: dict[str, Child | None] = dict.fromkeys(keys)
        owners = (
            BY_HAND,
            *sorted(self.accepted.names()),
            *(PARENT + name for name in sorted(self.accepted.parents())),
        )
        for owner in owners:
            rows = self.accepted.get(owner)
            items: tuple[Item, ...] = (*rows.appsets.values(), *rows.projects.values())
            found |= {
                name: child_of(rows.applications[name])
                for name in rows.applications
                if name in keys
            }
            found |= {
                key: child_of(item)
                for item in items
                if (key := key_of(type(item).__name__, item.name)) in keys
            }
        return found

    def _brings(self, id_: TargetId, known: Set[AppName]) -> bool:
        """Whether a target brings documents, as far as that is known: its last good manifests say so, or, where a
        restart forgot these, whether any of what its policy puts in force by itself is."""
        if id_.app in known or self.accepted.unread_of(PARENT + id_.app):
            return True
        offer = self.state.offers.get(id_)
        if offer is not None:
            return bool(offer.children)
        target = self.state.desired.targets.get(id_)
        automated = target is not None and target.application.sync_policy.automated is not None
        return not (automated and self.state.assigned.get(id_))

    def _own(self) -> Iterator[TargetId]:
        """Every target on the management cluster."""
        for cluster in self.state.desired.clusters.values():
            if cluster.management:
                for name in self.state.on_cluster(cluster.name):
                    yield TargetId(cluster.name, name)

    def unrendered(
        self,
        targets: Iterable[TargetId],
        clusters: Mapping[ClusterName, Cluster],
        rows: Mapping[str, Rows],
    ) -> frozenset[TargetId]:
        """Name the targets that may bring documents, of which nothing is known and nothing is in force."""
        own = {name for name, cluster in clusters.items() if cluster.management}
        if not own:
            return frozenset()
        return frozenset(
            id_
            for id_ in targets
            if id_.cluster in own and id_ not in self.state.offers and PARENT + id_.app not in rows
        )

    def fleet(
        self, facts: Iterable[Fact], world: World, *, confirmed: Set[str], leaving: Set[str]
    ) -> Fleet:
        """What the parents are looked at against; ``leaving`` was seen to, and ``confirmed`` of it may go."""
        facts = list(facts)
        if not facts:
            return Fleet(confirmed=confirmed)  # a fleet without any does not pay for them
        return Fleet(
            others=self._others(world),
            makes=self._makes(facts),
            leaving=leaving,
            rated=self._rated(),
            healthy=self._healthy(facts),
            confirmed=confirmed,
        )

    def _gate(
        self, target: Target, application: Application, world: World
    ) -> tuple[str, frozenset[TargetId]]:
        """Say what a parent waits for, and whose news may change that. Its own objects go first."""
        id_, state = target.id, self.state
        # the target is of the evaluation before: rules that are new forbid at once
        refused = refusal(application, state.desired.clusters[id_.cluster], world.projects)
        candidate, pin = state.candidates.get(id_), state.pins.get(id_)
        if pin is not None and pin.bundle:
            # what a person brought back waits for no dependency, nor for what git says meanwhile
            return self._pinned_gate(id_, pin, refused or target.held)
        if self.is_rendering(id_):
            return "it is being rendered", frozenset()
        if refused or target.held:
            return refused or target.held, frozenset()
        if candidate is None:
            return "not rendered yet", frozenset()
        if candidate.error:
            return candidate.error, frozenset()
        if pin is not None:
            return pin.words, frozenset((id_,))
        if self.is_bound(id_.cluster) and state.assigned.get(id_) != candidate.digest:
            decision = state.decisions.get(id_)
            held = decision.held if decision else None
            return held.message if held else "its own objects go first", frozenset((id_,))
        facts = state.facts()
        lacks = [edge.blocked for edge in target.edges if edge.blocked]
        needed = {other for edge in target.edges for other in edge.targets}
        lacks += [lack for other in sorted(needed) if (lack := moves.unsatisfied(other, facts))]
        return "; ".join(lacks), frozenset(needed) if lacks else frozenset()

    def _pinned_gate(
        self, id_: TargetId, pin: Pin, refused: str
    ) -> tuple[str, frozenset[TargetId]]:
        if refused:
            return refused, frozenset()
        if id_ not in self.state.pinned_offers:
            return f"what it brought at deployment {pin.deployment} cannot be read", frozenset()
        if self.is_bound(id_.cluster) and self.state.assigned.get(id_) != pin.digest:
            return "its own objects go first", frozenset((id_,))
        return "", frozenset()

    def _denied(
        self, offer: Offer | None, application: Application, target: Target | None, world: World
    ) -> dict[str, str]:
        """What the project of a parent does not let it bring, judged like any object."""
        project = find_project(world.projects, application.project)
        if offer is None or target is None or project is None:
            return {}
        cluster = self.state.desired.clusters[target.id.cluster]
        found = {
            key: denial(child, project, cluster, world.projects)
            for key, child in offer.children.items()
        }
        return {key: reason for key, reason in found.items() if reason}

    def projects(self, world: World) -> dict[str, AppProject]:
        """Return the projects of a world and those in force that Applications bring."""
        brought = {
            name: project
            for parent in sorted(self.accepted.parents())
            for name, project in self.accepted.get(PARENT + parent).projects.items()
        }
        return with_brought(brought, world.projects)

    def _others(self, world: World) -> dict[str, str]:
        """What is no parent's: documents of fleet repositories, and what sets make that no parent has."""
        owned = {
            name
            for parent in self.accepted.parents()
            for name in self.accepted.get(PARENT + parent).applications
        }
        made = {
            str(name): made_by(status.name)
            for _, status in sorted(
                self.state.desired.sets.items(), reverse=True
            )  # the first has it
            if status.name in self.state.desired.appsets
            for name in set(status.applications)
            - set(status.kept)
            - self._held(status.name)
            - owned
        }
        return {**made, **written(world)}

    def _held(self, appset: str) -> set[str]:
        hold = self.state.holds.get(f"appset/{appset}")
        return set(hold.removed) if hold else set()

    def _makes(self, facts: Iterable[Fact]) -> dict[str, frozenset[AppName]]:
        """What the sets among the children make now."""
        names = {
            child.name
            for fact in facts
            for offered in (
                fact.parent.offer.children if fact.parent.offer else {},
                fact.parent.in_force,
            )
            for child in offered.values()
            if child.kind == "ApplicationSet"
        }
        sets = self.state.desired.sets
        return {name: frozenset(sets[name].applications) for name in names if name in sets}

    def _rated(self) -> frozenset[str]:
        """The kinds that waves wait for: Applications only by a rule of the fleet, sets always, as in Argo CD."""
        is_rated = self.state.rules.health.find(GROUP, "Application") is not None
        return frozenset({"ApplicationSet", "Application"} if is_rated else {"ApplicationSet"})

    def _healthy(self, facts: Iterable[Fact]) -> set[str]:
        rated = self._rated()
        return {
            key
            for fact in facts
            for key, child in fact.parent.in_force.items()
            if child.kind in rated and self._is_healthy(child)
        }

    def _is_healthy(self, child: Child) -> bool:
        if child.kind == "ApplicationSet":
            found = sethealth.health(self.state, child.name, self.is_rendering)
            return found is Health.HEALTHY
        return self._is_at_its_best(AppName(child.name))

    def _is_at_its_best(self, name: AppName) -> bool:
        """Whether an Application is Healthy at its newest artifact."""
        state = self.state
        for cluster in state.placement.places.get(name, ()):
            id_ = TargetId(cluster, name)
            status, candidate = state.status(id_), state.candidates.get(id_)
            return (
                status is not None
                and candidate is not None
                and not self.is_rendering(id_)
                and not candidate.error
                and state.assigned.get(id_) == candidate.digest == status.assigned
                and status.health is Health.HEALTHY
            )
        return False
