"""The record of truth: every version of every item, its state and its vectors, in SQLite.

One write path, one transaction per batch, durable before it is acknowledged. Projections read the
`changes` table, which names the story (chain) that each write touched.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson

from core.errors import BusyError, CorruptError, StorageError, StorageFullError
from core.items import Item, PassageVectors
from core.ports import Clock
from core.writes import PutItem, SetStatus, Written
from storage import item_rows
from storage.embedded import schema, writing
from storage.embedded.reading import SqliteReads
from storage.item_rows import to_micros
from storage.near_duplicates import signature_of
from storage.record_port import vectors_kind
from storage.write_rules import (
    digest_of,
    forgotten,
    is_recorded,
    outcome_of,
)

FILE = "record.sqlite3"
_FULL = ("database or disk is full", "disk I/O error")
_DAMAGED = ("malformed", "not a database")
_NOTHING: Mapping[str, str] = {}
_RESTORE = "restore it with `dateline restore`"


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turns SQLite's errors into ours: full, busy, corrupt, or else a StorageError."""
    try:
        yield
    except orjson.JSONDecodeError as error:
        raise CorruptError(
            f"a recorded document can't be read: {error}", where=str(path), mend=_RESTORE
        ) from error
    except sqlite3.Error as error:
        what = str(error)
        if any(sign in what for sign in _FULL):
            raise StorageFullError(
                "no space left to write; nothing of this batch was recorded",
                where=str(path.parent),
                mend="free space on this file system and send it again",
            ) from error
        if "locked" in what or "busy" in what:
            raise BusyError(
                "another process is writing", where=str(path), mend="try again"
            ) from error
        if any(sign in what for sign in _DAMAGED):
            raise CorruptError(what, where=str(path), mend=_RESTORE) from error
        raise StorageError(what, where=str(path), mend="see `dateline doctor`") from error


