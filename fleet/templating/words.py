"""snake_case, kebab-case and PascalCase as sprig's library (xstrings) cuts words."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto

from fleet.templating import text as go


class _Kind(Enum):
    NONE = auto()
    NUMBER = auto()
    UPPER = auto()
    ALPHABET = auto()
    CONNECTOR = auto()
    PUNCTUATION = auto()
    OTHER = auto()


_WORDLIKE = (_Kind.ALPHABET, _Kind.NUMBER)
_SILENT = (_Kind.NONE, _Kind.PUNCTUATION, _Kind.CONNECTOR)


def is_connector(char: str) -> bool:
    """Tell whether a character joins words: a hyphen, an underscore, white space."""
    return char in "-_" or go.is_space(char)


def _is_alphabet(char: str) -> bool:
    """A letter, but not a character of Chinese, Japanese or Korean."""
    if not go.is_letter(char):
        return False
    code = ord(char)
    return not any(low <= code <= high for low, high in _EAST_ASIAN)


_EAST_ASIAN = ((0x4E00, 0x9FCC), (0x3400, 0x4D85), (0x20000, 0x2B81D))


def pascal_case(text: str) -> str:
    """``some_words`` to ``SomeWords``."""
    rest = text.lstrip("".join({char for char in text if is_connector(char)}))
    out = [text[: len(text) - len(rest)]]
    if not rest:
        return text + text[-1:]  # the library repeats the last one
    current = go.to_upper(rest[0])
    was_upper = go.is_upper(rest[0])
    for char in rest[1:]:
        before, current = current, char
        if is_connector(current) and is_connector(before):
            out.append(before)
        elif is_connector(before):
            was_upper = go.is_upper(current)
            current = go.to_upper(current)
        else:
            if was_upper:
                was_upper = go.is_upper(current)
                current = go.to_lower(current) if was_upper else current
            out.append(before)
    return "".join([*out, current])


def snake_case(text: str) -> str:
    """``FirstName`` to ``first_name``."""
    return _Lowering(text, "_").run()


def kebab_case(text: str) -> str:
    """``FirstName`` to ``first-name``."""
    return _Lowering(text, "-").run()


class _Lowering:
    """Reads words and writes them in lower case with connectors between them."""

    def __init__(self, text: str, connector: str) -> None:
        self._text = text
        self._pos = 0
        self._connector = connector
        self._out: list[str] = []
        self._kind = _Kind.NONE
        self._word = ""

    def run(self) -> str:
        if not self._text:
            return ""
        self._next()
        while self._has_more():
            if self._kind is not _Kind.CONNECTOR:
                self._emit(self._kind, self._word)
            before, word = self._kind, self._word
            self._next()
            self._after(before, word)
        self._emit(self._kind, self._word)
        return "".join(self._out)

    def _after(self, before: _Kind, word: str) -> None:
        if before is _Kind.NUMBER:
            self._absorb()
            self._connect(*_SILENT)
        elif before is _Kind.CONNECTOR:
            self._emit(before, word)
        elif before is _Kind.PUNCTUATION:
            return
        elif self._kind is not _Kind.NUMBER:
            self._connect(_Kind.CONNECTOR, _Kind.PUNCTUATION)
        elif self._has_more():
            self._number()

    def _number(self) -> None:
        """A number after a word: part of it (``Bld4Floor``) unless small letters follow (``HTTP2xx``)."""
        word = self._word
        self._next()
        if self._kind is not _Kind.ALPHABET:
            self._emit(_Kind.NUMBER, word)
            self._connect(_Kind.CONNECTOR, _Kind.PUNCTUATION)
            return
        self._out.append(self._connector)
        self._emit(_Kind.NUMBER, word)
        self._absorb()
        self._connect(*_SILENT)

    def _absorb(self) -> None:
        while self._kind in _WORDLIKE:
            self._emit(self._kind, self._word)
            self._next()

    def _connect(self, *silent: _Kind) -> None:
        if self._kind not in silent:
            self._out.append(self._connector)

    def _has_more(self) -> bool:
        return self._pos < len(self._text)

    def _emit(self, kind: _Kind, word: str) -> None:
        if kind not in (_Kind.UPPER, _Kind.CONNECTOR):
            self._out.append(word)
            return
        for char in word:
            self._out.append(self._connector if is_connector(char) else go.to_lower(char))

    def _next(self) -> None:
        start = self._pos
        if start >= len(self._text):
            self._kind, self._word = _Kind.NONE, ""
            return
        char = self._text[start]
        self._pos += 1
        if is_connector(char):
            self._kind = _Kind.CONNECTOR
            self._take(is_connector)
        elif go.is_punctuation(char):
            self._kind = _Kind.PUNCTUATION
            self._take(go.is_punctuation)
        elif go.is_upper(char):
            self._kind = _Kind.UPPER
            self._upper(start)
        elif _is_alphabet(char):
            self._kind = _Kind.ALPHABET
            self._take(_is_small)
        elif go.is_number(char):
            self._kind = _Kind.NUMBER
            self._take(go.is_number)
        else:
            self._kind = _Kind.OTHER
            self._take(_is_other)
        self._word = self._text[start : self._pos]

    def _upper(self, start: int) -> None:
        """Take ``HTTP`` of ``HTTPServer``: the last capital belongs to the next word."""
        following = self._text[self._pos : self._pos + 1]
        if following and go.is_upper(following):
            self._take(go.is_upper)
            if self._has_more() and self._pos > start + 1 and _is_alphabet(self._text[self._pos]):
                self._pos -= 1
        elif following and _is_alphabet(following):
            self._take(_is_small)

    def _take(self, wanted: Callable[[str], bool]) -> None:
        while self._pos < len(self._text) and wanted(self._text[self._pos]):
            self._pos += 1


def _is_small(char: str) -> bool:
    return _is_alphabet(char) and not go.is_upper(char)


def _is_other(char: str) -> bool:
    return not (
        is_connector(char) or _is_alphabet(char) or go.is_number(char) or go.is_punctuation(char)
    )
