"""Lists by date: whole, in one order, and fast enough by the work that they do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import product
from pathlib import Path
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import QueryError
from core.items import Concept
from core.query_tree import EVERYTHING
from core.retrieval import Browse, DateBuckets, DateInterval, FacetRequest, Place, Retrieval
from core.writes import PutItem
from storage.embedded.columns.date_order import DateOrder, taken
from storage.embedded.columns.facts import ValueColumn
from storage.embedded.vectors.growing import GrowingArray
from storage.opensearch.index.body import IndexSettings
from storage.opensearch.query import whole_facets
from storage.opensearch.query.retrieval import SearchSettings
from storage.words.date_buckets import count_dates, cuts
from storage.words.topics import read_topics
from tests.storage.conformance.browsing import SEEN, archives, check_pages
from tests.storage.conformance.engine_under_test import PROPERTY
from tests.storage.opensearch_world import lending, open_opensearch
from tests.storage.world import NOW, SetClock, make_item, opened

DAY = 86_400_000_000


@contextmanager
def embedded(folder: Path) -> Iterator[Any]:
    with opened(folder, SetClock()) as engine:
        yield engine


@settings(PROPERTY, max_examples=20)
@given(st.data())
def test_pages_are_everything_that_matches(data: st.DataObject) -> None:
    check_pages(embedded, data.draw(archives()), data)


@pytest.fixture(scope="module")
def node(opensearch: str) -> Iterator[None]:
    with lending(opensearch):
        yield


@contextmanager
def on_a_node(folder: Path, **more: Any) -> Iterator[Any]:
    """A busy machine makes the node slow here, never incomplete."""
    search = SearchSettings(timeout_s=60)
    engine = open_opensearch(folder, SetClock(), search=search, patience_s=60, **more)
    try:
        yield engine
    finally:
        engine.close()


@pytest.mark.usefixtures("node")
def test_pages_of_a_node_are_everything_that_matches() -> None:
    @settings(PROPERTY, max_examples=3)
    @given(st.data())
    def check(data: st.DataObject) -> None:
        check_pages(on_a_node, data.draw(archives())[:15], data)

    check()


@pytest.mark.usefixtures("node")
def test_a_page_beyond_the_window_of_a_node_is_refused(folder: Path) -> None:
    with on_a_node(folder) as engine, pytest.raises(QueryError):
        engine.browse(Browse(Retrieval(EVERYTHING, SEEN), 10, skip=IndexSettings().window))


TOPICS = """\
# scheme: med http://example.org/topics/
1\t\tSport
2\t1\tball games\tBall Sports
3\t2\tfootball\tsoccer
4\t1\trowing
5\t\tWeather
6\t5\tfootball
"""
NAMED = (
    *(Concept(name, code) for name, code in (("Sport", "1"), ("football", "med:3"), ("x", "6"))),
    *(Concept("soccer", ""), Concept("soccer", "med:3"), Concept("football", ""), Concept("", "4")),
    *(Concept("Ball Sports", "2"), Concept("Weather", ""), Concept("chess", "77"), Concept("y")),
)


@pytest.mark.usefixtures("node")
def test_facets_of_a_node_count_everything(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the record counts the same items, in many requests as well as in one."""
    monkeypatch.setattr(whole_facets, "_AT_ONCE", 3)
    (folder / "topics.tsv").write_text(TOPICS)
    random, items = Random(7), []
    for number in range(60):
        moment = NOW - timedelta(minutes=random.choice((1, 600, 80_000)) * random.randrange(60))
        subject = tuple(random.sample(NAMED, random.randrange(4)))
        items.append(make_item(f"urn:{number}", versioncreated=moment, subject=subject))
    with on_a_node(folder, topics=read_topics(folder / "topics.tsv")) as engine:
        engine.put([PutItem(item) for item in items])
        engine.catch_up()
        every = engine.browse(Browse(Retrieval(EVERYTHING, SEEN), 100)).ids
        assert len(every) == 60
        for limit, interval in product((1, 4, 200), DateInterval):
            buckets = DateBuckets(interval, ZoneInfo("Australia/Lord_Howe"))
            wanted = FacetRequest(("versioncreated", "subject"), limit, buckets, broader=True)
            found = engine.browse(Browse(Retrieval(EVERYTHING, SEEN), 1, facets=wanted))
            counted = engine.facets(every, wanted.names, limit, buckets, broader=True)
            assert found.facets == counted
            assert found.degraded == ()


ZONES = ("UTC", "Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "Africa/Cairo")


@given(
    st.lists(st.integers(-(10**15), 2 * 10**15), min_size=1, max_size=30),
    st.sampled_from(ZONES),
    st.sampled_from(DateInterval),
)
def test_each_stretch_between_cuts_is_in_one_bucket(
    moments: list[int], zone: str, interval: DateInterval
) -> None:
    buckets, newest = DateBuckets(interval, ZoneInfo(zone)), max(moments)
    near = [newest - abs(moment) % (20 * DAY) for moment in moments]
    for count, times in ((200, moments), (480, near)):
        found = cuts(newest, count, buckets)
        within = np.array([at for at in [*times, *found.tolist()] if found[0] <= at], np.int64)
        firsts = found[np.searchsorted(found, within, "right") - 1]
        assert count_dates(firsts, 500, buckets) == count_dates(within, 500, buckets)


@given(st.lists(st.lists(st.sampled_from("abcd"), max_size=3), min_size=1), st.data())
def test_values_of_many_rows_are_those_of_each(
    values: list[list[str]], data: st.DataObject
) -> None:
    column, every = ValueColumn(), list(range(len(values)))
    column.extend(every, values)
    rows = np.array(data.draw(st.lists(st.sampled_from(every), unique=True)), np.int64)
    assert sorted(column._codes_of_many(rows)) == sorted(column.codes_of(rows))


_TIMES = st.integers(0, 3)


@given(st.lists(st.lists(st.tuples(_TIMES, st.integers(-2, 2)), max_size=20), max_size=6))
def test_rows_that_are_added_take_their_places(batches: list[list[tuple[int, int]]]) -> None:
    times: GrowingArray[np.int64] = GrowingArray(np.int64)
    ties: GrowingArray[np.int64] = GrowingArray(np.int64)
    order, every = DateOrder(times, ties), list[tuple[int, int]]()
    for batch in batches:
        times.append([time for time, _ in batch])
        ties.append([tie for _, tie in batch])
        every += batch
        rows = order.rows(len(every))
        assert [every[row] for row in rows.tolist()] == sorted(every)
        assert sorted(rows.tolist()) == list(range(len(every)))
        for time, tie in every[:3]:
            place = Place(time, tie)
            assert order.before(rows, place) == sum(key < (time, tie) for key in every)
            assert order.up_to(rows, place) == sum(key <= (time, tie) for key in every)
        half = len(every) // 2
        assert sorted(order.rows(half).tolist()) == list(range(half))


@given(st.lists(st.booleans(), max_size=50), st.integers(0, 60), st.integers(1, 60))
def test_what_is_taken_of_the_rows(allowed: list[bool], skip: int, size: int) -> None:
    rows = np.arange(len(allowed))[::-1]
    wanted = [row for row in rows.tolist() if allowed[row]][skip:][:size]
    assert taken(rows, np.array(allowed, np.bool_), skip, size).tolist() == wanted


def test_a_long_list_is_taken_block_by_block() -> None:
    rows = np.arange(5_000)
    allowed = rows % 3 == 0
    assert taken(rows, allowed, 700, 900).tolist() == list(range(2_100, 4_800, 3))
