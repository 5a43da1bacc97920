"""SQLite files and Postgres databases through SQLAlchemy Core, for data beside the record.

SQLite: one file for many processes of one machine, in WAL mode. If a connection is `synced`, every
commit is on the disk before it is acknowledged, as in the record of truth. If not, an acknowledged
commit is with the operating system. It outlives the end of every process, even by kill -9, but a
power failure may undo the last commits, in order and each as a whole. That is for work that may be
repeated, and nobody waits for the disk. A synced commit of another connection makes all earlier
commits durable. https://sqlite.org/pragma.html#pragma_synchronous

Postgres: for many machines, and always synced.

A transaction that fails because of a lost connection or a held lock is tried again for a while. So
each transaction given to `run` must be safe to run twice.
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

PATIENCE_S = 60.0  # enough for a restart of the database
_BUSY_S = 30
_FULL = ("database or disk is full", "disk i/o error", "no space left", "could not extend file")
_DAMAGED = ("malformed", "not a database")
_LOCKED = ("database is locked", "database table is locked")
_DRIVERS = {"postgresql": "postgresql+psycopg", "postgres": "postgresql+psycopg"}


class Database:
    """A database: its transactions survive passing failures, and it raises our errors."""

    def __init__(self, engine: sa.Engine, *, patience_s: float = PATIENCE_S) -> None:
        self.engine = engine
        self._patience_s = patience_s

    @property
    def is_sqlite(self) -> bool:
        """Whether the database is a SQLite file."""
        return self.engine.dialect.name == "sqlite"

    @property
    def name(self) -> str:
        """The database's URL without its password."""
        return self.engine.url.render_as_string(hide_password=True)

    def run(self, work: Callable[[sa.Connection], T]) -> T:
        """Run `work` in one transaction, committed when it returns; return its result. Raises
        StorageError.
        """
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

    def take_turn(self, connection: sa.Connection, kind: int, name: str) -> None:
        """Let no other transaction go on that takes the turn of this `name` among its `kind`, until
        this one ends. In SQLite `write` is alone anyway.
        """
        if not self.is_sqlite:
            lock = sa.func.pg_advisory_xact_lock(kind, sa.func.hashtext(name))
            connection.execute(sa.select(lock))

    def write(self, work: Callable[[sa.Connection], T]) -> T:
        """Run a transaction whose writes depend on what it reads, as `run` does. In SQLite nobody
        else writes from its first statement on; in Postgres it must lock rows itself.
        """
        if not self.is_sqlite:
            return self.run(work)

        def alone(connection: sa.Connection) -> T:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            return work(connection)

        return self.run(alone)

    def prepare(self, tables: sa.MetaData) -> None:
        """Create the missing tables, and the missing indexes of tables of an earlier version;
        several processes may do so at once.
        """

        def create(connection: sa.Connection) -> None:
            tables.create_all(connection, checkfirst=True)
            for table in tables.tables.values():
                for index in table.indexes:
                    connection.execute(sa.schema.CreateIndex(index, if_not_exists=True))

        self.alter(create)

    def alter(self, change: Callable[[sa.Connection], None]) -> None:
        """Run `change`, which alters tables: one such change at a time in all processes."""

        def work(connection: sa.Connection) -> None:
            self._lock_schema(connection)
            change(connection)

        self.run(work)

    def add_columns(self, table: sa.Table, names: Sequence[str]) -> None:
        """Add the missing columns to a table of an earlier version; each has a default."""

        def add(connection: sa.Connection) -> None:
            there = {column["name"] for column in sa.inspect(connection).get_columns(table.name)}
            for name in names:
                if name not in there:
                    column = sa.schema.CreateColumn(table.c[name]).compile(self.engine)
                    connection.execute(sa.text(f"ALTER TABLE {table.name} ADD COLUMN {column}"))

        self.alter(add)

    def _lock_schema(self, connection: sa.Connection) -> None:
        """Lock the schema for the rest of the transaction. Without the lock, if two processes see
        that a table or a column is missing and create it, one would fail.
        """
        if self.is_sqlite:  # its driver begins a transaction only before rows are written
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            connection.execute(sa.text("SELECT pg_advisory_xact_lock(7351902)"))

    def insert(self, table: sa.Table) -> Any:
        """Return an INSERT that supports ON CONFLICT."""
        if self.is_sqlite:
            from sqlalchemy.dialects import sqlite

            return sqlite.insert(table)
        from sqlalchemy.dialects import postgresql

        return postgresql.insert(table)

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()

    def _ours(self, error: SQLAlchemyError) -> StorageError:
        what = str(getattr(error, "orig", None) or error).strip()
        low = what.lower()
        if any(sign in low for sign in _FULL):
            return StorageFullError(
                "no space left to write",
                where=self.name,
                mend="free space; then the work continues",
            )
        if any(sign in low for sign in _DAMAGED):
            return CorruptError(what, where=self.name, mend="move the file away; a new one is made")
        if any(sign in low for sign in _LOCKED):
            return BusyError("another process is writing", where=self.name, mend="try again")
        return StorageError(what, where=self.name, mend="is the database there, and reachable?")


def open_database(
    address: str | Path, *, synced: bool = True, patience_s: float = PATIENCE_S
) -> Database:
    """Return the SQLite file at a path, `synced` or not, or the database behind a `postgresql://`
    URL. Raises SettingsError for another kind of address.
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
    engine = sa.create_engine(
        url, pool_pre_ping=True, pool_size=8, max_overflow=8, hide_parameters=True
    )
    return Database(engine, patience_s=patience_s)


def _sqlite(path: Path, *, synced: bool) -> sa.Engine:
    engine = sa.create_engine(
        sa.URL.create("sqlite", database=str(path)),
        pool_size=8,
        max_overflow=8,
        hide_parameters=True,  # parameters of statements stay out of errors: they may be secrets
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _: Any) -> None:
        connection.isolation_level = "IMMEDIATE"  # so writers wait instead of failing half-way
        connection.execute(f"PRAGMA busy_timeout = {_BUSY_S * 1000}")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {'FULL' if synced else 'NORMAL'}")
        connection.execute("PRAGMA foreign_keys = ON")

    return engine


def _passes(error: SQLAlchemyError) -> bool:
    """Return whether another try may help: after a lost connection, for a server that starts, or a
    lock.
    """
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
