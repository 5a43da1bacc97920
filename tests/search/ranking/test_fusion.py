from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.retrieval import Retrieved, VectorScores
from search.profiles import Fusion, Profile
from search.ranking import RRF_K, bounded_bm25, bounded_cosines, fuse, ranking

NAN, INF = float("nan"), float("inf")
MOST = float(np.finfo(np.float32).max)
HYBRID = Profile("hybrid", 0.5, {"text": 0.5})
RRF = Profile("hybrid-rrf", 0.5, {"text": 0.5}, Fusion.RRF)


def floats(values: Sequence[float]) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    return np.array(values, np.float32)


def ranks_of(values: Sequence[float]) -> np.ndarray[tuple[int], np.dtype[np.int32]]:
    """1-based by value, 0 for NaN."""
    scores = np.array(values, np.float64)
    ranks = np.zeros(len(scores), np.int32)
    known = np.flatnonzero(~np.isnan(scores))
    ranks[known[np.argsort(-scores[known], kind="stable")]] = np.arange(1, len(known) + 1)
    return ranks


def vector_part(
    cosines: Sequence[float], background: float = 0.1, weight: float = 0.5
) -> VectorScores:
    return VectorScores(
        "text",
        weight,
        floats(cosines),
        np.zeros(len(cosines), np.int32),
        ranks_of(cosines),
        background,
    )


def found(bm25: Sequence[float], *parts: VectorScores) -> Retrieved:
    ids = np.arange(1, len(bm25) + 1, dtype=np.int64)
    return Retrieved(ids, floats(bm25), ranks_of(bm25), len(bm25), parts)


def test_words_in_another_language_count_in_part_and_vectors_for_the_rest() -> None:
    profile = Profile("p", 0.5, {"text": 0.5}, foreign_share=0.25)
    part = vector_part([0.1, 0.1], background=0.1)
    shares = fuse(found([4, 4], part), profile, None, np.array([False, True]))
    assert shares.lexical.tolist() == [1.0, 0.25]
    part = vector_part([1.0, 1.0], background=0.0)
    shares = fuse(found([0, 0], part), profile, None, np.array([False, True]))
    assert shares.lexical.tolist() == pytest.approx([0.0, 0.75])
    assert fuse(found([4, 4], part), profile).lexical.tolist() == [1.0, 1.0]


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([], []),
        ([7.5], [1]),
        ([0.001], [1]),
        ([4, 4, 4], [1, 1, 1]),
        ([4, 2, 1], [1, 0.5, 0.25]),
        ([4, NAN, 2], [1, 0, 0.5]),
        ([NAN, NAN], [0, 0]),
        ([0, 0], [0, 0]),
        ([-3, -1], [0, 0]),
        ([-3, 2], [0, 1]),
        ([INF, 2], [0, 1]),
        ([-INF, 2], [0, 1]),
        ([1_000_000, 1], [1, 0.000001]),
    ],
)
def test_bm25_goes_from_nothing_to_the_best(
    scores: Sequence[float], expected: Sequence[float]
) -> None:
    assert bounded_bm25(floats(scores)).tolist() == pytest.approx(expected, abs=1e-7)


def test_the_last_of_a_list_keeps_its_share() -> None:
    """Where min-max would give it 0, and make a near miss of a hit."""
    assert bounded_bm25(floats([10, 9]))[1] == pytest.approx(0.9)
    assert bounded_cosines(vector_part([0.9, 0.8], background=0.1))[1] == pytest.approx(0.875)


