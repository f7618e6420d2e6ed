"""What is in force of each ApplicationSet: the last rows that were good, and the sizes they are judged against.

Durable, so that a restart during an outage of a source changes nothing. Applications written by hand are kept
under the empty name, so that the fleet-wide budget also knows what was there, and the children of an Application
(app of apps) under its name. A row that cannot be read (`hub.unread`) stays in the store as it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from fleet.guard import WINDOW
from fleet.model.identity import AppName
from fleet.store.port import Kind, Store
from hub import rowrecords
from hub.rowrecords import UnreadKey
from hub.rows import BY_HAND, FLEET, NO_ROWS, PARENT, Rows, is_set, owner_of
from hub.unread import Unread

__all__ = ["BY_HAND", "FLEET", "NO_ROWS", "PARENT", "Accepted", "Rows", "is_set", "owner_of"]


@dataclass(slots=True)
class Accepted:
    """All owners' rows, written through to the store."""

    store: Store
    version: int = 0
    """Grows with every change."""
    _rows: dict[str, Rows] = field(default_factory=dict)
    _unread: dict[UnreadKey, Unread] = field(default_factory=dict)
    _uncounted: dict[str, datetime | None] = field(default_factory=dict)
    """Owners whose record was unread, and since when that is known."""
    _writing: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def restore(self) -> None:
        """Read everything; a row that this version cannot read stays as it is, under `unread`."""
        saved = await self.store.load(Kind.ROWS)
        self._rows, self._unread = await asyncio.to_thread(rowrecords.decode, saved)
        self._uncounted = {key.owner: None for key in self._unread if key.kind == "Record"}

    def unread(self, rows: Mapping[str, Rows]) -> dict[UnreadKey, Unread]:
        """Return what cannot be read and is not said anew by new rows."""
        return {
            key: self._unread[key]
            for key in sorted(self._unread)
            if not rowrecords.is_replaced(key, rows)
        }

    def unread_of(self, owner: str) -> frozenset[AppName]:
        """Name the Applications of an owner that cannot be read: they stay, whatever is made of the others."""
        return frozenset(
            AppName(key.name)
            for key in self._unread
            if key.owner == owner and key.kind == "Application"
        )

    def unread_applications(self) -> frozenset[AppName]:
        """Name every Application that cannot be read."""
        return frozenset(AppName(key.name) for key in self._unread if key.kind == "Application")

    def is_unread_set(self, name: str) -> bool:
        """Whether an ApplicationSet may be a child whose row cannot be read: its document is not gone."""
        return any(
            (key.kind == "ApplicationSet" and key.name in (name, rowrecords.NAMELESS))
            or (key.kind == "Record" and key.owner.startswith(PARENT))
            for key in self._unread
        )

    def is_uncounted(self, owner: str, now: datetime) -> bool:
        """Whether sizes of the last day may be unknown: then nothing of an owner may go unasked."""
        if owner not in self._uncounted:
            return False
        since = self._uncounted[owner] = self._uncounted[owner] or now
        return now - since <= WINDOW

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
        """Take one Application out of an owner's rows: nothing keeps it any more."""
        async with self._writing:
            rows = self.get(name)
            key = UnreadKey(name, "Application", application)
            if key in self._unread:
                await self.store.commit(rowrecords.removal(key))
                self._unread = {other: item for other, item in self._unread.items() if other != key}
                self.version += 1
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
        unread = self.unread(rows)
        changes = await asyncio.to_thread(
            lambda: list(rowrecords.changes(self._rows, rows, self._unread, unread))
        )
        if changes:
            await self.store.commit(*changes)
        self._rows, self._unread = dict(rows), unread
        self.version += 1
