"""Go's ``printf``: verbs, flags, widths, argument indexes, and the marks it leaves for what does not fit.

``%!d(string=x)``, ``%!d(MISSING)`` and ``%!(EXTRA int=1)`` are output, not errors, as in Go.
"""

from __future__ import annotations

from dataclasses import replace

from fleet.templating.errors import LimitError
from fleet.templating.printfnumbers import Spec, integer, real
from fleet.templating.printing import (
    format_complex,
    format_value,
    limited,
    quote,
)
from fleet.templating.values import (
    INTEGERS,
    MAX_DEPTH,
    MISSING,
    NILS,
    UNSIGNED,
    GoObject,
    GoValue,
    Meter,
    is_float,
    number,
    to_bytes,
    type_name,
)

_MAX_WIDTH = 1_000_000
_INTEGER_VERBS = "vdboOxXcqU"
_FLOAT_VERBS = "vbgGxXfFeE"


def sprint(values: list[GoValue], meter: Meter) -> str:
    """Print values as ``print``: a space between two that are both no text."""
    parts: list[str] = []
    was_text = True
    for index, value in enumerate(values):
        is_text = type(value) is str
        if index and not is_text and not was_text:
            parts.append(" ")
        parts.append(format_value(value, meter))
        was_text = is_text
    return limited("".join(parts), meter)


def sprintln(values: list[GoValue], meter: Meter) -> str:
    """Print values as ``println``: spaces between all, and a newline."""
    return limited(" ".join(format_value(value, meter) for value in values) + "\n", meter)


def sprintf(layout: str, values: list[GoValue], meter: Meter) -> str:
    """Print values by a layout."""
    return _Printer(layout, values, meter).run()


