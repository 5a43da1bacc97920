"""`dateline eval report`, from folders to a file."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from dateline.cli import app
from eval.runs.results import write_result
from tests.eval.report.samples import result


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Two systems' results in one folder."""
    for name in ("hybrid", "lexical"):
        write_result(result(name, count=8), tmp_path / "runs" / name)
    return tmp_path / "runs"


def test_a_folder_of_results_becomes_a_page(runs: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    done = CliRunner().invoke(app, ["eval", "report", str(runs), "--html", str(page)])
    assert done.exit_code == 0, done.output
    assert "2 results" in done.output
    text = page.read_text("utf-8")
    assert text.startswith("<!doctype html>")
    assert "2 systems on cables:test" in text


def test_a_result_can_be_given_a_name(runs: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    folders = [str(runs / "hybrid"), f"before={runs / 'hybrid'}"]
    done = CliRunner().invoke(app, ["eval", "report", *folders, "--html", str(page)])
    assert done.exit_code == 0, done.output
    assert "before" in page.read_text("utf-8")


@pytest.mark.parametrize(
    ("twice", "missing", "said"),
    [(True, False, "two results of 'hybrid'"), (False, True, "there is no result.json")],
)
def test_mistakes_are_named(
    runs: Path, tmp_path: Path, twice: bool, missing: bool, said: str
) -> None:
    folders = [str(runs / "hybrid")] * (1 + twice) + [str(tmp_path / "none")] * missing
    page = tmp_path / "page.html"
    done = CliRunner().invoke(app, ["eval", "report", *folders, "--html", str(page)])
    assert done.exit_code == 2
    assert said in done.output
    assert not page.exists()


def test_a_page_that_can_t_be_written_is_an_error(runs: Path, tmp_path: Path) -> None:
    page = tmp_path / "no folder" / "page.html"
    done = CliRunner().invoke(app, ["eval", "report", str(runs), "--html", str(page)])
    assert done.exit_code == 2
    assert "can't be written" in done.output
