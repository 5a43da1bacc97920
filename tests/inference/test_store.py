"""Nothing is loaded that is not, byte for byte, what its manifest says."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from core.errors import ModelError
from inference.encoder import OnnxTextEncoder
from inference.store import ModelStore

MakeModel = Callable[..., Path]


def test_a_sound_model_opens_and_reads(make_model: MakeModel, tmp_path: Path) -> None:
    make_model()
    folder = ModelStore(tmp_path).open("small")
    assert folder.read("graph.onnx") == b"graph bytes"
    assert folder.manifest.quality == {"speed": 1.0}
    assert all(row.ok for row in ModelStore(tmp_path).verify())


def test_every_bundled_file_is_sound(models: ModelStore) -> None:
    rows = models.verify()
    assert "all-MiniLM-L6-v2" in models.names()
    assert [row for row in rows if not row.ok] == []
    assert len(rows) == 3 * len(models.names())


@pytest.mark.parametrize("content", [b"graph byte", b"", b"graph bytez"])
def test_truncated_and_changed_files_are_refused(
    make_model: MakeModel, tmp_path: Path, content: bytes
) -> None:
    (make_model() / "graph.onnx").write_bytes(content)
    with pytest.raises(ModelError, match=r"graph\.onnx is not the file"):
        ModelStore(tmp_path).open("small")
    bad = [row.path for row in ModelStore(tmp_path).verify() if not row.ok]
    assert bad == ["graph.onnx"]


def test_a_change_after_opening_is_seen(make_model: MakeModel, tmp_path: Path) -> None:
    place = make_model() / "graph.onnx"
    folder = ModelStore(tmp_path).open("small")
    place.write_bytes(b"other bytes")
    with pytest.raises(ModelError, match="not the file"):
        folder.read("graph.onnx")


def test_a_missing_file_is_refused(make_model: MakeModel, tmp_path: Path) -> None:
    (make_model() / "tokenizer.json").unlink()
    with pytest.raises(ModelError, match=r"tokenizer\.json can't be read"):
        ModelStore(tmp_path).open("small")


@pytest.mark.parametrize("name", ["weights.pt", "model.BIN", "a.pkl", "deep.pth"])
def test_pickles_are_refused_though_not_listed(
    make_model: MakeModel, tmp_path: Path, name: str
) -> None:
    (make_model() / name).write_bytes(b"anything")
    with pytest.raises(ModelError, match="pickle"):
        ModelStore(tmp_path).open("small")


def test_listed_pickles_are_refused(make_model: MakeModel, tmp_path: Path) -> None:
    make_model(files={"weights.pt": "0" * 64})
    with pytest.raises(ModelError, match="pickle"):
        ModelStore(tmp_path).open("small")


@pytest.mark.parametrize("path", ["../secret", "/etc/hostname", "a/../../b", "a\\b", ""])
def test_paths_outside_the_folder_are_refused(
    make_model: MakeModel, tmp_path: Path, path: str
) -> None:
    make_model(files={path: "0" * 64})
    with pytest.raises(ModelError, match="outside"):
        ModelStore(tmp_path).open("small")


def test_links_out_of_the_folder_are_refused(make_model: MakeModel, tmp_path: Path) -> None:
    graph = make_model() / "graph.onnx"
    outside = tmp_path / "outside.onnx"
    outside.write_bytes(graph.read_bytes())  # the right bytes, in the wrong place
    graph.unlink()
    graph.symlink_to(outside)
    with pytest.raises(ModelError, match="link"):
        ModelStore(tmp_path).open("small")


FIELDS = [
    *("name", "task", "architecture", "source", "revision", "licence", "files", "graph"),
    *("tokenizer", "optimized", "pooling", "query_prefix", "passage_prefix", "max_tokens"),
    *("dimension", "labels", "precision", "quality", "recipe", "languages"),
]


@pytest.mark.parametrize("field", FIELDS)
def test_a_missing_field_is_named(make_model: MakeModel, tmp_path: Path, field: str) -> None:
    make_model(**{field: None})
    with pytest.raises(ModelError, match=f"'{field}'"):
        ModelStore(tmp_path).open("small")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("max_tokens", "256"),
        ("max_tokens", True),
        ("max_tokens", 1),
        ("labels", "O"),
        ("labels", [1]),
        ("files", {"graph.onnx": "abc", "tokenizer.json": "0" * 64}),
        ("graph", "other.onnx"),
        ("quality", {"f1": "high"}),
        ("surprise", 1),
    ],
)
def test_a_wrong_field_is_refused(
    make_model: MakeModel, tmp_path: Path, field: str, value: object
) -> None:
    make_model(**{field: value})
    with pytest.raises(ModelError) as caught:
        ModelStore(tmp_path).open("small")
    assert "manifest.json" in caught.value.where
    assert caught.value.mend


@pytest.mark.parametrize("text", ["", "{", "[]", "\x00"])
def test_a_manifest_that_is_not_json_is_refused(
    make_model: MakeModel, tmp_path: Path, text: str
) -> None:
    (make_model() / "manifest.json").write_text(text)
    with pytest.raises(ModelError, match="JSON"):
        ModelStore(tmp_path).open("small")


def test_the_name_must_be_the_folders(make_model: MakeModel, tmp_path: Path) -> None:
    make_model(name="other")
    with pytest.raises(ModelError, match="'other'"):
        ModelStore(tmp_path).open("small")


@pytest.mark.parametrize("name", ["../small", "", ".", "a/b", "missing"])
def test_unknown_and_crooked_names_are_refused(
    make_model: MakeModel, tmp_path: Path, name: str
) -> None:
    make_model()
    with pytest.raises(ModelError):
        ModelStore(tmp_path).open(name)


def test_a_root_that_is_not_there_has_no_models(tmp_path: Path) -> None:
    assert ModelStore(tmp_path / "nowhere").names() == ()
    assert ModelStore(tmp_path / "nowhere").verify() == ()


def test_the_digest_tells_files_and_prefixes_apart(make_model: MakeModel, tmp_path: Path) -> None:
    folder = make_model()
    before = ModelStore(tmp_path).open("small").manifest.digest
    place = folder / "manifest.json"
    fields = json.loads(place.read_text())
    place.write_text(json.dumps({**fields, "quality": {}, "licence": "y"}))
    assert ModelStore(tmp_path).open("small").manifest.digest == before
    place.write_text(json.dumps({**fields, "query_prefix": "query: "}))
    assert ModelStore(tmp_path).open("small").manifest.digest != before


def test_bytes_that_are_no_graph_give_a_model_error(make_model: MakeModel, tmp_path: Path) -> None:
    make_model()
    with pytest.raises(ModelError, match="graph can't be loaded"):
        OnnxTextEncoder.open(ModelStore(tmp_path), "small", threads=1)
