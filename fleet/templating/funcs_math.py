"""Sprig's arithmetic, and its conversions to numbers.

Whole numbers are int64 and overflow as Go's; the functions that end in ``f`` calculate in decimals, as
sprig does with its decimal library, so that ``addf 0.1 0.2`` is ``0.3``.
"""

from __future__ import annotations

import decimal
import math
import re
from collections.abc import Callable

from fleet.templating.errors import GoError
from fleet.templating.functions import Table
from fleet.templating.literals import parse_float, parse_int
from fleet.templating.printing import format_value
from fleet.templating.values import (
    INTEGERS,
    UNSIGNED,
    GoValue,
    Int,
    IntList,
    Meter,
    is_float,
    number,
    wrap64,
    wrap_int,
)

MATH = Table()
_MINIMUM = -(1 << 63)
_EXACT = decimal.Context(prec=1500, Emax=999_999, Emin=-999_999, traps=[])
_DIVISION_STEP = decimal.Decimal("1e-16")


def to_int64(value: GoValue) -> int:
    """Convert as sprig's ``int64``: what cannot be converted is 0."""
    if type(value) in INTEGERS or type(value) in UNSIGNED or type(value) is bool:
        return wrap64(value)
    if is_float(value):
        return _whole(number(value))
    if type(value) is str:
        return parse_int(_without_zero_decimals(value), 0) or 0
    return 0


def to_int(value: GoValue) -> Int:
    """Convert as sprig's ``int``."""
    return wrap_int(to_int64(value))


def to_float(value: GoValue) -> float:
    """Convert as sprig's ``float64``: what cannot be converted is 0."""
    if type(value) in INTEGERS or type(value) in UNSIGNED or type(value) is bool:
        return float(value)
    if is_float(value):
        return number(value)
    if type(value) is str:
        return parse_float(value) or 0.0
    return 0.0


def _whole(value: float) -> int:
    if not -(2.0**63) <= value < 2.0**63:  # also NaN; what amd64 makes of it
        return _MINIMUM
    return int(value)


_ZERO_DECIMALS = re.compile(r"\.0+\Z")


def _without_zero_decimals(text: str) -> str:
    return _ZERO_DECIMALS.sub("", text)


MATH.add("int", "any -> int", to_int)
MATH.add("int64", "any -> int64", to_int64)
MATH.add("float64", "any -> float64", to_float)
MATH.add("atoi", "string -> int", lambda text: parse_int(text, 10, clamp=True) or 0)


@MATH.define("toDecimal", "any -> int64", meter=True)
def _to_decimal(meter: Meter, value: GoValue) -> GoValue:
    return parse_int(format_value(value, meter), 8) or 0


# -- whole numbers

MATH.add("add", "any... -> int64", lambda *values: sum(map(to_int64, values)))
MATH.add("add1", "any -> int64", lambda value: to_int64(value) + 1)
MATH.add("sub", "any any -> int64", lambda left, right: to_int64(left) - to_int64(right))
MATH.add("max biggest", "any any... -> int64", lambda *values: max(map(to_int64, values)))
MATH.add("min", "any any... -> int64", lambda *values: min(map(to_int64, values)))


@MATH.define("mul", "any any... -> int64")
def _mul(*values: GoValue) -> GoValue:
    product = 1
    for value in values:
        product = wrap64(product * to_int64(value))
    return product


def _divide(left: GoValue, right: GoValue) -> tuple[int, int]:
    dividend, divisor = to_int64(left), to_int64(right)
    if not divisor:
        raise GoError("runtime error: integer divide by zero")
    quotient = abs(dividend) // abs(divisor)
    if (dividend < 0) != (divisor < 0):
        quotient = -quotient
    return quotient, dividend - quotient * divisor


MATH.add("div", "any any -> int64", lambda left, right: _divide(left, right)[0])
MATH.add("mod", "any any -> int64", lambda left, right: _divide(left, right)[1])


# -- fractions


