"""Parameter sets: how they are combined, flattened and printed, in both template modes.

In Go mode a set is nested JSON in which every number is a float64 (`fleet.templating.values`); in fast mode it
is flat, from text to text. Sets are shared between rows and never changed in place.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from fleet.codec.jsontypes import JsonObject, JsonValue
from fleet.errors import BadInput
from fleet.templating.printing import format_value
from fleet.templating.values import Meter, StringList

_NOT_NAME = re.compile(r"[^-a-z0-9.]")


class ParamSet(NamedTuple):
    """The parameters of one row, and where they came from, for people."""

    values: JsonObject
    origin: str


class GeneratorError(BadInput):
    """A generator cannot say what its rows are."""

    reason = "ApplicationGenerationFromParamsError"


def combine_go(first: JsonObject, second: JsonObject) -> JsonObject:
    """Merge two nested sets deeply; where both say something, empty values included, the first wins."""
    merged = {**second, **first}
    if len(merged) != len(first) + len(second):
        for key in first.keys() & second.keys():
            mine, other = first[key], second[key]
            if isinstance(mine, dict) and isinstance(other, dict):
                merged[key] = combine_go(mine, other)
    return merged


def combine_fast(first: JsonObject, second: JsonObject) -> JsonObject:
    """Merge two flat sets; the same key with two values is an error."""
    mine, other = texts(first), texts(second)
    merged = {**mine, **other}
    if len(merged) != len(mine) + len(other):
        for key in sorted(mine.keys() & other.keys()):
            if mine[key] != other[key]:
                raise GeneratorError(
                    f"found duplicate key {key} with different value, a: {mine[key]} ,b: {other[key]}",
                    hint="give the generators of the matrix a pathParamPrefix, or rename the key",
                )
    return merged


def texts(params: JsonObject) -> JsonObject:
    """Return a flat set with every value printed."""
    if all(type(value) is str for value in params.values()):
        return params
    return {key: go_text(value) for key, value in params.items()}


def go_text(value: JsonValue) -> str:
    """Print a value as Go's ``%v`` does: 1000000 is ``1e+06``, null is ``<nil>``."""
    return value if isinstance(value, str) else format_value(value, Meter())


def flatten(params: Mapping[str, JsonValue]) -> dict[str, str]:
    """Flatten a nested set with dots, lists by position, every value printed; empty maps and lists vanish."""
    flat: dict[str, str] = {}
    _flatten(params, "", flat)
    return flat


def _flatten(value: JsonValue, name: str, flat: dict[str, str]) -> None:
    prefix = f"{name}." if name else ""
    if isinstance(value, Mapping):
        for key, item in value.items():
            _flatten(item, prefix + key, flat)
    elif isinstance(value, list) and not isinstance(value, StringList):
        for position, item in enumerate(value):
            _flatten(item, f"{prefix}{position}", flat)
    else:
        flat[name] = go_text(value)


def sanitize(name: str) -> str:
    """Make a text fit for an object's name, as Argo CD's ``nameNormalized`` is made."""
    return _NOT_NAME.sub("-", name.lower())[:253].strip("-.")
