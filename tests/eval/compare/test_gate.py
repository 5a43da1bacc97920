"""The gate: what it fails for, what it passes with a warning, and what it will not judge."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import orjson
import pytest

from core.errors import InputError
from eval.compare.gate import Rule, Verdict, judge
from eval.compare.gate_baseline import Baseline, read_baseline, write_baseline
from eval.compare.outcomes import COLLECTION, SLICE, WHOLE
from eval.compare.significance import Values
from eval.runs.results import RunResult
from tests.eval.made_results import MEASURE, jitter, made, realistic, with_row

COUNT = 600
VALUES = np.clip(realistic(COUNT), 0.3, 0.7)  # away from the ends, so that a shift is a shift
NOISE = jitter(COUNT) - jitter(COUNT).mean()

Judge = Callable[..., Verdict]


def baseline_of(*results: RunResult) -> Baseline:
    return Baseline(results or (made(VALUES, name="old"),), (MEASURE,))


def verdict(values: Sequence[float] | Values, rule: Rule = Rule()) -> Verdict:  # noqa: B008
    return judge(baseline_of(), [made(values)], rule)


def test_a_loss_fails_and_the_reason_has_the_figures() -> None:
    found = verdict(VALUES + NOISE - 0.03)
    assert not found.passed
    (reason,) = found.reasons
    assert f"all queries: {MEASURE} fell" in reason
    assert "difference -0.0300" in reason
    assert f"over {COUNT} queries" in reason


def test_no_change_a_gain_and_noise_pass() -> None:
    for values in (VALUES, VALUES + NOISE, VALUES + NOISE + 0.05):
        assert verdict(values).reasons == ()


def test_a_gain_is_no_loss_in_the_warnings_either() -> None:
    assert not any("fell" in warning for warning in verdict(VALUES + NOISE + 0.05).warnings)


def test_asking_for_more_measures_does_not_make_alarms_likelier() -> None:
    """A loss that is just below .05 for one measure is not for the least of two."""
    seen = np.array([0.1, 0.1, 0.1, 0.1, 0.1, 0.1])  # p is 2 / 64
    rows = [{MEASURE: 0.5 - loss, "RR": 0.5} for loss in seen]
    old, new = made([0.5] * 6, name="old"), made([0.5] * 6)
    for number, values in enumerate(rows):
        old = with_row(old, number, values={MEASURE: 0.5, "RR": 0.5})
        new = with_row(new, number, values=values)
    baseline = Baseline((old,), (MEASURE, "RR"))
    assert not judge(baseline, [new], Rule(measures=(MEASURE,))).passed
    assert judge(baseline, [new], Rule()).passed


def test_a_small_real_loss_passes_with_a_warning() -> None:
    found = verdict(VALUES - 0.005)
    assert found.passed
    assert any("fell by less than 0.02" in warning for warning in found.warnings)
    assert not verdict(VALUES - 0.005, Rule(least_effect=0.005)).passed


def test_a_gate_that_cannot_see_the_least_effect_says_so() -> None:
    count = 40
    old = made(VALUES[:count], name="old")
    found = judge(baseline_of(old), [made(VALUES[:count] + jitter(count))], Rule())
    assert found.passed
    assert any("may pass unseen" in warning for warning in found.warnings)


def test_each_slice_says_what_it_can_show() -> None:
    found = verdict(VALUES + NOISE)
    (whole,) = found.of(WHOLE)
    sizes = {outcome.group: outcome.queries for outcome in found.of(SLICE)}
    assert sizes == {"kind=photo": COUNT // 2, "kind=text": COUNT // 2}
    assert all(outcome.least_effect > whole.least_effect for outcome in found.of(SLICE))


# --- floors


def test_a_floor_fails_only_beyond_its_allowance() -> None:
    photo = float(VALUES[::2].mean())
    allowed = judge_floor(photo + 0.001)
    assert allowed.passed
    assert any("within the allowance" in warning for warning in allowed.warnings)
    failed = judge_floor(photo + 0.05)
    assert [floor.passed for floor in failed.floors] == [False]
    assert "kind=photo is under its floor" in failed.reasons[0]


def judge_floor(floor: float) -> Verdict:
    return verdict(VALUES, Rule(floors={"kind=photo": floor}))


def test_collections_have_floors_and_unknown_slices_are_named() -> None:
    floors = {"collection=cables:test": 0.1}
    assert verdict(VALUES, Rule(floors=floors)).floors[0].queries == COUNT
    with pytest.raises(InputError, match=r"no query is of 'kind=video'.*kind=photo, kind=text"):
        verdict(VALUES, Rule(floors={"kind=video": 0.5}))


def test_more_floors_allow_each_more() -> None:
    both = verdict(VALUES, Rule(floors={"kind=photo": 0.1, "kind=text": 0.1})).floors
    (alone,) = verdict(VALUES, Rule(floors={"kind=photo": 0.1})).floors
    assert both[0].allowance > alone.allowance


# --- one collection out of several


def test_a_loss_of_one_collection_is_a_warning_unless_each_is_held() -> None:
    old = made(VALUES, name="old"), made(VALUES[:60], name="old", collection="wires")
    new = made(VALUES + 0.001), made(VALUES[:60] - 0.1, collection="wires")
    found = judge(baseline_of(*old), new, Rule())
    assert found.passed
    assert any(warning.startswith("wires:test") for warning in found.warnings)
    held = judge(baseline_of(*old), new, Rule(each_collection=True))
    assert [reason.split(":")[0] for reason in held.reasons] == ["wires"]
    assert len(held.of(COLLECTION)) == 2


# --- never a silent pass


def test_degraded_and_newly_refused_answers_fail() -> None:
    degraded = with_row(made(VALUES), 3, degraded=("encoder: down",))
    assert "1 answers are degraded" in judge(baseline_of(), [degraded], Rule()).reasons[0]
    refused = with_row(made(VALUES), 3, refused="too long")
    assert "1 queries are refused" in judge(baseline_of(), [refused], Rule()).reasons[0]
    before = baseline_of(with_row(made(VALUES, name="old"), 3, refused="too long"))
    known = judge(before, [refused], Rule())
    assert known.passed
    assert any("refused in the baseline already" in warning for warning in known.warnings)


@pytest.mark.parametrize("field", ["corpus_sha256", "judgements_sha256"])
def test_other_documents_or_judgements_fail(field: str) -> None:
    new = made(VALUES)
    new = replace(new, collection=replace(new.collection, **{field: "x" * 64}))
    found = judge(baseline_of(), [new], Rule())
    assert not found.passed
    assert "can't be compared" in found.reasons[0]
    assert found.outcomes == ()


def test_fewer_queries_another_depth_and_a_missing_collection_fail() -> None:
    fewer = replace(made(VALUES), rows=made(VALUES).rows[:-1])
    assert "1 queries are in one of them only" in judge(baseline_of(), [fewer], Rule()).reasons[0]
    deeper = replace(made(VALUES), depth=10)
    assert "depth" in judge(baseline_of(), [deeper], Rule()).reasons[0]
    other = made(VALUES, collection="wires")
    found = judge(baseline_of(), [other], Rule())
    assert "cables:test is in the baseline and was not run" in found.reasons
    assert any("wires:test is not in the baseline" in warning for warning in found.warnings)


def test_what_is_no_number_is_a_mistake_and_not_a_pass() -> None:
    for value in (float("nan"), None):
        with pytest.raises(InputError, match="no number"):
            judge(baseline_of(), [with_row(made(VALUES), 5, values={MEASURE: value})], Rule())
    with pytest.raises(InputError, match="no R@5"):
        verdict(VALUES, Rule(measures=("R@5",)))
    with pytest.raises(InputError, match="no results"):
        judge(baseline_of(), [], Rule())


@pytest.mark.parametrize(
    "wrong", [{"alpha": 0.0}, {"least_effect": 2.0}, {"floors": {"kind=photo": 80.0}}]
)
def test_rules_out_of_range_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(InputError, match="between"):
        Rule(**wrong)  # type: ignore[arg-type]


def test_one_query_passes_and_says_that_it_shows_nothing() -> None:
    found = judge(baseline_of(made([0.9], name="old")), [made([0.1])], Rule())
    assert found.passed
    assert any("only 1 queries" in warning for warning in found.warnings)


# --- the file


def test_the_file_comes_back_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "sets" / "baseline.json"
    result = with_row(made(realistic(30), name="old"), 2, refused="too long", query_id='q"ü')
    write_baseline([result, made([0.5, 1.0], name="old", collection="wires")], [MEASURE], path)
    found = read_baseline(path)
    assert found.measures == (MEASURE,)
    assert found.system == result.system
    assert [each.collection.label for each in found.results] == ["cables:test", "wires:test"]
    assert found.results[0].values(MEASURE) == pytest.approx(result.values(MEASURE), abs=1e-6)
    assert [row.query_id for row in found.results[0].rows if row.refused] == ['q"ü']
    same = judge(found, [result, made([0.5, 1.0], collection="wires")], Rule())
    assert same.passed
    assert {outcome.losses + outcome.wins for outcome in same.outcomes} == {0}


def test_a_query_has_a_line_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "baseline.json"
    write_baseline([made([0.25, 1 / 3])], [MEASURE], path)
    assert '"q0": [0.25],\n"q1": [0.333333]\n' in path.read_text()


def test_a_degraded_run_is_no_baseline(tmp_path: Path) -> None:
    degraded = with_row(made(VALUES), 3, degraded=("encoder: down",))
    with pytest.raises(InputError, match="1 answers are degraded"):
        write_baseline([degraded], [MEASURE], tmp_path / "baseline.json")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda tree: tree.update(format=9), "format is 9"),
        (lambda tree: tree.pop("system"), "can't be read"),
        (lambda tree: tree.update(collections=[]), "no collection"),
        (lambda tree: tree.update(measures=[MEASURE, "R@5"]), "can't be read"),
        (lambda tree: tree["collections"].append(tree["collections"][0]), "two results"),
        (lambda tree: tree["collections"][0]["values"].update(q0=[float("nan")]), "no number"),
    ],
)
def test_a_damaged_file_is_refused(
    damage: Callable[[dict[str, object]], object], said: str, tmp_path: Path
) -> None:
    path = tmp_path / "baseline.json"
    write_baseline([made([0.5, 0.6])], [MEASURE], path)
    tree = json.loads(path.read_text())
    damage(tree)
    path.write_text(json.dumps(tree))
    with pytest.raises(InputError, match=said):
        read_baseline(path)


def test_a_missing_or_cut_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no baseline"):
        read_baseline(tmp_path / "none.json")
    (tmp_path / "cut.json").write_text('{"format": 1, "made')
    with pytest.raises(InputError, match="can't be read"):
        read_baseline(tmp_path / "cut.json")


def test_a_verdict_is_json() -> None:
    found = verdict(VALUES - 0.03, Rule(floors={"kind=photo": 0.1}))
    tree = orjson.loads(orjson.dumps(found.as_dict()))
    assert tree["passed"] is False
    assert tree["floors"][0]["passed"] is True
    assert tree["rule"]["least_effect"] == 0.02


def test_a_baseline_of_zeros_is_refused_where_it_is_written_and_where_it_is_read(
    tmp_path: Path,
) -> None:
    path = tmp_path / "baseline.json"
    with pytest.raises(InputError, match="0"):
        write_baseline([made([0.0] * 30)], (MEASURE,), path)
    assert not path.exists()
    write_baseline([made([0.0] * 29 + [0.5])], (MEASURE,), path)
    path.write_text(path.read_text("utf-8").replace("0.5", "0.0"), "utf-8")
    with pytest.raises(InputError, match="0"):
        read_baseline(path)
