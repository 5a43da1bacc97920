"""Alembic's environment for the record; `storage.postgres.schema` runs it."""
