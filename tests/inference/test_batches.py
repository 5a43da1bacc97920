"""Batches hold every text once and no more tokens than they may."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from inference.batches import cut_batches


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