class Record:
    """`storage.record_port.RecordOfTruth` on SQLite in `folder`, beside its projections. `spaces`
    maps each vector field in use to its encoder's digest: vectors of another count as missing.
    Those of `beside` are kept beside them.

    Reads take a connection per thread; writes share one, behind a lock, and other processes'
    writes are kept apart by SQLite's own lock.
    """

    identity = ""

    def __init__(
        self,
        folder: Path,
        spaces: Mapping[str, str],
        clock: Clock,
        beside: Mapping[str, str] = _NOTHING,
    ) -> None:
        self.path = folder / FILE
        self.spaces = dict(spaces)
        self.beside = dict(beside)
        self._clock = clock
        self._kept = {*self.spaces.items(), *self.beside.items()}
        with storage_errors(self.path):
            schema.prepare(self.path, beside=bool(beside))
            self._writer = schema.connect(self.path)
        self._lock = threading.Lock()
        self._local = threading.local()
        self._readers: list[sqlite3.Connection] = []

    @property
    def where(self) -> str:
        """The file's path."""
        return str(self.path)

    @property
    def reads(self) -> SqliteReads:
        """See `storage.record_port.RecordOfTruth`."""
        reads: SqliteReads | None = getattr(self._local, "reads", None)
        if reads is None:
            reads = self._local.reads = SqliteReads(self.reader)
        return reads

    @contextmanager
    def moment(self) -> Iterator[SqliteReads]:
        """See `storage.record_port.RecordOfTruth`."""
        with storage_errors(self.path):
            connection = self.reader
            connection.execute("BEGIN")
            try:
                yield self.reads
            finally:
                connection.execute("COMMIT")

    @property
    def reader(self) -> sqlite3.Connection:
        """The read connection of the calling thread."""
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = schema.connect(self.path, readonly=True)
            self._local.connection = connection
            self._readers.append(connection)
        return connection

    def put(self, writes: Sequence[PutItem]) -> tuple[Written, ...]:
        """Writes versions, all or none; the answers are in order. Durable when it returns."""
        now = to_micros(self._clock())
        prepared = [(write, digest_of(write.item), signature_of(write.item)) for write in writes]
        with self._transaction() as cursor:
            return tuple(writing.put(cursor, *write, now, self._kept) for write in prepared)

    def set_status(self, changes: Sequence[SetStatus]) -> tuple[Written, ...]:
        """Changes the state of items' newest versions, all or none."""
        now = to_micros(self._clock())
        with self._transaction() as cursor:
            return tuple(writing.set_status(cursor, change, now) for change in changes)

    def add_vectors(self, vectors: Mapping[int, PassageVectors]) -> int:
        """See `core.ports.VectorKeeper`, by seq; all or none."""
        now = to_micros(self._clock())
        with self._transaction() as cursor:
            return sum(self._add(cursor, seq, entry, now) for seq, entry in vectors.items())

    def forget_vectors(
        self, field: str, keep: Collection[str], after: int, limit: int
    ) -> Sequence[int]:
        """See `storage.record_port.RecordOfTruth`."""
        marks = ", ".join("?" * len(keep))
        other = f"field = ? AND encoder NOT IN ({marks})"
        with self._transaction() as cursor:
            found = cursor.execute(
                f"SELECT DISTINCT seq FROM vectors WHERE {other} AND seq > ? ORDER BY seq LIMIT ?",  # noqa: S608 - marks only
                (field, *keep, after, limit),
            )
            seqs = [int(seq) for (seq,) in found]
            if seqs:
                cursor.execute(
                    f"DELETE FROM vectors WHERE {other} AND seq BETWEEN ? AND ?",  # noqa: S608
                    (field, *keep, seqs[0], seqs[-1]),
                )
            return seqs

    def add_signatures(self, signatures: Mapping[int, bytes]) -> None:
        """Records text signatures of versions, by seq; what is gone by now is passed over."""
        with self._transaction() as cursor:
            for seq, signature in signatures.items():
                writing.insert_signature(cursor, seq, signature)

    def unknown(self, items: Sequence[Item]) -> tuple[bool, ...]:
        """Whether putting each item (with fresh vectors) would change the record."""
        with storage_errors(self.path):
            cursor = self.reader.cursor()
            return tuple(self._is_unknown(cursor, item) for item in items)

    def last_change(self) -> int:
        """The number of the newest acknowledged change, 0 in an empty record."""
        row = self.reader.execute("SELECT seq FROM sqlite_sequence WHERE name = 'changes'")
        found = row.fetchone()
        return 0 if found is None else int(found[0])

    def facts(self) -> Mapping[str, Any]:
        """See `storage.record_port.RecordOfTruth`."""
        return {"durable": True, "schema": str(schema.SCHEMA_VERSION)}

    def follow(self, changed: Callable[[], None]) -> None:
        """SQLite tells nobody; looking costs little."""

    def close(self) -> None:
        """See `storage.record_port.RecordOfTruth`."""
        with self._lock:
            self._writer.close()
            for connection in self._readers:
                connection.close()
            self._readers.clear()

    def _add(self, cursor: sqlite3.Cursor, seq: int, entry: PassageVectors, now: int) -> bool:
        """Adds vectors to what is still there and lacks them."""
        row = cursor.execute("SELECT chain FROM items WHERE seq = ?", (seq,)).fetchone()
        fresh, have = (entry.field, entry.encoder), writing.spaces_of(cursor, seq)
        if row is None or fresh in have:
            return False
        writing.forget_vectors(cursor, seq, forgotten(have, {fresh}, self._kept))
        writing.insert_vectors(cursor, seq, (entry,))
        used = self.spaces.get(entry.field) == entry.encoder
        writing.log_change(cursor, row[0], seq, vectors_kind(entry.encoder, used), now)
        return True

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Cursor]:
        with self._lock, storage_errors(self.path):
            cursor = self._writer.cursor()
            cursor.execute("BEGIN IMMEDIATE")
            try:
                yield cursor
                cursor.execute("COMMIT")
            except BaseException:
                if self._writer.in_transaction:
                    cursor.execute("ROLLBACK")
                raise

    def _is_unknown(self, cursor: sqlite3.Cursor, item: Item) -> bool:
        newest = writing.newest_version(cursor, item.uri)
        if newest is None or newest.version < item.version:
            return True
        if outcome_of(item, item_rows.content_digest(item), newest) is not None:
            return False
        have = writing.spaces_of(cursor, newest.seq)
        return not is_recorded(item, newest, have, self.spaces.items())