class _Printer:
    def __init__(self, layout: str, values: list[GoValue], meter: Meter) -> None:
        self._layout = layout
        self._values = values
        self._meter = meter
        self._pos = 0
        self._arg = 0
        self._reordered = False
        self._good_index = True

    def run(self) -> str:
        parts: list[str] = []
        layout = self._layout
        while (start := layout.find("%", self._pos)) >= 0:
            parts.append(layout[self._pos : start])
            self._pos = start + 1
            parts.append(self._directive())
            self._meter.spend(1 + (len(parts[-1]) >> 6))
        parts.append(layout[self._pos :])
        parts.append(self._extra())
        return limited("".join(parts), self._meter)

    def _extra(self) -> str:
        if self._reordered or self._arg >= len(self._values):
            return ""
        shown = (
            "<nil>" if value is None else f"{type_name(value)}={format_value(value, self._meter)}"
            for value in self._values[self._arg :]
        )
        return f"%!(EXTRA {', '.join(shown)})"

    # -- reading a directive

    def _peek(self) -> str:
        return self._layout[self._pos : self._pos + 1]

    def _directive(self) -> str:
        spec = Spec()
        self._good_index = True
        self._flags(spec)
        after_index = self._index()
        problems = self._width(spec, after_index=after_index)
        verb = self._peek()
        if not verb:
            return f"{problems}%!(NOVERB)"
        self._pos += 1
        spec.verb = verb
        if verb == "v":  # there the flags say something else: Go syntax, names of fields
            spec.syntax, spec.sharp, spec.plus = spec.sharp, False, False
        return problems + self._apply(spec)

    def _apply(self, spec: Spec) -> str:
        if spec.verb == "%":
            return "%"
        if not self._good_index:
            return f"%!{spec.verb}(BADINDEX)"
        if self._arg >= len(self._values):
            return f"%!{spec.verb}(MISSING)"
        value = self._values[self._arg]
        self._arg += 1
        return self._format(spec, value)

    def _flags(self, spec: Spec) -> None:
        while (flag := self._peek()) and flag in "+-# 0":
            match flag:
                case "+":
                    spec.plus = True
                case "-":
                    spec.minus = True
                case "#":
                    spec.sharp = True
                case " ":
                    spec.space = True
                case "0":
                    spec.zero = True
            self._pos += 1
        if spec.minus:
            spec.zero = False

    def _width(self, spec: Spec, *, after_index: bool) -> str:
        problems = ""
        if self._peek() == "*":
            self._pos += 1
            spec.width, good = self._star()
            if not good:
                problems += "%!(BADWIDTH)"
            elif spec.width is not None and spec.width < 0:
                spec.width, spec.minus, spec.zero = -spec.width, True, False
            after_index = False
        else:
            spec.width = self._digits()
            if after_index and spec.width is not None:
                self._good_index = False
        if self._peek() == ".":
            self._pos += 1
            problems += self._precision(spec, after_index=after_index)
        elif not after_index:
            self._index()
        return problems

    def _precision(self, spec: Spec, *, after_index: bool) -> str:
        if after_index:
            self._good_index = False
        self._index()
        if self._peek() == "*":
            self._pos += 1
            spec.precision, good = self._star()
            self._index()
            if good and spec.precision is not None and spec.precision < 0:
                spec.precision, good = None, False
            return "" if good else "%!(BADPREC)"
        spec.precision = self._digits() or 0
        self._index()
        return ""

    def _digits(self) -> int | None:
        start = self._pos
        while "0" <= self._peek() <= "9":
            self._pos += 1
        if start == self._pos:
            return None
        return self._bounded(int(self._layout[start : self._pos][:9]))

    def _bounded(self, value: int) -> int:
        if abs(value) > _MAX_WIDTH:
            raise LimitError(f"a width of printf is larger than {_MAX_WIDTH}")
        return value

    def _star(self) -> tuple[int | None, bool]:
        if self._arg >= len(self._values):
            return None, False
        value = self._values[self._arg]
        self._arg += 1
        if type(value) not in INTEGERS and type(value) not in UNSIGNED:
            return None, False
        return self._bounded(int(value)), abs(value) <= _MAX_WIDTH

    def _index(self) -> bool:
        """Read an argument index ``[n]``."""
        if self._peek() != "[":
            return False
        self._reordered = True
        end = self._layout.find("]", self._pos)
        if end < 0:
            self._good_index = False
            self._pos += 1
            return False
        text = self._layout[self._pos + 1 : end]
        self._pos = end + 1
        if text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= len(self._values):
            self._arg = int(text[:9]) - 1
            return True
        self._good_index = False
        return False

    # -- formatting a value

    def _format(self, spec: Spec, value: GoValue, depth: int = 0) -> str:
        text = self._formatted(spec, value, depth)
        if depth:  # the width holds for each item of a list
            self._meter.spend(len(text) >> 6)
        return text

    def _formatted(self, spec: Spec, value: GoValue, depth: int) -> str:
        if spec.verb == "T" and not depth:
            return _text("<nil>" if value is None else type_name(value), spec)
        if value is None or value is MISSING:
            return _nil(spec, depth)
        if isinstance(value, (list, dict)):
            return self._container(spec, value, depth)
        kind = type(value)
        if kind is str:
            return self._string(spec, value)
        if kind is bool:
            return (
                spec.pad(format_value(value, self._meter))
                if spec.verb in "tv"
                else self._bad(spec, value)
            )
        if kind in INTEGERS or kind in UNSIGNED:
            return self._integer(spec, value)
        if is_float(value):
            return self._float(spec, number(value))
        if kind is complex:
            return (
                spec.pad(format_complex(value)) if spec.verb in "vgefF" else self._bad(spec, value)
            )
        return self._object(spec, value)

    def _bad(self, spec: Spec, value: GoValue) -> str:
        shown = self._format(replace(spec, verb="v"), value)
        return f"%!{spec.verb}({type_name(value)}={shown})"

    def _object(self, spec: Spec, value: GoObject) -> str:
        return _text(value.text(), spec) if spec.verb in "vsxXq" else self._bad(spec, value)

    def _container(self, spec: Spec, value: GoValue, depth: int) -> str:
        if depth > MAX_DEPTH:
            raise LimitError(f"a value is nested deeper than {MAX_DEPTH} levels")
        self._meter.spend(1 + len(value))
        syntax = spec.syntax
        if syntax and type(value) in NILS:
            return f"{type_name(value)}(nil)"
        separator = ", " if syntax else " "
        if isinstance(value, dict):
            items = [
                f"{self._format(spec, key, depth + 1)}:{self._format(spec, value[key], depth + 1)}"
                for key in sorted(value)
            ]
            opening, closing = (f"{type_name(value)}{{", "}") if syntax else ("map[", "]")
        else:
            items = [self._format(spec, item, depth + 1) for item in value]
            opening, closing = (f"{type_name(value)}{{", "}") if syntax else ("[", "]")
        return limited(f"{opening}{separator.join(items)}{closing}", self._meter)

    def _string(self, spec: Spec, value: str) -> str:
        if spec.syntax:
            return spec.pad(quote(value))
        if spec.verb in "vsxXq":
            if spec.verb in "xXq":
                self._meter.spend_on(value)
            return _text(value, spec)
        return self._bad(spec, value)

    def _integer(self, spec: Spec, value: int) -> str:
        if spec.verb not in _INTEGER_VERBS:
            return self._bad(spec, value)
        if spec.verb == "c":
            return spec.pad(_character(value))
        if spec.verb == "q":
            return spec.pad(quote(_character(value), "'", ascii_only=spec.plus))
        if spec.verb == "U":
            shown = f" '{_character(value)}'" if spec.sharp else ""
            return spec.pad(f"U+{value:0{max(spec.precision or 0, 4)}X}{shown}")
        return integer(value, spec, is_unsigned=type(value) in UNSIGNED)

    def _float(self, spec: Spec, value: float) -> str:
        return real(value, spec) if spec.verb in _FLOAT_VERBS else self._bad(spec, value)


def _nil(spec: Spec, depth: int) -> str:
    if depth:
        return "interface {}(nil)" if spec.syntax else "<nil>"
    return spec.pad("<nil>") if spec.verb == "v" else f"%!{spec.verb}(<nil>)"


def _character(value: int) -> str:
    valid = 0 <= value <= 0x10FFFF and not 0xD800 <= value <= 0xDFFF
    return chr(value) if valid else "�"


def _text(value: str, spec: Spec) -> str:
    if spec.verb in "xX":
        return spec.pad(_hexadecimal(value, spec))
    if spec.precision is not None:
        value = value[: spec.precision]
    if spec.verb == "q":
        if spec.sharp and "`" not in value and all(c == "\t" or c.isprintable() for c in value):
            return spec.pad(f"`{value}`")
        return spec.pad(quote(value, ascii_only=spec.plus))
    return spec.pad(value)


def _hexadecimal(value: str, spec: Spec) -> str:
    raw = to_bytes(value)[: spec.precision]
    digits = [f"{byte:02x}" for byte in raw]
    if not digits:
        return ""
    prefix = "0x" if spec.sharp else ""
    text = f" {prefix}".join(digits) if spec.space else "".join(digits)
    text = prefix + text
    return text.upper() if spec.verb == "X" else text
