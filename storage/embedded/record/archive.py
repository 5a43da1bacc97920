"""The record of truth in SQLite: every version of every item, its state and its vectors.

There is one write path; a write is durable before it is acknowledged. Projections read the table
`changes`, which names the story (chain) that each write touched.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from core.callers import OPERATOR, Caller
from core.errors import BusyError, DiskError, StorageError, StorageFullError
from core.items import Item, PassageVectors, PubStatus
from core.ports.engine import Clock
from core.writes import REFUSED, Outcome, PutItem, SetStatus, Written
from storage.embedded.record import schema, writing
from storage.embedded.record.aside import Aside
from storage.embedded.record.failures import storage_errors
from storage.embedded.record.reading import SqliteReads
from storage.embedded.record.write_lock import WriteLock
from storage.record import item_rows
from storage.record.item_rows import to_micros
from storage.record.port import vectors_kind
from storage.record.prepared import Prepared, prepared
from storage.record.turns import Done, Work, in_short_turns
from storage.record.unsettled import Asked, Unsettled
from storage.record.vector_rows import vector_row
from storage.record.write_rules import (
    Newest,
    forgotten,
    is_recorded,
    may_change,
    outcome_of,
    refusal,
)

FILE = "record.sqlite3"
_NOTHING: Mapping[str, str] = {}
_EMPTY = """
UPDATE vectors SET passages = CAST('[]' AS BLOB), matrix = x'' WHERE matrix <> x''
AND seq IN (SELECT seq FROM items WHERE uri = ? AND version BETWEEN ? AND ?)
"""
_HOLD_S = 0.02  # after this a transaction is committed, and the next one continues
_TAKES_NOTHING = (StorageFullError, DiskError, BusyError)
_TRY_AGAIN_S = 0.5  # the pause after a change of state could not be recorded


class Record:
    """`storage.record.port.RecordOfTruth` on SQLite in `folder`, beside its projections. `spaces`
    maps each vector field in use to its encoder's digest; vectors of another encoder count as
    missing. Vectors of the encoders in `beside` are kept too.

    Each thread reads with its own connection. Writes of a process take turns on one connection;
    SQLite's lock keeps writes of other processes apart. Both locks are held for milliseconds only:
    large writes are several transactions, and a change of state goes before the next of them.
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
        self._writing = WriteLock(self.path)
        self._aside = Aside(folder)
        self._try_again = 0.0
        self._local = threading.local()
        self._readers: dict[threading.Thread, sqlite3.Connection] = {}

    @property
    def where(self) -> str:
        """The file's path."""
        return str(self.path)

    @property
    def reads(self) -> SqliteReads:
        """Reads on the thread's connection; each sees the newest state."""
        reads: SqliteReads | None = getattr(self._local, "reads", None)
        if reads is None:
            reads = self._local.reads = SqliteReads(self.reader, lambda: self.unsettled)
        return reads

    @contextmanager
    def moment(self) -> Iterator[SqliteReads]:
        """Yield reads that all see one state of the record."""
        with storage_errors(self.path):
            connection, unsettled = self.reader, self.unsettled  # read before the state
            connection.execute("BEGIN")
            try:
                yield SqliteReads(connection, lambda: unsettled)
            finally:
                connection.execute("COMMIT")

    @property
    def reader(self) -> sqlite3.Connection:
        """The read connection of the calling thread."""
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            self._close_readers(threading.Thread.is_alive)
            connection = schema.connect(self.path, readonly=True)
            self._local.connection = connection
            self._readers[threading.current_thread()] = connection
        return connection

    def _close_readers(self, left: Callable[[threading.Thread], bool]) -> None:
        """Close the read connections of all threads, except those for which `left` is true."""
        for thread in [*self._readers]:
            if not left(thread) and (connection := self._readers.pop(thread, None)) is not None:
                connection.close()

    def put(self, writes: Sequence[PutItem], by: Caller = OPERATOR) -> tuple[Written, ...]:
        """Record the items in short transactions; return what became of the first of them."""
        now = to_micros(self._clock())
        rows = [prepared(write) for write in writes]

        def put(cursor: sqlite3.Cursor, row: Prepared) -> Written:
            return writing.put(cursor, row, by, now, self._kept)

        urgent = all(write.item.pubstatus is not PubStatus.USABLE for write in writes)
        try:
            return in_short_turns(rows, partial(self._take_turn, put, urgent=urgent))
        except _TAKES_NOTHING as error:
            self._kill_aside(rows, by, error)
            raise

    def _kill_aside(self, rows: Sequence[Prepared], by: Caller, why: StorageError) -> None:
        """Bring the kills in documents into force, although the documents can't be recorded."""
        killed: list[Asked] = []
        for row in rows:
            item = row.write.item
            if item.pubstatus is not PubStatus.CANCELED:
                continue
            newest = self._newest(item.uri)
            refused = refusal(item, by, newest) or outcome_of(item, row.digest, newest)
            if newest is not None and refused not in REFUSED:
                killed.append(Asked(SetStatus(item.uri, item.pubstatus), by.writes))
        if killed:
            self._aside.keep(killed, why)

    def set_status(
        self, changes: Sequence[SetStatus], by: Caller = OPERATOR
    ) -> tuple[Written, ...]:
        """Change states, all or none, before every other write that waits."""
        asked = [Asked(change, by.writes) for change in changes]
        try:
            return self._set_recorded(asked)
        except _TAKES_NOTHING as error:
            newest = [self._newest(change.uri) for change in changes]
            may = [may_change(by.writes, each) for each in newest]
            if not all(may) or not all(change.hides for change in changes):
                raise
            self._aside.keep(asked, error)
            return tuple(
                Written(change.uri, each.version if each else 0, Outcome.UPDATED)
                for change, each in zip(changes, newest, strict=True)
            )

    def _newest(self, uri: str) -> Newest | None:
        with storage_errors(self.path):
            return writing.newest_version(self.reader.cursor(), uri)

    def _set_recorded(self, asked: Sequence[Asked]) -> tuple[Written, ...]:
        now = to_micros(self._clock())
        with self._transaction(urgent=True) as cursor:
            return tuple(
                writing.set_status(cursor, each.change, each.writes, now) for each in asked
            )

    @property
    def unsettled(self) -> Unsettled:
        """Changes of state that are in force but not in the record yet."""
        return self._aside.unsettled

    def settle(self) -> None:
        """Record the unsettled changes, if that is possible again."""
        if not self.unsettled.changes or time.monotonic() < self._try_again:
            return
        self._try_again = time.monotonic() + _TRY_AGAIN_S
        here = self._aside.here
        try:
            self._set_recorded(here)  # after the changes in the journal
        except StorageError:
            self._aside.write_down()
        else:
            self._aside.forget(here)

    def add_vectors(self, vectors: Mapping[int, PassageVectors]) -> int:
        """Add vectors to recorded versions by seq; return how many versions got theirs."""
        now = to_micros(self._clock())
        left, added = [*vectors.items()], 0
        while left:
            done = self._take_turn(lambda cursor, each: self._add(cursor, *each, now), left)
            added += sum(done)
            left = left[len(done) :]
        return added

    def forget_vectors(
        self, field: str, keep: Collection[str], after: int, limit: int
    ) -> Sequence[int]:
        """Delete the field's vectors of other encoders from `limit` versions; return their seqs."""
        marks = ", ".join("?" * len(keep))
        other = f"field = ? AND encoder NOT IN ({marks})"
        with storage_errors(self.path):
            found = self.reader.execute(
                f"SELECT DISTINCT seq FROM vectors WHERE {other} AND seq > ? ORDER BY seq LIMIT ?",  # noqa: S608 - marks only
                (field, *keep, after, limit),
            )
            seqs = [int(seq) for (seq,) in found]
        if seqs:
            with self._transaction() as cursor:
                cursor.execute(
                    f"DELETE FROM vectors WHERE {other} AND seq BETWEEN ? AND ?",  # noqa: S608
                    (field, *keep, seqs[0], seqs[-1]),
                )
        return seqs

    def empty_vectors(self, uri: str, first: int, last: int) -> int:
        """Take the passages and vectors from versions of an item; return from how many fields."""
        with self._transaction() as cursor:
            return cursor.execute(_EMPTY, (uri, first, last)).rowcount

    def add_signatures(self, signatures: Mapping[int, bytes]) -> None:
        """Record text signatures of versions, by seq; versions that are gone are skipped."""
        left = [*signatures.items()]
        while left:
            done = self._take_turn(
                lambda cursor, each: writing.insert_signature(cursor, *each), left
            )
            left = left[len(done) :]

    def unknown(self, items: Sequence[Item], by: Caller = OPERATOR) -> tuple[bool, ...]:
        """Return for each item whether a put by `by` (with new vectors) would change the record."""
        with storage_errors(self.path):
            cursor = self.reader.cursor()
            return tuple(self._is_unknown(cursor, item, by) for item in items)

    def last_change(self) -> int:
        """Return the number of the newest acknowledged change, 0 in an empty record."""
        row = self.reader.execute("SELECT seq FROM sqlite_sequence WHERE name = 'changes'")
        found = row.fetchone()
        return 0 if found is None else int(found[0])

    def facts(self) -> Mapping[str, Any]:
        """Return facts about the record, as values for JSON."""
        unsettled = self.unsettled
        return {
            "durable": True,
            "schema": str(schema.SCHEMA_VERSION),
            "unsettled": len(unsettled.changes),
            "hidden_here": unsettled.here,
        }

    def follow(self, changed: Callable[[], None]) -> None:
        """Do nothing: SQLite sends no notices, and looking costs little."""

    def close(self) -> None:
        """Close every connection and the journal."""
        self._writing.close()
        self._aside.close()
        self._close_readers(lambda _: False)

    def _add(self, cursor: sqlite3.Cursor, seq: int, entry: PassageVectors, now: int) -> bool:
        """Add vectors to a recorded version that lacks them; return whether it did."""
        row = cursor.execute("SELECT chain FROM items WHERE seq = ?", (seq,)).fetchone()
        fresh, have = (entry.field, entry.encoder), writing.spaces_of(cursor, seq)
        if row is None or fresh in have:
            return False
        writing.forget_vectors(cursor, seq, forgotten(have, {fresh}, self._kept))
        writing.insert_vectors(cursor, seq, (vector_row(entry),))
        used = self.spaces.get(entry.field) == entry.encoder
        writing.log_change(cursor, row[0], seq, vectors_kind(entry.encoder, used), now)
        return True

    def _take_turn(
        self,
        do: Callable[[sqlite3.Cursor, Work], Done],
        works: Sequence[Work],
        *,
        urgent: bool = False,
    ) -> list[Done]:
        """Do as many of `works` in one transaction as its time allows; return their results."""
        done: list[Done] = []
        with self._transaction(urgent=urgent) as cursor:
            until = time.monotonic() + _HOLD_S
            for work in works:
                done.append(do(cursor, work))
                if time.monotonic() > until:
                    break
        return done

    @contextmanager
    def _transaction(self, *, urgent: bool = False) -> Iterator[sqlite3.Cursor]:
        """Yield a short transaction. It first records the changes in the journal."""
        with self._writing.alone(urgent=urgent) as cursor:
            aside = self._aside.journaled()
            for asked in aside.changes:
                writing.set_status(cursor, asked.change, asked.writes, to_micros(self._clock()))
            yield cursor
        self._aside.take(aside)

    def _is_unknown(self, cursor: sqlite3.Cursor, item: Item, by: Caller) -> bool:
        newest = writing.newest_version(cursor, item.uri)
        if refusal(item, by, newest):
            return False
        if newest is None or newest.version < item.version:
            return True
        if outcome_of(item, item_rows.content_digest(item), newest) is not None:
            return False
        have = writing.spaces_of(cursor, newest.seq)
        return not is_recorded(item, newest, have, self.spaces.items())
