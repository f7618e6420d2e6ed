"""The functions of text/template itself: comparison, index, len, print, escaping.

``and`` and ``or`` are in the table for their arity; the evaluator runs them, because they stop early. Sprig replaces
``slice``.
"""

from __future__ import annotations

from urllib.parse import quote_plus

from fleet.templating import printf
from fleet.templating.errors import GoError
from fleet.templating.functions import Table
from fleet.templating.printing import NO_VALUE
from fleet.templating.values import (
    INTEGERS,
    NILS,
    UNSIGNED,
    GoObject,
    GoValue,
    Meter,
    StringMap,
    Uint8,
    is_float,
    is_raw_byte,
    is_true,
    kind_name,
    length,
    number,
    to_bytes,
    type_name,
)

BUILTIN = Table()


def _never(*_values: GoValue) -> GoValue:
    raise AssertionError("and/or are run by the evaluator")


BUILTIN.add("and or", "any any... -> any", _never)
BUILTIN.add("not", "any -> bool", lambda value: not is_true(value))


@BUILTIN.define("len", "any -> int")
def _len(value: GoValue) -> GoValue:
    if value is None:
        raise GoError("len of nil pointer")
    if type(value) is str:
        return length(value)
    if isinstance(value, (list, dict)):
        return len(value)
    raise GoError(f"len of type {type_name(value)}")


@BUILTIN.define("index", "any any... -> any")
def _index(item: GoValue, *indexes: GoValue) -> GoValue:
    if item is None:
        raise GoError("index of untyped nil")
    for index in indexes:
        if item is None:
            raise GoError("index of nil pointer")
        if isinstance(item, dict):
            item = _entry(item, index)
        elif isinstance(item, list):
            item = item[_position(index, len(item) - 1)]
        elif type(item) is str:
            raw = to_bytes(item)
            item = Uint8(raw[_position(index, len(raw) - 1)])
        else:
            raise GoError(f"can't index item of type {type_name(item)}")
    return item


def _entry(item: dict[str, GoValue], index: GoValue) -> GoValue:
    if index is None:
        raise GoError("value is nil; should be of type string")
    if type(index) is not str:
        raise GoError(f"value has type {type_name(index)}; should be string")
    return item.get(index, "" if isinstance(item, StringMap) else None)


def _position(index: GoValue, last: int) -> int:
    if index is None:
        raise GoError("cannot index slice/array with nil")
    if type(index) not in INTEGERS and type(index) not in UNSIGNED:
        raise GoError(f"cannot index slice/array with type {type_name(index)}")
    if index == last + 1:
        raise GoError("reflect: slice index out of range")
    if not 0 <= index <= last:
        raise GoError(f"index out of range: {int(index)}")
    return int(index)


@BUILTIN.define("call", "any any... -> any")
def _call(value: GoValue, *_values: GoValue) -> GoValue:
    if value is None:
        raise GoError("call of nil")
    raise GoError(f"non-function of type {type_name(value)}")


# -- printing


@BUILTIN.define("print", "any... -> string", meter=True)
def _print(meter: Meter, *values: GoValue) -> GoValue:
    return printf.sprint(list(values), meter)


@BUILTIN.define("println", "any... -> string", meter=True)
def _println(meter: Meter, *values: GoValue) -> GoValue:
    return printf.sprintln(list(values), meter)


@BUILTIN.define("printf", "string any... -> string", meter=True)
def _printf(meter: Meter, layout: str, *values: GoValue) -> GoValue:
    return printf.sprintf(layout, list(values), meter)


def _joined(meter: Meter, values: tuple[GoValue, ...]) -> str:
    if len(values) == 1 and type(values[0]) is str:
        return values[0]
    return printf.sprint([NO_VALUE if value is None else value for value in values], meter)


_HTML = str.maketrans(
    {"\0": "�", '"': "&#34;", "'": "&#39;", "&": "&amp;", "<": "&lt;", ">": "&gt;"}
)
_JS = {
    "\\": "\\\\",
    "'": "\\'",
    '"': '\\"',
    "<": "\\u003C",
    ">": "\\u003E",
    "&": "\\u0026",
    "=": "\\u003D",
}


