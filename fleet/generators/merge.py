"""The merge generator: rows of the first child, overridden by rows of later ones that agree in the merge keys."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from fleet.codec.canonical import canonical_bytes
from fleet.codec.jsontypes import JsonObject
from fleet.errors import BadInput
from fleet.generators.context import Context, Pending
from fleet.generators.entries import child_rows
from fleet.generators.params import GeneratorError, ParamSet, combine_go


def generate(config: JsonObject, context: Context) -> list[ParamSet]:
    """Return the base rows in their order; later rows without a partner are dropped."""
    children = config.get("generators") or []
    if len(children) < 2:
        raise GeneratorError("found less than two generators, Merge requires two or more")
    keys = sorted(set(config.get("mergeKeys") or ()))
    sets = _all_rows(children, context.deeper())
    if not keys:
        raise GeneratorError(
            "error getting param sets by merge key: no merge keys were specified, "
            "Merge requires at least one"
        )
    base, *later = (_by_key(rows, keys) for rows in sets)
    for overrides in later:
        for key, row in base.items():
            override = overrides.get(key)
            if override is not None:
                merge = partial(_overridden, row, go=context.engine.go)
                (base[key],) = context.kept.combined("merge", row, (override,), merge)
    return list(base.values())


def _all_rows(children: Sequence[JsonObject], context: Context) -> list[list[ParamSet]]:
    sets: list[list[ParamSet]] = []
    pending = False
    for child in children:
        try:
            sets.append(child_rows(child, context, {}))
        except Pending:
            pending = True
        except BadInput as error:
            raise GeneratorError(
                "error getting param sets from generators: child generator returned an error "
                f"on parameter generation: {error.message}",
                hint=error.hint,
            ) from error
    if pending:
        raise Pending
    return sets


def _overridden(row: ParamSet, override: ParamSet, *, go: bool) -> ParamSet:
    values = _merged(row.values, override.values, go=go)
    return ParamSet(values, f"{row.origin} + {override.origin}")


def _merged(base: JsonObject, later: JsonObject, *, go: bool) -> JsonObject:
    """The later row wins; in Go mode maps merge member by member, so an empty one clears nothing."""
    return combine_go(later, base) if go else {**base, **later}


def _by_key(rows: Sequence[ParamSet], keys: Sequence[str]) -> dict[bytes, ParamSet]:
    found: dict[bytes, ParamSet] = {}
    for row in rows:
        # Keys are looked up literally: "values.x" is found in flat sets only.
        key = canonical_bytes({name: row.values.get(name) for name in keys})
        if key in found:
            raise GeneratorError(
                "error getting param sets by merge key: the parameters from a generator were not "
                "unique by the given mergeKeys, Merge requires all param sets to be unique. "
                f"Duplicate key was {key.decode()}"
            )
        found[key] = row
    return found
