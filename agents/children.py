"""Objects that controllers made for an application's: found by owner references, only where a kind is known to have some."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from agents.apply import together
from agents.live import ref_of
from fleet.codec.jsontypes import JsonObject
from fleet.errors import Transient
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
_MOST = 20_000
"""Objects of a namespace that are looked through."""


@dataclass(frozen=True, slots=True)
class Child:
    """An object and the one that owns it."""

    ref: ObjectRef
    parent: ObjectRef
    body: JsonObject


async def children(
    cluster: ClusterPort, discovery: Discovery, parents: Mapping[str, ObjectRef]
) -> list[Child]:
    """Find what these objects (by UID) own, and what that owns."""
    places = {
        (resource, namespace)
        for kind, namespace in _sought(parents.values())
        if (resource := discovery.preferred(*kind)) is not None
    }
    listed = await together(
        _listed(cluster, resource, namespace)
        for resource, namespace in sorted(places, key=lambda place: (place[0].kind, place[1]))
    )
    left = [item for found in listed for item in found]
    owners = dict(parents)
    result: list[Child] = []
    while found := [child for ref, body in left if (child := _child(ref, body, owners))]:
        result += found
        owners = {str(child.body["metadata"].get("uid") or ""): child.ref for child in found}
    return result


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


async def _listed(
    cluster: ClusterPort, resource: Resource, namespace: str
) -> list[tuple[ObjectRef, JsonObject]]:
    found: list[tuple[ObjectRef, JsonObject]] = []
    async for page in cluster.pages(resource, namespace=namespace):
        found += [(ref_of(resource, item), item) for item in page.items]
        if len(found) > _MOST:
            raise Transient(
                f"namespace {namespace} has more than {_MOST} {resource.plural}: too many to look through"
            )
    return found


def _child(ref: ObjectRef, body: JsonObject, owners: Mapping[str, ObjectRef]) -> Child | None:
    for owner in body["metadata"].get("ownerReferences") or ():
        parent = owners.get(str(owner.get("uid") or ""))
        if parent is not None:
            return Child(ref, parent, body)
    return None
