"""Quantities: whether two texts are the same amount (``1000m`` and ``1``), in places where Kubernetes has amounts.

No schema is at hand, so places are known by the names of their fields; texts that people chose (data, labels,
annotations) are never amounts. Source: the Quantity type of the Kubernetes API.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

from fleet.codec.jsontypes import JsonValue

_FIELDS = frozenset(("cpu", "memory", "storage", "sizeLimit", "divisor", "averageValue"))
_MAPS = frozenset(
    ("requests", "limits", "capacity", "allocatable", "hard", "defaultRequest", "overhead", "maxLimitRequestRatio",
     "minAllowed", "maxAllowed")
)  # fmt: skip
"""Maps from resources to amounts."""
_RANGES = frozenset(("min", "max", "default"))
"""So are these, but only those of a LimitRange's ``limits``."""
_TARGET = ("target", "value")
"""Of an autoscaler. Any other ``value`` is a text that people chose: a variable, a parameter, a toleration."""
_OPAQUE = frozenset(("data", "stringData", "binaryData", "annotations", "labels", "matchLabels"))

_SUFFIXES = {
    "n": Decimal("1e-9"), "u": Decimal("1e-6"), "m": Decimal("1e-3"), "": Decimal(1), "k": Decimal(10**3),
    "M": Decimal(10**6), "G": Decimal(10**9), "T": Decimal(10**12), "P": Decimal(10**15), "E": Decimal(10**18),
    "Ki": Decimal(2**10), "Mi": Decimal(2**20), "Gi": Decimal(2**30), "Ti": Decimal(2**40), "Pi": Decimal(2**50),
    "Ei": Decimal(2**60),
}  # fmt: skip


def canonical(value: JsonValue, path: tuple[str, ...] = ()) -> JsonValue:
    """Return the value with amounts written in one way, so that equal ones are equal texts."""
    if isinstance(value, dict):
        return {key: canonical(item, (*path, key)) for key, item in value.items()}
    if isinstance(value, list):
        return [canonical(item, path) for item in value]
    amount = _quantity(value) if _is_place(path) else None
    return value if amount is None else f"{amount.normalize():f}"


def same_quantity(one: JsonValue, other: JsonValue, path: tuple[str, ...]) -> bool:
    if not _is_place(path):
        return False
    amounts = [_quantity(value) for value in (one, other)]
    return amounts[0] is not None and amounts[0] == amounts[1]


def _is_place(path: tuple[str, ...]) -> bool:
    if not path or set(path) & _OPAQUE:
        return False
    if path[-1] in _FIELDS or path[-2:] == _TARGET or (len(path) > 1 and path[-2] in _MAPS):
        return True
    return len(path) > 2 and path[-3] == "limits" and path[-2] in _RANGES


def _quantity(value: JsonValue) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return None
    text = str(value)
    number = text.rstrip("numkKMGTPEi")
    suffix = text[len(number) :]
    try:
        amount = Decimal(number) * _SUFFIXES[suffix]
    except (InvalidOperation, KeyError):
        return None
    return amount if amount.is_finite() else None
