"""Sprig's regular expressions, in RE2's language as in Go: linear in the text, whatever the pattern.

Linear still means the size of the text times that of the compiled pattern, and that is what a search costs.

The loops over matches are Go's own, which differ from other engines at empty matches. Matching is done on bytes, for Go
texts need not be UTF-8.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Protocol

import re2

from fleet.templating.errors import GoError, LimitError
from fleet.templating.functions import Table
from fleet.templating.printing import limited, quote
from fleet.templating.values import GoValue, Meter, NilStringList, from_bytes, to_bytes

REGEX = Table()
_KEPT_PATTERNS = 64
_MEMORY = 4 << 20
"""Bytes that a compiled pattern may take, with what it remembers of texts."""
_LONGEST_SEARCH = 1 << 27
"""Instructions times characters: about a second."""
_FAILED = 30_000
"""Steps for finding out that a pattern is too large."""


class _Match(Protocol):
    def start(self, group: int = 0) -> int: ...
    def end(self, group: int = 0) -> int: ...
    def group(self, group: int = 0) -> bytes | None: ...


class _Pattern(Protocol):
    groups: int
    groupindex: dict[bytes, int]
    programsize: int

    def search(self, text: bytes, pos: int = 0) -> _Match | None: ...


def _options() -> re2.Options:
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _MEMORY
    options.encoding = re2.Options.Encoding.UTF8
    return options


@functools.lru_cache(maxsize=_KEPT_PATTERNS)
def _compile(pattern: str) -> _Pattern:
    try:
        compiled: _Pattern = re2.compile(to_bytes(pattern), _options())
    except re2.error as error:
        raise GoError(f"error parsing regexp: {_reason(error)}") from error
    return compiled


_GO_WORDS = {
    "missing ]": "missing closing ]",
    "missing )": "missing closing )",
    "invalid perl operator": "invalid or unsupported Perl syntax",
    "bad repetition operator": "invalid nested repetition operator",
    "invalid repetition size": "invalid repeat count",
    "invalid named capture group": "invalid named capture",
    "trailing \\ at end of regexp": "trailing backslash at end of expression",
    "pattern too large - compile failed": "expression too large",
}


def _reason(error: re2.error) -> str:
    detail = error.args[0] if error.args else b""
    what, _, part = from_bytes(detail if isinstance(detail, bytes) else b"").partition(": ")
    return f"{_GO_WORDS.get(what, what)}: `{part}`"


def _compile_or_panic(pattern: str) -> _Pattern:
    try:
        return _compile(pattern)
    except GoError as error:
        shown = f"`{pattern}`" if "`" not in pattern and pattern.isprintable() else quote(pattern)
        raise GoError(f"regexp: Compile({shown}): {error}") from error


def _search(pattern: _Pattern, text: bytes, pos: int, meter: Meter) -> _Match | None:
    """Search from a position on, and pay for it: dearly for what lies behind, cheaply for what may have been looked at."""
    size, rest = pattern.programsize, len(text) - pos
    if size * rest > _LONGEST_SEARCH:
        raise LimitError("a regular expression is too large for the length of its text")
    meter.spend(1 + (rest >> 8) + (size >> 4) + (size * rest >> 11))
    match = pattern.search(text, pos)
    passed = rest if match is None else match.end() - pos
    meter.spend(size * passed >> 9)
    return match


def _matches(pattern: _Pattern, text: bytes, limit: int, meter: Meter) -> Iterator[_Match]:
    """Yield matches as FindAll: an empty match right after another match does not count."""
    pos, before, found = 0, -1, 0
    while pos <= len(text) and (limit < 0 or found < limit):
        match = _search(pattern, text, pos, meter)
        if match is None:
            return
        end = match.end()
        is_counted = end != pos or match.start() != before
        pos = end if end != pos else pos + _width(text, pos)
        before = end
        if is_counted:
            found += 1
            yield match


def _width(text: bytes, pos: int) -> int:
    """Return the number of bytes of the character at a position."""
    first = text[pos] if pos < len(text) else 0
    size = 1 if first < 0xC2 else 2 if first < 0xE0 else 3 if first < 0xF0 else 4
    following = text[pos + 1 : pos + size]
    whole = len(following) == size - 1 and all(byte & 0xC0 == 0x80 for byte in following)
    return size if whole else 1


def _replace(pattern: _Pattern, text: bytes, expand: Template, meter: Meter) -> str:
    out: list[bytes] = []
    pos = last = size = 0
    while pos <= len(text):
        match = _search(pattern, text, pos, meter)
        if match is None:
            break
        start, end = match.start(), match.end()
        out.append(text[last:start])
        if end > last or start == 0:
            out.append(expand.of(match))
            size += len(out[-1])
            meter.spend(size >> 20 and size)
        last = end
        pos = max(pos + _width(text, pos), end)
    out.append(text[last:])
    return limited(from_bytes(b"".join(out)), meter)


class Template:
    """A replacement text with ``$1`` and ``${name}``, cut into its parts once."""

    def __init__(self, text: str, pattern: _Pattern, *, literal: bool) -> None:
        self._parts: list[bytes | int] = []
        raw = to_bytes(text)
        if literal:
            self._parts.append(raw)
        else:
            self._read(raw, pattern)

    def of(self, match: _Match) -> bytes:
        """Return the replacement for a match."""
        return b"".join(
            part if isinstance(part, bytes) else match.group(part) or b"" for part in self._parts
        )

    def _read(self, raw: bytes, pattern: _Pattern) -> None:
        while raw:
            before, dollar, raw = raw.partition(b"$")
            self._parts.append(before)
            if not dollar:
                return
            if raw.startswith(b"$"):
                self._parts.append(b"$")
                raw = raw[1:]
                continue
            name, raw = _group_name(raw)
            if name is None:
                self._parts.append(b"$")
            elif name.isdigit():
                if int(name) <= pattern.groups:
                    self._parts.append(int(name))
            elif to_bytes(name) in pattern.groupindex:
                self._parts.append(pattern.groupindex[to_bytes(name)])


def _group_name(raw: bytes) -> tuple[str | None, bytes]:
    """Read ``{name}`` or ``name``; None where it is neither."""
    braced = raw.startswith(b"{")
    body = from_bytes(raw[1:] if braced else raw)
    size = next((i for i, c in enumerate(body) if not (c.isalnum() or c == "_")), len(body))
    rest = body[size:]
    if not size or (braced and not rest.startswith("}")) or (body[:size].isdigit() and size > 8):
        return None, raw
    return body[:size], to_bytes(rest[1:] if braced else rest)


# -- functions


@REGEX.define("regexMatch", "string string -> bool", meter=True)
def _regex_match(meter: Meter, pattern: str, text: str) -> GoValue:
    try:
        return _must_match(meter, pattern, text)
    except GoError:
        meter.spend(_FAILED + (len(pattern) >> 2))
        return False


@REGEX.define("mustRegexMatch", "string string -> bool", meter=True)
def _must_match(meter: Meter, pattern: str, text: str) -> GoValue:
    return _search(_compile(pattern), to_bytes(text), 0, meter) is not None


def _find(compiled: _Pattern, text: str, meter: Meter) -> str:
    match = _search(compiled, to_bytes(text), 0, meter)
    return from_bytes(match.group() or b"") if match else ""


def _find_all(compiled: _Pattern, text: str, limit: int, meter: Meter) -> list[str]:
    found = _matches(compiled, to_bytes(text), limit, meter)
    return [from_bytes(match.group() or b"") for match in found] or NilStringList()


def _split(pattern: str, compiled: _Pattern, text: str, limit: int, meter: Meter) -> list[str]:
    if limit == 0:
        return NilStringList()
    if pattern and not text:
        return [""]
    raw = to_bytes(text)
    pieces: list[bytes] = []
    begin = end = 0
    for match in _matches(compiled, raw, limit, meter):
        if limit > 0 and len(pieces) == limit - 1:
            break
        end = match.start()
        if match.end():
            pieces.append(raw[begin:end])
        begin = match.end()
    if end != len(raw):
        pieces.append(raw[begin:])
    return [from_bytes(piece) for piece in pieces]


def _both(name: str, signature: str, body: Callable[..., GoValue]) -> None:
    """Add a function in both forms: its ``must`` form words the error of a bad pattern differently."""

    def plain(meter: Meter, pattern: str, *args: GoValue) -> GoValue:
        return body(meter, pattern, _compile_or_panic(pattern), *args)

    def must(meter: Meter, pattern: str, *args: GoValue) -> GoValue:
        return body(meter, pattern, _compile(pattern), *args)

    REGEX.add(name, signature, plain, meter=True)
    REGEX.add(f"must{name[0].upper()}{name[1:]}", signature, must, meter=True)


_both(
    "regexFind",
    "string string -> string",
    lambda meter, _p, compiled, text: _find(compiled, text, meter),
)
_both(
    "regexFindAll",
    "string string int -> strings",
    lambda meter, _p, compiled, text, limit: _find_all(compiled, text, limit, meter),
)
_both(
    "regexSplit",
    "string string int -> strings",
    lambda meter, pattern, compiled, text, limit: _split(pattern, compiled, text, limit, meter),
)
_both(
    "regexReplaceAll",
    "string string string -> string",
    lambda meter, _p, compiled, text, new: _replace(
        compiled, to_bytes(text), Template(new, compiled, literal=False), meter
    ),
)
_both(
    "regexReplaceAllLiteral",
    "string string string -> string",
    lambda meter, _p, compiled, text, new: _replace(
        compiled, to_bytes(text), Template(new, compiled, literal=True), meter
    ),
)
_META = frozenset("\\.+*?()|[]{}^$")


@REGEX.define("regexQuoteMeta", "string -> string")
def _quote_meta(text: str) -> GoValue:
    return "".join(f"\\{char}" if char in _META else char for char in text)
