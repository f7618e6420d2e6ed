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
from fleet.templating.errors import LimitError
from fleet.templating.printing import format_value
from fleet.templating.values import Meter, StringList

_MAX_NAMES = 16 * 1024 * 1024
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
    if isinstance(value, str):
        return value
    try:
        return format_value(value, Meter())
    except LimitError as error:
        raise GeneratorError(f"a parameter cannot be printed: {error}") from error


def flatten(params: Mapping[str, JsonValue]) -> dict[str, str]:
    """Flatten a nested set with dots, lists by position, every value printed; empty maps and lists vanish.

    Raises GeneratorError where the names, which grow with every level, become too long together.
    """
    flat: dict[str, str] = {}
    _flatten(params, "", flat, _MAX_NAMES)
    return flat


def _flatten(value: JsonValue, name: str, flat: dict[str, str], left: int) -> int:
    """Add what a value holds, and return how many characters of names may still come."""
    left -= len(name)
    if left < 0:
        raise GeneratorError(f"the names of a parameter set are longer than {_MAX_NAMES} together")
    prefix = f"{name}." if name else ""
    if isinstance(value, Mapping):
        for key, item in value.items():
            left = _flatten(item, prefix + key, flat, left)
    elif isinstance(value, list) and not isinstance(value, StringList):
        for position, item in enumerate(value):
            left = _flatten(item, f"{prefix}{position}", flat, left)
    else:
        flat[name] = go_text(value)
    return left


def sanitize(name: str) -> str:
    """Make a text fit for an object's name, as Argo CD's ``nameNormalized`` is made."""
    return _NOT_NAME.sub("-", name.lower())[:253].strip("-.")