@BUILTIN.define("html", "any... -> string", meter=True)
def _html(meter: Meter, *values: GoValue) -> GoValue:
    return _joined(meter, values).translate(_HTML)


@BUILTIN.define("js", "any... -> string", meter=True)
def _js(meter: Meter, *values: GoValue) -> GoValue:
    text = _joined(meter, values)
    meter.spend_on(text)
    return "".join(map(_js_character, text))


def _js_character(char: str) -> str:
    if char in _JS:
        return _JS[char]
    if char.isprintable() or is_raw_byte(char):
        return char
    return f"\\u{ord(char):04X}"


@BUILTIN.define("urlquery", "any... -> string", meter=True)
def _urlquery(meter: Meter, *values: GoValue) -> GoValue:
    text = _joined(meter, values)
    meter.spend_on(text)
    return quote_plus(to_bytes(text), safe="")


# -- comparison

_BOOL, _INT, _UINT, _FLOAT, _STRING, _COMPLEX, _OTHER = range(7)


def _basic(value: GoValue) -> int:
    kind = type(value)
    if kind is str:
        return _STRING
    if kind is bool:
        return _BOOL
    if kind in INTEGERS:
        return _INT
    if kind in UNSIGNED:
        return _UINT
    if is_float(value):
        return _FLOAT
    return _COMPLEX if kind is complex else _OTHER


_WHOLE = (_INT, _UINT)


@BUILTIN.define("eq", "any any... -> bool")
def _eq(left: GoValue, *others: GoValue) -> GoValue:
    if not others:
        raise GoError("missing argument for comparison")
    return any(_equal(left, right) for right in others)


def _equal(left: GoValue, right: GoValue) -> bool:
    first, second = _basic(left), _basic(right)
    if first != second and not (first in _WHOLE and second in _WHOLE):
        if left is not None and right is not None:
            raise GoError(
                f"incompatible types for comparison: {type_name(left)} and {type_name(right)}"
            )
        return False
    if first is _FLOAT:
        return number(left) == number(right)
    if first is not _OTHER:
        return bool(left == right)
    return _equal_other(left, right)


def _equal_other(left: GoValue, right: GoValue) -> bool:
    if left is None or right is None:
        return _is_nil(left) and _is_nil(right)
    if kind_name(left) != kind_name(right):
        raise GoError(f"non-comparable types {type_name(left)} and {type_name(right)}")
    if _is_nil(left) or _is_nil(right):
        return _is_nil(left) == _is_nil(right)
    if isinstance(left, GoObject):
        return bool(left == right)
    raise GoError(f"non-comparable type {type_name(right)}")


def _is_nil(value: GoValue) -> bool:
    return type(value) in NILS


@BUILTIN.define("ne", "any any -> bool")
def _ne(left: GoValue, right: GoValue) -> GoValue:
    return not _equal(left, right)


def _less(left: GoValue, right: GoValue) -> bool:
    first, second = _basic(left), _basic(right)
    if _OTHER in (first, second):
        raise GoError("invalid type for comparison")
    if first != second and not (first in _WHOLE and second in _WHOLE):
        raise GoError(
            f"incompatible types for comparison: {type_name(left)} and {type_name(right)}"
        )
    if first in (_BOOL, _COMPLEX):
        raise GoError("invalid type for comparison")
    if first is _FLOAT:
        return number(left) < number(right)
    if first is _STRING:
        return to_bytes(left) < to_bytes(right)
    return bool(left < right)


@BUILTIN.define("lt", "any any -> bool")
def _lt(left: GoValue, right: GoValue) -> GoValue:
    return _less(left, right)


@BUILTIN.define("le", "any any -> bool")
def _le(left: GoValue, right: GoValue) -> GoValue:
    return _less(left, right) or _equal(left, right)


@BUILTIN.define("gt", "any any -> bool")
def _gt(left: GoValue, right: GoValue) -> GoValue:
    return not _le(left, right)


@BUILTIN.define("ge", "any any -> bool")
def _ge(left: GoValue, right: GoValue) -> GoValue:
    return not _less(left, right)
