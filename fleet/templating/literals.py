"""Go's literals: quoted texts, characters, numbers.

Texts are Go strings, that is bytes: what is not UTF-8 becomes lone surrogates (``surrogateescape``), see ``values``.
"""

from __future__ import annotations

import re

from fleet.templating.nodes import Number
from fleet.templating.values import from_bytes, to_bytes

_ESCAPE = re.compile(
    r"\\(?:[abfnrtv\\'\"]|[0-7]{3}|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|.|$)",
    re.DOTALL,
)
_SIMPLE = {"a": 7, "b": 8, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11, "\\": 92, "'": 39, '"': 34}
_OCTAL = re.compile(r"[+-]?0[0-7_]+")
_UNDERSCORES = re.compile(r"[+-]?(?:0[xXbBoO]_?)?[0-9a-fA-F]+(?:_[0-9a-fA-F]+)*")
_FLOAT = re.compile(
    r"[+-]?(?:[0-9]+(?:_[0-9]+)*\.?(?:[0-9]+(?:_[0-9]+)*)?|\.[0-9]+(?:_[0-9]+)*)(?:[eE][+-]?[0-9]+)?"
)
_HEX_FLOAT = re.compile(
    r"[+-]?0[xX](?=[0-9a-fA-F.])[0-9a-fA-F_]*(?:\.[0-9a-fA-F_]*)?[pP][+-]?[0-9]+"
)
_COMPLEX = re.compile(r"([+-]?[^+-]*(?:[eEpP][+-]?\d+)?)([+-].*)i")
_INT64 = 1 << 63


class LiteralError(ValueError):
    """Not a literal of Go."""


def unquote(text: str) -> str:
    """Return what a double-quoted or raw (back-quoted) literal stands for."""
    body = text[1:-1]
    if text[0] == "`":
        return body.replace("\r", "")
    return _unescape(body, "'") if "\\" in body else body


def _unescape(body: str, foreign_quote: str) -> str:
    raw = b"".join(_pieces(body, foreign_quote))
    return from_bytes(raw)


def _pieces(body: str, foreign_quote: str) -> list[bytes]:
    pieces = []
    end = 0
    for match in _ESCAPE.finditer(body):
        pieces.append(to_bytes(body[end : match.start()]))
        pieces.append(_escape(match.group()[1:], foreign_quote))
        end = match.end()
    pieces.append(to_bytes(body[end:]))
    return pieces


def _escape(code: str, foreign_quote: str) -> bytes:
    if code == foreign_quote or not code:
        raise LiteralError("invalid syntax")
    if code in _SIMPLE:
        return bytes([_SIMPLE[code]])
    if code[0] in "01234567" and len(code) == 3:
        value = int(code, 8)
        if value > 255:
            raise LiteralError("invalid syntax")
        return bytes([value])
    if code[0] == "x" and len(code) == 3:
        return bytes([int(code[1:], 16)])
    if code[0] in "uU" and len(code) in (5, 9):
        value = int(code[1:], 16)
        if value > 0x10FFFF or 0xD800 <= value <= 0xDFFF:
            raise LiteralError("invalid syntax")
        return chr(value).encode()
    raise LiteralError("invalid syntax")


def number(pos: int, text: str) -> Number:
    """Read a number, or an imaginary number; raises LiteralError with Go's words."""
    if text.endswith("i"):
        imaginary = _float(text[:-1])
        if imaginary is not None:
            return _complex(pos, text, complex(0, imaginary))
    value = _integer(text)
    if value is not None and -_INT64 <= value < 2 * _INT64:
        signed = value if value < _INT64 else None
        unsigned = value if value == 0 or (value > 0 and text[0] not in "+-") else None
        if signed is not None or unsigned is not None:
            return Number(pos, text, signed, unsigned, float(value))
    real = _float(text)
    if real is None:
        raise LiteralError(f'illegal number syntax: "{text}"')
    if not set(text) & set(".eEpP"):
        raise LiteralError(f'integer overflow: "{text}"')
    return _real(pos, text, real)


def complex_number(pos: int, text: str) -> Number:
    """Read ``1+2i``."""
    match = _COMPLEX.fullmatch(text)
    parts = [_float(part) for part in match.groups()] if match else []
    if len(parts) != 2 or parts[0] is None or parts[1] is None:
        raise LiteralError("syntax error scanning complex number")
    return _complex(pos, text, complex(parts[0], parts[1]))


def character(pos: int, text: str) -> Number:
    """Read ``'x'``: an integer."""
    body = text[1:-1]
    if body.startswith("\\"):
        match = _ESCAPE.match(body)
        if not match or match.end() != len(body):
            raise LiteralError(f"malformed character constant: {text}")
        value = _character_escape(match.group()[1:])
    elif len(body) == 1:
        value = ord(body)
    else:
        raise LiteralError(f"malformed character constant: {text}" if body else "invalid syntax")
    return Number(pos, text, value, value, float(value))


def _character_escape(code: str) -> int:
    raw = _escape(code, '"')
    if code[0] in "uU":
        return ord(raw.decode())
    return raw[0]


def _integer(text: str) -> int | None:
    if not _UNDERSCORES.fullmatch(text):
        return None
    try:
        if _OCTAL.fullmatch(text):
            return int(text, 8)
        return int(text, 0)
    except ValueError:
        return None


def _float(text: str) -> float | None:
    try:
        if _HEX_FLOAT.fullmatch(text):
            return float.fromhex(text.replace("_", ""))
        if _FLOAT.fullmatch(text):
            value = float(text)
            return None if value in (float("inf"), float("-inf")) else value
    except (ValueError, OverflowError):
        return None
    return None


def _real(pos: int, text: str, value: float) -> Number:
    whole = int(value) if value.is_integer() else None
    signed = whole if whole is not None and -_INT64 <= whole < _INT64 else None
    unsigned = whole if whole is not None and 0 <= whole < 2 * _INT64 else None
    return Number(pos, text, signed, unsigned, value)


def _complex(pos: int, text: str, value: complex) -> Number:
    if value.imag:
        return Number(pos, text, None, None, None, value)
    plain = _real(pos, text, value.real)
    return Number(pos, text, plain.integer, plain.unsigned, plain.real, value)


_NO_NUMBER = re.compile(r"[+-]?(?:inf|infinity)|nan", re.IGNORECASE)
_DIGITS = {
    8: re.compile(r"[+-]?[0-7]+"),
    10: re.compile(r"[+-]?[0-9]+"),
}
_LONGEST_NUMBER = 1000


def parse_int(text: str, base: int, *, clamp: bool = False) -> int | None:
    """Read an int64 as strconv.ParseInt: base 0 looks at the prefix; out of range is None, or the limit."""
    if len(text) > _LONGEST_NUMBER:
        return None
    value = _integer(text) if not base else None
    if base and _DIGITS[base].fullmatch(text):
        value = int(text, base)
    if value is None or -_INT64 <= value < _INT64:
        return value
    return max(-_INT64, min(value, _INT64 - 1)) if clamp else None


def parse_float(text: str) -> float | None:
    """Read a float64 as strconv.ParseFloat; out of range is None."""
    if len(text) > _LONGEST_NUMBER:
        return None
    return float(text) if _NO_NUMBER.fullmatch(text) else _float(text)
