"""The objects of one cluster: indexed, versioned, with a bounded memory of what happened.

Objects are never changed in place, so that lists, watches and continue tokens can hold on to them. Nothing here knows a rule
of the API; whoever must act on changes listens.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from fleet.codec.jsontypes import JsonObject

StoreKey = tuple[str, str]
"""Group and plural."""
Slot = tuple[str, str]
"""Namespace and name."""


@dataclass(frozen=True, slots=True)
class Change:
    """One event; ``before`` is None for a new object, ``after`` is the last state of one that is gone."""

    version: int
    type: str
    key: StoreKey
    before: JsonObject | None
    after: JsonObject


@dataclass(slots=True)
class Log:
    """The latest changes of one kind."""

    limit: int
    forgotten: int
    """Changes up to this version are no longer known."""
    entries: list[Change] = field(default_factory=list)
    base: int = 0
    """Number of the first entry, counted from the beginning."""

    def append(self, change: Change) -> None:
        """Remember a change; the oldest half is forgotten now and then."""
        self.entries.append(change)
        if len(self.entries) > 2 * self.limit:
            self._drop(len(self.entries) - self.limit)

    def compact(self, version: int) -> None:
        """Forget everything up to now."""
        self._drop(len(self.entries))
        self.forgotten = version

    def _drop(self, count: int) -> None:
        if count:
            self.forgotten = self.entries[count - 1].version
            self.base += count
            del self.entries[:count]

    def position_after(self, version: int) -> int:
        """The number of the first change after a version."""
        return self.base + bisect_right(self.entries, version, key=lambda change: change.version)

    def since(self, position: int) -> list[Change] | None:
        """The changes from a position on; None where some of them are forgotten."""
        if position < self.base:
            return None
        return self.entries[position - self.base :]


class Collection:
    """All objects of one kind."""

    def __init__(self, log: Log) -> None:
        self.objects: dict[Slot, JsonObject] = {}
        self.log = log
        self.news = asyncio.Event()
        self._order: list[Slot] = []
        self._labels: dict[tuple[str, str], set[Slot]] = {}

    def slots(self, namespace: str = "") -> list[Slot]:
        """Names in order, of one namespace or of all."""
        if not namespace:
            return list(self._order)
        start = bisect_left(self._order, (namespace, ""))
        end = bisect_left(self._order, (namespace + "\0", ""))
        return self._order[start:end]

    def labelled(self, key: str, value: str) -> set[Slot]:
        """Names of the objects with a label."""
        return self._labels.get((key, value), set())

    def put(self, slot: Slot, obj: JsonObject) -> None:
        """Add or replace."""
        before = self.objects.get(slot)
        if before is None:
            insort(self._order, slot)
        self._relabel(slot, before, obj)
        self.objects[slot] = obj

    def pop(self, slot: Slot) -> None:
        """Take out."""
        before = self.objects.pop(slot)
        del self._order[bisect_left(self._order, slot)]
        self._relabel(slot, before, None)

    def wake(self) -> None:
        """Tell everybody who waits for news."""
        news, self.news = self.news, asyncio.Event()
        news.set()

    def _relabel(self, slot: Slot, before: JsonObject | None, after: JsonObject | None) -> None:
        old = (before["metadata"].get("labels") or {}) if before else {}
        new = (after["metadata"].get("labels") or {}) if after else {}
        if old == new:
            return
        for item in old.items():
            slots = self._labels[item]
            slots.discard(slot)
            if not slots:
                del self._labels[item]
        for item in new.items():
            self._labels.setdefault(item, set()).add(slot)


class Store:
    """Everything that a cluster holds."""

    def __init__(self, *, kept_events: int = 5000, version: int = 1000) -> None:
        self.version = version
        """The resource version of the latest change."""
        self.collections: dict[StoreKey, Collection] = {}
        self.listeners: list[Callable[[Change], None]] = []
        """Called after every change, before its writer is answered."""
        self.kept_events = kept_events
        self._floor = version

    def collection(self, key: StoreKey) -> Collection:
        """The objects of a kind."""
        found = self.collections.get(key)
        if found is None:
            log = Log(limit=self.kept_events, forgotten=self._floor)
            found = self.collections[key] = Collection(log)
        return found

    def get(self, key: StoreKey, slot: Slot) -> JsonObject | None:
        """One object."""
        found = self.collections.get(key)
        return found.objects.get(slot) if found else None

    def all(self) -> Iterator[tuple[StoreKey, JsonObject]]:
        """Every object; the store may be changed meanwhile."""
        for key, collection in list(self.collections.items()):
            for obj in list(collection.objects.values()):
                yield key, obj

    def put(self, key: StoreKey, obj: JsonObject) -> JsonObject:
        """Write an object and give it its resource version."""
        collection = self.collection(key)
        self.version += 1
        obj = {**obj, "metadata": {**obj["metadata"], "resourceVersion": str(self.version)}}
        slot = slot_of(obj)
        before = collection.objects.get(slot)
        collection.put(slot, obj)
        self._tell(collection, "MODIFIED" if before else "ADDED", key, before, obj)
        return obj

    def remove(self, key: StoreKey, last: JsonObject) -> JsonObject:
        """Take an object out; returns its last state."""
        collection = self.collection(key)
        slot = slot_of(last)
        before = collection.objects[slot]
        self.version += 1
        last = {**last, "metadata": {**last["metadata"], "resourceVersion": str(self.version)}}
        collection.pop(slot)
        self._tell(collection, "DELETED", key, before, last)
        return last

    def restore(self, key: StoreKey, obj: JsonObject) -> None:
        """Put an object back as it was kept; it is no news."""
        self.collection(key).put(slot_of(obj), obj)

    def compact(self) -> None:
        """Forget the past, as etcd's compaction does."""
        self._floor = self.version
        for collection in self.collections.values():
            collection.log.compact(self.version)
            collection.wake()

    def _tell(
        self,
        collection: Collection,
        kind: str,
        key: StoreKey,
        before: JsonObject | None,
        after: JsonObject,
    ) -> None:
        change = Change(self.version, kind, key, before, after)
        collection.log.append(change)
        collection.wake()
        for listener in self.listeners:
            listener(change)


def slot_of(obj: JsonObject) -> Slot:
    """Where an object is kept."""
    metadata = obj["metadata"]
    return metadata.get("namespace") or "", metadata["name"]
