"""Batches hold every text once and no more tokens than they may."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.serving.batches import LEAST_SHARED, MOST_EVEN, BatchLimits, cut_batches, cut_texts


@given(st.lists(st.integers(0, 300), max_size=200), st.integers(1, 500))
def test_each_text_is_in_one_batch_within_the_budget(lengths: list[int], budget: int) -> None:
    batches = cut_batches(lengths, budget=budget)
    seen = [int(row) for batch in batches for row in batch]
    assert sorted(seen) == list(range(len(lengths)))
    for batch in batches:
        longest = max(lengths[row] for row in batch)
        assert len(batch) == 1 or longest * len(batch) <= budget


def test_alike_lengths_share_a_batch() -> None:
    batches = cut_batches([5, 100, 6, 99], budget=200)
    assert [sorted(np.asarray(batch).tolist()) for batch in batches] == [[1, 3], [0, 2]]


@given(st.lists(st.integers(0, 30), max_size=40), st.integers(1, 10), st.integers(1, 60))
def test_texts_are_held_a_few_at_a_time(sizes: list[int], most: int, characters: int) -> None:
    texts = ["x" * size for size in sizes]
    groups = [texts[group] for group in cut_texts(texts, most=most, characters=characters)]
    assert [text for group in groups for text in group] == texts
    for group in groups:
        assert 1 <= len(group) <= most
        assert len(group) == 1 or sum(map(len, group)) <= characters


def busiest(lengths: Sequence[int], sizes: Sequence[int], lanes: int) -> int:
    """Padded tokens of the lane that has the most, each taking the next batch when it is free."""
    taken, start = [0] * lanes, 0
    for rows in sizes:
        taken[taken.index(min(taken))] += rows * lengths[start]
        start += rows
    return max(taken)


def full_batches(lengths: Sequence[int], limits: BatchLimits, free: int) -> list[int]:
    """Equal shares of the budget, each batch as full as it gets: what an even cut is to beat."""
    total, longest = sum(lengths), lengths[0]
    needed = math.ceil(total / limits.tokens)
    count = max(needed, min(free, total // LEAST_SHARED, len(lengths)))
    most = min(limits.tokens, math.ceil(math.ceil(total / count) / longest) * longest)
    sizes: list[int] = []
    while (start := sum(sizes)) < len(lengths):
        rows = 1
        while start + rows < len(lengths):
            if (rows + 1) * lengths[start] > most:
                break
            if lengths[start + rows] < limits.alike * lengths[start]:
                break
            rows += 1
        sizes.append(rows)
    return sizes


@given(
    st.lists(st.integers(1, 128), min_size=1, max_size=60),
    st.integers(100, 600),
    st.integers(1, 5),
    st.sampled_from([0.0, 0.5, 1.0]),
)
def test_an_even_cut_has_every_row_once_and_never_keeps_a_lane_longer(
    given_lengths: list[int], tokens: int, free: int, alike: float
) -> None:
    lengths = sorted(given_lengths, reverse=True)
    limits = BatchLimits(tokens, lanes=free, alike=alike)
    sizes = limits.cut(lengths, free)
    lanes = limits.shared(lengths, free)
    assert bool(sizes) == (lanes > 1 and limits.needed(lengths) <= MOST_EVEN * lanes)
    if not sizes:
        return
    assert sum(sizes) == len(lengths)
    start = 0
    for rows in sizes:
        batch = lengths[start : start + rows]
        assert rows == 1 or rows * batch[0] <= tokens
        assert min(batch) >= alike * batch[0]
        start += rows
    before = full_batches(lengths, limits, free)
    assert busiest(lengths, sizes, lanes) <= busiest(lengths, before, lanes)


@pytest.mark.parametrize(
    ("lengths", "lanes", "most"),
    [
        ([128] * 20, 2, 10 * 128),  # five batches of 4 are 12 rows for one of the lanes
        ([128] * 10, 2, 5 * 128),
        ([128] * 9, 2, 5 * 128),
        ([128] * 20, 3, 7 * 128),
        ([128] * 7, 3, 3 * 128),
        ([48] * 10, 2, 5 * 48),
        ([128, *[16] * 20], 2, 240),
    ],
)
def test_lanes_end_together(lengths: list[int], lanes: int, most: int) -> None:
    sizes = BatchLimits(512, lanes).cut(lengths, lanes)
    assert busiest(lengths, sizes, lanes) <= most


def test_of_equally_even_cuts_the_one_of_fewest_batches_is_taken() -> None:
    limits = BatchLimits(512, lanes=2)
    assert limits.cut([100] * 10, 2) == (5, 5)
    assert limits.cut([128] * 8, 2) == (4, 4)


def test_a_request_of_very_many_batches_is_not_cut() -> None:
    """To compare cuts takes time for each batch, and evens out the last few only."""
    limits = BatchLimits(512, lanes=4)
    assert sum(limits.cut([512] * 2 * MOST_EVEN, 2)) == 2 * MOST_EVEN
    assert limits.cut([512] * (2 * MOST_EVEN + 1), 2) == ()
    assert sum(limits.cut([512] * (2 * MOST_EVEN + 1), 3)) == 2 * MOST_EVEN + 1
    assert limits.cut([512] * 1280 + [300] * 1280, 2) == ()


def test_few_tokens_are_not_shared_out() -> None:
    limits = BatchLimits(512, lanes=4)
    assert limits.cut([30, 30], 4) == ()
    assert len(limits.cut([64, 64], 4)) == 2
    assert limits.cut([400, 400], 1) == ()
