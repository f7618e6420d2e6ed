"""Compiles operands, commands and pipelines to Python closures.

A closure takes the running state and the dot and returns a value. Variables live in numbered slots, so that nothing is
looked up by name at run time. The semantics are those of Go's text/template, quirks included: an existing nil that leaves
a pipeline becomes a missing value, and a command's value is the last argument of the next command.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from fleet.templating import nodes
from fleet.templating.functions import ANY, Function, Mismatch, Parameter
from fleet.templating.runtime import (
    UNSET,
    Evaluator,
    MissingKey,
    Node,
    Problem,
    Run,
    Stage,
    call_method,
    field_of,
    invoke,
)
from fleet.templating.values import MISSING, GoObject, GoValue, Int, Int64, NilMap, is_true


@dataclass(slots=True)
class Scope:
    """The variables that are visible at a place, and the number of slots that their template needs."""

    names: list[tuple[str, int]] = field(default_factory=lambda: [("$", 0)])
    size: int = 1

    def declare(self, name: str) -> int:
        """Give a new variable a slot; it hides an older one of the same name."""
        slot = self.size
        self.size += 1
        self.names.append((name, slot))
        return slot

    def slot(self, name: str) -> int | None:
        """Return the slot of a visible variable."""
        return next((slot for known, slot in reversed(self.names) if known == name), None)


def constant(number: nodes.Number) -> GoValue:
    """Return the value of a number where nothing says which type it should have; raises Problem."""
    text = number.text
    if number.imaginary is not None:
        return number.imaginary
    is_hexadecimal = text[:2].lower() == "0x" and not set(text) & set("pP")
    if (
        number.real is not None
        and not is_hexadecimal
        and text[0] != "'"
        and set(text) & set(".eEpP")
    ):
        return number.real
    if number.integer is None:
        raise Problem(number, f"{text} overflows int")
    return Int(number.integer)


class OperandCompiler:
    """Compiles what stands inside the braces, for one set of functions and one missing-key mode."""

    def __init__(self, functions: Mapping[str, Function], missing: MissingKey) -> None:
        self._functions = functions
        self._missing = missing

    # -- pipelines

    def pipe(self, pipe: nodes.Pipe, scope: Scope) -> Evaluator:
        """Compile a pipeline; its closure returns MISSING for every nil and stores declared variables."""
        first = self._command(pipe.commands[0], scope)
        stages = tuple(self._stage(command, scope) for command in pipe.commands[1:])
        slots = self._targets(pipe, scope)
        if not stages and not slots:
            return _collapsed(first)

        def run_pipe(run: Run, dot: GoValue) -> GoValue:
            value = first(run, dot)
            for stage in stages:
                value = stage(run, dot, MISSING if value is None else value)
            if value is None:
                value = MISSING
            for slot in slots:
                if slot is None:
                    raise Problem(last_node(pipe), f"undefined variable: {pipe.variables[0]}")
                run.slots[slot] = value
            return value

        return run_pipe

    def _targets(self, pipe: nodes.Pipe, scope: Scope) -> tuple[int | None, ...]:
        find = scope.slot if pipe.is_assignment else scope.declare
        return tuple(find(variable.names[0]) for variable in pipe.variables)

    # -- commands

    def _command(self, command: nodes.Command, scope: Scope) -> Evaluator:
        word, *args = command.args
        if isinstance(word, nodes.Identifier):
            return self._call(word, command, args, scope)
        if args:
            return self._with_arguments(word, args, scope)
        if isinstance(word, nodes.Nil):
            return _raiser(word, "nil is not a command")
        return self._value(word, scope)

    def _stage(self, command: nodes.Command, scope: Scope) -> Stage:
        word, *args = command.args
        if isinstance(word, nodes.Identifier):
            return self._piped_call(word, command, args, scope)
        method = self._method(word, args, scope)

        def stage(run: Run, dot: GoValue, final: GoValue) -> GoValue:
            return method(run, dot, [final])

        return stage

    def _with_arguments(
        self, word: nodes.Operand, args: list[nodes.Operand], scope: Scope
    ) -> Evaluator:
        method = self._method(word, args, scope)
        return lambda run, dot: method(run, dot, [])

    def _method(self, word: nodes.Operand, args: list[nodes.Operand], scope: Scope) -> Stage:
        """Compile a call of the last field of a chain, which only methods of Go objects allow."""
        if not isinstance(word, (nodes.Field, nodes.Variable, nodes.Chain)) or (
            isinstance(word, nodes.Variable) and len(word.names) == 1
        ):
            refuse = _raiser(word, f"can't give argument to non-function {word}")
            return lambda run, dot, _: refuse(run, dot)
        receiver = self._receiver(word, scope)
        values = tuple(self._argument(arg, ANY, scope) for arg in args)
        name = word.names[-1]

        def call(run: Run, dot: GoValue, final: GoValue) -> GoValue:
            target = receiver(run, dot)
            if isinstance(target, GoObject) and name in target.methods:
                given = [value(run, dot) for value in values]
                return call_method(target, name, given + final, run, word)
            field_of(target, name, word, self._missing, run)
            raise Problem(word, f"{name} is not a method but has arguments")

        return call

    def _receiver(
        self, word: nodes.Field | nodes.Variable | nodes.Chain, scope: Scope
    ) -> Evaluator:
        names = word.names[:-1]
        if isinstance(word, nodes.Chain):
            return self._chain(word, names, scope)
        if isinstance(word, nodes.Variable):
            return self._variable(nodes.Variable(word.pos, names), scope)
        return self._fields(_dot, names, word)

    # -- calls

    def _call(
        self, word: nodes.Identifier, node: Node, args: list[nodes.Operand], scope: Scope
    ) -> Evaluator:
        name = word.name
        function = self._functions[name]
        problem = function.arity_problem(name, len(args), len(args))
        if problem:
            return _raiser(word, problem)
        if name in ("and", "or"):
            stage = self._logical(word, args, scope)
            return lambda run, dot: stage(run, dot, UNSET)
        values = self._arguments(function, args, scope)
        if len(values) == 1:
            only = values[0]
            return lambda run, dot: invoke(function, name, [only(run, dot)], run, node)

        def call(run: Run, dot: GoValue) -> GoValue:
            return invoke(function, name, [value(run, dot) for value in values], run, node)

        return call

    def _piped_call(
        self, word: nodes.Identifier, node: Node, args: list[nodes.Operand], scope: Scope
    ) -> Stage:
        name = word.name
        function = self._functions[name]
        problem = function.arity_problem(name, len(args) + 1, len(args))
        if problem:
            refuse = _raiser(word, problem)
            return lambda run, dot, _: refuse(run, dot)
        if name in ("and", "or"):
            return self._logical(word, args, scope)
        values = self._arguments(function, args, scope)
        check = function.parameter(len(args)).check
        at = args[-1] if args else word

        def call(run: Run, dot: GoValue, final: GoValue) -> GoValue:
            given = [value(run, dot) for value in values]
            try:
                given.append(check(final))
            except Mismatch as mismatch:
                raise Problem(at, str(mismatch)) from mismatch
            return invoke(function, name, given, run, node)

        return call

    def _logical(self, word: nodes.Identifier, args: list[nodes.Operand], scope: Scope) -> Stage:
        values = tuple(self._argument(arg, ANY, scope) for arg in args)
        stops_at = word.name == "or"

        def call(run: Run, dot: GoValue, final: GoValue) -> GoValue:
            result: GoValue = None
            for value in values:
                result = value(run, dot)
                if is_true(result) == stops_at:
                    return result
            return result if final is UNSET else final

        return call

    # -- arguments

    def _arguments(
        self, function: Function, args: list[nodes.Operand], scope: Scope
    ) -> tuple[Evaluator, ...]:
        return tuple(
            self._argument(arg, function.parameter(index), scope) for index, arg in enumerate(args)
        )

    def _argument(self, arg: nodes.Operand, parameter: Parameter, scope: Scope) -> Evaluator:
        if isinstance(arg, nodes.Nil):
            return _nil(arg, parameter)
        if isinstance(arg, (nodes.Bool, nodes.Number, nodes.String)):
            return _literal(arg, parameter)
        value = self._value(arg, scope)
        check = parameter.check

        def checked(run: Run, dot: GoValue) -> GoValue:
            found = value(run, dot)
            try:
                return check(found)
            except Mismatch as mismatch:
                raise Problem(arg, str(mismatch)) from mismatch

        return checked

    # -- values

    def _value(self, word: nodes.Operand, scope: Scope) -> Evaluator:
        match word:
            case nodes.Field():
                return self._fields(_dot, word.names, word)
            case nodes.Variable():
                return self._variable(word, scope)
            case nodes.Chain():
                return self._chain(word, word.names, scope)
            case nodes.Pipe():
                return self.pipe(word, scope)
            case nodes.Identifier():
                return self._call(word, word, [], scope)
            case nodes.Dot():
                return _dot
            case nodes.Number():
                return _number(word)
            case nodes.Bool() | nodes.String():
                value = word.value
                return lambda _run, _dot: value
            case nodes.Nil():
                return _raiser(word, "nil is not a command")

    def _variable(self, word: nodes.Variable, scope: Scope) -> Evaluator:
        name, *names = word.names
        slot = scope.slot(name)
        if slot is None:
            return _raiser(word, f"undefined variable: {name}")

        def read(run: Run, _dot: GoValue) -> GoValue:
            value = run.slots[slot]
            if value is UNSET:
                raise Problem(word, f"undefined variable: {name}")
            return value

        return self._fields(read, tuple(names), word) if names else read

    def _chain(self, word: nodes.Chain, names: tuple[str, ...], scope: Scope) -> Evaluator:
        return self._fields(self._value(word.node, scope), names, word)

    def _fields(self, source: Evaluator, names: tuple[str, ...], node: Node) -> Evaluator:
        missing = self._missing
        if not names:
            return source
        if source is _dot and len(names) == 1:
            return _field_of_dot(names[0], node, missing)

        def read(run: Run, dot: GoValue) -> GoValue:
            value = source(run, dot)
            for name in names:
                if type(value) is dict and name in value:
                    value = value[name]
                else:
                    held = name is not names[0]
                    value = field_of(value, name, node, missing, run, held=held)
            return value

        return read


def last_node(pipe: nodes.Pipe) -> Node:
    """Return the node that a pipeline evaluates last: where Go says an error of its value is."""
    node = pipe.commands[-1].args[-1]
    return last_node(node) if isinstance(node, nodes.Pipe) else node


def _dot(_run: Run, dot: GoValue) -> GoValue:
    return dot


def _field_of_dot(name: str, node: Node, missing: MissingKey) -> Evaluator:
    def read(run: Run, dot: GoValue) -> GoValue:
        if type(dot) is dict and name in dot:
            return dot[name]
        return field_of(dot, name, node, missing, run)

    return read


def _collapsed(value: Evaluator) -> Evaluator:
    def run_pipe(run: Run, dot: GoValue) -> GoValue:
        result = value(run, dot)
        return MISSING if result is None else result

    return run_pipe


def _raiser(node: Node, message: str) -> Evaluator:
    def refuse(_run: Run, _dot: GoValue) -> GoValue:
        raise Problem(node, message)

    return refuse


def _number(word: nodes.Number) -> Evaluator:
    try:
        value = constant(word)
    except Problem as problem:
        return _raiser(word, str(problem))
    return lambda _run, _dot: value


def _nil(arg: nodes.Nil, parameter: Parameter) -> Evaluator:
    if parameter is ANY:
        return lambda _run, _dot: None
    if parameter.name.startswith("map"):
        return lambda _run, _dot: NilMap()
    return _raiser(arg, f"cannot assign nil to {parameter.name}")


def _literal(arg: nodes.Bool | nodes.Number | nodes.String, parameter: Parameter) -> Evaluator:
    if parameter is ANY:
        return _number(arg) if isinstance(arg, nodes.Number) else _fixed(arg.value)
    match parameter.name, arg:
        case "bool", nodes.Bool():
            return _fixed(arg.value)
        case "string", nodes.String():
            return _fixed(arg.value)
        case "int", nodes.Number(integer=int(value)):
            return _fixed(Int(value))
        case "int64", nodes.Number(integer=int(value)):
            return _fixed(Int64(value))
        case "uint32", nodes.Number(unsigned=int(value)):
            return _fixed(value & 0xFFFFFFFF)
        case "float64", nodes.Number(real=float(real)):
            return _fixed(real)
    return _raiser(arg, _expectation(arg, parameter.name))


_EXPECTED = {
    "bool": "bool",
    "string": "string",
    "int": "integer",
    "int64": "integer",
    "uint32": "unsigned integer",
    "float64": "float",
}


def _expectation(arg: Node, type_name: str) -> str:
    if type_name in _EXPECTED:
        return f"expected {_EXPECTED[type_name]}; found {arg}"
    return f"can't handle {arg} for arg of type {type_name}"


def _fixed(value: GoValue) -> Evaluator:
    return lambda _run, _dot: value
