"""Nothing is loaded that is not, byte for byte, what its manifest says."""

import io
import json
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from core.errors import ModelError
from inference.encoder import SentenceEncoder
from inference.models.store import ModelStore
from tests.inference.small_models import FILES, small_graph, small_safetensors, write_model

MakeModel = Callable[..., Path]


def test_a_sound_model_opens_and_reads(make_model: MakeModel, tmp_path: Path) -> None:
    make_model()
    folder = ModelStore(tmp_path).open("small")
    assert folder.read("graph.onnx") == FILES["graph.onnx"]
    assert folder.manifest.quality == {"speed": 1.0}
    assert all(row.ok for row in ModelStore(tmp_path).verify())


def test_every_bundled_file_is_sound(models: ModelStore) -> None:
    rows = models.verify()
    assert "all-MiniLM-L6-v2" in models.names()
    assert [row for row in rows if not row.ok] == []
    files = [models.describe(name).manifest.files for name in models.names()]
    assert len(rows) == sum(1 + len(listed) for listed in files)  # each manifest too


@pytest.mark.parametrize("content", [small_graph()[:-1], b"", small_graph() + b"z"])
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


@pytest.mark.parametrize("path", ["tokenizer.json", "manifest.json"])
def test_a_pipe_or_a_folder_in_a_files_place_is_refused(
    make_model: MakeModel, tmp_path: Path, path: str
) -> None:
    place = make_model() / path
    place.unlink()
    os.mkfifo(place)
    with pytest.raises(ModelError, match="is not a file"):
        ModelStore(tmp_path).open("small")
    place.unlink()
    place.mkdir()
    with pytest.raises(ModelError, match="is not a file"):
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
    *("name", "task", "architecture", "source", "revision", "licence", "files", "graphs"),
    *("tokenizer", "optimized", "pooling", "query_prefix", "passage_prefix", "max_tokens"),
    *("dimension", "labels", "precision", "quality", "recipe", "languages"),
    *("training_data", "commands", "about", "limits"),
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
        ("graphs", {"onnx": "other.onnx"}),
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
    place.write_text(json.dumps({**fields, "quality": {}, "commands": {}, "licence": "y"}))
    assert ModelStore(tmp_path).open("small").manifest.digest == before
    place.write_text(json.dumps({**fields, "query_prefix": "query: "}))
    assert ModelStore(tmp_path).open("small").manifest.digest != before


def test_a_graph_that_no_runtime_takes_gives_a_model_error(
    make_model: MakeModel, tmp_path: Path
) -> None:
    broken = small_graph().replace(b"Identity", b"Identify")
    write_model(tmp_path / "small", {**FILES, "graph.onnx": broken})
    with pytest.raises(ModelError, match="graph can't be loaded"):
        SentenceEncoder.open(ModelStore(tmp_path), "small", threads=1)


def test_a_model_is_looked_for_in_every_root_and_the_first_has_it(tmp_path: Path) -> None:
    write_model(tmp_path / "bundled" / "both", about="ours")
    write_model(tmp_path / "pulled" / "both", about="theirs")
    write_model(tmp_path / "pulled" / "other")
    store = ModelStore(tmp_path / "bundled", (tmp_path / "pulled", tmp_path / "nowhere"))
    assert store.names() == ("both", "other")
    assert store.open("both").manifest.about == "ours"
    assert store.open("other").path == tmp_path / "pulled" / "other"
    assert {row.model for row in store.verify(["other"])} == {"other"}
    assert [row.path for row in store.verify(["missing"]) if not row.ok] == ["manifest.json"]


def test_hidden_folders_are_no_models(tmp_path: Path) -> None:
    write_model(tmp_path / ".small.partial")
    assert ModelStore(tmp_path).names() == ()


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_a_pickle_under_another_name_is_refused(tmp_path: Path, protocol: int) -> None:
    files = {**FILES, "tokenizer.json": pickle.dumps({"a": 1}, protocol)}
    write_model(tmp_path / "small", files)
    with pytest.raises(ModelError, match="pickle"):
        ModelStore(tmp_path).open("small")


def test_an_archive_under_another_name_is_refused(tmp_path: Path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps([1]))
    for path in ("graph.onnx", "tokenizer.json"):
        write_model(tmp_path / "small", {**FILES, path: packed.getvalue()})
        with pytest.raises(ModelError, match="pickle"):
            ModelStore(tmp_path).open("small")


def torchscript(*names: str) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name in names:
            archive.writestr(f"small/{name}", b"x")
    return packed.getvalue()


def test_only_a_torchscript_program_may_be_an_archive(tmp_path: Path) -> None:
    graphs = {"onnx": "graph.onnx", "torchscript": "model.pt"}
    program = torchscript("constants.pkl", "data.pkl", "code/model.py")
    write_model(tmp_path / "small", {**FILES, "model.pt": program}, graphs=graphs)
    ModelStore(tmp_path).open("small")
    write_model(tmp_path / "small", {**FILES, "model.pt": torchscript("data.pkl")}, graphs=graphs)
    with pytest.raises(ModelError, match="archive of pickles"):
        ModelStore(tmp_path).open("small")


