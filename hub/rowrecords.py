"""Rows as they are in the store: one record for each Application, and one for what is kept of its owner besides.

What a version of the hub cannot read is `hub.unread`: its bytes go back into the store unchanged. Pure: bytes in, rows
out, and from two states of rows the changes that lead from one to the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import NamedTuple, TypeVar

import msgspec

from fleet.argo.application import read_application
from fleet.argo.appset import read_application_set
from fleet.argo.projects import read_project
from fleet.codec.equality import same
from fleet.codec.identity import has_same_keys, renewed
from fleet.codec.jsontypes import JsonObject
from fleet.codec.redaction import redact
from fleet.errors import FleetError, Where
from fleet.guard import Size
from fleet.model.application import Application
from fleet.model.appset import ApplicationSet
from fleet.model.identity import AppName
from fleet.model.project import AppProject
from fleet.store.port import Change, Delete, Kind, Put
from hub.rows import BY_HAND, NO_ROWS, Rows, is_set, owner_in_words
from hub.unread import Kind as What
from hub.unread import Unread

_T = TypeVar("_T")
_Named = TypeVar("_Named", ApplicationSet, AppProject)

_SEPARATOR = "\n"
"""Between an owner and its Application in the key of a record."""

NAMELESS = "?"
"""Stands for the name of a set or project that cannot even be read that far; no name has it."""


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
    appsets: tuple[msgspec.Raw, ...] = ()
    projects: tuple[msgspec.Raw, ...] = ()
    """Rows each: one that cannot be read spoils no other."""


class UnreadKey(NamedTuple):
    """Names an unread row; the record of an owner has no name, and several may be `NAMELESS`."""

    owner: str
    kind: What
    name: str
    number: int = 0


_Unread = Mapping[UnreadKey, Unread]


def is_replaced(key: UnreadKey, rows: Mapping[str, Rows]) -> bool:
    """Whether new rows say anew what could not be read; a record only if they know how many there are."""
    new = rows.get(key.owner)
    if new is None:
        return False
    match key.kind:
        case "Application":
            return key.name in new.applications
        case "ApplicationSet":
            return key.name in new.appsets
        case "AppProject":
            return key.name in new.projects
        case "Record":
            return bool(new.sizes) or key.owner == BY_HAND


def changes(
    old: Mapping[str, Rows], new: Mapping[str, Rows], before: _Unread, unread: _Unread
) -> Iterator[Change]:
    """What has to be written; an Application that is the same object is not compared."""
    for name in sorted(old.keys() | new.keys()):
        yield from _change_of_head(name, old.get(name), new.get(name), before, unread)
        known = old.get(name, NO_ROWS).applications
        wanted = new.get(name, NO_ROWS).applications
        if wanted is known:
            continue
        others = renewed(wanted, known)
        for app in others:
            if not same(known.get(app), wanted[app]):
                yield Put(Kind.ROWS, _key(name, app), msgspec.json.encode(_row(wanted[app])))
        if not has_same_keys(wanted, known, others):
            for app in known.keys() - wanted.keys():
                yield Delete(Kind.ROWS, _key(name, app))


def _change_of_head(
    name: str, old: Rows | None, new: Rows | None, before: _Unread, unread: _Unread
) -> Iterator[Change]:
    record = UnreadKey(name, "Record", "")
    if record in unread:
        return
    kept = [item for key, item in unread.items() if key.owner == name]
    head = _head(new or NO_ROWS, kept)
    if new is None and not (head.appsets or head.projects):
        yield Delete(Kind.ROWS, name)
        return
    had = [item for key, item in before.items() if key.owner == name]
    if old is None or record in before or _head(old, had) != head:
        yield Put(Kind.ROWS, name, msgspec.json.encode(head))


def removal(key: UnreadKey) -> Change:
    """What takes an unread Application out of the store."""
    return Delete(Kind.ROWS, _key(key.owner, AppName(key.name)))


def _key(owner: str, application: AppName) -> str:
    return f"{owner}{_SEPARATOR}{application}"


def _head(rows: Rows, unread: Iterable[Unread]) -> _Record:
    kept = sorted(unread, key=lambda item: (item.name, item.data))
    return _Record(
        sizes=tuple((size.at, size.count) for size in rows.sizes),
        outlive=rows.outlive,
        appsets=_documents(rows.appsets.values(), kept, "ApplicationSet"),
        projects=_documents(rows.projects.values(), kept, "AppProject"),
    )


def _documents(
    items: Iterable[ApplicationSet | AppProject], unread: Iterable[Unread], kind: What
) -> tuple[msgspec.Raw, ...]:
    found = [msgspec.json.encode(_document(item)) for item in items]
    found += [item.data for item in unread if item.kind == kind]
    return tuple(msgspec.Raw(data) for data in found)


def _row(application: Application) -> _Row:
    where = application.where
    return _Row(application.document, application.row, where.file, where.line, application.parents)


def _document(item: ApplicationSet | AppProject) -> _Row:
    return _Row(item.document, "", item.where.file, item.where.line)


def decode(saved: Mapping[str, bytes]) -> tuple[dict[str, Rows], dict[UnreadKey, Unread]]:
    """Read all records; one without its owner's belongs to that owner nevertheless."""
    unread: dict[UnreadKey, Unread] = {}
    found: dict[str, Rows] = {}
    applications: dict[str, dict[AppName, Application]] = {}
    for key in sorted(saved):
        owner, separator, name = key.partition(_SEPARATOR)
        known = applications.setdefault(owner, {})
        if not separator:
            found[owner] = _of_head(owner, saved[key], unread)
            continue
        read = _read(saved[key], read_application)
        if isinstance(read, _Failure):
            _note(unread, owner, "Application", name, saved[key], read)
            continue
        row, item = read
        appset = owner if is_set(owner) else ""
        known[item.name] = replace(item, appset=appset, row=row.row, parents=row.parents)
    return {
        owner: replace(found.get(owner, NO_ROWS), applications=items)
        for owner, items in applications.items()
    }, unread


