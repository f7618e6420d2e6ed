"""Diff: how one object differs from another state of itself, for people: paths, and unified text of YAML. Pure.

Values of Secrets are masked before anything is compared (`fleet.sync.masking`). Whether an object counts as different
is not decided here.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator

from fleet.codec import yamldoc
from fleet.codec.jsontypes import JsonObject, JsonValue
from fleet.codec.redaction import redact
from fleet.sync.lists import member_name, merge_key
from fleet.sync.masking import masked_pair

_LONGEST = 5_000
"""Lines of one object beyond which only its size is said."""
_CONTEXT = 3
_MOST_PATHS = 100


def unified(old: JsonObject | None, new: JsonObject | None) -> str:
    """Return the unified diff of an object's YAML, without file headers; None: it is not there."""
    before, after = (_lines(side) for side in masked_pair(old, new))
    if max(len(before), len(after)) > _LONGEST:
        return f"(too long to show: {len(before)} and {len(after)} lines)\n"
    found = list(difflib.unified_diff(before, after, n=_CONTEXT, lineterm=""))[2:]
    return redact("".join(f"{line}\n" for line in found))


def changed_paths(old: JsonObject, new: JsonObject) -> tuple[str, ...]:
    """Name the fields that differ, like ``spec.containers[name=app].image``; the first hundred."""
    found = []
    for path in _changed(old, new, ""):
        found.append(path.removeprefix("."))
        if len(found) == _MOST_PATHS:
            break
    return tuple(found)


def _lines(value: JsonObject | None) -> list[str]:
    return [] if value is None else yamldoc.dump(value).splitlines()


def _changed(old: JsonValue, new: JsonValue, path: str) -> Iterator[str]:
    if old == new:
        return
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            yield from _changed(old.get(key), new.get(key), path + _field(key))
        return
    if isinstance(old, list) and isinstance(new, list):
        yield from _changed_items(old, new, path)
        return
    yield path


def _changed_items(old: list[JsonValue], new: list[JsonValue], path: str) -> Iterator[str]:
    keys = merge_key([*old, *new])
    if keys:
        before = {member_name(item, keys): item for item in old}
        after = {member_name(item, keys): item for item in new}
        if before == after:
            yield path  # the order, or how often one is there
        for name in sorted(before.keys() | after.keys()):
            words = ",".join(f"{key}={value}" for key, value in zip(keys, name, strict=True))
            yield from _changed(before.get(name), after.get(name), f"{path}[{words}]")
    elif len(old) == len(new):
        for position, (one, other) in enumerate(zip(old, new, strict=True)):
            yield from _changed(one, other, f"{path}[{position}]")
    else:
        yield path


def _field(key: str) -> str:
    is_plain = key.replace("_", "a").replace("-", "a").isalnum()
    return f".{key}" if is_plain else f"[{json.dumps(key)}]"
