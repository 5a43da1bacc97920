"""The recency curve: what it does to scores, and that it never filters."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.retrieval import SortOrder
from search.pipeline import SearchPipeline
from search.profiles import standard_profiles
from search.ranking import aged_ranking, kept_shares
from tests.search.room import START, Room, story, uris

NOW = datetime(2024, 3, 1, 12, tzinfo=UTC)
DAY = 86_400_000_000


def aged(*days: float) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    now = int(NOW.timestamp() * 1_000_000)
    return np.array([now - int(day * DAY) for day in days], np.int64)


@pytest.mark.parametrize(
    ("half_life", "floor", "days", "kept"),
    [
        (1, 0.5, 0, 1.0),
        (1, 0.5, 1, 0.75),
        (1, 0.5, 2, 0.625),
        (1, 0.5, 10_000, 0.5),
        (1, 0.0, 1, 0.5),
        (1, 0.0, 3, 0.125),
        (7, 0.0, 7, 0.5),
        (1, 1.0, 50, 1.0),
        (1, 0.5, -3, 1.0),  # the future counts as now
        (0, 0.5, 100, 1.0),  # off
    ],
)
def test_the_curve_at_points_that_one_can_check(
    half_life: float, floor: float, days: float, kept: float
) -> None:
    shares = kept_shares(aged(days), NOW, half_life, floor)
    assert shares.dtype == np.float32
    assert shares.tolist() == pytest.approx([kept], abs=1e-6)


@given(
    days=st.lists(st.floats(-100, 40_000), min_size=1, max_size=20),
    half_life=st.floats(0.01, 4000),
    floor=st.floats(0, 1),
)
def test_newer_never_keeps_less_and_nothing_leaves_floor_and_one(
    days: list[float], half_life: float, floor: float
) -> None:
    shares = kept_shares(aged(*sorted(days)), NOW, half_life, floor)
    assert (np.diff(shares) <= 0).all()
    assert (shares <= 1).all()
    assert (shares >= np.float32(floor) - 1e-6).all()


@given(
    scores=st.lists(st.floats(0, 1, width=32), min_size=1, max_size=30),
    days=st.floats(-5, 5000),
    floor=st.floats(0, 1),
)
def test_equal_dates_keep_their_order(scores: list[float], days: float, floor: float) -> None:
    """Even where rounding makes two scores one."""
    fused = np.array(scores, np.float32)
    ids = np.arange(len(scores), dtype=np.int64)
    shares = kept_shares(aged(*[days] * len(scores)), NOW, 1.0, floor)
    _, before = aged_ranking(fused, None, ids)
    _, after = aged_ranking(fused, shares, ids)
    assert after.tolist() == before.tolist()


@pytest.fixture
def wire(room: Room) -> Room:
    """The same story today, yesterday and last month; an old one that fits the words better."""
    room.put(
        story("month", "Ferry aground", body="the ferry is aground", when=-720),
        story("yesterday", "Ferry aground", body="the ferry is aground", when=-24),
        story("today", "Ferry aground", body="the ferry is aground", when=0),
        story("tomorrow", "Ferry aground", body="the ferry is aground", when=24),
        story("only", "Lighthouse keeper retires", body="A lighthouse.", when=-9000),
    )
    return room


def timed(room: Room, **changes: Any) -> SearchPipeline:
    pipeline = room.build(**changes)
    return SearchPipeline(replace(pipeline._parts, clock=lambda: room.now))


def test_breaking_is_hybrid_with_a_half_life_of_a_day() -> None:
    found = standard_profiles(("text",))
    assert replace(found["breaking"], name="hybrid", recency_half_life_days=0) == found["hybrid"]
    assert found["breaking"].recency_half_life_days == 1
    assert found["breaking"].recency_floor == 0.5
    others = [profile for name, profile in found.items() if name != "breaking"]
    assert {profile.recency_half_life_days for profile in others} == {0}


def test_breaking_news_stand_first_and_nothing_is_dropped(wire: Room) -> None:
    calm = wire.ask("ferry aground", profile="hybrid")
    fresh = wire.ask("ferry aground", profile="breaking", pipeline=timed(wire))
    assert uris(calm)[:4] == ["month", "yesterday", "today", "tomorrow"]  # equal: as recorded
    assert uris(fresh)[:4] == ["today", "tomorrow", "yesterday", "month"]
    assert set(uris(calm)) == set(uris(fresh))
    assert calm.total == fresh.total


def test_an_old_story_that_alone_answers_is_still_first(wire: Room) -> None:
    assert (
        uris(wire.ask("lighthouse keeper", profile="breaking", pipeline=timed(wire)))[0] == "only"
    )


def test_each_hit_says_what_it_kept(wire: Room) -> None:
    answer = wire.ask("ferry aground", profile="breaking", pipeline=timed(wire), explain=True)
    why = {hit.item.uri: hit.explanation for hit in answer.hits}
    kept = {uri: each.recency for uri, each in why.items() if each is not None}
    assert kept["today"] == kept["tomorrow"] == 1
    assert kept["yesterday"] == pytest.approx(0.75)
    for hit in answer.hits:
        assert hit.explanation is not None
        product = hit.explanation.fused * hit.explanation.recency
        assert hit.score == pytest.approx(product, abs=1e-6)
        assert hit.explanation.fused_rank == hit.rank


def test_off_changes_no_digit(wire: Room) -> None:
    plain = wire.ask("ferry aground", profile="hybrid", explain=True)
    again = wire.ask(
        "ferry aground",
        profile="breaking",
        explain=True,
        pipeline=timed(wire, recency_half_life_days=0.0),
    )
    assert [hit.score for hit in plain.hits] == [hit.score for hit in again.hits]
    assert [hit.explanation for hit in plain.hits] == [hit.explanation for hit in again.hits]


def test_the_clock_decides_and_a_cursor_keeps_its_order(wire: Room) -> None:
    pipeline = timed(wire)
    first = wire.ask("ferry aground", profile="breaking", pipeline=pipeline, page_size=2)
    wire.now = START + timedelta(days=3)
    rest = wire.ask(
        "ferry aground", profile="breaking", pipeline=pipeline, page_size=2, cursor=first.cursor
    )
    assert uris(first) + uris(rest) == ["today", "tomorrow", "yesterday", "month"]
    later = wire.ask("ferry aground", profile="breaking", pipeline=pipeline)
    assert uris(later)[0] == "tomorrow"


def test_an_order_by_date_is_left_alone(wire: Room) -> None:
    answer = wire.ask("ferry", profile="breaking", pipeline=timed(wire), order=SortOrder.OLDEST)
    assert uris(answer) == ["month", "yesterday", "today", "tomorrow"]
