"""Sets of fields, as server-side apply counts them: which there are, how they are written, what differs.

A path is a tuple of FieldsV1 keys (``f:name``, ``k:{"name":"x"}``, ``v:"x"``); a set is a frozenset of paths to members.
The rules are those of structured-merge-diff: leaves, atomic values, keys of maps and items of keyed lists are members,
fields of structures only where they are empty.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import msgspec

from fleet.codec.jsontypes import JsonObject, JsonValue
from fleet.embedded.schema import ANY, Node

Path = tuple[str, ...]
FieldSet = frozenset[Path]
EMPTY: FieldSet = frozenset()

_SERVER_OWNED = frozenset((
    "name", "namespace", "creationTimestamp", "selfLink", "uid", "clusterName", "generation", "managedFields",
    "resourceVersion",
))  # fmt: skip


def user_part(obj: JsonObject) -> JsonObject:
    """The object without what no manager can own."""
    plain = {key: value for key, value in obj.items() if key not in ("apiVersion", "kind")}
    metadata = plain.pop("metadata", None) or {}
    rest = {key: value for key, value in metadata.items() if key not in _SERVER_OWNED}
    if rest:
        plain["metadata"] = rest
    return plain


def is_user_field(key: str) -> bool:
    """Whether a field of metadata can have an owner."""
    return key not in _SERVER_OWNED


# -- items of lists ---------------------------------------------------------------------------


def item_key(item: JsonValue, node: Node) -> str:
    """How an item of a keyed list or a set is named."""
    if node.list_type == "set" or not isinstance(item, dict):
        return f"v:{_text(item)}"
    defaults = node.items.defaults if node.items else {}
    return f"k:{_text({key: item.get(key, defaults.get(key)) for key in node.keys})}"


def is_keyed(node: Node) -> bool:
    """Whether items of a list have identities."""
    return node.list_type == "set" or (node.list_type == "map" and bool(node.keys))


def keyed_items(items: Iterable[JsonValue], node: Node) -> dict[str, JsonValue]:
    """Items by their keys, in order; of several with one key the first stays."""
    found: dict[str, JsonValue] = {}
    for item in items:
        found.setdefault(item_key(item, node), item)
    return found


def _text(value: JsonValue) -> str:
    return msgspec.json.encode(value, order="sorted").decode()


# -- what a value holds -----------------------------------------------------------------------


def owned(value: JsonValue, node: Node) -> FieldSet:
    """The members of a value: what applying it claims."""
    found: set[Path] = set()
    _own(value, node, (), found)
    return frozenset(found)


def _own(value: JsonValue, node: Node, path: Path, found: set[Path]) -> None:
    if isinstance(value, dict) and not node.atomic:
        for key, item in value.items():
            here = (*path, f"f:{key}")
            if item is None or item == {} or not node.declares(key):
                found.add(here)
            _own(item, node.child(key) or ANY, here, found)
    elif isinstance(value, list) and is_keyed(node):
        inner = node.items or ANY
        for item in value:
            here = (*path, item_key(item, node))
            found.add(here)
            if node.list_type == "map":
                _own(item, inner, here, found)
    elif path:
        found.add(path)


@dataclass(slots=True)
class Difference:
    """How one value became another."""

    removed: set[Path] = field(default_factory=set)
    modified: set[Path] = field(default_factory=set)
    added: set[Path] = field(default_factory=set)

    def note(self, before: JsonValue, after: JsonValue, path: Path) -> None:
        """Sort a path in."""
        if before is None:
            self.added.add(path)
        elif after is None:
            self.removed.add(path)
        elif before != after:
            self.modified.add(path)


def compare(before: JsonValue, after: JsonValue, node: Node) -> Difference:
    """The paths that differ."""
    found = Difference()
    _compare(before, after, node, (), found)
    return found


def _compare(
    before: JsonValue, after: JsonValue, node: Node, path: Path, found: Difference
) -> None:
    if before is after or before == after:
        return
    some = before if before is not None else after
    if not _fits(before, some) or not _fits(after, some):
        found.note(before, after, path)
        return
    if isinstance(some, dict) and not node.atomic and (before or after):
        _compare_maps(before or {}, after or {}, node, path, found)
    elif isinstance(some, list) and is_keyed(node) and (before or after):
        _compare_lists(before or [], after or [], node, path, found)
    else:
        found.note(before, after, path)
        return
    if path and (before is None or after is None):
        found.note(before, after, path)


def _fits(value: JsonValue, other: JsonValue) -> bool:
    """Whether two values can be compared part by part."""
    return value is None or (isinstance(value, dict | list) and type(value) is type(other))


def _compare_maps(
    before: JsonObject, after: JsonObject, node: Node, path: Path, found: Difference
) -> None:
    for key in before.keys() | after.keys():
        here = (*path, f"f:{key}")
        _compare(before.get(key), after.get(key), node.child(key) or ANY, here, found)


def _compare_lists(
    before: list[JsonValue], after: list[JsonValue], node: Node, path: Path, found: Difference
) -> None:
    old, new = keyed_items(before, node), keyed_items(after, node)
    for key in old.keys() | new.keys():
        here = (*path, key)
        if node.list_type == "set":
            found.note(old.get(key), new.get(key), here)
        else:
            _compare(old.get(key), new.get(key), node.items or ANY, here, found)


# -- writing and reading sets -----------------------------------------------------------------


def to_fields_v1(fields: FieldSet) -> JsonObject:
    """Write a set as FieldsV1."""
    root: JsonObject = {}
    for path in sorted(fields):
        node = root
        for part in path:
            node = node.setdefault(part, {})
        node["."] = {}
    return _without_lone_dots(root)


def _without_lone_dots(node: JsonObject) -> JsonObject:
    if len(node) == 1 and "." in node:
        return {}
    return {
        key: _without_lone_dots(item) if key != "." else item for key, item in sorted(node.items())
    }


def from_fields_v1(value: JsonObject) -> FieldSet:
    """Read a set from FieldsV1."""
    return frozenset(_paths(value, ()))


def _paths(value: JsonObject, path: Path) -> Iterator[Path]:
    if path and (not value or "." in value):
        yield path
    for key, item in value.items():
        if key != ".":
            yield from _paths(item, (*path, key))


def with_parents(fields: Iterable[Path], node: Node) -> FieldSet:
    """The set, and the declared fields on the way to its members."""
    found: set[Path] = set()
    for path in fields:
        found.add(path)
        place: Node = node
        for depth, part in enumerate(path[:-1]):
            if part.startswith("f:"):
                name = part[2:]
                if place.declares(name):
                    found.add(path[: depth + 1])
                place = place.child(name) or ANY
            else:
                place = place.items or ANY
    return frozenset(found)


def shown(path: Path) -> str:
    """A path the way the API server names it in conflicts: ``.spec.replicas``."""
    text = ""
    for part in path:
        if part.startswith("f:"):
            text += f".{part[2:]}"
        elif part.startswith("k:"):
            pairs = msgspec.json.decode(part[2:]).items()
            text += "[" + ",".join(f"{key}={_text(value)}" for key, value in pairs) + "]"
        else:
            text += f"[={part[2:]}]"
    return text


def value_at(obj: JsonValue, path: Path, node: Node) -> JsonValue:
    """The value at a path; None where there is none."""
    for part in path:
        if part.startswith("f:") and isinstance(obj, dict):
            obj, node = obj.get(part[2:]), node.child(part[2:]) or ANY
        elif isinstance(obj, list) and is_keyed(node):
            obj, node = keyed_items(obj, node).get(part), node.items or ANY
        else:
            return None
    return obj


# -- merging and removing ---------------------------------------------------------------------


def merged(live: JsonValue, body: JsonValue, node: Node) -> JsonValue:
    """Lay an applied value over a live one."""
    if isinstance(live, dict) and isinstance(body, dict) and not node.atomic:
        result = dict(live)
        for key, item in body.items():
            known = live.get(key)
            inner = node.child(key) or ANY
            result[key] = item if known is None else merged(known, item, inner)
        return result
    if isinstance(live, list) and isinstance(body, list) and is_keyed(node):
        return _merged_list(keyed_items(live, node), keyed_items(body, node), node)
    return body


def _merged_list(
    live: dict[str, JsonValue], body: dict[str, JsonValue], node: Node
) -> list[JsonValue]:
    """Shared items in the order of the body; items of others stay before what they stood before."""
    result: list[JsonValue] = []
    shared = [key for key in body if key in live]
    left, right = list(live), list(body)
    placed: set[str] = set()
    while left or right:
        if left and left[0] not in body:
            result.append(live[left.pop(0)])
            continue
        if left and (left[0] in placed or (right and shared and left[0] != shared[0])):
            # already placed, or it comes where the body has it
            left.pop(0)
            continue
        key = right.pop(0)
        placed.add(key)
        if left and left[0] == key:
            left.pop(0)
        if shared and shared[0] == key:
            shared.pop(0)
        known = live.get(key) if node.list_type == "map" else None
        result.append(body[key] if known is None else merged(known, body[key], node.items or ANY))
    return result


def without(value: JsonValue, fields: Iterable[Path], node: Node) -> JsonValue:
    """Take fields away, each with all below it; maps and lists that become empty become null, as with structured-merge-diff."""
    tree: JsonObject = {}
    for path in fields:
        place = tree
        for part in path:
            place = place.setdefault(part, {})
        place["."] = {}
    return _without(value, tree, node)


def _without(value: JsonValue, tree: JsonObject, node: Node) -> JsonValue:
    if isinstance(value, dict):
        result: JsonObject = {}
        for key, item in value.items():
            below = tree.get(f"f:{key}")
            if below is None:
                result[key] = item
            elif "." not in below:
                result[key] = _without(item, below, node.child(key) or ANY)
        return result or None
    if isinstance(value, list) and is_keyed(node):
        kept: list[JsonValue] = []
        for item in value:
            below = tree.get(item_key(item, node))
            if below is None:
                kept.append(item)
            elif "." not in below:
                kept.append(_without(item, below, node.items or ANY))
        return kept or None
    return value
