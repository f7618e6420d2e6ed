"""Sprig's functions on texts."""

from __future__ import annotations

from collections.abc import Callable

from fleet.templating import text as go
from fleet.templating import words
from fleet.templating.errors import GoError, LimitError
from fleet.templating.functions import Table
from fleet.templating.printing import format_value, limited, quote
from fleet.templating.values import (
    MAX_TEXT,
    GoValue,
    Meter,
    StringList,
    StringMap,
    cut,
    from_bytes,
    length,
    to_bytes,
)

STRINGS = Table()


def string_of(value: GoValue, meter: Meter) -> str:
    """Return a value as text, as sprig's ``toString``."""
    return value if type(value) is str else format_value(value, meter)


def strings_of(value: GoValue, meter: Meter) -> list[str]:
    """Return the items of a list as texts, nil items left out; another value becomes the only item."""
    if isinstance(value, list):
        meter.spend(len(value))
        return [string_of(item, meter) for item in value if item is not None]
    return [] if value is None else [string_of(value, meter)]


def _sized(pieces: int, size: int) -> None:
    """Refuse a text that would become too long, before it is made."""
    if pieces * size > MAX_TEXT:
        raise LimitError(f"a text is longer than {MAX_TEXT} characters")


# -- case and blanks

STRINGS.add("trim", "string -> string", lambda text: text.strip(go.SPACES))


def _add_case(name: str, body: Callable[[str], str]) -> None:
    def charged(meter: Meter, text: str) -> GoValue:
        if not text.isascii():
            meter.spend_on(text)
        return body(text)

    STRINGS.add(name, "string -> string", charged, meter=True)


_add_case("upper", go.upper)
_add_case("lower", go.lower)


def _add_slow(name: str, body: Callable[[str], str]) -> None:
    """Add a function that looks at each character, and let each cost a step."""

    def charged(meter: Meter, text: str) -> GoValue:
        meter.spend(len(text))
        return body(text)

    STRINGS.add(name, "string -> string", charged, meter=True)


_add_slow("snakecase", words.snake_case)
_add_slow("kebabcase", words.kebab_case)
_add_slow("camelcase", words.pascal_case)


def _title(text: str) -> str:
    before = " "
    out = []
    for char in text:
        out.append(go.to_title(char) if _separates(before) else char)
        before = char
    return "".join(out)


def _separates(char: str) -> bool:
    if char.isascii():
        return not (char.isalnum() or char == "_")
    return go.is_space(char)


def _untitle(text: str) -> str:
    after_gap = True
    out = []
    for char in text:
        gap = go.is_space(char)
        out.append(go.to_lower(char) if after_gap and not gap else char)
        after_gap = gap
    return "".join(out)


def _swapcase(text: str) -> str:
    after_gap = True
    out = []
    for char in text:
        if go.is_upper(char) or go.is_title(char):
            out.append(go.to_lower(char))
            after_gap = False
        elif go.is_lower(char):
            out.append(go.to_title(char) if after_gap else go.to_upper(char))
            after_gap = False
        else:
            out.append(char)
            after_gap = go.is_space(char)
    return "".join(out)


def _nospace(text: str) -> str:
    # The original works on bytes and writes each as a character: odd beyond ASCII, and kept.
    single = to_bytes(text).decode("latin-1")
    kept = "".join(char for char in single if not go.is_space(char))
    return text if len(kept) == len(single) else kept


def _initials(text: str) -> str:
    single = to_bytes(text).decode("latin-1")
    pairs = zip(" " + single, single, strict=False)
    return "".join(char for before, char in pairs if go.is_space(before) and not go.is_space(char))


_add_slow("title", _title)
_add_slow("untitle", _untitle)
_add_slow("swapcase", _swapcase)
_add_slow("nospace", _nospace)
_add_slow("initials", _initials)


# -- parts

_FEW = 64


