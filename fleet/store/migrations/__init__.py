"""Alembic's scripts; `fleet.store.schema` runs them."""
