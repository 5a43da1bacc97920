"""The connection that writes to the record in SQLite: one transaction at a time.

SQLite gives its write lock to any process that asks at the right moment. A process that writes one
transaction after another would keep the lock from a process that asks from time to time. So a
process that has a change of state to write holds a shared flock on a file beside the record. Before
each ordinary transaction a process waits until nobody holds it. The system releases the flock of a
process that ends.
"""

from __future__ import annotations

import fcntl
import sqlite3
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path

from storage.embedded.record import schema
from storage.embedded.record.failures import code_of, storage_errors
from storage.record.turns import Turns

FILE = "urgent.lock"
_TURN_LOOK_S = 0.001
_PATIENCE_S = 1.0  # after this an ordinary write continues, even if others are urgent


class Urgency:
    """The flock of one process and archive. One thread at a time may call it."""

    def __init__(self, folder: Path) -> None:
        self._stream = (folder / FILE).open("a+b")

    @contextmanager
    def announced(self) -> Iterator[None]:
        """Announce an urgent write while it waits and runs."""
        fcntl.flock(self._stream, fcntl.LOCK_SH)  # `give_way` holds it only for microseconds
        try:
            yield
        finally:
            fcntl.flock(self._stream, fcntl.LOCK_UN)

    def give_way(self) -> None:
        """Wait until no process is urgent, or for a second."""
        until = time.monotonic() + _PATIENCE_S
        while time.monotonic() < until:
            try:
                fcntl.flock(self._stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(_TURN_LOOK_S)
                continue
            fcntl.flock(self._stream, fcntl.LOCK_UN)
            return

    def close(self) -> None:
        """Close the file."""
        self._stream.close()


_WAIT_S = 30.0  # for the transactions of other processes
_URGENT_WAIT_S = 2.0  # only a stopped process holds the lock for so long
_LOOK_S = 0.002
_DOUBTFUL = (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_READONLY)


class WriteLock:
    """SQLite's write lock on the record at `path`, and the turns of threads and processes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._turns = Turns()
        self._urgency = Urgency(path.parent)

    @contextmanager
    def alone(self, *, urgent: bool) -> Iterator[sqlite3.Cursor]:
        """Yield the cursor of a transaction that is committed at the end, or rolled back after an
        error. Urgent transactions go first. Raises StorageError.
        """
        with (
            self._turns.taken(urgent=urgent),
            storage_errors(self._path),
            self._announced(urgent),
        ):
            if self._connection is None:
                # `_begin` waits for other processes; SQLite itself would look too rarely.
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
        """Close the connection, after the transaction under way."""
        with self._turns.taken(urgent=False):
            if self._connection is not None:
                self._connection.close()
            self._urgency.close()

    def _announced(self, urgent: bool) -> AbstractContextManager[None]:
        """Announce an urgent write to other processes; another write gives way to theirs."""
        if urgent:
            return self._urgency.announced()
        self._urgency.give_way()
        return nullcontext()

    def _undo(self, writer: sqlite3.Connection, error: BaseException) -> None:
        """Roll back. After a disk failure the connection is closed, because it may have cached data
        that the disk lost.
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
