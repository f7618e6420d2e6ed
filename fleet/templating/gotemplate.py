"""Go's text/template with the functions that Argo CD gives its ApplicationSets.

``compile_template`` parses a text and compiles it to closures, once (results are kept); ``Template.render`` runs them for
a set of parameters. Rendering is pure and safe in threads: parameters are never changed, there is no access to files,
network or environment, and output, steps and nesting are limited. A few functions are random or read the clock (see
``table.UNSTABLE``): they work as in Argo CD, and whoever uses them gets new text at every evaluation.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Final, NoReturn

from fleet.codec.jsontypes import JsonObject
from fleet.errors import BadInput
from fleet.templating.errors import LimitError, TemplateError, excerpt
from fleet.templating.parser import parse
from fleet.templating.runtime import MissingKey, Problem, Run
from fleet.templating.statements import Program, StatementCompiler
from fleet.templating.table import FUNCTIONS, MUTATING, UNSTABLE
from fleet.templating.values import Meter, clean, copy, to_bytes

__all__ = ["MissingKey", "Template", "TemplateError", "compile_template", "parse_options"]

_DEFAULT_NAME: Final = "base"
_KEPT_TEMPLATES: Final = 4096

MAX_TEMPLATE: Final = 256 * 1024
"""The longest template with actions that is compiled, in characters."""

_EXHAUSTED = (RecursionError, MemoryError, OverflowError)


class Template:
    """A compiled template; immutable."""

    __slots__ = ("_copies", "_name", "_program", "_text", "is_stable")

    def __init__(
        self, text: str, name: str, program: Program | None, functions: frozenset[str]
    ) -> None:
        self._text = text
        self._name = name
        self._program = program
        self._copies = not functions.isdisjoint(MUTATING)
        self.is_stable = functions.isdisjoint(UNSTABLE)
        """Whether the same parameters always give the same text."""

    def render(self, params: JsonObject, meter: Meter | None = None) -> str:
        """Return the text for a set of parameters, paid from an account of steps; raises TemplateError."""
        program = self._program
        if program is None:
            return self._text
        run = Run(self._name, [], meter or Meter())
        try:
            dot = copy(params, Meter()) if self._copies else params
            run.slots = program.slots(dot)
            program.body(run, dot)
        except Problem as problem:
            self._fail(problem, run.name)
        except LimitError as error:
            raise self._error(str(error)) from error
        except _EXHAUSTED as error:
            raise self._error("the template needs too much memory or nesting") from error
        return clean("".join(run.parts))

    def _fail(self, problem: Problem, executing: str) -> NoReturn:
        pos = problem.node.pos
        before = self._text[:pos]
        line = before.count("\n") + 1
        column = len(to_bytes(before[before.rfind("\n") + 1 :]))
        action, detail = excerpt(str(problem.node)), str(problem)
        raise TemplateError(
            f"failed to execute go template {excerpt(self._text)}: "
            f"template: {self._name}:{line}:{column}: "
            f'executing "{executing}" at <{action}>: {detail}',
            template=self._name,
            line=line,
            column=column,
            action=action,
            detail=detail,
        ) from problem

    def _error(self, detail: str) -> TemplateError:
        return TemplateError(
            f"failed to execute go template {excerpt(self._text)}: {detail}",
            template=self._name,
            detail=detail,
        )


@functools.lru_cache(maxsize=_KEPT_TEMPLATES)
def compile_template(
    text: str, *, missing_key: MissingKey = MissingKey.DEFAULT, name: str = ""
) -> Template:
    """Compile a template; raises TemplateError."""
    name = name or _DEFAULT_NAME
    if "{{" not in text:
        return Template(text, name, None, frozenset())
    try:
        if len(text) > MAX_TEMPLATE:
            raise LimitError(f"the template is longer than {MAX_TEMPLATE} characters")
        parsed = parse(text, name, FUNCTIONS.keys())
        programs = StatementCompiler(parsed.bodies, FUNCTIONS, missing_key).compile()
        return Template(text, name, programs[name], parsed.functions)
    except (LimitError, *_EXHAUSTED) as error:
        detail = str(error) if isinstance(error, LimitError) else "the template is too large"
        raise TemplateError(
            f"failed to parse template {excerpt(text)}: {detail}", template=name, detail=detail
        ) from error


def parse_options(options: Sequence[str]) -> MissingKey:
    """Read goTemplateOptions, the last one wins; raises BadInput for one that Go does not know."""
    result = MissingKey.DEFAULT
    for option in options:
        key, _, value = option.partition("=")
        if key != "missingkey" or value not in set(MissingKey):
            known = ", ".join(f"missingkey={mode}" for mode in MissingKey)
            raise BadInput(
                f"unrecognized option: {option} in goTemplateOptions", hint=f"use one of {known}"
            )
        result = MissingKey(value)
    return result
