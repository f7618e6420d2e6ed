"""Go's values as Python objects, and what Go does with them.

Parameters come from JSON, where Go knows one number type, float64. So a plain ``int`` or ``float`` *is* a Go float64,
and the other numeric types are the subclasses of ``int`` below: literals of a template and results of functions.
Texts are Go strings, that is bytes: lengths and offsets count UTF-8 bytes, and bytes that are no UTF-8 are
kept as lone surrogates (``surrogateescape``) until the end of rendering. ``None`` is a nil that exists (a JSON
null), ``MISSING`` the value of a key that does not exist; most functions see both as nil.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, TypeAlias

from fleet.codec.jsontypes import JsonValue
from fleet.templating.errors import GoError, LimitError

if TYPE_CHECKING:
    from fleet.templating.functions import Function

GoValue: TypeAlias = JsonValue
"""A value of a template: JSON, or one of the types below."""

MAX_DEPTH = 60
"""How deep lists and maps may be inside each other before printing, comparing or copying them is refused."""

MAX_TEXT = 1 << 20
"""The longest text that a template may make, in characters; also the limit of its output."""

MAX_STEPS = 500_000
"""What one rendering may spend: about one step per call, iteration, list item, and 64 characters."""


class _Missing:
    """The type of MISSING."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = _Missing()


class Int(int):
    """Go's int: integer literals, lengths, indexes."""

    __slots__ = ()


class Int64(int):
    """Go's int64: results of arithmetic functions."""

    __slots__ = ()


class Uint8(int):
    """Go's uint8: a byte of a text."""

    __slots__ = ()


class Uint64(int):
    """Go's uint64: parts of a version."""

    __slots__ = ()


class StringList(list[str]):
    """Go's []string."""


class NilList(list[JsonValue]):
    """A []interface {} that was never made: reads as empty, and is null in JSON."""


class NilStringList(StringList):
    """A []string that was never made: reads as empty, and is null in JSON."""


class IntList(list[int]):
    """Go's []int."""


class ListList(list[list[JsonValue]]):
    """Go's [][]interface {}."""


class StringMap(dict[str, str]):
    """Go's map[string]string."""


class NilMap(dict[str, JsonValue]):
    """A map that was never made: reads as empty, refuses to be written."""


class GoObject:
    """A value with methods: a time, a version."""

    go_type = "struct"
    kind = "struct"
    methods: Mapping[str, Function] = {}

    def text(self) -> str:
        """Return how it is printed."""
        raise NotImplementedError

    def json(self) -> str:
        """Return the text that stands for it in JSON."""
        return self.text()


class Meter:
    """Counts what a rendering spends, and stops it when that is too much."""

    __slots__ = ("left",)

    def __init__(self, steps: int = MAX_STEPS) -> None:
        self.left = steps

    def spend(self, steps: int) -> None:
        """Take steps off the account; raises LimitError when it is empty."""
        self.left -= steps
        if self.left < 0:
            raise LimitError("the template takes too many steps")

    def spend_on(self, text: str) -> None:
        """Pay for looking at each character of a text, which Python does slowly."""
        self.spend(len(text) >> 2)


_TYPES: dict[type, tuple[str, str]] = {
    _Missing: ("<nil>", "invalid"),
    type(None): ("<nil>", "invalid"),
    bool: ("bool", "bool"),
    str: ("string", "string"),
    int: ("float64", "float64"),
    float: ("float64", "float64"),
    complex: ("complex128", "complex128"),
    Int: ("int", "int"),
    Int64: ("int64", "int64"),
    Uint8: ("uint8", "uint8"),
    Uint64: ("uint64", "uint64"),
    list: ("[]interface {}", "slice"),
    NilList: ("[]interface {}", "slice"),
    StringList: ("[]string", "slice"),
    NilStringList: ("[]string", "slice"),
    IntList: ("[]int", "slice"),
    ListList: ("[][]interface {}", "slice"),
    dict: ("map[string]interface {}", "map"),
    NilMap: ("map[string]interface {}", "map"),
    StringMap: ("map[string]string", "map"),
}
NILS: Final = frozenset({type(None), _Missing, NilMap, NilList, NilStringList})
INTEGERS: Final = frozenset({Int, Int64})
UNSIGNED: Final = frozenset({Uint8, Uint64})


