"""Whether an object belongs to an application: the application has it, or an object that belongs to it owns it.

Ownership is read from owner references, by UID, through every kind there is (a Pod of a ReplicaSet of a Rollout). Each
kind that turns up as an owner is listed once in a namespace, its metadata alone. What cannot be traced does not belong:
an owner that is gone, or one that the agent has no right to see.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from agents.live import ref_of
from fleet.codec.jsontypes import JsonObject, JsonValue
from fleet.errors import FleetError, NotReady
from fleet.kube.port import ClusterPort, Discovery, Resource
from fleet.model.identity import ObjectRef

_DEEPEST = 8
_MOST_KINDS = 40
"""Kinds that are listed for one read."""
_MOST = 20_000
"""Objects of one kind that are looked through in a namespace."""


@dataclass(frozen=True, slots=True)
class Owner:
    """An object as another one names it."""

    ref: ObjectRef
    uid: str


@dataclass(frozen=True, slots=True)
class Owned:
    """An object that others own."""

    object: Owner
    owners: tuple[Owner, ...]
    created: str = ""


Roots = Mapping[ObjectRef, str]
"""An application's own objects and their UIDs; empty where none was ever applied."""

_Kind = tuple[Resource, str]
_Found = Mapping[str, Owned]


class Ownership:
    """What belongs to one application, as found out during one read."""

    def __init__(self, cluster: ClusterPort, discovery: Discovery, roots: Roots) -> None:
        self._cluster = cluster
        self._discovery = discovery
        self._roots = roots
        self._listed: dict[_Kind, _Found] = {}
        self.hidden: set[str] = set()
        """Kinds that could not be looked through, and why."""

    async def has(self, ref: ObjectRef, uid: str, owners: Iterable[Owner] | None = None) -> bool:
        """Whether an object belongs to the application; its owners are looked up where they are not given."""
        return await self._has(Owner(ref, uid), owners, _DEEPEST)

    def owners_of(self, body: JsonObject, namespace: str) -> tuple[Owner, ...]:
        """Read the owner references of an object in a namespace."""
        found = (body.get("metadata") or {}).get("ownerReferences") or ()
        return tuple(self._owner(item, namespace) for item in found if isinstance(item, dict))

    async def owned(self, resource: Resource, namespace: str) -> list[tuple[Owned, ObjectRef]]:
        """Return the objects of a kind that belong to the application by an owner, each with that one."""
        found = []
        for item in (await self._all(resource, namespace)).values():
            for owner in item.owners:
                if await self._has(owner, None, _DEEPEST):
                    found.append((item, owner.ref))
                    break
        return found

    async def _has(self, item: Owner, owners: Iterable[Owner] | None, depth: int) -> bool:
        if item.ref in self._roots:
            # Without a UID nothing of that name was ever applied: what has it now is somebody else's.
            return bool(item.uid) and self._roots[item.ref] == item.uid
        if depth == 0:
            return False
        if owners is None:
            owners = await self._owners(item)
        for owner in owners:
            if await self._has(owner, None, depth - 1):
                return True
        return False

    async def _owners(self, item: Owner) -> tuple[Owner, ...]:
        resource = self._discovery.preferred(item.ref.group, item.ref.kind)
        # Objects of no namespace own what they like in every one: nothing is listed for them.
        if resource is None or not resource.namespaced or "list" not in resource.verbs:
            return ()
        found = (await self._all(resource, item.ref.namespace)).get(item.uid)
        return found.owners if found is not None else ()

    async def _all(self, resource: Resource, namespace: str) -> _Found:
        kind = (resource, namespace)
        if kind not in self._listed:
            self._listed[kind] = await self._list(*kind)
        return self._listed[kind]

    async def _list(self, resource: Resource, namespace: str) -> _Found:
        if len(self._listed) >= _MOST_KINDS:
            self.hidden.add(f"{resource.plural}: more than {_MOST_KINDS} kinds to look through")
            return {}
        found: dict[str, Owned] = {}
        try:
            async for page in self._cluster.pages(
                resource, namespace=namespace, metadata_only=True
            ):
                for item in page.items:
                    if owners := self.owners_of(item, namespace):
                        uid = str(item["metadata"].get("uid") or "")
                        created = str(item["metadata"].get("creationTimestamp") or "")
                        found[uid] = Owned(Owner(ref_of(resource, item), uid), owners, created)
                if len(found) > _MOST:
                    raise NotReady(f"more than {_MOST} of them in namespace {namespace}")
        except FleetError as error:
            self.hidden.add(f"{resource.plural}: {error.message}")
            return {}
        return found

    def _owner(self, item: Mapping[str, JsonValue], namespace: str) -> Owner:
        group = str(item.get("apiVersion") or "").rpartition("/")[0]
        kind = str(item.get("kind") or "")
        resource = self._discovery.preferred(group, kind)
        home = namespace if resource is None or resource.namespaced else ""
        return Owner(
            ObjectRef(group, kind, home, str(item.get("name") or "")), str(item.get("uid") or "")
        )
