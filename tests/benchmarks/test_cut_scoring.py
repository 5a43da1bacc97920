"""The scoring convention, against a table by hand and against the best matching there is."""

from __future__ import annotations

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.media.clip_files import TrueCut
from benchmarks.media.cut_scoring import TOLERANCE, Score, scored

HARD = TrueCut(99, 100, "hard")
DISSOLVE = TrueCut(200, 219, "dissolve")


@pytest.mark.parametrize(
    ("boundaries", "hard", "gradual"),
    [
        ([], Score(1, 0, 0), Score(1, 0, 0)),
        ([100, 210], Score(1, 1, 0), Score(1, 1, 0)),
        ([98], Score(1, 1, 0), Score(1, 0, 0)),
        ([102], Score(1, 1, 0), Score(1, 0, 0)),
        ([97], Score(1, 0, 1), Score(1, 0, 1)),
        ([103], Score(1, 0, 1), Score(1, 0, 1)),
        ([198], Score(1, 0, 0), Score(1, 1, 0)),
        ([222], Score(1, 0, 0), Score(1, 1, 0)),
        ([223], Score(1, 0, 1), Score(1, 0, 1)),
        ([100, 101], Score(1, 1, 1), Score(1, 0, 1)),  # the second is one too many
        ([205, 215], Score(1, 0, 1), Score(1, 1, 1)),
        ([100, 100], Score(1, 1, 0), Score(1, 0, 0)),  # the same boundary twice is one
    ],
)
def test_the_convention_by_hand(boundaries: list[int], hard: Score, gradual: Score) -> None:
    found = scored([HARD, DISSOLVE], boundaries)
    assert found.scores == {"hard": hard, "gradual": gradual}
    assert len(found.missed) == 2 - hard.found - gradual.found
    assert len(found.false) == hard.false


def test_rates_of_counts() -> None:
    score = Score(true=10, found=8, false=2)
    assert (score.precision, score.recall, score.f1) == (0.8, 0.8, 0.8)
    assert Score(10, 8, 2) + Score(10, 10, 0) == Score(20, 18, 2)
    assert Score().f1 == Score().precision == 0.0


@st.composite
def close_cuts(draw: st.DrawFn) -> list[TrueCut]:
    """Transitions so close that a boundary may stand on two."""
    cuts, at = [], 5
    for _ in range(draw(st.integers(0, 4))):
        at += draw(st.integers(2, 6))
        length = draw(st.integers(0, 5))
        cuts.append(TrueCut(at, at + length, "dissolve") if length else TrueCut(at - 1, at, "hard"))
        at += length
    return cuts


@given(close_cuts(), st.lists(st.integers(0, 50), max_size=5))
def test_no_other_matching_finds_more(cuts: list[TrueCut], boundaries: list[int]) -> None:
    found = scored(cuts, boundaries)
    places = sorted(set(boundaries))

    def on(cut: TrueCut, at: int) -> bool:
        first, last = (cut.last, cut.last) if cut.kind == "hard" else (cut.first, cut.last + 1)
        return first - TOLERANCE <= at <= last + TOLERANCE

    padded = [*places, *[-100] * len(cuts)]
    best = max(
        sum(on(cut, at) for cut, at in zip(cuts, order, strict=True))
        for order in permutations(padded, len(cuts))
    )
    assert sum(score.found for score in found.scores.values()) == best
    assert len(found.false) == len(places) - best