def type_name(value: GoValue) -> str:
    """Return Go's name of the type, ``map[string]interface {}``."""
    known = _TYPES.get(type(value))
    if known:
        return known[0]
    if isinstance(value, GoObject):
        return value.go_type
    raise GoError(f"a parameter has the type {type(value).__name__}, which is not JSON")


def kind_name(value: GoValue) -> str:
    """Return Go's name of the kind, ``map``."""
    known = _TYPES.get(type(value))
    if known:
        return known[1]
    if isinstance(value, GoObject):
        return value.kind
    raise GoError(f"a parameter has the type {type(value).__name__}, which is not JSON")


def is_true(value: GoValue) -> bool:
    """Tell whether ``if`` takes the value for true: it is not the zero of its type."""
    return isinstance(value, GoObject) or (value is not MISSING and bool(value))


def is_list(value: GoValue) -> bool:
    """Tell whether the value is a Go slice."""
    return isinstance(value, list)


def number(value: GoValue) -> float:
    """Return a float64; an integer that is too large for one becomes infinite."""
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")


def is_float(value: GoValue) -> bool:
    """Tell whether the value is a Go float64."""
    return type(value) is float or type(value) is int


def wrap64(value: int) -> Int64:
    """Return an int64, which overflows as Go's does."""
    return Int64(((value + (1 << 63)) & ((1 << 64) - 1)) - (1 << 63))


def wrap_int(value: int) -> Int:
    """Return an int, which overflows as Go's does."""
    return Int(((value + (1 << 63)) & ((1 << 64) - 1)) - (1 << 63))


def is_raw_byte(char: str) -> bool:
    """Tell whether a character stands for a byte that is no UTF-8."""
    return "\udc80" <= char <= "\udcff"


def to_bytes(text: str) -> bytes:
    """Return the bytes of a Go string."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        try:
            return text.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError:
            half = "".join("�" if "\ud800" <= char <= "\udfff" else char for char in text)
            return half.encode()


def from_bytes(raw: bytes) -> str:
    """Return the Go string that these bytes make."""
    return raw.decode("utf-8", "surrogateescape")


def clean(text: str) -> str:
    """Return the text with every byte that is no UTF-8 replaced, as JSON needs it."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        joined = from_bytes(to_bytes(text))
        return "".join("�" if "\ud800" <= char <= "\udfff" else char for char in joined)
    return text


def length(text: str) -> int:
    """Return the number of bytes of a Go string."""
    return len(text) if text.isascii() else len(to_bytes(text))


def cut(text: str, start: int, end: int) -> str:
    """Return the bytes from start to end of a Go string; raises GoError when they are out of range."""
    size = length(text)
    if end < 0 or end > size:
        raise GoError(
            f"runtime error: slice bounds out of range [:{end}]"
            + (f" with length {size}" if end >= 0 else "")
        )
    if start < 0 or start > end:
        raise GoError(
            f"runtime error: slice bounds out of range [{start}:{end if start >= 0 else ''}]"
        )
    return text[start:end] if text.isascii() else from_bytes(to_bytes(text)[start:end])


def copy(value: GoValue, meter: Meter, depth: int = 0) -> GoValue:
    """Return a deep copy of lists and maps."""
    if isinstance(value, (dict, list)):
        _check_depth(depth)
        meter.spend(len(value))
        if isinstance(value, dict):
            return type(value)((key, copy(item, meter, depth + 1)) for key, item in value.items())
        return type(value)(copy(item, meter, depth + 1) for item in value)
    return value


def deep_equal(left: GoValue, right: GoValue, meter: Meter, depth: int = 0) -> bool:
    """Tell whether two values have the same type and content, as reflect.DeepEqual does."""
    meter.spend(1)
    if is_float(left) and is_float(right):
        return number(left) == number(right)
    if type(left) is not type(right):
        return False
    if isinstance(left, (dict, list)):
        _check_depth(depth)
        if len(left) != len(right):
            return False
        if isinstance(left, dict):
            return all(
                key in right and deep_equal(item, right[key], meter, depth + 1)
                for key, item in left.items()
            )
        return all(deep_equal(*pair, meter, depth + 1) for pair in zip(left, right, strict=True))
    return bool(left == right)


def _check_depth(depth: int) -> None:
    if depth > MAX_DEPTH:
        raise LimitError(f"a value is nested deeper than {MAX_DEPTH} levels")
