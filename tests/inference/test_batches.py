"""Batches hold every text once and no more tokens than they may."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from inference.batches import cut_batches, cut_texts


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
