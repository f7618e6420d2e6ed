"""Reading fields of objects whose form nobody has checked: what is not there, or of another type, is empty."""

from __future__ import annotations

from collections.abc import Iterator

from fleet.codec.jsontypes import JsonObject, JsonValue


def at(value: JsonValue, *path: str) -> JsonValue:
    """Return what a path of keys leads to, or None."""
    for key in path:
        if not isinstance(value, dict):
            return None
        value = value.get(key)
    return value


def map_at(value: JsonValue, *path: str) -> JsonObject:
    """Return the map at a path, or an empty one."""
    found = at(value, *path)
    return found if isinstance(found, dict) else {}


def list_at(value: JsonValue, *path: str) -> list[JsonValue]:
    """Return the list at a path, or an empty one."""
    found = at(value, *path)
    return found if isinstance(found, list) else []


def maps_at(value: JsonValue, *path: str) -> Iterator[JsonObject]:
    """Iterate over the maps of a list."""
    return (item for item in list_at(value, *path) if isinstance(item, dict))


def text_at(value: JsonValue, *path: str) -> str:
    """Return the text at a path, or an empty one."""
    found = at(value, *path)
    return found if isinstance(found, str) else ""


def number_at(value: JsonValue, *path: str) -> int:
    """Return the whole number at a path, or 0."""
    found = at(value, *path)
    return int(found) if isinstance(found, (int, float)) and not isinstance(found, bool) else 0


def optional_number_at(value: JsonValue, *path: str) -> int | None:
    """Return the whole number at a path, or None where it is not set."""
    return None if at(value, *path) is None else number_at(value, *path)


def condition(body: JsonObject, type_: str) -> JsonObject:
    """Return the condition of a type from the status, or an empty map."""
    for item in maps_at(body, "status", "conditions"):
        if item.get("type") == type_:
            return item
    return {}


def is_behind(body: JsonObject) -> bool:
    """Whether the controller has not seen the newest spec yet (only where it says what it has seen)."""
    return is_older(at(body, "status", "observedGeneration"), body)


def is_older(observed: JsonValue, body: JsonObject) -> bool:
    """Whether an observed generation is older than the object's; some controllers write a hash there."""
    if not isinstance(observed, int) or isinstance(observed, bool):
        return False
    return number_at(body, "metadata", "generation") > observed
