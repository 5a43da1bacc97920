"""Each recipe runs end to end on a slice, and the parts do what they say."""

import argparse
import os
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the [torch] extra")
pytest.importorskip("onnx", reason="needs the [torch] extra")
pytest.importorskip("seqeval", reason="needs the [torch] extra")

import onnx
import onnxruntime as ort

from inference.encoder import SentenceEncoder
from inference.models.store import ModelStore
from inference.tagger import NameTagger
from training import minilm, ner, sentence_encoder
from training.folder import training_data
from training.graphs.bert import FUSED, OPSET, BertShape, GraphDraft, folded, label_graph
from training.graphs.quantize import InputRange, calibrate, quantize, quantize_dense

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("default")]

SHARED = Path(os.environ.get("DATELINE_SHARED", Path(__file__).parents[3] / "shared"))


def needs(path: Path) -> Path:
    """`path`, or a skip that says what is missing."""
    if not path.exists():
        pytest.skip(f"the data set {path.name} is not here")
    return path


def test_a_scale_for_each_line_keeps_numbers_within_half_a_step() -> None:
    values = np.random.default_rng(0).normal(size=(8, 5)).astype(np.float32)
    values[3] = 0.0
    for axis in (0, 1):
        whole, scale = quantize(values, axis=axis)
        back = whole * np.expand_dims(scale, axis)
        assert whole.dtype == np.int8
        assert (np.abs(back - values) <= np.expand_dims(scale, axis) / 2 + 1e-6).all()


def test_smoothing_saves_the_quiet_channels() -> None:
    chance = np.random.default_rng(0)
    x = chance.normal(size=(64, 16)).astype(np.float32)
    x[:, 3] *= 100.0  # one loud channel, as transformers have
    kernel = chance.normal(size=(16, 8)).astype(np.float32)
    made = quantize_dense(kernel, InputRange(float(x.min()), np.abs(x).max(axis=0)))
    whole = np.clip(np.rint(x * made.inverse / made.step) + made.zero, 0, 255) - made.zero
    smoothed = (whole * made.step) @ (made.kernel * made.scale)
    step = np.abs(x).max() / 127  # what one range for all channels would round to
    plain = (np.rint(x / step) * step) @ kernel
    error, worse = np.abs(smoothed - x @ kernel).mean(), np.abs(plain - x @ kernel).mean()
    assert error < worse / 3


def test_the_encoder_recipe_on_a_slice(tmp_path: Path) -> None:
    data = needs(SHARED / "datasets")
    figures = sentence_encoder.make(minilm.RECIPE, tmp_path, data, limit=40, quick=True)
    assert figures["fp32 least cosine with PyTorch"] > 0.9999
    assert figures["mean cosine with fp32"] > 0.99
    made = SentenceEncoder.open(ModelStore(tmp_path), minilm.NAME, threads=1)
    assert np.linalg.norm(made.encode_queries(["a test"])) == pytest.approx(1.0, abs=1e-5)
    assert made.manifest.quality["mean cosine with fp32"] > 0.99


@pytest.mark.deep
def test_the_tagger_recipe_on_a_slice(tmp_path: Path) -> None:
    data = needs(SHARED / "ner" / "conll2003")
    checkpoint = tmp_path / "weights.safetensors"
    given = argparse.Namespace(
        data=data,
        others=data.parent,
        start="minilm",  # comes by pip; bge-small needs Maven
        output=tmp_path,
        epochs=1,
        limit=60,
        threads=1,
        checkpoint=checkpoint,
        training_data=None,
    )
    figures = ner.make(given)
    made = NameTagger.open(ModelStore(tmp_path), ner.NAME, threads=1)
    assert made.folder.manifest.labels[0] == "O"
    assert made.folder.manifest.quality.keys() == figures.keys()
    assert 0.0 <= figures["testb, entity F1"] <= 1.0
    before = checkpoint.stat().st_mtime_ns
    again = ner.make(given)  # from the checkpoint: the same weights, so the same figures
    assert checkpoint.stat().st_mtime_ns == before
    assert again["fp32 testb, entity F1"] == figures["fp32 testb, entity F1"]
    assert ner.measured(given)["testb, entity F1"] == figures["testb, entity F1"]