def _decimal(value: GoValue) -> decimal.Decimal:
    real = to_float(value)
    if not math.isfinite(real):
        shown = format_value(real, Meter())
        raise GoError(f"Cannot create a Decimal from {shown}")
    return decimal.Decimal(repr(real))


def _fold(
    operation: Callable[[decimal.Decimal, decimal.Decimal], decimal.Decimal],
    first: GoValue,
    rest: tuple[GoValue, ...],
) -> float:
    result = _decimal(first)
    for value in rest:
        result = operation(result, _decimal(value))
    return float(result) or 0.0  # the library has no negative zero


def _quotient(left: decimal.Decimal, right: decimal.Decimal) -> decimal.Decimal:
    if not right:
        raise GoError("decimal division by 0")
    exact = _EXACT.divide(left, right)
    return exact.quantize(_DIVISION_STEP, rounding=decimal.ROUND_HALF_UP, context=_EXACT)


MATH.add("addf", "any... -> float64", lambda *values: _fold(_EXACT.add, 0.0, values))
MATH.add("add1f", "any -> float64", lambda value: _fold(_EXACT.add, value, (1,)))
MATH.add("subf", "any any... -> float64", lambda first, *rest: _fold(_EXACT.subtract, first, rest))
MATH.add("mulf", "any any... -> float64", lambda first, *rest: _fold(_EXACT.multiply, first, rest))
MATH.add("divf", "any any... -> float64", lambda first, *rest: _fold(_quotient, first, rest))


def _extreme(pick: Callable[[float, float], float], values: tuple[GoValue, ...]) -> float:
    result, *rest = map(to_float, values)
    for value in rest:
        result = math.nan if math.isnan(result) or math.isnan(value) else pick(result, value)
    return result


MATH.add("maxf", "any any... -> float64", lambda *values: _extreme(max, values))
MATH.add("minf", "any any... -> float64", lambda *values: _extreme(min, values))


def _rounded(function: Callable[[float], int], value: float) -> float:
    if not math.isfinite(value):
        return value
    return math.copysign(float(abs(function(value))), value)


MATH.add("floor", "any -> float64", lambda value: _rounded(math.floor, to_float(value)))
MATH.add("ceil", "any -> float64", lambda value: _rounded(math.ceil, to_float(value)))


@MATH.define("round", "any int float64... -> float64")
def _round(value: GoValue, places: int, *options: float) -> GoValue:
    threshold = options[0] if options else 0.5
    try:
        scale = math.pow(10, places)
    except OverflowError:
        scale = math.inf
    scaled = scale * to_float(value)
    up = math.isfinite(scaled) and math.modf(scaled)[0] >= threshold
    result = _rounded(math.ceil if up else math.floor, scaled)
    if not scale:
        return math.nan if not result or math.isnan(result) else math.copysign(math.inf, result)
    return result / scale


# -- sequences


def _steps(start: int, stop: int, step: int, meter: Meter) -> IntList:
    if (stop < start and step >= 0) or (stop >= start and step <= 0):
        return IntList()
    meter.spend(len(range(start, stop, step)))
    return IntList(map(Int, range(start, stop, step)))


@MATH.define("until", "int -> ints", meter=True)
def _until(meter: Meter, count: int) -> GoValue:
    return _steps(0, count, -1 if count < 0 else 1, meter)


@MATH.define("untilStep", "int int int -> ints", meter=True)
def _until_step(meter: Meter, start: int, stop: int, step: int) -> GoValue:
    return _steps(start, stop, step, meter)


@MATH.define("seq", "int... -> string", meter=True)
def _seq(meter: Meter, *params: int) -> GoValue:
    match params:
        case (end,):
            start, step = 1, 1 if end >= 1 else -1
        case (start, end):
            step = 1 if end >= start else -1
        case (start, step, end):
            if end < start and step > 0:
                return ""
        case _:
            return ""
    increment = 1 if end >= start else -1
    return " ".join(map(str, map(int, _steps(start, end + increment, step, meter))))
