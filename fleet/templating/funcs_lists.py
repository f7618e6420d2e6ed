"""Sprig's functions on lists.

Lists are never changed in place. Where sprig's result has a random order (``keys``, ``values``, in ``funcs_dicts``) ours
is sorted.
"""

from __future__ import annotations

from fleet.templating.errors import GoError
from fleet.templating.funcs_math import to_int
from fleet.templating.functions import Table
from fleet.templating.values import (
    GoValue,
    Int,
    ListList,
    Meter,
    NilList,
    deep_equal,
    is_true,
    kind_name,
)

LISTS = Table()
NIL_DEREFERENCE = "runtime error: invalid memory address or nil pointer dereference"


def items_of(value: GoValue, refusal: str) -> list[GoValue]:
    """Return the items of a list; raises GoError with sprig's words for anything else."""
    if isinstance(value, list):
        return value
    if value is None:
        raise GoError(NIL_DEREFERENCE)
    raise GoError(f"{refusal} {kind_name(value)}")


LISTS.add("list tuple", "any... -> list", lambda *items: list(items))


@LISTS.define("append push mustAppend mustPush", "any any -> list")
def _append(value: GoValue, item: GoValue) -> GoValue:
    return [*items_of(value, "Cannot push on type"), item]


@LISTS.define("prepend mustPrepend", "any any -> list")
def _prepend(value: GoValue, item: GoValue) -> GoValue:
    return [item, *items_of(value, "Cannot prepend on type")]


@LISTS.define("first mustFirst", "any -> any")
def _first(value: GoValue) -> GoValue:
    return next(iter(items_of(value, "Cannot find first on type")), None)


@LISTS.define("last mustLast", "any -> any")
def _last(value: GoValue) -> GoValue:
    items = items_of(value, "Cannot find last on type")
    return items[-1] if items else None


@LISTS.define("rest mustRest", "any -> list")
def _rest(value: GoValue) -> GoValue:
    items = items_of(value, "Cannot find rest on type")
    return list(items[1:]) if items else NilList()


@LISTS.define("initial mustInitial", "any -> list")
def _initial(value: GoValue) -> GoValue:
    items = items_of(value, "Cannot find initial on type")
    return list(items[:-1]) if items else NilList()


@LISTS.define("reverse mustReverse", "any -> list")
def _reverse(value: GoValue) -> GoValue:
    return list(reversed(items_of(value, "Cannot find reverse on type")))


@LISTS.define("compact mustCompact", "any -> list")
def _compact(value: GoValue) -> GoValue:
    return [item for item in items_of(value, "Cannot compact on type") if is_true(item)]


@LISTS.define("uniq mustUniq", "any -> list", meter=True)
def _uniq(meter: Meter, value: GoValue) -> GoValue:
    found: list[GoValue] = []
    for item in items_of(value, "Cannot find uniq on type"):
        if not _contains(found, item, meter):
            found.append(item)
    return found


def _contains(items: list[GoValue], wanted: GoValue, meter: Meter) -> bool:
    return any(deep_equal(wanted, item, meter) for item in items)


@LISTS.define("without mustWithout", "any any... -> list", meter=True)
def _without(meter: Meter, value: GoValue, *omitted: GoValue) -> GoValue:
    items = items_of(value, "Cannot find without on type")
    return [item for item in items if not _contains(list(omitted), item, meter)]


@LISTS.define("has mustHas", "any any -> bool", meter=True)
def _has(meter: Meter, wanted: GoValue, value: GoValue) -> GoValue:
    if value is None:
        return False
    return _contains(items_of(value, "Cannot find has on type"), wanted, meter)


@LISTS.define("slice mustSlice", "any any... -> any")
def _slice(value: GoValue, *indexes: GoValue) -> GoValue:
    items = items_of(value, "list should be type of slice or array but")
    if not items:
        return None
    start = to_int(indexes[0]) if indexes else 0
    end = to_int(indexes[1]) if len(indexes) > 1 else len(items)
    if not 0 <= start <= end <= len(items):
        raise GoError("reflect.Value.Slice: slice index out of bounds")
    return type(items)(items[start:end])


@LISTS.define("concat", "any... -> list")
def _concat(*values: GoValue) -> GoValue:
    result: list[GoValue] = []
    for value in values:
        if value is not None and not isinstance(value, list):
            raise GoError(f"Cannot concat type {kind_name(value)} as list")
        result += items_of(value, "")
    return result or NilList()


@LISTS.define("chunk mustChunk", "int any -> any", meter=True)
def _chunk(meter: Meter, size: Int, value: GoValue) -> GoValue:
    items = items_of(value, "Cannot chunk type")
    if size < 1:
        if size and (len(items) - 1) // size + 1 == 0:
            return ListList()
        raise GoError("runtime error: makeslice: len out of range")
    meter.spend(2 * (len(items) // size + 1))
    return ListList(list(items[start : start + size]) for start in range(0, len(items), size))
