"""Tuning finds what is there to be found, and says so when there is nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core.errors import InputError
from core.retrieval import Retrieved, VectorScores
from eval.runs.measures import parse_measure
from eval.sets.datasets import Conventions, Doubts, JudgedSet
from eval.sets.training_sets import measures_only
from eval.tune.fusion.features import QueryFeatures, SetFeatures
from eval.tune.fusion.settings import FusionSetting, distance, grid, read_parameters
from eval.tune.fusion.text import markdown, table, verdict_lines
from eval.tune.fusion.tuning import Tuning, Verdict, tuned
from eval.tune.fusion.values import measured, questions_of
from search.candidates import FusionInput
from search.profiles import Fusion, Profile, standard_profiles

PROFILE = standard_profiles(("text",))["hybrid"]
SHIPPED = FusionSetting.of(PROFILE)
CANDIDATES = 40


def candidates(chance: np.random.Generator, vector: float, lexical: float) -> FusionInput:
    """Candidate 0 is the one that is looked for: so much better by vectors and by words than the
    others, whose scores are chance.
    """
    cosines = chance.normal(0.4, 0.1, CANDIDATES)
    bm25 = chance.gamma(4.0, 1.0, CANDIDATES)
    cosines[0] += vector
    bm25[0] += lexical
    ranks = np.arange(1, CANDIDATES + 1, dtype=np.int32)
    part = VectorScores(
        field="text",
        weight=0.5,
        cosines=cosines.astype(np.float32),
        passages=np.zeros(CANDIDATES, np.int32),
        ranks=ranks[np.argsort(np.argsort(-cosines))],
        background=0.1,
    )
    found = Retrieved(
        ids=np.arange(CANDIDATES, dtype=np.int64),
        bm25=bm25.astype(np.float32),
        lexical_ranks=ranks[np.argsort(np.argsort(-bm25))],
        lexical_matches=CANDIDATES,
        vectors=(part,),
        lexical_bound=20.0,
    )
    unscored = np.full(CANDIDATES, np.nan, np.float32)
    return FusionInput(found, None, np.arange(CANDIDATES), unscored, None, ())


def synthetic(
    name: str, count: int, seed: int, *, vector: float, lexical: float
) -> tuple[SetFeatures, JudgedSet]:
    """A set of `count` queries with one relevant document each."""
    chance = np.random.default_rng(seed)
    names = tuple(f"d{number}" for number in range(CANDIDATES))
    queries = tuple(
        QueryFeatures(
            f"q{n}", candidates(chance, vector, lexical), np.arange(CANDIDATES, dtype=np.int32)
        )
        for n in range(count)
    )
    # Each query's own document is its group; candidates are named anew for each.
    named = tuple(f"{name}-{n}-{document}" for n in range(count) for document in names)
    queries = tuple(
        replace(query, documents=query.documents + np.int32(n * CANDIDATES))
        for n, query in enumerate(queries)
    )
    judged = JudgedSet(
        name=name,
        split="train",
        corpus=Path("none"),
        documents=len(named),
        queries={query.query_id: "?" for query in queries},
        qrels={query.query_id: {f"{name}-{n}-d0": 1} for n, query in enumerate(queries)},
        uri_prefix="",
        conventions=Conventions(),
        doubts=Doubts(),
    )
    return SetFeatures(f"{name}:train", named, queries), judged


def tuning(
    sets: list[tuple[SetFeatures, JudgedSet]], parameters: list[str], seed: int = 1
) -> Tuning:
    values = read_parameters(parameters, rerank=False)
    settings = grid(SHIPPED, values)
    features, judged = [one for one, _ in sets], [other for _, other in sets]
    measure = parse_measure("nDCG@10")
    return tuned(
        measured(features, judged, PROFILE, settings, measure),
        questions_of(judged),
        [one.label for one in features],
        settings,
        measure=str(measure),
        names=tuple(values),
        seed=seed,
    )


WEIGHTS = ["lexical_weight=0.1,0.3,0.5,0.7,0.9"]


@pytest.fixture(scope="module")
def by_vectors() -> Tuning:
    """Two sets whose relevant documents are found by vectors, while words are chance."""
    sets = [
        synthetic("one", 100, 1, vector=0.25, lexical=0.0),
        synthetic("two", 60, 2, vector=0.25, lexical=0.0),
    ]
    return tuning(sets, WEIGHTS)


def test_a_better_weight_is_found_and_its_worth_told(by_vectors: Tuning) -> None:
    assert by_vectors.verdict is Verdict.CHANGE
    assert by_vectors.recommended.lexical_weight == 0.1
    assert by_vectors.stability["lexical_weight"] == {"0.1": 5}
    assert by_vectors.low > 0
    assert by_vectors.difference > 0.1
    assert [row.queries for row in by_vectors.sets] == [100, 60]
    assert by_vectors.outer == pytest.approx(np.mean([row.outer for row in by_vectors.sets]))
    curve = [row.mean for row in by_vectors.curves]
    assert curve == sorted(curve, reverse=True)


def test_the_other_way_round_words_get_the_weight() -> None:
    found = tuning([synthetic("one", 80, 3, vector=0.0, lexical=6.0)], WEIGHTS)
    assert found.recommended.lexical_weight == 0.9


def test_where_all_is_chance_nothing_is_recommended() -> None:
    outer = []
    for seed in range(4):
        sets = [synthetic("one", 60, seed, vector=0.0, lexical=0.0)]
        found = tuning(sets, ["lexical_weight", "fusion"], seed)
        outer.append(found.difference)
        assert found.verdict is Verdict.TOO_LITTLE
        assert found.recommended == SHIPPED
        assert found.best_mean >= found.shipped_mean
        assert found.needed > found.queries
        assert "Too little to tell" in verdict_lines(found)[0]
    assert abs(np.mean(outer)) < 0.03


def test_few_queries_are_too_few_whatever_they_say() -> None:
    found = tuning([synthetic("one", 20, 1, vector=0.25, lexical=0.0)], WEIGHTS)
    assert found.difference > 0.05
    assert found.verdict is Verdict.TOO_LITTLE
    assert (found.low, found.high) == (-np.inf, np.inf)  # no second verdict beside the first
    assert not any("interval" in line for line in verdict_lines(found))


def test_it_is_the_same_again() -> None:
    sets = [synthetic("one", 30, 5, vector=0.1, lexical=1.0)]
    assert tuning(sets, WEIGHTS) == tuning(sets, WEIGHTS)


def test_what_plays_no_part_is_named() -> None:
    found = tuning([synthetic("one", 30, 5, vector=0.1, lexical=1.0)], ["entity_boost=0,0.4"])
    assert found.inert == ("entity_boost",)
    assert {fold.setting for fold in found.folds} == {SHIPPED}
    assert found.difference == 0
    assert "depends on entity_boost" in markdown(found, "dateline tune fusion one")


def test_what_ships_stays_where_it_is_as_good_as_the_best() -> None:
    found = tuning([synthetic("one", 150, 8, vector=0.15, lexical=4.0)], ["lexical_weight=0.1,0.9"])
    assert found.verdict is Verdict.NO_GAIN
    assert found.recommended == SHIPPED
    assert verdict_lines(found)[0].startswith("In no fold can the best be told")


def test_splits_of_one_collection_share_their_groups() -> None:
    one, two = (synthetic("one", 6, seed, vector=0.1, lexical=1.0) for seed in (1, 2))
    other = replace(two[1], split="test")
    strange = synthetic("other", 6, 3, vector=0.1, lexical=1.0)
    groups = questions_of([one[1], other, strange[1]]).groups.reshape(3, 6)
    assert groups[0].tolist() == groups[1].tolist()
    assert not set(groups[0].tolist()) & set(groups[2].tolist())


def test_a_set_that_hangs_together_is_a_doubt() -> None:
    features, judged = synthetic("one", 30, 5, vector=0.1, lexical=1.0)
    qrels = {
        query: {**grades, "shared": 1} if number < 20 else grades
        for number, (query, grades) in enumerate(judged.qrels.items())
    }
    found = tuning([(features, replace(judged, qrels=qrels))], WEIGHTS)
    assert found.notes[0].startswith("one:train: 20 of 30 queries")
    assert found.sets[0].groups == 11


# --- the grid


def test_every_setting_stands_once_and_what_ships_first() -> None:
    values = read_parameters(["fusion", "bound_share=0.1,0.2", "lexical_weight=.4"], rerank=False)
    found = grid(SHIPPED, values)
    assert found[0] == SHIPPED
    assert len(found) == len(set(found)) == 2 * (2 + 1 + 1)  # the bound's share is convex's alone
    assert distance(SHIPPED, SHIPPED) == 0
    nearer, farther = (replace(SHIPPED, lexical_weight=weight) for weight in (0.45, 0.4))
    assert 0 < distance(nearer, SHIPPED) < distance(farther, SHIPPED) < 1


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("weight", "no parameter 'weight'"),
        ("rerank_depth", "no parameter 'rerank_depth'"),
        ("lexical_weight=1", "does not fit"),
        ("lexical_weight=", "does not fit"),
        ("entity_boost=nan", "does not fit"),
        ("fusion=sum", "no fusion 'sum'"),
    ],
)
def test_parameters_that_cannot_be_are_errors(text: str, told: str) -> None:
    with pytest.raises(InputError, match=told):
        read_parameters([text], rerank=False)


def test_fusion_is_tuned_first_and_reranking_then() -> None:
    assert set(read_parameters([], rerank=True)) == {"rerank_depth", "rerank_weight"}
    fusion = read_parameters([], rerank=False)
    weights = {"lexical_weight", "second_share", "bound_share", "entity_boost"}
    assert set(fusion) == weights | {"fusion", "second_start"}
    both = read_parameters(["lexical_weight", "rerank_weight=0.1"], rerank=True)
    assert both == {"lexical_weight": fusion["lexical_weight"], "rerank_weight": (0.1,)}


def test_a_grid_that_is_too_large_is_an_error() -> None:
    values = {
        "lexical_weight": [n / 1000 for n in range(1, 999)],
        "entity_boost": [n / 100 for n in range(100)],
    }
    with pytest.raises(InputError, match="too many"):
        grid(SHIPPED, values)


def test_one_retriever_has_nothing_to_weigh() -> None:
    with pytest.raises(InputError, match="one retriever"):
        FusionSetting.of(Profile("lexical", 1.0, {}))


def test_a_setting_and_its_profile_say_the_same() -> None:
    setting = replace(SHIPPED, lexical_weight=0.3, fusion="rrf", entity_boost=0.4)
    profile = setting.applied(PROFILE)
    assert (profile.fusion, profile.entity_boost) == (Fusion.RRF, 0.4)
    assert FusionSetting.of(profile) == setting
    assert SHIPPED.applied(PROFILE) == PROFILE


def test_the_second_field_has_a_share_of_the_vectors_weight() -> None:
    best = standard_profiles(("text", "second"))["best"]
    shipped = FusionSetting.of(best)
    assert (shipped.second_share, shipped.second_start) == (0.5, 0.5)
    assert shipped.applied(best) == best
    moved = replace(shipped, lexical_weight=0.2, second_share=0.75).applied(best)
    assert moved.lexical_weight == 0.2
    assert moved.vector_weights == pytest.approx({"text": 0.2, "second": 0.6})
    assert replace(shipped, second_start=0.2).applied(best).vector_starts == {"second": 0.2}
    three = replace(best, vector_weights=dict.fromkeys(("a", "b", "c"), 1.0))
    with pytest.raises(InputError):
        FusionSetting.of(three)


# --- texts


def test_a_report_has_every_table_and_its_command(by_vectors: Tuning) -> None:
    text = markdown(by_vectors, "dateline tune fusion one:train two:train")
    assert "`dateline tune fusion one:train two:train`" in text
    assert text.startswith("# Fusion weights\n\nChange to lexical_weight 0.1")
    assert "| one:train | 100 | 100 |" in text
    assert text.count("\n## ") == 3


def test_a_cell_cannot_break_its_table() -> None:
    assert table(("a",), [("x|y\nz",)]).splitlines()[-1] == "| x\\|y z |"


@pytest.mark.parametrize(
    ("name", "split", "only"),
    [
        ("cacm", "test", True),
        ("scifact", "test", True),
        ("scifact", "train", False),
        ("bbc_news", "test", False),
        ("flickr8k_captions", "test", True),
        ("our-own", "test", False),
    ],
)
def test_which_sets_only_measure(name: str, split: str, only: bool) -> None:
    judged = replace(synthetic("one", 1, 1, vector=0.1, lexical=1.0)[1], name=name, split=split)
    assert measures_only(judged) is only
