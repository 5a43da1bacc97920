"""The table of uses: requests, items and refusals by account, day and method."""

from __future__ import annotations

from collections.abc import Mapping

import sqlalchemy as sa

from core.customers.accounts import Uses
from storage.databases import Database

Place = tuple[str, str, str]  # account, day, method
_TABLES = sa.MetaData()
_USES = sa.Table(
    "dateline_usage",
    _TABLES,
    sa.Column("account", sa.String(240), primary_key=True),
    sa.Column("day", sa.String(10), primary_key=True),
    sa.Column("method", sa.String(20), primary_key=True),
    sa.Column("requests", sa.BigInteger, nullable=False),
    sa.Column("items", sa.BigInteger, nullable=False),
    sa.Column("refused", sa.BigInteger, nullable=False),
)
_COUNTS = ("requests", "items", "refused")


class StoredUsage:
    """`core.ports.customers.UsageStore` in a database, for any number of processes. Thread-safe.
    Every method raises StorageError if the database fails.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        database.prepare(_TABLES)

    def add(self, counts: Mapping[Place, Uses]) -> None:
        """Add to what was counted before."""
        insert = self._database.insert(_USES)
        more = {name: _USES.c[name] + insert.excluded[name] for name in _COUNTS}
        adding = insert.on_conflict_do_update(index_elements=_USES.primary_key, set_=more)
        rows = [
            {
                "account": account,
                "day": day,
                "method": method,
                "requests": uses.requests,
                "items": uses.items,
                "refused": uses.refused,
            }
            for (account, day, method), uses in sorted(counts.items())  # no two wait for each other
        ]
        if rows:
            self._database.run(lambda connection: connection.execute(adding, rows))

    def read(self, first: str, last: str, account: str = "") -> Mapping[Place, Uses]:
        """Return what was counted from the first day to the last one, of one account or of all."""
        query = sa.select(_USES).where(_USES.c.day >= first, _USES.c.day <= last)
        if account:
            query = query.where(_USES.c.account == account)
        rows = self._database.run(lambda connection: connection.execute(query).all())
        return {
            (row.account, row.day, row.method): Uses(row.requests, row.items, row.refused)
            for row in rows
        }
