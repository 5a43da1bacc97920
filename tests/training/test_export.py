"""Checkpoints become graphs that give the same answers, or nothing; smaller models are judged."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the [torch] extra")
pytest.importorskip("onnxscript", reason="needs the [torch] extra")
pytest.importorskip("openvino", reason="needs the [openvino] extra")

import onnx
import onnxruntime
from tokenizers import Tokenizer

from core.errors import InputError, ModelError
from dateline.measuring.model_judge import QuantizePlan, entity_f1, quantize
from dateline.settings import Settings
from inference.models.store import ModelFolder, ModelStore
from inference.runtime import Array
from inference.runtimes.onnx import OnnxRuntime
from inference.runtimes.parity import answers, compare
from inference.runtimes.sample import ordinary_batches
from tests.small_checkpoints import LABELS, TEXTS, write_checkpoint
from training.graphs.quantize import InputRange
from training.public_models import export as exporting
from training.public_models.checkpoint_folder import ExportPlan
from training.public_models.compress import METHODS, CompressPlan, compress, smoothed, smoothing
from training.public_models.export import export

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("default")]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the models `encode`, `tag` and `score`, in ONNX."""
    place = tmp_path_factory.mktemp("models")
    for task, architecture in (("encode", "bert"), ("tag", "distilbert"), ("score", "bert")):
        source = write_checkpoint(place / f"from-{task}", architecture, task)
        export(source, place / task, ExportPlan(task, ("onnx",)), TEXTS)
    return place


@pytest.fixture
def checkpoint(root: Path) -> Path:
    return root / "from-encode"


def settings(root: Path, data: Path) -> Settings:
    return Settings(models=root, pulled_models=data / "pulled", data=data)


def batches(folder: ModelFolder) -> list[dict[str, Array]]:
    tokenizer = Tokenizer.from_buffer(folder.read("tokenizer.json"))
    pairs = folder.manifest.task == "score"
    return ordinary_batches(tokenizer, TEXTS, pairs=pairs, longest=folder.manifest.max_tokens)


def of(folder: ModelFolder) -> list[np.ndarray]:
    runtime = OnnxRuntime.open(folder, threads=1)
    found = answers(runtime, batches(folder))
    runtime.close()
    return found


# --- export


def test_xlm_roberta_becomes_every_format(tmp_path: Path) -> None:
    source = write_checkpoint(tmp_path / "source", "xlm-roberta", "score")
    formats = ("onnx", "openvino", "torchscript")
    made = export(source, tmp_path / "made", ExportPlan("score", formats), TEXTS)
    assert [row.format for row in made] == list(formats)
    for row in made:
        assert row.parity.cosine >= 0.9999
        assert row.size > 10_000
    manifest = ModelStore(tmp_path).open("made").manifest
    assert set(manifest.graphs) == set(formats)
    assert manifest.max_tokens == 48, "the tokenizer's limit, below the positions that there are"


def test_the_manifest_says_what_the_checkpoint_says(root: Path) -> None:
    tagger = ModelStore(root).open("tag").manifest
    assert tagger.labels == LABELS
    assert (tagger.task, tagger.dimension, tagger.precision) == ("tag", 32, "float32")
    assert "2 layers, 32 wide" in tagger.architecture
    assert len(tagger.revision.split()[-1]) == 64, "which weights, by their checksum"
    assert ModelStore(root).open("encode").manifest.pooling == "mean"


def test_a_sentence_transformers_folder_says_how_to_pool(checkpoint: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for path in checkpoint.iterdir():
        (source / path.name).write_bytes(path.read_bytes())
    (source / "1_Pooling").mkdir()
    (source / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_cls_token": True}))
    (source / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 16}))
    plan = ExportPlan("encode", ("safetensors",), query_prefix="query: ")
    export(source, tmp_path / "made", plan, TEXTS)
    manifest = ModelStore(tmp_path).open("made").manifest
    assert (manifest.pooling, manifest.max_tokens) == ("cls", 16)
    assert manifest.query_prefix == "query: "


class _Off:
    """ONNX Runtime with an answer that is a little off."""

    def __init__(self, inner: OnnxRuntime) -> None:
        self.inner = inner
        self.inputs, self.outputs, self.kind = inner.inputs, inner.outputs, inner.kind

    @classmethod
    def open(cls, folder: ModelFolder, *, threads: int, option: str = "cpu") -> _Off:
        return cls(OnnxRuntime.open(folder, threads=threads, option=option))

    def run(self, arrays: Mapping[str, Array], outputs: Sequence[str]) -> list[Array]:
        (found,) = self.inner.run(arrays, outputs)
        bent = found.copy()
        bent[-1, 0] = bent[-1, 0][::-1]
        return [bent]

    def close(self) -> None:
        self.inner.close()


