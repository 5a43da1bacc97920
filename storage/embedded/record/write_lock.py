"""The connection that writes to SQLite's record: one transaction at a time in all processes."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path

from storage.embedded.record import schema
from storage.embedded.record.failures import code_of, storage_errors
from storage.embedded.record.urgency import Urgency
from storage.record.turns import Turns

_WAIT_S = 30.0  # for the transactions of other processes
_URGENT_WAIT_S = 2.0  # nobody holds the lock for so long, unless its process was stopped
_LOOK_S = 0.002
_DOUBTFUL = (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_READONLY)


class WriteLock:
    """SQLite's lock on the record at `path`, and whose turn it is to have it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._turns = Turns()
        self._urgency = Urgency(path.parent)

    @contextmanager
    def alone(self, *, urgent: bool) -> Iterator[sqlite3.Cursor]:
        """A transaction that is committed at the end, and rolled back where that fails. Urgent ones
        go first. Raises StorageError.
        """
        with (
            self._turns.taken(urgent=urgent),
            storage_errors(self._path),
            self._announced(urgent),
        ):
            if self._connection is None:
                # It waits for other processes in `_begin`, not within SQLite, which looks seldom.
                self._connection = schema.connect(self._path, wait_s=0)
            writer = self._connection
            try:
                _begin(writer, _URGENT_WAIT_S if urgent else _WAIT_S)
                yield writer.cursor()
                writer.execute("COMMIT")
            except BaseException as error:
                self._undo(writer, error)
                raise

    def close(self) -> None:
        """Closes the connection, after the transaction under way."""
        with self._turns.taken(urgent=False):
            if self._connection is not None:
                self._connection.close()
            self._urgency.close()

    def _announced(self, urgent: bool) -> AbstractContextManager[None]:
        """Tells other processes of an urgent write; any other gives way to theirs."""
        if urgent:
            return self._urgency.announced()
        self._urgency.give_way()
        return nullcontext()

    def _undo(self, writer: sqlite3.Connection, error: BaseException) -> None:
        """Rolls back. After a failure of the disk the connection is not used again: it may believe
        what the disk lost.
        """
        with suppress(sqlite3.Error):
            if writer.in_transaction:
                writer.execute("ROLLBACK")
        if isinstance(error, sqlite3.Error) and code_of(error) in _DOUBTFUL:
            self._connection = None
            with suppress(sqlite3.Error):
                writer.close()


def _begin(writer: sqlite3.Connection, wait_s: float) -> None:
    until = time.monotonic() + wait_s
    while True:
        try:
            writer.execute("BEGIN IMMEDIATE")
            return
        except sqlite3.OperationalError as error:
            if code_of(error) != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
        time.sleep(_LOOK_S)
