"""Rules of accounts, against a model of dicts; keys in force, with a store in memory."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from core.audit import AuditEntry
from core.callers import EVERY_PRODUCT
from core.customers.accounts import AccountBook, AccountKey, Entitlement, Interval, PlanStyle
from core.errors import ConflictError, InputError, NotFoundError, StorageError
from customers.accounts import rules as rules
from customers.accounts.in_force import AccountsInForce
from customers.accounts.keys import digest_of, id_of, new_key

NOW = datetime(2026, 3, 18, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


class MemoryStore:
    """A store in memory that can fail."""

    def __init__(self) -> None:
        self.kept = AccountBook()
        self.failing = False

    def version(self) -> int:
        if self.failing:
            raise StorageError("gone")
        return self.kept.version

    def book(self) -> AccountBook:
        return self.kept

    def change(
        self, rule: Callable[[AccountBook], AccountBook], entries: Sequence[AuditEntry] = ()
    ) -> tuple[AccountBook, AccountBook]:
        before = self.kept
        self.kept = replace(rule(before), version=before.version + 1)
        return before, self.kept


def key_in(book: AccountBook, account: str, **more: object) -> tuple[AccountBook, str]:
    """A book with another key, and the key."""
    name, key = new_key()
    made = AccountKey(name, account, "desk", digest_of(key), NOW, **more)  # type: ignore[arg-type]
    return rules.create_key(book, made), key


def sold(*products: str) -> AccountBook:
    """A book with an account that has a plan with these products."""
    book = rules.create_account(AccountBook(), "gazette", "The Gazette", NOW)
    book = rules.put_entitlement(book, Entitlement(7, "All", products))
    return rules.add_plan(book, "gazette", "Wire", [7], NOW)


class Entitlements(RuleBasedStateMachine):
    """What accounts read is the union of what their plans have, whatever is added and removed."""

    accounts = st.sampled_from(["gazette", "herald"])
    numbers = st.integers(1, 4)
    products = st.sets(st.sampled_from(["wire", "photos", "sport"]), min_size=1)

    def __init__(self) -> None:
        super().__init__()
        self.book = AccountBook()
        for name in ("gazette", "herald"):
            self.book = rules.create_account(self.book, name, "", NOW)
        self.sold: dict[int, set[str]] = {}
        self.plans: dict[int, tuple[str, set[int]]] = {}

    @rule(number=numbers, products=products)
    def put(self, number: int, products: set[str]) -> None:
        entitlement = Entitlement(number, "e", tuple(products))
        self.book = rules.put_entitlement(self.book, entitlement)
        self.sold[number] = products

    @rule(number=numbers)
    def remove(self, number: int) -> None:
        used = any(number in numbers for _, numbers in self.plans.values())
        if number in self.sold and not used:
            self.book = rules.remove_entitlement(self.book, number)
            del self.sold[number]
        else:
            with pytest.raises(InputError):
                rules.remove_entitlement(self.book, number)

    @rule(account=accounts, numbers=st.sets(numbers, min_size=1))
    def add(self, account: str, numbers: set[int]) -> None:
        if numbers <= set(self.sold):
            self.book = rules.add_plan(self.book, account, "p", sorted(numbers), NOW)
            self.plans[max(self.book.plans)] = (account, numbers)
        else:
            with pytest.raises(NotFoundError):
                rules.add_plan(self.book, account, "p", sorted(numbers), NOW)

    @precondition(lambda self: self.plans)
    @rule(account=accounts, data=st.data())
    def drop(self, account: str, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(sorted(self.plans)))
        if self.plans[number][0] == account:
            self.book = rules.remove_plan(self.book, account, number)
            del self.plans[number]
        else:
            with pytest.raises(NotFoundError):
                rules.remove_plan(self.book, account, number)

    def reads(self, account: str) -> set[str]:
        own = [numbers for owner, numbers in self.plans.values() if owner == account]
        return {code for numbers in own for number in numbers for code in self.sold[number]}

    @invariant()
    def same(self) -> None:
        for account in self.book.accounts:
            assert self.book.products_of(account) == self.reads(account)


TestEntitlements = Entitlements.TestCase


@pytest.mark.parametrize("name", ["", "Gazette", "a b", "-a", "a" * 65, "ä", "a/b", "a\n"])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(InputError):
        rules.create_account(AccountBook(), name, "", NOW)


def test_an_account_has_no_name_of_another_or_of_a_key_in_the_settings() -> None:
    book = rules.create_account(AccountBook(), "gazette", "", NOW)
    for taken in ((), ("gazette",)):
        with pytest.raises(ConflictError):
            rules.create_account(book, "gazette", "", NOW, taken)
    with pytest.raises(ConflictError):
        rules.create_account(AccountBook(), "desk", "", NOW, {"desk"})


@pytest.mark.parametrize(
    "wrong",
    [
        {"id": 0},
        {"id": 2**31},
        {"products": ()},
        {"products": ("*",)},
        {"products": (" ",)},
        {"currency": "usd"},
        {"cost": Decimal(-1)},
        {"cost": Decimal("nan")},
        {"overage": Decimal("inf")},
        {"ticks": -1},
        {"name": ""},
        {"tier": "a\nb"},
    ],
)
def test_an_entitlement_that_makes_no_sense_is_refused(wrong: dict[str, object]) -> None:
    good = Entitlement(7, "All", ("wire",))
    rules.put_entitlement(AccountBook(), good)
    with pytest.raises(InputError):
        rules.put_entitlement(AccountBook(), replace(good, **wrong))  # type: ignore[arg-type]


@pytest.mark.parametrize(("style", "limit"), [(PlanStyle.DURATION, 5), (PlanStyle.DOWNLOADS, 0)])
def test_a_limit_goes_with_a_plan_by_downloads_alone(style: PlanStyle, limit: int) -> None:
    with pytest.raises(InputError):
        rules.add_plan(sold("wire"), "gazette", "p", [7], NOW, style, limit, Interval.DAY)


def test_one_download_is_a_plan() -> None:
    book = rules.add_plan(
        sold("wire"), "gazette", "p", [7], NOW, PlanStyle.DOWNLOADS, 1, Interval.DAY
    )
    assert [plan.limit for plan in book.plans.values() if plan.style is PlanStyle.DOWNLOADS] == [1]


def test_keys_write_every_product_or_those_that_are_named() -> None:
    book, _ = key_in(sold("wire"), "gazette", writes=EVERY_PRODUCT)
    with pytest.raises(InputError):
        key_in(book, "gazette", writes=frozenset({"*", "wire"}))
    with pytest.raises(NotFoundError):
        key_in(book, "herald")


class Store(MemoryStore):
    """A store that tells when it is asked for its version."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = threading.Semaphore(0)

    def version(self) -> int:
        self.asked.release()
        return super().version()


