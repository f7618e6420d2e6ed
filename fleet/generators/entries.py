"""One entry of a ``generators`` list: which generators it holds, filled from another row, filtered by its selector."""

from __future__ import annotations

from fleet.argo.appset_fields import DEEP_GENERATOR
from fleet.argo.shapes import FindingKind, check
from fleet.codec.jsontypes import JsonObject, JsonValue
from fleet.generators.budget import limited
from fleet.generators.context import Context, Pending
from fleet.generators.engine import Engine, has_template, interpolate
from fleet.generators.extensions import Extension
from fleet.generators.params import GeneratorError, ParamSet, flatten
from fleet.generators.selector import parse_selector
from fleet.templating.errors import TemplateError

_COMBINATIONS = ("matrix", "merge")
_DEEPEST = 2
"""A combination inside a combination may hold plain generators only, unless the set asks for more."""

_MAX_DEPTH = 16


def names_in(entry: JsonObject, context: Context) -> list[str]:
    """Name the generators of an entry, in the order in which they are evaluated."""
    dropped = () if _may_nest(context) or context.depth < _DEEPEST else _COMBINATIONS
    return [
        name for name in context.generators if entry.get(name) is not None and name not in dropped
    ]


def _may_nest(context: Context) -> bool:
    return Extension.DEEP_NESTING in context.extensions


def rows_of(
    entry: JsonObject, context: Context, outer: JsonObject
) -> list[tuple[str, list[ParamSet]]]:
    """Evaluate every generator of an entry; ``outer`` is the row that fills its texts, or empty.

    Raises GeneratorError, TemplateError or Pending.
    """
    selector = None
    if entry.get("selector") is not None:
        try:
            selector = parse_selector(entry["selector"], free_values=True)
        except GeneratorError as error:
            raise GeneratorError(f"error parsing label selector: {error.message}") from error
    produced = []
    pending = False
    for name in names_in(entry, context):
        config = entry[name]
        if name in _COMBINATIONS and context.depth >= _DEEPEST:
            config = _checked(name, config, context)
        if outer:
            config = interpolated(name, config, context.engine, outer)
        try:
            rows = context.generators[name](config, context)
        except Pending:
            pending = True
            continue
        limited(rows)
        if name not in _COMBINATIONS:
            rows = context.kept.rows(name, rows)
        if selector is not None and selector.requirements:
            rows = [row for row in rows if selector.matches(flatten(row.values))]
        produced.append((name, rows))
    if pending:
        raise Pending
    return produced


def _checked(name: str, config: JsonValue, context: Context) -> JsonObject:
    """Judge a combination so deep that reading the set left it alone; raises GeneratorError."""
    if context.depth > _MAX_DEPTH:
        raise GeneratorError(f"combinations are nested more than {_MAX_DEPTH} deep")
    found = check(config, DEEP_GENERATOR.fields[name].shape, (name,))
    for finding in found.findings:
        if finding.kind in (FindingKind.WRONG, FindingKind.MISSING, FindingKind.UNKNOWN):
            raise GeneratorError(f"{finding.field}: {finding.message}")
    checked: JsonObject = found.value
    return checked


def child_rows(entry: JsonObject, context: Context, outer: JsonObject) -> list[ParamSet]:
    """Evaluate a child of a combination, which holds exactly one generator."""
    if len(names_in(entry, context)) > 1:
        # Argo CD speaks of matrix in both kinds of combination.
        raise GeneratorError("found more than one generator in matrix.Generators")
    produced = rows_of(entry, context, outer)
    if not produced:
        raise GeneratorError("child generator generated no parameters")
    return produced[0][1]


def is_fixed(entry: JsonObject) -> bool:
    """Tell whether an entry is the same for every outer row."""
    return not any(
        has_template({key: item for key, item in config.items() if key != "template"})
        for name, config in entry.items()
        if name != "selector" and isinstance(config, dict)
    )


def interpolated(name: str, config: JsonObject, engine: Engine, outer: JsonObject) -> JsonObject:
    """Fill the texts of a generator from the row of another one; raises GeneratorError."""
    try:
        return _filled(name, config, engine, outer)
    except TemplateError as error:
        raise GeneratorError(
            f"failed to replace parameters in generator: {error.message}"
        ) from error


def _filled(name: str, config: JsonObject, engine: Engine, outer: JsonObject) -> JsonObject:
    result: JsonObject = {}
    for key, item in config.items():
        if key == "template":
            continue  # a child's own template is ignored
        # What lies deeper than two combinations nobody has judged yet, so it may have any shape.
        if key == "values" and name != "list" and isinstance(item, dict):
            result[key] = _lenient(item, engine, outer)
        elif key == "generators" and name in _COMBINATIONS and isinstance(item, list):
            result[key] = [
                _filled_entry(child, engine, outer) if isinstance(child, dict) else child
                for child in item
            ]
        else:
            result[key] = interpolate(item, outer, engine)
    return result


def _filled_entry(entry: JsonObject, engine: Engine, outer: JsonObject) -> JsonObject:
    return {
        name: interpolate(config, outer, engine)
        if name == "selector"
        else _filled(name, config, engine, outer)
        for name, config in entry.items()
        if isinstance(config, dict)
    }


def _lenient(values: JsonObject, engine: Engine, outer: JsonObject) -> JsonObject:
    """Fill ``values``; one that needs a key the outer row does not have is left for the generator itself."""
    filled: JsonObject = {}
    for key, text in values.items():
        try:
            filled[key] = engine.strict.render(text, outer) if isinstance(text, str) else text
        except TemplateError as error:
            if not _is_missing_key(error):
                raise
            filled[key] = text
    return filled


def _is_missing_key(error: TemplateError) -> bool:
    return "map has no entry for key" in error.message or "can't evaluate field" in error.message