@pytest.mark.parametrize(
    ("cosines", "background", "expected"),
    [
        ([], 0.1, []),
        ([0.6], 0.1, [1]),
        ([0.05], 0.1, [0]),
        ([0.1], 0.1, [0]),
        ([0.6, 0.6], 0.1, [1, 1]),
        ([0.6, 0.35, 0.1, -0.9], 0.1, [1, 0.5, 0, 0]),
        ([0.6, NAN], 0.1, [1, 0]),
        ([NAN, NAN], 0.1, [0, 0]),
        ([-0.2, -0.4], -0.6, [1, 0.5]),
        ([-INF, 0.5], 0.0, [0, 1]),
        ([0.5, 0.4], NAN, [0, 0]),
    ],
)
def test_cosines_go_from_the_background_to_the_best(
    cosines: Sequence[float], background: float, expected: Sequence[float]
) -> None:
    got = bounded_cosines(vector_part(cosines, background)).tolist()
    assert got == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("start", "expected"),
    [(0.0, [1, 0.8, 0.5, 0]), (0.5, [1, 0.6, 0, 0]), (0.8, [1, 0, 0, 0]), (1.0, [0, 0, 0, 0])],
)
def test_a_scale_may_begin_on_the_way_to_the_best(start: float, expected: Sequence[float]) -> None:
    part = vector_part([0.6, 0.5, 0.35, 0.1], 0.1)
    assert bounded_cosines(part, start).tolist() == pytest.approx(expected, abs=1e-6)
    by_field = replace(HYBRID, lexical_weight=0.0, vector_starts={"text": start})
    assert fuse(found([NAN] * 4, part), by_field).scores.tolist() == pytest.approx(
        expected, abs=1e-6
    )
    other = replace(by_field, vector_starts={"second": start})
    assert fuse(found([NAN] * 4, part), other).scores[1] == pytest.approx(0.8)


def test_fusion_adds_weighted_shares() -> None:
    fused = fuse(found([4, 2, NAN], vector_part([NAN, 0.6, 0.35])), HYBRID)
    assert fused.scores.tolist() == pytest.approx([0.5, 0.75, 0.25])
    assert fused.weights == (0.5, 0.5)


def test_weights_are_relative() -> None:
    answer = found([4, 2], vector_part([0.35, 0.6], weight=3.0))
    fused = fuse(answer, Profile("p", 1.0, {"text": 3.0}))
    assert fused.weights == (0.25, 0.75)
    assert fused.scores.tolist() == pytest.approx([0.25 + 0.375, 0.125 + 0.75])


def test_a_single_retriever_has_all_the_weight() -> None:
    lexical = fuse(found([4, 1]), Profile("lexical", 1.0))
    vector = fuse(found([NAN, NAN], vector_part([0.6, 0.35])), Profile("vector", 0.0))
    assert lexical.scores.tolist() == pytest.approx([1, 0.25])
    assert vector.scores.tolist() == pytest.approx([1, 0.5])


def test_no_weight_at_all_gives_zeros_and_no_error() -> None:
    fused = fuse(found([4, 1]), Profile("none", 0.0))
    assert fused.scores.tolist() == [0, 0]


def test_several_vector_fields() -> None:
    parts = (vector_part([0.6, 0.1], weight=0.25), vector_part([NAN, 0.6], weight=0.25))
    fused = fuse(found([NAN, 4], *parts), HYBRID)
    assert fused.scores.tolist() == pytest.approx([0.25, 0.75])


def test_reciprocal_ranks() -> None:
    fused = fuse(found([9, 5, NAN], vector_part([NAN, 0.6, 0.2])), RRF)
    second = (RRF_K + 1) / (RRF_K + 2)
    assert fused.scores.tolist() == pytest.approx([0.5, 0.5 + second / 2, second / 2])


def test_an_outlier_takes_nothing_from_the_other_side() -> None:
    """A thousandfold BM25 presses its list's others down, but not what their cosines say."""
    fused = fuse(found([10_000, 10], vector_part([0.2, 0.6])), HYBRID)
    assert fused.vectors[0].tolist() == pytest.approx([0.2, 1])
    assert fused.scores[1] == pytest.approx(0.5 + 0.0005)


numbers = st.one_of(
    st.floats(-1e6, 1e6, width=32), st.sampled_from([NAN, INF, -INF, 0.0, 1e30, 1e-30, MOST, -MOST])
)
cosine_numbers = st.one_of(st.floats(-1, 1, width=32), st.just(NAN))
rows = st.lists(st.tuples(numbers, cosine_numbers), max_size=30)
profiles = st.builds(
    Profile,
    name=st.just("any"),
    lexical_weight=st.floats(0, 10),
    fusion=st.sampled_from(list(Fusion)),
)


