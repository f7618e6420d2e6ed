"""Sprig's functions on versions; the rules are those of ``fleet.model.semver``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from fleet.errors import BadInput
from fleet.model import semver
from fleet.templating.errors import GoError
from fleet.templating.functions import Table, methods
from fleet.templating.values import GoObject, GoValue, Uint64

SEMVER = Table()


@dataclass(frozen=True, slots=True)
class GoVersion(GoObject):
    """A version with the methods that templates call on it."""

    go_type = "*semver.Version"
    kind = "ptr"

    version: semver.Version

    def text(self) -> str:
        """Return the full version, without a leading ``v``."""
        return str(self.version)


def _parse(text: str) -> semver.Version:
    try:
        version = semver.Version.parse(text)
    except BadInput as error:
        raise GoError("invalid semantic version") from error
    parts = version.prerelease.split(".")
    if any(part.isdigit() and len(part) > 1 and part[0] == "0" for part in parts):
        raise GoError("version segment starts with 0")
    return version


@SEMVER.define("semver", "string -> any")
def _semver(text: str) -> GoValue:
    return GoVersion(_parse(text))


@SEMVER.define("semverCompare", "string string -> bool")
def _semver_compare(constraint: str, text: str) -> GoValue:
    try:
        parsed = semver.Constraint.parse(constraint)
    except BadInput as error:
        raise GoError(f"improper constraint: {constraint[:80]}") from error
    return parsed.matches(_parse(text))


def _next(version: semver.Version, major: int, minor: int, patch: int) -> GoVersion:
    made = semver.Version(major, minor, patch)
    mark = "v" if version.original.startswith("v") else ""
    return GoVersion(semver.Version(major, minor, patch, original=f"{mark}{made}"))


def _next_patch(value: GoVersion) -> GoVersion:
    version = value.version
    return _next(version, version.major, version.minor, version.patch + (not version.prerelease))


def _number(name: str) -> tuple[str, Callable[[GoVersion], GoValue]]:
    return "-> any", lambda value: Uint64(getattr(value.version, name))


def _part(name: str) -> tuple[str, Callable[[GoVersion], GoValue]]:
    return "-> string", lambda value: getattr(value.version, name)


def _compare(value: GoVersion, other: GoVersion) -> int:
    return (value.version > other.version) - (value.version < other.version)


_ORDER = "version -> bool"
GoVersion.methods = methods(
    Major=_number("major"),
    Minor=_number("minor"),
    Patch=_number("patch"),
    Prerelease=_part("prerelease"),
    Metadata=_part("metadata"),
    Original=_part("original"),
    String=("-> string", GoVersion.text),
    IncMajor=("-> any", lambda value: _next(value.version, value.version.major + 1, 0, 0)),
    IncMinor=(
        "-> any",
        lambda value: _next(value.version, value.version.major, value.version.minor + 1, 0),
    ),
    IncPatch=("-> any", _next_patch),
    Compare=("version -> int", _compare),
    Equal=(_ORDER, lambda value, other: value.version == other.version),
    LessThan=(_ORDER, lambda value, other: value.version < other.version),
    LessThanEqual=(_ORDER, lambda value, other: value.version <= other.version),
    GreaterThan=(_ORDER, lambda value, other: value.version > other.version),
    GreaterThanEqual=(_ORDER, lambda value, other: value.version >= other.version),
)
