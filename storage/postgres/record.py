"""The record of truth on Postgres: every host of an archive writes to it and reads from it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import islice
from typing import Any, TypeVar

import psycopg
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from core.callers import OPERATOR, Caller
from core.errors import StorageError
from core.items import Item, PassageVectors
from core.ports.engine import Clock
from core.writes import PutItem, SetStatus, Written
from storage.postgres import puts, schema, statuses, writes
from storage.postgres.connections import place_of, pool_of, url_of
from storage.postgres.failures import (
    NOT_COMMITTED,
    UNKNOWN,
    is_lost,
    state_of,
    storage_errors,
)
from storage.postgres.followers import Follower
from storage.postgres.reads import LAST_CHANGE, PostgresReads
from storage.record.item_rows import to_micros
from storage.record.prepared import Prepared, prepared
from storage.record.turns import Turns, in_short_turns
from storage.record.unsettled import SETTLED, Unsettled
from storage.record.write_rules import Space, digest_of, is_recorded, outcome_of, refusal

_NOTHING: Mapping[str, str] = {}
_AT_ONCE = 50  # writes in one transaction: some 20 ms
Value = TypeVar("Value")
_ARCHIVE = sa.text("SELECT id FROM archive")
_NOTIFY = sa.text("SELECT pg_notify(:channel, '')")
_SETTINGS = sa.text(
    "SELECT current_setting('server_version'), current_setting('fsync'),"
    " current_setting('full_page_writes'), pg_database_size(current_database())"
)


class PostgresRecord:
    """`storage.record.port.RecordOfTruth` behind `postgresql://…`. It creates or migrates the
    tables if the role may. Raises StorageError.

    After a lost connection a read is sent again on a fresh one. A write is not: the error says what
    became of it, and the caller may safely send it again.
    """

    def __init__(
        self,
        address: str,
        spaces: Mapping[str, str],
        clock: Clock,
        beside: Mapping[str, str] = _NOTHING,
    ) -> None:
        self.spaces = dict(spaces)
        self.beside = dict(beside)
        self.where = place_of(url_of(address))
        self._address = address
        self._clock = clock
        self._pool = pool_of(address)
        self._turns = Turns()  # one connection of this process waits for the server's lock
        self._follower: Follower | None = None
        try:
            schema.prepare(self._pool, self.where)
            self.identity = str(self._ask(_ARCHIVE)[0][0])
        except BaseException:
            self._pool.dispose()
            raise
        self.reads = PostgresReads(self._ask)
        self._channel = f"dateline_{self.identity}"

    def put(self, batch: Sequence[PutItem], by: Caller = OPERATOR) -> tuple[Written, ...]:
        """Record the items in short transactions; return what became of the first of them."""
        return in_short_turns([prepared(each) for each in batch], partial(self._put_some, by))

    def _put_some(self, by: Caller, rows: Sequence[Prepared]) -> list[Written]:
        with self._writing() as (connection, log):
            return puts.put_all(connection, rows[:_AT_ONCE], by, log, self._kept)

    def set_status(
        self, changes: Sequence[SetStatus], by: Caller = OPERATOR
    ) -> tuple[Written, ...]:
        """Change states, all or none, before every other write that waits in this process. Writes
        of other hosts are short, and the server queues them.
        """
        with self._writing(urgent=True) as (connection, log):
            return tuple(statuses.set_all(connection, changes, by, log))

    def add_vectors(self, vectors: Mapping[int, PassageVectors]) -> int:
        """Add vectors to recorded versions; return how many versions got theirs."""
        used, added = set(self.spaces.items()), 0
        for part in _parts(vectors):
            with self._writing() as (connection, log):
                added += writes.add_vectors(connection, part, log, used, self._kept)
        return added

    def forget_vectors(
        self, field: str, keep: Collection[str], after: int, limit: int
    ) -> Sequence[int]:
        """Delete the field's vectors of other encoders from `limit` versions; return their seqs."""
        with self._writing() as (connection, _):
            return writes.forget_vectors(connection, field, keep, after, limit)

    def empty_vectors(self, uri: str, first: int, last: int) -> int:
        """Take the passages and vectors from versions of an item; return from how many fields."""
        with self._writing() as (connection, _):
            return writes.empty_vectors(connection, uri, first, last)

    @property
    def _kept(self) -> set[Space]:
        return {*self.spaces.items(), *self.beside.items()}

    def add_signatures(self, signatures: Mapping[int, bytes]) -> None:
        """Record text signatures of versions, by seq."""
        for part in _parts(signatures):
            with self._writing() as (connection, _):
                writes.add_signatures(connection, part)

    def unknown(self, items: Sequence[Item], by: Caller = OPERATOR) -> tuple[bool, ...]:
        """Return for each item whether a put would change anything."""
        newest = writes.newest_of(self._ask, {item.uri for item in items})
        have = writes.encoders_of(self._ask, [found.seq for found in newest.values()])
        answers: list[bool] = []
        for item in items:
            found = newest.get(item.uri)
            if refusal(item, by, found):
                answers.append(False)
                continue
            outcome = outcome_of(item, digest_of(item), found)
            if outcome is not None or found is None:
                answers.append(found is None or found.version < item.version)
            else:
                same = is_recorded(item, found, have.get(found.seq, ()), self.spaces.items())
                answers.append(not same)
        return tuple(answers)

    def last_change(self) -> int:
        """Return the number of the newest change, 0 in an empty record. Each request asks for it
        several times, so this calls the driver directly, which takes half the time of SQLAlchemy
        (benchmarks/record.py).
        """
        with storage_errors(self.where):
            held = self._pool.raw_connection()
            try:
                row = held.cursor().execute(LAST_CHANGE.text).fetchone()
            except psycopg.Error:
                held.invalidate()
                row = self._ask(LAST_CHANGE)[0]
            else:
                held.close()
        return (row[0] if row else None) or 0

    @property
    def unsettled(self) -> Unsettled:
        """No changes: a server that can't record a change does not acknowledge it."""
        return SETTLED

    def settle(self) -> None:
        """Do nothing: there is nothing to settle."""

    @contextmanager
    def moment(self) -> Iterator[PostgresReads]:
        """Yield reads of one state of the record: one snapshot of the server."""
        with storage_errors(self.where), self._pool.connect() as plain:
            connection = plain.execution_options(
                isolation_level="REPEATABLE READ", postgresql_readonly=True
            )
            with connection.begin():
                yield PostgresReads(writes.asking(connection))

    def follow(self, changed: Callable[[], None]) -> None:
        """Call `changed` when another process has written; only the first listener is called."""
        if self._follower is None:
            self._follower = Follower(self._address, self._channel, changed)

    def facts(self) -> Mapping[str, Any]:
        """Return the server's version, durability, size and schema, for `dateline doctor`."""
        version, fsync, full_pages, size = self._ask(_SETTINGS)[0]
        durable = fsync == "on" and full_pages == "on"
        return {"server": version, "durable": durable, "bytes": size, "schema": schema.newest()}

    def close(self) -> None:
        """Close every connection."""
        if self._follower is not None:
            self._follower.close()
            self._follower = None
        self._pool.dispose()

    def _ask(self, statement: sa.TextClause, **parameters: object) -> Sequence[Any]:
        with storage_errors(self.where):
            try:
                return self._ask_once(statement, parameters)
            except DBAPIError as error:
                if not error.connection_invalidated:
                    raise  # there was no connection, or the statement is at fault
            return self._ask_once(statement, parameters)

    def _ask_once(self, statement: sa.TextClause, parameters: Mapping[str, Any]) -> Sequence[Any]:
        with self._pool.connect() as connection:
            return connection.execute(statement, parameters).all()

    @contextmanager
    def _writing(self, *, urgent: bool = False) -> Iterator[tuple[sa.Connection, writes.Log]]:
        """Yield a transaction in which no other host writes; commit it at the end. `last_change`
        before it finds dead connections, so that no write fails because of them.
        """
        now = to_micros(self._clock())
        self.last_change()
        turn = self._turns.taken(urgent=urgent)
        with turn, storage_errors(self.where), self._pool.connect() as plain:
            connection = plain.execution_options(isolation_level="READ COMMITTED")
            with connection.begin() as transaction:
                log = writes.take_turn(connection, now)
                yield connection, log
                log.write(connection)
                if log.lines:
                    connection.execute(_NOTIFY, {"channel": self._channel})
                self._commit(transaction)

    def _commit(self, transaction: sa.Transaction) -> None:
        try:
            transaction.commit()
        except SQLAlchemyError as error:
            if not is_lost(error) or state_of(error) in NOT_COMMITTED:
                raise
            raise StorageError(
                UNKNOWN, where=self.where, mend="send it again: a recorded write stays as it is"
            ) from error


def _parts(of_seq: Mapping[int, Value]) -> Iterator[Mapping[int, Value]]:
    """Yield the parts that are written in one transaction each."""
    entries = iter(of_seq.items())
    while part := dict(islice(entries, _AT_ONCE)):
        yield part
