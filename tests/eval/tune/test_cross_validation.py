"""Nested cross-validation: nothing leaks, and what is reported is not what was chosen by."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import InputError
from eval.tune.cross_validation import (
    Questions,
    Values,
    choose,
    error_of_mean,
    folds_of,
    groups_by_document,
    interval,
    mean_of_sets,
    nested,
)


def questions(sets: list[int], groups: list[int] | None = None) -> Questions:
    numbers = list(range(len(sets))) if groups is None else groups
    return Questions(np.array(sets, np.int64), np.array(numbers, np.int64))


def noise(count: int, columns: int, seed: int) -> Values:
    return np.random.default_rng(seed).normal(0.5, 0.1, (count, columns))


# --- groups


def test_queries_of_one_document_are_one_group_through_others_too() -> None:
    groups = groups_by_document(
        {
            "a": {"d1": 1},
            "b": {"d1": 2, "d2": 1},
            "c": {"d2": 1},
            "alone": {"d3": 1},
            "not relevant": {"d3": 0},
            "none": {},
        }
    )
    assert groups["a"] == groups["b"] == groups["c"]
    assert len(set(groups.values())) == 4


# --- folds


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 30)), min_size=12, max_size=80),
    st.integers(2, 4),
    st.integers(0, 5),
)
def test_folds_keep_groups_whole_and_sets_spread(
    rows: list[tuple[int, int]], count: int, seed: int
) -> None:
    asked = questions([s for s, _ in rows], [s * 100 + g for s, g in rows])
    if len(np.unique(asked.groups)) < count:
        return
    folds = folds_of(asked, count, seed)
    for group in np.unique(asked.groups):
        assert len(np.unique(folds[asked.groups == group])) == 1
    for number in np.unique(asked.sets):
        mine = asked.sets == number
        sizes = np.bincount(folds[mine], minlength=count)
        largest = np.unique(asked.groups[mine], return_counts=True)[1].max()
        assert sizes.max() - sizes.min() <= largest


def test_the_seed_decides_and_nothing_else() -> None:
    asked = questions([0] * 30 + [1] * 10)
    assert np.array_equal(folds_of(asked, 5, 1), folds_of(asked, 5, 1))
    assert not np.array_equal(folds_of(asked, 5, 1), folds_of(asked, 5, 2))


@pytest.mark.parametrize("count", [1, 3])
def test_folds_that_cannot_be_made_are_an_error(count: int) -> None:
    with pytest.raises(InputError, match="2 groups"):
        folds_of(questions([0, 0, 0], [1, 1, 2]), count, 1)


# --- means and errors


def test_every_set_counts_alike() -> None:
    values = np.array([[1.0], [0.0], [0.0], [0.0]])
    assert mean_of_sets(values, np.array([0, 1, 1, 1]))[0] == 0.5


def test_an_error_is_the_textbook_s_where_no_queries_belong_together() -> None:
    values = noise(40, 1, 1)
    expected = values.std(ddof=1) / np.sqrt(40)
    assert error_of_mean(values, questions([0] * 40))[0] == pytest.approx(expected)


def test_asking_for_one_document_again_adds_no_certainty() -> None:
    values = noise(40, 1, 1)
    twice, groups = np.repeat(values, 2, axis=0), [n // 2 for n in range(80)]
    once = questions([0] * 40)
    grouped = questions([0] * 80, groups)
    assert error_of_mean(twice, grouped) == pytest.approx(error_of_mean(values, once))
    assert interval(twice[:, 0], grouped, 1, 500) == pytest.approx(
        interval(values[:, 0], once, 1, 500)
    )


def test_one_group_has_no_error_to_tell() -> None:
    assert error_of_mean(noise(5, 2, 1), questions([0] * 5, [3] * 5)).tolist() == [np.inf] * 2


def test_an_interval_holds_the_mean_and_is_the_same_again() -> None:
    values = noise(60, 1, 3)[:, 0]
    low, high = interval(values, questions([0] * 60), 1, 2000)
    assert low < values.mean() < high
    assert (high - low) == pytest.approx(2 * 1.96 * values.std() / np.sqrt(60), rel=0.1)
    assert interval(values, questions([0] * 60), 1, 2000) == (low, high)


# --- choosing


def test_of_settings_that_cannot_be_told_apart_the_nearest_is_taken() -> None:
    noisy = noise(50, 1, 1)
    better = np.random.default_rng(2).normal(0.001, 0.05, (50, 1))
    values = np.hstack([noisy, noisy + better, noisy - 0.2])
    choice = choose(values, questions([0] * 50), np.array([0.0, 1.0, 0.5]))
    assert choice.chosen == 0
    assert choice.best_mean >= choice.mean


def test_a_setting_that_is_better_for_sure_is_taken_however_far() -> None:
    base = noise(50, 1, 1)
    values = np.hstack([base, base + 0.05])
    choice = choose(values, questions([0] * 50), np.array([0.0, 9.0]))
    assert (choice.best, choice.chosen) == (1, 1)


def test_equal_settings_change_nothing() -> None:
    same = np.repeat(noise(20, 1, 1), 3, axis=1)
    assert choose(same, questions([0] * 20), np.array([0.0, 1.0, 2.0])).chosen == 0


# --- nested


def test_a_fold_s_own_queries_have_no_say_in_its_choice() -> None:
    asked, distances = questions([0] * 30 + [1] * 30), np.arange(6.0)
    values = noise(60, 6, 4)
    before = nested(values, asked, distances, 5, 1)
    for fold in range(5):
        changed = values.copy()
        changed[before.folds == fold] = np.random.default_rng(fold).random((12, 6)) * 100
        after = nested(changed, asked, distances, 5, 1)
        assert after.choices[fold] == before.choices[fold]


def test_the_best_setting_is_found_in_every_fold() -> None:
    base = noise(60, 1, 5)
    gains = np.array([0.0, 0.02, 0.1, 0.04])
    values = base + gains + np.random.default_rng(6).normal(0, 0.02, (60, 4))
    found = nested(values, questions([0] * 40 + [1] * 20), np.arange(4.0), 5, 1)
    assert {choice.chosen for choice in found.choices} == {2}
    assert np.array_equal(found.outer, values[:, 2])


def test_what_chose_flatters_and_what_did_not_is_honest() -> None:
    """Forty settings that are all the same but for chance: the best looks better on the queries
    that chose it, and is no better on others.
    """
    inner, outer = [], []
    asked, far = questions([0] * 60), np.zeros(40)
    for seed in range(30):
        values = noise(60, 40, seed)
        found = nested(values, asked, far, 5, seed)
        inner.append(found.inner_best)
        outer.append(found.outer.mean())
    assert np.mean(inner) > 0.52
    spread = np.std(outer) / np.sqrt(len(outer))
    assert abs(np.mean(outer) - 0.5) < 4 * spread
