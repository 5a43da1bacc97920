"""TensorFlow's forms of each model give ONNX Runtime's answers, through the classes that serve.

The models are small, written by our own recipes' code and exported as `dateline models export`
does; what finds shots is the one that ships.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="needs the [tensorflow] extra")
pytest.importorskip("ai_edge_litert", reason="needs the [tensorflow] extra")

import onnx
from onnx import numpy_helper

from benchmarks.models import feeding
from core.errors import ModelError
from dateline.build.models.runtimes import RUNTIMES
from indexing.media.shots.windows import window_lengths
from inference.cross_encoder import CrossEncoder
from inference.encoder import BULK, SentenceEncoder
from inference.measuring.sample_windows import sample_windows
from inference.models.manifest import ModelManifest
from inference.models.store import ModelFolder, ModelStore
from inference.runtime import FeedingRuntime, Runtime
from inference.runtimes.choice import open_choice, parse_choice
from inference.runtimes.loading import library
from inference.runtimes.tensorflow import TensorFlowRuntime
from inference.runtimes.tflite import TfliteRuntime
from inference.shot_detector import TransitionDetector
from inference.tagger import NameTagger
from tests.inference.runtimes.conformance import (
    answers_several_threads,
    cosines,
    keeps_the_port_s_promises,
    same_labels,
    same_order,
    same_vectors,
)
from tests.small_checkpoints import LABELS, TEXTS, small_tokenizer
from training.folder import write_folder
from training.graphs.bert import BertShape, label_graph, sentence_graph
from training.graphs.pair import pair_graph
from training.graphs.quantize import calibrate
from training.tensorflow.export import Exported, export_tensorflow
from training.tensorflow.float_graph import float_graph
from training.tensorflow.graph import TensorGraph
from training.tensorflow.lite import lite_model

pytestmark = [pytest.mark.tensorflow, pytest.mark.filterwarnings("default")]

SHAPE = BertShape(layers=2, heads=4, width=32)
GRAPHS = {"encode": sentence_graph, "tag": label_graph, "score": pair_graph}
KINDS = ("tensorflow:graph", "tensorflow:xla", "tflite:f32")
PARTS = ("attention/qkv", "attention/out", "ffn/wide", "ffn/out")
LONG = " ".join(TEXTS) * 3  # longer than the small models read
FORMATS = ("tensorflow", "tflite", "tflite-int8")
Made = dict[str, tuple[ModelFolder, tuple[Exported, ...]]]


def small_weights(words: int) -> dict[str, np.ndarray]:
    """A small BERT and all heads, random but large enough that answers differ between texts."""
    random = np.random.default_rng(7)
    width, inner = SHAPE.width, 2 * SHAPE.width
    sizes = {"embeddings.word_embeddings": (words, width), "classifier": (len(LABELS), width)}
    sizes |= {"embeddings.position_embeddings": (64, width), "head.cls": (1, width)}
    norms = ["embeddings.LayerNorm"]
    for layer in range(SHAPE.layers):
        base = f"encoder.layer.{layer}."
        for part in ("self.query", "self.key", "self.value", "output.dense"):
            sizes[f"{base}attention.{part}"] = (width, width)
        sizes |= {
            f"{base}intermediate.dense": (inner, width),
            f"{base}output.dense": (width, inner),
        }
        norms += [f"{base}attention.output.LayerNorm", f"{base}output.LayerNorm"]
    found: dict[str, np.ndarray] = {"head.scale": np.ones(1, np.float32)}
    for name, size in sizes.items():
        found[f"{name}.weight"] = random.normal(0, 0.4, size).astype(np.float32)
        found[f"{name}.bias"] = random.normal(0, 0.1, size[0]).astype(np.float32)
    for name in norms:
        found |= {f"{name}.weight": np.ones(width, np.float32)}
        found |= {f"{name}.bias": np.zeros(width, np.float32)}
    return found


def write_source(root: Path, task: str, graph: onnx.ModelProto) -> ModelFolder:
    texts = dict.fromkeys(("architecture", "source", "revision", "licence", "recipe"), "x")
    manifest = ModelManifest(
        name=task,
        task=task,
        **texts,
        files={},
        graphs={"onnx": "graph.onnx"},
        tokenizer="tokenizer.json",
        optimized=True,
        pooling="mean" if task == "encode" else "",
        query_prefix="",
        passage_prefix="",
        max_tokens=48,
        dimension=SHAPE.width,
        labels=LABELS if task == "tag" else (),
        precision="float32",
        quality={},
        languages=("en",),
    )
    root.mkdir(parents=True)
    small_tokenizer().save(str(root / "own.json"))
    folder = root / task
    made = write_folder(folder, manifest, graph, root / "own.json")
    return ModelFolder(folder, made)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    root = tmp_path_factory.mktemp("models")
    weights = small_weights(small_tokenizer().get_vocab_size())
    found: Made = {}
    for task, graph in GRAPHS.items():
        source = write_source(root / f"from-{task}", task, graph(weights, SHAPE, {}))
        rows = export_tensorflow(source, root / task, FORMATS, TEXTS)
        found[task] = (ModelStore(root).open(task), rows)
    return found


def opened(folder: ModelFolder, kind: str) -> Runtime:
    return open_choice(parse_choice(kind, RUNTIMES, where="test"), RUNTIMES, folder, threads=1)


@pytest.fixture
def served(made: Made) -> Iterator[Any]:
    """Opens a model under a runtime, behind the class of its task; closes it afterwards."""
    open_now: list[Any] = []
    classes = {"encode": SentenceEncoder, "tag": NameTagger, "score": CrossEncoder}

    def serve(task: str, kind: str) -> Any:
        folder, _ = made[task]
        model = classes[task].over(folder, opened(folder, kind), threads=2)
        assert model.runtime.kind == kind.partition(":")[0]
        open_now.append(model)
        return model

    yield serve
    for model in open_now:
        model.close()


@pytest.mark.parametrize("task", GRAPHS)
def test_float32_is_within_a_ten_thousandth_and_the_figures_say_so(made: Made, task: str) -> None:
    _, rows = made[task]
    found = {row.format: row.parity for row in rows}
    assert set(found) == {"onnx:cpu", *KINDS, "tflite-int8:int8"}
    assert max(found[kind].difference for kind in KINDS) < 1e-4
    assert 0 < found["tflite-int8:int8"].difference < 0.5


@pytest.mark.parametrize("task", GRAPHS)
def test_the_report_of_int8_has_the_error_of_each_dense_layer(made: Made, task: str) -> None:
    folder, _ = made[task]
    report = json.loads((folder.path / "report.json").read_text("utf-8"))
    rows = {row["layer"]: row["snr_db"] for row in report["layers"]}
    inside = [f"layer{n}/{part}" for n in range(SHAPE.layers) for part in PARTS]
    assert list(rows)[: len(inside)] == inside
    assert all(15 < found < 200 for found in rows.values())
    (size,) = report["costs"]
    assert size["after"] == (folder.path / "model.int8.tflite").stat().st_size / 1e6


@pytest.mark.parametrize("kind", KINDS)
def test_an_encoder_gives_the_same_vectors(served: Any, kind: str) -> None:
    one, other = served("encode", "onnxruntime"), served("encode", kind)
    same_vectors(one, other, [*TEXTS, LONG, ""], least=1 - 1e-6)


@pytest.mark.parametrize("kind", KINDS[:2])
def test_many_passages_are_fed_by_tf_data_and_have_the_same_vectors(
    served: Any, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = served("encode", "onnxruntime"), served("encode", kind)
    texts = [f"{text} {'rain ' * (n % 7)}" for n, text in enumerate([*TEXTS, LONG, ""] * 20)]
    expected = one.encode_passages(texts)
    waited: list[int] = []
    monkeypatch.setattr(type(other.passages), "run", lambda self, rows: waited.append(len(rows)))
    found = other.encode_passages(texts)
    assert waited == [], "the queue is for callers with few texts"
    assert cosines(expected, found).min() >= 1 - 1e-6


def test_what_tf_data_feeds_is_hardly_padded(made: Made) -> None:
    rows = [range(2, 3 + 29 * n % 40) for n in range(200)]
    runtime = opened(made["encode"][0], "tensorflow")
    assert isinstance(runtime, FeedingRuntime)
    fed = [arrays for _, arrays in runtime.batches(rows, tokens=256, padding=0)]
    assert sum(arrays["attention_mask"].sum() for arrays in fed) == sum(map(len, rows))
    assert sum(arrays["input_ids"].size for arrays in fed) < 1.1 * sum(map(len, rows))
    assert max(arrays["input_ids"].size for arrays in fed) <= 256
    runtime.close()


def test_the_benchmark_of_feeding_has_both_ways(made: Made) -> None:
    place, texts = made["encode"][0].path, feeding.texts_of(None, 3)
    assert len(texts) == BULK, "fewer are not fed"
    found = feeding.measured(place, texts, turns=1)
    assert min(found["tf.data ms"], found["queue ms"]) > 0
    assert found["tokens"] > 4
    runtime = opened(made["encode"][0], "tensorflow")
    plain = feeding.Unfed(runtime, runtime.kind, runtime.inputs, runtime.outputs)
    assert isinstance(runtime, FeedingRuntime)
    assert not isinstance(plain, FeedingRuntime)
    plain.close()


@pytest.mark.parametrize("kind", KINDS)
def test_a_tagger_gives_the_same_labels(served: Any, kind: str) -> None:
    same_labels(served("tag", "onnxruntime"), served("tag", kind), (*TEXTS, LONG))


@pytest.mark.parametrize("kind", KINDS)
def test_a_scorer_gives_the_same_order(served: Any, kind: str) -> None:
    same_order(served("score", "onnxruntime"), served("score", kind), [*TEXTS, LONG])


@pytest.mark.parametrize("kind", [*KINDS, "tflite:int8"])
def test_every_runtime_keeps_the_port_s_promises(made: Made, kind: str) -> None:
    folder, _ = made["encode"]
    keeps_the_port_s_promises(opened(folder, kind), "token_embeddings")


@pytest.mark.parametrize("kind", [*KINDS, "tflite:int8"])
def test_every_runtime_answers_several_threads(made: Made, kind: str) -> None:
    folder, _ = made["encode"]
    answers_several_threads(opened(folder, kind))


@pytest.mark.parametrize("kind", [*KINDS, "tflite:int8"])
def test_strange_batches_are_errors_and_never_answers(made: Made, kind: str) -> None:
    folder, _ = made["encode"]
    runtime = opened(folder, kind)
    ids = np.full((2, 4), 7, np.int32)
    for one, other in ((ids[:0], ids[:0]), (ids, np.ones((3, 9), np.int32))):
        with pytest.raises(ModelError):
            runtime.run({"input_ids": one, "attention_mask": other}, runtime.outputs)
    if kind != "tensorflow:graph":
        wide = np.ones((1, 49), np.int32)
        with pytest.raises(ModelError, match="49 tokens"):
            runtime.run({"input_ids": wide, "attention_mask": wide}, runtime.outputs)
    runtime.close()


def test_a_row_has_the_same_vector_to_the_last_bit_whatever_is_beside_it(made: Made) -> None:
    folder, _ = made["encode"]
    runtime = opened(folder, "tflite:int8")
    ids = np.array([[2, 40, 41, 3, 0, 0], [2, 50, 51, 52, 53, 3]], np.int32)
    both = {"input_ids": ids, "attention_mask": (ids > 0).astype(np.int32)}
    (joint,) = runtime.run(both, ("sentence_embedding",))
    alone = {name: array[:1, :4] for name, array in both.items()}
    assert np.array_equal(joint[:1], runtime.run(alone, ("sentence_embedding",))[0])
    runtime.close()


@pytest.mark.parametrize(
    ("path", "way", "option"),
    [
        ("saved_model.pb", TensorFlowRuntime.open, "graph"),
        ("model.tflite", TfliteRuntime.open, "f32"),
        ("model.int8.tflite", TfliteRuntime.open, "int8"),
    ],
)
def test_a_changed_file_is_never_loaded(
    made: Made, tmp_path: Path, path: str, way: Any, option: str
) -> None:
    whole, _ = made["encode"]
    content = bytearray((whole.path / path).read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / path).write_bytes(content)
    with pytest.raises(ModelError, match="is not the file of the manifest"):
        way(ModelFolder(tmp_path, whole.manifest), threads=1, option=option)


@pytest.fixture(scope="module")
def in_int8(tmp_path_factory: pytest.TempPathFactory) -> tuple[ModelFolder, list[Any]]:
    """An encoder in int8, with smoothed activations, and the batches that they were found on."""
    weights = small_weights(small_tokenizer().get_vocab_size())
    tokens = [small_tokenizer().encode(text).ids for text in TEXTS]
    batches = [
        {"input_ids": np.array([ids], np.int32), "attention_mask": np.ones((1, len(ids)), np.int32)}
        for ids in tokens
    ]
    ranges = calibrate(sentence_graph(weights, SHAPE, {}), batches)
    graph = sentence_graph(weights, SHAPE, ranges)
    source = write_source(tmp_path_factory.mktemp("int8") / "from", "encode", graph)
    return replace(source, manifest=replace(source.manifest, precision="int8")), batches


def test_an_int8_graph_becomes_float32_with_its_weights(in_int8: Any, tmp_path: Path) -> None:
    """The reference has the weights that the whole numbers stand for, so it is near the graph."""
    source, batches = in_int8
    rows = export_tensorflow(source, tmp_path / "made", ("tensorflow",), TEXTS)
    assert [row.format for row in rows] == ["onnx:cpu", "tensorflow:graph", "tensorflow:xla"]
    folder = ModelStore(tmp_path).open("made")
    assert folder.manifest.precision == "float32, of weights that were int8"
    one, other = opened(source, "onnxruntime"), opened(folder, "tensorflow")
    for batch in batches:
        (ours,), (theirs,) = (r.run(batch, ("sentence_embedding",)) for r in (one, other))
        assert float((ours * theirs).sum()) > 0.98
        assert not np.allclose(ours, theirs, atol=1e-6), "it rounds nothing"


def test_tflite_in_int8_has_the_kernels_that_an_int8_graph_had(in_int8: Any) -> None:
    """A factor that is multiplied into a kernel would take the smoothing back."""
    graph = onnx.load_model_from_string(in_int8[0].read("graph.onnx"))
    kernels = [
        numpy_helper.to_array(one).astype(int) - 128
        for one in graph.graph.initializer
        if one.name.endswith("/kernel")
    ]
    content = lite_model(TensorGraph.of(float_graph(graph)), [16], int8=True)
    interpreter = library("ai_edge_litert.interpreter").Interpreter(model_content=content)
    found = [
        interpreter.get_tensor(one["index"]).T
        for one in interpreter.get_tensor_details()
        if one["dtype"] == np.int8 and one["quantization_parameters"]["scales"].size > 1
    ]
    assert len(found) == len(kernels) == 4 * SHAPE.layers
    for kernel in kernels:
        assert any(kernel.shape == one.shape and np.array_equal(kernel, one) for one in found)


def test_an_unknown_operator_is_named_and_nothing_is_kept(tmp_path: Path) -> None:
    graph = sentence_graph(small_weights(200), SHAPE, {})
    node = next(one for one in graph.graph.node if one.op_type == "LpNormalization")
    node.op_type = "Hardmax"
    del node.attribute[:]
    source = write_source(tmp_path / "from", "encode", graph)
    with pytest.raises(ModelError, match="Hardmax"):
        export_tensorflow(source, tmp_path / "made", ("tensorflow",), TEXTS)
    assert not (tmp_path / "made").exists()


def test_what_finds_shots_gives_the_same_scores(models: ModelStore, tmp_path: Path) -> None:
    source = models.open("transnetv2")
    rows = export_tensorflow(source, tmp_path / "shots", ("tensorflow", "tflite"), ())
    assert max(row.parity.difference for row in rows) < 1e-4
    folder = ModelStore(tmp_path).open("shots")
    detectors = {kind: TransitionDetector.over(folder, opened(folder, kind)) for kind in KINDS}
    reference = TransitionDetector.over(folder, opened(folder, "onnxruntime"))
    for length in window_lengths(folder.manifest.max_tokens):
        windows = sample_windows(1, frames=length, seed=9)
        expected = reference.transitions(windows)
        assert expected.max() > 0.5, "it finds the cut"
        for kind, detector in detectors.items():
            found = detector.transitions(windows)
            np.testing.assert_allclose(found, expected, atol=1e-4, err_msg=f"{kind}, {length}")
