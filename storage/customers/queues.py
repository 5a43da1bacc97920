"""The tables of items on demand: queues, and how far each consumer has read them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from storage.databases import Database
from storage.record.item_rows import to_micros

_NUMBER = sa.BigInteger
_TABLES = sa.MetaData()
_QUEUED = sa.Table(
    "dateline_on_demand",
    _TABLES,
    sa.Column("n", _NUMBER, primary_key=True, autoincrement=False),
    sa.Column("account", sa.Text, nullable=False),
    sa.Column("queue", sa.String(64), nullable=False),
    sa.Column("uri", sa.Text, nullable=False),
    sa.Column("at", _NUMBER, nullable=False),
    sa.Index("dateline_on_demand_by_queue", "account", "queue", "n"),
    sa.Index("dateline_on_demand_by_time", "at"),
)
_CONSUMERS = sa.Table(
    "dateline_on_demand_consumers",
    _TABLES,
    sa.Column("account", sa.Text, primary_key=True),
    sa.Column("queue", sa.String(64), primary_key=True),
    sa.Column("consumer", sa.String(64), primary_key=True),
    sa.Column("confirmed", _NUMBER, nullable=False),
)
_LAST = sa.Table(
    "dateline_on_demand_last",
    _TABLES,
    sa.Column("one", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("n", _NUMBER, nullable=False),
)


class StoredQueues:
    """`core.ports.customers.QueueStore` in a database, for any number of processes. Thread-safe."""

    def __init__(self, database: Database) -> None:
        self._database = database
        database.prepare(_TABLES)
        first = database.insert(_LAST).values(one=1, n=0).on_conflict_do_nothing()
        database.run(lambda connection: connection.execute(first))

    def send(self, account: str, queue: str, uris: Collection[str], at: datetime) -> int:
        """Put items at the end of a queue; return how many."""
        given = list(dict.fromkeys(uris))
        if not given:
            return 0
        # A second process waits here, so places become visible in their order.
        reserve = sa.update(_LAST).values(n=_LAST.c.n + len(given)).returning(_LAST.c.n)

        def work(connection: sa.Connection) -> int:
            last = int(connection.execute(reserve).scalar_one())
            first = last - len(given) + 1
            row = {"account": account, "queue": queue, "at": to_micros(at)}
            rows = [{**row, "n": first + place, "uri": uri} for place, uri in enumerate(given)]
            connection.execute(sa.insert(_QUEUED), rows)
            return len(rows)

        return self._database.write(work)

    def after(self, account: str, queue: str, n: int, limit: int) -> Sequence[tuple[int, str]]:
        """Return at most `limit` places and uris behind place `n`, in order."""
        own = (_QUEUED.c.account == account, _QUEUED.c.queue == queue, _QUEUED.c.n > n)
        query = sa.select(_QUEUED.c.n, _QUEUED.c.uri).where(*own).order_by(_QUEUED.c.n)
        return [(row.n, row.uri) for row in self._all(query.limit(limit))]

    def confirmed(self, account: str, queue: str, consumer: str) -> int:
        """Return the place up to which a consumer has said that it has the items."""
        keys = _CONSUMERS.c
        own = (keys.account == account, keys.queue == queue, keys.consumer == consumer)
        rows = self._all(sa.select(keys.confirmed).where(*own))
        return int(rows[0][0]) if rows else 0

    def confirm(self, account: str, queue: str, consumer: str, n: int) -> None:
        """Note that a consumer has the items up to place `n`, if it is not further already."""
        insert = self._database.insert(_CONSUMERS)
        row = {"account": account, "queue": queue, "consumer": consumer, "confirmed": n}
        kept = insert.on_conflict_do_update(
            index_elements=["account", "queue", "consumer"],
            set_={"confirmed": n},
            where=_CONSUMERS.c.confirmed < n,
        )
        self._database.run(lambda connection: connection.execute(kept, [row]))

    def drop(self, before: datetime) -> int:
        """Delete what was sent before a moment; return how many items."""
        old = sa.delete(_QUEUED).where(_QUEUED.c.at < to_micros(before))
        return self._database.run(lambda connection: int(connection.execute(old).rowcount))

    def _all(self, query: Any) -> Sequence[Any]:
        return self._database.run(lambda connection: connection.execute(query).all())
