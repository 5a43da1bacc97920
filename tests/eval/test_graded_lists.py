"""Measures on arrays are the measures as one would write them down for one list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import log2

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InputError
from eval.graded_lists import graded_lists
from eval.measures import parse_measure, per_query

DOCUMENTS = [f"d{n}" for n in range(12)]
rankings = st.lists(st.sampled_from(DOCUMENTS), unique=True, max_size=10)
judgements = st.dictionaries(st.sampled_from(DOCUMENTS), st.integers(-2, 3), max_size=10)
cases = st.lists(st.tuples(rankings, judgements), min_size=1, max_size=5)


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


NAMES = (
    *("nDCG@3", "nDCG", "R@5", "P@4", "RR", "RR@2", "AP", "AP@3", "Success@2", "Judged@4"),
    *("Bpref", "nDCG@3 condensed", "AP condensed", "P@4 condensed", "RR@2 condensed"),
)


@given(cases)
def test_every_measure_of_lists_together_is_that_of_each_list(
    found: list[tuple[list[str], dict[str, int]]],
) -> None:
    qrels = {f"q{n}": grades for n, (_, grades) in enumerate(found)}
    run = {f"q{n}": ranking for n, (ranking, _) in enumerate(found)}
    values = per_query([parse_measure(name) for name in NAMES], qrels, run)
    for query, grades in qrels.items():
        for name in NAMES:
            expected = by_the_book(name, run[query], grades)
            assert values[query][name] == pytest.approx(expected, abs=1e-12), (name, query)
            assert 0 <= values[query][name] <= 1 + 1e-12


def test_behind_a_list_there_is_nothing() -> None:
    qrels = {"q1": {"a": 2, "n": 0, "j": -1}, "q2": {"a": 1}}
    ((queries, lists),) = graded_lists(qrels, {"q1": ("x", "a", "j", "n"), "q2": ("a",)})
    assert queries == ("q1", "q2")
    assert lists.gains.tolist() == [[0, 2, 0, 0], [1, 0, 0, 0]]
    assert lists.judged.tolist() == [[False, True, True, True], [True, False, False, False]]
    assert lists.lengths.tolist() == [4, 1]
    assert lists.ideal.tolist() == [[2], [1]]
    assert lists.relevant.tolist() == [1, 1]
    assert lists.not_relevant.tolist() == [2, 0]
    condensed = lists.condensed()
    assert condensed.gains.tolist() == [[2, 0, 0, 0], [1, 0, 0, 0]]
    assert condensed.lengths.tolist() == [3, 1]


def test_no_lists_and_no_queries() -> None:
    assert list(graded_lists({}, {})) == []
    ((_, lists),) = graded_lists({"q": {}}, {})
    assert lists.gains.shape == (1, 0)


def test_a_document_twice_is_an_error() -> None:
    with pytest.raises(InputError, match="twice for query 'q'"):
        list(graded_lists({"q": {"a": 1}}, {"q": ("a", "b", "a")}))
