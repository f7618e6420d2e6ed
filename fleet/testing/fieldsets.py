"""Server-side apply for the in-memory cluster: which fields a manager owns, merging, and conflicts.

A field set is a frozenset of paths to leaves; a path is a tuple of FieldsV1 keys (``f:name``, ``k:{"name":"x"}``,
``.`` for the item itself). Which lists are merged by key is a short table instead of the API's schema; all other
lists are atomic, as the schema says for lists that nobody marked.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from fleet.codec.jsontypes import JsonObject, JsonValue

Path = tuple[str, ...]
FieldSet = frozenset[Path]

_LIST_KEYS = {
    "containers": ("name",),
    "initContainers": ("name",),
    "env": ("name",),
    "volumes": ("name",),
    "volumeMounts": ("mountPath",),
    "imagePullSecrets": ("name",),
    "conditions": ("type",),
    "ownerReferences": ("uid",),
}
_SERVER_OWNED = (
    "name", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp", "managedFields",
    "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Clash:
    """A field that another manager owns with another value."""

    manager: str
    path: Path


def owned_fields(body: JsonObject) -> FieldSet:
    """The paths that an applied body claims."""
    plain = {key: value for key, value in body.items() if key not in ("apiVersion", "kind")}
    metadata = plain.pop("metadata", None) or {}
    rest = {key: value for key, value in metadata.items() if key not in _SERVER_OWNED}
    if rest:
        plain["metadata"] = rest
    return frozenset(_leaves(plain, ()))


def _leaves(value: JsonValue, path: Path) -> Iterator[Path]:
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from _leaves(item, (*path, f"f:{key}"))
        return
    keys = _keys_of(path, value)
    if keys:
        for item in value:
            here = (*path, _item_key(item, keys))
            yield (*here, ".")
            yield from _leaves(item, here)
        return
    yield path


def _keys_of(path: Path, value: JsonValue) -> tuple[str, ...]:
    """The keys by which a list is merged; empty where it is atomic."""
    if not isinstance(value, list) or not path or not all(isinstance(i, dict) for i in value):
        return ()
    name = path[-1].removeprefix("f:")
    if name == "ports":
        return ("containerPort", "protocol") if "f:containers" in path else ("port", "protocol")
    return _LIST_KEYS.get(name, ())


def _item_key(item: JsonObject, keys: tuple[str, ...]) -> str:
    defaults = {"protocol": "TCP"}
    values = {key: item.get(key, defaults.get(key)) for key in keys}
    return f"k:{json.dumps(values, sort_keys=True, separators=(',', ':'))}"


def to_fields_v1(fields: FieldSet) -> JsonObject:
    """Write a set as FieldsV1."""
    root: JsonObject = {}
    for path in sorted(fields):
        node = root
        for part in path:
            node = node.setdefault(part, {})
    return root


def from_fields_v1(value: JsonObject) -> FieldSet:
    """Read a set from FieldsV1."""
    return frozenset(_paths(value, ()))


def _paths(value: JsonObject, path: Path) -> Iterator[Path]:
    if not value:
        yield path
    for key, item in value.items():
        yield from _paths(item, (*path, key))


def value_at(obj: JsonValue, path: Path) -> JsonValue:
    """The value at a path; None where there is none."""
    for part in path:
        if obj is None or part == ".":
            return obj
        if part.startswith("f:"):
            obj = obj.get(part[2:]) if isinstance(obj, dict) else None
        elif part.startswith("k:"):
            obj = _item(obj, json.loads(part[2:]))
    return obj


def _item(items: JsonValue, key: JsonObject) -> JsonValue:
    for item in items or ():
        if all(item.get(k, v if k == "protocol" else None) == v for k, v in key.items()):
            return item
    return None


def merged(live: JsonValue, body: JsonValue, path: Path = ()) -> JsonValue:
    """Lay an applied body over a live value."""
    if isinstance(live, dict) and isinstance(body, dict):
        result = dict(live)
        for key, item in body.items():
            result[key] = merged(live[key], item, (*path, f"f:{key}")) if key in live else item
        return result
    keys = _keys_of(path, body)
    if not keys or not isinstance(live, list):
        return body
    result_list = list(live)
    for item in body:
        known = _item(result_list, json.loads(_item_key(item, keys)[2:]))
        if known is None:
            result_list.append(item)
        else:
            index = result_list.index(known)
            result_list[index] = merged(known, item, (*path, _item_key(item, keys)))
    return result_list


def without(obj: JsonValue, path: Path) -> JsonValue:
    """Take the field at a path away; maps and lists that become empty go with it."""
    if not path or path == (".",):
        return None
    head, rest = path[0], path[1:]
    if head.startswith("f:") and isinstance(obj, dict) and head[2:] in obj:
        inner = without(obj[head[2:]], rest)
        result = {key: value for key, value in obj.items() if key != head[2:]}
        return result | ({head[2:]: inner} if inner not in (None, {}, []) else {})
    if head.startswith("k:") and isinstance(obj, list):
        known = _item(obj, json.loads(head[2:]))
        if known is None:
            return obj
        inner = without(known, rest)
        return [inner if item is known else item for item in obj if item is not known or inner]
    return obj


def changed_fields(before: JsonObject, after: JsonObject) -> FieldSet:
    """The paths that differ between two versions of an object and exist in the later one."""
    return frozenset(
        path
        for path in owned_fields(after)
        if value_at(before, path) != value_at(after, path)
        or (path[-1] == "." and value_at(before, path) is None)
    )


def clashes(
    body: JsonObject, live: JsonObject, others: dict[str, FieldSet], claimed: FieldSet
) -> list[Clash]:
    """Fields claimed by ``body`` that other managers own with another value."""
    return [
        Clash(manager, path)
        for manager, fields in sorted(others.items())
        for path in sorted(fields & claimed)
        if path[-1] != "." and value_at(body, path) != value_at(live, path)
    ]


def shown(path: Path) -> str:
    """A path the way the API server names it in conflicts: ``.spec.replicas``."""
    text = ""
    for part in path:
        if part.startswith("f:"):
            text += f".{part[2:]}"
        elif part.startswith("k:"):
            pairs = json.loads(part[2:]).items()
            text += "[" + ",".join(f"{key}={json.dumps(value)}" for key, value in pairs) + "]"
    return text
