"""The tables of accounts, entitlements, plans and keys, and their version.

A change is a function from all accounts to all accounts. It runs in the transaction that writes the
rows in which both differ, so what it checks holds when it is written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import orjson
import sqlalchemy as sa

from core.audit import AuditEntry
from core.customers.accounts import (
    Account,
    AccountBook,
    AccountKey,
    Entitlement,
    Interval,
    Method,
    Plan,
    PlanStyle,
    Quota,
)
from storage.customers.audit import StoredAudit, append_in
from storage.databases import Database

_MILLIONTHS = 1_000_000
_TABLES = sa.MetaData()
_ACCOUNTS = sa.Table(
    "dateline_accounts",
    _TABLES,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("created", sa.Float, nullable=False),
    sa.Column("quotas", sa.Text, nullable=False),
)
_ENTITLEMENTS = sa.Table(
    "dateline_entitlements",
    _TABLES,
    sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("products", sa.Text, nullable=False),
    sa.Column("tier", sa.Text, nullable=False),
    sa.Column("ticks", sa.BigInteger, nullable=False),
    sa.Column("cost", sa.BigInteger, nullable=False),  # millionths
    sa.Column("overage", sa.BigInteger),  # millionths; null: refused
    sa.Column("currency", sa.String(3), nullable=False),
    sa.Column("day_part", sa.Text, nullable=False),
)
_PLANS = sa.Table(
    "dateline_plans",
    _TABLES,
    sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("account", sa.String(64), nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("entitlements", sa.Text, nullable=False),
    sa.Column("added", sa.Float, nullable=False),
    sa.Column("style", sa.String(12), nullable=False),
    sa.Column("usage_limit", sa.BigInteger, nullable=False),
    sa.Column("interval", sa.String(8), nullable=False),
)
_KEYS = sa.Table(
    "dateline_account_keys",
    _TABLES,
    sa.Column("id", sa.String(20), primary_key=True),
    sa.Column("account", sa.String(64), nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("sha256", sa.String(64), nullable=False, unique=True),
    sa.Column("created", sa.Float, nullable=False),
    sa.Column("writes", sa.Text, nullable=False),
    sa.Column("may_inspect", sa.Boolean, nullable=False),
    sa.Column("may_use_models", sa.Boolean, nullable=False),
    sa.Column("expires", sa.Float),
    sa.Column("revoked", sa.Float),
)
_VERSION = sa.Table(
    "dateline_accounts_version",
    _TABLES,
    sa.Column("one", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("version", sa.BigInteger, nullable=False),
)


class StoredAccounts:
    """`core.ports.customers.AccountStore` in a database, for any number of processes. Thread-safe.
    Every method raises StorageError if the database fails.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        database.prepare(_TABLES)
        StoredAudit(database)  # its tables: a change has entries there
        first = database.insert(_VERSION).values(one=1, version=0).on_conflict_do_nothing()
        database.run(lambda connection: connection.execute(first))

    def version(self) -> int:
        """Return the number of changes so far."""
        return self._database.run(_version)

    def book(self) -> AccountBook:
        """Return all accounts. Its version is that of the oldest row in it."""
        return self._database.run(_read)

    def change(
        self, rule: Callable[[AccountBook], AccountBook], entries: Sequence[AuditEntry] = ()
    ) -> tuple[AccountBook, AccountBook]:
        """Run `rule` on the accounts and keep its result, with entries of the audit log, durable
        when it returns; return the accounts before and after. An error of the rule changes nothing.
        """

        def work(connection: sa.Connection) -> tuple[AccountBook, AccountBook]:
            # A second process waits here for the transaction of the first.
            connection.execute(sa.update(_VERSION).values(version=_VERSION.c.version + 1))
            before = _read(connection)
            after = rule(before)
            _write(connection, _ACCOUNTS, before.accounts, after.accounts, _account_row)
            _write(
                connection,
                _ENTITLEMENTS,
                before.entitlements,
                after.entitlements,
                _entitlement_row,
            )
            _write(connection, _PLANS, before.plans, after.plans, _plan_row)
            _write(connection, _KEYS, before.keys, after.keys, _key_row)
            append_in(connection, entries)
            return before, after

        return self._database.write(work)

    def close(self) -> None:
        """Close the database."""
        self._database.close()


def _version(connection: sa.Connection) -> int:
    return int(connection.execute(sa.select(_VERSION.c.version)).scalar_one())


