"""Paired tests: what they say of differences whose answer is known."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from eval.compare import significance
from eval.compare.significance import (
    bootstrap_interval,
    effect_size,
    holm,
    randomization,
    ratio_interval,
)


def test_the_randomization_test_counts_exchanges() -> None:
    differences = np.array([0.3, 0.1, -0.05, 0.2, 0.4, 0.0, 0.15, -0.1])
    seen = abs(differences.mean())
    exact = np.mean(
        [
            abs((differences * np.array(signs)).mean()) >= seen - 1e-12
            for signs in product((1, -1), repeat=len(differences))
        ]
    )
    assert randomization(differences) == pytest.approx(exact, abs=0.01)
    assert randomization(-differences) == randomization(differences)


@pytest.mark.parametrize("width", [0, 1, 5_000, 3_000_000])
def test_draws_do_not_fill_the_memory(width: int) -> None:
    blocks = significance._blocks(2_500, width)
    assert sum(blocks) == 2_500
    most = max(significance._PICKS_AT_ONCE, width)  # one draw has `width`
    assert 0 < min(blocks) <= max(blocks) <= significance._AT_ONCE
    assert max(blocks) * width <= most


def test_no_difference_is_no_evidence() -> None:
    assert randomization(np.zeros(50)) == 1.0
    assert randomization(np.zeros(0)) == 1.0


def test_it_is_rarely_wrong_where_nothing_differs() -> None:
    chance = np.random.default_rng(1)
    found = [randomization(chance.normal(size=30), draws=500) <= 0.1 for _ in range(300)]
    assert np.mean(found) == pytest.approx(0.1, abs=0.06)


def test_the_interval_is_near_the_normal_one() -> None:
    values = np.random.default_rng(2).normal(0.2, 1.0, 400)
    low, high = bootstrap_interval([values])
    error = stats.sem(values)
    assert low == pytest.approx(values.mean() - 1.96 * error, abs=0.1 * error)
    assert high == pytest.approx(values.mean() + 1.96 * error, abs=0.1 * error)


def test_a_ratio_of_sums_has_the_interval_of_a_mean_if_it_is_one() -> None:
    chance = np.random.default_rng(3)
    before, change = chance.uniform(0, 1, 300), chance.normal(0.02, 0.1, 300)
    ones = np.ones(300)
    found = ratio_interval(
        np.column_stack((before, ones)), np.column_stack((before + change, ones))
    )
    assert found == pytest.approx(bootstrap_interval([change]), abs=5e-4)


def test_rows_without_a_name_change_no_f1() -> None:
    named = np.array([[2.0, 2.0], [0.0, 2.0], [2.0, 3.0]])
    low, high = ratio_interval(named, named * [0.5, 1.0])
    assert low < -0.2 < high <= 0.0
    empty = np.zeros((3, 2))
    assert ratio_interval(empty, empty) == (0.0, 0.0)


def test_groups_count_alike_whatever_their_size() -> None:
    low, high = bootstrap_interval([np.ones(1000), np.zeros(2)])
    assert (low, high) == (0.5, 0.5)


def test_holm_on_a_worked_example() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_keeps_the_order_and_never_helps(p_values: list[float]) -> None:
    adjusted = holm(p_values)
    assert all(p <= q <= 1 for p, q in zip(p_values, adjusted, strict=True))
    order = np.argsort(p_values, kind="stable")
    assert all(np.diff(np.array(adjusted)[order]) >= 0)


# --- few queries, and what can't be told


def test_few_exchanges_are_counted_and_not_drawn() -> None:
    assert randomization(np.array([0.2, 0.1, 0.3])) == 0.25
    assert randomization(np.array([0.5, -0.5])) == 1.0


def test_queries_that_do_not_differ_do_not_matter() -> None:
    assert randomization(np.array([0.2, 0.1, 0.3, *[0.0] * 500])) == 0.25


def test_counted_and_drawn_exchanges_agree() -> None:
    chance = np.random.default_rng(3)
    few = chance.normal(0.08, 0.2, 16)
    signs = 1 - 2 * np.random.default_rng(1).integers(0, 2, (40_000, 16))
    drawn = np.mean(np.abs(signs @ few) >= abs(few.sum()) - 1e-12)
    assert randomization(few) == pytest.approx(drawn, abs=0.01)


def test_one_query_shows_nothing() -> None:
    alone = np.array([0.8])
    assert randomization(alone) == 1.0
    low, high = bootstrap_interval([alone])
    assert low == pytest.approx(high)
    assert np.isnan(effect_size(alone))


def test_effect_sizes() -> None:
    assert effect_size(np.zeros(9)) == 0.0
    assert np.isnan(effect_size(np.full(9, 0.1)))
    values = np.array([0.1, 0.2, -0.1, 0.3])
    assert effect_size(values) == pytest.approx(stats.ttest_1samp(values, 0).statistic / 2)


@given(st.lists(st.floats(-1, 1, width=16), min_size=1, max_size=16))
def test_p_is_a_share_that_the_sign_does_not_change(differences: list[float]) -> None:
    values = np.array(differences)
    p = randomization(values)
    assert 0 < p <= 1
    assert randomization(-values) == p


def test_many_queries_are_drawn_in_pieces_with_the_same_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    values = np.random.default_rng(2).normal(0.2, 1.0, 300)
    whole = bootstrap_interval([values], draws=1000)
    monkeypatch.setattr(significance, "_PICKS_AT_ONCE", 10_000)
    assert bootstrap_interval([values], draws=1000) == pytest.approx(whole)
