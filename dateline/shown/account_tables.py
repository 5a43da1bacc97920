"""Accounts as JSON and as tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from rich.table import Column, Table

from core.accounts import AccountBook, AccountKey, Entitlement, Plan
from core.audit import Chained, moment
from dateline.commands.options import escape


def account_tree(book: AccountBook, name: str) -> dict[str, Any]:
    """Return an account with its plans and keys, ready for JSON."""
    account = book.accounts[name]
    return {
        "id": account.id,
        "title": account.title,
        "created": time_text(account.created),
        "products": sorted(book.products_of(name)),
        "quotas": {
            str(method): {"minute": quota.minute, "day": quota.day}
            for method, quota in sorted(account.quotas.items())
        },
        "plans": [plan_tree(plan) for plan in book.plans_of(name)],
        "keys": [key_tree(key) for key in book.keys_of(name)],
    }


def plan_tree(plan: Plan) -> dict[str, Any]:
    """Return a plan, ready for JSON."""
    return {
        "id": plan.id,
        "account": plan.account,
        "name": plan.name,
        "entitlements": list(plan.entitlements),
        "added": time_text(plan.added),
        "style": str(plan.style),
        "limit": plan.limit,
        "interval": str(plan.interval),
    }


def entitlement_tree(entitlement: Entitlement) -> dict[str, Any]:
    """Return an entitlement, ready for JSON."""
    return {
        "id": entitlement.id,
        "name": entitlement.name,
        "products": list(entitlement.products),
        "tier": entitlement.tier,
        "ticks": entitlement.ticks,
        "cost": _money(entitlement.cost),
        "overage": None if entitlement.overage is None else _money(entitlement.overage),
        "currency": entitlement.currency,
        "day_part": entitlement.day_part,
    }


def key_tree(key: AccountKey) -> dict[str, Any]:
    """Return what is kept of a key, ready for JSON."""
    return {
        "id": key.id,
        "account": key.account,
        "name": key.name,
        "created": time_text(key.created),
        "writes": sorted(key.writes),
        "inspect": key.may_inspect,
        "models": key.may_use_models,
        "expires": time_text(key.expires) if key.expires else None,
        "revoked": time_text(key.revoked) if key.revoked else None,
    }


def audit_tree(one: Chained) -> dict[str, Any]:
    """Return an entry of the audit log, ready for JSON."""
    entry = one.entry
    return {
        "n": one.n,
        "at": moment(entry.at),
        "who": entry.who,
        "key": entry.key,
        "action": entry.action,
        "item": entry.item,
        "detail": entry.detail,
        "digest": one.digest,
    }


def table_of(rows: Sequence[Mapping[str, Any]], *columns: str) -> Table:
    """Return a table of these members of trees."""
    table = Table(*(Column(name, no_wrap=number == 0) for number, name in enumerate(columns)))
    for row in rows:
        table.add_row(*(escape(_cell(row[name])) for name in columns))
    return table


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else ""
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "" if value is None else str(value)


def time_text(at: datetime) -> str:
    """Return a moment as text, to the second."""
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"


def _money(amount: Decimal) -> float:
    return float(amount)
