"""Accounts as JSON, for the command line and the administrator's routes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from core.customers.accounts import AccountBook, AccountKey, Entitlement, Plan


def account_tree(book: AccountBook, name: str) -> dict[str, Any]:
    """Return an account with its plans and keys."""
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
    """Return a plan."""
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
    """Return an entitlement."""
    overage = entitlement.overage
    return {
        "id": entitlement.id,
        "name": entitlement.name,
        "products": list(entitlement.products),
        "tier": entitlement.tier,
        "ticks": entitlement.ticks,
        "cost": float(entitlement.cost),
        "overage": None if overage is None else float(overage),
        "currency": entitlement.currency,
        "day_part": entitlement.day_part,
    }


def key_tree(key: AccountKey) -> dict[str, Any]:
    """Return a key as JSON, without its digest."""
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


def time_text(at: datetime) -> str:
    """Return a moment to the second."""
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
