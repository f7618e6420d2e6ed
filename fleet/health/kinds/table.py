"""Finds what is known of a kind: all tables in one, built-in kinds among them.

An entry for a kind wins over one for all kinds of its group, and a group over a glob of groups.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from fleet.health.kinds import builtin, clouds, data, delivery, network, platforms
from fleet.health.kinds.entry import Entry

_TABLES: tuple[Mapping[str, Mapping[str, Entry]], ...] = (
    builtin.ROWS,
    clouds.ROWS,
    data.ROWS,
    delivery.ROWS,
    network.ROWS,
    platforms.ROWS,
)


@dataclass(frozen=True, slots=True)
class Known:
    """What a table says of a kind; ``is_own`` is false for what it says of all kinds of a group."""

    entry: Entry
    is_own: bool


@functools.lru_cache(maxsize=1024)
def known(group: str, kind: str) -> Known | None:
    """Return the most specific entry for a kind."""
    found = [
        (_rank(groups, kinds), entry)
        for groups, kinds, entry in entries()
        if fnmatchcase(group, groups) and fnmatchcase(kind, kinds)
    ]
    if not found:
        return None
    rank, entry = max(found, key=lambda item: item[0])
    return Known(entry, is_own=rank[1])


def entries() -> Iterator[tuple[str, str, Entry]]:
    """Iterate over all entries, with the globs of their groups and kinds."""
    for table in _TABLES:
        for groups, rows in table.items():
            for group in groups.split() or [""]:
                for kinds, entry in rows.items():
                    for kind in kinds.split():
                        yield group, kind, entry


def _rank(group: str, kind: str) -> tuple[bool, bool, int]:
    return "*" not in group, "*" not in kind, len(group) + len(kind)
