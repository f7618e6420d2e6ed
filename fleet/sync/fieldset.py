"""FieldsV1: which fields a manager owns, and the part of an object that they are.

`metadata.managedFields` holds one tree a manager: ``f:NAME`` is a field, ``k:{...}`` a list item by its key fields,
``v:VALUE`` a member of a set, ``i:N`` an item by position; ``.`` says that the container or item itself is owned, and
an empty tree that everything below is. Paths that an object does not have (the entry was written for another version
of the kind) are passed over. Source: the FieldsV1 type of the Kubernetes API, structured-merge-diff's serialisation.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Collection, Iterator

from fleet.codec.jsontypes import JsonObject, JsonValue

FieldTree = JsonObject
"""A FieldsV1 tree."""

_ITSELF = "."


def owned_by(live: JsonObject, managers: Collection[str], *, applied: bool = False) -> FieldTree:
    """Unite what these managers own of an object, through whatever operation or subresource.

    With ``applied`` only server-side applies to the object itself count.
    """
    metadata = live.get("metadata")
    entries = metadata.get("managedFields") if isinstance(metadata, dict) else None
    found: FieldTree = {}
    for entry in entries if isinstance(entries, list) else ():
        if not isinstance(entry, dict) or entry.get("manager") not in managers:
            continue
        if applied and (entry.get("operation") != "Apply" or entry.get("subresource")):
            continue
        fields = entry.get("fieldsV1")
        if isinstance(fields, dict):
            found = union(found, fields)
    return found


def union(one: FieldTree, other: FieldTree) -> FieldTree:
    """Return what either tree owns."""
    result = dict(one)
    for step, below in other.items():
        if step not in result:
            result[step] = below
        elif result[step] and below:
            result[step] = union(result[step], below)
        else:
            result[step] = {}
    return result


def without(body: JsonObject, owned: FieldTree) -> JsonObject:
    """Return the object without the owned values; key fields of list items stay, and so do containers."""
    result: JsonObject = _without(body, owned, frozenset())
    return result


def only(body: JsonObject, owned: FieldTree) -> JsonObject:
    """Return the owned values alone, in their containers; list items keep their key fields."""
    result: JsonObject = _only(body, owned, {}) if owned else {}
    return result


def step_below(owned: FieldTree, key: str) -> FieldTree | None:
    """Return what is owned of the field of a map; None: nothing."""
    below = owned.get(f"f:{key}")
    return below if isinstance(below, dict) else None


def item_below(owned: FieldTree, item: JsonValue) -> FieldTree | None:
    """Return what is owned of the item of a list; None: nothing."""
    for step, names in owned.items():
        if step != _ITSELF and _names(step)(item, -1):
            return names if isinstance(names, dict) else {}
    return None


def _without(value: JsonValue, owned: FieldTree, kept: Collection[str]) -> JsonValue:
    if isinstance(value, dict):
        return {
            key: item if below is None or key in kept else _without(item, below, ())
            for key, item in value.items()
            if (below := step_below(owned, key)) is None or below or key in kept
        }
    if isinstance(value, list):
        return [
            _without(item, below, key_of(step)) if step else item
            for step, below, item in _matched(value, owned)
            if not step or below
        ]
    return value


def _only(value: JsonValue, owned: FieldTree, key: JsonObject) -> JsonValue:
    if not owned:
        return value
    if isinstance(value, dict):
        found = {
            name: _only(item, below, {})
            for name, item in value.items()
            if (below := step_below(owned, name)) is not None and _fits(item, below)
        }
        return {**{name: value[name] for name in key if name in value}, **found}
    if isinstance(value, list):
        return [
            _only(item, below, key_of(step))
            for step, below, item in _matched(value, owned)
            if step and _fits(item, below)
        ]
    return value


def _fits(value: JsonValue, owned: FieldTree) -> bool:
    """Whether something can be owned below this value, where the tree says so."""
    return not owned or isinstance(value, dict | list)


def _matched(
    items: list[JsonValue], owned: FieldTree
) -> Iterator[tuple[str, FieldTree, JsonValue]]:
    """Give each item the step that names it (empty: none does) and what is owned below."""
    steps = [(step, _names(step), below) for step, below in owned.items() if step != _ITSELF]
    for position, item in enumerate(items):
        for step, names, below in steps:
            if names(item, position):
                yield step, below if isinstance(below, dict) else {}, item
                break
        else:
            yield "", {}, item


def key_of(step: str) -> JsonObject:
    """Return the key fields and values of a ``k:`` step; empty for any other."""
    if not step.startswith("k:"):
        return {}
    value = _decoded(step[2:])
    return value if isinstance(value, dict) else {}


@functools.lru_cache(maxsize=4096)
def _names(step: str) -> Callable[[JsonValue, int], bool]:
    """Return whether an item at a position is the one that a step names."""
    sort, _, rest = step.partition(":")
    value = _decoded(rest)
    if sort == "k" and isinstance(value, dict):
        return lambda item, _: (
            isinstance(item, dict)
            and all(
                # The one key field with a default that a manifest may leave out.
                item.get(name, "TCP" if name == "protocol" else None) == wanted
                for name, wanted in value.items()
            )
        )
    if sort == "v":
        return lambda item, _: bool(item == value)
    if sort == "i":
        return lambda _, position: position == value
    return lambda _item, _position: False


def _decoded(text: str) -> JsonValue:
    try:
        return json.loads(text)
    except ValueError:
        return None
