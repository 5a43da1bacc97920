"""Rules of accounts: each takes the accounts and returns the changed ones. A rule raises InputError
for what is wrong, and then changes nothing. The store runs a rule in the transaction that keeps its
result.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TypeVar

from core.callers import EVERY_PRODUCT
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
from core.errors import ConflictError, InputError, NotFoundError
from customers.one_line import CONTROL, one_line

K = TypeVar("K")
V = TypeVar("V")

MOST_NUMBER = 2**31 - 1  # the largest number of an entitlement that clients can read
MOST_REQUESTS = 1_000_000_000
MOST_COST = Decimal(1_000_000)
MOST_OVERLAP = timedelta(days=365)
_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}", re.ASCII)
_CURRENCY = re.compile(r"[A-Z]{3}", re.ASCII)
_LONGEST_NAME = 200


def create_account(
    book: AccountBook, name: str, title: str, now: datetime, taken: Collection[str] = ()
) -> AccountBook:
    """Return the book with another account. `taken` are names that accounts can't have: each key of
    the settings file is an account, too.
    """
    if not _ID.fullmatch(name):
        raise InputError(
            f"{name[:80]!r} can't name an account",
            mend="use 1 to 64 lower-case letters, digits, dots and hyphens, such as gazette",
        )
    if name in book.accounts:
        raise ConflictError(f"there is an account {name!r} already", mend="choose another name")
    if name in taken:
        raise ConflictError(
            f"{name!r} is the name of a key in the settings",
            mend="choose another name: such a key is an account of its own",
        )
    account = Account(name, one_line(title or name, "title", _LONGEST_NAME), now)
    return replace(book, accounts={**book.accounts, name: account})


def set_quota(book: AccountBook, account: str, method: Method, quota: Quota | None) -> AccountBook:
    """Return the book in which the account has a quota of its own for a method, or, with None, the
    service's again.
    """
    before = account_of(book, account)
    if quota is not None and not 0 < quota.minute <= quota.day <= MOST_REQUESTS:
        raise InputError(
            f"{quota.minute:,} requests a minute and {quota.day:,} a day is no quota",
            mend=f"use 1 to {MOST_REQUESTS:,}, for a day no less than for a minute",
        )
    others = _without(before.quotas, method)
    changed = replace(before, quotas=others if quota is None else {**others, method: quota})
    return replace(book, accounts={**book.accounts, account: changed})


def put_entitlement(book: AccountBook, entitlement: Entitlement) -> AccountBook:
    """Return the book with this entitlement, which replaces one with the same id."""
    if not 0 < entitlement.id <= MOST_NUMBER:
        raise InputError(
            f"{entitlement.id} can't be the id of an entitlement",
            mend=f"use a number from 1 to {MOST_NUMBER:,}",
        )
    if not entitlement.products or any(not _is_product(code) for code in entitlement.products):
        raise InputError(
            f"entitlement {entitlement.id} has no product code, or one that is empty or '*'",
            mend="name at least one product: an entitlement without products lets nobody read",
        )
    if not _CURRENCY.fullmatch(entitlement.currency):
        raise InputError(f"{entitlement.currency[:20]!r} is no currency", mend="write USD or EUR")
    for cost in (entitlement.cost, entitlement.overage or Decimal(0)):
        if not (cost.is_finite() and 0 <= cost <= MOST_COST):
            raise InputError(f"{cost} is no price", mend=f"use a number from 0 to {MOST_COST:,}")
    if not 0 <= entitlement.ticks <= MOST_NUMBER:
        raise InputError(f"{entitlement.ticks} is no number of ticks", mend="use 0 or more")
    named = replace(
        entitlement,
        name=one_line(entitlement.name, "name", _LONGEST_NAME),
        tier=one_line(entitlement.tier, "tier", _LONGEST_NAME, empty=True),
        day_part=one_line(entitlement.day_part, "day part", _LONGEST_NAME, empty=True),
    )
    return replace(book, entitlements={**book.entitlements, named.id: named})


def remove_entitlement(book: AccountBook, number: int) -> AccountBook:
    """Return the book without an entitlement that no plan has."""
    _entitlement(book, number)
    using = sorted({p.account for p in book.plans.values() if number in p.entitlements})
    if using:
        raise ConflictError(
            f"entitlement {number} is in plans of {', '.join(using[:5])}",
            mend="remove these plans first, or change the entitlement's products",
        )
    return replace(book, entitlements=_without(book.entitlements, number))


def add_plan(
    book: AccountBook,
    account: str,
    name: str,
    entitlements: Sequence[int],
    now: datetime,
    style: PlanStyle = PlanStyle.DURATION,
    limit: int = 0,
    interval: Interval = Interval.MONTH,
) -> AccountBook:
    """Return the book with another plan of the account, which has the highest id."""
    account_of(book, account)
    if not entitlements:
        raise InputError("a plan without entitlements sells nothing", mend="name at least one")
    for number in entitlements:
        _entitlement(book, number)
    counts = style is PlanStyle.DOWNLOADS
    if counts != (0 < limit <= MOST_NUMBER):
        raise InputError(
            f"a limit of {limit:,} does not fit a plan by {style}",
            mend="a plan by downloads needs a limit of 1 or more, one by duration has none",
        )
    number = 1 + max(book.plans, default=0)
    chosen = tuple(dict.fromkeys(entitlements))
    title = one_line(name, "name", _LONGEST_NAME)
    plan = Plan(number, account, title, chosen, now, style, limit, interval)
    return replace(book, plans={**book.plans, number: plan})


def remove_plan(book: AccountBook, account: str, number: int) -> AccountBook:
    """Return the book without a plan of the account."""
    account_of(book, account)
    plan = book.plans.get(number)
    if plan is None or plan.account != account:
        known = ", ".join(str(one.id) for one in book.plans_of(account)) or "none"
        raise NotFoundError(f"{account} has no plan {number}", mend=f"its plans are {known}")
    return replace(book, plans=_without(book.plans, number))


def create_key(book: AccountBook, key: AccountKey) -> AccountBook:
    """Return the book with another key."""
    account_of(book, key.account)
    if any(not _is_product(code) for code in key.writes) and key.writes != EVERY_PRODUCT:
        raise InputError(
            "'*' stands for every product, so no other code stands beside it",
            mend="write --write '*' alone, or name product codes",
        )
    if key.expires is not None and key.expires <= key.created:
        raise InputError("the key would have expired already", mend="name a later moment")
    named = replace(key, name=one_line(key.name, "name", _LONGEST_NAME))
    return replace(book, keys={**book.keys, key.id: named})


def rotate_key(
    book: AccountBook, old: str, new: str, digest: bytes, now: datetime, overlap: timedelta
) -> AccountBook:
    """Return the book with a new key of the same name and rights. The old one expires after
    `overlap`, or when it would have anyway.
    """
    before = key_of(book, old)
    if not before.is_valid(now):
        raise ConflictError(f"key {old} is not valid any more", mend="create another one")
    if not timedelta(0) <= overlap <= MOST_OVERLAP:
        raise InputError(
            f"an overlap of {overlap} can't be", mend=f"use 0 to {MOST_OVERLAP.days} days"
        )
    fresh = replace(before, id=new, digest=digest, created=now)
    ends = now + overlap
    ended = replace(before, expires=min(ends, before.expires or ends))
    return replace(book, keys={**book.keys, old: ended, new: fresh})


def expire_key(book: AccountBook, name: str, at: datetime) -> AccountBook:
    """Return the book in which a key expires at a moment, which may have passed."""
    return _with_key(book, replace(_unrevoked(book, name), expires=at))


def revoke_key(book: AccountBook, name: str, now: datetime) -> AccountBook:
    """Return the book in which a key is no longer valid, for good."""
    return _with_key(book, replace(_unrevoked(book, name), revoked=now))


def account_of(book: AccountBook, name: str) -> Account:
    """Return the account of this name. Raises NotFoundError."""
    found = book.accounts.get(name)
    if found is None:
        raise NotFoundError(
            f"there is no account {name[:80]!r}", mend="`dateline accounts list` lists them"
        )
    return found


def key_of(book: AccountBook, name: str) -> AccountKey:
    """Return the key with this public id. Raises NotFoundError."""
    found = book.keys.get(name)
    if found is None:
        raise NotFoundError(
            f"there is no key {name[:20]!r}",
            mend="`dateline accounts key list ACCOUNT` lists their ids",
        )
    return found


def _with_key(book: AccountBook, key: AccountKey) -> AccountBook:
    return replace(book, keys={**book.keys, key.id: key})


def _unrevoked(book: AccountBook, name: str) -> AccountKey:
    key = key_of(book, name)
    if key.revoked is not None:
        raise ConflictError(f"key {name} is revoked already", mend="create another one")
    return key


def _entitlement(book: AccountBook, number: int) -> Entitlement:
    found = book.entitlements.get(number)
    if found is None:
        raise NotFoundError(
            f"there is no entitlement {number}",
            mend="`dateline accounts entitlement list` lists them",
        )
    return found


def _is_product(code: str) -> bool:
    return code.strip() not in ("", "*") and not CONTROL.search(code)


def _without(mapping: Mapping[K, V], key: K) -> dict[K, V]:
    return {name: value for name, value in mapping.items() if name != key}
