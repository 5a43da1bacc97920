"""The ledger of downloads: a row for each, written before the first byte is sent.

The first row of an order (account, item, rendition, period) has the charge and a unique mark, which
no second row can have. Each row has an entry in the audit log, in the same transaction.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import orjson
import sqlalchemy as sa

from core.audit import AuditAction, AuditEntry
from core.customers.accounts import Charge, Download, Order
from storage.customers.accounts import amount, millionths
from storage.customers.audit import StoredAudit, append_in
from storage.databases import Database

_TABLES = sa.MetaData()
_DOWNLOADS = sa.Table(
    "dateline_downloads",
    _TABLES,
    sa.Column(
        "id",
        sa.BigInteger().with_variant(sa.Integer, "sqlite"),
        primary_key=True,
        autoincrement=True,
    ),
    sa.Column("account", sa.String(240), nullable=False),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("uri", sa.Text, nullable=False),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("kind", sa.String(20), nullable=False),
    sa.Column("rendition", sa.Text, nullable=False),
    sa.Column("period", sa.String(10), nullable=False),
    sa.Column("at", sa.Float, nullable=False),
    sa.Column("mark", sa.String(64), unique=True),  # the mark of the row with the charge, else null
    sa.Column("charge", sa.BigInteger, nullable=False),  # millionths
    sa.Column("currency", sa.String(3), nullable=False),
    sa.Column("plan", sa.BigInteger, nullable=False),
    sa.Column("entitlement", sa.BigInteger, nullable=False),
    sa.Column("ticks", sa.BigInteger, nullable=False),
    sa.Column("duplicate", sa.Boolean, nullable=False),
    sa.Column("void", sa.Boolean, nullable=False),
    sa.Index("dateline_downloads_by_account", "account", "at"),
    sa.Index("dateline_downloads_by_plan", "plan", "at"),
)
_BUYERS = sa.Table(
    "dateline_download_accounts",  # a row to lock for each account
    _TABLES,
    sa.Column("account", sa.String(240), primary_key=True),
)


class StoredDownloads:
    """`core.ports.customers.OrderLedger` in a database, for any number of processes. Thread-safe.
    Every method raises StorageError if the database fails.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        database.prepare(_TABLES)
        StoredAudit(database)  # its tables: a download has an entry there

    def order(
        self,
        wanted: Order,
        since: Mapping[int, datetime],
        charge: Callable[[Mapping[int, int]], Charge],
    ) -> Download:
        """Keep a download, durable when it returns. `charge` gets the ticks that were taken of each
        plan `since` a moment, and says what the download costs, or refuses it by an error, which
        changes nothing. It is asked for the first of an order only, while nobody else orders for
        this account.
        """
        buyer = self._database.insert(_BUYERS).values(account=wanted.account)
        mine = _BUYERS.c.account == wanted.account
        mark = mark_of(wanted)
        repeated = sa.select(_DOWNLOADS.c.currency).where(_DOWNLOADS.c.mark == mark)

        def work(connection: sa.Connection) -> Download:
            connection.execute(buyer.on_conflict_do_nothing())
            # A second process waits here for the transaction of the first.
            connection.execute(sa.select(_BUYERS).where(mine).with_for_update())
            before = connection.execute(repeated).first()
            duplicate = before is not None
            if before is not None:
                costs = Charge(currency=before.currency)
            else:
                costs = charge(_used(connection, since))
            row = _columns(wanted, costs, duplicate, None if duplicate else mark)
            made = connection.execute(sa.insert(_DOWNLOADS).values(row).returning(_DOWNLOADS.c.id))
            download = Download(int(made.scalar_one()), wanted, costs, duplicate)
            append_in(connection, [_entry(download, AuditAction.DOWNLOAD, wanted.at)])
            return download

        return self._database.write(work)

    def void(self, download: Download, at: datetime) -> Download:
        """Take back a download that was not sent: it costs nothing."""
        row = {"mark": None, "charge": 0, "ticks": 0, "void": True}
        change = sa.update(_DOWNLOADS).where(_DOWNLOADS.c.id == download.id).values(row)
        nothing = replace(download.charge, amount=Decimal(0), ticks=0)
        voided = replace(download, charge=nothing, void=True)

        def work(connection: sa.Connection) -> Download:
            connection.execute(change)
            append_in(connection, [_entry(voided, AuditAction.VOID, at)])
            return voided

        return self._database.write(work)

    def is_ordered(self, wanted: Order) -> bool:
        """Return whether the order was made before in its period."""
        query = sa.select(_DOWNLOADS.c.id).where(_DOWNLOADS.c.mark == mark_of(wanted))
        return self._database.run(lambda c: c.execute(query).first()) is not None

    def used(self, since: Mapping[int, datetime]) -> Mapping[int, int]:
        """Return the ticks that were taken from each plan since the plan's own moment."""
        return self._database.run(lambda c: _used(c, since)) if since else {}

    def history(
        self, account: str, first: datetime, last: datetime, number: int = 0
    ) -> Sequence[Download]:
        """Return the downloads of an account from `first` to before `last`, the newest first; only
        the one with this number if it is not 0.
        """
        table = _DOWNLOADS.c
        between = table.at >= first.timestamp(), table.at < last.timestamp()
        query = sa.select(_DOWNLOADS).where(table.account == account, *between)
        if number:
            query = query.where(table.id == number)
        query = query.order_by(table.at.desc(), table.id.desc())
        return [_download(row) for row in self._database.run(lambda c: c.execute(query).all())]

    def by_day(
        self, first: datetime, last: datetime, account: str = ""
    ) -> Mapping[tuple[str, str], tuple[int, Mapping[str, str]]]:
        """Return how many downloads there were from `first` to before `last`, and what they cost by
        currency, for each account and day of UTC. Void ones don't count.
        """
        table = _DOWNLOADS.c
        query = sa.select(table.account, table.at, table.charge, table.currency).where(
            table.at >= first.timestamp(), table.at < last.timestamp(), table.void.is_(False)
        )
        if account:
            query = query.where(table.account == account)
        found: dict[tuple[str, str], tuple[int, dict[str, int]]] = {}
        for row in self._database.run(lambda c: c.execute(query).all()):
            place = row.account, f"{datetime.fromtimestamp(row.at, UTC):%Y-%m-%d}"
            many, costs = found.get(place, (0, {}))
            if row.charge:
                costs = {**costs, row.currency: costs.get(row.currency, 0) + row.charge}
            found[place] = many + 1, costs
        return {
            place: (many, {currency: f"{amount(cost):.2f}" for currency, cost in costs.items()})
            for place, (many, costs) in found.items()
        }


