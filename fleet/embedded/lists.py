"""Lists: selection by labels and fields, and pages that all show the moment of the first."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from dataclasses import dataclass

from fleet.codec.jsontypes import JsonObject
from fleet.embedded import errors
from fleet.embedded.kinds import Kind
from fleet.embedded.selectors import Selector, selects, selects_fields
from fleet.embedded.store import Collection, Slot, Store

_KEPT_TOKENS = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What to list."""

    namespace: str = ""
    labels: Selector = ()
    fields: Selector = ()

    def takes(self, obj: JsonObject) -> bool:
        """Whether an object is selected."""
        metadata = obj["metadata"]
        if self.namespace and metadata.get("namespace") != self.namespace:
            return False
        return selects(self.labels, metadata.get("labels")) and (
            not self.fields or selects_fields(self.fields, obj)
        )


@dataclass(frozen=True, slots=True)
class Page:
    """Part of a list."""

    items: list[JsonObject]
    version: int
    token: str = ""
    remaining: int = 0


@dataclass(frozen=True, slots=True)
class _Rest:
    items: list[JsonObject]
    version: int


class Lists:
    """Lists over one store; the rest of a list that was begun is held by its token."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._rests: OrderedDict[str, _Rest] = OrderedDict()

    def page(self, kind: Kind, query: Query, *, limit: int = 0, token: str = "") -> Page:
        """A page; refused where the token has been forgotten."""
        if token:
            rest = self._rests.get(token)
            if rest is None:
                raise errors.gone(
                    "The provided continue parameter is too old to display a consistent list result."
                )
            items, version = rest.items, rest.version
        else:
            items, version = self.select(kind, query), self._store.version
        if not limit or len(items) <= limit:
            return Page(items, version)
        return Page(items[:limit], version, self._keep(items[limit:], version), len(items) - limit)

    def forget(self) -> None:
        """No token is good any longer."""
        self._rests.clear()

    def select(self, kind: Kind, query: Query) -> list[JsonObject]:
        """All selected objects in order."""
        collection = self._store.collections.get(kind.store_key)
        if collection is None:
            return []
        namespace = query.namespace if kind.namespaced else ""
        slots = _candidates(collection, query.labels, namespace)
        objects = collection.objects
        if not query.labels and not query.fields:
            return [objects[slot] for slot in slots]
        return [objects[slot] for slot in slots if query.takes(objects[slot])]

    def _keep(self, items: list[JsonObject], version: int) -> str:
        token = secrets.token_urlsafe(12)
        self._rests[token] = _Rest(items, version)
        if len(self._rests) > _KEPT_TOKENS:
            self._rests.popitem(last=False)
        return token


def _candidates(collection: Collection, labels: Selector, namespace: str) -> list[Slot]:
    """Names that may be selected: by the smallest label index, where there is one."""
    sets = [
        collection.labelled(term.key, next(iter(term.values)))
        for term in labels
        if term.operator == "in" and len(term.values) == 1
    ]
    if not sets:
        return collection.slots(namespace)
    return sorted(slot for slot in min(sets, key=len) if namespace in ("", slot[0]))
