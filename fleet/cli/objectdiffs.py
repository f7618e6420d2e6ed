"""Differences of Kubernetes objects between two renders, by reference. Pure; values of Secrets are not in them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from fleet.codec.equality import same
from fleet.codec.jsontypes import JsonObject
from fleet.render import artifact
from fleet.sync.diff import unified
from fleet.wire.difference import ObjectChange

Objects = Mapping[str, JsonObject]
"""By reference."""


def by_reference(objects: Iterable[JsonObject]) -> dict[str, JsonObject]:
    """Index objects by their reference; those of one generateName are numbered."""
    found: dict[str, JsonObject] = {}
    for item in objects:
        name = first = _name(item)
        number = 2
        while name in found:
            name, number = f"{first} #{number}", number + 1
        found[name] = item
    return found


def _name(item: JsonObject) -> str:
    """Name an object as kubectl does: ``Deployment.apps shop/web``."""
    ref = artifact.reference(item)
    kind = f"{ref.kind}.{ref.group}" if ref.group else ref.kind
    return f"{kind} {ref.namespace}/{ref.name}" if ref.namespace else f"{kind} {ref.name}"


def compare(old: Objects, new: Objects) -> tuple[ObjectChange, ...]:
    """Return the objects that differ, sorted by reference."""
    changes = []
    for ref in sorted(old.keys() | new.keys()):
        before, after = old.get(ref), new.get(ref)
        if not same(before, after):
            change = "added" if before is None else "removed" if after is None else "changed"
            changes.append(ObjectChange(ref=ref, change=change, diff=unified(before, after)))
    return tuple(changes)