def _of_head(owner: str, data: bytes, unread: dict[UnreadKey, Unread]) -> Rows:
    try:
        record = msgspec.json.decode(data, type=_Record)
    except msgspec.MsgspecError as error:
        _note(unread, owner, "Record", "", data, _Failure(str(error)))
        return Rows(outlive=True)  # whether its policy lets anything go is unknown
    return Rows(
        appsets=_read_all(owner, "ApplicationSet", record.appsets, read_application_set, unread),
        projects=_read_all(owner, "AppProject", record.projects, read_project, unread),
        sizes=tuple(Size(at, count) for at, count in record.sizes),
        outlive=record.outlive,
    )


@dataclass(frozen=True, slots=True)
class _Failure:
    """Why a row cannot be read."""

    reason: str
    where: Where = field(default_factory=Where)


def _read(data: bytes | msgspec.Raw, read: Callable[..., _T]) -> tuple[_Row, _T] | _Failure:
    try:
        row = msgspec.json.decode(data, type=_Row)
        return row, read(row.document, where=Where(file=row.file, line=row.line))
    except FleetError as error:
        return _Failure(redact(error.message), error.where)
    except msgspec.MsgspecError as error:
        return _Failure(str(error))


def _read_all(
    owner: str,
    kind: What,
    rows: Iterable[msgspec.Raw],
    read: Callable[..., _Named],
    unread: dict[UnreadKey, Unread],
) -> dict[str, _Named]:
    found: dict[str, _Named] = {}
    for data in rows:
        result = _read(data, read)
        if isinstance(result, _Failure):
            _note(unread, owner, kind, _name_in(data), bytes(data), result)
        else:
            found[result[1].name] = result[1]
    return found


def _name_in(data: msgspec.Raw) -> str:
    """The name that a document says it has."""
    try:
        name: object = msgspec.json.decode(data)["document"]["metadata"]["name"]
    except (msgspec.MsgspecError, KeyError, TypeError):
        return NAMELESS
    return name if isinstance(name, str) and name else NAMELESS


def _note(
    unread: dict[UnreadKey, Unread],
    owner: str,
    kind: What,
    name: str,
    data: bytes,
    failure: _Failure,
) -> None:
    same_name = sum(1 for key in unread if key[:3] == (owner, kind, name))
    unread[UnreadKey(owner, kind, name, same_name)] = Unread(
        key=owner,
        owner=owner_in_words(owner),
        kind=kind,
        name=name,
        data=data,
        reason=failure.reason,
        where=failure.where,
    )
