"""Versions and constraints as Masterminds' semver library (sprig, Helm) reads them.

Looser than semver.org: a leading ``v`` and missing parts are fine. A pre-release matches a constraint only if the
constraint names one itself (``>=1.2-0``).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import re2

from fleet.templating.errors import GoError
from fleet.templating.functions import Table, methods
from fleet.templating.values import GoObject, GoValue, Uint64

SEMVER = Table()

_TAIL = r"(-([0-9A-Za-z\-]+(?:\.[0-9A-Za-z\-]+)*))?(\+([0-9A-Za-z\-]+(?:\.[0-9A-Za-z\-]+)*))?"
_PARTIAL = r"v?([0-9|x|X|\*]+)(\.[0-9|x|X|\*]+)?(\.[0-9|x|X|\*]+)?" + _TAIL
_OPERATORS = r"=||!=|>|<|>=|=>|<=|=<|~|~>|\^"
_BARE = _PARTIAL.replace("(?:", "(").replace("(", "(?:")
_VERSION = re2.compile(r"^v?([0-9]+)(\.[0-9]+)?(\.[0-9]+)?" + _TAIL + r"$")
_ONE = re2.compile(rf"^\s*({_OPERATORS})\s*({_PARTIAL})\s*$")
_FIND = re2.compile(rf"(?:{_OPERATORS})\s*(?:{_BARE})")
_RANGE = re2.compile(rf"\s*({_BARE})\s+-\s+({_BARE})\s*")
_VALID = re2.compile(
    rf"^(?:\s*(?:{_OPERATORS})\s*(?:{_BARE})\s*)(?:(?:\s+|,\s*)(?:{_OPERATORS})\s*(?:{_BARE})\s*)*$"
)
_UINT64 = 1 << 64
_LONGEST = 4096


@dataclass(frozen=True, slots=True, eq=False)
class Version(GoObject):
    """A version; equal to another one if both compare equal, whatever their build metadata."""

    go_type = "*semver.Version"
    kind = "ptr"

    major: int
    minor: int
    patch: int
    pre: str = ""
    metadata: str = ""
    original: str = field(default="", compare=False)

    def text(self) -> str:
        """Return the full version, without a leading ``v``."""
        tail = (f"-{self.pre}" if self.pre else "") + (f"+{self.metadata}" if self.metadata else "")
        return f"{self.major}.{self.minor}.{self.patch}{tail}"

    def compare(self, other: Version) -> int:
        """Return -1, 0 or 1."""
        mine = (self.major, self.minor, self.patch)
        theirs = (other.major, other.minor, other.patch)
        if mine != theirs:
            return -1 if mine < theirs else 1
        if not self.pre or not other.pre:
            return bool(other.pre) - bool(self.pre)
        return compare_prerelease(self.pre, other.pre)


def compare_prerelease(left: str, right: str) -> int:
    """Compare part by part: numbers as numbers and before words, fewer parts before more."""
    mine, theirs = left.split("."), right.split(".")
    size = max(len(mine), len(theirs))
    mine += [""] * (size - len(mine))
    theirs += [""] * (size - len(theirs))
    return next((order for order in map(_compare_part, mine, theirs) if order), 0)


def _compare_part(left: str, right: str) -> int:
    if left == right:
        return 0
    if not left or not right:
        return -1 if not left else 1
    numbers = (_number(left), _number(right))
    match numbers:
        case (None, None):
            return 1 if left > right else -1
        case (_, None):
            return -1
        case (None, _):
            return 1
    return 1 if int(left) > int(right) else -1


def _number(text: str) -> int | None:
    return int(text) if text.isdigit() and len(text) < 40 and int(text) < _UINT64 else None


def parse_version(text: str) -> Version:
    """Read a version; raises GoError."""
    is_sane = text.isascii() and len(text) <= _LONGEST
    match = _VERSION.match(text) if is_sane else None
    if match is None:
        raise GoError("Invalid Semantic Version")
    parts = [_segment((match.group(index) or "").removeprefix(".")) for index in (1, 2, 3)]
    pre = match.group(5) or ""
    if any(len(part) > 1 and part.isdigit() and part[0] == "0" for part in pre.split(".")):
        raise GoError("Version segment starts with 0")
    return Version(parts[0], parts[1], parts[2], pre, match.group(7) or "", text)


def _segment(text: str) -> int:
    if len(text) > 40 or (text and int(text) >= _UINT64):
        raise GoError(
            f'Error parsing version segment: strconv.ParseUint: parsing "{text}": value out of range'
        )
    return int(text or 0)


@dataclass(frozen=True, slots=True)
class Constraint:
    """One comparison; the flags say which parts were left open (``1.x``)."""

    operator: str
    version: Version
    is_open: bool = False
    is_minor_open: bool = False
    is_patch_open: bool = False

    def allows(self, version: Version) -> bool:
        """Tell whether a version satisfies the comparison."""
        if self.operator != "!=" and version.pre and not self.version.pre:
            return False
        return _CHECKS[self.operator](version, self)


def _not_equal(version: Version, c: Constraint) -> bool:
    wanted = c.version
    if not c.is_open:
        return version.compare(wanted) != 0
    if version.pre and not wanted.pre:
        return False
    if version.major != wanted.major:
        return True
    if c.is_minor_open:
        return False
    if version.minor != wanted.minor:
        return True
    if c.is_patch_open:
        either = bool(version.pre or wanted.pre)
        return either and compare_prerelease(version.pre, wanted.pre) != 0
    if version.patch != wanted.patch:
        return True
    return version.compare(wanted) != 0


def _greater(version: Version, c: Constraint) -> bool:
    if not c.is_open or version.major != c.version.major:
        return version.compare(c.version) > 0 if not c.is_open else version.major > c.version.major
    if c.is_minor_open:
        return False
    if c.is_patch_open:
        return version.minor > c.version.minor
    return version.compare(c.version) > 0


def _less(version: Version, c: Constraint) -> bool:
    return version.compare(c.version) < 0


def _at_least(version: Version, c: Constraint) -> bool:
    return version.compare(c.version) >= 0


def _at_most(version: Version, c: Constraint) -> bool:
    if not c.is_open:
        return version.compare(c.version) <= 0
    if version.major != c.version.major:
        return version.major < c.version.major
    return c.is_minor_open or version.minor <= c.version.minor


def _tilde(version: Version, c: Constraint) -> bool:
    wanted = c.version
    if version.compare(wanted) < 0:
        return False
    is_zero = (wanted.major, wanted.minor, wanted.patch) == (0, 0, 0)
    if is_zero and not c.is_minor_open and not c.is_patch_open:
        return True
    same_minor = version.minor == wanted.minor or c.is_minor_open
    return version.major == wanted.major and same_minor


def _equal(version: Version, c: Constraint) -> bool:
    return _tilde(version, c) if c.is_open else version.compare(c.version) == 0


def _caret(version: Version, c: Constraint) -> bool:
    wanted = c.version
    if version.compare(wanted) < 0:
        return False
    if wanted.major > 0 or c.is_minor_open:
        return version.major == wanted.major
    if version.major > 0:
        return False
    if wanted.minor > 0 or c.is_patch_open:
        return version.minor == wanted.minor
    return version.minor == 0 and version.patch == wanted.patch


_CHECKS: dict[str, Callable[[Version, Constraint], bool]] = {
    "": _equal,
    "=": _equal,
    "!=": _not_equal,
    ">": _greater,
    "<": _less,
    ">=": _at_least,
    "=>": _at_least,
    "<=": _at_most,
    "=<": _at_most,
    "~": _tilde,
    "~>": _tilde,
    "^": _caret,
}


@functools.lru_cache(maxsize=512)
def parse_constraint(text: str) -> tuple[tuple[Constraint, ...], ...]:
    """Read a constraint: alternatives (``||``) of comparisons that must all hold; raises GoError."""
    if len(text) > _LONGEST or not text.isascii():
        raise GoError(f"improper constraint: {text[:80]}")
    for match in list(_RANGE.finditer(text)):
        bounds = f">= {match.group(1)}, <= {match.group(2)} "
        text = text.replace(match.group(), bounds, 1)
    return tuple(_all_of(part) for part in text.split("||"))


def _all_of(text: str) -> tuple[Constraint, ...]:
    if not _VALID.search(text):
        raise GoError(f"improper constraint: {text}")
    found = [match.group() for match in _FIND.finditer(text)]
    return tuple(_comparison(one) for one in found or [text])


def _comparison(text: str) -> Constraint:
    match = _ONE.search(text)
    if match is None:
        raise GoError(f"improper constraint: {text}")
    operator = match.group(1) or ""
    major, minor, patch = ((match.group(i) or "").removeprefix(".") for i in (3, 4, 5))
    tail = match.group(6) or ""
    try:
        if _is_any(major):
            return Constraint(operator, parse_version(f"0.0.0{tail}"), is_open=True)
        if _is_any(minor):
            version = parse_version(f"{major}.0.0{tail}")
            return Constraint(operator, version, is_open=True, is_minor_open=True)
        if _is_any(patch):
            version = parse_version(f"{major}.{minor}.0{tail}")
            return Constraint(operator, version, is_open=True, is_patch_open=True)
        whole = (match.group(2) or "").removeprefix("v")
        return Constraint(operator, parse_version(whole))
    except GoError as error:
        raise GoError("constraint Parser Error") from error


def _is_any(part: str) -> bool:
    return part in ("", "x", "X", "*")


def satisfies(constraint: str, version: str) -> bool:
    """Tell whether a version satisfies a constraint; raises GoError."""
    alternatives = parse_constraint(constraint)
    parsed = parse_version(version)
    return any(all(one.allows(parsed) for one in every) for every in alternatives)


SEMVER.add("semverCompare", "string string -> bool", satisfies)
SEMVER.add("semver", "string -> any", parse_version)


def _next(version: Version, major: int, minor: int, patch: int) -> Version:
    made = Version(major, minor, patch)
    mark = "v" if version.original.startswith("v") else ""
    return replace(made, original=mark + made.text())


def _next_patch(version: Version) -> Version:
    return _next(version, version.major, version.minor, version.patch + (not version.pre))


def _part(name: str) -> tuple[str, Callable[[Version], GoValue]]:
    return "-> any", lambda version: Uint64(getattr(version, name))


_ORDER = "version -> bool"
Version.methods = methods(
    Major=_part("major"),
    Minor=_part("minor"),
    Patch=_part("patch"),
    Prerelease=("-> string", lambda version: version.pre),
    Metadata=("-> string", lambda version: version.metadata),
    Original=("-> string", lambda version: version.original),
    String=("-> string", Version.text),
    IncMajor=("-> any", lambda version: _next(version, version.major + 1, 0, 0)),
    IncMinor=("-> any", lambda version: _next(version, version.major, version.minor + 1, 0)),
    IncPatch=("-> any", _next_patch),
    Compare=("version -> int", Version.compare),
    Equal=(_ORDER, lambda version, other: version.compare(other) == 0),
    LessThan=(_ORDER, lambda version, other: version.compare(other) < 0),
    LessThanEqual=(_ORDER, lambda version, other: version.compare(other) <= 0),
    GreaterThan=(_ORDER, lambda version, other: version.compare(other) > 0),
    GreaterThanEqual=(_ORDER, lambda version, other: version.compare(other) >= 0),
)
