"""The matrix generator: every row of the first child with every row of the second, which may be filled from it.

As an extension there may be more children, each combined with what came before it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from fleet.codec.jsontypes import JsonObject
from fleet.errors import BadInput
from fleet.generators.budget import limited
from fleet.generators.context import Context, Pending
from fleet.generators.entries import child_rows, is_fixed
from fleet.generators.extensions import Extension
from fleet.generators.params import GeneratorError, ParamSet, combine_fast, combine_go


def generate(config: JsonObject, context: Context) -> list[ParamSet]:
    """Return the product, the first child's order first; in Go mode its values win, in fast mode they must agree."""
    children = config.get("generators") or []
    if len(children) < 2:
        raise GeneratorError("found less than two generators, Matrix support only two")
    if len(children) > 2 and Extension.MATRIX_N not in context.extensions:
        raise GeneratorError("found more than two generators, Matrix support only two")
    inside = context.deeper()
    rows = _first_rows(children[0], children[1], inside)
    for child in children[1:]:
        rows = _product(rows, child, inside)
    return rows


def _product(first: list[ParamSet], child: JsonObject, context: Context) -> list[ParamSet]:
    combine = combine_go if context.engine.go else combine_fast
    keeps_lonely = Extension.OUTER_JOIN in context.extensions
    rows: list[ParamSet] = []
    pending = False
    second_child = _SecondChild(child, context)
    for outer in first:
        try:
            second = second_child.rows(outer)
        except Pending:
            pending = True
            continue
        if keeps_lonely and not second:
            rows.append(outer)
            continue
        try:
            rows += context.kept.combined("matrix", outer, second, partial(_pair, combine, outer))
        except GeneratorError as error:
            raise GeneratorError(
                "failed to combine string maps with merging params for the matrix generator: "
                f"{error.message}",
                hint=error.hint,
            ) from error
        limited(rows)
    if pending:
        raise Pending
    return rows


def _pair(
    combine: Callable[[JsonObject, JsonObject], JsonObject], outer: ParamSet, row: ParamSet
) -> ParamSet:
    return ParamSet(combine(outer.values, row.values), f"{outer.origin} x {row.origin}")


def _first_rows(first: JsonObject, second: JsonObject, context: Context) -> list[ParamSet]:
    try:
        return child_rows(first, context, {})
    except Pending:
        if is_fixed(second):
            _ask_too(second, context)
        raise
    except BadInput as error:
        raise GeneratorError(
            "error failed to get params for first generator in matrix generator: "
            f"child generator returned an error on parameter generation: {error.message}",
            hint=error.hint,
        ) from error


def _ask_too(second: JsonObject, context: Context) -> None:
    """Find out what the second child needs while the first one waits anyway; its errors can wait as well."""
    try:
        child_rows(second, context, {})
    except (Pending, BadInput):
        return


class _SecondChild:
    """The second child: evaluated once where nothing in it depends on the first one's row."""

    def __init__(self, entry: JsonObject, context: Context) -> None:
        self._entry = entry
        self._context = context
        self._fixed = is_fixed(entry)
        self._known: list[ParamSet] | None = None
        self._is_pending = False

    def rows(self, outer: ParamSet) -> list[ParamSet]:
        if self._known is not None:
            return self._known
        if self._is_pending:
            raise Pending
        try:
            rows = child_rows(self._entry, self._context, outer.values)
        except Pending:
            self._is_pending = self._fixed and bool(outer.values)
            raise
        except BadInput as error:
            raise GeneratorError(
                "failed to get params for second generator in the matrix generator: "
                f"child generator returned an error on parameter generation: {error.message}",
                hint=error.hint,
            ) from error
        if self._fixed and outer.values:
            self._known = rows
        return rows
