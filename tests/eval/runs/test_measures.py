"""The conventions, on cases that a person can check."""

from __future__ import annotations

import subprocess
import sys
import warnings
from collections.abc import Mapping, Sequence
from math import log2

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InputError
from eval.runs.measures import means, parse_measure, per_query, ranked

DOCUMENTS = [f"d{n}" for n in range(12)]
NAMES = (
    *("nDCG@3", "nDCG", "R@5", "P@4", "RR", "RR@2", "AP", "AP@3", "Success@2", "Judged@4"),
    *("Bpref", "nDCG@3 condensed", "AP condensed", "P@4 condensed", "RR@2 condensed"),
)
rankings = st.lists(st.sampled_from(DOCUMENTS), unique=True, max_size=10)
judgements = st.dictionaries(st.sampled_from(DOCUMENTS), st.integers(-2, 3), max_size=10)
cases = st.lists(st.tuples(rankings, judgements), min_size=1, max_size=5)


def value(name: str, ranking: tuple[str, ...], grades: dict[str, int]) -> float:
    return per_query([parse_measure(name)], {"q": grades}, {"q": ranking})["q"][name]


def by_the_book(name: str, ranking: Sequence[str], grades: Mapping[str, int]) -> float:
    """Each measure for one list, in plain words."""
    measure = parse_measure(name)
    if measure.condensed:
        ranking = [document for document in ranking if document in grades]
    shown = ranking[: measure.cutoff] if measure.cutoff else ranking
    relevant = [d for d in grades if grades[d] > 0]
    hits = [rank for rank, d in enumerate(shown, 1) if d in relevant]
    if measure.kind == "Judged":
        return sum(d in grades for d in shown) / len(shown) if shown else 0.0
    if not relevant:
        return 0.0
    if measure.kind == "nDCG":
        best = sorted((grades[d] for d in relevant), reverse=True)[: measure.cutoff or None]
        ideal = sum(grade / log2(rank + 1) for rank, grade in enumerate(best, 1))
        return sum(grades[shown[rank - 1]] / log2(rank + 1) for rank in hits) / ideal
    if measure.kind == "Bpref":
        wrong, total = 0, 0.0
        most = min(len(relevant), len(grades) - len(relevant))
        for document in shown:
            if document in relevant:
                total += 1 - min(wrong, len(relevant)) / most if wrong else 1
            wrong += document in grades and document not in relevant
        return total / len(relevant)
    return {
        "R": len(hits) / len(relevant),
        "P": len(hits) / (measure.cutoff or 1),
        "RR": 1 / hits[0] if hits else 0.0,
        "AP": sum(n / rank for n, rank in enumerate(hits, 1)) / len(relevant),
        "Success": float(bool(hits)),
    }[measure.kind]


@given(cases)
def test_every_measure_is_the_one_in_the_book(
    found: list[tuple[list[str], dict[str, int]]],
) -> None:
    """Lists of any length beside each other, unjudged documents, grades below zero."""
    qrels = {f"q{n}": grades for n, (_, grades) in enumerate(found)}
    run = {f"q{n}": ranking for n, (ranking, _) in enumerate(found)}
    values = per_query([parse_measure(name) for name in NAMES], qrels, run)
    assert list(values) == list(qrels)
    for query, grades in qrels.items():
        assert list(values[query]) == list(NAMES)
        for name in NAMES:
            expected = by_the_book(name, run[query], grades)
            assert values[query][name] == pytest.approx(expected, abs=1e-12), (name, query)


