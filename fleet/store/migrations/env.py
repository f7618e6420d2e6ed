"""Run by alembic: uses the connection and the transaction that `fleet.store.schema` opened."""

from __future__ import annotations

from alembic import context

from fleet.store.schema import METADATA

context.configure(connection=context.config.attributes["connection"], target_metadata=METADATA)
context.run_migrations()
