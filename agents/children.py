"""Objects that controllers made for an application's: what belongs to it by `agents.ownership`, of the kinds that are known to
be made, and how each of them is. Which they are is read from metadata; only they are read whole.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from dataclasses import dataclass

from agents.live import ref_of
from agents.ownership import Ownership, Roots
from fleet.codec.jsontypes import JsonObject
from fleet.errors import NotReady
from fleet.health.assess import assess, has_rule
from fleet.health.result import HealthResult
from fleet.kube.errors import NotFound
from fleet.kube.port import ClusterPort, Discovery, Resource
from fleet.model.identity import ObjectRef

_Kind = tuple[str, str]

_POD: _Kind = ("", "Pod")
_MADE_BY: Mapping[_Kind, tuple[_Kind, ...]] = {
    ("apps", "Deployment"): (("apps", "ReplicaSet"),),
    ("apps", "ReplicaSet"): (_POD,),
    ("apps", "StatefulSet"): (_POD,),
    ("apps", "DaemonSet"): (_POD,),
    ("batch", "CronJob"): (("batch", "Job"),),
    ("batch", "Job"): (_POD,),
    ("", "ReplicationController"): (_POD,),
    ("", "Service"): (("discovery.k8s.io", "EndpointSlice"),),
}
_SINGLY = 8
"""More of a kind and namespace than this are read by a list."""


@dataclass(frozen=True, slots=True)
class Child:
    """An object, the one that owns it, and how it is."""

    ref: ObjectRef
    parent: ObjectRef
    created: str = ""
    health: HealthResult | None = None


async def children(cluster: ClusterPort, discovery: Discovery, roots: Roots) -> list[Child]:
    """Find what an application's objects own, and what that owns; parents first. Raises NotReady where not all can be seen."""
    ownership = Ownership(cluster, discovery, roots)
    found: list[Child] = []
    for kind, namespace in sorted(_sought(roots)):
        resource = discovery.preferred(*kind)
        if resource is None:
            continue
        owned = await ownership.owned(resource, namespace)
        wanted = {item.object.ref for item, _ in owned}
        health = await _health(cluster, resource, namespace, wanted)
        found += [
            Child(item.object.ref, parent, item.created, health.get(item.object.ref))
            for item, parent in owned
        ]
    if ownership.hidden:
        raise NotReady(f"not all can be looked through: {'; '.join(sorted(ownership.hidden))}")
    return _parents_first(found, roots)


def _parents_first(found: Iterable[Child], roots: Collection[ObjectRef]) -> list[Child]:
    left, parents, ordered = list(found), set(roots), []
    while level := [child for child in left if child.parent in parents]:
        ordered += level
        parents = {child.ref for child in level}
    return ordered


def _sought(parents: Iterable[ObjectRef]) -> Collection[tuple[_Kind, str]]:
    """Say where to look: kinds and namespaces, those of children's children too."""
    todo = [((ref.group, ref.kind), ref.namespace) for ref in parents if ref.namespace]
    found: set[tuple[_Kind, str]] = set()
    while todo:
        kind, namespace = todo.pop()
        new = {(made, namespace) for made in _MADE_BY.get(kind, ())} - found
        found |= new
        todo += new
    return found


async def _health(
    cluster: ClusterPort, resource: Resource, namespace: str, wanted: Collection[ObjectRef]
) -> Mapping[ObjectRef, HealthResult | None]:
    """Rate objects one by one as they are read; none is kept."""
    if not (wanted and has_rule(resource.group, resource.kind)):
        return {}
    bodies = (
        _singly(cluster, resource, wanted)
        if len(wanted) <= _SINGLY
        else _listed(cluster, resource, namespace)
    )
    found = {}
    async for body in bodies:
        ref = ref_of(resource, body)
        if ref in wanted:
            found[ref] = assess(body)
    return found


async def _singly(
    cluster: ClusterPort, resource: Resource, wanted: Iterable[ObjectRef]
) -> AsyncIterator[JsonObject]:
    for ref in wanted:
        try:
            yield await cluster.get(resource, ref.namespace, ref.name)
        except NotFound:
            continue


async def _listed(
    cluster: ClusterPort, resource: Resource, namespace: str
) -> AsyncIterator[JsonObject]:
    async for page in cluster.pages(resource, namespace=namespace):
        for item in page.items:
            yield item
