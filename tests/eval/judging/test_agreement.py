"""Agreement and bias, against values worked out by hand and a bias that was put in."""

from __future__ import annotations

import random

import pytest

from eval.judging.agreement import agreement, biases, weighted_kappa
from eval.judging.pool import Pooled

# Ten pairs: both judges give 0 to four and 1 to three; in the other three they differ by 1, 1, 2.
ONE = [0, 0, 0, 0, 1, 1, 1, 0, 1, 2]
OTHER = [0, 0, 0, 0, 1, 1, 1, 1, 2, 0]


def test_kappa_weighs_squared_distances() -> None:
    disagreement = (1 + 1 + 4) / 10
    by_chance = sum((a - b) ** 2 for a in ONE for b in OTHER) / 100
    assert weighted_kappa(ONE, OTHER) == pytest.approx(1 - disagreement / by_chance)
    assert weighted_kappa(ONE, ONE) == 1.0
    assert weighted_kappa([2, 2], [2, 2]) is None
    assert weighted_kappa([0, 3, 0, 3], [3, 0, 3, 0]) == pytest.approx(-1.0)


def test_only_pairs_with_several_judges_say_something_of_agreement() -> None:
    found = agreement([(3,), (2, 2), (0, 1), (1,), (3, 3, 3)])
    assert (found.pairs, found.same) == (3, pytest.approx(2 / 3))
    assert found.alpha is not None
    assert 0 < found.alpha < 1
    assert agreement([(1,), ()]).alpha is None


def test_a_bias_that_was_put_in_is_found_again() -> None:
    """The judge is half a grade too kind to everybody, and one more to what one system finds."""
    chance = random.Random(4)
    pool, people, machine = [], {}, {}
    for query in range(60):
        for place in range(20):
            ranks = {"ours": 1 + place % 10} if place < 10 else {"theirs": 1 + place % 10}
            each = Pooled(f"q{query}", f"d{place}", ranks)
            people[each.pair] = chance.randrange(3)
            machine[each.pair] = people[each.pair] + chance.randrange(2) + ("ours" in ranks)
            pool.append(each)
    ours, theirs = biases(pool, machine, people, 10)
    assert (ours.system, ours.pairs, theirs.pairs) == ("ours", 600, 600)
    assert ours.difference == pytest.approx(0.5, abs=0.05)
    assert theirs.difference == pytest.approx(-0.5, abs=0.05)
    assert ours.low < ours.difference < ours.high
    assert theirs.high < 0 < ours.low
