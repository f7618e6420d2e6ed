"""The table of records and how a database gets it: alembic migrations, one transaction, once.

Migrations live in `fleet.store.migrations`; alembic itself is loaded only where one has to run.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Column, Connection, LargeBinary, MetaData, String, Table, inspect, text
from sqlalchemy.ext.asyncio import AsyncEngine

from fleet.errors import Denied

REVISION = "0001"
"""The newest migration."""

METADATA = MetaData()
RECORDS = Table(
    "records",
    METADATA,
    Column("kind", String(32), primary_key=True),
    Column("key", String(1024), primary_key=True),
    Column("value", LargeBinary, nullable=False),
)

_MIGRATION_LOCK = 0x676F6673


async def upgrade(engine: AsyncEngine) -> None:
    """Bring the database to `REVISION`; raises Denied for one that a newer version has written."""
    async with engine.begin() as connection:
        if engine.dialect.name == "postgresql":  # several hubs may start at once
            await connection.execute(text(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})"))
        await connection.run_sync(_upgrade)


def _upgrade(connection: Connection) -> None:
    found = _current(connection)
    if found == REVISION:
        return
    if found is not None and found > REVISION:
        raise Denied(
            f"the database is of revision {found}, this version knows up to {REVISION}",
            hint="run the version that wrote it, or a newer one",
        )
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    command.upgrade(config, REVISION)


def _current(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()
