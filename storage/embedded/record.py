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
from core.writes import Outcome, PutItem, SetStatus, Written
from storage import item_rows
from storage.embedded import schema
from storage.embedded.reading import SqliteReads
from storage.item_rows import to_micros
from storage.near_duplicates import SCHEME, signature_of
from storage.record_port import vectors_kind
from storage.vector_rows import passage_vectors, vector_row
from storage.write_rules import (
    Newest,
    Space,
    digest_of,
    forgotten,
    is_recorded,
    outcome_of,
    state_after,
    state_of,
)

FILE = "record.sqlite3"
_FULL = ("database or disk is full", "disk I/O error")
_DAMAGED = ("malformed", "not a database")
_NOTHING: Mapping[str, str] = {}
_RESTORE = "restore it with `dateline restore`"
_NEWEST = (
    "SELECT seq, version, digest, pubstatus, embargoed, chain, facts FROM items WHERE uri = ?"
    " ORDER BY version DESC LIMIT 1"
)


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
            return tuple(_put(cursor, *write, now, self._kept) for write in prepared)

    def set_status(self, changes: Sequence[SetStatus]) -> tuple[Written, ...]:
        """Changes the state of items' newest versions, all or none."""
        now = to_micros(self._clock())
        with self._transaction() as cursor:
            return tuple(_set_status(cursor, change, now) for change in changes)

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
                _insert_signature(cursor, seq, signature)

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
        fresh, have = (entry.field, entry.encoder), _encoders(cursor, seq)
        if row is None or fresh in have:
            return False
        _forget(cursor, seq, forgotten(have, {fresh}, self._kept))
        _insert_vectors(cursor, seq, (entry,))
        used = self.spaces.get(entry.field) == entry.encoder
        _log(cursor, row[0], seq, vectors_kind(entry.encoder, used), now)
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
        newest = _newest(cursor, item.uri)
        if newest is None or newest.version < item.version:
            return True
        if outcome_of(item, item_rows.content_digest(item), newest) is not None:
            return False
        return not is_recorded(item, newest, _encoders(cursor, newest.seq), self.spaces.items())


def _newest(cursor: sqlite3.Cursor, uri: str) -> Newest | None:
    row = cursor.execute(_NEWEST, (uri,)).fetchone()
    return None if row is None else Newest(*row)


def _put(
    cursor: sqlite3.Cursor,
    write: PutItem,
    digest: bytes,
    signature: bytes,
    now: int,
    kept: Collection[Space],
) -> Written:
    item = write.item
    newest = _newest(cursor, item.uri)
    outcome = outcome_of(item, digest, newest)
    if outcome in (Outcome.STALE, Outcome.CONFLICT):
        return Written(item.uri, item.version, outcome)
    if outcome is None and newest is not None:
        return _put_again(cursor, write, signature, newest, now, kept)
    seq = _insert(cursor, item, digest, *state_of(item))
    _insert_signature(cursor, seq, signature)
    _insert_vectors(cursor, seq, write.vectors)
    if newest and newest.chain != item.chain:
        _log(cursor, newest.chain, 0, "left", now)
    number = _log(cursor, item.chain, seq, "put", now)
    return Written(item.uri, item.version, outcome or Outcome.CREATED, number)


def _put_again(
    cursor: sqlite3.Cursor,
    write: PutItem,
    signature: bytes,
    old: Newest,
    now: int,
    kept: Collection[Space],
) -> Written:
    """The same version once more: only its products and its vectors may differ."""
    item = write.item
    fresh = {(entry.field, entry.encoder) for entry in write.vectors}
    have = _encoders(cursor, old.seq)
    if is_recorded(item, old, have, fresh):
        return Written(item.uri, item.version, Outcome.UNCHANGED)
    _forget(cursor, old.seq, forgotten(have, fresh, kept))
    left = _vectors_of(cursor, old.seq)
    cursor.execute("DELETE FROM items WHERE seq = ?", (old.seq,))
    seq = _insert(cursor, item, old.digest, old.pubstatus, old.embargoed)
    _insert_signature(cursor, seq, signature)
    _insert_vectors(cursor, seq, (*left, *write.vectors))
    _log(cursor, old.chain, old.seq, "replaced", now)
    number = _log(cursor, item.chain, seq, "put", now)
    return Written(item.uri, item.version, Outcome.UPDATED, number)


def _insert(
    cursor: sqlite3.Cursor, item: Item, digest: bytes, pubstatus: str, embargoed: int | None
) -> int:
    cursor.execute(
        "INSERT INTO items (uri, version, chain, language, pubstatus, versioncreated, embargoed,"
        " expires, digest, facts, document) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            item.uri,
            item.version,
            item.chain,
            item.language,
            str(pubstatus),
            to_micros(item.versioncreated),
            embargoed,
            None if item.expires is None else to_micros(item.expires),
            digest,
            item_rows.encode_facts(item),
            item_rows.encode_document(item),
        ),
    )
    return int(cursor.lastrowid or 0)


def _insert_signature(cursor: sqlite3.Cursor, seq: int, signature: bytes) -> None:
    """Records a version's text signature, in the place of one of another scheme."""
    cursor.execute(
        "INSERT OR REPLACE INTO signatures (seq, scheme, signature)"
        " SELECT seq, ?, ? FROM items WHERE seq = ?",
        (SCHEME, signature, seq),
    )


def _insert_vectors(cursor: sqlite3.Cursor, seq: int, vectors: Sequence[PassageVectors]) -> None:
    for entry in vectors:
        cursor.execute(
            "INSERT INTO vectors (seq, field, encoder, passages, matrix, truncated)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (seq, *vector_row(entry)),
        )


def _forget(cursor: sqlite3.Cursor, seq: int, spaces: Sequence[Space]) -> None:
    for field, encoder in spaces:
        cursor.execute(
            "DELETE FROM vectors WHERE seq = ? AND field = ? AND encoder = ?", (seq, field, encoder)
        )


def _set_status(cursor: sqlite3.Cursor, change: SetStatus, now: int) -> Written:
    newest = _newest(cursor, change.uri)
    if newest is None:
        return Written(change.uri, 0, Outcome.MISSING)
    state = (newest.pubstatus, newest.embargoed)
    wanted = state_after(change, *state)
    if wanted == state:
        return Written(change.uri, newest.version, Outcome.UNCHANGED)
    cursor.execute(
        "UPDATE items SET pubstatus = ?, embargoed = ? WHERE seq = ?", (*wanted, newest.seq)
    )
    number = _log(cursor, newest.chain, newest.seq, "status", now)
    return Written(change.uri, newest.version, Outcome.UPDATED, number)


def _log(cursor: sqlite3.Cursor, chain: str, seq: int, kind: str, now: int) -> int:
    cursor.execute(
        "INSERT INTO changes (chain, seq, kind, at) VALUES (?, ?, ?, ?)", (chain, seq, kind, now)
    )
    return int(cursor.lastrowid or 0)


def _encoders(cursor: sqlite3.Cursor, seq: int) -> frozenset[Space]:
    rows = cursor.execute("SELECT field, encoder FROM vectors WHERE seq = ?", (seq,))
    return frozenset(rows.fetchall())


def _vectors_of(cursor: sqlite3.Cursor, seq: int) -> list[PassageVectors]:
    rows = cursor.execute(
        "SELECT field, encoder, passages, matrix, truncated FROM vectors WHERE seq = ?", (seq,)
    )
    return [passage_vectors(*row) for row in rows]
