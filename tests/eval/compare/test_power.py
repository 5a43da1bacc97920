"""Power by formula against what simulation finds, and the gate's two rates on made-up queries."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from eval.compare.gate import Rule, got_worse
from eval.compare.power import (
    Share,
    exchanged,
    least_effect,
    queries_needed,
    recentred,
    resampled,
    share_caught,
)
from eval.compare.significance import Values
from tests.eval.made_results import jitter

DRAWS = 300
RULE = Rule()


def gate(differences: Values) -> bool:
    return got_worse(differences, RULE, DRAWS)


def test_the_least_effect_is_found_with_the_power_that_it_names() -> None:
    count, chance = 200, np.random.default_rng(1)
    effect = least_effect(1.0, count)
    found = [
        stats.ttest_1samp(chance.normal(effect, 1.0, count), 0).pvalue < 0.05 for _ in range(2000)
    ]
    assert np.mean(found) == pytest.approx(0.8, abs=0.03)


@given(st.floats(0.001, 0.5), st.floats(0.01, 1.0))
def test_queries_needed_and_the_least_effect_agree(effect: float, deviation: float) -> None:
    count = queries_needed(effect, deviation)
    assert least_effect(deviation, count) <= effect * (1 + 1e-9)
    if count > 2:
        assert least_effect(deviation, count - 1) > effect * (1 - 1e-9)


@pytest.mark.parametrize(("deviation", "count"), [(0.2, 1), (0.0, 50), (float("nan"), 50)])
def test_what_cannot_be_known_is_not_a_number(deviation: float, count: int) -> None:
    assert np.isnan(least_effect(deviation, count))


def test_wilson_s_interval() -> None:
    low, high = Share(8, 10).interval
    expected = stats.binomtest(8, 10).proportion_ci(method="wilson")
    assert (low, high) == pytest.approx((expected.low, expected.high))
    assert Share(0, 300).interval == pytest.approx((0.0, 0.01264), abs=1e-4)


def test_recentred_and_exchanged_worlds_have_the_truth_that_they_name() -> None:
    differences = jitter(500)
    assert recentred(differences, -0.02).mean() == pytest.approx(-0.02)
    means = [drawn.mean() for drawn in exchanged(differences + 0.1, 300)]
    assert np.mean(means) == pytest.approx(0.0, abs=0.003)
    first, again = (list(resampled(differences, 3)) for _ in range(2))
    assert np.array_equal(first, again)


def test_the_gate_catches_two_points_and_is_quiet_where_nothing_changed() -> None:
    differences = jitter(3000)
    caught = share_caught(resampled(recentred(differences, -0.02), 60), gate)
    assert caught.value >= 0.8
    assert share_caught(resampled(recentred(differences, 0.0), 60), gate).count == 0
    assert share_caught(exchanged(differences, 60), gate).count == 0


def test_with_few_queries_it_misses_much_and_still_rarely_cries_wolf() -> None:
    differences = jitter(100)
    assert share_caught(resampled(recentred(differences, -0.02), 100), gate).value < 0.8
    assert share_caught(exchanged(differences, 200), gate).value <= 0.05


def test_a_real_loss_too_small_to_matter_passes() -> None:
    differences = recentred(jitter(20_000), -0.004)
    assert not got_worse(differences, RULE, DRAWS)
    assert got_worse(differences, Rule(least_effect=0.004), DRAWS)