def test_openvinos_weights_may_be_a_bin_and_nothing_else(tmp_path: Path) -> None:
    graphs = {"onnx": "graph.onnx", "openvino": "model.xml"}
    files = {**FILES, "model.xml": b'<?xml version="1.0"?><net/>', "model.bin": bytes(64)}
    write_model(tmp_path / "small", files, graphs=graphs)
    ModelStore(tmp_path).open("small")
    write_model(tmp_path / "small", {**files, "model.bin": pickle.dumps([1])}, graphs=graphs)
    with pytest.raises(ModelError, match="pickle"):
        ModelStore(tmp_path).open("small")
    write_model(tmp_path / "small", {**files, "other.bin": bytes(64)}, graphs=graphs)
    with pytest.raises(ModelError, match="pickle"):
        ModelStore(tmp_path).open("small")


@pytest.mark.parametrize(
    ("graph", "says"),
    [
        (small_graph(sizes=("n", 5)), "is 5 instead of 4"),
        (small_graph("last_hidden_state", ("n", "t", 8)), "is 8 instead of 4"),
        (small_graph("logits", ("n", 4)), "its outputs are logits"),
        (small_graph(apart="../../secret.bin"), "takes weights from"),
        (small_graph()[:-9], "not an ONNX graph"),
        (b"", "not an ONNX graph"),
        (b"\xff" * 40, "not an ONNX graph"),
        (b'{"not": "a graph"}', "not an ONNX graph"),
    ],
)
def test_a_graph_that_does_not_fit_its_manifest_is_refused(
    tmp_path: Path, graph: bytes, says: str
) -> None:
    write_model(tmp_path / "small", {**FILES, "graph.onnx": graph})
    with pytest.raises(ModelError, match=says):
        ModelStore(tmp_path).open("small")


def test_weights_apart_are_those_that_are_listed_beside_the_graph(tmp_path: Path) -> None:
    files = {**FILES, "graph.onnx": small_graph(apart="graph.onnx_data")}
    write_model(tmp_path / "small", {**files, "graph.onnx_data": bytes(4)})
    folder = ModelStore(tmp_path).open("small")
    before = folder.manifest.digest
    write_model(tmp_path / "small", {**files, "graph.onnx_data": b"abcd"})
    assert ModelStore(tmp_path).open("small").manifest.digest != before
    write_model(tmp_path / "small", files)
    with pytest.raises(ModelError, match="takes weights from"):
        ModelStore(tmp_path).open("small")


def test_sizes_that_a_graph_leaves_open_are_no_contradiction(tmp_path: Path) -> None:
    write_model(tmp_path / "small", {**FILES, "graph.onnx": small_graph(sizes=("n", "d"))})
    ModelStore(tmp_path).open("small")


@pytest.mark.parametrize(("task", "labels", "good"), [("tag", ["O", "B-PER"], 2), ("score", [], 1)])
def test_a_graph_has_as_many_classes_as_labels(
    tmp_path: Path, task: str, labels: list[str], good: int
) -> None:
    for size in (good, good + 1):
        files = {**FILES, "graph.onnx": small_graph("logits", ("n", size))}
        write_model(tmp_path / "small", files, task=task, labels=labels, pooling="")
        if size == good:
            ModelStore(tmp_path).open("small")
            continue
        with pytest.raises(ModelError, match=f"is {size} instead of {good}"):
            ModelStore(tmp_path).open("small")


WEIGHTS = {"embeddings.word_embeddings.weight": (10, 4)}
WHOLE = small_safetensors(WEIGHTS)


@pytest.mark.parametrize(
    ("weights", "config", "says"),
    [
        (small_safetensors({"embeddings.word_embeddings.weight": (10, 8)}), {}, "8 instead of 4"),
        (WHOLE[:-1], {}, "bytes of weights"),
        (WHOLE + b"\0", {}, "bytes of weights"),
        (WHOLE[:20], {}, "header's length"),
        (b"\xff" * 8 + WHOLE[8:], {}, "header's length"),
        (WHOLE.replace(b"[10, 4]", b"[10, 9]"), {}, "which is not its shape"),
        (WHOLE.replace(b"[0, 160]", b"[4, 164]"), {}, "a gap"),
        (WHOLE, {"hidden_size": 8}, "8 instead of 4"),
    ],
)
def test_safetensors_that_do_not_fit_are_refused(
    tmp_path: Path, weights: bytes, config: dict[str, int], says: str
) -> None:
    files = {
        "model.safetensors": weights,
        "config.json": json.dumps(config).encode(),
        "tokenizer.json": b"{}",
    }
    write_model(tmp_path / "small", files, graphs={"safetensors": "model.safetensors"})
    with pytest.raises(ModelError, match=says):
        ModelStore(tmp_path).open("small")


