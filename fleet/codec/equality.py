"""Equality as documents have it: Python holds 1, 1.0 and true for equal, and to a chart or a template they are not.

Whoever asks whether something changed asks here, or compares digests.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass

import msgspec

_ENCODER = msgspec.json.Encoder(order="deterministic")


def same(one: object, other: object) -> bool:
    """Whether two JSON values, or values of the model that hold such, are the same in value and type."""
    pairs = [(one, other)]
    while pairs:
        left, right = pairs.pop()
        if left is right or _are_alike(left, right):
            continue
        inner = _inner(left, right)
        if inner is None:
            return False
        pairs += inner
    return True


def _are_alike(left: object, right: object) -> bool:
    """Whether two documents certainly are the same; a matter of microseconds for most that are."""
    if type(left) is not dict or type(right) is not dict:
        return False
    try:
        return left == right and _ENCODER.encode(left) == _ENCODER.encode(right)
    except (TypeError, RecursionError, msgspec.MsgspecError):
        return False  # too deep, or no plain JSON: they are walked through


def _inner(left: object, right: object) -> Iterable[tuple[object, object]] | None:
    """What two values hold, pair by pair; None if they differ by themselves."""
    if type(left) is not type(right):
        return None
    if isinstance(left, (str, int, float)):
        return () if left == right else None
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        return [(left[key], right[key]) for key in left] if left.keys() == right.keys() else None
    if isinstance(left, (list, tuple)) and isinstance(right, (list, tuple)):
        return zip(left, right, strict=True) if len(left) == len(right) else None
    if is_dataclass(left):
        names = [item.name for item in fields(left) if item.compare]
        return [(getattr(left, name), getattr(right, name)) for name in names]
    return () if left == right else None


class Exactly:
    """A value that is equal to another only if it is the `same`, also inside of tuples and mappings."""

    __slots__ = ("value",)

    def __init__(self, value: object) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Exactly) and same(self.value, other.value)

    def __hash__(self) -> int:
        return hash(type(self.value))