def test_the_last_fifth_of_testa_is_not_learnt_from(tmp_path: Path) -> None:
    for name, count in (("eng.train", 3), ("eng.testa", ner.HELD_OUT + 2)):
        lines = [f"{name}-{number} NN I-NP I-PER\n\n" for number in range(count)]
        (tmp_path / name).write_text("".join(lines))
    found = ner.tagged(argparse.Namespace(data=tmp_path, limit=None))
    assert [each.words[0] for each in found] == [
        *(f"eng.train-{number}" for number in range(3)),
        *(f"eng.testa-{number}" for number in range(2)),
    ]


@pytest.mark.parametrize("said", ["Our wire", "Our wire||any", "a|b|c|d"])
def test_what_texts_are_is_said_in_three_parts(said: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=r"NAME\|LICENCE\|USE"):
        training_data(said)
    assert training_data("Our wire | our own | any").name == "Our wire"


def small_bert(chance: np.random.Generator, shape: BertShape) -> dict[str, np.ndarray]:
    """Weights at random for one layer and three labels."""
    wide = shape.width

    def some(*sizes: int) -> np.ndarray:
        return chance.normal(size=sizes).astype(np.float32) / np.float32(wide**0.5)

    layer = {
        **{f"attention.self.{part}": (wide, wide) for part in ("query", "key", "value")},
        "attention.output.dense": (wide, wide),
        "intermediate.dense": (4 * wide, wide),
        "output.dense": (wide, 4 * wide),
    }
    weights = {
        "embeddings.word_embeddings.weight": some(50, wide) * 9,
        "embeddings.position_embeddings.weight": some(16, wide),
        "classifier.weight": some(3, wide),
        "classifier.bias": some(3),
    }
    for name, sizes in layer.items():
        weights[f"encoder.layer.0.{name}.weight"] = some(*sizes)
        weights[f"encoder.layer.0.{name}.bias"] = some(sizes[0])
    for name in ("embeddings", "encoder.layer.0.attention.output", "encoder.layer.0.output"):
        weights[name + ".LayerNorm.weight"] = 1 + some(wide)
        weights[name + ".LayerNorm.bias"] = some(wide)
    return weights


def test_smoothing_that_is_folded_into_the_values_changes_no_answer() -> None:
    shape = BertShape(layers=1, heads=2, width=16)
    chance = np.random.default_rng(5)
    weights = small_bert(chance, shape)
    weights["encoder.layer.0.attention.self.value.weight"][3] *= 40  # a loud channel
    ids = chance.integers(0, 50, (4, 9)).astype(np.int32)
    batch = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
    graph = label_graph(weights, shape, {})
    ranges = calibrate(graph, [batch])
    same, left = folded(weights, ranges, shape)

    def answers(model: onnx.ModelProto) -> np.ndarray:
        return ort.InferenceSession(model.SerializeToString()).run(["logits"], batch)[0]

    wanted = answers(graph)
    assert np.allclose(answers(label_graph(same, shape, {})), wanted, atol=1e-4)
    plain, without = label_graph(weights, shape, ranges), label_graph(same, shape, left)
    removed = {node.output[0] for node in plain.graph.node} - {
        node.output[0] for node in without.graph.node
    }
    assert removed == {"layer0/attention/out/smooth"}
    error, before = (np.abs(answers(each) - wanted).mean() for each in (without, plain))
    assert error < 1.2 * before < 0.05 * np.abs(wanted).max()


def test_a_rounded_layer_does_not_overflow_on_any_processor() -> None:
    """Every product at its greatest: summed in 16 bits, two of them are too much."""
    x = np.full((4, 64), 10.0, np.float32)
    kernel = np.full((64, 8), 0.5, np.float32)
    draft = GraphDraft({"layer": InputRange(0.0, np.full(64, 10.0, np.float32))})
    made = draft.dense("x", kernel, np.zeros(8, np.float32), "layer")
    given = [onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["n", 64])]
    result = [onnx.helper.make_tensor_value_info(made, onnx.TensorProto.FLOAT, ["n", 8])]
    graph = onnx.helper.make_graph(draft.nodes, "one", given, result, draft.constants)
    opsets = [onnx.helper.make_opsetid("", OPSET), onnx.helper.make_opsetid(FUSED, 1)]
    model = onnx.helper.make_model(graph, opset_imports=opsets, ir_version=8)
    (found,) = ort.InferenceSession(model.SerializeToString()).run(None, {"x": x})
    assert np.allclose(found, x @ kernel, rtol=0.01)