def test_agrees_with_ranx_also_where_a_query_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(
        "NUMBA_DISABLE_JIT", "1"
    )  # ranx would compile for a minute, to run for 0.1 s
    chance = np.random.default_rng(7)
    documents = np.array([f"doc-{n}" for n in range(300)])
    qrels: dict[str, dict[str, int]] = {}
    scores: dict[str, dict[str, float]] = {}
    for query in (f"q{number}" for number in range(30)):
        judged = chance.choice(documents, size=chance.integers(1, 40), replace=False).tolist()
        found = chance.choice(documents, size=150, replace=False).tolist()
        grades = chance.integers(0, 4, len(judged)).tolist()
        qrels[query] = dict(zip(judged, grades, strict=True))
        scores[query] = dict(zip(found, (chance.permutation(150) / 8).tolist(), strict=True))
    del scores["q3"]
    names = {"nDCG@10": "ndcg@10", "R@100": "recall@100", "RR": "mrr", "AP": "map"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import ranx

        theirs = ranx.evaluate(
            ranx.Qrels(qrels), ranx.Run(scores), list(names.values()), make_comparable=True
        )
    run = {query: ranked(found) for query, found in scores.items()}
    ours = means(per_query([parse_measure(name) for name in names], qrels, run))
    assert ours == pytest.approx({name: theirs[other] for name, other in names.items()}, abs=1e-9)


def test_the_library_is_imported_where_something_is_measured() -> None:
    code = "import sys, eval.runs.measures; sys.exit('ir_measures' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        # ranks:  1 = a (grade 2), 2 = x (unjudged), 3 = b (grade 1), 4 = n (grade 0); c (1) missing
        ("P@1", 1.0),
        ("P@2", 0.5),
        ("P@10", 0.2),  # out of 10, though the list has 4
        ("R@1", 1 / 3),
        ("R@100", 2 / 3),
        ("RR", 1.0),
        ("AP", (1 / 1 + 2 / 3) / 3),
        ("AP@2", (1 / 1) / 3),
        ("Success@1", 1.0),
        ("Judged@2", 0.5),
        ("Judged@10", 3 / 4),  # out of the 4 that are there
        ("nDCG@1", 1.0),
        ("nDCG@10", (2 + 1 / log2(4)) / (2 + 1 / log2(3) + 1 / log2(4))),
        ("nDCG", (2 + 1 / log2(4)) / (2 + 1 / log2(3) + 1 / log2(4))),
        ("Bpref", (1 + 1) / 3),  # n stands below both of the relevant ones that were found
        ("P@2 condensed", 1.0),  # a, b, n without x
        ("nDCG@10 condensed", (2 + 1 / log2(3)) / (2 + 1 / log2(3) + 1 / log2(4))),
        ("AP condensed", (1 / 1 + 2 / 2) / 3),
    ],
)
def test_values_by_hand(name: str, expected: float) -> None:
    grades = {"a": 2, "b": 1, "c": 1, "n": 0}
    assert value(name, ("a", "x", "b", "n"), grades) == pytest.approx(expected)


def test_the_ideal_is_of_all_judgements() -> None:
    """One of two relevant documents found on top is not perfect."""
    expected = 1 / (1 + 1 / log2(3))
    assert value("nDCG@10", ("a",), {"a": 1, "b": 1}) == pytest.approx(expected)


def test_the_ideal_is_cut_where_the_list_is() -> None:
    assert value("nDCG@1", ("a",), {"a": 1, "b": 1}) == 1.0


def test_reciprocal_rank_stops_at_its_cutoff() -> None:
    assert value("RR@10", (*tuple(f"x{n}" for n in range(9)), "a"), {"a": 1}) == 0.1
    assert value("RR@10", (*tuple(f"x{n}" for n in range(10)), "a"), {"a": 1}) == 0.0
    assert value("RR", (*tuple(f"x{n}" for n in range(10)), "a"), {"a": 1}) == 1 / 11


def test_bpref_by_hand() -> None:
    """R = 2 and N = 3: b has n above it, of at most 2 that count, and the third n none below."""
    grades = {"a": 1, "b": 2, "n": 0, "m": 0, "o": 0}
    assert value("Bpref", ("a", "n", "x", "b"), grades) == pytest.approx((1 + (1 - 1 / 2)) / 2)
    assert value("Bpref", ("n", "m", "o", "a"), grades) == 0.0
    assert value("Bpref", ("n", "a"), {"a": 1, "b": 1}) == 0.5  # nothing is known to be wrong


