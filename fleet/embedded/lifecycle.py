"""How objects end: finalizers, dependents of owners, namespaces with all that is in them.

The garbage collector and the namespace controller of a real cluster work beside the API server; here they work before the
writer is answered, so that nobody has to wait for them. They are level-based: every ending is worked off from a queue.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Protocol

from fleet.codec.jsontypes import JsonObject
from fleet.embedded.kinds import Kind, Kinds
from fleet.embedded.store import Change, Slot, Store, StoreKey, slot_of

FOREGROUND = "foregroundDeletion"
_NAMESPACES = ("", "namespaces")


class Settle(Protocol):
    """Writes an object that has been decided on."""

    def __call__(
        self, kind: Kind, live: JsonObject | None, after: JsonObject, *, dry_run: bool = False
    ) -> JsonObject: ...


class Lifecycle:
    """Deletion over one store."""

    def __init__(
        self, store: Store, kinds: Kinds, clock: Callable[[], str], settle: Settle
    ) -> None:
        self._store = store
        self._kinds = kinds
        self._clock = clock
        self._write = settle
        self._uids: dict[str, tuple[StoreKey, Slot]] = {}
        self._dependents: dict[str, set[tuple[StoreKey, Slot]]] = {}
        self._pending: deque[tuple[StoreKey, Slot]] = deque()
        self._settling = False
        for key, obj in store.all():
            self._index((key, slot_of(obj)), obj)
        store.listeners.append(self._note)

    # -- asked from outside -------------------------------------------------------------------

    def delete(
        self, kind: Kind, live: JsonObject, propagation: str, *, dry_run: bool = False
    ) -> JsonObject | None:
        """Ask for deletion; None when the object is gone at once, else the object as it waits."""
        metadata = dict(live["metadata"])
        uid = metadata["uid"]
        finalizers = [name for name in metadata.get("finalizers") or () if name != "orphan"]
        owned = self._owned_by(uid)
        if propagation == "Foreground" and owned and FOREGROUND not in finalizers:
            finalizers.append(FOREGROUND)
        metadata.setdefault("deletionTimestamp", self._clock())
        metadata.setdefault("deletionGracePeriodSeconds", 0)
        metadata["finalizers"] = finalizers
        if not finalizers:
            del metadata["finalizers"]
        after = {**live, "metadata": metadata}
        if kind.store_key == _NAMESPACES:
            after["status"] = {**(live.get("status") or {}), "phase": "Terminating"}
        if dry_run:
            return None if self.is_over(kind, after) else after
        if propagation == "Orphan":
            self._orphan(uid)
        self._write(kind, live, after)
        if propagation == "Foreground":
            self._pending.extend(owned)
        if kind.store_key == _NAMESPACES:
            self._empty(metadata["name"])
        self._pending.append((kind.store_key, slot_of(live)))
        self.settle()
        return self._store.get(kind.store_key, slot_of(live))

    def is_over(self, kind: Kind, obj: JsonObject) -> bool:
        """Whether nothing holds an object any longer whose deletion was asked for."""
        metadata = obj["metadata"]
        if not metadata.get("deletionTimestamp") or metadata.get("finalizers"):
            return False
        return kind.store_key != _NAMESPACES or not (obj.get("spec") or {}).get("finalizers")

    def finish(self, kind: Kind, last: JsonObject) -> JsonObject:
        """Take an object out for good."""
        last = self._store.remove(kind.store_key, last)
        self.settle()
        return last

    def settle(self) -> None:
        """Work off what follows from the changes so far."""
        if self._settling:
            return
        self._settling = True
        try:
            while self._pending:
                key, slot = self._pending.popleft()
                obj = self._store.get(key, slot)
                kind = self._kinds.of_store(key)
                if obj is not None and kind is not None:
                    self._look_at(kind, obj)
        finally:
            self._settling = False

    # -- how it works -------------------------------------------------------------------------

    def _note(self, change: Change) -> None:
        """Keep the indexes; whoever a change may end or free is looked at afterwards."""
        place = (change.key, slot_of(change.after))
        metadata = change.after["metadata"]
        for owner in (change.before or change.after)["metadata"].get("ownerReferences") or ():
            self._dependents.get(owner.get("uid") or "", set()).discard(place)
        if change.type == "DELETED":
            self._uids.pop(metadata["uid"], None)
            self._pending.extend(sorted(self._dependents.pop(metadata["uid"], ())))
            self._pending.extend(
                self._uids[owner["uid"]]
                for owner in metadata.get("ownerReferences") or ()
                if owner.get("uid") in self._uids
            )
            if metadata.get("namespace"):
                self._pending.append((_NAMESPACES, ("", metadata["namespace"])))
            return
        self._index(place, change.after)
        if metadata.get("ownerReferences"):
            self._pending.append(place)

    def _index(self, place: tuple[StoreKey, Slot], obj: JsonObject) -> None:
        metadata = obj["metadata"]
        self._uids[metadata["uid"]] = place
        for owner in metadata.get("ownerReferences") or ():
            self._dependents.setdefault(owner.get("uid") or "", set()).add(place)

    def _look_at(self, kind: Kind, obj: JsonObject) -> None:
        metadata = obj["metadata"]
        if metadata.get("deletionTimestamp"):
            self._advance(kind, obj)
            return
        owners = metadata.get("ownerReferences") or ()
        alive = [self._owner(owner, metadata.get("namespace") or "") for owner in owners]
        if owners and not any(alive):
            self.delete(kind, obj, "Background")
        elif owners and all(_waits(owner) for owner in alive):
            self.delete(kind, obj, "Foreground")
        elif not all(alive):
            kept = [o for owner, o in zip(alive, owners, strict=True) if owner]
            after = {**obj, "metadata": {**metadata, "ownerReferences": kept}}
            self._write(kind, obj, after)

    def _advance(self, kind: Kind, obj: JsonObject) -> None:
        """An object that waits for its end: has what it waits for come?"""
        metadata = obj["metadata"]
        if FOREGROUND in (metadata.get("finalizers") or ()):
            if any(
                self._holds(place, metadata["uid"]) for place in self._owned_by(metadata["uid"])
            ):
                return
            rest = [name for name in metadata["finalizers"] if name != FOREGROUND]
            self._write(kind, obj, {**obj, "metadata": {**metadata, "finalizers": rest}})
        elif kind.store_key == _NAMESPACES and not self._inhabited(metadata["name"]):
            spec = {key: v for key, v in (obj.get("spec") or {}).items() if key != "finalizers"}
            self._write(kind, obj, {**obj, "spec": spec})

    def _owner(self, reference: JsonObject, namespace: str) -> JsonObject | None:
        place = self._uids.get(reference.get("uid") or "")
        if place is None or place[1][0] not in ("", namespace):
            return None
        return self._store.get(*place)

    def _owned_by(self, uid: str) -> list[tuple[StoreKey, Slot]]:
        return sorted(self._dependents.get(uid, ()))

    def _holds(self, place: tuple[StoreKey, Slot], uid: str) -> bool:
        obj = self._store.get(*place)
        owners = obj["metadata"].get("ownerReferences") or () if obj else ()
        return any(o.get("uid") == uid and o.get("blockOwnerDeletion") for o in owners)

    def _orphan(self, uid: str) -> None:
        for key, slot in self._owned_by(uid):
            obj, kind = self._store.get(key, slot), self._kinds.of_store(key)
            if obj is None or kind is None:
                continue
            kept = [o for o in obj["metadata"]["ownerReferences"] if o.get("uid") != uid]
            metadata = {**obj["metadata"], "ownerReferences": kept}
            if not kept:
                del metadata["ownerReferences"]
            self._write(kind, obj, {**obj, "metadata": metadata})

    def _empty(self, namespace: str) -> None:
        """Ask for the deletion of all that is in a namespace."""
        for key, collection in list(self._store.collections.items()):
            kind = self._kinds.of_store(key)
            if kind is None or not kind.namespaced:
                continue
            for slot in collection.slots(namespace):
                obj = collection.objects.get(slot)
                if obj is not None and not obj["metadata"].get("deletionTimestamp"):
                    self.delete(kind, obj, "Background")

    def _inhabited(self, namespace: str) -> bool:
        return any(
            collection.slots(namespace)
            for key, collection in self._store.collections.items()
            if key != _NAMESPACES
        )


def _waits(owner: JsonObject | None) -> bool:
    """Whether an owner waits in the foreground for its dependents."""
    if owner is None:
        return False
    finalizers = owner["metadata"].get("finalizers") or ()
    return bool(owner["metadata"].get("deletionTimestamp")) and FOREGROUND in finalizers
