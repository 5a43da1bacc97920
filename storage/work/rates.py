"""Limits on requests and tokens per minute that many processes share in their database.

Each request is a row with its time and its tokens. Rows of the last minute count, so the limits
hold over any sliding minute. Rows of a killed process expire like others. In Postgres, times are
the database's, because hosts' clocks differ.

No library fits: pyrate-limiter's shared buckets keep a row for each token, take no lock that other
processes see in SQLite, and refuse one of two concurrent requests in Postgres.
"""

from __future__ import annotations

import time

import sqlalchemy as sa

from storage.databases import Database

MINUTE_S = 60.0
_TABLES = sa.MetaData()
_NAMES = sa.Table(
    "rate_names",
    _TABLES,
    sa.Column("name", sa.String(64), primary_key=True),
)
_TAKEN = sa.Table(
    "rate_requests",
    _TABLES,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("name", sa.String(64), nullable=False),
    sa.Column("at", sa.Float, nullable=False),
    sa.Column("tokens", sa.BigInteger, nullable=False),
    sa.Index("rate_requests_by_time", "name", "at"),
)


class StoredRates:
    """`indexing.captions.calls.RateLog` in a database, for any number of processes. Thread-safe."""

    def __init__(self, database: Database) -> None:
        self._database = database
        database.prepare(_TABLES)

    def take(
        self,
        name: str,
        tokens: int,
        most_requests: float,
        most_tokens: float,
        minute_s: float = MINUTE_S,
    ) -> float:
        """Note one request and return 0, or return the seconds until there may be room for it."""
        new = self._database.insert(_NAMES).values(name=name).on_conflict_do_nothing()
        # A second process waits here for the transaction of the first.
        locked = sa.select(_NAMES.c.name).where(_NAMES.c.name == name).with_for_update()
        own = _TAKEN.c.name == name
        sums = sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(_TAKEN.c.tokens), 0))
        rows = sa.select(_TAKEN.c.at, _TAKEN.c.tokens).where(own).order_by(_TAKEN.c.at)

        def work(connection: sa.Connection) -> float:
            connection.execute(new)
            connection.execute(locked)
            now = self._now(connection)
            passed = sa.or_(_TAKEN.c.at <= now - minute_s, _TAKEN.c.at > now + minute_s)
            connection.execute(sa.delete(_TAKEN).where(own, passed))
            requests, used = connection.execute(sums.where(own)).one()
            over = (int(requests) + 1 - most_requests, int(used) + tokens - most_tokens)
            if max(over) <= 0:
                connection.execute(sa.insert(_TAKEN).values(name=name, at=now, tokens=tokens))
                return 0.0
            for at, weight in connection.execute(rows):
                over = (over[0] - 1, over[1] - int(weight))
                if max(over) <= 0:
                    return max(0.0, float(at) + minute_s - now) or minute_s / 1000
            raise ValueError(f"no minute has room for {tokens:,} tokens")

        return self._database.run(work)

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def _now(self, connection: sa.Connection) -> float:
        """Return the seconds since 1970."""
        if self._database.is_sqlite:
            return time.time()
        clock = sa.text("SELECT extract(epoch FROM clock_timestamp())")
        return float(connection.execute(clock).scalar_one())
