"""Migrates the tables to this program's schema with alembic, and says which schema they have."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from core.errors import StorageError
from storage.postgres.connections import place_of, pool_of, url_of
from storage.postgres.failures import is_denied, storage_errors

_SCRIPTS = Path(__file__).parent / "migrations"
_TABLE = "dateline_schema"
_LOCK_TIMEOUT = sa.text("SELECT set_config('lock_timeout', :limit, true)")
_ONE_AT_A_TIME = sa.text("SELECT pg_advisory_xact_lock(7351901)")


def prepare(pool: sa.Engine, where: str) -> None:
    """Migrate the tables if that is needed and this role may.

    Raises StorageError for tables of a newer program, for a database that is not in UTF-8, and if
    the role may not change the tables; it says how to mend that.
    """
    with storage_errors(where):
        with pool.connect() as connection:
            encoding = connection.execute(sa.text("SHOW server_encoding")).scalar_one()
            found = _revision(connection)
        if encoding != "UTF8":
            raise StorageError(
                f"the database is in {encoding}", where=where, mend="create it with ENCODING 'UTF8'"
            )
        if found == newest():
            return
        _refuse_newer(found, where)
    try:
        migrate(pool, where)
    except StorageError as error:
        if not is_denied(error):
            raise
        raise StorageError(
            f"the tables are at schema {found or 'none'}, this program needs {newest()}, and this"
            " role may not change them",
            where=where,
            mend="run `dateline migrate` as the role that owns them",
        ) from error


def migrate(pool: sa.Engine, where: str) -> tuple[str, str]:
    """Run the missing migrations, all or none; return the revision before ("" for none) and after.
    Hosts that start at the same time wait for one another without a limit. For the tables a
    migration waits no longer than a write does, so that it does not stop other hosts.
    """
    with storage_errors(where), pool.connect() as plain:
        connection = plain.execution_options(isolation_level="READ COMMITTED")
        with connection.begin():
            connection.execute(sa.text("SET LOCAL statement_timeout = 0"))
            limit = connection.execute(sa.text("SHOW lock_timeout")).scalar_one()
            connection.execute(_LOCK_TIMEOUT, {"limit": "0"})
            connection.execute(_ONE_AT_A_TIME)
            connection.execute(_LOCK_TIMEOUT, {"limit": limit})
            before = _revision(connection)
            _refuse_newer(before, where)
            command.upgrade(_config(connection), "head")
        return before, newest()


def migrate_at(address: str) -> tuple[str, str, str]:
    """Migrate the database behind a URL; return where it is, and the revisions before and after."""
    pool, where = pool_of(address), place_of(url_of(address))
    try:
        return where, *migrate(pool, where)
    finally:
        pool.dispose()


def newest() -> str:
    """Return the newest revision that this program knows."""
    return _known()[0]


@cache
def _known() -> tuple[str, ...]:
    """Return every revision that this program knows, the newest first."""
    scripts = ScriptDirectory.from_config(_config(None))
    return tuple(script.revision for script in scripts.walk_revisions())


def _refuse_newer(found: str, where: str) -> None:
    if found and found not in _known():
        raise StorageError(
            f"the record has schema {found}, this program knows {newest()}",
            where=where,
            mend="run the version of Dateline that migrated it",
        )


def _revision(connection: sa.Connection) -> str:
    context = MigrationContext.configure(connection, opts={"version_table": _TABLE})
    return context.get_current_revision() or ""


def _config(connection: Any) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config
