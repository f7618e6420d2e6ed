"""The pattern languages of Argo CD: Go's ``path.Match`` and gobwas' globs, as regular expressions.

A pattern that its own language calls malformed gives None: it matches nothing, and whoever asks may say so.
"""

from __future__ import annotations

import functools
import re

_DOTALL = re.DOTALL


@functools.lru_cache(maxsize=4096)
def path_match(pattern: str) -> re.Pattern[str] | None:
    """Compile a pattern of Go's ``path.Match`` (the same as ``filepath.Match`` on Unix): ``*`` stops at ``/``."""
    parts: list[str] = []
    position = 0
    while position < len(pattern):
        char = pattern[position]
        position += 1
        if char == "*":
            parts.append("[^/]*")
        elif char == "?":
            parts.append("[^/]")
        elif char == "[":
            found = _go_class(pattern, position)
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
    return _compiled("".join(parts))


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
    parts: list[str] = []
    depth = position = 0
    while position < len(pattern):
        char = pattern[position]
        position += 1
        if char == "*":
            stars = len(pattern[position - 1 :]) - len(pattern[position - 1 :].lstrip("*"))
            position += stars - 1
            parts.append(".*" if stars > 1 else f"{one}*")
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
            parts.append("(?:")
        elif char == "}" and depth:
            depth -= 1
            parts.append(")")
        elif char == "," and depth:
            parts.append("|")
        elif char == "\\" and position < len(pattern):
            parts.append(re.escape(pattern[position]))
            position += 1
        else:
            parts.append(re.escape(char))
    return None if depth else _compiled("".join(parts))


def _gobwas_class(body: str) -> str:
    negated = body.startswith("!")
    body = body[negated:]
    if len(body) == 3 and body[1] == "-":
        low, high = body[0], body[2]
        return _class(f"{re.escape(low)}-{re.escape(high)}" if low <= high else "", negated=negated)
    return _class(re.escape(body), negated=negated)


def _compiled(text: str) -> re.Pattern[str] | None:
    try:
        return re.compile(text, _DOTALL)
    except re.error:
        return None


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