def test_what_does_not_agree_is_refused_and_nothing_is_kept(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    openers: dict[str, Any] = {**exporting._OPENERS, "onnx": _Off.open}
    monkeypatch.setattr(exporting, "_OPENERS", openers)
    with pytest.raises(ModelError, match="does not give the checkpoint's answers"):
        export(checkpoint, tmp_path / "made", ExportPlan("encode", ("onnx",)), TEXTS)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_a_file_that_is_missing_is_named(checkpoint: Path, tmp_path: Path, name: str) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for path in checkpoint.iterdir():
        if path.name != name:
            (source / path.name).write_bytes(path.read_bytes())
    (source / "pytorch_model.bin").write_bytes(b"a pickle is no way out")
    with pytest.raises(ModelError, match=f"no readable {name}") as found:
        export(source, tmp_path / "made", ExportPlan("encode", ("onnx",)), TEXTS)
    assert "pickles are not read" in found.value.mend
    assert not (tmp_path / "made").exists()


def test_an_architecture_of_someone_s_own_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for path in checkpoint.iterdir():
        (source / path.name).write_bytes(path.read_bytes())
    config = json.loads((source / "config.json").read_text())
    config["auto_map"] = {"AutoModel": "modeling_evil.Model"}
    config["model_type"] = "evil"
    (source / "config.json").write_text(json.dumps(config))
    (source / "modeling_evil.py").write_text("raise SystemExit('run')")
    with pytest.raises(ModelError, match="can't be loaded"):
        export(source, tmp_path / "made", ExportPlan("encode", ("onnx",)), TEXTS)


def test_damaged_weights_are_refused(checkpoint: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for path in checkpoint.iterdir():
        (source / path.name).write_bytes(path.read_bytes())
    weights = (source / "model.safetensors").read_bytes()
    (source / "model.safetensors").write_bytes(weights[: len(weights) // 2])
    with pytest.raises(ModelError, match="can't be loaded"):
        export(source, tmp_path / "made", ExportPlan("encode", ("onnx",)), TEXTS)


def test_a_folder_that_is_there_is_left_alone(checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "made").mkdir()
    with pytest.raises(ModelError, match="exists"):
        export(checkpoint, tmp_path / "made", ExportPlan("encode", ("onnx",)), TEXTS)


# --- smaller models


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("task", ["encode", "score"])
def test_each_method_makes_a_smaller_model_with_near_answers(
    root: Path, tmp_path: Path, method: str, task: str
) -> None:
    source = ModelStore(root).open(task)
    manifest = compress(source, tmp_path / "made", CompressPlan(method, TEXTS))
    made = ModelStore(tmp_path).open("made")
    before, after = ((f.path / f.manifest.graph).stat().st_size for f in (source, made))
    assert after < before
    assert manifest.precision.startswith("float16" if method == "fp16" else "int8")
    found = compare(of(made), of(source))
    assert found.cosine > (0.9999 if method == "fp16" else 0.97)
    assert found.cosine < 1.0 or found.difference > 0.0, "it is another model"


def test_float16_is_on_disk_only(root: Path, tmp_path: Path) -> None:
    compress(ModelStore(root).open("encode"), tmp_path / "made", CompressPlan("fp16"))
    graph = onnx.load(tmp_path / "made" / "model.fp16.onnx")
    halves = [one for one in graph.graph.initializer if one.data_type == onnx.TensorProto.FLOAT16]
    assert len(halves) > 5
    products = [node for node in graph.graph.node if node.op_type == "MatMul"]
    casts = {node.output[0] for node in graph.graph.node if node.op_type == "Cast"}
    assert not {one.name for one in halves} & {name for node in products for name in node.input}
    assert casts & {name for node in products for name in node.input}


def test_smoothing_changes_no_answer_and_evens_out_a_loud_channel(root: Path) -> None:
    source = ModelStore(root).open("encode")
    graph = onnx.load_model_from_string(source.read(source.manifest.graph))
    rows = [
        {value.name: batch[value.name] for value in graph.graph.input} for batch in batches(source)
    ]
    made = smoothed(graph, rows)
    names = [output.name for output in graph.graph.output]
    one, other = (
        onnxruntime.InferenceSession(g.SerializeToString(), providers=["CPUExecutionProvider"])
        for g in (graph, made)
    )
    for row in rows:
        before, after = one.run(names, row)[0], other.run(names, row)[0]
        np.testing.assert_allclose(after, before, atol=1e-4)
    quiet = [node for node in made.graph.node if node.op_type == "Mul" and "/smooth" in node.name]
    assert len(quiet) == 2 * 6, "two layers of six dense layers each"


def test_a_loud_channel_gets_the_greatest_factor() -> None:
    kernel = np.random.default_rng(0).normal(size=(4, 6)).astype(np.float32)
    seen = InputRange(0.0, np.array([1.0, 1.0, 100.0, 1.0], np.float32))
    left = seen.channels / smoothing(kernel, seen)
    assert left.max() / left.min() < 10, "of 100 before"


def test_weights_beside_the_graph_are_loaded_from_their_checked_bytes(
    root: Path, tmp_path: Path
) -> None:
    source = ModelStore(root).open("encode")
    folder = tmp_path / "apart"
    folder.mkdir()
    (folder / "tokenizer.json").write_bytes(source.read("tokenizer.json"))
    graph = onnx.load_model_from_string(source.read(source.manifest.graph))
    options = {"all_tensors_to_one_file": True, "location": "model.onnx_data"}
    onnx.save(graph, folder / "model.onnx", save_as_external_data=True, **options)
    files = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}
    manifest = replace(source.manifest, name="apart", files=files)
    (folder / "manifest.json").write_text(manifest.to_json())
    made = ModelStore(tmp_path).open("apart")
    assert compare(of(made), of(source)).agree
    content = bytearray((folder / "model.onnx_data").read_bytes())
    content[100] ^= 1
    (folder / "model.onnx_data").write_bytes(content)
    with pytest.raises(ModelError, match="_data is not the file of the manifest"):
        OnnxRuntime.open(made, threads=1)


def test_int8_is_not_made_of_int8(root: Path, tmp_path: Path) -> None:
    compress(ModelStore(root).open("encode"), tmp_path / "made", CompressPlan("dynamic"))
    made = ModelStore(tmp_path).open("made")
    with pytest.raises(ModelError, match="int8 already"):
        compress(made, tmp_path / "again", CompressPlan("fp16"))


def test_calibration_needs_text(root: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no text"):
        compress(ModelStore(root).open("encode"), tmp_path / "made", CompressPlan("static"))


def conll(path: Path, tags: Sequence[Sequence[str]]) -> Path:
    """The small texts as a CoNLL file with these tags."""
    lines = []
    for text, row in zip(TEXTS, tags, strict=True):
        lines += [f"{word} {tag}" for word, tag in zip(text.split(), row, strict=True)]
        lines.append("")
    path.write_text("\n".join(lines))
    return path


def own_tags(root: Path, data: Path, name: str) -> list[tuple[str, ...]]:
    from dateline.build.models.served import open_tagger
    from training.tagger.conll import to_bio

    tagger = open_tagger(settings(root, data), name)
    found = tagger.tag_words([text.split() for text in TEXTS])
    tagger.close()
    return [to_bio(tags.labels) for tags in found]


def test_a_tagger_is_judged_by_entity_f1(root: Path, tmp_path: Path) -> None:
    gold = own_tags(root, tmp_path, "tag")
    truth = conll(tmp_path / "own.txt", gold)
    assert entity_f1(settings(root, tmp_path), "tag", truth) > 0.9
    nothing = conll(tmp_path / "other.txt", [["O"] * len(row) for row in gold])
    assert entity_f1(settings(root, tmp_path), "tag", nothing) == 0.0


def test_a_model_that_loses_nothing_is_put_in_place_with_its_figures(
    root: Path, tmp_path: Path
) -> None:
    truth = conll(tmp_path / "own.txt", own_tags(root, tmp_path, "tag"))
    output = tmp_path / "pulled" / "tag-half"
    plan = QuantizePlan("fp16", output, judge=(str(truth),))
    told: list[str] = []
    made = quantize(settings(root, tmp_path), "tag", plan, told.append)
    assert [line.split()[0] for line in told] == ["makes", "judges", "judges", "measures"]
    (judged,) = made.judged
    assert judged.holds
    assert (judged.better, judged.worse, judged.worst) == (0, 0, ())
    assert judged.interval == (0.0, 0.0)
    assert (made.place, made.refused) == (output, False)
    assert made.size_after < made.size_before
    manifest = ModelStore(root, (output.parent,)).open("tag-half").manifest
    assert manifest.quality["own.txt, entity F1"] == round(judged.after, 4)
    assert "--judge" in manifest.commands["own.txt, entity F1"]
    assert sorted(place.name for place in output.parent.iterdir()) == ["tag-half"]


def test_a_model_that_loses_too_much_is_kept_aside(root: Path, tmp_path: Path) -> None:
    """int8 of these random weights changes some labels, which are the truth here."""
    truth = conll(tmp_path / "own.txt", own_tags(root, tmp_path, "tag"))
    output = tmp_path / "pulled" / "tag-int8"
    plan = QuantizePlan("dynamic", output, judge=(str(truth),))
    made = quantize(settings(root, tmp_path), "tag", plan)
    (judged,) = made.judged
    assert judged.before - judged.after > 0.005
    low, high = judged.interval
    assert low <= 100 * (judged.after - judged.before) <= high < 100
    assert made.refused
    assert judged.worst[0].before > judged.worst[0].after
    assert judged.worst[0].text in TEXTS
    assert judged.worst[0].text in (made.place / "report.md").read_text()
    assert made.place == output.with_name("tag-int8.refused")
    assert not output.exists()
    with pytest.raises(ModelError):
        ModelStore(root, (output.parent,)).open("tag-int8")
    with pytest.raises(ModelError):
        ModelStore(root, (output.parent,)).open("tag-int8.refused")


@pytest.mark.parametrize("method", METHODS)
def test_a_report_says_how_far_each_layer_is_from_what_it_was(
    root: Path, tmp_path: Path, method: str
) -> None:
    texts = tmp_path / "texts.txt"
    texts.write_text("\n".join(TEXTS))
    plan = QuantizePlan(method, tmp_path / "made", calibrate=texts, texts=6)
    quantize(settings(root, tmp_path / "data"), "encode", plan)
    report = json.loads((tmp_path / "made" / "report.json").read_text())
    layers = [row["layer"] for row in report["layers"]]
    assert len(layers) == 2 * 6 + 1, "six products in each of two layers, and the output"
    assert len({*layers}) == len(layers)
    assert layers[-1] == "output last_hidden_state"
    for row in report["layers"]:
        assert 0.9 < row["cosine"] <= 1.000001
        assert 5 < row["snr_db"] < 300
    costs = {row["what"]: (row["before"], row["after"]) for row in report["costs"]}
    assert list(costs) == ["MB on disk", "MB of memory", *(what for what in costs if "ms" in what)]
    assert costs["MB on disk"][1] < costs["MB on disk"][0]
    assert all(now > 0 for what, (_, now) in costs.items() if "ms" in what)
    (held_out,) = report["held_out"]
    if method != "static":
        assert (report["fitted"], held_out["count"]) == ([], 8)
        return
    (fitted,) = report["fitted"]
    assert (fitted["name"], fitted["count"], held_out["count"]) == ("texts.txt", 6, 2)
    assert fitted["digest"] == hashlib.sha256("\n".join(TEXTS[:6]).encode()).hexdigest()


@pytest.mark.parametrize("task", ["encode", "score"])
def test_encoders_and_scorers_are_judged_by_ndcg_of_the_service(
    root: Path, tmp_path: Path, task: str
) -> None:
    folder = tmp_path / "judged"
    (folder / "qrels").mkdir(parents=True)
    documents = [{"_id": str(n), "title": "", "text": text} for n, text in enumerate(TEXTS)]
    queries = [{"_id": f"q{n}", "text": text} for n, text in enumerate(TEXTS)]
    for name, rows in (("corpus", documents), ("queries", queries)):
        (folder / f"{name}.jsonl").write_text("\n".join(json.dumps(row) for row in rows) + "\n")
    rows = ["query-id\tcorpus-id\tscore", *(f"q{n}\t{n}\t1" for n in range(len(TEXTS)))]
    (folder / "qrels" / "test.tsv").write_text("\n".join(rows) + "\n")
    given = replace_encoder(settings(root, tmp_path / "data"))
    plan = QuantizePlan("fp16", tmp_path / f"{task}-half", judge=(str(folder),))
    made = quantize(given, task, plan)
    (judged,) = made.judged
    assert judged.measure == "nDCG@10"
    assert judged.before > 0.2
    assert judged.holds


def replace_encoder(given: Settings) -> Settings:
    return given.model_copy(update={"encoder": "encode", "tagger": "", "reranker": ""})


def test_a_name_that_is_taken_or_a_method_that_is_none_is_refused(
    root: Path, tmp_path: Path
) -> None:
    given = settings(root, tmp_path)
    with pytest.raises(InputError, match="of this name"):
        quantize(given, "encode", QuantizePlan("fp16", tmp_path / "tag"))
    with pytest.raises(InputError, match="no method 'int4'"):
        quantize(given, "encode", QuantizePlan("int4", tmp_path / "made"))
    bare = ModelStore(root).open("encode")
    no_graph = ModelFolder(bare.path, replace(bare.manifest, graphs={"safetensors": "x"}))
    with pytest.raises(ModelError, match="no ONNX graph"):
        compress(no_graph, tmp_path / "made", CompressPlan("fp16"))
