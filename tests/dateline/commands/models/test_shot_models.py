"""`dateline models` with a model that reads frames and has no tokenizer."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from dateline.cli import app

MODEL = "transnetv2-int8"


def models(*arguments: str | Path, code: int = 0) -> Result:
    named = [str(argument) for argument in arguments]
    result = CliRunner().invoke(app, ["models", *named])
    assert result.exit_code == code, result.output
    return result


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DATELINE_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


def test_it_is_listed_with_its_role_and_verified(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATELINE_SHOTS", MODEL)
    rows = json.loads(models("list", "--json").stdout)
    (row,) = [row for row in rows if row["name"] == MODEL]
    assert (row["task"], row["roles"], row["source"]) == ("shots", ["shots"], "bundled")
    shown = models("verify", MODEL).stdout
    assert shown.count("ok") == 2


def test_its_card_speaks_of_frames_and_not_of_texts() -> None:
    shown = models("card", MODEL).stdout
    assert "| window | at most 300 frames |" in shown
    assert "longest text" not in shown
    assert "boundaries against float32" in shown
    place = Path(__file__).parents[4] / "models" / MODEL / "README.md"
    assert place.read_text("utf-8") == shown


def test_it_is_measured_and_the_fastest_runtime_kept(data: Path) -> None:
    quick = ("--seconds", "0.01", "--runtimes", "onnxruntime")
    short = ("--shape", "1x100")  # longer windows take their time
    tree = json.loads(models("bench", MODEL, *short, *quick, "--choose", "--json").stdout)
    (row,) = tree["rows"]
    assert set(row["speeds"]) == {"1x100"}
    assert row["parity"]["agree"] is True
    assert tree["kept"]["choice"] == "onnxruntime:cpu"
    assert (data / "runtimes.json").is_file()
    wrong = models("bench", MODEL, "--shape", "1x50", *quick, code=2)
    assert "a window has 100 to 300 frames" in wrong.output


def test_its_time_is_shown_by_operator() -> None:
    shown = models("profile", MODEL, "--seconds", "0.01").stdout
    assert "1 x 100 tokens" in shown
    assert "stack0/block1/dilated" in shown
    wrong = models("profile", MODEL, "--shape", "1x16", code=2).output
    assert "a window has 100 to 300 frames" in wrong


def test_it_can_t_be_quantized_by_texts(tmp_path: Path) -> None:
    arguments = ("quantize", "transnetv2", "--output", tmp_path / "made", "--method", "dynamic")
    assert "reads no texts" in models(*arguments, code=2).output
    assert not (tmp_path / "made").exists()
