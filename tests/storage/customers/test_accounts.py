"""The tables of accounts, over SQLite and Postgres."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from threading import Thread

import pytest

from core.customers.accounts import (
    AccountBook,
    AccountKey,
    Entitlement,
    Interval,
    Method,
    PlanStyle,
    Quota,
)
from core.errors import ConflictError
from customers.accounts import rules as rules
from storage.customers.accounts import StoredAccounts
from storage.databases import Database, open_database

NOW = datetime(2026, 3, 18, 12, 0, 0, 123456, tzinfo=UTC)


def full(book: AccountBook) -> AccountBook:
    """A book in which every field of every value is set."""
    book = rules.create_account(book, "gazette", "The Gazette", NOW)
    book = rules.set_quota(book, "gazette", Method.FEED, Quota(5, 6))
    sold = Entitlement(
        31991, "Top news", ("wire", "photos"), "basic", 3, Decimal("12.5"), Decimal("20.000001"),
        "EUR", "AM",
    )  # fmt: skip
    book = rules.put_entitlement(book, sold)
    book = rules.put_entitlement(book, Entitlement(1, "Free", ("free",)))
    book = rules.add_plan(
        book, "gazette", "Wire", [31991, 1], NOW, PlanStyle.DOWNLOADS, 9, Interval.DAY
    )
    key = AccountKey(
        "a" * 12, "gazette", "desk", bytes(range(32)), NOW, frozenset({"wire"}), True, True,
        NOW + timedelta(days=1), NOW + timedelta(hours=1),
    )  # fmt: skip
    return rules.create_key(book, key)


def test_every_value_comes_back(database: Database, place: Path | str) -> None:
    store = StoredAccounts(database)
    assert store.book() == AccountBook()
    before, after = store.change(full)
    assert before.accounts == {}
    other = open_database(place)
    try:
        assert StoredAccounts(other).book() == after == store.book()
    finally:
        other.close()
    assert store.version() == after.version == 1


def test_a_rule_that_fails_changes_nothing(database: Database) -> None:
    store = StoredAccounts(database)
    store.change(full)
    with pytest.raises(ConflictError):
        store.change(full)
    assert store.version() == 1
    _, after = store.change(lambda book: rules.remove_plan(book, "gazette", 1))
    _, after = store.change(lambda book: rules.remove_entitlement(book, 1))
    assert store.book() == after
    assert set(after.entitlements) == {31991}


def test_changes_at_the_same_time_all_count(database: Database, place: Path | str) -> None:
    """Each reads what the one before has written, whichever process made it."""
    StoredAccounts(database)
    names = [f"account-{n}" for n in range(12)]

    def work(own: list[str]) -> None:
        other = open_database(place)
        try:
            store = StoredAccounts(other)
            for name in own:
                store.change(lambda book, n=name: rules.create_account(book, n, "", NOW))  # type: ignore[misc]
        finally:
            other.close()

    threads = [Thread(target=work, args=(names[start::3],)) for start in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    book = StoredAccounts(database).book()
    assert set(book.accounts) == set(names)
    assert book.version == len(names)


def test_changing_a_value_keeps_the_others(database: Database) -> None:
    store = StoredAccounts(database)
    _, before = store.change(full)
    key = before.keys["a" * 12]
    _, after = store.change(
        lambda book: replace(book, keys={**book.keys, key.id: replace(key, revoked=None)})
    )
    assert (
        store.book()
        == after
        == replace(before, version=2, keys={key.id: replace(key, revoked=None)})
    )
