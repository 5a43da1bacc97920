"""What nodes of OpenSearch do for a search, by the shape of their index."""

from __future__ import annotations

import pytest

from capacity.instances import End
from capacity.nodes import IndexShape, node_times, slices_of
from capacity.service_model import constant


@pytest.mark.parametrize("end", list(End))
def test_one_segment_takes_what_was_measured(end: End) -> None:
    high = End(2 - end.value)
    spelling = constant("opensearch_spelling_ms").at(high)
    for passages, name in ((20_000, "opensearch_node_ms"), (1e6, "opensearch_million_ms")):
        found = node_times(IndexShape(passages), end)
        assert found.work == found.slowest == pytest.approx(constant(name).at(high) + spelling)


def test_shards_and_slices_answer_sooner_for_more_work() -> None:
    one, shards, sliced = (
        node_times(shape, End.MIDDLE)
        for shape in (
            IndexShape(24e6, 6, 4),
            IndexShape(24e6, 24, 1),
            IndexShape(24e6, 6, 4, slices=4),
        )
    )
    assert one.slowest > sliced.slowest == pytest.approx(shards.slowest)
    assert one.work == pytest.approx(sliced.work)
    assert shards.work > sliced.work


def test_an_index_grows_faster_in_one_segment_than_a_search_waits_for_many() -> None:
    small, large = (node_times(IndexShape(n, round(n / 1e6)), End.SLOW) for n in (1e6, 24e6))
    assert large.work == pytest.approx(24 * small.work)
    assert large.slowest == pytest.approx(small.slowest)


def test_slices_are_half_of_the_threads_and_four_at_most() -> None:
    assert [slices_of(9, vcpus) for vcpus in (2, 4, 8, 16)] == [1, 2, 4, 4]
    assert slices_of(1, 16) == 1
