"""Keeps the lists behind cursors in a file that all processes of an archive share.

This is `core.ports.engine.Shelf` over SQLite in WAL mode without any fsync. A list outlives a
killed process and a restart, but not a power failure, and no search waits for the disk. Nothing
depends on the file: a full disk, a lock held too long, or damage is noted and the list is not kept.
A damaged file is made again.

An id is a number in the record of truth, which never uses a number twice, except after a restore,
which goes on from an older state. So each list is kept with the newest change that its process had
seen, and is returned only while the record still has that change.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from math import inf
from pathlib import Path
from time import monotonic, time

from core.errors import StorageError
from core.threads import Threads
from storage.record.port import RecordOfTruth

log = logging.getLogger(__name__)

FILE = "candidate_lists.sqlite3"
SCHEMA = 1
LIFETIME_S = 600.0
MOST_BYTES = 256 * 2**20
_WAIT_S = 0.1  # for another process's write
_REST_S = 5.0  # pause after a failure, so that no search waits for a file that can't be written
_PUTS_PER_SWEEP = 32
_DELETE_OLDEST = "DELETE FROM lists WHERE n IN (SELECT n FROM lists ORDER BY n LIMIT 16)"
# A few at a time: a long statement would keep others from writing lists.
_DELETE_EXPIRED = "DELETE FROM lists WHERE n IN (SELECT n FROM lists WHERE until < ? LIMIT 16)"
_TABLES = """
CREATE TABLE lists (
    n      INTEGER PRIMARY KEY,
    key    TEXT NOT NULL UNIQUE,
    until  REAL NOT NULL,
    seen   TEXT NOT NULL,
    value  BLOB NOT NULL
) STRICT;
"""


class CandidateLists:
    """Keeps values for `lifetime_s` seconds. If all values together exceed `most_bytes`, the oldest
    are deleted. Thread-safe.
    """

    def __init__(
        self,
        folder: Path,
        record: RecordOfTruth,
        *,
        lifetime_s: float = LIFETIME_S,
        most_bytes: int = MOST_BYTES,
        now: Callable[[], float] = time,
    ) -> None:
        self.path = folder / FILE
        self._record = record
        self._lifetime_s = lifetime_s
        self._most_bytes = most_bytes
        self._now = now
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._file = -1
        self._puts = 0
        self._keeper = Threads(1, thread_name_prefix="candidate lists")
        self._keeping: Future[None] | None = None
        self._resting_until = 0.0
        self.failure = ""

    def put(self, key: str, value: bytes) -> bool:
        """Keep `value` under `key`; return whether that succeeded."""
        with self._lock:
            if monotonic() < self._resting_until:
                return False
            try:
                self._write(key, value)
            except (sqlite3.Error, OSError, StorageError) as error:
                self._failed(error)
                return False
            self.failure = ""
            return True

    def get(self, key: str) -> bytes | None:
        """Return the value under `key`; None if it is unknown, too old, or of another record."""
        with self._lock:
            try:
                row = (
                    self._opened()
                    .execute("SELECT until, seen, value FROM lists WHERE key = ?", (key,))
                    .fetchone()
                )
                if row is None or row[0] < self._now() or not self._goes_on_from(row[1]):
                    return None
                return bytes(row[2])
            except (sqlite3.Error, OSError, StorageError, ValueError) as error:
                self._failed(error)
                return None

    def close(self) -> None:
        """End the background work and close the file."""
        with self._lock:
            self._resting_until = inf
        self._keeper.shutdown()
        with self._lock:
            self._drop_connection()

    def _write(self, key: str, value: bytes) -> None:
        connection = self._opened()
        seen = repr(self._record.reads.line(None))
        connection.execute(
            "INSERT INTO lists (key, until, seen, value) VALUES (?, ?, ?, ?)",
            (key, self._now() + self._lifetime_s, seen, value),
        )
        self._puts += 1
        if self._puts % _PUTS_PER_SWEEP == 1:
            if self._keeping is not None:
                self._keeping.result()  # has ended, unless lists come faster than they are deleted
            self._keeping = self._keeper.submit(self._keep_small)

    def _keep_small(self) -> None:
        """Delete expired lists, then the oldest until the rest fits, and move the log's pages into
        the file. No search waits for this. Freed pages are used again.
        """
        try:
            connection = _open(self.path)
            try:
                while connection.execute(_DELETE_EXPIRED, (self._now(),)).rowcount > 0:
                    pass
                while self._used_bytes(connection) > self._most_bytes:
                    if connection.execute(_DELETE_OLDEST).rowcount <= 0:
                        break
                connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
            finally:
                connection.close()
        except (sqlite3.Error, OSError) as error:
            log.warning("old cursors could not be deleted: %s (%s)", error, self.path)

    def _used_bytes(self, connection: sqlite3.Connection) -> int:
        pages, free, size = (
            int(connection.execute(f"PRAGMA {name}").fetchone()[0])
            for name in ("page_count", "freelist_count", "page_size")
        )
        return (pages - free) * size

    def _goes_on_from(self, seen: str) -> bool:
        """Return whether the record still has the change that was newest when a list was kept."""
        if seen == repr(None):
            return True
        number = int(seen[1:].partition(",")[0])
        return repr(self._record.reads.line(number)) == seen

    def _opened(self) -> sqlite3.Connection:
        """Return a connection to the current file; another process may have made it again."""
        file = _number(self.path)
        if self._connection is None or file != self._file:
            self._drop_connection()
            self._connection = _open(self.path)
            self._file = _number(self.path)
        return self._connection

    def _failed(self, error: Exception) -> None:
        """Note the error, pause for a while, and remove a damaged file."""
        if str(error) != self.failure:
            log.warning("cursors are not shared just now: %s (%s)", error, self.path)
        self.failure = str(error)
        self._resting_until = monotonic() + _REST_S
        if "locked" in self.failure:
            return  # by another process; lists can still be read
        self._drop_connection()
        if type(error) is sqlite3.DatabaseError:  # damaged; subclasses are other errors
            self._resting_until = 0.0
            with suppress(OSError):
                for suffix in ("", "-wal", "-shm"):
                    self.path.with_name(FILE + suffix).unlink(missing_ok=True)

    def _drop_connection(self) -> None:
        if self._connection is not None:
            with suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None


def _number(path: Path) -> int:
    """Return the file's inode, -1 if there is no file."""
    try:
        return path.stat().st_ino
    except OSError:
        return -1


def _open(path: Path) -> sqlite3.Connection:
    """Open the file, or make it with mode 0600, because it shows what people searched for.

    A file of another schema is emptied, because its lists can't be read.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        path.touch(mode=0o600)
    connection = sqlite3.connect(
        path, isolation_level=None, check_same_thread=False, timeout=_WAIT_S
    )
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA wal_autocheckpoint = 0")  # `_keep_small` does that
        if _schema(connection) != SCHEMA:
            connection.execute("BEGIN IMMEDIATE")
            if _schema(connection) != SCHEMA:  # no other process was faster
                connection.execute("DROP TABLE IF EXISTS lists")
                connection.execute(_TABLES)
                connection.execute(f"PRAGMA user_version = {SCHEMA}")
            connection.execute("COMMIT")
    except BaseException:
        connection.close()
        raise
    return connection


def _schema(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])
