"""Alembic's environment of the record; `storage.postgres.schema` runs it."""
