"""How Go prints values: ``%v``, JSON numbers, quoted texts.

The rest of printf is in ``printf``; this module is what ``{{.x}}`` and ``print`` need.
"""

from __future__ import annotations

import math

from fleet.templating.errors import LimitError
from fleet.templating.values import (
    MAX_DEPTH,
    MAX_TEXT,
    MISSING,
    GoObject,
    GoValue,
    Int,
    Int64,
    Meter,
    Uint8,
    Uint64,
    from_bytes,
    number,
    to_bytes,
)

NO_VALUE = "<no value>"
_EXACT = 1_000_000


def show(value: GoValue, meter: Meter) -> str:
    """Print a value as an action does."""
    if value is None or value is MISSING:
        return NO_VALUE
    return format_value(value, meter)


def format_value(value: GoValue, meter: Meter, depth: int = 0) -> str:
    """Print a value as ``%v``."""
    kind = type(value)
    if kind is str:
        if depth:  # many places of a list may hold one long text
            meter.spend(len(value) >> 6)
        return str(value)
    if kind is bool:
        return "true" if value else "false"
    if kind is int or kind is float:
        return format_float(value)
    if kind in (Int, Int64, Uint8, Uint64):
        return int.__repr__(value)
    if value is None or value is MISSING:
        return "<nil>"
    if isinstance(value, (list, dict)):
        return _format_container(value, meter, depth)
    if isinstance(value, GoObject):
        return value.text()
    return format_complex(value) if kind is complex else str(value)


def _format_container(value: GoValue, meter: Meter, depth: int) -> str:
    if depth > MAX_DEPTH:
        raise LimitError(f"a value is nested deeper than {MAX_DEPTH} levels")
    meter.spend(1 + len(value))
    if isinstance(value, dict):
        meter.spend(sum(map(len, value)) >> 6)
        items = (
            f"{key}:{format_value(value[key], meter, depth + 1)}" for key in sorted_keys(value)
        )
        return limited(f"map[{' '.join(items)}]", meter)
    return limited(f"[{' '.join(format_value(item, meter, depth + 1) for item in value)}]", meter)


def limited(text: str, meter: Meter) -> str:
    """Charge for a text that was made, and refuse one that is too long."""
    if len(text) > MAX_TEXT:
        raise LimitError(f"a text is longer than {MAX_TEXT} characters")
    meter.spend(len(text) >> 6)
    return text


def sorted_keys(value: dict[str, GoValue]) -> list[str]:
    """Return the keys in the order of their UTF-8 bytes, which is that of their code points."""
    return sorted(value)


def format_float(value: float) -> str:
    """Print a float64 as ``%v``: shortest form, with an exponent from 1e+06 on."""
    if type(value) is int and -_EXACT < value < _EXACT:
        return str(value)
    value = number(value)
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else f"{'+' if value > 0 else '-'}Inf"
    sign, digits, exponent = decimal_digits(value)
    if exponent < -4 or exponent >= 6:
        return sign + scientific(digits, exponent)
    return sign + positional(digits, exponent)


def json_float(value: float) -> str:
    """Print a float64 as JSON: without an exponent between 1e-6 and 1e21."""
    value = number(value)
    sign, digits, exponent = decimal_digits(value)
    if value and (abs(value) < 1e-6 or abs(value) >= 1e21):
        text = scientific(digits, exponent)
        return sign + (f"{text[:-2]}{text[-1]}" if text[-4:-1] == "e-0" else text)
    return sign + positional(digits, exponent)


def decimal_digits(value: float) -> tuple[str, str, int]:
    """Split a finite float into sign, shortest digits, and the exponent of the first digit."""
    sign = "-" if math.copysign(1, value) < 0 else ""
    mantissa, _, power = f"{abs(value)!r}".partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    if not digits:
        return sign, "0", 0
    leading = len(whole + fraction) - len(digits)
    exponent = len(whole) - 1 - leading + int(power or 0)
    return sign, digits.rstrip("0") or "0", exponent


def scientific(digits: str, exponent: int) -> str:
    """Write digits as ``1.5e+06``."""
    fraction = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{digits[0]}{fraction}e{'-' if exponent < 0 else '+'}{abs(exponent):02d}"


def positional(digits: str, exponent: int) -> str:
    """Write digits without an exponent."""
    if exponent < 0:
        return f"0.{'0' * (-exponent - 1)}{digits}"
    whole = digits[: exponent + 1].ljust(exponent + 1, "0")
    fraction = digits[exponent + 1 :]
    return f"{whole}.{fraction}" if fraction else whole


def format_complex(value: complex) -> str:
    """Print a complex number as ``(1+2i)``."""
    imaginary = format_float(value.imag)
    return f"({format_float(value.real)}{'' if imaginary[0] in '+-' else '+'}{imaginary}i)"


_ESCAPES = {
    "\a": "\\a",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
    "\v": "\\v",
    "\\": "\\\\",
}


def quote(text: str, mark: str = '"', *, ascii_only: bool = False) -> str:
    """Quote a text as Go's ``%q`` does."""
    if text.isascii() and text.isprintable() and mark not in text and "\\" not in text:
        return f"{mark}{text}{mark}"
    if not text.isascii():
        text = from_bytes(to_bytes(text))
    return mark + "".join(_quoted(char, mark, ascii_only) for char in text) + mark


def _quoted(char: str, mark: str, ascii_only: bool) -> str:
    if char == mark:
        return f"\\{mark}"
    if char in _ESCAPES:
        return _ESCAPES[char]
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    if char == " " or (char.isprintable() and (code < 0x80 or not ascii_only)):
        return char
    if code < 0x20 or code == 0x7F:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
