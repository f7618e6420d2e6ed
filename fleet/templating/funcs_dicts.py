"""Sprig's functions on maps, and its defaults.

``set``, ``unset`` and the merges change their first argument, as in sprig; a template that names one of them renders on a
copy of its parameters.
"""

from __future__ import annotations

from fleet.templating.errors import GoError
from fleet.templating.funcs_strings import string_of
from fleet.templating.functions import Table
from fleet.templating.values import (
    GoValue,
    Meter,
    NilMap,
    copy,
    deep_equal,
    is_true,
    kind_name,
    type_name,
)

DICTS = Table()


@DICTS.define("dict", "any... -> map", meter=True)
def _dict(meter: Meter, *values: GoValue) -> GoValue:
    return {
        string_of(values[index], meter): values[index + 1] if index + 1 < len(values) else ""
        for index in range(0, len(values), 2)
    }


DICTS.add("get", "map string -> any", lambda value, key: value.get(key, ""))
DICTS.add("hasKey", "map string -> bool", lambda value, key: key in value)


@DICTS.define("set", "map string any -> map")
def _set(value: dict[str, GoValue], key: str, item: GoValue) -> GoValue:
    if type(value) is NilMap:
        raise GoError("assignment to entry in nil map")
    value[key] = item
    return value


@DICTS.define("unset", "map string -> map")
def _unset(value: dict[str, GoValue], key: str) -> GoValue:
    value.pop(key, None)
    return value


@DICTS.define("keys", "map... -> strings")
def _keys(*values: dict[str, GoValue]) -> GoValue:
    return [key for value in values for key in sorted(value)]


DICTS.add("values", "map -> list", lambda value: [value[key] for key in sorted(value)])


@DICTS.define("pluck", "string map... -> list")
def _pluck(key: str, *values: dict[str, GoValue]) -> GoValue:
    return [value[key] for value in values if key in value]


@DICTS.define("pick", "map string... -> map")
def _pick(value: dict[str, GoValue], *keys: str) -> GoValue:
    return {key: value[key] for key in keys if key in value}


@DICTS.define("omit", "map string... -> map")
def _omit(value: dict[str, GoValue], *keys: str) -> GoValue:
    omitted = set(keys)
    return {key: item for key, item in value.items() if key not in omitted}


@DICTS.define("dig", "any... -> any")
def _dig(*values: GoValue) -> GoValue:
    if len(values) < 3:
        raise GoError("dig needs at least three arguments")
    *keys, default, found = values
    for key in keys:
        if type(key) is not str:
            raise GoError(_conversion(key, "string"))
    for key in keys:
        if type(found) is not dict:
            raise GoError(_conversion(found, "map[string]interface {}"))
        if key not in found:
            return default
        found = found[key]
    return found


def _conversion(value: GoValue, wanted: str) -> str:
    found = "nil" if value is None else type_name(value)
    return f"interface conversion: interface {{}} is {found}, not {wanted}"


@DICTS.define("merge mustMerge", "map map... -> map", meter=True)
def _merge(meter: Meter, target: dict[str, GoValue], *sources: dict[str, GoValue]) -> GoValue:
    return _merged(target, sources, meter, overwrite=False)


@DICTS.define("mergeOverwrite mustMergeOverwrite", "map map... -> map", meter=True)
def _merge_overwrite(
    meter: Meter, target: dict[str, GoValue], *sources: dict[str, GoValue]
) -> GoValue:
    return _merged(target, sources, meter, overwrite=True)


def _merged(
    target: dict[str, GoValue],
    sources: tuple[dict[str, GoValue], ...],
    meter: Meter,
    *,
    overwrite: bool,
) -> dict[str, GoValue]:
    if type(target) is NilMap:
        target = {}
    for source in sources:
        _merge_into(target, source, meter, overwrite=overwrite, depth=0)
    return target


def _merge_into(
    target: dict[str, GoValue],
    source: dict[str, GoValue],
    meter: Meter,
    *,
    overwrite: bool,
    depth: int,
) -> None:
    """Merge as mergo does: maps member by member, everything else as a whole; an empty value is as good as none."""
    if depth > 60:
        raise GoError("the maps are nested too deeply")
    meter.spend(1 + len(source))
    for key, item in list(source.items()):
        known = target.get(key)
        both_maps = False
        if isinstance(item, dict) and isinstance(known, dict):
            both_maps = True
            _merge_into(known, item, meter, overwrite=overwrite, depth=depth + 1)
        if item is None:
            if overwrite:
                target[key] = None
            continue
        if is_true(known) and both_maps:
            continue
        if overwrite or not is_true(known):
            target[key] = item


@DICTS.define("deepCopy mustDeepCopy", "any -> any", meter=True)
def _deep_copy(meter: Meter, value: GoValue) -> GoValue:
    if value is None:
        raise GoError("reflect: call of reflect.Value.Type on zero Value")
    return copy(value, meter)


@DICTS.define("deepEqual", "any any -> bool", meter=True)
def _deep_equal(meter: Meter, left: GoValue, right: GoValue) -> GoValue:
    return deep_equal(left, right, meter)


# -- defaults


@DICTS.define("default", "any any... -> any")
def _default(default: GoValue, *given: GoValue) -> GoValue:
    return given[0] if given and is_true(given[0]) else default


DICTS.add("empty", "any -> bool", lambda value: not is_true(value))
DICTS.add("all", "any... -> bool", lambda *values: all(map(is_true, values)))
DICTS.add("any", "any... -> bool", lambda *values: any(map(is_true, values)))
DICTS.add("coalesce", "any... -> any", lambda *values: next(filter(is_true, values), None))
DICTS.add("ternary", "any any bool -> any", lambda yes, no, test: yes if test else no)


@DICTS.define("fail", "string -> string")
def _fail(message: str) -> GoValue:
    raise GoError(message)


# -- reflection

DICTS.add("typeOf", "any -> string", type_name)
DICTS.add("kindOf", "any -> string", kind_name)
DICTS.add("typeIs", "string any -> bool", lambda name, value: name == type_name(value))
DICTS.add("kindIs", "string any -> bool", lambda name, value: name == kind_name(value))
DICTS.add(
    "typeIsLike",
    "string any -> bool",
    lambda name, value: type_name(value) in (name, f"*{name}"),
)
DICTS.add("hello", "-> string", lambda: "Hello!")
