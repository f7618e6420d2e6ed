"""The pattern languages of Argo CD: Go's ``path.Match`` and gobwas' globs, as regular expressions.

A pattern that its own language calls malformed gives None: it matches nothing, and whoever asks may say so.
Patterns come from users: what is compiled here does not backtrack over its stars (see `assembled`).
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable
from typing import TypeAlias


class Star(str):
    """A star of a pattern, as a regular expression; one that ``crosses`` takes in the separator too."""

    __slots__ = ("crosses",)
    crosses: bool

    def __new__(cls, text: str, *, crosses: bool) -> Star:
        star = super().__new__(cls, text)
        star.crosses = crosses
        return star


class Branch(str):
    """A piece whose length is not fixed: alternatives, whole components."""

    __slots__ = ()


Piece: TypeAlias = str
"""A regular expression for a fixed number of characters, a `Star` or a `Branch`."""

ClassReader: TypeAlias = Callable[[str, int], tuple[str, int] | None]
"""From a pattern and the position behind ``[`` to a regular expression and where the class ends; None: malformed."""

ANY = Star(".*", crosses=True)
SEGMENT = Star("[^/]*", crosses=False)


def assembled(pieces: Iterable[Piece]) -> re.Pattern[str] | None:
    """Compile the pieces of a pattern; None if they make no regular expression.

    What stands between two stars is taken where it is found first and never given back: the second star takes
    in everything that the first one could, so a later place is never better. Without that a pattern of twenty
    stars would take years. It holds only for pieces of fixed length, and if the second star crosses where the
    first one does.
    """
    groups: list[tuple[Star | None, list[Piece]]] = [(None, [])]
    for piece in pieces:
        if isinstance(piece, Star):
            groups.append((piece, []))
        else:
            groups[-1][1].append(piece)
    text = "".join(groups[0][1])
    for position, (star, between) in enumerate(groups[1:], start=1):
        after = groups[position + 1][0] if position + 1 < len(groups) else None
        body = "".join(between)
        fixed = not any(isinstance(piece, Branch) for piece in between)
        if star is not None and after is not None and fixed and (after.crosses or not star.crosses):
            text += f"(?>{star}?{body})"
        else:
            text += f"{star}{body}"
    try:
        return re.compile(text, re.DOTALL)
    except re.error:
        return None


@functools.lru_cache(maxsize=4096)
def path_match(pattern: str) -> re.Pattern[str] | None:
    """Compile a pattern of Go's ``path.Match`` (the same as ``filepath.Match`` on Unix): ``*`` stops at ``/``."""
    return star_pattern(pattern, star=SEGMENT, one="[^/]", read_class=_go_class)


def star_pattern(
    pattern: str, *, star: Star, one: str, read_class: ClassReader
) -> re.Pattern[str] | None:
    """Compile a language of ``*``, ``?``, ``[...]`` and ``\\``; None for a pattern that it calls malformed.

    ``star`` and ``one`` say what the first two take in, ``read_class`` reads a class from behind its bracket.
    """
    parts: list[Piece] = []
    position = 0
    while position < len(pattern):
        char = pattern[position]
        position += 1
        if char == "*":
            parts.append(star)
        elif char == "?":
            parts.append(one)
        elif char == "[":
            found = read_class(pattern, position)
            if found is None:
                return None
            text, position = found
            parts.append(text)
        elif char == "\\":
            if position == len(pattern):
                return None
            parts.append(re.escape(pattern[position]))
            position += 1
        else:
            parts.append(re.escape(char))
    return assembled(parts)


def _go_class(pattern: str, position: int) -> tuple[str, int] | None:
    """Read ``[^a-z]`` after its bracket: the regular expression and where it ends."""
    negated = pattern[position : position + 1] == "^"
    position += negated
    ranges: list[str] = []
    while True:
        if pattern[position : position + 1] == "]" and ranges:
            return _class("".join(ranges), negated=negated), position + 1
        low = _go_char(pattern, position)
        if low is None:
            return None
        char, position = low
        last = char
        if pattern[position : position + 1] == "-":
            high = _go_char(pattern, position + 1)
            if high is None:
                return None
            last, position = high
        # A range that is upside down is well-formed and matches nothing.
        ranges.append(f"{re.escape(char)}-{re.escape(last)}" if char <= last else "")


def _class(ranges: str, *, negated: bool) -> str:
    if not ranges:  # only ranges that are upside down
        return "." if negated else "(?!)"
    return f"[{'^' if negated else ''}{ranges}]"


def _go_char(pattern: str, position: int) -> tuple[str, int] | None:
    if position >= len(pattern) or pattern[position] in "-]":
        return None
    if pattern[position] == "\\":
        position += 1
        if position >= len(pattern):
            return None
    return pattern[position], position + 1


@functools.lru_cache(maxsize=4096)
def glob(pattern: str, separator: str = "") -> re.Pattern[str] | None:
    """Compile a glob of gobwas/glob: ``*`` stops at the separator, ``**`` does not; ``{a,b}``, ``[a-z]``, ``[!a]``."""
    one = f"[^{re.escape(separator)}]" if separator else "."
    star = Star(f"{one}*", crosses=not separator)
    parts: list[Piece] = []
    depth = position = 0
    while position < len(pattern):
        char = pattern[position]
        position += 1
        if char == "*":
            stars = len(pattern[position - 1 :]) - len(pattern[position - 1 :].lstrip("*"))
            position += stars - 1
            parts.append(ANY if stars > 1 else star)
        elif char == "?":
            parts.append(one)
        elif char == "[":
            end = pattern.find("]", position + 1)
            if end < 0:
                return None
            parts.append(_gobwas_class(pattern[position:end]))
            position = end + 1
        elif char == "{":
            depth += 1
            parts.append(Branch("(?:"))
        elif char == "}" and depth:
            depth -= 1
            parts.append(Branch(")"))
        elif char == "," and depth:
            parts.append(Branch("|"))
        elif char == "\\" and position < len(pattern):
            parts.append(re.escape(pattern[position]))
            position += 1
        else:
            parts.append(re.escape(char))
    return None if depth else assembled(parts)


def _gobwas_class(body: str) -> str:
    negated = body.startswith("!")
    body = body[negated:]
    if len(body) == 3 and body[1] == "-":
        low, high = body[0], body[2]
        return _class(f"{re.escape(low)}-{re.escape(high)}" if low <= high else "", negated=negated)
    return _class(re.escape(body), negated=negated)


def matches_path(pattern: str, text: str) -> bool:
    """Tell whether ``path.Match`` would say yes; a malformed pattern says no."""
    compiled = path_match(pattern)
    return compiled is not None and compiled.fullmatch(text) is not None


def matches_glob(pattern: str, text: str, separator: str = "") -> bool:
    """Tell whether a glob covers the whole text; a malformed pattern says no."""
    if pattern == "*":
        return True
    compiled = glob(pattern, separator)
    return compiled is not None and compiled.fullmatch(text) is not None
