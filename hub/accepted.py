"""What is in force of each ApplicationSet: the last rows that were good, and the sizes they are judged against.

Durable, so that a restart during an outage of a source changes nothing. Applications written by hand are kept
under the empty name, so that the fleet-wide budget also knows what was there, and the children of an Application
(app of apps) under its name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol, TypeVar

import msgspec

from fleet.argo.application import read_application
from fleet.argo.appset import read_application_set
from fleet.argo.projects import read_project
from fleet.codec.jsontypes import JsonObject
from fleet.errors import FleetError, Where
from fleet.guard import Size
from fleet.model.application import Application
from fleet.model.appset import ApplicationSet
from fleet.model.identity import AppName
from fleet.model.project import AppProject
from fleet.store.port import Change, Delete, Kind, Put, Store

T_co = TypeVar("T_co", covariant=True)

BY_HAND = ""
FLEET = "*fleet"
PARENT = "app/"
"""What the name begins with under which the children of an Application are kept; no set has a slash in its name."""


class _Row(msgspec.Struct, frozen=True):
    document: JsonObject
    row: str = ""
    file: str = ""
    line: int = 0
    parents: tuple[AppName, ...] = ()


class _Record(msgspec.Struct, frozen=True):
    rows: tuple[_Row, ...] = ()
    sizes: tuple[tuple[datetime, int], ...] = ()
    outlive: bool = False
    appsets: tuple[_Row, ...] = ()
    projects: tuple[_Row, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """What is in force of one owner, by name, and the recent accepted sizes."""

    applications: Mapping[AppName, Application] = field(default_factory=dict)
    appsets: Mapping[str, ApplicationSet] = field(default_factory=dict)
    """Beside Applications an Application may bring these; a set never does."""
    projects: Mapping[str, AppProject] = field(default_factory=dict)
    sizes: tuple[Size, ...] = ()
    outlive: bool = False
    """Its policy keeps the Applications: also when its document is gone, and the policy with it."""

    @property
    def is_empty(self) -> bool:
        """Whether nothing is in force."""
        return not (self.applications or self.appsets or self.projects)


NO_ROWS = Rows()


@dataclass(slots=True)
class Accepted:
    """All owners' rows, written through to the store."""

    store: Store
    _rows: dict[str, Rows] = field(default_factory=dict)
    _saved: dict[str, bytes] = field(default_factory=dict)

    async def restore(self) -> None:
        """Read everything; a row that this version cannot read any more is dropped from its set."""
        self._saved = await self.store.load(Kind.ROWS)
        self._rows = {name: _decode(name, data) for name, data in self._saved.items()}

    def names(self) -> frozenset[str]:
        """Return the sets that have rows."""
        return frozenset(name for name in self._rows if is_set(name))

    def parents(self) -> frozenset[AppName]:
        """Return the Applications that have children in force."""
        return frozenset(
            AppName(name.removeprefix(PARENT)) for name in self._rows if name.startswith(PARENT)
        )

    def get(self, name: str) -> Rows:
        """Return what is in force of an owner: a set, ``app/PARENT``, or what is written by hand."""
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


def is_set(name: str) -> bool:
    """Whether rows are those of an ApplicationSet."""
    return name not in (BY_HAND, FLEET) and not name.startswith(PARENT)


def owner_of(application: Application) -> str:
    """Return the name under which an Application is kept."""
    if application.appset or not application.parents:
        return application.appset
    return PARENT + application.parents[-1]


def _encode(rows: Rows) -> bytes:
    return msgspec.json.encode(
        _Record(
            rows=tuple(_row(application) for application in rows.applications.values()),
            sizes=tuple((size.at, size.count) for size in rows.sizes),
            outlive=rows.outlive,
            appsets=tuple(_document(item) for item in rows.appsets.values()),
            projects=tuple(_document(item) for item in rows.projects.values()),
        )
    )


def _row(application: Application) -> _Row:
    where = application.where
    return _Row(application.document, application.row, where.file, where.line, application.parents)


def _document(item: ApplicationSet | AppProject) -> _Row:
    return _Row(item.document, "", item.where.file, item.where.line)


def _decode(name: str, data: bytes) -> Rows:
    record = msgspec.json.decode(data, type=_Record)
    appset = name if is_set(name) else ""
    applications = (
        replace(item, appset=appset, row=row.row, parents=row.parents)
        for row, item in _read_all(record.rows, read_application)
    )
    return Rows(
        applications={item.name: item for item in applications},
        appsets={item.name: item for _, item in _read_all(record.appsets, read_application_set)},
        projects={item.name: item for _, item in _read_all(record.projects, read_project)},
        sizes=tuple(Size(at, count) for at, count in record.sizes),
        outlive=record.outlive,
    )


class _Reading(Protocol[T_co]):
    def __call__(self, document: JsonObject, /, *, where: Where) -> T_co: ...


def _read_all(rows: Iterable[_Row], read: _Reading[T_co]) -> Iterator[tuple[_Row, T_co]]:
    for row in rows:
        try:
            yield row, read(row.document, where=Where(file=row.file, line=row.line))
        except FleetError:
            continue
