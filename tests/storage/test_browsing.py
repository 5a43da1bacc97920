"""Lists by date: whole, in one order, and fast enough by the work that they do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import QueryError
from core.query_tree import EVERYTHING
from core.retrieval import Browse, Place, Retrieval
from storage.embedded.columns.date_order import DateOrder, taken
from storage.embedded.columns.facts import ValueColumn
from storage.embedded.vectors.growing import GrowingArray
from storage.opensearch.index.body import IndexSettings
from storage.opensearch.query.retrieval import SearchSettings
from tests.storage.browse_conformance import SEEN, archives, check_pages
from tests.storage.engine_under_test import PROPERTY
from tests.storage.opensearch_world import lending, open_opensearch
from tests.storage.world import SetClock, opened


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
def on_a_node(folder: Path) -> Iterator[Any]:
    """A busy machine makes the node slow here, never incomplete."""
    search = SearchSettings(timeout_s=60)
    engine = open_opensearch(folder, SetClock(), search=search, patience_s=60)
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
