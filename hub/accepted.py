"""What is in force of each ApplicationSet: the last rows that were good, and the sizes they are judged against.

Durable, so that a restart during an outage of a source changes nothing. Applications written by hand are kept
under the empty name, so that the fleet-wide budget also knows what was there, and the children of an Application
(app of apps) under its name.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol, TypeVar

import msgspec

from fleet.argo.application import read_application
from fleet.argo.appset import read_application_set
from fleet.argo.projects import read_project
from fleet.codec.equality import same
from fleet.codec.jsontypes import JsonObject
from fleet.errors import FleetError, Where
from fleet.guard import Size
from fleet.model.application import Application
from fleet.model.appset import ApplicationSet
from fleet.model.identity import AppName
from fleet.model.project import AppProject
from fleet.store.port import Change, Delete, Kind, Put, Store

T_co = TypeVar("T_co", covariant=True)

_SEPARATOR = "\n"
"""Between an owner and its Application in the key of a record."""

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
    """What is kept of an owner besides its Applications, of which each is a record of its own."""

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
    version: int = 0
    """Grows with every change."""
    _rows: dict[str, Rows] = field(default_factory=dict)
    _writing: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def restore(self) -> None:
        """Read everything; a row that this version cannot read any more is dropped from its set."""
        saved = await self.store.load(Kind.ROWS)
        self._rows = await asyncio.to_thread(_decode, saved)

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
        async with self._writing:
            rows = self.get(name)
            if application not in rows.applications:
                return
            left = {key: item for key, item in rows.applications.items() if key != application}
            await self._write({**self._rows, name: replace(rows, applications=left)})

    async def replace(self, rows: Mapping[str, Rows], *, version: int) -> bool:
        """Put new rows in force: durable first, then visible; only what changed is written.

        False, and nothing else, if what they were made from (``version``) has changed meanwhile.
        """
        async with self._writing:
            if version != self.version:
                return False
            await self._write(rows)
            return True

    async def _write(self, rows: Mapping[str, Rows]) -> None:
        changes = await asyncio.to_thread(lambda: list(_changes(self._rows, rows)))
        if changes:
            await self.store.commit(*changes)
        self._rows = dict(rows)
        self.version += 1


def is_set(name: str) -> bool:
    """Whether rows are those of an ApplicationSet."""
    return name not in (BY_HAND, FLEET) and not name.startswith(PARENT)


def owner_of(application: Application) -> str:
    """Return the name under which an Application is kept."""
    if application.appset or not application.parents:
        return application.appset
    return PARENT + application.parents[-1]


def _changes(old: Mapping[str, Rows], new: Mapping[str, Rows]) -> Iterator[Change]:
    """What has to be written; an Application that is the same object is not compared."""
    for name, rows in new.items():
        head, before = _head(rows), old.get(name)
        if before is None or _head(before) != head:
            yield Put(Kind.ROWS, name, msgspec.json.encode(head))
        known = before.applications if before else NO_ROWS.applications
        if rows.applications is known:
            continue
        for app, item in rows.applications.items():
            if not same(known.get(app), item):
                yield Put(Kind.ROWS, _key(name, app), msgspec.json.encode(_row(item)))
        for app in known.keys() - rows.applications.keys():
            yield Delete(Kind.ROWS, _key(name, app))
    for name in old.keys() - new.keys():
        yield Delete(Kind.ROWS, name)
        for app in old[name].applications:
            yield Delete(Kind.ROWS, _key(name, app))


def _key(owner: str, application: AppName) -> str:
    return f"{owner}{_SEPARATOR}{application}"


def _head(rows: Rows) -> _Record:
    return _Record(
        sizes=tuple((size.at, size.count) for size in rows.sizes),
        outlive=rows.outlive,
        appsets=tuple(_document(item) for item in rows.appsets.values()),
        projects=tuple(_document(item) for item in rows.projects.values()),
    )


def _row(application: Application) -> _Row:
    where = application.where
    return _Row(application.document, application.row, where.file, where.line, application.parents)


def _document(item: ApplicationSet | AppProject) -> _Row:
    return _Row(item.document, "", item.where.file, item.where.line)


def _decode(saved: Mapping[str, bytes]) -> dict[str, Rows]:
    heads = msgspec.json.Decoder(_Record)
    found = {
        name: _of_head(heads.decode(data)) for name, data in saved.items() if _SEPARATOR not in name
    }
    applications: dict[str, dict[AppName, Application]] = {name: {} for name in found}
    decoder = msgspec.json.Decoder(_Row)
    for key in sorted(saved):
        name, separator, _ = key.partition(_SEPARATOR)
        if separator and name in applications:
            for row, item in _read_all([decoder.decode(saved[key])], read_application):
                appset = name if is_set(name) else ""
                applications[name][item.name] = replace(
                    item, appset=appset, row=row.row, parents=row.parents
                )
    return {name: replace(rows, applications=applications[name]) for name, rows in found.items()}


def _of_head(record: _Record) -> Rows:
    return Rows(
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