@STRINGS.define("trunc", "int string -> string")
def _trunc(count: int, text: str) -> GoValue:
    size = length(text)
    if count < 0 and size + count > 0:
        return cut(text, size + count, size)
    return cut(text, 0, count) if 0 <= count < size else text


@STRINGS.define("substr", "int int string -> string")
def _substr(start: int, end: int, text: str) -> GoValue:
    if start < 0:
        return cut(text, 0, end)
    size = length(text)
    return cut(text, start, size if end < 0 or end > size else end)


@STRINGS.define("trimAll trimall", "string string -> string", meter=True)
def _trim_all(meter: Meter, chars: str, text: str) -> GoValue:
    if len(chars) > _FEW:  # Python looks through all of them for each character
        chars = "".join(set(chars))
        meter.spend(len(chars) + (len(chars) * len(text) >> 10))
    return text.strip(chars) if chars else text


STRINGS.add("trimSuffix", "string string -> string", lambda part, text: text.removesuffix(part))
STRINGS.add("trimPrefix", "string string -> string", lambda part, text: text.removeprefix(part))
STRINGS.add("contains", "string string -> bool", lambda part, text: part in text)
STRINGS.add("hasPrefix", "string string -> bool", lambda part, text: text.startswith(part))
STRINGS.add("hasSuffix", "string string -> bool", lambda part, text: text.endswith(part))


@STRINGS.define("abbrev", "int string -> string")
def _abbrev(width: int, text: str) -> GoValue:
    return text if width < 4 else _abbreviate(text, 0, width)


@STRINGS.define("abbrevboth", "int int string -> string")
def _abbrevboth(left: int, right: int, text: str) -> GoValue:
    if right < 4 or (left > 0 and right < 7):
        return text
    return _abbreviate(text, left, right)


def _abbreviate(text: str, offset: int, width: int) -> str:
    if not text or width < 4:
        return ""
    size = length(text)
    if size <= width:
        return text
    offset = min(offset, size)
    if size - offset < width - 3:
        offset = size - (width - 3)
    if offset <= 4:
        return cut(text, 0, width - 3) + "..."
    if width < 7:
        return ""
    if offset + width - 3 < size:
        return "..." + _abbreviate(cut(text, offset, size), 0, width - 3)
    return "..." + cut(text, size - (width - 3), size)


# -- composition


@STRINGS.define("repeat", "int string -> string")
def _repeat(count: int, text: str) -> GoValue:
    if count < 0:
        raise GoError("strings: negative Repeat count")
    _sized(count, len(text))
    return text * count


@STRINGS.define("replace", "string string string -> string")
def _replace(old: str, new: str, text: str) -> GoValue:
    if len(new) > len(old):
        _sized(text.count(old), len(new) - len(old))
    return text.replace(old, new)


@STRINGS.define("indent", "int string -> string")
def _indent(spaces: int, text: str) -> str:
    if spaces < 0:
        raise GoError("strings: negative Repeat count")
    _sized(text.count("\n") + 1, spaces)
    pad = " " * spaces
    return pad + text.replace("\n", f"\n{pad}")


STRINGS.add("nindent", "int string -> string", lambda spaces, text: "\n" + _indent(spaces, text))
STRINGS.add(
    "plural", "string string int -> string", lambda one, many, count: one if count == 1 else many
)


@STRINGS.define("quote", "any... -> string", meter=True)
def _quote(meter: Meter, *values: GoValue) -> GoValue:
    return " ".join(_quoted(value, meter) for value in values if value is not None)


def _quoted(value: GoValue, meter: Meter) -> str:
    text = string_of(value, meter)
    if not (text.isascii() and text.isprintable()):
        meter.spend_on(text)
    return quote(text)


@STRINGS.define("squote", "any... -> string", meter=True)
def _squote(meter: Meter, *values: GoValue) -> GoValue:
    return " ".join(f"'{format_value(value, meter)}'" for value in values if value is not None)


