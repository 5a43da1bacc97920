"""What was used lately is kept, and never more than the limit."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from storage.record.kept_values import KeptValues


@given(st.lists(st.integers(0, 30), max_size=60))
def test_values_are_right_or_gone_and_the_last_ones_stay(seqs: list[int]) -> None:
    kept = KeptValues[str](8)
    for seq in seqs:
        assert kept.of([seq]) in ({}, {seq: str(seq)})
        kept.keep({seq: str(seq)})
    assert len(kept.of(range(31))) <= 12  # both halves, and what moves between them
    for seq in seqs[-1:]:
        kept.keep({seq: str(seq)})
        assert kept.of([seq]) == {seq: str(seq)}


def test_a_value_that_is_used_again_and_again_stays() -> None:
    kept = KeptValues[int](8)
    kept.keep({0: 0})
    for seq in range(1, 50):
        assert kept.of([0]) == {0: 0}
        kept.keep({seq: seq})
