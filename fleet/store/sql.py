"""Records in SQLite (the default) or PostgreSQL, through SQLAlchemy.

One writer task takes whatever commits are waiting and writes them in one transaction (group commit), so that
many small commits share one trip to the disk; each of them still succeeds or conflicts on its own. SQLite runs
in WAL mode with synchronous=FULL: what was acknowledged survives SIGKILL and power loss. Expectations are checked
by the statements themselves, so several processes on one database cannot overwrite each other unseen.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

import structlog
from sqlalchemy import URL, bindparam, event, make_url, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from fleet.errors import BadInput, Corrupt, FleetError, Transient
from fleet.store import schema, statements
from fleet.store.files import create_private
from fleet.store.port import Change, Kind

_LOAD = select(schema.RECORDS.c.key, schema.RECORDS.c.value).where(
    schema.RECORDS.c.kind == bindparam("kind")
)
_GET = select(schema.RECORDS.c.value).where(
    schema.RECORDS.c.kind == bindparam("kind"), schema.RECORDS.c.key == bindparam("key")
)
_BATCH = 256
_WAITING = 10_000
_log = structlog.get_logger(__name__)


class SqlStore:
    """The Store port on a database. Open with `SqlStore.open`, always close."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._records = statements.Records(
            postgresql.insert if engine.dialect.name == "postgresql" else sqlite.insert
        )
        self._queue: asyncio.Queue[_Waiting | None] = asyncio.Queue(_WAITING)
        self._writer = asyncio.create_task(self._write_forever(), name="store-writer")
        self._closing = False

    @classmethod
    async def open(cls, url: str) -> SqlStore:
        """Open ``sqlite:///FILE`` or ``postgresql://...`` and bring its tables up to date.

        Raises BadInput for another URL, Corrupt for a file that is no database, Transient where it cannot be had.
        """
        engine = _engine(url)
        try:
            with _translated("open"):
                await schema.upgrade(engine)
        except BaseException:
            await engine.dispose()
            raise
        return cls(engine)

    async def load(self, kind: Kind) -> dict[str, bytes]:
        """Return all records of a kind."""
        async with self._reading() as connection:
            rows = await connection.execute(_LOAD, {"kind": kind.value})
            return {row.key: bytes(row.value) for row in rows}

    async def get(self, kind: Kind, key: str) -> bytes | None:
        """Return one record."""
        async with self._reading() as connection:
            found = await connection.execute(_GET, {"kind": kind.value, "key": key})
            value = found.scalar_one_or_none()
            return None if value is None else bytes(value)

    async def commit(self, *changes: Change) -> None:
        """Write all changes or none; durable when this returns."""
        if self._closing or self._writer.done():
            raise Transient("the store is closed")
        if not changes:
            return
        waiting = _Waiting(changes)
        await self._queue.put(waiting)
        await waiting.done

    async def close(self) -> None:
        """Write what is waiting, then let go of the database."""
        if not self._closing:
            self._closing = True
            await self._queue.put(None)
        await asyncio.shield(self._writer)
        await self._engine.dispose()

    @contextlib.asynccontextmanager
    async def _reading(self) -> AsyncIterator[AsyncConnection]:
        with _translated("read"):
            async with self._engine.connect() as connection:
                yield connection

    async def _write_forever(self) -> None:
        while (first := await self._queue.get()) is not None:
            batch, more = [first], True
            while more and len(batch) < _BATCH and not self._queue.empty():
                following = self._queue.get_nowait()
                if following is None:
                    more = False
                else:
                    batch.append(following)
            try:
                await self._write_batch([waiting for waiting in batch if not waiting.done.done()])
            except BaseException:
                self._abandon(batch)
                raise
            if not more:
                return

    def _abandon(self, batch: list[_Waiting]) -> None:
        """Nobody waits for a writer that is gone."""
        while not self._queue.empty():
            if (waiting := self._queue.get_nowait()) is not None:
                batch.append(waiting)
        for waiting in batch:
            waiting.settle(Transient("the store's writer ended"))

    async def _write_batch(self, batch: Sequence[_Waiting]) -> None:
        """Write together; where one of them breaks the transaction, each alone, so that only that one fails."""
        if not batch:
            return
        try:
            outcomes = await self._transaction(batch)
        except FleetError as error:
            if len(batch) == 1:
                batch[0].settle(error)
                return
            _log.warning("store batch failed", commits=len(batch), error=error.message)
            for waiting in batch:
                await self._write_batch([waiting])
            return
        for waiting, outcome in zip(batch, outcomes, strict=True):
            waiting.settle(outcome)

    async def _transaction(self, batch: Sequence[_Waiting]) -> list[FleetError | None]:
        with _translated("write"):
            async with self._engine.begin() as connection:
                return [await self._records.apply(connection, waiting.changes) for waiting in batch]


class _Waiting:
    """One commit on its way."""

    __slots__ = ("changes", "done")

    def __init__(self, changes: Sequence[Change]) -> None:
        self.changes = changes
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def settle(self, error: FleetError | None) -> None:
        if self.done.done():
            return
        if error is None:
            self.done.set_result(None)
        else:
            self.done.set_exception(error)


def _engine(text: str) -> AsyncEngine:
    try:
        url = make_url(text)
    except ArgumentError as error:
        raise BadInput("not a database URL", hint="sqlite:///FILE or postgresql://...") from error
    match url.get_backend_name():
        case "sqlite":
            return _sqlite_engine(url)
        case "postgresql":
            return create_async_engine(
                url.set(drivername="postgresql+asyncpg"),
                pool_size=4,
                max_overflow=0,
                pool_pre_ping=True,
                connect_args={"timeout": 10, "command_timeout": 30},
            )
        case other:
            raise BadInput(f"databases of kind {other!r} are not supported")


def _sqlite_engine(url: URL) -> AsyncEngine:
    if not url.database or url.database == ":memory:":
        raise BadInput("the SQLite URL names no file", hint="sqlite:///FILE")
    create_private(Path(url.database))
    engine = create_async_engine(
        url.set(drivername="sqlite+aiosqlite"), pool_size=3, max_overflow=0
    )
    event.listen(engine.sync_engine, "connect", _configure_sqlite)
    event.listen(
        engine.sync_engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN")
    )
    return engine


def _configure_sqlite(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    # sqlite3 would begin and commit on its own and break savepoints; SQLAlchemy does it instead
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in (
        "busy_timeout = 10000",
        "journal_mode = WAL",
        "synchronous = FULL",
        "trusted_schema = OFF",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


@contextlib.contextmanager
def _translated(what: str) -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        raise _error(what, str(error.orig)) from error
    except (ValueError, OverflowError) as error:  # a driver's word for text or bytes it cannot take
        raise BadInput(f"the database cannot {what} this: {type(error).__name__}") from error
    except (SQLAlchemyError, OSError, TimeoutError) as error:
        raise _error(what, type(error).__name__) from error


def _error(what: str, text: str) -> FleetError:
    if "malformed" in text or "not a database" in text:
        return Corrupt(
            f"the database is damaged: {text}", hint="restore the state directory from a backup"
        )
    return Transient(f"the database cannot {what}: {text}")