@pytest.fixture
def store() -> Store:
    return Store()


class Clock:
    """A clock that a test turns."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def in_force(store: Store, clock: Clock) -> Iterator[AccountsInForce]:
    made = AccountsInForce(store, clock, reserved=("urn:desk:",), interval_s=0.001)
    yield made
    made.close()


def created(in_force: AccountsInForce, **more: object) -> str:
    """A key of an account with a plan."""
    in_force.change(lambda _: sold("wire"))
    made: list[str] = []

    def rule(book: AccountBook) -> AccountBook:
        book, key = key_in(book, "gazette", **more)
        made.append(key)
        return book

    in_force.change(rule)
    return made[-1]


def test_a_key_has_the_rights_of_its_account(in_force: AccountsInForce) -> None:
    key = created(in_force, writes=frozenset({"wire"}), may_inspect=True)
    caller = in_force.caller(key)
    assert caller is not None
    assert (caller.name, caller.account, caller.customer) == (
        "gazette/desk",
        "gazette",
        "gazette",
    )
    assert caller.products == caller.writes == {"wire"}
    assert (caller.may_inspect, caller.may_use_models) == (True, False)
    assert caller.reserved == ("urn:desk:",)


def test_no_other_text_is_a_key(in_force: AccountsInForce) -> None:
    key = created(in_force)
    others = ["", "dk", "dk_", f"{key}x", key[:-1], key.upper(), f" {key}", id_of(key), "dk__"]
    assert [in_force.caller(other) for other in others] == [None] * len(others)
    assert in_force.caller(f"dk_{id_of(key)}_{new_key()[1].split('_', 2)[2]}") is None
    assert in_force.caller("dk_\udcff_\udcff") is None


def test_a_key_ends_when_it_expires_or_is_revoked(in_force: AccountsInForce, clock: Clock) -> None:
    key = created(in_force, expires=NOW + HOUR)
    clock.now = NOW + HOUR - timedelta(microseconds=1)
    assert in_force.caller(key)
    clock.now = NOW + HOUR
    assert in_force.caller(key) is None
    in_force.change(lambda book: rules.expire_key(book, id_of(key), NOW + 2 * HOUR))
    assert in_force.caller(key)
    in_force.change(lambda book: rules.revoke_key(book, id_of(key), clock.now))
    assert in_force.caller(key) is None
    with pytest.raises(ConflictError):
        in_force.change(lambda book: rules.expire_key(book, id_of(key), NOW + 9 * HOUR))


def test_both_keys_work_while_a_rotation_overlaps(in_force: AccountsInForce, clock: Clock) -> None:
    old = created(in_force, may_use_models=True)
    name, new = new_key()
    in_force.change(
        lambda book: rules.rotate_key(book, id_of(old), name, digest_of(new), NOW, HOUR)
    )
    assert in_force.caller(old) == in_force.caller(new) is not None
    clock.now = NOW + HOUR
    assert in_force.caller(old) is None
    assert in_force.caller(new)
    with pytest.raises(ConflictError):  # the old one has expired
        in_force.change(lambda book: rules.rotate_key(book, id_of(old), "x", b"", clock.now, HOUR))


@pytest.mark.parametrize("overlap", [timedelta(seconds=-1), rules.MOST_OVERLAP + HOUR])
def test_an_overlap_has_bounds(in_force: AccountsInForce, overlap: timedelta) -> None:
    old = id_of(created(in_force))
    with pytest.raises(InputError):
        in_force.change(lambda book: rules.rotate_key(book, old, "x", b"", NOW, overlap))
    assert in_force.book.keys[old].expires is None


def test_a_rotation_never_lengthens_the_old_keys_life(in_force: AccountsInForce) -> None:
    old = created(in_force, expires=NOW + HOUR)
    name, new = new_key()
    in_force.change(
        lambda book: rules.rotate_key(book, id_of(old), name, digest_of(new), NOW, 9 * HOUR)
    )
    assert in_force.book.keys[id_of(old)].expires == NOW + HOUR


def test_a_change_of_another_process_is_followed(in_force: AccountsInForce, store: Store) -> None:
    key = created(in_force)
    store.change(lambda book: rules.revoke_key(book, id_of(key), NOW))
    while in_force.caller(key):
        assert store.asked.acquire(timeout=60)
    store.failing = True
    store.change(lambda _: AccountBook())
    for _ in range(3):
        assert store.asked.acquire(timeout=60)
    assert "gazette" in in_force.book.accounts  # what was in force stays
    store.failing = False
    while in_force.book.accounts:
        assert store.asked.acquire(timeout=60)


def test_a_name_by_digest_finds_a_valid_key(in_force: AccountsInForce) -> None:
    key = created(in_force)
    named = in_force.named(digest_of(key).hex(), bytes.hex)
    assert named == in_force.caller(key) is not None
    assert in_force.named("", bytes.hex) is None
    in_force.change(lambda book: rules.revoke_key(book, id_of(key), NOW))
    assert in_force.named(digest_of(key).hex(), bytes.hex) is None
