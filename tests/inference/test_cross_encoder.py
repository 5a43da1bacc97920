"""Pairs: cut to fit, scored in order, each one alone responsible for its own errors."""

from __future__ import annotations

from collections.abc import Mapping
from time import perf_counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing

from core.errors import ModelError
from core.ports.models import BoundedScorer, ScoreLimits
from inference.cross_encoder import CrossEncoder
from inference.models.store import ModelStore
from inference.runtime import Array
from inference.texts.pairs import PairTokens
from inference.texts.tokens import TextTokens
from tests.inference.computed_models import THREE, TWO, ComputedRuntime, folder_like, overlap

QUERY = "oil price"
PASSAGES = ["the price of oil", "snow", "oil", "oil oil oil and the oil price " * 20, ""]


def scorer_of(models: ModelStore, compute: Any = overlap, **changed: Any) -> CrossEncoder:
    said = {"task": "score", "max_tokens": 32, **changed}
    folder = folder_like(models, "all-MiniLM-L6-v2", **said)
    return CrossEncoder.over(folder, ComputedRuntime(compute, "logits", THREE))


@pytest.fixture(scope="module")
def pairs() -> PairTokens:
    from tests.inference.conftest import ROOT

    return PairTokens.open(ModelStore(ROOT).open("all-MiniLM-L6-v2"))


def test_a_pair_that_fits_is_the_tokenizer_s_own(pairs: PairTokens) -> None:
    for passage in ("the price of oil", "", "Straße 😀"):
        (row,) = pairs.rows([QUERY], [passage])
        whole = pairs.tokenizer.encode(QUERY, passage)
        assert (row.ids, row.segments) == (tuple(whole.ids), tuple(whole.type_ids))
        assert not row.cut
        assert not row.query_cut


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 60), st.integers(0, 300), st.integers(1, 300))
def test_a_long_pair_loses_its_ends(pairs: PairTokens, asked: int, words: int, tokens: int) -> None:
    (row,) = pairs.rows(["oil " * asked], ["snow " * words], tokens=tokens)
    room = pairs.limit(tokens) - 3
    query = min(asked, room // 3)
    passage = min(words, room - query)
    oil, snow = (pairs.tokenizer.token_to_id(word) for word in ("oil", "snow"))
    assert row.ids == (101, *[oil] * query, 102, *[snow] * passage, 102)
    assert row.segments == (*[0] * (query + 2), *[1] * (passage + 1))
    assert (row.cut, row.query_cut) == (passage < words, query < asked)
    assert len(row) <= pairs.limit(tokens) <= 256


def test_scores_come_in_the_order_of_the_passages(models: ModelStore) -> None:
    scorer = scorer_of(models)
    scores = scorer.score([QUERY] * len(PASSAGES), PASSAGES)
    assert scores.shape == (5, 1)
    assert scores.dtype == np.float32
    alone = [scorer.score([QUERY], [passage])[0, 0] for passage in PASSAGES]
    assert scores[:, 0].tolist() == alone
    assert scores[:3, 0].tolist() == pytest.approx([2 - 0.04, -0.01, 1 - 0.01])
    assert isinstance(scorer, BoundedScorer)
    assert scorer.score([], []).shape == (0, 1)


def test_what_was_cut_is_counted(models: ModelStore) -> None:
    scorer = scorer_of(models)
    found = scorer.score_within(QUERY, PASSAGES)
    assert (found.truncated, found.tokens, found.failure) == (1, 32, "")
    np.testing.assert_array_equal(found.scores, scorer.score([QUERY] * 5, PASSAGES))
    short = scorer.score_within(QUERY, PASSAGES, ScoreLimits(tokens=8))
    assert (short.truncated, short.tokens) == (1, 8)
    assert (found.query_truncated, short.query_truncated) == (False, True)
    assert scorer.score_within(QUERY, PASSAGES, ScoreLimits(tokens=1000)).tokens == 32


def test_without_time_nothing_is_scored(models: ModelStore) -> None:
    scorer = scorer_of(models)
    found = scorer.score_within(QUERY, PASSAGES, ScoreLimits(until=perf_counter()))
    assert np.isnan(found.scores).all()
    assert found.failure == ""


def broken_at_snow(arrays: Mapping[str, Array]) -> Array:
    scores = overlap(arrays)
    scores[(arrays["input_ids"] == 4586).any(axis=1)] = np.nan
    return scores


def test_a_pair_without_a_number_fails_alone(models: ModelStore) -> None:
    scorer = scorer_of(models, broken_at_snow)
    assert scorer.tokens.tokenizer.token_to_id("snow") == 4586
    found = scorer.score_within(QUERY, PASSAGES)
    assert np.isnan(found.scores[:, 0]).tolist() == [False, True, False, False, False]
    assert found.failure == "ModelError"
    with pytest.raises(ModelError, match="not a number"):
        scorer.score([QUERY] * 5, PASSAGES)


@pytest.mark.parametrize(
    ("inputs", "output", "changed", "says"),
    [
        (THREE, "logits", {"task": "encode"}, "task encode"),
        (THREE, "scores", {}, "the graph takes"),
    ],
)
def test_what_is_no_scorer_is_refused(
    models: ModelStore, inputs: tuple[str, ...], output: str, changed: dict[str, str], says: str
) -> None:
    folder = folder_like(models, "all-MiniLM-L6-v2", **{"task": "score", **changed})
    with pytest.raises(ModelError, match=says):
        CrossEncoder.over(folder, ComputedRuntime(overlap, output, inputs))


def test_a_classifier_of_several_classes_is_no_scorer(models: ModelStore) -> None:
    scorer = scorer_of(models, lambda arrays: np.zeros((len(arrays["input_ids"]), 3), np.float32))
    with pytest.raises(ModelError, match="not one a pair"):
        scorer.score([QUERY], ["oil"])


def test_uneven_pairs(models: ModelStore) -> None:
    with pytest.raises(ValueError, match="1 queries for 2 passages"):
        scorer_of(models).score([QUERY], ["oil", "snow"])


def test_a_graph_without_segments_is_fed_none(models: ModelStore) -> None:
    folder = folder_like(models, "all-MiniLM-L6-v2", task="score")
    runtime = ComputedRuntime(lambda arrays: np.ones((len(arrays["input_ids"]), 1)), "logits", TWO)
    assert CrossEncoder.over(folder, runtime).score([QUERY], ["oil"]).tolist() == [[1.0]]


def test_pairs_of_another_family_are_joined_their_own_way() -> None:
    """XLM-RoBERTa puts two tokens between the texts and tells no segments apart."""
    words = ("<s>", "<pad>", "</s>", "<unk>", "oil", "price", "snow")
    vocabulary = {word: number for number, word in enumerate(words)}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.post_processor = TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> </s> $B </s>",
        special_tokens=[("<s>", 0), ("</s>", 2)],
    )
    pairs = PairTokens(tokenizer, 12, tokenizer.num_special_tokens_to_add(True))
    (row,) = pairs.rows(["oil price"], ["snow " * 20])
    assert row.ids == (0, 4, 5, 2, 2, *[6] * 6, 2)
    assert not any(row.segments)
    assert row.cut
    assert TextTokens(tokenizer, 12).padding == 1
