"""Follows Applications that bring documents to the fleet (app of apps), as the hub does, at one revision after another.

What such an Application renders is offered, `fleet.children` decides what of it comes into force, and that may hold
more Applications, and sets that make more: it is looked at again until nothing changes. As everywhere in offline
commands everything counts as synced: also the children of an Application that waits for somebody to sync it are
shown, for that is what a reader wants to see before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field

from fleet import claims
from fleet.argo.application import DEFAULT_NAMESPACE
from fleet.argo.children import Child, Offer
from fleet.children import Fleet, Parent, choose, denial, made_by, written
from fleet.claims import Claimant
from fleet.cli import foresight
from fleet.cli.checking import Check
from fleet.cli.foresight import Bringing, Brought, InForce
from fleet.cli.offers import Offered, Offers
from fleet.generators.result import Generated
from fleet.jq.trimming import trim_once
from fleet.model.application import Application, Deletion
from fleet.model.appset import ApplicationSet
from fleet.model.identity import AppName, TargetId
from fleet.model.project import AppProject
from fleet.model.target import Target
from fleet.model.world import World
from fleet.targets import find_project

MAX_ROUNDS = 40
"""Each looks one level deeper, or lets go what left; what is not at rest then never is."""


@dataclass(slots=True, kw_only=True)
class Followed:
    """A revision with everything that Applications bring to it."""

    in_force: InForce
    offered: Mapping[TargetId, Offered] = field(default_factory=dict)
    """What is known of every Application on the management cluster."""
    waits: Mapping[TargetId, frozenset[str]] = field(default_factory=dict)
    """What left elsewhere and stays, by the Application that does not render and may bring it."""

    @property
    def is_complete(self) -> bool:
        """Whether everybody said what they make and bring, so that an unknown name is unknown."""
        unknown = any(item.error or item.lacks for item in self.offered.values())
        return self.in_force.check.is_complete and not unknown


async def follow(check: Check, offers: Offers | None, base: InForce | None = None) -> Followed:
    """Find what is in force at a revision, all that is made there, or on top of another one; no ``offers``: nobody
    brings anything."""
    brought: Brought = base.brought if base else {}
    applications = dict(base.applications) if base else {}
    confirmed: frozenset[str] = frozenset()
    for _ in range(MAX_ROUNDS):
        await _bring(check, brought)
        found = await _in_force(check, brought, base)
        if offers is None:
            if _on_management(found):
                check.unchecked.append("what Applications bring to the fleet: nothing is rendered")
            return Followed(in_force=found)
        applications |= found.applications
        offered = await offers.of(_on_management(found), brought.keys())
        parents = _parents(found, brought, offered, applications)
        fleet = _fleet(found, parents, confirmed)
        choices = choose(parents, fleet)
        leaving = frozenset(key for choice in choices.values() for key in choice.leaving)
        after = {
            parent.name: Bringing(parent, choices[parent.name])
            for parent in parents
            if not parent.is_gone or choices[parent.name].in_force
        }
        is_at_rest = _in_force_of(after) == _in_force_of(brought)
        brought = after
        if (
            is_at_rest
        ):  # all that may bring elsewhere what leaves was rendered by now, if it renders
            waits = _waits(found, parents, offered, leaving)
            waiting = frozenset().union(*waits.values())
            if leaving - waiting <= confirmed:
                found.brought = brought
                return Followed(in_force=found, offered=offered, waits=waits)
            confirmed |= leaving - waiting
    check.unchecked.append("what Applications bring to the fleet: it changes without end")
    return Followed(in_force=found, offered=offered)


async def _bring(check: Check, brought: Brought) -> None:
    items = [
        child.item
        for _, bringing in sorted(brought.items())
        for child in bringing.choice.in_force.values()
    ]
    await check.bring(
        {item.name: item for item in items if isinstance(item, ApplicationSet)},
        {item.name: item for item in items if isinstance(item, AppProject)},
    )


async def _in_force(check: Check, brought: Brought, base: InForce | None) -> InForce:
    if base is None:
        return foresight.at_base(check, brought)
    trims = foresight.trims(check, base)
    trimmed = {name: await trim_once(item) for name, item in trims.items()}
    return foresight.at_head(check, base, brought, trimmed)


def _on_management(found: InForce) -> list[Target]:
    own = {cluster.name for cluster in found.check.world.clusters if cluster.management}
    return [target for id_, target in sorted(found.targets.items()) if id_.cluster in own]


def _parents(
    found: InForce,
    brought: Brought,
    offered: Mapping[TargetId, Offered],
    applications: Mapping[AppName, Application],
) -> list[Parent]:
    """State the facts of all Applications that bring documents, or brought some; ``applications`` are as last seen."""
    places = {id_.app: id_ for id_ in offered}
    offering = {
        id_.app for id_, item in offered.items() if item.offer is not None and item.offer.children
    }
    parents = []
    for name in sorted(offering | brought.keys()):
        children = foresight.children_of(brought, name)
        application = found.applications.get(name)
        if application is None:
            leaves = applications[name].deletion is Deletion.ORPHAN
            parents.append(
                Parent(name=name, in_force=children, is_gone=True, leaves_children=leaves)
            )
            continue
        id_ = places.get(name)
        automated = application.sync_policy.automated
        offer = offered[id_].offer if id_ else None
        parents.append(
            Parent(
                name=name,
                offer=offer,
                in_force=children,
                adopts=True,
                prunes=bool(automated and automated.prune),
                waits_for=_waits_for(found.targets[id_], offered[id_])
                if id_
                else "it is on no cluster",
                denied=_denied(offer, found.targets[id_], found.check.world) if id_ else {},
                leaves_children=application.deletion is Deletion.ORPHAN,
            )
        )
    return parents


def _waits_for(target: Target, offered: Offered) -> str:
    if target.held:
        return target.held
    return offered.error.message if offered.error else offered.lacks


def _denied(offer: Offer | None, target: Target, world: World) -> dict[str, str]:
    """What the project of a parent does not let it bring."""
    project = find_project(world.projects, target.application.project)
    if offer is None or project is None:
        return {}
    cluster = next(item for item in world.clusters if item.name == target.id.cluster)
    found = {
        key: denial(child, project, cluster, world.projects)
        for key, child in offer.children.items()
    }
    return {key: reason for key, reason in found.items() if reason}


def _waits(
    found: InForce,
    parents: Iterable[Parent],
    offered: Mapping[TargetId, Offered],
    leaving: Set[str],
) -> dict[TargetId, frozenset[str]]:
    world = found.check.world
    clusters = {cluster.name: cluster for cluster in world.clusters}
    failing = [found.targets[id_] for id_, item in offered.items() if item.error is not None]
    claimants = [
        Claimant(
            id=target.id,
            cluster=clusters[target.id.cluster],
            project=find_project(world.projects, target.application.project),
            namespace=target.application.destination.namespace or DEFAULT_NAMESPACE,
        )
        for target in failing
    ]
    left = {
        key: child for parent in parents for key, child in parent.in_force.items() if key in leaving
    }
    return claims.waits(claimants, left, world.projects, leaving=leaving)


def _fleet(found: InForce, parents: Iterable[Parent], confirmed: frozenset[str]) -> Fleet:
    parents = list(parents)
    if not parents:
        return Fleet(confirmed=confirmed)
    children = [
        child
        for parent in parents
        for offered in (parent.offer.children if parent.offer else {}, parent.in_force)
        for child in offered.values()
    ]
    return Fleet(
        others=_others(found, {key for parent in parents for key in parent.in_force}),
        makes={
            child.name: frozenset(found.sets.get(child.name, ()))
            for child in children
            if child.kind == "ApplicationSet"
        },
        confirmed=confirmed,
    )


def _others(found: InForce, owned: set[str]) -> dict[str, str]:
    """What is no parent's: documents of the repository, and what sets make that no parent has."""
    world = found.check.written
    made: dict[str, str] = {}
    for name, result in sorted(found.check.results.items(), reverse=True):  # the first has it
        if isinstance(result, Generated):
            names = {str(item.name) for item in result.applications} - owned
        else:
            names = {str(app) for app in found.sets.get(name, ())} - owned
        made |= dict.fromkeys(names, made_by(name))
    return {**made, **written(world)}


def _in_force_of(brought: Brought) -> dict[AppName, dict[str, str]]:
    """The versions that are in force, and who is above them."""
    return {
        name: {key: f"{child.digest} {bringing.choice.chain}" for key, child in _items(bringing)}
        for name, bringing in brought.items()
    }


def _items(bringing: Bringing) -> list[tuple[str, Child]]:
    return sorted(bringing.choice.in_force.items())