@STRINGS.define("cat", "any... -> string", meter=True)
def _cat(meter: Meter, *values: GoValue) -> GoValue:
    return " ".join(format_value(value, meter) for value in values if value is not None)


@STRINGS.define("toString", "any -> string", meter=True)
def _to_string(meter: Meter, value: GoValue) -> GoValue:
    return string_of(value, meter)


@STRINGS.define("toStrings", "any -> strings", meter=True)
def _to_strings(meter: Meter, value: GoValue) -> GoValue:
    return value if type(value) is StringList else strings_of(value, meter)


@STRINGS.define("join", "string any -> string", meter=True)
def _join(meter: Meter, separator: str, value: GoValue) -> GoValue:
    items = strings_of(value, meter)
    _sized(len(items), len(separator))
    meter.spend(len(items))
    if sum(map(len, items)) > MAX_TEXT:
        raise LimitError(f"a text is longer than {MAX_TEXT} characters")
    return limited(separator.join(items), meter)


@STRINGS.define("sortAlpha", "any -> strings", meter=True)
def _sort_alpha(meter: Meter, value: GoValue) -> GoValue:
    items = strings_of(value, meter) if isinstance(value, list) else [format_value(value, meter)]
    meter.spend(len(items) + (sum(map(len, items)) >> 6))  # one long text may be there often
    return sorted(items, key=to_bytes)


# -- splitting


def _pieces(text: str, separator: str, limit: int, meter: Meter) -> list[str]:
    """Split as strings.SplitN: at most ``limit`` pieces, all of them if it is negative."""
    if limit == 0:
        return []
    if separator:
        meter.spend(text.count(separator))
        return text.split(separator, limit - 1 if limit > 0 else -1)
    meter.spend(len(text))
    characters = list(text)
    if 0 < limit < len(characters):
        return [*characters[: limit - 1], "".join(characters[limit - 1 :])]
    return characters


def _numbered(pieces: list[str]) -> StringMap:
    return StringMap((f"_{index}", piece) for index, piece in enumerate(pieces))


@STRINGS.define("splitList", "string string -> strings", meter=True)
def _split_list(meter: Meter, separator: str, text: str) -> GoValue:
    return _pieces(text, separator, -1, meter)


@STRINGS.define("split", "string string -> any", meter=True)
def _split(meter: Meter, separator: str, text: str) -> GoValue:
    return _numbered(_pieces(text, separator, -1, meter))


@STRINGS.define("splitn", "string int string -> any", meter=True)
def _splitn(meter: Meter, separator: str, limit: int, text: str) -> GoValue:
    return _numbered(_pieces(text, separator, limit, meter))


# -- wrapping


@STRINGS.define("wrap", "int string -> string")
def _wrap(width: int, text: str) -> GoValue:
    return _wrapped(text, width, "\n", break_words=False)


@STRINGS.define("wrapWith", "int string string -> string")
def _wrap_with(width: int, separator: str, text: str) -> GoValue:
    return _wrapped(text, width, separator or "\n", break_words=True)


def _wrapped(text: str, width: int, separator: str, *, break_words: bool) -> str:
    raw, newline = to_bytes(text), to_bytes(separator)
    width = max(width, 1)
    _sized(len(raw) // width + 1, len(newline))
    out = []
    offset = 0
    while len(raw) - offset > width:
        if raw[offset : offset + 1] == b" ":
            offset += 1
            continue
        space = raw.rfind(b" ", offset, offset + width + 1)
        if space < 0 and break_words:
            out.append(raw[offset : offset + width])
            offset += width
        else:
            space = space if space >= 0 else raw.find(b" ", offset + width)
            if space < 0:
                out.append(raw[offset:])
                offset = len(raw)
                break
            out.append(raw[offset:space])
            offset = space + 1
        out.append(newline)
    out.append(raw[offset:])
    return from_bytes(b"".join(out))
