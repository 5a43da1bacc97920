"""Tests that are looked at every day: false alarms, and what they find."""

from __future__ import annotations

import os

import numpy as np
import pytest

from eval.compare.sequential import (
    mean_evidence,
    preference_interval,
    sign_evidence,
    sign_log_e,
    votes_needed,
)
from search.interleaving import BASE, RIVAL, team_draft

LISTS = int(os.environ.get("AA_LISTS", "4000"))  # that are drafted
EACH = max(40, LISTS // 1000)  # of them are in an experiment
EXPERIMENTS, DAYS = 1000, 30
LOOK = 1 / np.arange(1, 11)


def voted(rng: np.random.Generator, edge: float) -> bool | None:
    """One query: two rankers of the same ten documents, a reader who looks less at lower ranks and
    clicks once at most. True: for the rival, which sees `edge` more of what is good.
    """
    good = rng.random(10)
    noise = rng.normal(0, 0.4, (2, 10))
    first, second = np.argsort(-good - noise[0]), np.argsort(-(1 + edge) * good - noise[1])
    mixed, teams = team_draft(first.tolist(), second.tolist(), rng)
    clicks = np.flatnonzero(rng.random(10) < LOOK * good[mixed] ** 2)
    team = teams[clicks[0]] if len(clicks) else 0
    return None if team not in (BASE, RIVAL) else team == RIVAL


def test_a_thousand_experiments_without_a_preference_are_looked_at_daily() -> None:
    """The side of a vote is the coin's; a day has up to 20 votes, and each is looked at."""
    rng = np.random.default_rng(20260318)
    alarms = 0
    for _ in range(EXPERIMENTS):
        votes = rng.integers(0, 2, rng.integers(0, 21, DAYS).sum()) == 1
        alarms += sign_evidence(votes).reaches()
    assert 0 < alarms <= 0.05 * EXPERIMENTS


def test_equal_rankers_in_drafted_lists_give_no_more_false_alarms() -> None:
    rng = np.random.default_rng(20260318)
    alarms = sum(
        sign_evidence(v for _ in range(EACH) if (v := voted(rng, 0.0)) is not None).reaches()
        for _ in range(LISTS // EACH)
    )
    assert alarms <= 0.05 * LISTS / EACH


def test_callers_in_two_groups_give_no_more_false_alarms() -> None:
    """Callers differ much, and those who become final early click more than the others."""
    rng = np.random.default_rng(7)
    alarms = 0
    for _ in range(EXPERIMENTS):
        count = 10 * DAYS
        trend = np.linspace(0.7, 0.3, count)
        values = rng.binomial(10, np.clip(rng.normal(trend, 0.2), 0, 1)) / 10
        groups = rng.integers(0, 2, count)
        alarms += mean_evidence(np.column_stack([groups, values])).reaches()
    assert 0 < alarms <= 0.05 * EXPERIMENTS


def test_a_better_ranker_is_found() -> None:
    rng = np.random.default_rng(3)
    for _ in range(3):
        votes = [vote for _ in range(800) if (vote := voted(rng, 1.0)) is not None]
        assert sign_evidence(votes).reaches()
        assert sum(votes) > len(votes) / 2


def test_a_group_that_clicks_more_is_found() -> None:
    rng = np.random.default_rng(3)
    groups = rng.integers(0, 2, 1500) == 1
    values = rng.binomial(10, np.where(groups, 0.6, 0.5)) / 10
    assert mean_evidence(zip(groups.tolist(), values.tolist(), strict=True)).reaches()


def test_values_that_can_be_counted_by_hand() -> None:
    assert np.exp(sign_log_e(1, 0)) == pytest.approx(1.0)  # 2 x the mean of p
    assert np.exp(sign_log_e(2, 0)) == pytest.approx(4 / 3)
    assert sign_evidence([True] * 9).reaches()
    assert sign_evidence([]).most == 1.0
    assert mean_evidence([]).now == pytest.approx(1.0)


def test_intervals_shrink_around_the_share() -> None:
    wide, narrow = preference_interval(6, 4), preference_interval(600, 400)
    assert wide[0] < narrow[0] < 0.6 < narrow[1] < wide[1]
    assert preference_interval(0, 0) == (0.0005, 0.9995)


def test_the_length_that_is_told_is_about_right() -> None:
    rng = np.random.default_rng(5)
    needed = votes_needed(0.6)
    lengths = []
    for _ in range(60):
        wins, total = 0, 0
        while sign_log_e(wins, total - wins) < np.log(20):
            wins += rng.random() < 0.6
            total += 1
        lengths.append(total)
    assert 0.6 * needed < np.mean(lengths) < 1.2 * needed
    with pytest.raises(ValueError, match="one half"):
        votes_needed(0.5)
