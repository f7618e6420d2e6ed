"""A Helm repository's ``index.yaml`` as values: which versions of which chart, at which URL, with which digest.

Lenient where Helm is (an entry that makes no sense is left out), strict about what is used later. Run as a program it
reads YAML from standard input and prints the values as JSON: big indexes are parsed in a child process, because the
parser holds the interpreter for seconds.
"""

from __future__ import annotations

import re
import resource
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from fleet.codec import canonical, yamldoc
from fleet.codec.jsontypes import JsonObject, JsonValue
from fleet.errors import BadInput
from fleet.model import semver

_HEX = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,250}[A-Za-z0-9])?")
_LIMITS = yamldoc.Limits(size=256 * 1024 * 1024, nodes=20_000_000, depth=100)
_MEMORY_BYTES = 3 * 1024**3
"""Of the child process."""


@dataclass(frozen=True, slots=True)
class ChartVersion:
    """One version of a chart: its digest (``sha256:…``; "" = the repository tells none) and where it lies."""

    version: str
    digest: str
    url: str


Index = Mapping[str, tuple[ChartVersion, ...]]
"""Chart name to its versions, highest first."""


def parse_index(data: bytes) -> Index:
    """Read an index; raises BadInput for a text that is none."""
    value = yamldoc.load_one(data, source="index.yaml", limits=_LIMITS)
    entries = value.get("entries") if isinstance(value, dict) else None
    if not isinstance(entries, dict):
        raise BadInput("index.yaml has no entries; it is not the index of a Helm repository")
    return {
        str(name): _versions(rows)
        for name, rows in entries.items()
        if isinstance(rows, list) and is_chart_name(str(name))
    }


def is_chart_name(name: str) -> bool:
    """Say whether a chart's name is one safe path segment."""
    return bool(_NAME.fullmatch(name)) and ".." not in name


def choose(versions: tuple[ChartVersion, ...], wanted: str, what: str) -> ChartVersion:
    """Pick the exact version, else the highest in the range ("" = any release); raises BadInput."""
    for version in versions:
        if version.version == wanted:
            return version
    constraint = semver.Constraint.parse(wanted or "*")
    best = semver.highest(constraint, (version.version for version in versions))
    for version in versions:
        if best and version.version == best:
            return version
    newest = ", ".join(version.version for version in versions[:3])
    raise BadInput(
        f"{what} has no version {wanted!r}", hint=f"newest: {newest}" if newest else "no versions"
    )


def encode(index: Index) -> JsonObject:
    """Make a JSON value."""
    return {
        name: [[row.version, row.digest, row.url] for row in rows] for name, rows in index.items()
    }


def decode(value: JsonValue) -> Index:
    """Read what `encode` made."""
    return {name: tuple(ChartVersion(*row) for row in rows) for name, rows in value.items()}


def _versions(rows: list[JsonValue]) -> tuple[ChartVersion, ...]:
    found: dict[str, ChartVersion] = {}
    for row in rows:
        if isinstance(row, dict) and (version := _version(row)):
            found.setdefault(version.version, version)
    return tuple(
        sorted(found.values(), key=lambda each: semver.Version.parse(each.version), reverse=True)
    )


def _version(row: JsonObject) -> ChartVersion | None:
    version, urls, digest = row.get("version"), row.get("urls"), row.get("digest")
    if isinstance(version, (int, float)):
        version = str(version)
    if not isinstance(version, str) or not semver.is_version(version):
        return None
    if not (isinstance(urls, list) and urls and isinstance(urls[0], str)):
        return None
    text = digest.removeprefix("sha256:").lower() if isinstance(digest, str) else ""
    return ChartVersion(version, f"sha256:{text}" if _HEX.fullmatch(text) else "", urls[0])


def main() -> int:
    """Read an index from standard input, print it as JSON, or one line about what is wrong."""
    resource.setrlimit(resource.RLIMIT_DATA, (_MEMORY_BYTES, _MEMORY_BYTES))
    try:
        index = parse_index(sys.stdin.buffer.read())
    except BadInput as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except MemoryError:
        sys.stderr.write(f"index.yaml needs more than {_MEMORY_BYTES} bytes of memory to read\n")
        return 1
    sys.stdout.buffer.write(canonical.canonical_bytes(encode(index)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
