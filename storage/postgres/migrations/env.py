"""Run by alembic for each upgrade, on the connection that `storage.postgres.schema` hands over: in
its transaction, so that a migration that fails leaves nothing behind.
"""

from alembic import context

from storage.postgres.tables import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    version_table="dateline_schema",
)
context.run_migrations()
