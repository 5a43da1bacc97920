"""Comparisons: results that can be worked out by hand, and those that must not be compared."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import orjson
import pytest

from core.errors import InputError
from eval.compare.comparison import compare
from eval.compare.outcomes import ALIKE, COLLECTION, SLICE, WHOLE
from eval.runs.results import RunResult
from tests.eval.made_results import MEASURE, jitter, made, realistic, with_row

BEFORE = [0.5, 0.5, 0.2, 0.9]
AFTER = [0.7, 0.5, 0.4, 0.8]


def old(values: list[float] = BEFORE, collection: str = "cables") -> RunResult:
    return made(values, name="old", collection=collection)


def test_a_comparison_by_hand() -> None:
    (whole,) = compare([old()], [[made(AFTER)]]).of(WHOLE)
    assert (whole.baseline, whole.mean) == pytest.approx((0.525, 0.6))
    assert whole.difference == pytest.approx(0.075)
    assert (whole.wins, whole.ties, whole.losses) == (2, 1, 1)
    # Of 8 sign choices of .2, .2, .1, a sum of .3 or more comes with 4.
    assert whole.p == 0.5
    assert whole.low <= whole.difference <= whole.high
    assert whole.effect_size == pytest.approx(0.075 / np.std([0.2, 0, 0.2, -0.1], ddof=1))


def test_slices_are_of_their_queries_and_say_what_they_can_show() -> None:
    found = {o.group: o for o in compare([old()], [[made(AFTER)]]).of(SLICE)}
    assert found["kind=photo"].difference == pytest.approx(0.2)
    assert found["kind=text"].difference == pytest.approx(-0.05)
    assert [found[name].queries for name in ("kind=photo", "kind=text")] == [2, 2]
    # 2.8 = z(.975) + z(.8)
    spread = np.std([0.0, -0.1], ddof=1)
    assert found["kind=text"].least_effect == pytest.approx(2.8016 * spread / 2**0.5, rel=1e-3)
    assert compare([old()], [[made(AFTER)]], by_slice=False).of(SLICE) == ()


def test_all_queries_and_the_mean_of_sets_are_told_apart() -> None:
    small = old([0.0, 0.0], "small"), made([1.0, 1.0], collection="small")
    big = old([0.5] * 8, "big"), made([0.5] * 8, collection="big")
    found = compare([small[0], big[0]], [[big[1], small[1]]])
    (whole,), (alike,) = found.of(WHOLE), found.of(ALIKE)
    assert whole.difference == pytest.approx(0.2)
    assert (alike.baseline, alike.mean, alike.difference) == pytest.approx((0.25, 0.75, 0.5))
    assert (alike.low, alike.high) == pytest.approx((0.5, 0.5))
    assert {o.group: o.queries for o in found.of(COLLECTION)} == {"small:test": 2, "big:test": 8}


def test_holm_is_over_measures_and_systems() -> None:
    values = realistic(80)
    others = [[made(values + shift, name=f"n{shift}")] for shift in (0.01, 0.02)]
    found = compare([made(values, name="old")], others)
    assert [o.p_holm for o in found.of(WHOLE)] == pytest.approx([2 * o.p for o in found.of(WHOLE)])


def test_a_real_change_is_seen_and_noise_is_not() -> None:
    values, noise = realistic(400), jitter(400)
    baseline = made(values, name="old")
    (same,) = compare([baseline], [[made(values + noise - noise.mean())]]).of(WHOLE)
    (better,) = compare([baseline], [[made(values + noise - noise.mean() + 0.04)]]).of(WHOLE)
    assert same.p_holm > 0.9
    assert better.p_holm < 0.01
    assert better.low > 0


def test_queries_that_won_and_lost_most_come_with_both_lists_and_grades() -> None:
    baseline = made([0.5, 0.5, 0.9], name="old", documents=[["a", "b"], ["c"], ["e", "f"]])
    other = made([0.9, 0.5, 0.1], documents=[["b", "a"], ["c"], ["g"]])
    qrels = {"cables:test": {"q0": {"b": 2}, "q2": {"e": 1}}}
    won, lost = compare([baseline], [[other]], judgements=qrels).swings
    assert (won.query_id, won.difference) == ("q0", pytest.approx(0.4))
    assert [(p.document, p.grade, p.rank_elsewhere) for p in won.documents] == [
        ("b", 2, 2),
        ("a", None, 1),
    ]
    assert [p.document for p in lost.baseline_documents] == ["e", "f"]
    assert (lost.query_id, lost.documents[0].rank_elsewhere) == ("q2", 0)
    assert compare([baseline], [[other]], queries=0).swings == ()


def test_the_biggest_swings_come_first() -> None:
    baseline = made([0.5] * 6, name="old")
    other = made([0.6, 0.9, 0.7, 0.4, 0.1, 0.3])
    found = compare([baseline], [[other]], queries=2).swings
    assert [swing.query_id for swing in found] == ["q1", "q2", "q4", "q5"]


def test_time_flags_and_changed_settings_stand_beside() -> None:
    one = made(BEFORE, name="old", settings={"lexical_weight": 0.5}, models={"encoder": "a"})
    other = made(AFTER, settings={"lexical_weight": 0.3}, models={"encoder": "a"})
    other = with_row(other, 1, degraded=("reranker: out of time",), refused="too long", unjudged=1)
    found = compare([one], [[other]])
    assert found.changed["new"] == {"lexical_weight": ("0.5", "0.3")}
    cost = found.costs[1]
    assert (cost.p50, cost.degraded, cost.refused) == (11.5, {"reranker": 1}, 1)
    assert cost.unjudged == pytest.approx(1 / 8)


def test_json_has_null_for_what_cannot_be_known() -> None:
    tree = orjson.loads(orjson.dumps(compare([old()], [[made(BEFORE)]]).as_dict()))
    whole = tree["outcomes"][0]
    assert (whole["least_effect"], whole["p"], whole["effect_size"]) == (None, 1.0, 0.0)


# --- traps


def test_one_query_is_no_sample() -> None:
    found = compare([old([0.2])], [[made([0.9])]])
    (whole,) = found.of(WHOLE)
    assert whole.too_few
    assert whole.p == 1.0
    assert np.isnan(whole.least_effect)
    assert any("has 1 queries" in note for note in found.notes)


def test_so_few_queries_that_no_p_can_be_small_are_marked() -> None:
    for count in (5, 6):
        (whole,) = compare([made([0.1] * count, name="old")], [[made([0.9] * count)]]).of(WHOLE)
        assert whole.too_few == (whole.p >= 0.05) == (count == 5)


def test_nothing_differs() -> None:
    found = compare([old()], [[made(BEFORE)]])
    assert all((o.p, o.difference, o.losses) == (1.0, 0.0, 0) for o in found.outcomes)
    assert found.swings == ()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"corpus_sha256": "x" * 64}, "documents"),
        ({"judgements_sha256": "x" * 64}, "judgements"),
        ({"name": "wires"}, "wires:test"),
    ],
)
def test_other_questions_are_not_compared(change: dict[str, str], said: str) -> None:
    other = made(AFTER)
    other = replace(other, collection=replace(other.collection, **change))
    with pytest.raises(InputError, match=said):
        compare([old()], [[other]])


def test_missing_queries_are_refused_or_count_zero_and_are_said() -> None:
    other = replace(made(AFTER), rows=made(AFTER).rows[:3])
    with pytest.raises(InputError, match="1 queries are in one of them only"):
        compare([old()], [[other]])
    found = compare([old()], [[other]], allow_missing=True)
    (whole,) = found.of(WHOLE)
    assert whole.mean == pytest.approx((0.7 + 0.5 + 0.4 + 0.0) / 4)
    assert any("count 0 there" in note for note in found.notes)


def test_mismatched_ids_are_refused() -> None:
    other = with_row(made(AFTER), 0, query_id="Q0")
    with pytest.raises(InputError, match="2 queries are in one of them only"):
        compare([old()], [[other]])
    with pytest.raises(InputError, match="'q1' is there twice"):
        compare([old()], [[with_row(made(AFTER), 0, query_id="q1")]])


@pytest.mark.parametrize("value", [float("nan"), float("inf"), None])
def test_values_that_are_no_numbers_are_refused(value: float | None) -> None:
    other = with_row(made(AFTER), 2, values={MEASURE: value})
    with pytest.raises(InputError, match="'q2' is no number"):
        compare([old()], [[other]])


def test_equal_names_and_unknown_measures_are_refused() -> None:
    with pytest.raises(InputError, match="two systems are named 'old'"):
        compare([old()], [[made(AFTER, name="old")]])
    with pytest.raises(InputError, match="R@5 was not measured"):
        compare([old()], [[made(AFTER)]], ["R@5"])
    with pytest.raises(InputError, match="no measure is in all"):
        compare([old()], [[made(AFTER, measure="R@5")]])
    with pytest.raises(InputError, match="nothing to compare"):
        compare([old()], [])


def test_a_facet_with_too_many_values_is_left_out_and_said() -> None:
    slices = [{"id": f"{number % 30}"} for number in range(60)]
    one = made([0.5] * 60, name="old", slices=slices)
    assert len(compare([one], [[made([0.6] * 60, slices=slices)]]).of(SLICE)) == 30
    slices = [{"id": f"{number}"} for number in range(40)]
    one = made([0.5] * 40, name="old", slices=slices)
    found = compare([one], [[made([0.6] * 40, slices=slices)]])
    assert found.of(SLICE) == ()
    assert any("facet id has 40 values" in note for note in found.notes)
