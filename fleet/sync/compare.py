"""Compare a desired object with a live one, structurally: is everything that is asked for there?

Used where the record of field ownership does not answer (`fleet.sync.drift`): objects with ignored fields, and
objects whose record was lost. The live object may hold more (defaults, other managers' fields, injected list
members with their own names); empty values equal absent ones; quantities compare by amount.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from decimal import Decimal, InvalidOperation

from fleet.codec.jsontypes import JsonObject, JsonValue

_SERVER_SIDE = ("status",)
_SERVER_METADATA = frozenset(
    ("managedFields", "resourceVersion", "uid", "creationTimestamp", "generation", "selfLink")
)
_QUANTITY_PLACES = frozenset(
    ("requests", "limits", "capacity", "hard", "min", "max", "default", "defaultRequest", "overhead",
     "maxLimitRequestRatio", "storage", "sizeLimit", "divisor", "averageValue", "value", "cpu", "memory")
)  # fmt: skip
_MERGE_KEYS = (
    ("name",), ("mountPath",), ("devicePath",), ("containerPort", "protocol"), ("port", "protocol"), ("port",),
    ("ip",), ("type",), ("key",), ("topologyKey", "whenUnsatisfiable"), ("uid",),
)  # fmt: skip
_OPAQUE = frozenset(("data", "stringData", "binaryData", "annotations", "labels", "matchLabels"))


def matches(desired: JsonObject, live: JsonObject, json_pointers: Iterable[str] = ()) -> bool:
    """Whether the live object has everything the desired one asks for, ignored fields left out."""
    pointers = tuple(json_pointers)
    wanted = _with_encoded_data(strip(desired, pointers))
    found = strip(live, pointers)
    for key, value in wanted.items():
        if key in _SERVER_SIDE:
            continue
        if key == "metadata" and isinstance(value, dict):
            value = {k: v for k, v in value.items() if k not in _SERVER_METADATA}  # noqa: PLW2901
        if not _covers(value, found.get(key), (key,)):
            return False
    return True


def strip(body: JsonObject, json_pointers: Iterable[str]) -> JsonObject:
    """Return the object without what the pointers name; a path that is not there is fine."""
    result = body
    # Backwards, so that removing a list member does not move those that later pointers name.
    for pointer in sorted(json_pointers, key=_pointer_order, reverse=True):
        steps = _steps(pointer)
        if steps:
            result = _without(result, steps)
    return result


def keep_live(desired: JsonObject, live: JsonObject, json_pointers: Iterable[str]) -> JsonObject:
    """Return the desired object with the live values of ignored fields (RespectIgnoreDifferences)."""
    result = desired
    for pointer in sorted(json_pointers, key=_pointer_order):
        steps = _steps(pointer)
        if not steps:
            continue
        found, value = _lookup(live, steps)
        result = _with(result, steps, value) if found else _without(result, steps)
    return result


def _covers(wanted: JsonValue, found: JsonValue, path: tuple[str, ...]) -> bool:
    if _is_empty(wanted) and _is_empty(found):
        return True
    if isinstance(wanted, dict) and isinstance(found, dict):
        return all(_covers(value, found.get(key), (*path, key)) for key, value in wanted.items())
    if isinstance(wanted, list) and isinstance(found, list):
        return _covers_list(wanted, found, path)
    if type(wanted) is type(found) or _are_numbers(wanted, found):
        if wanted == found:
            return True
        if not isinstance(wanted, str):
            return False
    return _same_quantity(wanted, found, path)


def _covers_list(wanted: list[JsonValue], found: list[JsonValue], path: tuple[str, ...]) -> bool:
    if path[-1] == "finalizers":
        return set(map(str, wanted)) <= set(map(str, found))
    keys = _merge_key([*wanted, *found])
    if keys:
        by_key = {_member_name(item, keys): item for item in found}
        return all(_covers(item, by_key.get(_member_name(item, keys)), path) for item in wanted)
    return len(wanted) == len(found) and all(
        _covers(one, other, path) for one, other in zip(wanted, found, strict=True)
    )


def _merge_key(items: Sequence[JsonValue]) -> tuple[str, ...]:
    """Find the fields that name the members of a list, where all members have them."""
    if not items or not all(isinstance(item, dict) for item in items):
        return ()
    for keys in _MERGE_KEYS:
        if all(keys[0] in item for item in items):
            return keys
    return ()


def _member_name(item: JsonObject, keys: tuple[str, ...]) -> tuple[str, ...]:
    # The one merge key with a default: a port without a protocol is a TCP port.
    return tuple(str(item.get(key, "TCP" if key == "protocol" else None)) for key in keys)


def _is_empty(value: JsonValue) -> bool:
    if isinstance(value, dict):
        return all(map(_is_empty, value.values()))
    return value is None or value is False or value in ("", 0) or value == []


def _are_numbers(one: JsonValue, other: JsonValue) -> bool:
    return all(
        isinstance(value, (int, float)) and not isinstance(value, bool) for value in (one, other)
    )


_SUFFIXES = {
    "n": Decimal("1e-9"), "u": Decimal("1e-6"), "m": Decimal("1e-3"), "": Decimal(1), "k": Decimal(10**3),
    "M": Decimal(10**6), "G": Decimal(10**9), "T": Decimal(10**12), "P": Decimal(10**15), "E": Decimal(10**18),
    "Ki": Decimal(2**10), "Mi": Decimal(2**20), "Gi": Decimal(2**30), "Ti": Decimal(2**40), "Pi": Decimal(2**50),
    "Ei": Decimal(2**60),
}  # fmt: skip


def _same_quantity(one: JsonValue, other: JsonValue, path: tuple[str, ...]) -> bool:
    if set(path) & _OPAQUE or not set(path[-2:]) & _QUANTITY_PLACES:
        return False
    amounts = [_quantity(value) for value in (one, other)]
    return amounts[0] is not None and amounts[0] == amounts[1]


def _quantity(value: JsonValue) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return None
    text = str(value)
    number = text.rstrip("numkMGTPEi")
    suffix = text[len(number) :]
    try:
        amount = Decimal(number) * _SUFFIXES[suffix]
    except (InvalidOperation, KeyError):
        return None
    return amount if amount.is_finite() else None


def _with_encoded_data(body: JsonObject) -> JsonObject:
    """A Secret's stringData as the server stores it."""
    texts = body.get("stringData")
    if body.get("kind") != "Secret" or not isinstance(texts, dict):
        return body
    encoded = {key: base64.b64encode(str(value).encode()).decode() for key, value in texts.items()}
    rest = {key: value for key, value in body.items() if key != "stringData"}
    return {**rest, "data": {**(body.get("data") or {}), **encoded}}


