"""One commit as SQL statements: expectations are part of the statements, never a read before a write."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from sqlalchemy import ColumnElement, CursorResult, Executable, Table, delete, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from fleet.store.port import UNCHECKED, Change, Conflict, Delete, Put
from fleet.store.schema import RECORDS

Insert: TypeAlias = Callable[[Table], sqlite.Insert | postgresql.Insert]


class Records:
    """Applies commits inside a transaction of the caller."""

    def __init__(self, insert: Insert) -> None:
        statement = insert(RECORDS)
        self._insert = statement.on_conflict_do_nothing(index_elements=["kind", "key"])
        self._upsert = statement.on_conflict_do_update(
            index_elements=["kind", "key"], set_={"value": statement.excluded.value}
        )

    async def apply(
        self, connection: AsyncConnection, changes: Sequence[Change]
    ) -> Conflict | None:
        """Write all changes, or none and say which expectation failed."""
        if all(isinstance(change, Delete) or change.expect is UNCHECKED for change in changes):
            await self._write(connection, changes)
            return None
        savepoint = await connection.begin_nested()
        try:
            await self._write(connection, changes)
        except Conflict as conflict:
            await savepoint.rollback()
            return conflict
        await savepoint.commit()
        return None

    async def _write(self, connection: AsyncConnection, changes: Sequence[Change]) -> None:
        rows: list[dict[str, str | bytes]] = []
        for change in changes:
            if isinstance(change, Put) and change.expect is UNCHECKED:
                rows.append(_row(change))
                continue
            await self._flush(connection, rows)
            await self._checked(connection, change)
        await self._flush(connection, rows)

    async def _flush(self, connection: AsyncConnection, rows: list[dict[str, str | bytes]]) -> None:
        if rows:
            await connection.execute(self._upsert, rows)
            rows.clear()

    async def _checked(self, connection: AsyncConnection, change: Change) -> None:
        match change:
            case Delete():
                await connection.execute(delete(RECORDS).where(*_is(change)))
            case Put(expect=None):
                await _one(connection, change, self._insert.values(_row(change)))
            case Put():
                statement = (
                    update(RECORDS)
                    .where(*_is(change), RECORDS.c.value == change.expect)
                    .values(value=change.value)
                )
                await _one(connection, change, statement)


async def _one(connection: AsyncConnection, change: Put, statement: Executable) -> None:
    result = await connection.execute(statement)
    assert isinstance(result, CursorResult)
    if result.rowcount != 1:
        raise conflict(change)


def conflict(change: Put) -> Conflict:
    """Say which record was not as expected."""
    state = "exists already" if change.expect is None else "has changed meanwhile"
    return Conflict(f"record {change.kind}/{change.key} {state}")


def _row(change: Put) -> dict[str, str | bytes]:
    return {"kind": change.kind.value, "key": change.key, "value": change.value}


def _is(change: Change) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return (RECORDS.c.kind == change.kind.value, RECORDS.c.key == change.key)
