"""Tokens of Go's text/template language.

Cuts a template into text and the tokens inside ``{{ }}``, and removes the blanks that the trim markers
``{{-`` and ``-}}`` ask to remove. A lexical error is a token too (the last one), so that the parser reports what comes
first in the text. Positions are character offsets.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from enum import Enum, auto
from typing import NamedTuple

LEFT, RIGHT = "{{", "}}"
_SPACES = " \t\r\n"
_TERMINATORS = frozenset(" \t\r\n.,|:)(")
_WORD = re.compile(r"\w*")
_BLANKS = re.compile(r"[ \t\r\n]+")
_NUMBER = re.compile(
    r"""[+-]?(?:
        0[xX][0-9a-fA-F_]*(?:\.[0-9a-fA-F_]*)?(?:[pP][+-]?[0-9_]*)?
      | 0[oO][0-7_]*(?:\.[0-7_]*)?
      | 0[bB][01_]*(?:\.[01_]*)?
      | [0-9_]*(?:\.[0-9_]*)?(?:[eE][+-]?[0-9_]*)?
    )i?""",
    re.VERBOSE,
)
_QUOTED = {
    '"': re.compile(r'"(?:[^"\\\n]|\\[^\n])*"'),
    "'": re.compile(r"'(?:[^'\\\n]|\\[^\n])*'"),
    "`": re.compile(r"`[^`]*`"),
}


class Kind(Enum):
    """What a token is."""

    TEXT = auto()
    LEFT = auto()
    RIGHT = auto()
    SPACE = auto()
    IDENTIFIER = auto()
    KEYWORD = auto()
    FIELD = auto()
    VARIABLE = auto()
    DOT = auto()
    NIL = auto()
    BOOL = auto()
    NUMBER = auto()
    COMPLEX = auto()
    CHARACTER = auto()
    STRING = auto()
    RAW_STRING = auto()
    PIPE = auto()
    OPEN = auto()
    CLOSE = auto()
    DECLARE = auto()
    ASSIGN = auto()
    COMMA = auto()
    OTHER = auto()
    END = auto()
    ERROR = auto()


class Token(NamedTuple):
    """A token, where it starts, and the line of its start (1-based)."""

    kind: Kind
    pos: int
    text: str
    line: int

    def __str__(self) -> str:
        """Say it the way Go's messages do."""
        if self.kind is Kind.END:
            return "EOF"
        if self.kind is Kind.ERROR:
            return self.text
        if self.kind in (Kind.KEYWORD, Kind.DOT, Kind.NIL):
            return f"<{self.text}>"
        shown = self.text if len(self.text) <= 10 else f"{self.text[:10]}..."
        return f'"{shown}"' if len(self.text) <= 10 else f'"{self.text[:10]}"...'


_KEYWORDS = frozenset(
    "block break continue define else end if range template with".split(),  # noqa: SIM905  # a list of words reads better
)
_SINGLE = {"=": Kind.ASSIGN, "|": Kind.PIPE, ",": Kind.COMMA}
_QUOTE_KIND = {'"': Kind.STRING, "'": Kind.CHARACTER, "`": Kind.RAW_STRING}
_QUOTE_NAME = {
    '"': "unterminated quoted string",
    "'": "unterminated character constant",
    "`": "unterminated raw quoted string",
}


class _Problem(Exception):
    """A lexical error at the current place."""


