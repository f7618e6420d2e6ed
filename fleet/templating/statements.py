"""Compiles the statements of a template to Python closures: text, actions, if, with, range, template.

A statement's closure writes to the running state and returns None, or a signal to leave or continue the loop around it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import TypeAlias, assert_never

from fleet.templating import nodes
from fleet.templating.errors import LimitError
from fleet.templating.functions import Function
from fleet.templating.operands import OperandCompiler, Scope, last_node
from fleet.templating.printing import format_value, show
from fleet.templating.runtime import UNSET, Evaluator, MissingKey, Problem, Run
from fleet.templating.values import INTEGERS, MISSING, UNSIGNED, GoValue, Int, is_true

MAX_CALL_DEPTH = 40
"""How deep templates may call templates."""


class Signal(Enum):
    """What a statement asks of the loop around it."""

    BREAK = auto()
    CONTINUE = auto()


Step: TypeAlias = Callable[[Run, GoValue], Signal | None]


@dataclass(frozen=True, slots=True)
class Program:
    """A compiled template: its statements, and the number of its variables."""

    name: str
    body: Step
    size: int

    def slots(self, dot: GoValue) -> list[GoValue]:
        """Return fresh variables; ``$`` is the dot that the template starts with."""
        return [dot, *([UNSET] * (self.size - 1))]


class StatementCompiler:
    """Compiles all templates of one text."""

    def __init__(
        self,
        trees: Mapping[str, nodes.Body],
        functions: Mapping[str, Function],
        missing: MissingKey,
    ) -> None:
        self._trees = trees
        self._operands = OperandCompiler(functions, missing)
        self._programs: dict[str, Program] = {}

    def compile(self) -> Mapping[str, Program]:
        """Return the programs by name."""
        for name, tree in self._trees.items():
            scope = Scope()
            body = self._body(tree, scope)
            self._programs[name] = Program(name, body, scope.size)
        return self._programs

    def _body(self, body: nodes.Body, scope: Scope) -> Step:
        steps = tuple(self._statement(node, scope) for node in body)
        if len(steps) == 1:
            return steps[0]

        def run_body(run: Run, dot: GoValue) -> Signal | None:
            for step in steps:
                signal = step(run, dot)
                if signal is not None:
                    return signal
            return None

        return run_body

    def _inner(self, body: nodes.Body, scope: Scope) -> Step:
        """Compile a body whose variables end with it."""
        known = len(scope.names)
        step = self._body(body, scope)
        del scope.names[known:]
        return step

    def _statement(self, node: nodes.Statement, scope: Scope) -> Step:
        match node:
            case nodes.Text():
                return _text(node.text)
            case nodes.Action():
                return self._action(node, scope)
            case nodes.If() | nodes.With():
                return self._condition(node, scope)
            case nodes.Range():
                return self._range(node, scope)
            case nodes.Call():
                return self._template(node, scope)
            case nodes.Break():
                return lambda _run, _dot: Signal.BREAK
            case nodes.Continue():
                return lambda _run, _dot: Signal.CONTINUE
            case _:
                assert_never(node)

    def _action(self, node: nodes.Action, scope: Scope) -> Step:
        value = self._operands.pipe(node.pipe, scope)
        if node.pipe.variables:
            return _silent(value)

        def act(run: Run, dot: GoValue) -> None:
            result = value(run, dot)
            run.write(result if type(result) is str else show(result, run.meter))

        return act

    def _condition(self, node: nodes.If | nodes.With, scope: Scope) -> Step:
        known = len(scope.names)
        value = self._operands.pipe(node.pipe, scope)
        body = self._inner(node.body, scope)
        otherwise = self._inner(node.otherwise or (), scope)
        del scope.names[known:]
        if isinstance(node, nodes.With):

            def run_with(run: Run, dot: GoValue) -> Signal | None:
                result = value(run, dot)
                return body(run, result) if is_true(result) else otherwise(run, dot)

            return run_with

        def run_if(run: Run, dot: GoValue) -> Signal | None:
            return body(run, dot) if is_true(value(run, dot)) else otherwise(run, dot)

        return run_if

    def _range(self, node: nodes.Range, scope: Scope) -> Step:
        known = len(scope.names)
        value = self._operands.pipe(node.pipe, scope)
        slots = [scope.slot(variable.names[0]) for variable in node.pipe.variables]
        body = self._inner(node.body, scope)
        otherwise = self._inner(node.otherwise or (), scope)
        del scope.names[known:]
        index_slot = slots[0] if len(slots) == 2 else None
        element_slot = slots[-1] if slots else None

        def run_range(run: Run, dot: GoValue) -> Signal | None:
            is_empty = True
            for index, element in _items(value(run, dot), node, len(slots), run):
                is_empty = False
                run.meter.spend(1)
                if element_slot is not None:
                    run.slots[element_slot] = element
                if index_slot is not None:
                    run.slots[index_slot] = index
                if body(run, element) is Signal.BREAK:
                    break
            return otherwise(run, dot) if is_empty else None

        return run_range

    def _template(self, node: nodes.Call, scope: Scope) -> Step:
        value = self._operands.pipe(node.pipe, scope) if node.pipe else None
        programs = self._programs

        def call(run: Run, dot: GoValue) -> None:
            program = programs.get(node.name)
            if program is None:
                raise Problem(node, f'template "{node.name}" not defined')
            if run.depth >= MAX_CALL_DEPTH:
                raise LimitError(f"exceeded maximum template depth ({MAX_CALL_DEPTH})")
            run.meter.spend(1)
            inner = value(run, dot) if value else MISSING
            _enter(run, program, inner)

        return call


def _enter(run: Run, program: Program, dot: GoValue) -> None:
    """Run another template; on an error the state stays as it is, for the message."""
    slots, name = run.slots, run.name
    run.slots, run.name = program.slots(dot), program.name
    run.depth += 1
    program.body(run, dot)
    run.depth -= 1
    run.slots, run.name = slots, name


def _text(text: str) -> Step:
    def write(run: Run, _dot: GoValue) -> None:
        run.write(text)

    return write


def _silent(value: Evaluator) -> Step:
    def act(run: Run, dot: GoValue) -> None:
        value(run, dot)

    return act


def _items(
    value: GoValue, node: nodes.Range, variables: int, run: Run
) -> Iterable[tuple[GoValue, GoValue]]:
    if isinstance(value, list):
        return ((Int(index), element) for index, element in enumerate(value))
    if isinstance(value, dict):
        return [(key, value[key]) for key in sorted(value)]
    if value is MISSING:
        return ()
    kind = type(value)
    if kind in INTEGERS or kind in UNSIGNED:
        if variables > 1:
            raise Problem(
                last_node(node.pipe), f"can't use {value} to iterate over more than one variable"
            )
        return ((MISSING, kind(element)) for element in range(value))
    shown = format_value(value, run.meter)
    raise Problem(last_node(node.pipe), f"range can't iterate over {shown}")
