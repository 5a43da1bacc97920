"""`dateline models`: what is here, whether it is sound, and getting more."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from dateline.cli import app
from dateline.default_folders import default_pulled
from dateline.settings import Settings
from inference.models.catalogue import Catalogue
from inference.models.manifest import ModelManifest
from tests.inference.models.hub_server import COMMIT, REPOSITORY, Hub, serving
from tests.inference.small_models import FILES, small_graph, small_manifest, write_model

BUNDLED = ("all-MiniLM-L6-v2", "distilbert-ner-news")


def models(*arguments: str | Path, code: int = 0) -> Result:
    result = CliRunner().invoke(app, ["models", *(str(each) for each in arguments)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return result


def rows(*arguments: str | Path, code: int = 0) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(models(*arguments, "--json", code=code).stdout)
    return found


@pytest.fixture(autouse=True)
def pulled(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The folder of pulled models, empty; and no token."""
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setenv("DATELINE_PULLED_MODELS", str(tmp_path / "pulled"))
    return tmp_path / "pulled"


@pytest.fixture
def catalogue(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A catalogue of one: the small model."""
    folder = tmp_path / "catalogue"
    folder.mkdir()
    fields = {**small_manifest("small", FILES), "source": f"https://huggingface.co/{REPOSITORY}"}
    fields |= {"revision": COMMIT, "files": dict.fromkeys(FILES, "")}
    (folder / "small.json").write_text(json.dumps(fields))
    monkeypatch.setattr(Catalogue.__init__, "__defaults__", (folder,))


@pytest.fixture
def hub() -> Iterator[Hub]:
    with serving(FILES) as hub:
        yield hub


def test_the_list_has_every_model_and_what_it_is_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATELINE_TAGGER", "distilbert-NER")
    found = {row["name"]: row for row in rows("list")}
    assert found.keys() >= {*BUNDLED, *Catalogue().names()}
    encoder = found["all-MiniLM-L6-v2"]
    assert encoder["source"] == "bundled"
    assert "encoder" in encoder["roles"]
    assert encoder["size_bytes"] > 20e6
    assert encoder["licence"] == "Apache-2.0"
    assert found["distilbert-NER"]["source"] == "catalogue"
    assert found["distilbert-NER"]["roles"] == ["tagger"]
    assert found["distilbert-NER"]["size_bytes"] is None
    assert found["distilbert-ner-news"]["research_only"]
    assert all(row["problem"] == "" for row in found.values())


def test_a_bad_manifest_is_listed_as_such(pulled: Path) -> None:
    write_model(pulled / "small", task="translate")
    (row,) = [row for row in rows("list") if row["name"] == "small"]
    assert "'task'" in row["problem"]
    assert "'task'" in models("list").stdout


def test_the_bundled_models_verify() -> None:
    found = rows("verify")
    assert {row["model"] for row in found} >= set(BUNDLED)
    assert [row for row in found if row["problem"]] == []


def test_a_changed_file_fails_the_check(pulled: Path) -> None:
    write_model(pulled / "small")
    assert models("verify", "small").stdout.count("ok   small") == 3
    (pulled / "small" / "tokenizer.json").write_bytes(b"[]")
    bad = [row["path"] for row in rows("verify", "small", code=1) if row["problem"]]
    assert bad == ["tokenizer.json"]
    assert "tokenizer.json is not the file" in models("verify", code=1).stdout
    assert "small" not in models("verify", BUNDLED[0]).stdout


def test_an_unknown_model_fails_the_check() -> None:
    assert "no model 'missing'" in models("verify", "missing", code=1).stdout


def test_doctor_checks_pulled_models_too(pulled: Path) -> None:
    write_model(pulled / "small")
    (pulled / "small" / "graph.onnx").unlink()
    result = CliRunner().invoke(app, ["doctor", "--json"])
    found = {finding["what"]: finding for finding in json.loads(result.stdout)}
    assert found["model all-MiniLM-L6-v2"]["ok"]
    assert not found["model small"]["ok"]


@pytest.mark.usefixtures("catalogue")
def test_a_pulled_model_is_found_by_every_command(hub: Hub, pulled: Path) -> None:
    result = models("pull", "small", "--endpoint", hub.endpoint)
    assert "sound" in result.stdout
    assert "pulled" in {row["source"] for row in rows("list") if row["name"] == "small"}
    assert len(rows("verify", "small")) == 3
    assert COMMIT in models("card", "small").stdout
    assert (pulled / "small" / "graph.onnx").read_bytes() == FILES["graph.onnx"]
    assert "already" in models("pull", "small", "--endpoint", hub.endpoint).stdout


@pytest.mark.usefixtures("catalogue")
def test_a_refused_pull_says_what_where_and_how_to_mend(hub: Hub, pulled: Path) -> None:
    hub.files["graph.onnx"] = small_graph(sizes=("n", 9))
    result = models("pull", "small", "--endpoint", hub.endpoint, code=6)
    assert "9 instead of 4" in result.stderr
    assert "mend:" in result.stderr
    assert not (pulled / "small").exists()


@pytest.mark.usefixtures("catalogue")
def test_files_that_were_carried_here_are_pulled_from_their_folder(
    tmp_path: Path, pulled: Path
) -> None:
    carried = write_model(tmp_path / "carried")
    (carried / "manifest.json").unlink()
    result = models("pull", "small", "--from", carried)
    assert result.stdout.count("taken as found") == len(FILES)
    assert (pulled / "small" / "manifest.json").exists()


def test_a_folder_with_a_manifest_of_its_own_is_pulled_whole(tmp_path: Path, pulled: Path) -> None:
    files = {**FILES, "model.xml": b"<net/>", "model.bin": bytes(8)}
    graphs = {"onnx": "graph.onnx", "openvino": "model.xml"}
    made = write_model(tmp_path / "made" / "mine", files, graphs=graphs)
    shutil.move(made, tmp_path / "elsewhere")
    result = models("pull", "mine", "--from", tmp_path / "elsewhere")
    assert "taken as found" not in result.stdout
    assert (pulled / "mine" / "model.bin").exists()
    assert (
        "has the model 'mine'"
        in models("pull", "other", "--from", tmp_path / "elsewhere", code=6).stderr
    )
    (tmp_path / "elsewhere" / "graph.onnx").write_bytes(small_graph() + b"\0")
    models("pull", "mine", "--from", tmp_path / "elsewhere", code=6)


def test_pull_refuses_what_makes_no_sense(tmp_path: Path) -> None:
    assert "catalogue has no" in models("pull", "missing", code=6).stderr
    both = ("--from", tmp_path, "--revision", "main")
    assert "goes with neither" in models("pull", "bge-small-en-v1.5-fp32", *both, code=2).stderr
    assert (
        "no openvino graph"
        in models("pull", "bge-small-en-v1.5-fp32", "--format", "openvino", code=6).stderr
    )


def test_a_card_is_printed_and_written(pulled: Path) -> None:
    write_model(pulled / "small", about="For the test.")
    assert "For the test." in models("card", "small").stdout
    assert not (pulled / "small" / "README.md").exists()
    models("card", "small", "--write")
    assert "For the test." in (pulled / "small" / "README.md").read_text("utf-8")
    assert "dslim/distilbert-NER" in models("card", "distilbert-NER").stdout
    models("card", "distilbert-NER", "--write", code=6)
    models("card", "missing", code=6)


def test_pulled_models_lie_with_the_users_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", "/data/home")
    assert default_pulled() == Path("/data/home/dateline/models")
    monkeypatch.setenv("XDG_DATA_HOME", "relative")
    assert default_pulled() == Path.home() / ".local/share/dateline/models"
    assert Settings.model_fields["pulled_models"].description


def test_the_manifests_round_trip() -> None:
    for name in Catalogue().names():
        manifest = Catalogue().find(name)
        assert isinstance(manifest, ModelManifest)
        written = (Catalogue().folder / f"{name}.json").read_text("utf-8")
        assert manifest.to_json() == written
