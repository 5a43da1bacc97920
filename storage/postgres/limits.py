"""Rate limits on the server of the record, shared by all processes on all hosts.

This `core.limits.Limiter` never waits for the server. A process leases a twentieth of a limit's
burst at a time, spends that by itself, and asks for more in the background before it is used up.
What it takes while it waits for the answer goes on account, and the next request charges it: at
most as much as a lease, or ON_ACCOUNT if that is more. So a process may exceed the limit by that
for a moment, but not in the long run. Times are the server's, since hosts' clocks differ. While the
server does not answer, each host counts by itself.
"""

from __future__ import annotations

import logging
import threading
from contextlib import suppress
from dataclasses import dataclass
from math import inf
from time import monotonic

import psycopg
import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from core.limits import Allowed, Limit, Limiter, Refused, leased, room
from core.threads import Threads
from storage.postgres.connections import place_of, pool_of, url_of

log = logging.getLogger(__name__)

LIMITS = {"statement_timeout": 2_000, "lock_timeout": 1_000}  # milliseconds
LEASES = 20  # part of a burst
ON_ACCOUNT = 8  # the most on account if a lease is less
_LATE_S = 0.25  # an answer that takes longer is not awaited
_REST_S = 5.0  # pause after a failure
_SOON_S = 0.05
_POOLED, _MORE, _WAIT_S = 1, 1, 1.0
_FIRST = sa.text("INSERT INTO limits (name, paid_back) VALUES (:name, 0) ON CONFLICT DO NOTHING")
_READ = sa.text(
    "SELECT paid_back, CAST(extract(epoch FROM clock_timestamp()) * 1e9 AS bigint) FROM limits"
    " WHERE name = :name FOR UPDATE"
)
_WRITE = sa.text("UPDATE limits SET paid_back = :moment WHERE name = :name")


@dataclass(slots=True)
class _Purse:
    """A part of a key's limit that a process has: leased and not spent (`left`), spent and not
    charged (`owed`), since when it awaits an answer (`asked`, `inf` if it does not), and until when
    the server has no more. Beside what is leased, the server had `beyond` when it was asked last.
    """

    beyond: int
    left: int = 0
    owed: int = 0
    asked: float = inf
    dry_until: float = 0.0

    def spend(self, cost: int, most: int, now: float) -> Allowed | Refused:
        """Take `cost` from the rest, or as a debt if at most `most` are then owed."""
        if self.left >= cost:
            self.left -= cost
            return Allowed(self.left + self.beyond)
        if now >= self.dry_until and (not self.owed or self.owed + cost <= most):
            self.owed += cost
            return Allowed(max(0, self.beyond - self.owed))
        return Refused(max(self.dry_until - now, _SOON_S))

    def is_low(self, lease: int, now: float) -> bool:
        """Return whether to ask the server for more."""
        idle = self.asked == inf and now >= self.dry_until
        return idle and (self.owed > 0 or self.left < (lease + 1) // 2)


class PostgresLimits:
    """A limiter for all processes with one record; `beside` counts while the server can't."""

    def __init__(self, address: str, beside: Limiter) -> None:
        self.where = place_of(url_of(address))
        self._beside = beside
        self._pool = pool_of(address, limits=LIMITS, pooled=_POOLED, more=_MORE, wait_s=_WAIT_S)
        self._lock = threading.Lock()
        self._purses: dict[tuple[str, str], _Purse] = {}
        self._asker = Threads(1, thread_name_prefix="limits")
        self._alone_until = 0.0

    def take(self, limit: Limit, key: str, cost: int = 1) -> Allowed | Refused:
        """Take `cost` of a key's limit, or refuse."""
        now, lease = monotonic(), limit.burst // LEASES
        with self._lock:
            purse = self._purses.setdefault((limit.name, key), _Purse(limit.burst))
            if now >= self._alone_until and now - purse.asked < _LATE_S:
                answer = purse.spend(cost, min(limit.burst, max(lease, ON_ACCOUNT)), now)
                if purse.is_low(lease, now):
                    self._ask_for(limit, key, purse, now)
                return answer
        return self._beside.take(limit, key, cost)

    def close(self) -> None:
        """End the background work and close the connections."""
        self._alone_until = inf
        self._asker.shutdown(cancel_futures=True)
        self._pool.dispose()
        self._beside.close()

    def _ask_for(self, limit: Limit, key: str, purse: _Purse, now: float) -> None:
        with suppress(RuntimeError):  # closed meanwhile
            self._asker.submit(self._ask, limit, key, purse)
            purse.asked = now

    def _ask(self, limit: Limit, key: str, purse: _Purse) -> None:
        """Charge what is owed, and lease more."""
        owed = purse.owed
        try:
            granted, wait_s, beyond = self._lease(limit, key, owed)
        except (SQLAlchemyError, psycopg.Error) as error:
            with self._lock:
                purse.asked = inf
                self._rest(error)
            return
        with self._lock:
            now = monotonic()
            purse.asked = inf
            purse.owed -= owed
            purse.left += granted
            purse.beyond = beyond
            purse.dry_until = now + wait_s if wait_s > 0 else 0.0

    def _lease(self, limit: Limit, key: str, owed: int) -> tuple[int, float, int]:
        """Lease from the server; return how many, in how many seconds there are more, and how many
        it has left.
        """
        name = {"name": f"{limit.name}\n{key}"}
        with self._pool.connect() as plain:
            connection = plain.execution_options(isolation_level="READ COMMITTED")
            with connection.begin():
                connection.execute(_FIRST, name)
                paid_back, now = connection.execute(_READ, name).one()
                moment, granted, wait_s = leased(paid_back, now, limit, owed, limit.burst // LEASES)
                connection.execute(_WRITE, {**name, "moment": moment})
        return granted, wait_s, room(moment, now, limit)

    def _rest(self, error: Exception) -> None:
        if self._alone_until <= monotonic():
            said = " ".join(str(getattr(error, "orig", None) or error).split())
            log.warning("limits are of this host alone just now: %s (%s)", said, self.where)
        self._alone_until = max(self._alone_until, monotonic() + _REST_S)
