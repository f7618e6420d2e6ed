"""The state of one rendering, and access to fields: what compiled templates run on."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Final, TypeAlias

from fleet.templating import nodes
from fleet.templating.errors import GoError, LimitError
from fleet.templating.functions import Function, Mismatch
from fleet.templating.values import (
    MAX_TEXT,
    MISSING,
    GoObject,
    GoValue,
    Meter,
    StringMap,
    type_name,
)

Node: TypeAlias = nodes.Operand | nodes.Command | nodes.Statement


class MissingKey(StrEnum):
    """What a key that a map does not have stands for (``missingkey=`` of Go's template options)."""

    DEFAULT = "default"
    INVALID = "invalid"
    ZERO = "zero"
    ERROR = "error"


class Problem(Exception):
    """Execution failed at a node; the text is Go's, without the place."""

    def __init__(self, node: Node, message: str) -> None:
        super().__init__(message)
        self.node = node


class _Unset:
    """The type of UNSET."""

    __slots__ = ()


UNSET: Final = _Unset()
"""What a variable holds whose declaration was never reached."""


class Run:
    """One rendering: its output, its account, the variables and the name of the running template."""

    __slots__ = ("depth", "left", "meter", "name", "parts", "slots")

    def __init__(self, name: str, slots: list[GoValue], meter: Meter) -> None:
        self.name = name
        self.slots = slots
        self.meter = meter
        self.parts: list[str] = []
        self.left = MAX_TEXT
        self.depth = 0

    def write(self, text: str) -> None:
        """Add to the output; raises LimitError when it becomes too long."""
        self.left -= len(text)
        if self.left < 0:
            raise LimitError(f"the output is longer than {MAX_TEXT} characters")
        self.parts.append(text)


Evaluator: TypeAlias = Callable[[Run, GoValue], GoValue]
"""Evaluates an operand or a pipeline for a dot."""

Stage: TypeAlias = Callable[[Run, GoValue, GoValue], GoValue]
"""Evaluates a command that gets the value of the command before it."""


def invoke(function: Function, name: str, args: list[GoValue], run: Run, node: Node) -> GoValue:
    """Call a function with checked arguments and give its error a place."""
    try:
        return function.invoke(args, run.meter)
    except GoError as error:
        raise Problem(node, f"error calling {name}: {error}") from error


def field_of(
    value: GoValue, name: str, node: Node, missing: MissingKey, run: Run, *, held: bool = False
) -> GoValue:
    """Return a field of a map, or call a method without arguments; raises Problem.

    A value that a map holds has the type ``interface {}`` in Go's messages.
    """
    if isinstance(value, dict):
        found = value.get(name, MISSING)
        if found is not MISSING:
            return found
        if missing is MissingKey.ERROR:
            raise Problem(node, f'map has no entry for key "{name}"')
        if missing is MissingKey.ZERO:
            return "" if isinstance(value, StringMap) else None
        return MISSING
    if value is MISSING:
        if missing is MissingKey.ERROR:
            raise Problem(node, f'nil data; no entry for key "{name}"')
        return MISSING
    if value is None:
        raise Problem(node, f"nil pointer evaluating interface {{}}.{name}")
    if isinstance(value, GoObject) and name in value.methods:
        return call_method(value, name, [], run, node)
    shown = "interface {}" if held else _type(value, node)
    raise Problem(node, f"can't evaluate field {name} in type {shown}")


def call_method(value: GoObject, name: str, args: list[GoValue], run: Run, node: Node) -> GoValue:
    """Call a method with arguments that were not checked yet."""
    method = value.methods[name]
    problem = method.arity_problem(name, len(args), len(args))
    if problem:
        raise Problem(node, problem)
    try:
        checked = [method.parameter(i).check(arg) for i, arg in enumerate(args)]
    except Mismatch as mismatch:
        raise Problem(node, str(mismatch)) from mismatch
    return invoke(method, name, [value, *checked], run, node)


def _type(value: GoValue, node: Node) -> str:
    try:
        return type_name(value)
    except GoError as error:
        raise Problem(node, str(error)) from error