def _read(connection: sa.Connection) -> AccountBook:
    version = _version(connection)  # first: a later change then has a later version
    rows = {
        table: connection.execute(sa.select(table)).all()
        for table in (_ACCOUNTS, _ENTITLEMENTS, _PLANS, _KEYS)
    }
    return AccountBook(
        version,
        {row.id: _account(row) for row in rows[_ACCOUNTS]},
        {row.id: _entitlement(row) for row in rows[_ENTITLEMENTS]},
        {row.id: _plan(row) for row in rows[_PLANS]},
        {row.id: _key(row) for row in rows[_KEYS]},
    )


def _write(
    connection: sa.Connection,
    table: sa.Table,
    before: Mapping[Any, Any],
    after: Mapping[Any, Any],
    row_of: Callable[[Any], dict[str, Any]],
) -> None:
    """Write the rows in which both differ."""
    fresh = [key for key in after if before.get(key) != after[key]]
    stale = [key for key in before if key not in after or before[key] != after[key]]
    if stale:
        connection.execute(sa.delete(table).where(table.c.id.in_(stale)))
    if fresh:
        connection.execute(sa.insert(table), [row_of(after[key]) for key in fresh])


def _account_row(account: Account) -> dict[str, Any]:
    return {
        "id": account.id,
        "title": account.title,
        "created": account.created.timestamp(),
        "quotas": orjson.dumps(
            {str(m): [q.minute, q.day] for m, q in account.quotas.items()}
        ).decode(),
    }


def _account(row: Any) -> Account:
    quotas = {Method(name): Quota(*most) for name, most in orjson.loads(row.quotas).items()}
    return Account(row.id, row.title, _moment(row.created), quotas)


def _entitlement_row(entitlement: Entitlement) -> dict[str, Any]:
    overage = entitlement.overage
    return {
        "id": entitlement.id,
        "name": entitlement.name,
        "products": orjson.dumps(entitlement.products).decode(),
        "tier": entitlement.tier,
        "ticks": entitlement.ticks,
        "cost": millionths(entitlement.cost),
        "overage": None if overage is None else millionths(overage),
        "currency": entitlement.currency,
        "day_part": entitlement.day_part,
    }


def _entitlement(row: Any) -> Entitlement:
    return Entitlement(
        row.id,
        row.name,
        tuple(orjson.loads(row.products)),
        row.tier,
        row.ticks,
        amount(row.cost),
        None if row.overage is None else amount(row.overage),
        row.currency,
        row.day_part,
    )


def _plan_row(plan: Plan) -> dict[str, Any]:
    return {
        "id": plan.id,
        "account": plan.account,
        "name": plan.name,
        "entitlements": orjson.dumps(plan.entitlements).decode(),
        "added": plan.added.timestamp(),
        "style": str(plan.style),
        "usage_limit": plan.limit,
        "interval": str(plan.interval),
    }


def _plan(row: Any) -> Plan:
    return Plan(
        row.id,
        row.account,
        row.name,
        tuple(orjson.loads(row.entitlements)),
        _moment(row.added),
        PlanStyle(row.style),
        row.usage_limit,
        Interval(row.interval),
    )


def _key_row(key: AccountKey) -> dict[str, Any]:
    return {
        "id": key.id,
        "account": key.account,
        "name": key.name,
        "sha256": key.digest.hex(),
        "created": key.created.timestamp(),
        "writes": orjson.dumps(sorted(key.writes)).decode(),
        "may_inspect": key.may_inspect,
        "may_use_models": key.may_use_models,
        "expires": None if key.expires is None else key.expires.timestamp(),
        "revoked": None if key.revoked is None else key.revoked.timestamp(),
    }


def _key(row: Any) -> AccountKey:
    return AccountKey(
        row.id,
        row.account,
        row.name,
        bytes.fromhex(row.sha256),
        _moment(row.created),
        frozenset(orjson.loads(row.writes)),
        bool(row.may_inspect),
        bool(row.may_use_models),
        None if row.expires is None else _moment(row.expires),
        None if row.revoked is None else _moment(row.revoked),
    )


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def millionths(money: Decimal) -> int:
    """Return an amount in whole millionths of its currency."""
    return int((money * _MILLIONTHS).to_integral_value())


def amount(money: int) -> Decimal:
    """Return the amount of this many millionths."""
    return (Decimal(money) / _MILLIONTHS).normalize() + 0
