"""The patterns of the git generator's ``files``, in both dialects, over the listing of a commit.

``legacy`` is what ``git ls-files`` does with a pathspec: ``*`` crosses ``/``, a directory stands for everything
below it. ``doublestar`` is bmatcuk/doublestar: ``*`` stays in one directory, ``**`` as a whole component crosses,
``{a,b}`` alternates.
"""

from __future__ import annotations

import functools
import posixpath
import re
from bisect import bisect_left
from collections.abc import Iterator

from fleet.argo.globs import ANY, SEGMENT, Branch, Piece, assembled, star_pattern
from fleet.errors import BadInput
from fleet.generators.listing import Listing
from fleet.model.world import FileGlobs

_LITERAL = re.compile(r"[^*?\[\]\\{}]*")
_POSIX = {
    "alpha": "a-zA-Z",
    "digit": "0-9",
    "alnum": "a-zA-Z0-9",
    "upper": "A-Z",
    "lower": "a-z",
    "space": r"\s",
    "xdigit": "0-9A-Fa-f",
    "punct": r"!-/:-@\[-`{-~",
}


def select_files(listing: Listing, pattern: str, dialect: FileGlobs) -> list[str]:
    """Return the paths of files that a pattern means, sorted; raises BadInput for one that leaves the repository."""
    if dialect is FileGlobs.DOUBLESTAR:
        return list(_doublestar_files(listing, _inside(pattern)))
    if pattern.startswith(":"):
        raise BadInput(f"pathspec magic is not supported: {pattern!r}")
    path = _inside(pattern)
    if path == ".":
        return list(listing.paths)
    found = set(_below(listing, path))
    if path in listing.files and not pattern.endswith("/"):
        found.add(path)
    if re.search(r"[*?\[\\]", pattern):
        suffix = "/" if pattern.endswith("/") else ""
        wild = wildmatch(path + suffix)
        if wild is not None:
            found.update(item for item in _candidates(listing, path) if wild.fullmatch(item))
    return sorted(found)


def _inside(pattern: str) -> str:
    if not pattern:
        raise BadInput("an empty text is no path pattern")
    path = posixpath.normpath(pattern)
    if path.startswith(("/", "../")) or path == "..":
        raise BadInput(f"path pattern {pattern!r} leaves the repository")
    return path


def _below(listing: Listing, directory: str) -> Iterator[str]:
    prefix = f"{directory}/"
    for position in range(bisect_left(listing.paths, prefix), len(listing.paths)):
        if not listing.paths[position].startswith(prefix):
            return
        yield listing.paths[position]


def _candidates(listing: Listing, pattern: str) -> Iterator[str]:
    """The paths that share the pattern's literal start."""
    found = _LITERAL.match(pattern)
    prefix = found[0] if found else ""
    for position in range(bisect_left(listing.paths, prefix), len(listing.paths)):
        if not listing.paths[position].startswith(prefix):
            return
        yield listing.paths[position]


def _doublestar_files(listing: Listing, pattern: str) -> Iterator[str]:
    if _LITERAL.fullmatch(pattern):
        if pattern in listing.files:
            yield pattern
        return
    compiled = doublestar(pattern)
    if compiled is None:
        raise BadInput(f"malformed path pattern {pattern!r}")
    for path in _candidates(listing, pattern):
        if compiled.fullmatch(path):
            yield path


@functools.lru_cache(maxsize=1024)
def wildmatch(pattern: str) -> re.Pattern[str] | None:
    """Compile git's wildmatch without FNM_PATHNAME; None for a pattern that can match nothing."""
    return star_pattern(pattern, star=ANY, one=".", read_class=_bracket)


@functools.lru_cache(maxsize=1024)
def doublestar(pattern: str) -> re.Pattern[str] | None:
    """Compile a doublestar pattern; None for a malformed one."""
    parts: list[Piece] = []
    depth = position = 0
    while position < len(pattern):
        char = pattern[position]
        if char == "*":
            text, position = _stars(pattern, position)
            parts.append(text)
            continue
        position += 1
        if char == "?":
            parts.append("[^/]")
        elif char == "[":
            found = _bracket(pattern, position)
            if found is None:
                return None
            parts.append(f"(?!/){found[0]}")
            position = found[1]
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


def _stars(pattern: str, position: int) -> tuple[Piece, int]:
    end = position
    while end < len(pattern) and pattern[end] == "*":
        end += 1
    starts = position == 0 or pattern[position - 1] in "/{,"
    ends = end == len(pattern) or pattern[end] in "/},"
    if end - position != 2 or not (starts and ends):
        return SEGMENT, end
    if end < len(pattern) and pattern[end] == "/":
        return Branch("(?:[^/]+/)*"), end + 1
    return ANY, end


def _bracket(pattern: str, position: int) -> tuple[str, int] | None:
    """Read ``[!a-z[:digit:]]`` after its bracket: the regular expression and where it ends."""
    negated = pattern[position : position + 1] in ("!", "^") and position < len(pattern)
    position += negated
    inner: list[str] = []
    while position < len(pattern) and (pattern[position] != "]" or not inner):
        if pattern.startswith("[:", position) and ":]" in pattern[position:]:
            end = pattern.index(":]", position)
            known = _POSIX.get(pattern[position + 2 : end])
            if known is None:
                return None
            inner.append(known)
            position = end + 2
            continue
        low, position = _literal(pattern, position)
        if pattern[position : position + 1] == "-" and pattern[position + 1 : position + 2] not in (
            "",
            "]",
        ):
            high, position = _literal(pattern, position + 1)
            if low <= high:
                inner.append(f"{re.escape(low)}-{re.escape(high)}")
            else:
                inner.append("")
        else:
            inner.append(re.escape(low))
    if position >= len(pattern):
        return None
    body = "".join(inner)
    if not body:
        return (".", position + 1) if negated else ("(?!)", position + 1)
    return f"[{'^' if negated else ''}{body}]", position + 1


def _literal(pattern: str, position: int) -> tuple[str, int]:
    if pattern[position] == "\\" and position + 1 < len(pattern):
        position += 1
    return pattern[position], position + 1
