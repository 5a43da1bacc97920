"""A run from elsewhere is scored like one of ours, and doubted more."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import DocumentError, InputError
from eval.runs.results import read_result, write_result
from eval.runs.run_files import score_run
from eval.sets.datasets import read_judged_set
from eval.sets.judged import JudgedSet
from tests.eval.conftest import MakeFolder


@pytest.fixture
def judged(make_folder: MakeFolder) -> JudgedSet:
    return read_judged_set(str(make_folder()))


def write(path: Path, *rows: str) -> Path:
    path.write_text("".join(f"{row}\n" for row in rows))
    return path


def test_scores_decide_and_not_ranks_or_places(judged: JudgedSet, tmp_path: Path) -> None:
    rows = ("q2 Q0 d3 1 0.1 x", "q2 Q0 d1 2 0.5 x", "q2 Q0 d2 3 0.5 x", "q1 Q0 d1 1 9 x")
    found = score_run(write(tmp_path / "their.run", *rows), judged, ("RR", "P@1", "nDCG@10"))
    by_query = {row.query_id: row for row in found.rows}
    assert by_query["q2"].documents == ("d2", "d1", "d3")  # equal scores by id, descending
    assert by_query["q2"].values["nDCG@10"] == 1.0
    assert by_query["q2"].unjudged == 1
    assert (found.depth, found.system.name, found.system.place) == (3, "their", "their.run")
    assert found.notes == ("nDCG@10 looks deeper than 3",)


def test_what_only_one_of_the_two_has_is_counted(judged: JudgedSet, tmp_path: Path) -> None:
    run = write(tmp_path / "r", "q1 Q0 d1 1 1 x", "q7 Q0 d1 1 1 x")
    found = score_run(run, judged, ("RR",))
    assert {row.query_id: row.values["RR"] for row in found.rows} == {"q1": 1.0, "q2": 0.0}
    assert found.notes == (
        "1 judged queries are not in the run and count 0",
        "1 queries of the run are not judged and are left out",
    )


def test_lists_are_cut_where_asked_and_it_is_said(judged: JudgedSet, tmp_path: Path) -> None:
    run = write(tmp_path / "r", "q1 Q0 d3 1 2 x", "q1 Q0 d1 2 1 x", "q2 Q0 d2 1 1 x")
    found = score_run(run, judged, ("RR",), depth=1)
    assert [row.values["RR"] for row in found.rows] == [0.0, 1.0]
    assert "lists were cut at 1; the longest has 2" in found.notes


def test_a_run_over_other_documents_is_an_error(judged: JudgedSet, tmp_path: Path) -> None:
    run = write(tmp_path / "r", "q1 Q0 d1 1 2 x", "q1 Q0 d99 2 1 x")
    with pytest.raises(InputError, match="d99"):
        score_run(run, judged, ("RR",))


def test_a_document_twice_is_an_error_with_its_line(judged: JudgedSet, tmp_path: Path) -> None:
    run = write(tmp_path / "r", "q1 Q0 d1 1 2 x", "q2 Q0 d2 1 2 x", "q1 Q0 d1 2 1 x")
    with pytest.raises(DocumentError, match="'d1' stands twice") as caught:
        score_run(run, judged, ("RR",))
    assert caught.value.where.endswith("line 3") or ":3" in caught.value.where


def test_a_run_with_none_of_the_queries_is_an_error(judged: JudgedSet, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="none of the judged queries"):
        score_run(write(tmp_path / "r", "301 Q0 d1 1 2 x"), judged, ("RR",))


def test_a_result_of_a_run_is_written_and_read(judged: JudgedSet, tmp_path: Path) -> None:
    found = score_run(write(tmp_path / "r", "q1 Q0 d1 1 2 x"), judged, ("RR", "Bpref"))
    write_result(found, tmp_path / "out")
    again = read_result(tmp_path / "out")
    assert again == found
    there = score_run(tmp_path / "out" / "run.trec", judged, ("RR", "Bpref"))
    assert [row.values for row in there.rows] == [row.values for row in found.rows]


def test_runs_of_three_columns_tags_with_blanks_and_json_are_the_same_run(
    judged: JudgedSet, tmp_path: Path
) -> None:
    forms = {
        "six": ("q2 Q0 d1 1 0.5 x", "q2 Q0 d3 2 0.25 x", "q1 Q0 d1 1 9 x"),
        "blanks": ("q2 Q0 d1 1 0.5 my own run", "q2 Q0 d3 2 0.25 a b", "q1 Q0 d1 1 9 x y z"),
        "three": ("q2 d1 0.5", "q2\td3\t0.25", "q1 d1 9"),
        "ranx.json": ('{"q2": {"d1": 0.5, "d3": 0.25},', ' "q1": {"d1": 9}}'),
    }
    found = [score_run(write(tmp_path / n, *rows), judged, ("RR",)) for n, rows in forms.items()]
    assert {row.query_id: row.documents for row in found[0].rows}["q2"] == ("d1", "d3")
    assert all(each.rows == found[0].rows for each in found)


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ('{"q1": ["d1"]}', "q1"),
        ('{"q1": {"d1": "high"}}', "q1"),
        ('{"q1": {"d1": true}}', "q1"),
        ('{"q1": {"d1": 1}', ""),
        ("q1 Q0 d1 1", ""),
        ("q1 Q0 d1 1 2", ""),
    ],
)
def test_other_forms_are_errors(judged: JudgedSet, tmp_path: Path, text: str, field: str) -> None:
    with pytest.raises(DocumentError) as caught:
        score_run(write(tmp_path / "r", text), judged, ("RR",))
    assert caught.value.field == field
