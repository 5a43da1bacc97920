"""`dateline models bench`, `export` and `quantize`: what needs no optional library."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from core.errors import InputError, ModelError
from dateline.build.models.runtimes import RUNTIMES, open_encoder, runtime_of
from dateline.build.models.served import load_models
from dateline.cli import app
from dateline.default_folders import default_models
from dateline.measuring.model_bench import keep
from dateline.measuring.model_texts import read_texts
from dateline.settings import Settings, configure
from inference.models.store import ModelStore
from inference.runtimes.bench import Row
from inference.runtimes.loading import installed

ENCODER, TAGGER = "all-MiniLM-L6-v2", "distilbert-ner-news"
QUICK = ("--seconds", "0.01", "--shape", "1x8", "--shape", "2x12")


def models(*arguments: str | Path, code: int = 0) -> Result:
    named = [str(argument) for argument in arguments]
    result = CliRunner().invoke(app, ["models", *named])
    assert result.exit_code == code, result.output
    assert not isinstance(result.exception, AssertionError)
    return result


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "data"
    monkeypatch.setenv("DATELINE_DATA", str(folder))
    return folder


# --- bench


def test_every_runtime_has_a_row_and_those_not_installed_say_so(data: Path) -> None:
    tree = json.loads(models("bench", ENCODER, *QUICK, "--json").stdout)
    rows = {row["name"]: row for row in tree["rows"]}
    assert next(iter(rows)) == "onnxruntime:cpu"
    assert [name.partition(":")[0] for name in rows] == list(RUNTIMES)
    ours = rows["onnxruntime:cpu"]
    assert set(ours["speeds"]) == {"1x8", "2x12"}
    assert ours["parity"]["agree"] is True
    assert tree["kept"] is None
    if not installed("torch"):
        assert rows["torch:cpu"]["problem"] == "not installed: torch, transformers"
    if not installed("openvino"):
        assert rows["openvino:f32"]["problem"] == "not installed: openvino"
    (served,) = (row for name, row in rows.items() if name.startswith("torchserve"))
    assert served["problem"], "nothing listens there"
    assert not data.exists(), "measuring alone keeps nothing"


def test_what_was_chosen_is_kept_and_shown_and_a_setting_goes_before_it(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = models("bench", TAGGER, *QUICK, "--runtimes", "onnxruntime", "--choose")
    assert "onnxruntime:cpu" in shown.stdout
    assert "kept for this machine: onnxruntime:cpu" in shown.stdout
    assert (data / "runtimes.json").is_file()

    def listed() -> dict[str, Any]:
        rows: list[dict[str, Any]] = json.loads(models("list", "--json").stdout)
        return next(row for row in rows if row["name"] == TAGGER)

    assert (listed()["runtime"], listed()["runtime_by"]) == ("onnxruntime:cpu", "measured here")
    assert f"{TAGGER} runs in onnxruntime:cpu (measured here)" in models("list").stdout
    monkeypatch.setenv("DATELINE_RUNTIMES", json.dumps({TAGGER: "openvino"}))
    assert (listed()["runtime"], listed()["runtime_by"]) == ("openvino:f32", "setting")


@pytest.mark.parametrize(
    ("given", "code", "says"),
    [
        (("none-such",), 6, "none-such"),
        ((ENCODER, "--shape", "64"), 2, "64x128"),
        ((ENCODER, "--shape", "1x100000"), 2, "1 to 256 tokens"),
        ((ENCODER, "--shape", "0x8"), 2, "0x8"),
        ((ENCODER, "--runtimes", "tensorrt"), 3, "onnxruntime, openvino"),
        ((ENCODER, "--runtimes", "openvino:int3"), 3, "f32, bf16"),
        ((ENCODER, "--texts", "no-such-file.txt"), 2, "no-such-file.txt"),
    ],
)
def test_what_can_t_be_measured_is_said(
    data: Path, given: tuple[str, ...], code: int, says: str
) -> None:
    result = models("bench", *given, code=code)
    assert says in result.stderr
    assert "Traceback" not in result.output


def test_nothing_is_kept_where_nothing_agreed(data: Path) -> None:
    settings = configure().settings
    with pytest.raises(ModelError, match="no runtime gave answers that agree"):
        keep(settings, ENCODER, [Row("onnxruntime:cpu", problem="it broke")])
    assert not data.exists()


# --- the service's models


def test_a_runtime_by_setting_is_what_the_service_loads(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path, runtimes={ENCODER: "onnxruntime"}, tagger="", reranker="")
    found = load_models(settings)
    assert found.encoder.encode_queries(["rain"]).shape == (1, 384)
    folder = ModelStore(default_models()).open(ENCODER)
    assert runtime_of(settings, folder).why == "setting"


@pytest.mark.skipif(installed("openvino"), reason="OpenVINO is installed")
def test_a_runtime_that_is_not_installed_is_an_error_for_the_encoder_and_a_note_for_the_rest(
    tmp_path: Path,
) -> None:
    settings = Settings(data=tmp_path, runtimes={ENCODER: "openvino"})
    with pytest.raises(ModelError, match="needs openvino, which is not installed"):
        open_encoder(settings, ENCODER)
    settings = Settings(data=tmp_path, runtimes={TAGGER: "openvino"}, reranker="")
    found = load_models(settings)
    assert found.tagger is None
    assert "needs openvino" in found.missing[0]


# --- export and quantize


@pytest.mark.parametrize("name", ["../up", "a b", ".hidden"])
def test_a_name_that_no_model_can_have_is_refused(tmp_path: Path, name: str) -> None:
    output = tmp_path / name / "x y"
    for command in (
        ("export", tmp_path, "--task", "encode", "--output", output),
        ("quantize", ENCODER, "--output", output, "--method", "fp16"),
    ):
        result = models(*command, code=2)
        assert "can't be a model's name" in result.stderr


@pytest.mark.parametrize(
    ("option", "value", "says"),
    [
        ("--task", "sing", "encode, tag, score"),
        ("--formats", "onnx,gguf", "onnx, openvino, torchscript, safetensors"),
        ("--pooling", "max", "mean, cls"),
    ],
)
def test_export_says_what_can_be_asked_for(
    tmp_path: Path, option: str, value: str, says: str
) -> None:
    given = {"--task": "encode", "--output": str(tmp_path / "made"), option: value}
    options = [part for pair in given.items() for part in pair]
    result = models("export", tmp_path, *options, code=2)
    assert says in result.stderr


def test_distill_names_the_file_that_is_not_there(tmp_path: Path) -> None:
    teacher = tmp_path / "teacher.run"
    options = ("--learn", tmp_path, "--judge", tmp_path, "--output", tmp_path / "made")
    result = models("distill", teacher, *options, code=2)
    assert str(teacher) in result.stderr.replace("\n", "")


@pytest.mark.skipif(installed("torch"), reason="PyTorch is installed")
def test_without_the_extra_it_is_named(tmp_path: Path) -> None:
    lists = tmp_path / "lists"
    lists.touch()
    for command in (
        ("export", tmp_path, "--task", "encode", "--output", tmp_path / "made"),
        ("quantize", ENCODER, "--output", tmp_path / "made", "--method", "fp16"),
        ("convert", ENCODER, tmp_path / "made"),
        ("distill", lists, "--learn", lists, "--judge", lists, "--output", tmp_path / "made"),
    ):
        result = models(*command, code=6)
        assert "is not installed" in result.stderr
        assert "dateline-search[torch]" in result.stderr
        assert not (tmp_path / "made").exists()


# --- texts


def test_texts_are_lines_or_the_longer_strings_of_json(tmp_path: Path) -> None:
    plain = tmp_path / "plain.txt"
    plain.write_text("one\n\n  two words \n")
    assert read_texts(plain) == ("one", "two words")
    rows = tmp_path / "rows.jsonl"
    story = {"uri": "urn:x", "bodies": [{"value": "A body of some length, with words."}]}
    rows.write_text(json.dumps(story) + "\n\n" + json.dumps({"text": "Another text, longer."}))
    assert read_texts(rows) == ("A body of some length, with words.", "Another text, longer.")
    assert read_texts(rows, 1) == ("A body of some length, with words.",)
    assert len(read_texts(None)) > 50, "the demo corpus"


@pytest.mark.parametrize(("name", "content"), [("a.txt", "\n\n"), ("a.jsonl", "{"), ("none", None)])
def test_a_file_without_texts_is_an_error(tmp_path: Path, name: str, content: str | None) -> None:
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(InputError):
        read_texts(tmp_path / name)
