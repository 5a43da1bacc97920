"""`dateline eval run` with what dates and names in queries do, as it is typed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import dateline
from eval.runs.results import RunResult, read_result
from tests.conftest import new_folder
from tests.dateline.conftest import Cli

DEMO = Path(dateline.__file__).parent.parent / "datasets" / "demo"
ARGUMENTS = ("eval", "run", DEMO, "--profile", "lexical", "--output")


@pytest.fixture(scope="module")
def cli() -> Iterator[Cli]:
    folder = new_folder()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DATELINE_TAGGER", "")
        patch.setenv("DATELINE_SECOND_ENCODER", "")
        yield Cli(folder / "data")
    shutil.rmtree(folder)


def dated(found: RunResult) -> dict[str, tuple[str, ...]]:
    return {row.query_id: row.documents for row in found.rows if row.slices["kind"] == "date"}


def test_dates_that_are_words(cli: Cli, tmp_path: Path) -> None:
    cli.json(*ARGUMENTS, tmp_path / "on")
    cli.json(*ARGUMENTS, tmp_path / "off", "--dates", "off", "--entities", "off")
    on, off = (read_result(tmp_path / name / "demo-test") for name in ("on", "off"))
    assert dated(on)
    for query, documents in dated(on).items():
        assert len(documents) < len(dated(off)[query])  # a filter lets fewer through
    assert off.system.name == "lexical,dates=off,entities=off"
    assert (off.system.settings["request.dates"], off.system.settings["request.entities"]) == (
        "off",
        "off",
    )
    assert not [name for name in on.system.settings if name.startswith("request.")]
    assert on.system.index == off.system.index


def test_a_word_that_is_none_of_them(cli: Cli, tmp_path: Path) -> None:
    said = cli(*ARGUMENTS, tmp_path / "out", "--dates", "boost", code=2)
    assert "--dates" in said.stderr
