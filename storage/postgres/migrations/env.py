"""Alembic runs this for each upgrade, on the connection of `storage.postgres.schema` and in its
transaction, so that a failed migration leaves nothing behind.
"""

from alembic import context

from storage.postgres.tables import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    version_table="dateline_schema",
)
context.run_migrations()
