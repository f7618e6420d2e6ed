"""The inventories of all targets: read at the start, kept in memory, written through the journal.

What allows a deletion or a creation is written and waited for (`store`); what only saves work after a restart is
written soon (`note`). Inventories of another cluster (the same name, another kube-system) are never used.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping

import msgspec
import structlog

from agents import failpoints
from agents.records import Journal
from fleet.codec.jsontypes import JsonObject
from fleet.errors import Corrupt, FleetError
from fleet.kube.port import ClusterPort, Resource
from fleet.model.identity import ObjectRef
from fleet.runtime import log as fields
from fleet.sync import inventorycodec
from fleet.sync.inventory import Inventory, owners, rebuild
from fleet.sync.manifest import OWNED_SELECTOR

log = structlog.get_logger(__name__)

_PREFIX = "inventory."
_PARALLEL_LISTS = 8


class Inventories:
    """Inventories by target."""

    def __init__(self, journal: Journal, cluster_uid: str) -> None:
        self._journal = journal
        self._cluster_uid = cluster_uid
        self._found: dict[str, Inventory] = {}
        self._names: dict[str, set[str]] = {}
        self._unwritten: set[str] = set()
        """Targets whose last `store` did not succeed: what is in memory is not on record."""

    def load(self, records: Mapping[str, str]) -> set[str]:
        """Read all of them; returns the targets whose inventory is damaged and has to be rebuilt."""
        texts: dict[str, dict[str, str]] = {}
        for name, text in records.items():
            if name.startswith(_PREFIX):
                texts.setdefault(_target_of(name, text), {})[name] = text
        damaged = set()
        for target, parts in texts.items():
            self._names[target] = set(parts)
            try:
                inventory = inventorycodec.decode(parts.values())
            except Corrupt as error:
                log.error(
                    "inventory is damaged", **{fields.TARGET: target, fields.ERROR: str(error)}
                )
                damaged.add(target)
                continue
            if inventory.cluster_uid == self._cluster_uid:
                self._found[target] = inventory
            else:
                log.warning("inventory of another cluster is not used", **{fields.TARGET: target})
        return damaged

    def get(self, target: str) -> Inventory | None:
        """A target's inventory; None where it never had one."""
        return self._found.get(target)

    def of(self, target: str) -> Inventory:
        """A target's inventory, or an empty one to start with."""
        return self._found.get(target) or Inventory(target=target, cluster_uid=self._cluster_uid)

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._found))

    def applied(self) -> set[str]:
        """Digests of the artifacts that live objects came from."""
        return {item.applied for item in self._found.values() if item.applied}

    def unanswered(self) -> Iterator[ObjectRef]:
        """What may have been asked for and was never seen."""
        return (ref for item in self._found.values() for ref in item.unanswered())

    def leaving(self, present: Iterable[str]) -> dict[str, Inventory]:
        """Inventories of targets that are not among those."""
        there = set(present)
        return {name: item for name, item in self._found.items() if name not in there}

    async def store(self, inventory: Inventory) -> None:
        """Keep an inventory; durable when it returns."""
        target = inventory.target
        is_known = self._found.get(target) == inventory and target not in self._unwritten
        if is_known and self._journal.has_written(self._names.get(target, ())):
            return
        self._unwritten.add(target)
        failpoints.reach("inventory.before-store")
        await self._journal.write(self._changes(inventory))
        failpoints.reach("inventory.after-store")
        self._unwritten.discard(target)

    def note(self, inventory: Inventory) -> None:
        """Keep an inventory; durable soon."""
        if self._found.get(inventory.target) != inventory:
            self._journal.later(self._changes(inventory))

    async def drop(self, target: str) -> None:
        """Forget a target that is gone; durable when it returns, and only then forgotten."""
        if target in self._found:
            failpoints.reach("inventory.before-drop")
            await self._journal.write(dict.fromkeys(self._names.get(target, ()), None))
            failpoints.reach("inventory.after-drop")
            del self._found[target]
            self._names.pop(target, None)
            self._unwritten.discard(target)

    def adopt(self, found: Iterable[JsonObject], *, only: set[str] | None = None) -> None:
        """Rebuild lost inventories from live objects; those that are known stay as they are."""
        for target, objects in owners(found).items():
            if target in self._found or (only is not None and target not in only):
                continue
            inventory = rebuild(target, self._cluster_uid, objects)
            if inventory.entries or inventory.hooks:
                log.warning(
                    "inventory rebuilt from labels",
                    **{fields.TARGET: target, fields.COUNT: len(inventory.entries)},
                )
                self.note(inventory)

    def _changes(self, inventory: Inventory) -> dict[str, str | None]:
        """Keep in memory and return the records to write: the new ones, and none for those they replace."""
        target = inventory.target
        self._found[target] = inventory
        texts = inventorycodec.encode(inventory, f"{_PREFIX}{target}")
        stale = self._names.get(target, set()) - texts.keys()
        self._names[target] = set(texts)
        return {**texts, **dict.fromkeys(stale, None)}


class _Named(msgspec.Struct):
    """The part of a record that says whose it is."""

    target: str


def _target_of(name: str, text: str) -> str:
    """A record's target: as it says itself, or, where it is damaged, as its name says."""
    try:
        return msgspec.json.decode(text, type=_Named).target
    except msgspec.MsgspecError:
        return name.removeprefix(_PREFIX)


async def find_owned(cluster: ClusterPort, namespaces: tuple[str, ...] = ()) -> list[JsonObject]:
    """Metadata of every object that carries our label, whatever its kind; in these namespaces, or everywhere."""
    limit = asyncio.Semaphore(_PARALLEL_LISTS)
    kinds = [
        resource
        for resource in _once_each((await cluster.discovery()).resources)
        if {"list", "patch"} <= resource.verbs
    ]

    def places(resource: Resource) -> tuple[str, ...]:
        if not namespaces:
            return ("",)
        return namespaces if resource.namespaced else ()

    async def listed(resource: Resource, namespace: str) -> AsyncIterator[JsonObject]:
        pages = cluster.pages(
            resource, namespace=namespace, selector=OWNED_SELECTOR, metadata_only=True
        )
        async for page in pages:
            for item in page.items:
                yield item

    async def list_kind(resource: Resource) -> list[JsonObject]:
        async with limit:
            try:
                return [
                    item for place in places(resource) async for item in listed(resource, place)
                ]
            except FleetError as error:
                log.info("kind not searched", kind=resource.kind, error=str(error))
                return []

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(list_kind(resource)) for resource in kinds]
    return [item for task in tasks for item in task.result()]


def _once_each(resources: Iterable[Resource]) -> Iterator[Resource]:
    seen: set[tuple[str, str]] = set()
    for resource in resources:
        if (resource.group, resource.kind) not in seen:
            seen.add((resource.group, resource.kind))
            yield resource
