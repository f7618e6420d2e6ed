"""What a template function is: its Go signature, its body, and how values are checked against it.

Each module ``funcs_*`` holds a ``Table`` of functions; a signature such as ``"int string -> string"`` or
``"any any... -> int64"`` says what Go's type checker would. Bodies get checked Python values and raise GoError. A
body that walks or builds data of any size takes the ``Meter`` of the rendering as its first argument (``meter=True``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from fleet.templating.errors import GoError, LimitError
from fleet.templating.values import (
    MAX_TEXT,
    MISSING,
    GoObject,
    GoValue,
    Int,
    Int64,
    IntList,
    Meter,
    NilMap,
    StringList,
    is_float,
    number,
    type_name,
    wrap64,
    wrap_int,
)


class Mismatch(Exception):
    """A value does not fit a parameter; the text is Go's, without the place."""


Check = Callable[[GoValue], GoValue]


def _wrong(expected: str, value: GoValue) -> Mismatch:
    if value is MISSING:
        return Mismatch(f"invalid value; expected {expected}")
    found = "interface {}" if value is None else type_name(value)
    return Mismatch(f"wrong type for value; expected {expected}; got {found}")


def _any(value: GoValue) -> GoValue:
    return None if value is MISSING else value


def _string(value: GoValue) -> GoValue:
    if type(value) is str:
        return value
    raise _wrong("string", value)


def _int(value: GoValue) -> GoValue:
    if type(value) is Int:
        return value
    raise _wrong("int", value)


def _int64(value: GoValue) -> GoValue:
    if type(value) is Int64:
        return value
    raise _wrong("int64", value)


def _uint32(value: GoValue) -> GoValue:
    raise _wrong("uint32", value)


def _float64(value: GoValue) -> GoValue:
    if is_float(value):
        return number(value)
    raise _wrong("float64", value)


def _bool(value: GoValue) -> GoValue:
    if type(value) is bool:
        return value
    raise _wrong("bool", value)


def _map(value: GoValue) -> GoValue:
    if type(value) is dict or type(value) is NilMap:
        return value
    if value is MISSING:
        return NilMap()
    raise _wrong("map[string]interface {}", value)


def _time(value: GoValue) -> GoValue:
    if isinstance(value, GoObject) and value.go_type == "time.Time":
        return value
    raise _wrong("time.Time", value)


def _version(value: GoValue) -> GoValue:
    if isinstance(value, GoObject) and value.go_type == "*semver.Version":
        return value
    raise _wrong("*semver.Version", value)


@dataclass(frozen=True, slots=True)
class Parameter:
    """A type of Go as a parameter: its name, and the check that lets a value pass or raises Mismatch."""

    name: str
    check: Check


ANY = Parameter("interface {}", _any)
STRING = Parameter("string", _string)
INT = Parameter("int", _int)
UINT32 = Parameter("uint32", _uint32)
FLOAT64 = Parameter("float64", _float64)
BOOL = Parameter("bool", _bool)
MAP = Parameter("map[string]interface {}", _map)

_PARAMETERS = {
    "any": ANY,
    "string": STRING,
    "int": INT,
    "int64": Parameter("int64", _int64),
    "uint32": UINT32,
    "float64": FLOAT64,
    "bool": BOOL,
    "map": MAP,
    "time": Parameter("time.Time", _time),
    "version": Parameter("*semver.Version", _version),
}


def _string_list(items: Iterable[str]) -> StringList:
    return items if isinstance(items, StringList) else StringList(items)


def _int_list(items: Iterable[int]) -> IntList:
    return IntList(map(Int, items))


_RESULTS: dict[str, Callable[[GoValue], GoValue]] = {
    "int": wrap_int,
    "int64": wrap64,
    "float64": float,
    "strings": _string_list,
    "ints": _int_list,
}
_PLAIN = frozenset({"string", "bool", "any", "map", "list"})


@dataclass(frozen=True, slots=True)
class Function:
    """A function that templates can call."""

    fixed: tuple[Parameter, ...]
    rest: Parameter | None
    result: Callable[[GoValue], GoValue] | None
    body: Callable[..., GoValue]
    meter: bool

    def parameter(self, index: int) -> Parameter:
        """Return the parameter that takes the argument at an index."""
        if index < len(self.fixed):
            return self.fixed[index]
        return self.rest or self.fixed[-1]

    def arity_problem(self, name: str, given: int, written: int) -> str:
        """Say, as Go does, what is wrong with a number of arguments; empty if nothing is."""
        wanted = len(self.fixed)
        if self.rest is None and given != wanted:
            return f"wrong number of args for {name}: want {wanted} got {given}"
        if self.rest is not None and given < wanted:
            return f"wrong number of args for {name}: want at least {wanted} got {written}"
        return ""

    def invoke(self, args: list[GoValue], meter: Meter) -> GoValue:
        """Run the body with checked arguments; raises GoError, LimitError."""
        meter.spend(_cost(args))
        value = self.body(meter, *args) if self.meter else self.body(*args)
        if self.result is not None:
            value = self.result(value)
        if type(value) is str and len(value) > 64:
            if len(value) > MAX_TEXT:
                raise LimitError(f"a text is longer than {MAX_TEXT} characters")
            meter.spend(len(value) >> 6)
        return value


def _cost(args: list[GoValue]) -> int:
    total = 1
    for value in args:
        kind = type(value)
        if kind is str:
            total += len(value) >> 6
        elif isinstance(value, (list, dict)):
            total += len(value) >> 4
    return total


class Table:
    """A named set of functions, filled by decorators while a module is loaded."""

    def __init__(self) -> None:
        self._functions: dict[str, Function] = {}

    def __iter__(self) -> Iterator[str]:
        return iter(self._functions)

    def items(self) -> Iterable[tuple[str, Function]]:
        """Return names and functions."""
        return self._functions.items()

    def add(
        self, names: str, signature: str, body: Callable[..., GoValue], *, meter: bool = False
    ) -> None:
        """Add a function under each of the names."""
        function = _function(signature, body, meter=meter)
        for name in names.split():
            self._functions[name] = function

    def define(
        self, names: str, signature: str, *, meter: bool = False
    ) -> Callable[[Callable[..., GoValue]], Callable[..., GoValue]]:
        """Add the decorated function under each of the names."""

        def decorate(body: Callable[..., GoValue]) -> Callable[..., GoValue]:
            self.add(names, signature, body, meter=meter)
            return body

        return decorate


def _function(signature: str, body: Callable[..., GoValue], *, meter: bool) -> Function:
    left, _, right = signature.partition("->")
    words = left.split()
    rest = _PARAMETERS[words.pop().removesuffix("...")] if left.strip().endswith("...") else None
    fixed = tuple(_PARAMETERS[word] for word in words)
    result = right.strip()
    assert result in _PLAIN or result in _RESULTS, result
    return Function(fixed, rest, _RESULTS.get(result), body, meter)


def methods(
    *, meter: bool = False, **signatures: tuple[str, Callable[..., GoValue]]
) -> Mapping[str, Function]:
    """Make the method table of a GoObject; the receiver is the first Python argument and not in the signature."""
    return {
        name: _function(signature, body, meter=meter)
        for name, (signature, body) in signatures.items()
    }


def fail(message: str) -> GoValue:
    """Raise a GoError where a lambda needs an expression."""
    raise GoError(message)