def _steps(pointer: str) -> tuple[str, ...]:
    if not pointer.startswith("/"):
        return ()
    return tuple(part.replace("~1", "/").replace("~0", "~") for part in pointer[1:].split("/"))


def _pointer_order(pointer: str) -> tuple[tuple[int, str], ...]:
    return tuple((int(step) if step.isdigit() else -1, step) for step in _steps(pointer))


def _without(value: JsonValue, steps: tuple[str, ...]) -> JsonValue:
    head, rest = steps[0], steps[1:]
    if isinstance(value, dict) and head in value:
        if not rest:
            return {key: item for key, item in value.items() if key != head}
        return {**value, head: _without(value[head], rest)}
    if isinstance(value, list) and head.isdigit() and int(head) < len(value):
        place = int(head)
        middle = [_without(value[place], rest)] if rest else []
        return [*value[:place], *middle, *value[place + 1 :]]
    return value


def _lookup(value: JsonValue, steps: tuple[str, ...]) -> tuple[bool, JsonValue]:
    for step in steps:
        if isinstance(value, dict) and step in value:
            value = value[step]
        elif isinstance(value, list) and step.isdigit() and int(step) < len(value):
            value = value[int(step)]
        else:
            return False, None
    return True, value


def _with(value: JsonValue, steps: tuple[str, ...], new: JsonValue) -> JsonValue:
    if not steps:
        return new
    head, rest = steps[0], steps[1:]
    if isinstance(value, list):
        if not head.isdigit() or int(head) >= len(value):
            return value
        place = int(head)
        return [*value[:place], _with(value[place], rest, new), *value[place + 1 :]]
    known = value if isinstance(value, dict) else {}
    return {**known, head: _with(known.get(head), rest, new)}
