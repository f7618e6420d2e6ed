"""Compare a desired object with a live one where no API server is asked: structurally.

Used for what the record of field ownership (`fleet.sync.drift`) does not answer, and where the server's own answer, a
dry run, is not to be had or not needed (`agents.comparisons`). The live object may hold more (defaults, other managers'
fields, injected list members with their own names); empty values equal absent ones; quantities compare by amount.
"""

from __future__ import annotations

import base64

from fleet.codec.jsontypes import JsonObject, JsonValue
from fleet.sync import fieldset
from fleet.sync.fieldset import FieldTree
from fleet.sync.lists import member_name, merge_key
from fleet.sync.quantities import canonical, same_quantity

_SERVER_METADATA = frozenset(
    ("managedFields", "resourceVersion", "uid", "creationTimestamp", "generation", "selfLink")
)
_STATUS = "status"


def matches(desired: JsonObject, live: JsonObject) -> bool:
    """Whether the live object has everything the desired one asks for."""
    return all(
        _covers(value, live.get(key), (key,)) for key, value in normal(stored(desired)).items()
    )


def merged(desired: JsonObject, live: JsonObject, ours: FieldTree) -> JsonObject:
    """Foretell what applying makes of a live object: what `matches` stays, the rest becomes as desired.

    ``ours`` is what we own of the live object (`fieldset.owned_by`): what of it is not desired any more goes.
    """
    wanted = normal(stored(desired))
    result = dict(_released(live, wanted, ours))
    for key, value in wanted.items():
        result[key] = _laid(value, result.get(key), (key,))
    return result


def counted(body: JsonObject, owned: FieldTree | None = None) -> JsonObject:
    """Return what of an object is compared with a dry run's result; with ``owned``, those fields alone.

    Two states are equal if that is equal.
    """
    found = normal(body) if owned is None else fieldset.only(normal(body), owned)
    result: JsonObject = canonical(found)
    return result


def normal(body: JsonObject) -> JsonObject:
    """Return the object without what no manifest decides: its status, and the server's own metadata."""
    result = {key: value for key, value in body.items() if key != _STATUS}
    metadata = body.get("metadata")
    if isinstance(metadata, dict):
        result["metadata"] = {k: v for k, v in metadata.items() if k not in _SERVER_METADATA}
    return result


def stored(body: JsonObject) -> JsonObject:
    """Return the object in the form that the server keeps: a Secret's stringData is data.

    Applied as it is written, nobody would own that data: keys that left git would stay, and changes of it go unseen.
    """
    if body.get("kind") != "Secret" or body.get("apiVersion") != "v1":
        return body
    texts, data = body.get("stringData"), body.get("data") or {}
    if not isinstance(texts, dict) or not isinstance(data, dict):
        return body
    if not all(isinstance(value, str) for value in texts.values()):
        return body  # the server says what is wrong with it
    encoded = {key: base64.b64encode(value.encode()).decode() for key, value in texts.items()}
    rest = {key: value for key, value in body.items() if key != "stringData"}
    return {**rest, "data": {**data, **encoded}}


def _covers(wanted: JsonValue, found: JsonValue, path: tuple[str, ...]) -> bool:
    if wanted is None or (_is_empty(wanted) and _is_empty(found)):
        return True  # null asks for what the server takes by itself
    if isinstance(wanted, dict) and isinstance(found, dict):
        return all(_covers(value, found.get(key), (*path, key)) for key, value in wanted.items())
    if isinstance(wanted, list) and isinstance(found, list):
        return _covers_list(wanted, found, path)
    if type(wanted) is type(found) or _are_numbers(wanted, found):
        if wanted == found:
            return True
        if not isinstance(wanted, str):
            return False
    return same_quantity(wanted, found, path)


def _covers_list(wanted: list[JsonValue], found: list[JsonValue], path: tuple[str, ...]) -> bool:
    if path[-1] == "finalizers":
        return set(map(str, wanted)) <= set(map(str, found))
    keys = merge_key([*wanted, *found])
    if keys:
        by_key = {member_name(item, keys): item for item in found}
        return all(_covers(item, by_key.get(member_name(item, keys)), path) for item in wanted)
    return len(wanted) == len(found) and all(
        _covers(one, other, path) for one, other in zip(wanted, found, strict=True)
    )


def _is_empty(value: JsonValue) -> bool:
    if isinstance(value, dict):
        return all(map(_is_empty, value.values()))
    return value is None or value is False or value in ("", 0) or value == []


def _are_numbers(one: JsonValue, other: JsonValue) -> bool:
    return all(
        isinstance(value, (int, float)) and not isinstance(value, bool) for value in (one, other)
    )


def _laid(wanted: JsonValue, found: JsonValue, path: tuple[str, ...]) -> JsonValue:
    """Lay a desired value over a live one; what has the same meaning already stays as it is written."""
    if found is not None and _covers(wanted, found, path):
        return found
    if isinstance(wanted, dict) and isinstance(found, dict):
        laid = {
            key: _laid(value, found.get(key), (*path, key))
            for key, value in wanted.items()
            if value is not None
        }
        return {**found, **laid}
    if isinstance(wanted, list) and isinstance(found, list):
        return _laid_list(wanted, found, path)
    return wanted


def _laid_list(
    wanted: list[JsonValue], found: list[JsonValue], path: tuple[str, ...]
) -> list[JsonValue]:
    if path[-1] == "finalizers":
        return [*found, *(item for item in wanted if item not in found)]
    keys = merge_key([*wanted, *found])
    if not keys:
        return wanted
    by_key = {member_name(item, keys): item for item in wanted}
    known = {member_name(item, keys) for item in found}
    changed = [_laid(by_key.get(member_name(item, keys), {}), item, path) for item in found]
    return [*changed, *(item for name, item in by_key.items() if name not in known)]


def _released(live: JsonValue, wanted: JsonValue, ours: FieldTree) -> JsonValue:
    """Take out of a live value what is ours and not desired any more."""
    if isinstance(live, dict) and isinstance(wanted, dict):
        found = {}
        for key, value in live.items():
            left = _left(value, wanted.get(key), fieldset.step_below(ours, key))
            if left is not None:
                found[key] = left
        return found
    if isinstance(live, list) and isinstance(wanted, list):
        keys = merge_key([*live, *wanted])
        by_key = {member_name(item, keys): item for item in wanted} if keys else {}
        items = [
            _left(item, by_key.get(member_name(item, keys)), fieldset.item_below(ours, item))
            if keys
            else item
            for item in live
        ]
        return [item for item in items if item is not None]
    return live


def _left(live: JsonValue, wanted: JsonValue, owned: FieldTree | None) -> JsonValue:
    """Return what is left of one field or item; None: nothing."""
    if owned is None:
        return live
    if wanted is not None:
        return _released(live, wanted, owned)
    if not owned or not isinstance(live, dict | list):
        return None
    rest = fieldset.without({"_": live}, {"f:_": owned})["_"]
    return rest or None
