"""Learning a floor from made features: signs, threshold, and what it does to other sets."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from core.errors import InputError
from core.items import FloatMatrix
from eval.tune.floor_fitting import (
    ELSEWHERE,
    FloorQuery,
    FloorSet,
    calibration,
    kept,
    learned,
    left_out,
)
from search.floor import Floor, feature_names

FEATURES, DIGEST = feature_names(1), ("digest",)
SHARE, ABOVE = FEATURES.index("share"), FEATURES.index("above")


def rows(shares: list[float]) -> FloatMatrix:
    """Features of which `share` tells what is relevant, and `above` says the opposite of it."""
    matrix = np.zeros((len(shares), len(FEATURES)), np.float32)
    matrix[:, SHARE] = shares
    matrix[:, ABOVE] = 0.5 - 0.3 * np.array(shares)
    return matrix


def answered(best: float = 0.8) -> FloorQuery:
    """A judged query: three relevant documents, then three others."""
    return FloorQuery(
        rows([best, 0.75, 0.7, 0.2, 0.15, 0.1]), np.array([2, 1, 1, 0, 0, 0], np.int32)
    )


def about_nothing(kind: str, *, sealed: bool = False) -> FloorQuery:
    return FloorQuery(rows([0.25, 0.2, 0.1]), np.zeros(3, np.int32), kind, sealed)


def judged_set(label: str) -> FloorSet:
    absent = [
        about_nothing(kind, sealed=sealed)
        for kind in ("nonsense", "topic")
        for sealed in (False, True)
    ]
    return FloorSet(label, (answered(), answered(0.9), *absent))


def test_what_can_be_told_apart_is_learned() -> None:
    one = judged_set("one")
    floor = learned([one], DIGEST)
    assert floor.encoders == DIGEST
    assert floor.weights[SHARE] > 0 > floor.weights[ABOVE]
    low, high = floor.of_features(rows([0.25, 0.7])).tolist()
    assert low < floor.least <= high
    found = kept(one, floor)
    assert (found.label, found.first_10, found.first_100, found.strong) == ("one", 1.0, 1.0, 3.0)
    assert found.quiet == {"nonsense": 1.0, "topic": 1.0}


def test_sealed_queries_judge_and_teach_nothing() -> None:
    one = judged_set("one")
    loud = FloorQuery(rows([0.8]), np.zeros(1, np.int32), "nonsense", sealed=True)
    more = replace(one, queries=(*one.queries, loud))
    floor = learned([one], DIGEST)
    assert learned([more], DIGEST) == floor
    assert kept(more, floor).quiet["nonsense"] == 0.5
    assert kept(more, floor, sealed=False).quiet["nonsense"] == 1.0


def test_queries_of_other_collections_teach_and_less_is_asked_of_them() -> None:
    one = judged_set("one")
    loud = FloorQuery(rows([0.7]), np.zeros(1, np.int32), ELSEWHERE)
    taught = learned([replace(one, queries=(*one.queries, loud))], DIGEST)
    before = learned([one], DIGEST)
    high = rows([0.7])
    assert taught.of_features(high)[0] < before.of_features(high)[0]
    assert kept(one, taught).first_10 == 1.0


def test_without_both_kinds_of_example_nothing_is_learned() -> None:
    one = judged_set("one")
    absent = FloorSet("absent", tuple(query for query in one.queries if query.kind))
    with pytest.raises(InputError):
        learned([absent], DIGEST)
    found = FloorQuery(rows([0.8, 0.7]), np.array([1, 1], np.int32))
    with pytest.raises(InputError):
        learned([FloorSet("found", (found,))], DIGEST)
    empty = FloorQuery(rows([]), np.zeros(0, np.int32))
    with pytest.raises(InputError):
        learned([FloorSet("empty", (empty, replace(empty, kind="name")))], DIGEST)


def test_a_set_is_judged_by_the_floor_of_the_others() -> None:
    one, two = judged_set("one"), judged_set("two")
    odd = FloorSet("odd", (FloorQuery(rows([0.2, 0.1]), np.array([1, 1], np.int32)),))
    assert left_out([one], DIGEST) == ()
    floors = left_out([one, two, odd], DIGEST)
    assert floors[2] == learned([one, two], DIGEST)
    assert kept(odd, floors[2]).first_10 == 0.0


def test_calibration_compares_chances_with_shares_of_the_judged_queries() -> None:
    plain = Floor(DIGEST, (0.0,) * len(FEATURES), 0.0, 0.5)  # every chance is a half
    told = calibration(judged_set("one"), plain)
    assert (told.brier, told.constant, told.error) == (0.25, 0.25, 0.0)
    assert told.bins == ((0.5, 0.5, 12),)
    sure = calibration(judged_set("one"), replace(plain, bias=30.0))
    assert sure.brier == pytest.approx(0.5)
    assert sure.error == pytest.approx(0.5)
    with pytest.raises(InputError):
        calibration(FloorSet("none", (about_nothing("topic"),)), plain)
