"""`dateline models profile`: tables, a picture and JSON of where a bundled model's time goes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from typer.testing import CliRunner, Result

from dateline.cli import app

ENCODER = "all-MiniLM-L6-v2"
QUICK = ("--seconds", "0.01")


def profile(*arguments: str | Path, code: int = 0) -> Result:
    named = [str(argument) for argument in arguments]
    result = CliRunner().invoke(app, ["models", "profile", *named])
    assert result.exit_code == code, result.output
    return result


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A folder with page and picture of one run of two shapes, and what the terminal showed."""
    folder = tmp_path_factory.mktemp("drawn")
    files = ("--html", folder / "page.html", "--svg", folder / "picture.svg")
    shown = profile(ENCODER, "--shape", "1x16", "--shape", "4x32", *files, *QUICK).stdout
    return folder, shown


def test_the_terminal_shows_every_part_and_what_to_gain(drawn: tuple[Path, str]) -> None:
    _, shown = drawn
    for part in ("tokenise", "embeddings", "dense layers", "attention", "norm", "Python around"):
        assert part in shown
    assert "1 x 16 tokens" in shown
    assert "4 x 32 tokens" in shown
    assert "ffn/wide" in shown
    assert shown.count("Most to gain") == 2
    assert "int8" in shown.splitlines()[-1]
    assert "  3. " in shown


def test_the_picture_is_an_svg_with_its_text_as_text(drawn: tuple[Path, str]) -> None:
    folder, _ = drawn
    picture = ET.parse(folder / "picture.svg")
    assert picture.getroot().tag.endswith("svg")
    words = " ".join(text.strip() for text in picture.getroot().itertext() if text.strip())
    for part in ("dense layers", "attention", "4 x 32 tokens", "GFLOP/s", "GB/s"):
        assert part in words


def test_the_page_has_all_in_one_file(drawn: tuple[Path, str]) -> None:
    folder, _ = drawn
    page = (folder / "page.html").read_text("utf-8")
    assert page.count("<svg") == 2
    assert page.count("<table") == 4
    assert "ffn/wide" in page
    assert "<?xml" not in page
    assert page.count("<script") == 1  # it sorts the tables


def test_json_adds_up() -> None:
    found: list[dict[str, Any]] = json.loads(
        profile("distilbert-ner-news", "--shape", "2x12", "--json", *QUICK).stdout
    )
    (tree,) = found
    assert (tree["model"], tree["texts"], tree["tokens"]) == ("distilbert-ner-news", 2, 12)
    assert sum(group["share"] for group in tree["groups"]) == pytest.approx(1.0)
    assert min(tree["limits"]["int8"], tree["limits"]["float32"]) > 0
    assert len(tree["opportunities"]) == 3
    inside = sum(each["seconds"] for each in tree["operators"])
    assert 0 < inside <= tree["graph"] * 1.001
    assert tree["profiler_overhead"] == pytest.approx(tree["watched"] / tree["graph"] - 1)


@pytest.mark.parametrize("shape", ["16", "1x", "0x16", "2x0", "1x16x2", "-1x4", "9999x16", "axb"])
def test_a_shape_that_is_none(shape: str) -> None:
    assert "texts x tokens" in profile(ENCODER, f"--shape={shape}", *QUICK, code=2).stderr


def test_more_tokens_than_the_model_reads() -> None:
    said = profile(ENCODER, "--shape", "1x300", *QUICK, code=2).stderr
    assert "300 tokens" in said
    assert "256" in said


def test_a_model_that_is_not_there() -> None:
    assert "none" in profile("none", *QUICK, code=6).stderr


def test_a_picture_that_can_not_be_written(tmp_path: Path) -> None:
    nowhere = tmp_path / "missing" / "picture.svg"
    said = profile(ENCODER, "--shape", "1x8", "--svg", nowhere, *QUICK, code=2)
    assert "can't be written" in said.stderr


def test_a_picture_without_its_library_is_refused_before_measuring(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("core.extras.find_spec", lambda _: None)
    done = CliRunner().invoke(
        app, ["models", "profile", "all-MiniLM-L6-v2", "--svg", str(tmp_path / "p.svg")]
    )
    assert done.exit_code == 2
    assert "[plots]" in done.stderr
    assert not list(tmp_path.iterdir())
