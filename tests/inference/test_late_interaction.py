"""MaxSim over the encoder's tokens: a relevant passage scores above an irrelevant one."""

import numpy as np
import pytest

from core.ports.models import ScoreLimits
from inference.late_interaction import MaxSimScorer, max_sim
from inference.models.store import ModelStore

QUERY = "central bank raises interest rates"
RELEVANT = "Policymakers at the central bank lifted borrowing costs by a quarter point on Thursday."
IRRELEVANT = "Heavy snow closed the mountain pass and stranded dozens of skiers overnight."


def test_a_relevant_passage_scores_above_an_irrelevant_one(scorer: MaxSimScorer) -> None:
    scores = scorer.score([QUERY, QUERY], [IRRELEVANT, RELEVANT])
    assert scores.shape == (2, 1)
    assert scores.dtype == np.float32
    assert scores[1, 0] > scores[0, 0] + 0.1


def test_a_text_scores_one_against_itself(scorer: MaxSimScorer) -> None:
    assert scorer.score([RELEVANT], [RELEVANT])[0, 0] == pytest.approx(1.0, abs=1e-4)


def test_a_pairs_score_does_not_depend_on_the_others(scorer: MaxSimScorer) -> None:
    queries = [QUERY, "snow", QUERY, "skiing accident"]
    passages = [RELEVANT, IRRELEVANT * 4, IRRELEVANT, RELEVANT * 3]
    together = scorer.score(queries, passages)
    alone = [scorer.score([q], [p])[0, 0] for q, p in zip(queries, passages, strict=True)]
    np.testing.assert_allclose(together[:, 0], alone, atol=1e-5)


def test_texts_without_words_score_zero(scorer: MaxSimScorer) -> None:
    scores = scorer.score(["", QUERY], [RELEVANT, " "])
    assert scores.tolist() == [[0.0], [0.0]]


def test_what_was_cut_is_counted_apart_for_query_and_passages(scorer: MaxSimScorer) -> None:
    passages = [RELEVANT * 8, IRRELEVANT] * 40  # more than are read at once
    for query, query_cut in ((QUERY, False), ("bank " * 300, True)):
        found = scorer.score_within(query, passages, ScoreLimits(tokens=48))
        assert (found.truncated, found.tokens, found.query_truncated) == (40, 48, query_cut)
    assert not scorer.score_within("bank " * 200, [RELEVANT]).query_truncated
    assert scorer.score_within("bank " * 200_000, [RELEVANT]).query_truncated


def test_no_pairs_and_uneven_pairs(scorer: MaxSimScorer) -> None:
    assert scorer.score([], []).shape == (0, 1)
    with pytest.raises(ValueError, match="1 queries for 2 passages"):
        scorer.score([QUERY], [RELEVANT, IRRELEVANT])


def test_max_sim_is_the_mean_of_each_rows_best() -> None:
    query = np.eye(2, dtype=np.float32)
    passage = np.array([[0.6, 0.8], [1.0, 0.0]], np.float32)
    assert max_sim(query, passage) == pytest.approx((1.0 + 0.8) / 2)


def test_it_opens_on_its_own(models: ModelStore) -> None:
    own = MaxSimScorer.open(models, "all-MiniLM-L6-v2", threads=1)
    scores = own.score([QUERY, QUERY], [IRRELEVANT, RELEVANT])
    assert scores[1, 0] > scores[0, 0]
