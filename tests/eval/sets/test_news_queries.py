"""Judged news queries: facets, several judges, and the rule that makes one grade of theirs."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import DocumentError, InputError
from eval.sets.datasets import read_judged_set
from eval.sets.news_queries import ordinal_alpha

STORIES = tuple({"uri": f"urn:s{n}", "version": "1", "headline": f"Story {n}"} for n in range(4))
QUERIES = (
    {
        "_id": "q1",
        "text": "ferry accident march",
        "facets": {"kind": "event", "date_bound": True, "frequency": "tail", "desk": "sea"},
    },
    {"_id": "q2", "text": "central bank", "facets": {"entity_heavy": False, "priority": 2}},
)
# https://repository.upenn.edu/asc_papers/43, part C: four observers, twelve units, 0 for none
PUBLISHED = ("123321412000", "123322412503", "033323422510", "123324412510")

Rows = Sequence[Mapping[str, Any]]
Make = Callable[..., Path]


def judgement(
    query: str, document: str, judge: str, grade: object, **more: object
) -> dict[str, Any]:
    names = ("query_id", "document_id", "judge", "grade")
    return dict(zip(names, (query, document, judge, grade), strict=True)) | more


JUDGEMENTS = (
    judgement("q1", "urn:s0", "ada", 3, at="2026-03-14T09:30:00Z", note="the first report"),
    judgement("q1", "urn:s0", "ben", 2),
    judgement("q1", "urn:s1", "ada", 0),
    judgement("q2", "urn:s2", "ada", 0),
    judgement("q2", "urn:s2", "ben", 1),
    judgement("q2", "urn:s2", "cyd", 2),
)


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def write(judgements: Rows = JUDGEMENTS, queries: Rows = QUERIES, about: str = "") -> Path:
        for name, rows in (
            ("stories.jsonl", STORIES),
            ("queries.jsonl", queries),
            ("judgements.jsonl", judgements),
        ):
            (tmp_path / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
        if about:
            (tmp_path / "dataset.json").write_text(about)
        return tmp_path

    return write


def test_the_median_of_the_judges_and_the_lower_of_two(make: Make) -> None:
    judged = read_judged_set(str(make()))
    assert judged.qrels == {"q1": {"urn:s0": 2, "urn:s1": 0}, "q2": {"urn:s2": 1}}
    assert judged.judges == ("ada", "ben", "cyd")
    assert judged.split == "test"
    assert judged.document_id("urn:s0") == "urn:s0"


def test_facets_are_slices(make: Make) -> None:
    assert read_judged_set(str(make())).slices == {
        "q1": {"kind": "event", "date_bound": "yes", "frequency": "tail", "desk": "sea"},
        "q2": {"entity_heavy": "no", "priority": "2"},
    }


def test_facets_in_a_beir_folder(make: Make) -> None:
    folder = make()
    (folder / "judgements.jsonl").unlink()
    (folder / "qrels").mkdir()
    (folder / "qrels" / "dev.tsv").write_text("query-id\tcorpus-id\tscore\nq1\turn:s0\t1\n")
    judged = read_judged_set(str(folder))
    assert (judged.split, judged.judges, judged.agreement) == ("dev", (), None)
    assert judged.slices == {"q1": dict(read_judged_set(str(folder)).slices["q1"])}
    assert judged.slices["q1"]["kind"] == "event"


def test_two_kinds_of_judgements_are_one_too_many(make: Make) -> None:
    folder = make()
    (folder / "qrels").mkdir()
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq1\turn:s0\t1\n")
    with pytest.raises(InputError, match=r"both judgements\.jsonl and qrels/test\.tsv"):
        read_judged_set(str(folder))


def test_little_agreement_is_a_doubt(make: Make) -> None:
    split = [
        judgement(f"q{1 + n % 2}", f"urn:s{n}", judge, grade)
        for n in range(4)
        for judge, grade in (("ada", n % 2), ("ben", 1 - n % 2))
    ]
    judged = read_judged_set(str(make(split)))
    assert judged.agreement is not None
    assert judged.agreement < 0
    assert any("judges agree little" in line for line in judged.doubts.lines())


@pytest.mark.parametrize(
    ("row", "field", "what"),
    [
        (judgement("q9", "urn:s0", "ada", 1), "query_id", "not in queries"),
        (judgement("q1", "urn:s0", "ada", 1), "judge", "twice"),
        (judgement("q1", "urn:s0", "eve", -1), "grade", "-1"),
        (judgement("q1", "urn:s0", "eve", 1.5), "grade", "1.5"),
        (judgement("q1", "urn:s0", "eve", True), "grade", "True"),
        (judgement("q1", "urn:s0", "eve", None), "grade", "None"),
        (judgement("q1", "urn:s0", " ", 1), "judge", "blank"),
        (judgement("q1", "urn:s0", "eve", 1, at="yesterday"), "at", "yesterday"),
        ({"query_id": "q1", "judge": "eve", "grade": 1}, "document_id", "missing"),
    ],
)
def test_mistakes_in_judgements(make: Make, row: dict[str, Any], field: str, what: str) -> None:
    with pytest.raises(DocumentError, match=what) as caught:
        read_judged_set(str(make((*JUDGEMENTS, row))))
    assert caught.value.where.endswith("judgements.jsonl:7")
    assert caught.value.field == field
    assert caught.value.mend


@pytest.mark.parametrize(
    ("facets", "field"),
    [
        ({"frequency": "often"}, "facets.frequency"),
        ({"date_bound": "yes"}, "facets.date_bound"),
        ({"desk": ["a", "b"]}, "facets.desk"),
        ({"kind": " "}, "facets.kind"),
        ("event", "facets"),
    ],
)
def test_mistakes_in_facets(make: Make, facets: object, field: str) -> None:
    with pytest.raises(DocumentError) as caught:
        read_judged_set(str(make(queries=({"_id": "q1", "text": "x", "facets": facets},))))
    assert (caught.value.field, caught.value.where.endswith(":1")) == (field, True)


def test_what_a_set_says_of_itself(make: Make) -> None:
    about = {"name": "Spring", "licence": "CC0", "languages": ["en"], "grades": [0, 1, 2, 3]}
    judged = read_judged_set(str(make(about=json.dumps(about | {"products": ["wire"]}))))
    assert (judged.title, judged.licence, judged.languages) == ("Spring", "CC0", ("en",))
    assert judged.conventions.products == ("wire",)


def test_the_digest_is_of_what_is_asked_and_judged_in_any_order(make: Make) -> None:
    first = read_judged_set(str(make())).judgements_sha256
    assert read_judged_set(str(make(JUDGEMENTS[::-1], QUERIES[::-1]))).judgements_sha256 == first
    changed = (*JUDGEMENTS[:2], judgement("q1", "urn:s1", "ada", 1), *JUDGEMENTS[3:])
    assert read_judged_set(str(make(changed))).judgements_sha256 != first


# --- agreement


def test_alpha_of_the_published_example() -> None:
    units = [[int(g) for g in unit if g != "0"] for unit in zip(*PUBLISHED, strict=True)]
    assert ordinal_alpha(units) == pytest.approx(0.815, abs=0.0005)


def test_alpha_without_anything_to_compare() -> None:
    assert ordinal_alpha([]) is None
    assert ordinal_alpha([[1], [2]]) is None
    assert ordinal_alpha([[1, 1], [1, 1]]) is None


@given(st.lists(st.integers(0, 3), min_size=2).filter(lambda grades: len(set(grades)) > 1))
def test_alpha_of_full_agreement(grades: list[int]) -> None:
    assert ordinal_alpha([[grade] * 3 for grade in grades]) == pytest.approx(1)


@given(st.lists(st.lists(st.integers(0, 3), min_size=2, max_size=4), min_size=2, max_size=8))
def test_alpha_looks_at_the_order_of_grades_only(units: list[list[int]]) -> None:
    spread = [[grade**2 * 10 for grade in unit] for unit in units]
    one, other = ordinal_alpha(units), ordinal_alpha(spread)
    assert (one is None) == (other is None)
    if one is not None:
        assert one <= 1 + 1e-12
        assert other == pytest.approx(one)
