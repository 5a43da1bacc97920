"""What fusion must make of odd lists: one hit, none, equal ones, negative ones, outliers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from search.profiles import Fusion, Profile
from search.ranking import RRF_K, bounded_bm25, fuse
from tests.search.ranking.test_fusion import INF, MOST, NAN, RRF, floats, found, vector_part

SECOND, THIRD = (RRF_K + 1) / (RRF_K + 2), (RRF_K + 1) / (RRF_K + 3)


@dataclass(frozen=True)
class Case:
    """What half BM25 and half cosines (background .1) make of a list, by kind of fusion."""

    name: str
    bm25: Sequence[float]
    cosines: Sequence[float]
    convex: Sequence[float]
    list: Sequence[float]
    rrf: Sequence[float]


CONTRACT = (
    Case("one hit of both", [7], [0.6], [1], [1], [1]),
    Case("one hit of words alone", [7], [NAN], [0.5], [0.5], [0.5]),
    Case("one hit of vectors alone", [NAN], [0.6], [0.5], [0.5], [0.5]),
    Case("one hit each", [7, NAN], [NAN, 0.6], [0.5, 0.5], [0.5, 0.5], [0.5, 0.5]),
    Case("no candidates", [], [], [], [], []),
    # An empty list leaves its share to nobody: what one side alone says stays below a half.
    Case("no word matches", [NAN, NAN], [0.6, 0.35], [0.5, 0.25], [0.5, 0], [0.5, SECOND / 2]),
    Case("no vectors", [4, 2], [NAN, NAN], [0.5, 0.25], [0.5, 0], [0.5, SECOND / 2]),
    # Equal scores are equally good: all of them the best, but for RRF, which sees places only.
    Case("equal scores", [3, 3, 3], [0.4] * 3, [1] * 3, [1] * 3, [1, SECOND, THIRD]),
    Case("equal and nothing", [0, 0], [0.1, 0.1], [0, 0], [1, 1], [1, SECOND]),
    # Below nothing is nothing. Over a list, the best of the bad has all of it.
    Case("negative scores", [-1, -3], [-0.2, -0.4], [0, 0], [1, 0], [1, SECOND]),
    Case("one negative", [4, -4], [0.6, -0.4], [1, 0], [1, 0], [1, SECOND]),
    Case(
        "a word score without measure",
        [1e6, 10, 5],
        [0.1, 0.6, 0.35],
        [0.5, 0.500005, 0.2500025],
        [0.5, 0.5000025, 0.25],
        [(1 + THIRD) / 2, (SECOND + 1) / 2, (THIRD + SECOND) / 2],
    ),
    Case(
        "a cosine that is none",
        [2, 4],
        [5.0, 0.6],
        [0.75, 0.5 + 0.5 * 0.5 / 4.9],
        [0.5, 0.5],
        [(1 + SECOND) / 2, (SECOND + 1) / 2],
    ),
    # What is no number is no score: the rest is ranked as if it had not been found there.
    Case("an endless score", [INF, 2], [0.6, 0.35], [0.5, 0.75], [0.5, 0.5], [1, SECOND]),
    Case("the largest number", [MOST, 1], [0.6, 0.6], [1, 0.5], [1, 0.5], [1, SECOND]),
    Case("from end to end", [MOST, -MOST], [0.6, 0.6], [1, 0.5], [1, 0.5], [1, SECOND]),
)


@pytest.mark.parametrize("kind", list(Fusion))
@pytest.mark.parametrize("case", CONTRACT, ids=lambda case: case.name)
def test_what_must_happen(case: Case, kind: Fusion) -> None:
    answer = found(case.bm25, vector_part(case.cosines))
    fused = fuse(answer, Profile("any", 0.5, {"text": 0.5}, kind))
    wanted = {Fusion.CONVEX: case.convex, Fusion.LIST: case.list, Fusion.RRF: case.rrf}[kind]
    assert fused.scores.tolist() == pytest.approx(wanted, abs=1e-6)


@pytest.mark.parametrize("kind", list(Fusion))
def test_a_side_of_no_weight_has_no_say(kind: Fusion) -> None:
    """The profiles `lexical` and `vector`, and a hybrid one whose weights are 1 and 0."""
    answer = found([4, 2, NAN], vector_part([0.35, NAN, 0.6], weight=0.0))
    words = fuse(answer, Profile("any", 1.0, {"text": 0.0}, kind))
    alone = fuse(found([4, 2, NAN]), Profile("lexical", 1.0, {}, kind))
    assert words.scores.tolist() == alone.scores.tolist()
    assert alone.scores[0] == 1
    assert alone.scores[2] == 0
    answer = found([4, 2, NAN], vector_part([0.35, NAN, 0.6], weight=0.5))
    vectors = fuse(answer, Profile("vector", 0.0, {"text": 0.5}, kind))
    assert vectors.scores[2] == 1
    assert vectors.scores[1] == 0


def test_reciprocal_ranks_have_weights() -> None:
    answer = found([9, 5, NAN], vector_part([NAN, 0.6, 0.2], weight=0.25))
    fused = fuse(answer, Profile("any", 0.75, {"text": 0.25}, Fusion.RRF))
    wanted = [0.75, 0.75 * SECOND + 0.25, 0.25 * SECOND]
    assert fused.scores.tolist() == pytest.approx(wanted)


def test_an_outlier_takes_nothing_from_reciprocal_ranks() -> None:
    """Only its place counts, so that a thousandfold score changes no digit."""
    near = fuse(found([11, 10, 9], vector_part([0.2, 0.6, 0.4])), RRF)
    far = fuse(found([11_000, 10, 9], vector_part([0.2, 0.6, 0.4])), RRF)
    assert near.scores.tolist() == far.scores.tolist()


@pytest.mark.parametrize("bound", [0.0, NAN, -1.0])
def test_a_bound_that_says_nothing_changes_nothing(bound: float) -> None:
    assert bounded_bm25(floats([4, 2]), bound).tolist() == [1, 0.5]


def test_nothing_reaches_an_endless_bound() -> None:
    assert bounded_bm25(floats([4, 2]), INF).tolist() == [0, 0]
