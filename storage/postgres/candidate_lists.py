"""Keeps the lists behind cursors on the server of the record, so that every process on every host
can go on with them.

This is `core.ports.engine.Shelf` over an unlogged table. A list outlives a killed process and a
restart of any host, but not a crash of the server, and no search waits for the server's disk.
Nothing depends on the table: if the server does not answer or is slow, that is noted and the list
is not kept.

One statement writes each list with the newest line of the log of changes. The list is returned only
while the log still has that line, because a restored backup uses the same numbers again. Times are
the server's, since hosts' clocks differ.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from math import inf
from time import monotonic
from typing import Any

import psycopg
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from core.threads import Threads
from storage.postgres.connections import place_of, pool_of, url_of

log = logging.getLogger(__name__)

LIFETIME_S = 600.0
MOST_BYTES = 256 * 2**20
# In milliseconds; a cursor is not worth a longer wait.
LIMITS = {"statement_timeout": 2_000, "lock_timeout": 200}
_POOLED, _MORE, _WAIT_S = 2, 6, 1.0
_REST_S = 5.0  # pause after a failure, so that no search waits for a server that does not answer
_PUTS_PER_SWEEP = 32
_PUT = sa.text(
    "INSERT INTO candidate_lists (key, until, size, seen_n, seen, value)"
    " SELECT :key, clock_timestamp() + make_interval(secs => :lifetime), :size, newest.n,"
    " newest.line, :value FROM (SELECT) AS one LEFT JOIN LATERAL"
    " (SELECT n, CAST(changes AS text) AS line FROM changes ORDER BY n DESC LIMIT 1) AS newest"
    " ON true ON CONFLICT (key) DO NOTHING"
)
_GET = sa.text(
    "SELECT value FROM candidate_lists AS kept WHERE key = :key AND until > clock_timestamp()"
    " AND (seen_n IS NULL OR EXISTS (SELECT FROM changes"
    " WHERE changes.n = kept.seen_n AND CAST(changes AS text) = kept.seen))"
)
# A few at a time: a long statement would delay the server's vacuum of all tables.
_DELETE_EXPIRED = sa.text(
    "DELETE FROM candidate_lists WHERE n IN (SELECT n FROM candidate_lists"
    " WHERE until < clock_timestamp() ORDER BY n LIMIT 64)"
)
# The newest list for which there is no room beside the newer ones; sweeps at once find the same.
_NO_ROOM = sa.text(
    "SELECT max(n) FROM (SELECT n, sum(size) OVER (ORDER BY n DESC) AS held FROM candidate_lists)"
    " AS sums WHERE held > :most"
)
_DELETE_OLDEST = sa.text(
    "DELETE FROM candidate_lists WHERE n IN (SELECT n FROM candidate_lists"
    " WHERE n <= :last ORDER BY n LIMIT 64)"
)
_Failure = SQLAlchemyError | psycopg.Error


class PostgresCandidateLists:
    """Keeps values for `lifetime_s` seconds. If the values of all processes together exceed
    `most_bytes`, the oldest are deleted. Thread-safe.
    """

    def __init__(
        self, address: str, *, lifetime_s: float = LIFETIME_S, most_bytes: int = MOST_BYTES
    ) -> None:
        self.where = place_of(url_of(address))
        self._pool = pool_of(address, limits=LIMITS, pooled=_POOLED, more=_MORE, wait_s=_WAIT_S)
        self._lifetime_s = lifetime_s
        self._most_bytes = most_bytes
        self._lock = threading.Lock()
        self._puts = 0
        self._keeper = Threads(1, thread_name_prefix="candidate lists")
        self._keeping: Future[None] | None = None
        self._resting_until = 0.0
        self.failure = ""

    def put(self, key: str, value: bytes) -> bool:
        """Keep `value` under `key`; return whether that succeeded."""
        if monotonic() < self._resting_until or len(value) > self._most_bytes:
            return False
        parameters = {"key": key, "value": value, "size": len(value), "lifetime": self._lifetime_s}
        if self._tried(lambda connection: connection.execute(_PUT, parameters)) is None:
            return False
        self.failure = ""
        self._sweep_now_and_then()
        return True

    def get(self, key: str) -> bytes | None:
        """Return the value under `key`; None if it is unknown, too old, or of another record."""
        if self._resting_until == inf:  # closed
            return None
        found = self._tried(lambda connection: connection.execute(_GET, {"key": key}).all())
        return bytes(found[0][0]) if found else None

    def close(self) -> None:
        """End the background work and close the connections."""
        self._resting_until = inf
        self._keeper.shutdown()
        self._pool.dispose()

    def _tried(self, work: Callable[[sa.Connection], Any]) -> Any:
        """Return the result of `work`, None if the server fails; replace a dead connection."""
        try:
            try:
                return self._once(work)
            except DBAPIError as error:
                if not error.connection_invalidated:
                    raise
                return self._once(work)
        except (SQLAlchemyError, psycopg.Error) as error:
            self._failed(error)
            return None

    def _once(self, work: Callable[[sa.Connection], Any]) -> Any:
        with self._pool.connect() as connection:
            return work(connection)

    def _sweep_now_and_then(self) -> None:
        with self._lock, suppress(RuntimeError):  # closed meanwhile
            self._puts += 1
            done = self._keeping is None or self._keeping.done()
            if self._puts % _PUTS_PER_SWEEP == 1 and done:
                self._keeping = self._keeper.submit(self._keep_small)

    def _keep_small(self) -> None:
        """Delete expired lists, then the oldest until the rest fits; no search waits for it."""
        try:
            while self._changed(_DELETE_EXPIRED):
                pass
            with self._pool.connect() as connection:
                last = connection.execute(_NO_ROOM, {"most": self._most_bytes}).scalar()
            while last is not None and self._changed(_DELETE_OLDEST, last=last):
                pass
        except (SQLAlchemyError, psycopg.Error) as error:
            log.warning("old cursors could not be deleted: %s (%s)", _said(error), self.where)

    def _changed(self, statement: sa.TextClause, **parameters: object) -> int:
        with self._pool.connect() as connection:
            return connection.execute(statement, parameters).rowcount

    def _failed(self, error: _Failure) -> None:
        said = _said(error)
        if said != self.failure:
            log.warning("cursors are not shared just now: %s (%s)", said, self.where)
        self.failure = said
        self._resting_until = max(self._resting_until, monotonic() + _REST_S)


def _said(error: _Failure) -> str:
    cause = error.orig if isinstance(error, DBAPIError) else error
    return " ".join(str(cause).split())
