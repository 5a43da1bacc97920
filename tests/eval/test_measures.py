"""The conventions, on cases that a person can check."""

from __future__ import annotations

from math import log2

import pytest

from core.errors import InputError
from eval.measures import means, parse_measure, per_query, ranked, unjudged


def value(name: str, ranking: tuple[str, ...], grades: dict[str, int]) -> float:
    return parse_measure(name).of(ranking, grades)


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


def test_lists_of_different_lengths_do_not_disturb_each_other() -> None:
    qrels = {"q1": {"a": 1}, "q2": {"a": 1, "b": 1}, "q3": {"a": 1}}
    run = {"q1": ("x", "a"), "q2": (), "q3": ("a", *(f"x{n}" for n in range(40)), "b")}
    names = ("nDCG@3", "R@100", "RR", "AP", "P@5", "Success@1", "Judged@5", "Bpref", "RR condensed")
    chosen = [parse_measure(name) for name in names]
    together = per_query(chosen, qrels, run)
    for query, grades in qrels.items():
        assert together[query] == per_query(chosen, {query: grades}, run)[query]


def test_more_queries_than_are_held_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eval.graded_lists._AT_ONCE", 3)
    qrels = {f"q{n}": {"a": 1} for n in range(8)}
    run = {f"q{n}": (*(f"x{m}" for m in range(n)), "a") for n in range(8)}
    found = per_query([parse_measure("RR")], qrels, run)
    assert [row["RR"] for row in found.values()] == [1 / (n + 1) for n in range(8)]
    assert list(found) == list(qrels)


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


def test_unjudged_documents_are_counted_to_the_depth() -> None:
    qrels = {"q1": {"a": 1}, "q2": {"b": 0}}
    run = {"q1": ("a", "x", "y"), "q2": ("b", "z"), "q3": ("u",)}
    assert unjudged(qrels, run, 2) == 2
    assert unjudged(qrels, run, 100) == 3


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