@given(rows, profiles, st.floats(-1, 1, width=32), st.floats(0, 10))
def test_scores_lie_between_0_and_1(
    pairs: list[tuple[float, float]], profile: Profile, background: float, weight: float
) -> None:
    part = vector_part([cosine for _, cosine in pairs], background, weight)
    fused = fuse(found([bm25 for bm25, _ in pairs], part), profile)
    assert fused.scores.dtype == np.float32
    for scores in (fused.scores, fused.lexical, *fused.vectors):
        assert len(scores) == len(pairs)
        assert ((scores >= 0) & (scores <= 1.00001)).all()


@given(rows, profiles, st.randoms())
def test_the_order_of_candidates_plays_no_part(
    pairs: list[tuple[float, float]], profile: Profile, random: object
) -> None:
    answer = found([bm25 for bm25, _ in pairs], vector_part([cosine for _, cosine in pairs]))
    places = list(range(len(pairs)))
    random.shuffle(places)  # type: ignore[attr-defined]
    order = np.array(places, np.intp)
    part = answer.vectors[0]
    shuffled = Retrieved(
        answer.ids[order],
        answer.bm25[order],
        answer.lexical_ranks[order],
        answer.lexical_matches,
        (
            VectorScores(
                part.field,
                part.weight,
                part.cosines[order],
                part.passages[order],
                part.ranks[order],
                part.background,
            ),
        ),
    )
    before, after = fuse(answer, profile).scores, fuse(shuffled, profile).scores
    assert after.tolist() == before[order].tolist()
    ranked = answer.ids[ranking(before, answer.ids)]
    assert ranked.tolist() == shuffled.ids[ranking(after, shuffled.ids)].tolist()


bm25_numbers = st.one_of(st.just(0.0), st.floats(2**-10, 1024, width=32))


@given(st.lists(bm25_numbers, min_size=1, max_size=30), st.floats(0.01, 100))
def test_more_bm25_is_never_less_and_its_unit_does_not_matter(
    scores: list[float], factor: float
) -> None:
    shares = bounded_bm25(floats(scores))
    order = np.argsort(floats(scores), kind="stable")
    assert (np.diff(shares[order]) >= 0).all()
    scaled = bounded_bm25(floats(scores) * np.float32(factor))
    assert scaled.tolist() == pytest.approx(shares.tolist(), abs=1e-4)


def test_equal_scores_go_in_the_order_of_recording() -> None:
    scores, ids = floats([0.5, 0.9, 0.5, 0.5]), np.array([3, 1, 9, 5], np.int64)
    assert ids[ranking(scores, ids)].tolist() == [1, 3, 5, 9]


def test_ranking_nothing() -> None:
    assert ranking(floats([]), np.zeros(0, np.int64)).tolist() == []


def test_a_list_of_faint_matches_is_not_a_full_match() -> None:
    """The only match of a six-word query is one common word: that is not "all of BM25"."""
    alone = bounded_bm25(floats([0.9, 0.3]), bound=60.0)
    assert alone.tolist() == pytest.approx([0.15, 0.05])
    assert bounded_bm25(floats([9.0, 3.0]), bound=60.0).tolist() == pytest.approx([1.0, 1 / 3])


def test_min_max_over_lists_makes_the_last_of_each_nothing() -> None:
    """What it is compared with: the worst of a list counts as if it had not been found, and a
    list of one is all there is to have.
    """
    profile = Profile("list", 0.5, {"text": 0.5}, Fusion.LIST)
    fused = fuse(found([4, 2, 3, NAN], vector_part([0.5, NAN, 0.2, 0.3])), profile)
    assert fused.lexical == pytest.approx([1, 0, 0.5, 0])
    assert fused.vectors[0] == pytest.approx([1, 0, 0, 1 / 3])
    assert fused.scores == pytest.approx([1, 0, 0.25, 1 / 6])
    alone = fuse(found([NAN, 2], vector_part([0.5, NAN])), profile)
    assert alone.scores == pytest.approx([0.5, 0.5])
