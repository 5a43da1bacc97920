"""`dateline eval compare` and `dateline eval gate` on folders of results, as CI has them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from dateline.cli import app
from eval.runs.results import write_result
from tests.eval.made_results import MEASURE, made, realistic

VALUES = realistic(60) * 0.5 + 0.2


def run(*arguments: str | Path, code: int = 0) -> str:
    """What the command printed, on both streams."""
    result = CliRunner().invoke(app, ["eval", *map(str, arguments)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return result.output


def tree(*arguments: str | Path, code: int = 0) -> Any:
    return json.loads(run(*arguments, "--json", code=code))


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Two systems on two collections; the second is 5 points worse."""
    for name, shift in (("old", 0.0), ("new", -0.05)):
        for collection in ("cables", "wires"):
            result = made(VALUES + shift, name=name, collection=collection)
            write_result(result, tmp_path / name / f"{collection}-test")
    return tmp_path / "old", tmp_path / "new"


# --- compare


def test_a_comparison_in_the_terminal(folders: tuple[Path, Path]) -> None:
    said = run("compare", *folders, "--queries", "1")
    for words in (
        "all queries",
        "mean of sets",
        "cables:test",
        "kind=photo",
        "-0.0500",
        "question",
    ):
        assert words in said
    assert "p50 ms" in said


def test_a_comparison_for_machines(folders: tuple[Path, Path]) -> None:
    found = tree("compare", *folders, "--no-slices")
    assert found["systems"] == ["new"]
    kinds = [outcome["kind"] for outcome in found["outcomes"]]
    assert kinds == ["all queries", "mean of sets", "collection", "collection"]
    assert found["outcomes"][0]["queries"] == 120
    assert found["outcomes"][0]["difference"] == pytest.approx(-0.05)


def test_grades_of_the_documents_shown(folders: tuple[Path, Path], tmp_path: Path) -> None:
    judged = tmp_path / "sets" / "cables"
    (judged / "qrels").mkdir(parents=True)
    (judged / "corpus.jsonl").write_text('{"_id": "d0", "title": "", "text": "a"}\n')
    (judged / "queries.jsonl").write_text('{"_id": "q0", "text": "b"}\n')
    (judged / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq0\td0\t3\n")
    ones = [folder / "cables-test" for folder in folders]
    found = tree("compare", *ones, "--judgements", judged, "--queries", "100")
    (swing,) = [swing for swing in found["swings"] if swing["query_id"] == "q0"]
    assert [placed["grade"] for placed in swing["documents"]] == [3, None]


def test_mistakes_have_an_exit_code_and_a_way_out(
    folders: tuple[Path, Path], tmp_path: Path
) -> None:
    assert "one system is nothing to compare" in run("compare", folders[0], code=2)
    assert "there is no result.json" in run("compare", folders[0], tmp_path / "none", code=2)
    (folders[1] / "more").mkdir()
    write_result(made(VALUES, name="other", collection="more"), folders[1] / "more")
    said = run("compare", *folders, code=2)
    assert "results of new and of other" in said


def test_a_page_of_a_comparison_and_of_a_verdict(
    folders: tuple[Path, Path], tmp_path: Path
) -> None:
    pytest.importorskip("jinja2")
    pytest.importorskip("matplotlib")
    page = tmp_path / "page.html"
    run("compare", *folders, "--html", page)
    assert MEASURE in page.read_text()
    baseline = tmp_path / "baseline.json"
    run("gate", folders[0], "--baseline", baseline, "--write")
    run("gate", folders[1], "--baseline", baseline, "--html", page, code=1)
    assert "all queries" in page.read_text()


# --- gate


@pytest.fixture
def baseline(folders: tuple[Path, Path], tmp_path: Path) -> Path:
    path = tmp_path / "baseline.json"
    assert "120 queries of 2 sets" in run("gate", folders[0], "--baseline", path, "--write")
    return path


def test_the_same_passes_and_worse_fails(folders: tuple[Path, Path], baseline: Path) -> None:
    assert "passed" in run("gate", folders[0], "--baseline", baseline)
    said = run("gate", folders[1], "--baseline", baseline, code=1)
    assert "FAILED" in said
    assert "all queries: nDCG@10 fell" in said
    assert tree("gate", folders[1], "--baseline", baseline, code=1)["passed"] is False
    # A loss of 5 points is no reason where 10 are accepted.
    run("gate", folders[1], "--baseline", baseline, "--least-effect", "0.1")


def test_floors_by_flag_and_by_file(
    folders: tuple[Path, Path], baseline: Path, tmp_path: Path
) -> None:
    said = run("gate", folders[0], "--baseline", baseline, "--slice-floor", "kind=photo:.9", code=1)
    assert "kind=photo is under its floor" in said
    config = tmp_path / "gate.toml"
    config.write_text('least_effect = 0.1\n[floors]\n"collection=cables:test" = 0.1\n')
    found = tree("gate", folders[1], "--baseline", baseline, "--config", config)
    assert found["rule"]["least_effect"] == 0.1
    assert [floor["group"] for floor in found["floors"]] == ["collection=cables:test"]
    both = ("--config", config, "--slice-floor", "kind=text:0.1", "--least-effect", "0.2")
    found = tree("gate", folders[1], "--baseline", baseline, *both)
    assert found["rule"]["least_effect"] == 0.2
    assert len(found["floors"]) == 2


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--slice-floor", "photo:0.8"), "is no floor"),
        (("--slice-floor", "kind=photo:high"), "is no number"),
        (("--config", "none.toml"), "can't be read"),
    ],
)
def test_mistakes_are_no_verdict(
    folders: tuple[Path, Path], baseline: Path, flags: tuple[str, str], said: str
) -> None:
    assert said in run("gate", folders[0], "--baseline", baseline, *flags, code=2)


def test_an_unknown_key_in_the_file_is_named(
    folders: tuple[Path, Path], baseline: Path, tmp_path: Path
) -> None:
    config = tmp_path / "gate.toml"
    config.write_text("least_efect = 0.1\n")
    assert "least_efect" in run(
        "gate", folders[0], "--baseline", baseline, "--config", config, code=2
    )


def test_a_missing_collection_or_baseline_is_never_a_pass(
    folders: tuple[Path, Path], baseline: Path, tmp_path: Path
) -> None:
    one = folders[0] / "cables-test"
    assert "wires:test is in the baseline" in run("gate", one, "--baseline", baseline, code=1)
    assert "there is no baseline" in run("gate", one, "--baseline", tmp_path / "no.json", code=2)
