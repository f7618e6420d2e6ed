"""The two glob dialects of Argo CD's sources, matched in linear time.

`matches_any_depth` is the one of ``directory.include`` and ``exclude``: there ``*`` crosses slashes.
`matches_segments` is the one of ``helm.valueFiles``: ``*`` stays within a segment, ``**`` crosses.
"""

from __future__ import annotations

from functools import lru_cache

import re2

from fleet.errors import BadInput

MAGIC = frozenset("*?[{")


def matches_any_depth(pattern: str, path: str) -> bool:
    """Whether a path fits; raises BadInput for a malformed pattern."""
    return _compiled(pattern, "").fullmatch(path) is not None


def matches_segments(pattern: str, path: str) -> bool:
    """Whether a path fits, segment by segment; raises BadInput for a malformed pattern."""
    return _compiled(pattern, "/").fullmatch(path) is not None


@lru_cache(maxsize=256)
def _compiled(pattern: str, separator: str) -> re2._Regexp:
    try:
        return re2.compile(f"(?s:{_Translator(pattern, separator).run()})")
    except (re2.error, IndexError) as error:
        raise BadInput(f"malformed pattern {pattern!r}") from error


class _Translator:
    def __init__(self, pattern: str, separator: str) -> None:
        self.pattern = pattern
        self.one = f"[^{separator}]" if separator else "."
        self.separator = separator
        self.depth = 0

    def run(self) -> str:
        out: list[str] = []
        at = 0
        while at < len(self.pattern):
            text, at = self.step(at)
            out.append(text)
        if self.depth:
            raise BadInput(f"malformed pattern {self.pattern!r}", hint="a brace is not closed")
        return "".join(out)

    def step(self, at: int) -> tuple[str, int]:
        """Translate what starts at ``at``; returns it and where the rest starts."""
        pattern = self.pattern
        match pattern[at]:
            case "*":
                return self.stars(at)
            case "?":
                return self.one, at + 1
            case "[":
                return self.character_class(at)
            case "{":
                self.depth += 1
                return "(?:", at + 1
            case "}" if self.depth:
                self.depth -= 1
                return ")", at + 1
            case "," if self.depth:
                return "|", at + 1
            case "\\":
                return re2.escape(pattern[at + 1]), at + 2
            case character:
                return re2.escape(character), at + 1

    def stars(self, at: int) -> tuple[str, int]:
        end = at
        while end < len(self.pattern) and self.pattern[end] == "*":
            end += 1
        if end - at == 1 or not self.separator:
            return f"{self.one}*", end
        starts = at == 0 or self.pattern[at - 1] == "/"
        if starts and self.pattern[end : end + 1] == "/":
            return "(?:.*/)?", end + 1
        return (".*" if starts and end == len(self.pattern) else f"{self.one}*"), end

    def character_class(self, at: int) -> tuple[str, int]:
        end = self.pattern.index("]", at + 2) if "]" in self.pattern[at + 2 :] else -1
        if end < 0:
            raise BadInput(f"malformed pattern {self.pattern!r}", hint="a bracket is not closed")
        inside = self.pattern[at + 1 : end]
        negated = inside[0] in "!^"
        body = inside[1:] if negated else inside
        escaped = "".join("-" if c == "-" else re2.escape(c) for c in body)
        return f"[{'^' if negated else ''}{escaped}]", end + 1
