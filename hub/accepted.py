"""What is in force of each ApplicationSet: the last rows that were good, and the sizes they are judged against.

Durable, so that a restart during an outage of a source changes nothing. Applications written by hand are kept
under the empty name, so that the fleet-wide budget also knows what was there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

import msgspec

from fleet.argo.application import read_application
from fleet.codec.jsontypes import JsonObject
from fleet.errors import FleetError, Where
from fleet.guard import Size
from fleet.model.application import Application
from fleet.model.identity import AppName
from fleet.store.port import Change, Delete, Kind, Put, Store

BY_HAND = ""
FLEET = "*fleet"


class _Row(msgspec.Struct, frozen=True):
    document: JsonObject
    row: str = ""
    file: str = ""
    line: int = 0


class _Record(msgspec.Struct, frozen=True):
    rows: tuple[_Row, ...] = ()
    sizes: tuple[tuple[datetime, int], ...] = ()
    outlive: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Applications of one set in force, by name, and the recent accepted sizes."""

    applications: Mapping[AppName, Application] = field(default_factory=dict)
    sizes: tuple[Size, ...] = ()
    outlive: bool = False
    """Its policy keeps the Applications: also when its document is gone, and the policy with it."""


NO_ROWS = Rows()


@dataclass(slots=True)
class Accepted:
    """All sets' rows, written through to the store."""

    store: Store
    _rows: dict[str, Rows] = field(default_factory=dict)
    _saved: dict[str, bytes] = field(default_factory=dict)

    async def restore(self) -> None:
        """Read everything; a row that this version cannot read any more is dropped from its set."""
        self._saved = await self.store.load(Kind.ROWS)
        self._rows = {name: _decode(name, data) for name, data in self._saved.items()}

    def names(self) -> frozenset[str]:
        """Return the sets that have rows."""
        return frozenset(self._rows) - {BY_HAND, FLEET}

    def get(self, name: str) -> Rows:
        """Return what is in force of a set."""
        return self._rows.get(name, NO_ROWS)

    async def drop(self, name: str, application: AppName) -> None:
        """Take one Application out of a set's rows: nothing keeps it any more."""
        rows = self.get(name)
        left = {key: item for key, item in rows.applications.items() if key != application}
        await self.replace({**self._rows, name: replace(rows, applications=left)})

    async def replace(self, rows: Mapping[str, Rows]) -> None:
        """Put new rows in force: durable first, then visible; only what changed is written."""
        encoded = {name: _encode(item) for name, item in rows.items()}
        changes: list[Change] = [
            Put(Kind.ROWS, name, data)
            for name, data in encoded.items()
            if self._saved.get(name) != data
        ]
        changes += [Delete(Kind.ROWS, name) for name in self._saved if name not in encoded]
        if changes:
            await self.store.commit(*changes)
        self._saved = encoded
        self._rows = dict(rows)


def _encode(rows: Rows) -> bytes:
    return msgspec.json.encode(
        _Record(
            rows=tuple(_row(application) for application in rows.applications.values()),
            sizes=tuple((size.at, size.count) for size in rows.sizes),
            outlive=rows.outlive,
        )
    )


def _row(application: Application) -> _Row:
    where = application.where
    return _Row(application.document, application.row, where.file, where.line)


def _decode(name: str, data: bytes) -> Rows:
    record = msgspec.json.decode(data, type=_Record)
    return Rows(
        applications={item.name: item for item in _read_all(name, record.rows)},
        sizes=tuple(Size(at, count) for at, count in record.sizes),
        outlive=record.outlive,
    )


def _read_all(name: str, rows: Iterable[_Row]) -> Iterable[Application]:
    for row in rows:
        where = Where(file=row.file, line=row.line)
        try:
            yield replace(read_application(row.document, where=where), appset=name, row=row.row)
        except FleetError:
            continue
