"""Numbers by a directive of ``printf``: bases, signs, precision, exponents, padding."""

from __future__ import annotations

import math
from dataclasses import dataclass

from fleet.templating.printing import decimal_digits, format_float, positional, scientific


@dataclass(slots=True)
class Spec:
    """One directive: ``%-08.3f``."""

    verb: str = "v"
    plus: bool = False
    minus: bool = False
    sharp: bool = False
    space: bool = False
    zero: bool = False
    syntax: bool = False
    width: int | None = None
    precision: int | None = None

    def pad(self, text: str, *, zero: bool = True) -> str:
        """Fill a text up to the width."""
        missing = (self.width or 0) - len(text)
        if missing <= 0:
            return text
        if self.minus:
            return text + " " * missing
        return ("0" if zero and self.zero else " ") * missing + text


_BASES = {"b": "b", "o": "o", "O": "o", "x": "x", "X": "X"}
_PREFIXES = {"b": "0b", "o": "0", "x": "0x", "X": "0X"}


def integer(value: int, spec: Spec, *, is_unsigned: bool) -> str:
    """Format a whole number."""
    value = int(value)
    verb = spec.verb
    if spec.syntax and is_unsigned:
        return spec.pad(f"0x{value:x}")
    sign = "-" if value < 0 else "+" if spec.plus else " " if spec.space else ""
    digits = format(abs(value), _BASES.get(verb, "d"))
    if spec.precision is not None:
        if not spec.precision and not value:
            return spec.pad("")
        digits = digits.rjust(spec.precision, "0")
    elif spec.zero and spec.width:
        digits = digits.rjust(spec.width - len(sign), "0")
    prefix = _PREFIXES.get(verb, "") if spec.sharp else ""
    if prefix == "0" and digits.startswith("0"):
        prefix = ""
    if verb == "O":
        prefix = "0o"
    return spec.pad(sign + prefix + digits, zero=False)


def real(value: float, spec: Spec) -> str:
    """Format a float64."""
    sign = "+" if spec.plus else " " if spec.space else ""
    if not math.isfinite(value):
        text = format_float(value)
        if text[0] == "+" and not spec.plus:
            text = " Inf" if spec.space else "+Inf"
        elif text == "NaN":
            text = f"{sign}NaN"
        return spec.pad(text, zero=False)
    text = _finite(abs(value), spec)
    sign = "-" if math.copysign(1, value) < 0 else sign
    if spec.zero and spec.width and len(sign) + len(text) < spec.width:
        return sign + text.rjust(spec.width - len(sign), "0")
    return spec.pad(sign + text)


def _finite(value: float, spec: Spec) -> str:
    verb, precision = spec.verb, spec.precision
    if verb in "vgG":
        text = format_float(value) if precision is None else _general(value, precision)
        return text.upper() if verb == "G" else text
    if verb in "fF":
        return f"{value:.{6 if precision is None else precision}f}"
    if verb in "eE":
        return f"{value:.{6 if precision is None else precision}{verb}}"
    if verb == "b":
        mantissa, exponent = math.frexp(value)
        return f"{int(mantissa * 2**53)}p{exponent - 53:+d}"
    return _hexadecimal_float(value, spec)


def _general(value: float, precision: int) -> str:
    """Write with a number of significant digits; an exponent from that number of digits on."""
    precision = precision or 1
    rounded = f"{value:.{precision - 1}e}"
    _, digits, exponent = (
        decimal_digits(float(rounded)) if precision <= 17 else decimal_digits(value)
    )
    limit = precision
    if limit > len(digits) >= exponent + 1:
        limit = len(digits)
    if exponent < -4 or exponent >= limit:
        return scientific(digits, exponent)
    return positional(digits, exponent)


def _hexadecimal_float(value: float, spec: Spec) -> str:
    mantissa, _, exponent = value.hex().partition("p")
    whole, _, fraction = mantissa.partition(".")
    fraction = fraction.rstrip("0")
    power = int(exponent)
    text = (
        f"{whole}{f'.{fraction}' if fraction else ''}p{'-' if power < 0 else '+'}{abs(power):02d}"
    )
    return text.upper() if spec.verb == "X" else text
