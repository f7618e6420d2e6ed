"""The two template modes behind one face: a text to a function from parameters to text.

``go`` is Go's text/template with Argo CD's functions, ``fast`` replaces ``{{key}}`` and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeAlias

from fleet.codec.jsontypes import JsonObject, JsonValue
from fleet.generators.budget import Budget
from fleet.generators.params import GeneratorError
from fleet.model.appset import ApplicationSet
from fleet.templating.errors import TemplateError
from fleet.templating.fasttemplate import render_fast
from fleet.templating.gotemplate import MissingKey, Template, compile_template, parse_options
from fleet.templating.values import Meter, StringMap

Fill: TypeAlias = Callable[[JsonObject], str]


@dataclass(frozen=True, slots=True)
class Engine:
    """How the texts of one set are filled."""

    go: bool
    missing_key: MissingKey = MissingKey.DEFAULT
    budget: Budget = field(default_factory=Budget, compare=False)
    """Of one evaluation, for all its texts together."""

    @classmethod
    def of(cls, appset: ApplicationSet) -> Engine:
        """Return the engine a set asks for; raises BadInput for options that Go does not know."""
        if not appset.go_template:
            return cls(go=False)
        return cls(go=True, missing_key=parse_options(appset.go_template_options))

    @property
    def strict(self) -> Engine:
        """The same engine, for which a missing key is an error."""
        return replace(self, missing_key=MissingKey.ERROR)

    def compile(self, text: str) -> Fill | None:
        """Return the function that fills a text, None where there is nothing to fill; raises TemplateError."""
        if "{{" not in text:
            return None
        if self.go:
            return partial(self._rendered, compile_template(text, missing_key=self.missing_key))
        return partial(self._replaced, text)

    def _rendered(self, template: Template, params: JsonObject) -> str:
        budget = self.budget
        granted = budget.grant()
        meter = Meter(granted)
        try:
            return budget.take(template.render(params, meter))
        finally:
            budget.steps -= granted - max(meter.left, 0)

    def _replaced(self, text: str, params: JsonObject) -> str:
        return self.budget.take(render_fast(text, params))

    def render(self, text: str, params: JsonObject) -> str:
        """Fill a text; raises TemplateError."""
        fill = self.compile(text)
        return text if fill is None else fill(params)

    def with_values(self, params: JsonObject, values: JsonObject) -> JsonObject:
        """Return a set with a generator's ``values``: filled from the set itself, never from each other."""
        if not values:
            return params
        try:
            filled = {key: self.render(text, params) for key, text in values.items()}
        except TemplateError as error:
            raise GeneratorError(f"failed to replace templated string: {error.message}") from error
        if self.go:
            return {**params, "values": StringMap(filled)}
        return {**params, **{f"values.{key}": text for key, text in filled.items()}}


def has_template(value: JsonValue) -> bool:
    """Tell whether any text in a value may be a template."""
    if isinstance(value, str):
        return "{{" in value
    if isinstance(value, dict):
        return any(has_template(key) or has_template(item) for key, item in value.items())
    return isinstance(value, list) and any(has_template(item) for item in value)


def interpolate(value: JsonValue, params: JsonObject, engine: Engine) -> JsonValue:
    """Fill every text of a generator, keys included, from the row of another one; nulls in maps vanish.

    ``values`` are filled leniently: one that needs a key the other row does not have is left for the
    generator itself. Raises TemplateError.
    """
    if isinstance(value, str):
        return engine.render(value, params)
    if isinstance(value, list):
        return [interpolate(item, params, engine) for item in value]
    if isinstance(value, dict):
        return {
            engine.render(key, params): interpolate(item, params, engine)
            for key, item in value.items()
            if item is not None
        }
    return value
