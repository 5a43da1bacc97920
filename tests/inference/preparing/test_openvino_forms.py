"""OpenVINO computes our int8 graphs in whole numbers, and its own form changes no number."""

from __future__ import annotations

import io
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("openvino", reason="needs the [openvino] extra")

import openvino
from openvino import opset15 as operations

from inference.models.store import ModelStore
from inference.preparing.forms import cut_products, sums_signed_exactly, with_exact_kernels
from inference.runtimes.onnx import OnnxRuntime
from inference.runtimes.openvino import OpenVinoRuntime
from inference.runtimes.parity import answers, compare
from inference.runtimes.sample import ordinary_batches
from inference.texts.tokens import TextTokens
from tests.small_checkpoints import TEXTS

pytestmark = pytest.mark.torch

TEXT_MODELS = ("all-MiniLM-L6-v2", "bge-small-en-v1.5", "distilbert-ner-news")
SHAPES = ((1, 12), (3, 40), (2, 129))
Arrays = dict[str, Any]


def feeds(names: tuple[str, ...], rows: int, tokens: int) -> Arrays:
    """Random tokens; every row but the first has padding."""
    chance = np.random.default_rng(rows * tokens)
    ids = chance.integers(1000, 20000, (rows, tokens)).astype(np.int32)
    mask = np.ones_like(ids)
    for row in range(1, rows):
        mask[row, tokens - row * 5 :] = 0
    given = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
    return {name: given[name] for name in names}


def computed(model: Any, given: Arrays) -> list[Any]:
    """All outputs on one thread in float32."""
    options = {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": "f32"}
    request = openvino.Core().compile_model(model, "CPU", options).create_infer_request()
    request.infer(given)
    return [np.array(tensor.data) for tensor in request.output_tensors]


@pytest.mark.parametrize("name", TEXT_MODELS)
def test_products_cut_apart_give_the_same_numbers_to_the_last_bit(
    models: ModelStore, name: str
) -> None:
    folder = models.open(name)
    graph = with_exact_kernels(folder.read(folder.manifest.graphs["onnx"]))
    whole, apart = (openvino.Core().read_model(io.BytesIO(graph)) for _ in range(2))
    assert cut_products(apart, operations) == (12 if name.startswith("bge") else 6)
    assert not [one for one in apart.get_ops() if one.get_type_name() == "VariadicSplit"]
    names = tuple(port.get_any_name() for port in whole.inputs)
    assert {port.get_any_name() for port in apart.outputs} == {
        port.get_any_name() for port in whole.outputs
    }
    for rows, tokens in SHAPES:
        given = feeds(names, rows, tokens)
        for before, after in zip(computed(whole, given), computed(apart, given), strict=True):
            np.testing.assert_array_equal(before, after)


@pytest.mark.skipif(not sums_signed_exactly(), reason="this processor has no exact products")
@pytest.mark.parametrize("name", TEXT_MODELS)
def test_dense_layers_are_multiplied_as_whole_numbers(models: ModelStore, name: str) -> None:
    runtime = OpenVinoRuntime.open(models.open(name), threads=1)
    with runtime._requests.one() as request:
        compiled = request.get_compiled_model().get_runtime_model()  # what the library made of it
    products = [
        str(one.get_rt_info()["primitiveType"].astype(str))
        for one in compiled.get_ops()
        if one.get_rt_info()["layerType"].astype(str) == "FullyConnected"
    ]
    layers = 12 if name.startswith("bge") else 6
    assert sum(kind.endswith("I8") for kind in products) == 6 * layers


@pytest.mark.parametrize("name", TEXT_MODELS)
def test_answers_are_those_of_the_default_runtime(models: ModelStore, name: str) -> None:
    folder = models.open(name)
    ours, other = OpenVinoRuntime.open(folder, threads=1), OnnxRuntime.open(folder, threads=1)
    if name == "distilbert-ner-news":  # each rounds in its own places: labels count, not logits
        tokenizer = TextTokens.open(folder).tokenizer
        batches = ordinary_batches(tokenizer, TEXTS, pairs=False, longest=64)
        found, wanted = answers(ours, batches), answers(other, batches)
        for one, two in zip(found, wanted, strict=True):
            np.testing.assert_array_equal(one.argmax(axis=1), two.argmax(axis=1))
        return
    batches = [feeds(other.inputs, *shape) for shape in SHAPES]
    near = compare(answers(ours, batches), answers(other, batches), low=True)
    assert near.agree, near


def test_a_kept_graph_answers_as_one_that_is_compiled_now(
    models: ModelStore, tmp_path: Path
) -> None:
    """To the last bit, when it is made and when it is loaded again."""
    name = "all-MiniLM-L6-v2"
    shutil.copytree(models.root / name, tmp_path / name)
    folder = ModelStore(tmp_path).find(name)
    model = openvino.Core().read_model(
        io.BytesIO(with_exact_kernels(folder.read(folder.manifest.graph)))
    )
    cut_products(model, operations)
    options = {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": "f32"}
    request = openvino.Core().compile_model(model, "CPU", options).create_infer_request()
    for _ in range(2):
        runtime = OpenVinoRuntime.open(folder, threads=1)
        for shape in SHAPES:
            given = feeds(runtime.inputs, *shape)
            request.infer(given)
            for output, found in zip(
                runtime.outputs, runtime.run(given, runtime.outputs), strict=True
            ):
                np.testing.assert_array_equal(found, request.get_tensor(output).data)
        runtime.close()
    assert len(list((tmp_path / ".prepared").glob(f"{name}.openvino.*"))) == 1


def small(*, axis: int = 2, shared: bool = False) -> Any:
    """A product in whole numbers, 6 words of 4 numbers to 6, that is cut in three; where `shared`,
    something else takes it whole as well.
    """
    chance = np.random.default_rng(3)
    kernel = operations.constant(chance.integers(-9, 9, (4, 6)).astype(np.int8))
    zero = operations.constant(np.ones(6, np.int8))
    text = operations.parameter([-1, 6, 4], np.float32, name="text")
    centred = operations.subtract(
        operations.convert(kernel, "f32"), operations.convert(zero, "f32")
    )
    scaled = operations.multiply(centred, operations.constant(np.full(6, 0.5, np.float32)))
    product = operations.matmul(text, scaled, False, False)
    joined = operations.add(product, operations.constant(np.arange(6, dtype=np.float32)))
    parts = operations.variadic_split(joined, axis, [1, 2, 3]).outputs()
    return openvino.Model([*parts, joined.output(0)] if shared else parts, [text])


@pytest.mark.parametrize(
    ("given", "cut"),
    [({}, 1), ({"axis": -1}, 1), ({"axis": 1}, 0), ({"shared": True}, 0)],
    ids=["columns", "last axis", "words", "taken whole too"],
)
def test_only_a_product_that_nothing_takes_whole_is_cut_and_by_its_columns(
    given: dict[str, Any], cut: int
) -> None:
    text = {"text": np.random.default_rng(1).normal(size=(2, 6, 4)).astype(np.float32)}
    before, after = small(**given), small(**given)
    assert cut_products(after, operations) == cut
    for one, other in zip(computed(before, text), computed(after, text), strict=True):
        np.testing.assert_array_equal(one, other)
