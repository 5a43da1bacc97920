"""Which account received which item by which channel.

Most of what an account is shown it was shown before. So a bounded memory of recorded receipts
stands before the table, and the usual answer writes nothing.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice
from threading import Lock
from typing import Any

import sqlalchemy as sa

from core.customers.transitions import Receipt
from core.errors import StorageError
from storage.customers.digests import key_of
from storage.databases import Database

log = logging.getLogger(__name__)
_AT_ONCE = 500  # keys in one statement
_REMEMBERED = 200_000  # receipts, of some 100 bytes
_TABLES = sa.MetaData()
_RECEIPTS = sa.Table(
    "dateline_receipts",
    _TABLES,
    sa.Column("uri_key", sa.LargeBinary(16), primary_key=True),
    sa.Column("account", sa.Text, primary_key=True),
    sa.Column("channel", sa.String(32), primary_key=True),
    sa.Column("uri", sa.Text, nullable=False),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("at", sa.Float, nullable=False),
    sa.Index("dateline_receipts_by_account", "account", "uri_key"),
)
# SQLAlchemy's compiler would take longer than the commit does.
_INSERT = (
    "INSERT INTO dateline_receipts (uri_key, account, channel, uri, version, at)"
    " VALUES ({0}, {0}, {0}, {0}, {0}, {0}) ON CONFLICT (uri_key, account, channel)"
    " DO UPDATE SET version = excluded.version, at = excluded.at"
    " WHERE excluded.version > dateline_receipts.version"
)
_Pair = tuple[str, str, str, int]
_Row = tuple[bytes, str, str, str, int, float]


class StoredReceipts:
    """`core.ports.customers.Receipts` in a database, for any number of processes. Thread-safe.

    `quick` is the same database with commits that do not wait for the disk. If it takes nothing, on
    a full disk for example, its receipts are owed: reads go on, and the next call writes them.
    After a receipt was recorded, `late` is called with the account and the versions, by uri, that
    it had not received before: an item that was taken away while it was on its way is told to it.
    """

    def __init__(
        self,
        database: Database,
        quick: Database | None = None,
        late: Callable[[str, Mapping[str, int]], object] = lambda account, versions: None,
    ) -> None:
        self._database = database
        self._quick = quick or database
        self._late = late
        self._lock = Lock()
        self._known: dict[_Pair, bool] = {}  # whether it is on the disk
        self._owed: dict[tuple[str, str, str], _Row] = {}
        mark = "?" if database.is_sqlite else "%s"
        self._insert = _INSERT.format(mark)
        database.prepare(_TABLES)

    def add(
        self,
        account: str,
        channel: str,
        versions: Collection[tuple[str, int]],
        *,
        synced: bool = False,
    ) -> None:
        """Record that the account received these versions."""
        pairs = [(account, channel, uri, version) for uri, version in versions]
        known = self._known
        fresh = [pair for pair in pairs if not (known.get(pair) or (pair in known and not synced))]
        if not fresh:
            return
        now = time.time()
        newest = {pair[2]: pair for pair in sorted(fresh, key=lambda pair: pair[3])}
        rows: list[_Row] = [
            (key_of(uri), account, channel, uri, version, now)
            for _, _, uri, version in newest.values()
        ]
        if not self._write(rows, synced=synced):
            return
        self._late(account, {uri: pair[3] for uri, pair in newest.items()})
        self._remember(fresh, synced)

    def _write(self, rows: Sequence[_Row], *, synced: bool) -> bool:
        """Write the rows and those that are owed; return False if they are owed now. Raises
        StorageError for `synced` ones.
        """
        with self._lock:
            owed, self._owed = self._owed, {}
        every = {row[1:4]: row for row in (*owed.values(), *rows)}
        # In one order, so that two writers lock rows in the same one.
        written = sorted(every.values())
        database = self._database if synced else self._quick
        try:
            database.run(lambda connection: connection.exec_driver_sql(self._insert, written))
        except StorageError as error:
            with self._lock:
                kept = owed if synced else every
                self._owed = {**dict([*kept.items()][-_REMEMBERED:]), **self._owed}
            if synced:
                raise
            if not owed:
                log.error("who received what could not be recorded, and is owed: %s", error)
            return False
        for row in owed.values():
            self._late(row[1], {row[3]: row[4]})
        return True

    def _remember(self, pairs: Sequence[_Pair], synced: bool) -> None:
        with self._lock:
            if len(self._known) > _REMEMBERED:
                for pair in [*islice(self._known, _REMEMBERED // 4)]:
                    del self._known[pair]
            self._known.update(dict.fromkeys(pairs, synced))

    def received(self, account: str, uris: Collection[str]) -> Mapping[str, int]:
        """Return the newest version that the account received of each of `uris`, by uri."""
        mine = _RECEIPTS.c.account == account
        rows = self._rows([_RECEIPTS.c.uri, _RECEIPTS.c.version], uris, mine)
        return dict(sorted(rows, key=lambda row: int(row[1])))

    def receivers(self, uris: Collection[str]) -> Mapping[str, frozenset[str]]:
        """Return, by uri, the accounts that received some version of the item."""
        found: dict[str, set[str]] = {}
        for uri, account in self._rows([_RECEIPTS.c.uri, _RECEIPTS.c.account], uris, sa.true()):
            found.setdefault(uri, set()).add(account)
        return {uri: frozenset(accounts) for uri, accounts in found.items()}

    def of_item(self, uri: str) -> Sequence[Receipt]:
        """Return the receipts of an item, by account and channel."""
        names = ("account", "channel", "version", "at")
        rows = self._rows([_RECEIPTS.c[name] for name in names], [uri], sa.true())
        return [
            Receipt(account, channel, version, datetime.fromtimestamp(at, UTC))
            for account, channel, version, at in sorted(rows)
        ]

    def of(self, account: str, after: str, limit: int) -> Sequence[str]:
        """Return at most `limit` uris that the account received, in a fixed order, after `after`
        ("" to begin).
        """
        key = _RECEIPTS.c.uri_key
        query = sa.select(key, _RECEIPTS.c.uri).where(_RECEIPTS.c.account == account).distinct()
        if after:
            query = query.where(key > key_of(after))
        query = query.order_by(key).limit(limit)
        return [uri for _, uri in self._database.run(lambda c: [*map(tuple, c.execute(query))])]

    def count(self) -> int:
        """Return the number of receipts."""
        query = sa.select(sa.func.count()).select_from(_RECEIPTS)
        return self._database.run(lambda connection: int(connection.execute(query).scalar_one()))

    def close(self) -> None:
        """Close the databases."""
        self._database.close()
        if self._quick is not self._database:
            self._quick.close()

    def _rows(
        self, columns: Sequence[sa.Column[Any]], uris: Collection[str], where: Any
    ) -> Iterator[tuple[Any, ...]]:
        keys = [key_of(uri) for uri in uris]
        for start in range(0, len(keys), _AT_ONCE):
            here = _RECEIPTS.c.uri_key.in_(keys[start : start + _AT_ONCE])
            query = sa.select(*columns).where(here, where).distinct()
            yield from self._database.run(lambda c, q=query: [*map(tuple, c.execute(q))])  # type: ignore[misc]
