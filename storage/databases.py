"""SQLite files and Postgres databases through SQLAlchemy Core, for what is kept beside the record.

SQLite: one file for many processes of one machine, in WAL mode. A connection is `synced` (every
commit is on the disk before it is acknowledged, as in the record of truth) or it is not: then a
commit is with the system when it is acknowledged, so it outlives the end of every process, kill -9
included, and a power failure may undo the last ones, in order and none of them by half. That is for
work that is done again without harm, and costs no wait for the disk; a synced commit of another
connection takes all before it along. https://sqlite.org/pragma.html#pragma_synchronous

Postgres: many machines, and always synced.

A statement that a lost connection or a held lock cut off is tried again for a while, so each
transaction given to `run` must be one that may run twice.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from core.errors import BusyError, CorruptError, SettingsError, StorageError, StorageFullError

T = TypeVar("T")

PATIENCE_S = 60.0  # for a database that is being restarted
_BUSY_S = 30
_FULL = ("database or disk is full", "disk i/o error", "no space left", "could not extend file")
_DAMAGED = ("malformed", "not a database")
_LOCKED = ("database is locked", "database table is locked")
_DRIVERS = {"postgresql": "postgresql+psycopg", "postgres": "postgresql+psycopg"}


class Database:
    """An engine and the way to use it: transactions that survive what passes, and our errors."""

    def __init__(self, engine: sa.Engine, *, patience_s: float = PATIENCE_S) -> None:
        self.engine = engine
        self._patience_s = patience_s

    @property
    def is_sqlite(self) -> bool:
        """Whether it is a file of this machine."""
        return self.engine.dialect.name == "sqlite"

    @property
    def name(self) -> str:
        """What it is, without its password."""
        return self.engine.url.render_as_string(hide_password=True)

    def run(self, work: Callable[[sa.Connection], T]) -> T:
        """Runs `work` in one transaction, durable when it returns. Raises StorageError."""
        deadline = time.monotonic() + self._patience_s
        pause = 0.05
        while True:
            try:
                with self.engine.begin() as connection:
                    return work(connection)
            except SQLAlchemyError as error:
                if not _passes(error) or time.monotonic() + pause > deadline:
                    raise self._ours(error) from error
            time.sleep(pause)
            pause = min(2 * pause, 2.0)

    def write(self, work: Callable[[sa.Connection], T]) -> T:
        """As `run`, for a transaction that decides by what it reads what it writes: in SQLite
        nobody else writes from its first statement on; in Postgres it locks rows itself.
        """
        if not self.is_sqlite:
            return self.run(work)

        def alone(connection: sa.Connection) -> T:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            return work(connection)

        return self.run(alone)

    def prepare(self, tables: sa.MetaData) -> None:
        """Makes the tables that are not there yet; several processes may do so at once."""
        self.alter(lambda connection: tables.create_all(connection, checkfirst=True))

    def alter(self, change: Callable[[sa.Connection], None]) -> None:
        """Runs `change`, which alters tables: one such change at a time in all processes."""

        def work(connection: sa.Connection) -> None:
            self._lock_schema(connection)
            change(connection)

        self.run(work)

    def add_columns(self, table: sa.Table, names: Sequence[str]) -> None:
        """Gives a table of an earlier version the columns that it lacks; each has a default."""

        def add(connection: sa.Connection) -> None:
            there = {column["name"] for column in sa.inspect(connection).get_columns(table.name)}
            for name in names:
                if name not in there:
                    column = sa.schema.CreateColumn(table.c[name]).compile(self.engine)
                    connection.execute(sa.text(f"ALTER TABLE {table.name} ADD COLUMN {column}"))

        self.alter(add)

    def _lock_schema(self, connection: sa.Connection) -> None:
        """For the rest of the transaction: of two that see that a table or a column is missing, and
        make it, one would fail.
        """
        if self.is_sqlite:  # whose driver begins a transaction only before rows are written
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            connection.execute(sa.text("SELECT pg_advisory_xact_lock(7351902)"))

    def insert(self, table: sa.Table) -> Any:
        """An INSERT that knows ON CONFLICT."""
        if self.is_sqlite:
            from sqlalchemy.dialects import sqlite

            return sqlite.insert(table)
        from sqlalchemy.dialects import postgresql

        return postgresql.insert(table)

    def close(self) -> None:
        """Closes every connection."""
        self.engine.dispose()

    def _ours(self, error: SQLAlchemyError) -> StorageError:
        what = str(getattr(error, "orig", None) or error).strip()
        low = what.lower()
        if any(sign in low for sign in _FULL):
            return StorageFullError(
                "no space left to write", where=self.name, mend="free space; the work goes on then"
            )
        if any(sign in low for sign in _DAMAGED):
            return CorruptError(what, where=self.name, mend="move the file away; it is made anew")
        if any(sign in low for sign in _LOCKED):
            return BusyError("another process is writing", where=self.name, mend="try again")
        return StorageError(what, where=self.name, mend="is the database there, and reachable?")


def open_database(
    address: str | Path, *, synced: bool = True, patience_s: float = PATIENCE_S
) -> Database:
    """The SQLite file at a path, `synced` or not, or the database behind a `postgresql://` URL.
    Raises SettingsError for an address of another kind.
    """
    if isinstance(address, Path):
        address.parent.mkdir(parents=True, exist_ok=True)
        return Database(_sqlite(address, synced=synced), patience_s=patience_s)
    try:
        url = sa.make_url(address)
    except sa.exc.ArgumentError as error:
        raise SettingsError("not a database's URL", mend="write postgresql://…") from error
    if url.drivername.partition("+")[0] not in _DRIVERS:
        raise SettingsError(
            f"{url.drivername} is no database that work can be kept in", mend="use postgresql://…"
        )
    url = url.set(drivername=_DRIVERS["postgresql"])
    engine = sa.create_engine(url, pool_pre_ping=True, pool_size=8, max_overflow=8)
    return Database(engine, patience_s=patience_s)


def _sqlite(path: Path, *, synced: bool) -> sa.Engine:
    engine = sa.create_engine(
        sa.URL.create("sqlite", database=str(path)), pool_size=8, max_overflow=8
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _: Any) -> None:
        connection.isolation_level = "IMMEDIATE"  # writers queue up instead of failing half-way
        connection.execute(f"PRAGMA busy_timeout = {_BUSY_S * 1000}")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {'FULL' if synced else 'NORMAL'}")
        connection.execute("PRAGMA foreign_keys = ON")

    return engine


def _passes(error: SQLAlchemyError) -> bool:
    """Whether trying again may help: a lost connection, a server that starts, a lock."""
    if not isinstance(error, DBAPIError):
        return isinstance(error, sa.exc.TimeoutError)
    if error.connection_invalidated:
        return True
    what = str(error.orig).lower()
    if any(sign in what for sign in _FULL + _DAMAGED):
        return False
    lost = ("connection", "starting up", "shutting down", "terminating", "deadlock", "serialize")
    signs = (*_LOCKED, *lost)
    return isinstance(error, sa.exc.OperationalError) and any(sign in what for sign in signs)
