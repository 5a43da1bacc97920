"""Quotas against a model."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from core.customers.accounts import AccountBook, Method, Quota
from core.limits import MemoryLimiter
from customers.accounts import rules as rules
from customers.accounts.quotas import Quotas

NOW = datetime(2026, 3, 18, tzinfo=UTC)
SECOND = 10**9
BOOK = rules.create_account(AccountBook(), "gazette", "", NOW)


class Time:
    """Nanoseconds that a test turns."""

    def __init__(self) -> None:
        self.now = SECOND

    def __call__(self) -> int:
        return self.now


def quotas(time: Time, quota: Quota) -> Quotas:
    return Quotas(MemoryLimiter(time), lambda: BOOK, {Method.SEARCH: quota})


@given(st.integers(1, 20), st.integers(1, 5), st.lists(st.integers(0, 90), min_size=1, max_size=60))
def test_no_more_is_let_in_than_the_quota_says(minute: int, days: int, waits: list[int]) -> None:
    """In any t minutes at most n + n * t; and whoever asks at the right moment is let in."""
    time = Time()
    counted = quotas(time, Quota(minute, minute * days))
    taken: list[int] = []
    for wait in waits:
        time.now += wait * SECOND
        use = counted.take("gazette", Method.SEARCH)
        assert use is not None
        assert 0 <= use.used <= use.limit
        assert use.limit in (minute, minute * days)
        if not use.is_refused:
            taken.append(time.now)
            continue
        assert use.used == use.limit
        later = Time()
        later.now = time.now + int(use.retry_after * SECOND) + 1
        assert use.retry_after > 0
    for length, seconds in ((minute, 60), (minute * days, 86_400)):
        for first, start in enumerate(taken):
            for last in range(first, len(taken)):
                spent = (taken[last] - start) / SECOND
                assert last - first + 1 <= length + length * spent / seconds + 1e-6


@given(st.integers(1, 12), st.lists(st.integers(0, 200), min_size=1, max_size=60))
def test_who_keeps_below_it_in_every_minute_is_never_refused(minute: int, waits: list[int]) -> None:
    time = Time()
    counted = quotas(time, Quota(minute, 10**6))
    asked: list[int] = []
    for wait in waits:
        time.now += wait * SECOND // 4
        if sum(at > time.now - 60 * SECOND for at in asked) < minute:
            asked.append(time.now)
            use = counted.take("gazette", Method.SEARCH)
            assert use is not None
            assert not use.is_refused


def test_a_refused_request_may_come_again_when_it_says() -> None:
    time = Time()
    counted = quotas(time, Quota(2, 3))
    uses = [counted.take("gazette", Method.SEARCH) for _ in range(3)]
    assert [(use.used, use.limit, use.is_refused) for use in uses if use] == [
        (1, 2, False),
        (2, 2, False),
        (2, 2, True),
    ]
    refused = uses[-1]
    assert refused
    time.now += int(refused.retry_after * SECOND) + 1
    use = counted.take("gazette", Method.SEARCH)
    assert use
    assert not use.is_refused
    time.now += 60 * SECOND
    spent = counted.take("gazette", Method.SEARCH)
    assert spent
    assert (spent.is_refused, spent.limit) == (True, 3)  # of the day
    assert spent.retry_after > 3600


def test_each_account_and_method_has_its_own() -> None:
    time = Time()
    both = rules.create_account(BOOK, "herald", "", NOW)
    both = rules.set_quota(both, "herald", Method.FEED, Quota(5, 50))
    counted = Quotas(MemoryLimiter(time), lambda: both, {Method.SEARCH: Quota(1, 9)})
    assert counted.take("desk", Method.SEARCH) is None
    first = [counted.take(name, Method.SEARCH) for name in ("gazette", "herald")]
    assert [use.is_refused for use in first if use] == [False, False]
    feed = counted.take("herald", Method.FEED)
    assert feed
    assert (feed.used, feed.limit, feed.seconds_left) == (1, 5, 12)
    assert feed.headers() == {
        "x-mediaapi-Q-name": "feed",
        "x-mediaapi-Q-used": "1/5",
        "x-mediaapi-Q-secondsLeft": "12",
    }
    assert counted.of("herald")[Method.FEED] == Quota(5, 50)
    assert counted.of("gazette")[Method.FEED] == Quota()
    assert counted.of("desk") == {}
