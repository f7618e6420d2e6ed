"""Differences of Kubernetes objects as people read them: unified diffs of YAML that hold no secret. Pure.

Values of Secrets are replaced before anything is compared: equal ones by the same mark, a changed one by a mark that
says which side it is of. A digest would let everybody who reads a pull request try passwords against it.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping

from fleet.codec import yamldoc
from fleet.codec.jsontypes import JsonObject, JsonValue
from fleet.codec.redaction import redact
from fleet.render import artifact
from fleet.wire.difference import ObjectChange

MASK = "***"
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_LONGEST = 5_000
"""Lines of one object beyond which only its size is said."""
_CONTEXT = 3

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
        if before != after:
            change = "added" if before is None else "removed" if after is None else "changed"
            changes.append(ObjectChange(ref=ref, change=change, diff=difference(before, after)))
    return tuple(changes)


def difference(old: JsonObject | None, new: JsonObject | None) -> str:
    """Return the unified diff of an object, without file headers."""
    before, after = _lines(_masked(old, new, "old")), _lines(_masked(new, old, "new"))
    if max(len(before), len(after)) > _LONGEST:
        return f"(too long to show: {len(before)} and {len(after)} lines)\n"
    found = list(difflib.unified_diff(before, after, n=_CONTEXT, lineterm=""))[2:]
    return redact("".join(f"{line}\n" for line in found))


def _lines(value: JsonObject | None) -> list[str]:
    return [] if value is None else yamldoc.dump(value).splitlines()


def _masked(value: JsonObject | None, other: JsonObject | None, side: str) -> JsonObject | None:
    if value is None or value.get("kind") != "Secret" or value.get("apiVersion") != "v1":
        return value
    twin = other or {}
    masked = dict(value)
    for field in ("data", "stringData"):
        if isinstance(value.get(field), dict):
            masked[field] = _marks(value[field], twin.get(field), side)
    metadata = value.get("metadata") or {}
    annotations = metadata.get("annotations") or {}
    if _LAST_APPLIED in annotations:
        masked["metadata"] = {**metadata, "annotations": {**annotations, _LAST_APPLIED: MASK}}
    return masked


def _marks(values: JsonObject, others: JsonValue, side: str) -> JsonObject:
    known = others if isinstance(others, dict) else {}
    return {
        key: MASK if key not in known or known[key] == value else f"{MASK} ({side} value)"
        for key, value in values.items()
    }