def _used(connection: sa.Connection, since: Mapping[int, datetime]) -> dict[int, int]:
    ticks = sa.select(sa.func.coalesce(sa.func.sum(_DOWNLOADS.c.ticks), 0))
    found = {}
    for plan, start in since.items():
        mine = _DOWNLOADS.c.plan == plan, _DOWNLOADS.c.at >= start.timestamp()
        found[plan] = int(connection.execute(ticks.where(*mine)).scalar_one())
    return found


def mark_of(order: Order) -> str:
    """Return the mark of an order; a repeated order in the same period has the same mark."""
    parts = [order.account, order.uri, order.rendition, order.period]
    return hashlib.sha256(orjson.dumps(parts)).hexdigest()


def _columns(order: Order, charge: Charge, duplicate: bool, mark: str | None) -> dict[str, Any]:
    return {
        "account": order.account,
        "key": order.key,
        "uri": order.uri,
        "version": order.version,
        "kind": order.kind,
        "rendition": order.rendition,
        "period": order.period,
        "at": order.at.timestamp(),
        "mark": mark,
        "charge": millionths(charge.amount),
        "currency": charge.currency,
        "plan": charge.plan,
        "entitlement": charge.entitlement,
        "ticks": charge.ticks,
        "duplicate": duplicate,
        "void": False,
    }


def _download(row: Any) -> Download:
    at = datetime.fromtimestamp(row.at, UTC)
    order = Order(
        row.account, row.key, row.uri, row.version, row.rendition, row.period, at, row.kind
    )
    charge = Charge(amount(row.charge), row.currency, row.plan, row.entitlement, row.ticks)
    return Download(row.id, order, charge, bool(row.duplicate), bool(row.void))


def _entry(download: Download, action: AuditAction, at: datetime) -> AuditEntry:
    order, charge = download.order, download.charge
    detail = f"order={download.id} rendition={order.rendition} charge={charge.amount:f}"
    detail += f" currency={charge.currency}" + (" duplicate" if download.duplicate else "")
    return AuditEntry(at, order.account, order.key, action, order.uri, detail)