class Lexer:
    """Yields the tokens of one text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._pos = 0
        self._line = 1
        self._counted = 0

    def tokens(self) -> Iterator[Token]:
        """Yield all tokens; the last one is END or ERROR."""
        try:
            yield from self._scan()
        except _Problem as problem:
            yield Token(Kind.ERROR, self._pos, str(problem), self._line_at(self._pos))

    def _scan(self) -> Iterator[Token]:
        text = self._text
        while (left := text.find(LEFT, self._pos)) >= 0:
            yield from self._text_token(left)
            after = left + len(LEFT)
            trim = _is_left_trim(text, after)
            body = after + 2 if trim else after
            if text.startswith("/*", body):
                self._pos = body
                self._skip_comment(body)
                continue
            yield self._token(Kind.LEFT, left, after)
            self._pos = body
            yield from self._action()
        if self._pos < len(text):
            yield self._token(Kind.TEXT, self._pos, len(text))
        self._pos = len(text)
        yield Token(Kind.END, len(text), "", self._line_at(len(text)))

    def _text_token(self, left: int) -> Iterator[Token]:
        end = left
        if _is_left_trim(self._text, left + len(LEFT)):
            end = self._pos + len(self._text[self._pos : left].rstrip(_SPACES))
        if end > self._pos:
            yield self._token(Kind.TEXT, self._pos, end)

    def _skip_comment(self, start: int) -> None:
        end = self._text.find("*/", start + 2)
        if end < 0:
            raise _Problem("unclosed comment")
        delimiter, trim = self._right_delimiter(end + 2)
        if not delimiter:
            raise _Problem("comment ends before closing delimiter")
        self._pos = end + 2
        self._leave(trim=trim)

    def _action(self) -> Iterator[Token]:
        depth = 0
        text = self._text
        while True:
            delimiter, trim = self._right_delimiter(self._pos)
            if delimiter:
                if depth:
                    raise _Problem("unclosed left paren")
                start = self._pos + 2 if trim else self._pos
                yield self._token(Kind.RIGHT, start, start + len(RIGHT))
                self._leave(trim=trim)
                return
            if self._pos >= len(text):
                raise _Problem("unclosed action")
            token = self._inside(text[self._pos])
            if token.kind is Kind.OPEN:
                depth += 1
            elif token.kind is Kind.CLOSE:
                depth -= 1
                if depth < 0:
                    raise _Problem("unexpected right paren")
            yield token
            self._pos = token.pos + len(token.text)

    def _leave(self, *, trim: bool) -> None:
        """Step over the right delimiter, and over blanks if its trim marker asks for that."""
        self._pos += (2 if trim else 0) + len(RIGHT)
        if trim:
            rest = _BLANKS.match(self._text, self._pos)
            self._pos = rest.end() if rest else self._pos

    def _inside(self, char: str) -> Token:
        if char in _SPACES:
            return self._blanks()
        if char in _SINGLE:
            return self._token(_SINGLE[char], self._pos, self._pos + 1)
        if char == ":":
            if not self._text.startswith(":=", self._pos):
                raise _Problem("expected :=")
            return self._token(Kind.DECLARE, self._pos, self._pos + 2)
        if char in _QUOTED:
            return self._quoted(char)
        if char == "(":
            return self._token(Kind.OPEN, self._pos, self._pos + 1)
        if char == ")":
            return self._token(Kind.CLOSE, self._pos, self._pos + 1)
        if char == "$":
            return self._name(Kind.VARIABLE, "$")
        if char == "." and not self._is_digit(self._pos + 1):
            return self._name(Kind.FIELD, ".")
        if char in "+-.0123456789":
            return self._number()
        if _is_name(char):
            return self._identifier()
        if char.isascii() and char.isprintable():
            return self._token(Kind.OTHER, self._pos, self._pos + 1)
        raise _Problem(f"unrecognized character in action: {_unicode(char)}")

    def _blanks(self) -> Token:
        found = _BLANKS.match(self._text, self._pos)
        end = found.end() if found else self._pos + 1
        delimiter, trim = self._right_delimiter(end - 1)
        if delimiter and trim:
            end -= 1  # the last blank belongs to " -}}"
        return self._token(Kind.SPACE, self._pos, end)

    def _quoted(self, quote: str) -> Token:
        found = _QUOTED[quote].match(self._text, self._pos)
        if not found:
            raise _Problem(_QUOTE_NAME[quote])
        return self._token(_QUOTE_KIND[quote], self._pos, found.end())

    def _number(self) -> Token:
        end = self._scan_number(self._pos)
        if self._text[end : end + 1] in ("+", "-"):
            end = self._scan_number(end)
            if not self._text[self._pos : end].endswith("i"):
                raise _Problem(f'bad number syntax: "{self._text[self._pos : end]}"')
            return self._token(Kind.COMPLEX, self._pos, end)
        return self._token(Kind.NUMBER, self._pos, end)

    def _scan_number(self, start: int) -> int:
        found = _NUMBER.match(self._text, start)
        end = found.end() if found else start
        if _is_name(self._text[end : end + 1]):
            raise _Problem(f'bad number syntax: "{self._text[self._pos : end + 1]}"')
        return end

    def _name(self, kind: Kind, sign: str) -> Token:
        end = self._word_end(self._pos + 1)
        if end == self._pos + 1 and sign == ".":
            kind = Kind.DOT
        return self._token(kind, self._pos, end)

    def _identifier(self) -> Token:
        end = self._word_end(self._pos)
        word = self._text[self._pos : end]
        if word in _KEYWORDS:
            kind = Kind.KEYWORD
        elif word in ("true", "false"):
            kind = Kind.BOOL
        else:
            kind = Kind.NIL if word == "nil" else Kind.IDENTIFIER
        return self._token(kind, self._pos, end)

    def _word_end(self, start: int) -> int:
        found = _WORD.match(self._text, start)
        end = found.end() if found else start
        word = self._text[start:end]
        if not word.isascii():
            end = start + next((i for i, c in enumerate(word) if not _is_name(c)), len(word))
        follows = self._text[end : end + 1]
        if follows and follows not in _TERMINATORS and not self._text.startswith(RIGHT, end):
            raise _Problem(f"bad character {_unicode(follows)}")
        return end

    def _right_delimiter(self, pos: int) -> tuple[bool, bool]:
        """Tell whether a right delimiter starts here, and whether it has a trim marker."""
        text = self._text
        if text[pos : pos + 1] in ("", *_SPACES):
            found = text.startswith(f"-{RIGHT}", pos + 1) and pos < len(text)
            return found, found
        return text.startswith(RIGHT, pos), False

    def _is_digit(self, pos: int) -> bool:
        follows = self._text[pos : pos + 1]
        return "0" <= follows <= "9"

    def _token(self, kind: Kind, start: int, end: int) -> Token:
        return Token(kind, start, self._text[start:end], self._line_at(start))

    def _line_at(self, pos: int) -> int:
        if pos > self._counted:
            self._line += self._text.count("\n", self._counted, pos)
            self._counted = pos
        return self._line


def _is_left_trim(text: str, after: int) -> bool:
    return text.startswith("-", after) and text[after + 1 : after + 2] in tuple(_SPACES)


def _is_name(char: str) -> bool:
    """Letters, decimal digits and the underscore, as Go sees them."""
    if not char:
        return False
    if char.isascii():
        return char.isalnum() or char == "_"
    return unicodedata.category(char) in ("Lu", "Ll", "Lt", "Lm", "Lo", "Nd")


def _unicode(char: str) -> str:
    shown = f" '{char}'" if char.isprintable() else ""
    return f"U+{ord(char):04X}{shown}"
