"""`dateline capacity`: plans of a file of measurements, prices, and mistakes in both."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from capacity.measurements import read_measurements, write_measurements
from capacity.prices import read_prices
from dateline.cli import app
from tests.capacity.made_measurements import MEASURED

ASKED = (
    *("--qps", "5", "--burst", "4", "--items", "300k"),
    *("--engine", "embedded", "--remote", "", "--families", "m6i"),
)


def run(*arguments: str | Path, code: int = 0) -> Result:
    result = CliRunner().invoke(app, ["capacity", *map(str, arguments)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return result


@pytest.fixture
def measured(tmp_path: Path) -> Path:
    """The file that the command looks for by default."""
    path = tmp_path / "measurements.json"
    path.write_bytes(write_measurements(MEASURED))
    return path


def test_a_plan_as_json_markdown_and_page(measured: Path, tmp_path: Path) -> None:
    pytest.importorskip("jinja2")
    pytest.importorskip("matplotlib")
    page, text = tmp_path / "plan.html", tmp_path / "plan.md"
    result = run(
        *("plan", *ASKED, "--grows", ".3", "--json", "--html", page, "--markdown", text),
        *("--ingest", "100k photos/2d"),
    )
    tree: dict[str, Any] = json.loads(result.stdout)
    best = tree["mixes"][0]
    assert best["p95"] <= 150
    assert best["dollars"] == pytest.approx(sum(line["dollars"] for line in best["bill"]))
    assert tree["backfills"][0]["count"] >= 1
    assert len(tree["growth"]) == 3
    assert any("days old" in line for line in tree["about"])
    assert best["name"] in text.read_text()
    html = page.read_text()
    assert html.count("<svg") == 3
    assert best["name"] in html


def test_what_nothing_holds_is_answered_by_the_nearest_plans(
    measured: Path, tmp_path: Path
) -> None:
    pytest.importorskip("jinja2")
    page, text = tmp_path / "plan.html", tmp_path / "plan.md"
    asked = (*ASKED, "--profile", "hybrid-rerank", "--p95", "15", "--items", "20k")
    files = ("--html", page, "--markdown", text)
    tree = json.loads(run("plan", *asked, "--json", *files, code=1).stdout)
    assert not tree["holds"]
    assert not tree["mixes"]
    assert tree["alone_ms"]["rerank"] > 40
    assert tree["nearest"][0]["mix"]["name"] in text.read_text()
    assert tree["nearest"][0]["mix"]["name"] in page.read_text()


def test_what_a_fleet_holds(measured: Path) -> None:
    tree = json.loads(run("plan", *ASKED, "--fleet", "3xm6i.large", "--json").stdout)
    assert tree["holds"] > 20
    assert tree["roles"][0]["count"] == 3


@pytest.mark.parametrize(
    "arguments",
    [
        ("plan", "--qps", "many"),
        ("plan", "--qps", "5", "--engine", "lucene"),
        ("plan", "--qps", "5", "--vectors", "trees"),
        ("plan", "--qps", "5", "--fleet", "two big ones"),
        ("plan", "--qps", "5", "--profile", "best"),
        ("plan", "--qps", "5", "--ingest", "3M photos"),
        ("plan", "--qps", "5", "--measurements", "none.json"),
        ("plan", "--qps", "5", "--families", "z9"),
        ("prices", "--file", "none.toml"),
        ("measure", "--passages", "10"),
        ("measure", "--passages", "2k", "--profiles", "fastest"),
    ],
)
def test_mistakes_of_input(arguments: tuple[str, ...], measured: Path) -> None:
    output = run(*arguments, code=2).output
    assert "where:" in output
    assert "Traceback" not in output


def test_prices_say_how_old_they_are() -> None:
    output = " ".join(run("prices").output.split())
    assert str(read_prices().written) in output
    assert "c6i.large" in output


@pytest.mark.deep
def test_this_machine_is_measured(tmp_path: Path) -> None:
    path = tmp_path / "m.json"
    run(
        *("measure", "--output", path, "--passages", "1k,2k", "--profiles", "lexical,hybrid"),
        *("--searches", "30", "--seconds", "1"),
    )
    found = read_measurements(path)
    assert {each.profile for each in found.searches} == {"lexical", "hybrid"}
    assert [each.passages for each in found.archives] == sorted(
        each.passages for each in found.archives
    )
    assert len(found.machine.curve) == found.machine.threads
    assert found.call("import") is not None
    asked = (*ASKED, "-m", path, "--p95", "5s", "--items", "2k")  # chance decides far beyond
    planned = json.loads(run("plan", *asked, "--json").stdout)
    assert planned["mixes"]