def test_safetensors_that_fit_open(tmp_path: Path) -> None:
    files = {"model.safetensors": WHOLE, "config.json": b'{"hidden_size": 4}', **FILES}
    graphs = {"safetensors": "model.safetensors", "onnx": "graph.onnx"}
    write_model(tmp_path / "small", files, graphs=graphs)
    ModelStore(tmp_path).open("small")


def test_a_config_whose_labels_are_others_is_refused(tmp_path: Path) -> None:
    files = {
        **FILES,
        "graph.onnx": small_graph("logits", ("n", 2)),
        "config.json": b'{"id2label": {"0": "B-PER", "1": "O"}}',
    }
    write_model(tmp_path / "small", files, task="tag", labels=["O", "B-PER"], pooling="")
    with pytest.raises(ModelError, match="its labels are"):
        ModelStore(tmp_path).open("small")


@pytest.mark.parametrize("content", [b"", b"not json", b"[" * 100_000])
def test_a_tokenizer_that_is_not_json_is_refused(tmp_path: Path, content: bytes) -> None:
    write_model(tmp_path / "small", {**FILES, "tokenizer.json": content})
    with pytest.raises(ModelError, match=r"tokenizer\.json does not fit"):
        ModelStore(tmp_path).open("small")


def test_a_manifest_longer_than_any_is_refused_unread(
    make_model: MakeModel, tmp_path: Path
) -> None:
    place = make_model() / "manifest.json"
    place.write_text(place.read_text() + " " * 2**20)
    with pytest.raises(ModelError, match="longer than"):
        ModelStore(tmp_path).open("small")


@pytest.mark.parametrize("key", ['"name"', '"graph.onnx"'])
def test_a_manifest_with_a_key_twice_is_refused(
    make_model: MakeModel, tmp_path: Path, key: str
) -> None:
    place = make_model() / "manifest.json"
    text = place.read_text()
    begin = text.index(f"{key}: ")
    end = text.index(",", begin)
    place.write_text(text[:end] + f", {text[begin:end]}" + text[end:])
    with pytest.raises(ModelError, match="twice"):
        ModelStore(tmp_path).open("small")


@pytest.mark.parametrize(
    "changed",
    [
        {"graphs": {}},
        {"graphs": {"onnx": "tokenizer.json"}},
        {"graphs": {"tensorflow": "graph.onnx"}},
        {"graphs": {"onnx": 1}},
        {"task": "translate"},
        {"pooling": "max"},
        {"task": "tag"},
        {"max_tokens": 10**9},
        {"dimension": -1},
        {"commands": {"what was not measured": "x"}},
        {"quality": {"speed": float("nan")}},
        {"quality": {"speed": 10**400}},
        {"training_data": [{"name": "x"}]},
        {"training_data": ["x"]},
        {"files": {**dict.fromkeys(FILES, "0" * 64), "setup.py": "0" * 64}},
    ],
)
def test_a_manifest_that_contradicts_itself_is_refused(
    make_model: MakeModel, tmp_path: Path, changed: dict[str, object]
) -> None:
    make_model(**changed)
    with pytest.raises(ModelError) as caught:
        ModelStore(tmp_path).open("small")
    assert "manifest.json" in caught.value.where


def test_another_format_of_the_same_weights_leaves_the_digest(tmp_path: Path) -> None:
    write_model(tmp_path / "small")
    before = ModelStore(tmp_path).open("small").manifest.digest
    files = {**FILES, "model.xml": b"<net/>", "model.bin": bytes(8)}
    graphs = {"openvino": "model.xml", "onnx": "graph.onnx"}
    write_model(tmp_path / "small", files, graphs=graphs)
    assert ModelStore(tmp_path).open("small").manifest.digest == before
    write_model(tmp_path / "small", files, graphs={"openvino": "model.xml"})
    assert ModelStore(tmp_path).open("small").manifest.digest != before


def test_the_bundled_encoders_space_is_the_one_that_archives_hold(models: ModelStore) -> None:
    """Another digest means that every archive is embedded anew at the next start."""
    digest = models.describe("all-MiniLM-L6-v2").manifest.digest
    assert digest == "e1c6ef4bb01ec328b2654a15c9720f57c3d901c7aca821b06de741827d9c1cfa"


def test_the_bundled_models_are_small_enough_to_ship(models: ModelStore) -> None:
    places = [place for place in models.root.glob("[!.]*/*") if place.is_file()]
    assert sum(place.stat().st_size for place in places) <= 160e6


def test_every_bundled_figure_has_its_command(models: ModelStore) -> None:
    for name in models.names():
        manifest = models.describe(name).manifest
        assert manifest.quality.keys() == manifest.commands.keys(), name
        assert manifest.training_data, name
        assert manifest.limits, name
