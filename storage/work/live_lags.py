"""How long the shots and words of live sources took until searches found them, in a database that
every process of an archive shares: one tells them, others show them to operators.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

import sqlalchemy as sa

from storage.databases import Database

KINDS = ("shots", "words")
_KEPT_S = 3600.0
_TABLES = sa.MetaData()
_LAGS = sa.Table(
    "live_lags",
    _TABLES,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("at", sa.Float, nullable=False),
    sa.Column("lag_s", sa.Float, nullable=False),
)


class StoredLiveLags:
    """The lags of an hour in a database, for any number of processes. Thread-safe."""

    def __init__(self, database: Database) -> None:
        self._database = database
        database.prepare(_TABLES)

    def add(self, kind: str, lag_s: float) -> None:
        """Note that one of `KINDS` is found now, `lag_s` after its end. Raises StorageError."""
        now = time.time()
        added = sa.insert(_LAGS).values(kind=kind, at=now, lag_s=lag_s)
        old = sa.delete(_LAGS).where(_LAGS.c.at < now - _KEPT_S)

        def work(connection: sa.Connection) -> None:
            connection.execute(added)
            connection.execute(old)

        self._database.run(work)


def longest_lags(database: Database, within_s: float) -> Mapping[str, float]:
    """Return the longest lag of each kind that was noted within so many seconds; 0.0 where none
    was. Raises StorageError.
    """
    longest = sa.select(_LAGS.c.kind, sa.func.max(_LAGS.c.lag_s)).group_by(_LAGS.c.kind)

    def work(connection: sa.Connection) -> Mapping[str, float]:
        found = dict.fromkeys(KINDS, 0.0)
        if sa.inspect(connection).has_table(_LAGS.name):
            recent = longest.where(_LAGS.c.at >= time.time() - within_s)
            found |= {str(kind): float(lag_s) for kind, lag_s in connection.execute(recent)}
        return found

    return database.run(work)
