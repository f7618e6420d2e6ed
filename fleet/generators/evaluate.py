"""One ApplicationSet and one World to Applications: a pure function, the heart of the product.

First every generator gives its rows; what they miss is collected from all of them. Then each row fills the
template, the patch is laid over it, and the result is judged. An error of a generator or of the template
fails the whole set, and nothing of it may change; an Application that may not be made is withheld alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from fleet.argo.application import ApplicationBuilder
from fleet.argo.fields import APPLICATION, TEMPLATE
from fleet.argo.patch import apply_patch, parse_patch
from fleet.argo.reading import Remarks
from fleet.argo.shapes import FindingKind, Record, check
from fleet.codec.jsontypes import JsonObject
from fleet.codec.redaction import redact
from fleet.errors import BadInput
from fleet.generators.context import Context, Pending
from fleet.generators.engine import Engine
from fleet.generators.entries import rows_of
from fleet.generators.extensions import Extension, extensions_of
from fleet.generators.kept import Kept
from fleet.generators.params import GeneratorError, ParamSet
from fleet.generators.result import (
    PARAMS_ERROR,
    RENDER_ERROR,
    Failed,
    Generated,
    Missing,
    SetError,
)
from fleet.generators.table import GENERATORS
from fleet.generators.template import ApplicationTemplate, merge_templates
from fleet.generators.validate import admit
from fleet.model.application import Application
from fleet.model.appset import ApplicationSet
from fleet.model.world import World

_SHOWN_ERRORS = 10
_MOST_PATCHES = 1000
"""That are remembered in case another row makes the same."""


@dataclass(frozen=True, slots=True)
class _Batch:
    """The rows of one generator of one entry."""

    position: int
    generator: str
    rows: list[ParamSet]


def evaluate_set(
    appset: ApplicationSet, world: World, kept: Kept | None = None
) -> Generated | Missing | Failed:
    """Evaluate one set: its Applications, or what must be fetched first, or why nothing may change.

    With the same ``kept`` in every evaluation of a set, only rows that changed cost anything; the result is equal.
    """
    kept = kept or Kept()
    try:
        context = Context(appset, world, Engine.of(appset), GENERATORS, kept=kept)
    except BadInput as error:
        return Failed(errors=(_error(RENDER_ERROR, error),))
    if appset.refusals:
        return Failed(
            errors=tuple(
                SetError(reason=PARAMS_ERROR, message=f"{refusal.where.field}: {refusal.message}")
                for refusal in appset.refusals
            )
        )
    try:
        context = replace(context, extensions=extensions_of(appset))
    except GeneratorError as error:
        return Failed(errors=(_error(PARAMS_ERROR, error),))
    kept.begin(appset, world)
    batches, errors = _rows(context)
    trail = context.trail
    if not errors and trail.missing:
        return Missing(requests=frozenset(trail.missing))
    applications: list[Application] = []
    if not errors:
        applications, errors = _fill(batches, context)
    if errors:
        return Failed(errors=tuple(errors), inputs=trail.inputs)
    admitted, withheld = admit(applications, context)
    kept.finish()
    return Generated(applications=admitted, errors=withheld, inputs=trail.inputs)


def _rows(context: Context) -> tuple[list[_Batch], list[SetError]]:
    batches: list[_Batch] = []
    errors: list[SetError] = []
    for position, entry in enumerate(context.appset.generators):
        try:
            produced = rows_of(entry, context, {})
        except Pending:
            continue
        except BadInput as error:
            errors.append(_error(PARAMS_ERROR, error))
            continue
        batches += [_Batch(position, name, rows) for name, rows in produced]
    return batches, errors


def _fill(batches: list[_Batch], context: Context) -> tuple[list[Application], list[SetError]]:
    applications: list[Application] = []
    errors: list[SetError] = []
    for batch in batches:
        if not batch.rows:
            continue  # a template that nobody fills may be wrong
        made, failed = _filled(batch, context, most_errors=_SHOWN_ERRORS - len(errors))
        applications += made
        errors += [_error(RENDER_ERROR, error) for error in failed]
        if len(errors) == _SHOWN_ERRORS:
            break
    return applications, errors


def _filled(
    batch: _Batch, context: Context, *, most_errors: int
) -> tuple[Sequence[Application], list[BadInput]]:
    appset = context.appset
    own = appset.generators[batch.position][batch.generator].get("template")
    template = merge_templates(own, appset.template) if own else appset.template
    try:
        filler = ApplicationTemplate(
            template,
            context.engine,
            namespace=appset.namespace,
            keep_resources=appset.preserve_resources,
            chooses_namespace=Extension.TEMPLATE_NAMESPACE in context.extensions,
        )
    except BadInput as error:
        return (), [error]
    patch = _Patch(context) if appset.template_patch is not None else None
    remarks = _remarks(template, TEMPLATE)
    builder = ApplicationBuilder(where=appset.where, appset=appset.name)

    def make(row: ParamSet) -> Application:
        document, said = filler.fill(row.values), remarks
        if patch is not None:
            document = patch.apply(document, row.values)
            said = _remarks(document, APPLICATION)
        document["metadata"].setdefault("name", "")
        return builder.build(document, said, row=f"generators[{batch.position}].{row.origin}")

    place = (batch.position, batch.generator)
    return context.kept.applications(place, batch.rows, make, most_errors=most_errors)


class _Patch:
    """The set's templatePatch; equal texts are parsed once."""

    def __init__(self, context: Context) -> None:
        self._text = context.appset.template_patch or ""
        self._engine = context.engine
        self._parsed: dict[str, JsonObject] = {}

    def apply(self, document: JsonObject, params: JsonObject) -> JsonObject:
        try:
            text = self._engine.render(self._text, params)
        except BadInput as error:
            raise BadInput(f"error replacing values in templatePatch: {error.message}") from error
        if text not in self._parsed:
            if len(self._parsed) >= _MOST_PATCHES:
                self._parsed.clear()
            self._parsed[text] = parse_patch(text)
        patch = self._parsed[text]
        return apply_patch(document, patch) if patch else document


def _remarks(value: JsonObject, shape: Record) -> Remarks:
    """What is unsafe to ignore in the Applications; what is merely ignored the set says once for all."""
    findings = check(value, shape).findings
    unsupported = tuple(finding.field for finding in findings if finding.kind is FindingKind.UNSAFE)
    return Remarks(unsupported=unsupported)


def _error(reason: str, error: BadInput) -> SetError:
    hint = f" ({error.hint})" if error.hint else ""
    return SetError(reason=reason, message=redact(error.message + hint))
