"""What downloads cost, and when a price counts as acknowledged."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.customers.accounts import AccountBook, Entitlement, Interval, PlanStyle
from core.errors import AccessError
from customers.accounts import rules as rules
from customers.accounts.pricing import (
    Price,
    PriceError,
    check_acknowledged,
    interval_start,
    next_interval,
    price_of,
)

NOW = datetime(2026, 12, 18, 12, tzinfo=UTC)


def book_of(*entitlements: Entitlement, limit: int = 0) -> AccountBook:
    """An account with a plan of its own for each entitlement."""
    book = rules.create_account(AccountBook(), "gazette", "", NOW)
    style = PlanStyle.DOWNLOADS if limit else PlanStyle.DURATION
    for one in entitlements:
        book = rules.put_entitlement(book, one)
        book = rules.add_plan(book, "gazette", one.name, [one.id], NOW, style, limit)
    return book


DEAR = Entitlement(1, "dear", ("Photos",), cost=Decimal("12.50"))
CHEAP = Entitlement(2, "cheap", ("photos", "wire"), cost=Decimal(2), overage=Decimal(9))
FREE = Entitlement(3, "free", ("wire",))


def test_the_plan_that_costs_the_least_counts() -> None:
    book = book_of(DEAR, CHEAP, FREE)
    assert price_of(book, "gazette", ["photos"], {}).amount == 2
    assert price_of(book, "gazette", ["PHOTOS"], {}).amount == 2
    assert price_of(book, "gazette", ["wire"], {}).included
    assert price_of(book_of(DEAR), "gazette", ["photos"], {}).amount == Decimal("12.50")


def test_an_account_without_the_product_gets_nothing_and_a_key_of_the_settings_all() -> None:
    assert not price_of(book_of(FREE), "gazette", ["photos"], {}).allowed
    assert not price_of(book_of(FREE), "gazette", [], {}).allowed
    assert price_of(book_of(FREE), "desk", ["photos"], {}).included


def test_over_a_plans_limit_the_overage_counts() -> None:
    book = book_of(CHEAP, limit=5)
    assert price_of(book, "gazette", ["wire"], {1: 4}).amount == 2
    over = price_of(book, "gazette", ["wire"], {1: 5})
    assert (over.amount, over.allowed, over.ticks) == (9, True, 1)
    without = price_of(book_of(FREE, limit=5), "gazette", ["wire"], {1: 5})
    assert not without.allowed
    with pytest.raises(AccessError):
        check_acknowledged(without, "urn:a", Decimal(100))


@given(
    st.lists(st.sampled_from([DEAR, CHEAP, FREE]), unique=True),
    st.sets(st.sampled_from(["photos", "wire", "other"])),
)
def test_no_other_plan_costs_less(bought: list[Entitlement], products: set[str]) -> None:
    found = price_of(book_of(*bought), "gazette", products, {})
    costs = [one.cost for one in bought if products & {code.casefold() for code in one.products}]
    assert found.allowed is bool(costs)
    assert found.amount == min(costs, default=0)


@pytest.mark.parametrize(
    ("acknowledged", "currency", "good"),
    [
        (None, "", False),
        ("12.49", "EUR", False),
        ("12.50", "EUR", True),
        ("12.5", "", True),
        ("13", "eur", True),
        ("12.50", "USD", False),
    ],
)
def test_a_price_that_is_not_lower_acknowledges(
    acknowledged: str | None, currency: str, good: bool
) -> None:
    price = Price(Decimal("12.50"), "EUR")
    given = None if acknowledged is None else Decimal(acknowledged)
    if good:
        check_acknowledged(price, "urn:a", given, currency)
        return
    with pytest.raises(PriceError) as refused:
        check_acknowledged(price, "urn:a", given, currency)
    assert (refused.value.uri, refused.value.price) == ("urn:a", price)


@given(
    st.sampled_from(Interval),
    st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)),
)
def test_intervals_follow_each_other(interval: Interval, at: datetime) -> None:
    start, following = interval_start(interval, at), next_interval(interval, at)
    assert start <= at < following
    assert interval_start(interval, following) == following
    assert interval_start(interval, following - timedelta(microseconds=1)) == start


def test_a_price_as_ap_tells_it() -> None:
    told = price_of(book_of(DEAR), "gazette", ["photos"], {}).as_ap()
    assert (told["amount"], told["currency"], told["formatted"]) == (12.5, "USD", "12.50 USD")
    assert told["policy"] == {"policyid": "1", "policytype": "duration"}
    assert price_of(book_of(FREE), "gazette", ["wire"], {}).as_ap()["amount"] is None
