"""A restore brings back no key that was revoked since the backup, and takes none that was made."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from core.customers.accounts import AccountBook, AccountKey
from customers.accounts import rules as rules
from customers.accounts.keys import digest_of, new_key
from storage.customers.accounts import StoredAccounts
from storage.databases import open_database
from storage.embedded.record import copies, schema
from storage.embedded.record.archive import FILE

NOW = datetime(2026, 3, 18, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def archive(folder: Path) -> Path:
    """An archive with two accounts and the keys a, b and c."""
    schema.prepare(folder / FILE)

    def fill(book: AccountBook) -> AccountBook:
        for account in ("gazette", "herald"):
            book = rules.create_account(book, account, account, NOW)
        for name in ("a", "b", "c"):
            book = rules.create_key(book, _key(name))
        return book

    _change(folder, fill)
    return folder


def _key(name: str, account: str = "gazette") -> AccountKey:
    id_, key = new_key()
    return AccountKey(id_, account, name, digest_of(key), NOW)


def _change(folder: Path, rule: Callable[[AccountBook], AccountBook]) -> None:
    with closing(StoredAccounts(open_database(folder / copies.CUSTOMERS))) as store:
        store.change(rule)


def _keys(folder: Path) -> dict[str, AccountKey]:
    with closing(StoredAccounts(open_database(folder / copies.CUSTOMERS))) as store:
        return {key.name: key for key in store.book().keys.values()}


def _version(folder: Path) -> int:
    with closing(StoredAccounts(open_database(folder / copies.CUSTOMERS))) as store:
        return store.version()


def _since(book: AccountBook) -> AccountBook:
    """What an administrator does after the backup."""
    ids = {key.name: key.id for key in book.keys.values()}
    book = rules.revoke_key(book, ids["a"], NOW + HOUR)
    book = rules.expire_key(book, ids["b"], NOW + 2 * HOUR)
    book = rules.create_account(book, "late", "late", NOW)
    return rules.create_key(rules.create_key(book, _key("d")), _key("e", "late"))


def test_keys_stay_as_they_are_now(archive: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copies.backup(archive, copy)
    _change(archive, _since)
    newest = _version(archive)
    assert copies.restore(copy, archive, force=True).keys == ()
    keys = _keys(archive)
    assert sorted(keys) == ["a", "b", "c", "d"]  # the account of e is not in the backup
    assert keys["a"].revoked == NOW + HOUR
    assert keys["b"].expires == NOW + 2 * HOUR
    assert keys["c"].is_valid(NOW)
    assert _version(archive) > newest
    # Once more, from the same copy: nothing comes back by restoring twice.
    copies.restore(copy, archive, force=True)
    assert _keys(archive) == keys


def test_a_copy_that_is_newer_than_the_archive_keeps_its_own_keys(
    archive: Path, tmp_path: Path
) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    copies.backup(archive, old)
    empty = tmp_path / "empty"
    copies.restore(old, empty, force=False)
    ids = {key.name: key.id for key in _keys(empty).values()}
    for _ in range(3):
        _change(archive, lambda book: book)
    _change(archive, _since)
    copies.backup(archive, new)
    _change(empty, lambda book: rules.revoke_key(book, ids["c"], NOW))
    copies.restore(new, empty, force=True)
    keys = _keys(empty)
    assert sorted(keys) == ["a", "b", "c", "d", "e"]
    assert keys["a"].revoked  # what either of them revoked
    assert keys["c"].revoked
    assert keys["b"].expires == NOW + 2 * HOUR


@pytest.mark.parametrize("present", [None, b"", b"damaged" * 1000])
def test_where_nothing_knows_what_was_revoked_the_keys_are_named(
    archive: Path, tmp_path: Path, present: bytes | None
) -> None:
    _change(archive, lambda book: rules.revoke_key(book, _id(book, "b"), NOW))
    copies.backup(archive, tmp_path / "copy")
    before = _keys(archive)
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    if present is not None:
        (fresh / copies.CUSTOMERS).write_bytes(present)
    named = copies.restore(tmp_path / "copy", fresh, force=False)
    assert named.keys == tuple(f"gazette/{name} ({before[name].id})" for name in ("a", "c"))
    assert _keys(fresh) == before


def test_a_copy_without_customers_leaves_them(archive: Path, tmp_path: Path) -> None:
    copies.backup(archive, tmp_path / "copy")
    copies.beside(tmp_path / "copy").unlink()
    _change(archive, lambda book: replace(_since(book)))
    before = _keys(archive)
    assert copies.restore(tmp_path / "copy", archive, force=True).keys == ()
    assert _keys(archive) == before


def _id(book: AccountBook, name: str) -> str:
    return next(key.id for key in book.keys.values() if key.name == name)
