"""List items that have names: which fields name them, where no schema says so."""

from __future__ import annotations

from collections.abc import Sequence

from fleet.codec.jsontypes import JsonObject, JsonValue

_MERGE_KEYS = (
    ("name",), ("mountPath",), ("devicePath",), ("containerPort", "protocol"), ("port", "protocol"), ("port",),
    ("ip",), ("type",), ("key",), ("topologyKey", "whenUnsatisfiable"), ("uid",),
)  # fmt: skip


def merge_key(items: Sequence[JsonValue]) -> tuple[str, ...]:
    """Find the fields that name the members of a list, where all members have them."""
    if not items or not all(isinstance(item, dict) for item in items):
        return ()
    for keys in _MERGE_KEYS:
        if all(keys[0] in item for item in items):
            return keys
    return ()


def member_name(item: JsonObject, keys: tuple[str, ...]) -> tuple[str, ...]:
    # The one merge key with a default: a port without a protocol is a TCP port.
    return tuple(str(item.get(key, "TCP" if key == "protocol" else None)) for key in keys)
