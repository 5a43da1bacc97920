"""Short figures say the same as the result that they come from."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest

from core.errors import InputError
from eval.runs.results import Collection, QueryRow, RunResult, System
from eval.runs.run_summary import summary


def result(
    name: str, values: Sequence[float], measure: str = "nDCG@10", degraded: tuple[str, ...] = ()
) -> RunResult:
    rows = tuple(
        QueryRow(
            query_id=f"q{number}",
            text="ferry",
            values={measure: value, "Judged@10": 1.0},
            documents=("a", "b"),
            milliseconds=float(number),
            degraded=degraded if number == 0 else (),
            refused="no such date" if number == 1 else "",
            unjudged=1,
        )
        for number, value in enumerate(values)
    )
    collection = Collection(name, "test", 9, len(rows), "c", "j")
    return RunResult(collection, System("mine", "hybrid"), rows, 10, "2026-01-01T00:00:00+00:00")


def test_one_set() -> None:
    found = summary([result("one", [0.0, 1.0, 1.0], degraded=("rerank: late", "rerank: cut"))])
    (only,) = found.sets
    estimate = only.measures["nDCG@10"]
    assert estimate.mean == pytest.approx(2 / 3)
    assert 0 <= estimate.low < estimate.mean < estimate.high <= 1
    assert only.milliseconds == {"p50": 1.0, "p95": 1.9, "p99": 1.98}
    assert (only.found, only.unjudged) == (6, 3)
    assert only.refused == {"q1": "no such date"}
    assert only.degraded == {"rerank": 1}  # one answer, with two flags
    assert (found.main, found.views) == (("nDCG@10",), ("Judged@10",))


def test_each_set_counts_alike_in_the_mean() -> None:
    found = summary([result("big", [0.0] * 30), result("small", [1.0])])
    assert found.mean["nDCG@10"].mean == 0.5


def test_a_set_of_one_query_has_an_interval_of_nothing() -> None:
    estimate = summary([result("one", [0.5])]).sets[0].measures["nDCG@10"]
    assert (estimate.low, estimate.mean, estimate.high) == (0.5, 0.5, 0.5)


def test_json_has_what_the_result_has() -> None:
    run = result("one", [0.0, 1.0])
    tree = summary([run]).sets[0].as_dict()
    assert tree["collection"]["corpus_sha256"] == "c"
    assert tree["system"]["profile"] == "hybrid"
    assert (tree["depth"], tree["made_at"], tree["notes"]) == (run.depth, run.made_at, [])
    assert tree["measures"]["nDCG@10"]["mean"] == run.mean("nDCG@10")
    assert not math.isnan(tree["milliseconds"]["p95"])


def test_different_measures_are_not_averaged() -> None:
    with pytest.raises(InputError, match="measured differently"):
        summary([result("one", [0.0]), result("two", [0.0], measure="RR")])
    with pytest.raises(InputError, match="nothing to summarise"):
        summary([])