@pytest.mark.parametrize("grade", [-1, -2])
def test_a_negative_grade_is_judged_and_not_relevant(grade: int) -> None:
    ranking, grades = ("junk", "a"), {"junk": grade, "a": 1}
    assert value("nDCG@10", ranking, grades) == pytest.approx(1 / log2(3))
    assert value("nDCG@10", ("a",), grades) == 1.0  # and takes nothing from the ideal
    assert value("R@10", ranking, grades) == 1.0
    assert value("P@2", ranking, grades) == 0.5
    assert value("Judged@2", ranking, grades) == 1.0
    assert value("Bpref", ranking, grades) == 0.0
    assert value("RR condensed", ranking, grades) == 0.5


def test_an_all_unjudged_page_is_zero_and_says_so() -> None:
    ranking = tuple(f"x{n}" for n in range(10))
    for name in ("nDCG@10", "nDCG@10 condensed", "Bpref", "RR", "Judged@10"):
        assert value(name, ranking, {"a": 1, "n": 0}) == 0.0, name
    assert value("nDCG@10 condensed", (*ranking, "a"), {"a": 1}) == 1.0
    assert value("nDCG@10", (*ranking, "a"), {"a": 1}) == 0.0


def test_a_query_that_the_run_lacks_counts_zero() -> None:
    values = per_query([parse_measure("RR")], {"q1": {"a": 1}, "q2": {"a": 1}}, {"q1": ("a",)})
    assert values == {"q1": {"RR": 1.0}, "q2": {"RR": 0.0}}
    assert means(values) == {"RR": 0.5}


def test_a_query_that_nobody_judged_does_not_count() -> None:
    run = {"q1": ("a",), "q9": ("a",)}
    assert per_query([parse_measure("RR")], {"q1": {"a": 1}}, run) == {"q1": {"RR": 1.0}}


@pytest.mark.parametrize("name", ["nDCG@10", "R@10", "AP", "RR", "P@10", "Success@10"])
@pytest.mark.parametrize("grades", [{"a": 0}, {}])
def test_without_a_relevant_document_everything_is_zero(name: str, grades: dict[str, int]) -> None:
    assert value(name, ("a", "b"), grades) == 0.0


def test_an_empty_list_is_zero() -> None:
    for name in ("nDCG@10", "R@10", "AP", "RR", "P@10", "Success@10", "Judged@10", "Bpref"):
        assert value(name, (), {"a": 1}) == 0.0


def test_equal_scores_go_by_id() -> None:
    assert ranked({"a": 1.0, "c": 1.0, "b": 2.0}) == ("b", "c", "a")
    assert ranked({"c": 1.0, "b": 2.0, "a": 1.0}) == ("b", "c", "a")


def test_a_document_twice_in_a_list_is_an_error() -> None:
    with pytest.raises(InputError, match="twice for query 'q1'"):
        per_query([parse_measure("P@10")], {"q1": {"a": 1}}, {"q1": ("a", "b", "a")})


@pytest.mark.parametrize(
    "name",
    [
        *("nDGC@10", "nDCG@0", "nDCG@", "", "P", "R", "ndcg@10", "P@-1", "Bpref@10"),
        *("Bpref condensed", "Judged@10 condensed", "nDCG@10  condensed", "nDCG condense"),
    ],
)
def test_a_name_that_is_no_measure(name: str) -> None:
    with pytest.raises(InputError):
        parse_measure(name)


def test_names_come_back() -> None:
    for name in ("nDCG@10", "R@100", "RR", "AP", "P@10", "Judged@10", "Bpref", "nDCG@10 condensed"):
        assert str(parse_measure(name)) == name


@pytest.mark.parametrize(
    ("name", "nearest"),
    [("ndcg@10", "nDCG@10"), ("nDGC@5", "nDCG@5"), ("recip", "nDCG@10"), ("bpref", "Bpref")],
)
def test_a_mistyped_name_is_told_the_nearest(name: str, nearest: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_measure(name)
    assert nearest in caught.value.mend
