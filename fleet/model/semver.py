"""Versions and version ranges as Masterminds/semver (3.4) reads them, the library of Helm, Argo CD and sprig.

Versions are read loosely: a leading ``v``, missing minor and patch numbers. Ranges know ``= != > < >= <= ~ ^``,
wildcards (``1.2.x``, ``*``), hyphen ranges (``1.2 - 1.4``), ``,`` or blank for and, ``||`` for or. A pre-release
matches only where some part of the same and-group names one. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import total_ordering

from fleet.errors import BadInput

_NUMBER = r"[0-9]{1,19}"
_TAIL = r"(?:-(?P<pre>[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?(?:\+(?P<meta>[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?"
_VERSION = re.compile(
    rf"v?(?P<major>{_NUMBER})(?:\.(?P<minor>{_NUMBER}))?(?:\.(?P<patch>{_NUMBER}))?{_TAIL}"
)
_PART = rf"(?:{_NUMBER}|[xX*])"
_LOOSE = (
    rf"v?{_PART}(?:\.{_PART})?(?:\.{_PART})?"
    r"(?:-[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?"
)
_BOUND = re.compile(
    rf"v?(?P<major>{_PART})(?:\.(?P<minor>{_PART}))?(?:\.(?P<patch>{_PART}))?{_TAIL}"
)
_OPERATOR = r"(?:=>|=<|>=|<=|!=|~>|[=><~^])?"
_TERM = re.compile(rf"({_OPERATOR})\s*({_LOOSE})")
_GROUP = re.compile(rf"\s*{_OPERATOR}\s*{_LOOSE}(?:(?:\s+|\s*,\s*){_OPERATOR}\s*{_LOOSE})*\s*")
_HYPHEN = re.compile(rf"\s*({_LOOSE})\s+-\s+({_LOOSE})\s*")
_MAX_LENGTH = 256


@total_ordering
@dataclass(frozen=True, slots=True, eq=False)
class Version:
    """A version; build metadata counts neither for equality nor for order."""

    major: int
    minor: int = 0
    patch: int = 0
    prerelease: str = ""
    metadata: str = ""
    original: str = ""

    @classmethod
    def parse(cls, text: str) -> Version:
        """Read ``1``, ``v1.2``, ``1.2.3-rc.1+build``; raises BadInput."""
        match = _VERSION.fullmatch(text) if len(text) <= _MAX_LENGTH else None
        if not match:
            raise BadInput(f"not a semantic version: {text[:80]!r}")
        major, minor, patch = (int(match[name] or 0) for name in ("major", "minor", "patch"))
        return cls(major, minor, patch, match["pre"] or "", match["meta"] or "", text)

    def __str__(self) -> str:
        pre = f"-{self.prerelease}" if self.prerelease else ""
        meta = f"+{self.metadata}" if self.metadata else ""
        return f"{self.major}.{self.minor}.{self.patch}{pre}{meta}"

    @property
    def numbers(self) -> tuple[int, int, int]:
        """Major, minor and patch."""
        return self.major, self.minor, self.patch

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Version):
            return NotImplemented
        return self._order == other._order

    def __lt__(self, other: Version) -> bool:
        return self._order < other._order

    def __hash__(self) -> int:
        return hash(self._order)

    @property
    def _order(self) -> tuple[tuple[int, int, int], bool, tuple[tuple[bool, int, str], ...]]:
        """Numbers; then a pre-release before its release; then its parts, numeric ones first."""
        parts = self.prerelease.split(".") if self.prerelease else []
        keys = (
            (
                not part.isdigit(),
                int(part) if part.isdigit() else 0,
                part if not part.isdigit() else "",
            )
            for part in parts
        )
        return self.numbers, not self.prerelease, tuple(keys)


@dataclass(frozen=True, slots=True)
class _Bound:
    """One comparison: a version whose missing or wildcard parts are 0 and remembered as open."""

    operator: str
    version: Version
    open: bool
    open_minor: bool
    open_patch: bool


@dataclass(frozen=True, slots=True)
class Constraint:
    """A range: groups of comparisons; any group, all of its comparisons."""

    groups: tuple[tuple[_Bound, ...], ...]

    @classmethod
    def parse(cls, text: str) -> Constraint:
        """Read a range; raises BadInput."""
        if len(text) > _MAX_LENGTH:
            raise BadInput(f"version range is longer than {_MAX_LENGTH} characters")
        return cls(tuple(_group(text, part) for part in text.split("||")))

    def matches(self, version: Version) -> bool:
        """Say whether the version lies in the range."""
        return any(_matches(group, version) for group in self.groups)


def is_version(text: str) -> bool:
    """Say whether the text is one version (a pin, not a range)."""
    return len(text) <= _MAX_LENGTH and bool(_VERSION.fullmatch(text))


def is_constraint(text: str) -> bool:
    """Say whether the text is a range; a single version is one too."""
    try:
        Constraint.parse(text)
    except BadInput:
        return False
    return True


def highest(constraint: Constraint, texts: Iterable[str]) -> str:
    """Pick the text with the highest version in the range, or an empty text; other texts are skipped.

    Of two spellings of one version (``v1.0.0``, ``1.0.0``) the first in sorted order is picked.
    """
    versions = [Version.parse(text) for text in sorted(texts) if is_version(text)]
    return max(filter(constraint.matches, versions), default=Version(0)).original


def _group(text: str, part: str) -> tuple[_Bound, ...]:
    part = _HYPHEN.sub(r" >=\1 <=\2 ", part)
    if not _GROUP.fullmatch(part):
        raise BadInput(f"not a version or a version range: {text[:80]!r}")
    return tuple(_bound(match[1], match[2]) for match in _TERM.finditer(part))


def _bound(operator: str, text: str) -> _Bound:
    match = _BOUND.fullmatch(text)
    assert match
    closed = [
        match[name] is not None and match[name].isdigit() for name in ("major", "minor", "patch")
    ]
    given = closed.index(False) if False in closed else 3  # what follows an open part is open too
    names = ("major", "minor", "patch")
    major, minor, patch = (int(match[name]) if at < given else 0 for at, name in enumerate(names))
    version = Version(major, minor, patch, match["pre"] or "")
    return _Bound(operator, version, given < 3, given == 1, given == 2)


def _matches(group: tuple[_Bound, ...], version: Version) -> bool:
    if version.prerelease and not any(bound.version.prerelease for bound in group):
        return False
    return all(_COMPARE[bound.operator](version, bound) for bound in group)


def _equal(version: Version, bound: _Bound) -> bool:
    return _tilde(version, bound) if bound.open else version == bound.version


def _not_equal(version: Version, bound: _Bound) -> bool:
    if bound.open_minor:
        return version.major != bound.version.major
    if bound.open_patch:
        differs = version.numbers[:2] != bound.version.numbers[:2]
        return differs or version.prerelease != bound.version.prerelease
    return version != bound.version


def _greater(version: Version, bound: _Bound) -> bool:
    """``>11`` means the next major, ``>11.1`` the next minor."""
    if bound.open_minor:
        return version.major > bound.version.major
    if bound.open_patch:
        return version.numbers[:2] > bound.version.numbers[:2]
    return version > bound.version


def _less_equal(version: Version, bound: _Bound) -> bool:
    """``<=11`` admits all of 11, ``<=11.1`` all of 11.1."""
    if not bound.open:
        return version <= bound.version
    if bound.open_minor:
        return version.major <= bound.version.major
    return version.numbers[:2] <= bound.version.numbers[:2]


def _tilde(version: Version, bound: _Bound) -> bool:
    low = bound.version
    if version < low:
        return False
    if low == Version(0) and not (bound.open_minor or bound.open_patch):
        return True
    return version.major == low.major and (bound.open_minor or version.minor == low.minor)


def _caret(version: Version, bound: _Bound) -> bool:
    """Same leftmost number that is not 0."""
    low = bound.version
    if version < low or version.major != low.major:
        return False
    if low.major > 0 or bound.open_minor:
        return True
    if low.minor > 0 or bound.open_patch or version.minor != low.minor:
        return version.minor == low.minor
    return version.patch == low.patch


_COMPARE: dict[str, Callable[[Version, _Bound], bool]] = {
    "": _equal,
    "=": _equal,
    "!=": _not_equal,
    ">": _greater,
    "<": lambda version, bound: version < bound.version,
    ">=": lambda version, bound: version >= bound.version,
    "=>": lambda version, bound: version >= bound.version,
    "<=": _less_equal,
    "=<": _less_equal,
    "~": _tilde,
    "~>": _tilde,
    "^": _caret,
}
