"""One port: what every runtime promises, shown on ONNX Runtime, which is always installed, and
what is said where another one is not.
"""

from __future__ import annotations

import threading

import numpy as np
import onnxruntime as ort
import pytest

from core.errors import ModelError
from inference.models.store import ModelFolder, ModelStore
from inference.runtimes.loading import fitted, installed, library
from inference.runtimes.onnx import OnnxRuntime
from inference.runtimes.openvino import OpenVinoRuntime
from inference.runtimes.torch import TorchRuntime

SENTENCE = "sentence_embedding"


@pytest.fixture(scope="module")
def folder(models: ModelStore) -> ModelFolder:
    return models.open("all-MiniLM-L6-v2")


@pytest.fixture(scope="module")
def runtime(folder: ModelFolder) -> OnnxRuntime:
    return OnnxRuntime.open(folder, threads=1)


def feeds(kind: type[np.generic] = np.int32, rows: int = 2) -> dict[str, np.ndarray]:
    ids = np.array([[101, 7592, 2088, 102]] * rows, dtype=kind).reshape(rows, 4)
    return {"input_ids": ids, "attention_mask": np.ones_like(ids)}


def test_named_arrays_go_in_and_come_out_in_the_order_asked_for(runtime: OnnxRuntime) -> None:
    assert runtime.kind == "onnxruntime"
    assert set(runtime.inputs) == {"input_ids", "attention_mask"}
    tokens, sentence = runtime.run(feeds(), ("token_embeddings", SENTENCE))
    assert tokens.shape == (2, 4, 384)
    assert sentence.shape == (2, 384)


def test_int64_is_cast_to_what_the_graph_wants(runtime: OnnxRuntime) -> None:
    (short,), (long,) = (runtime.run(feeds(kind), (SENTENCE,)) for kind in (np.int32, np.int64))
    assert np.array_equal(short, long)


def test_a_strange_name_or_array_is_named_in_the_error(runtime: OnnxRuntime) -> None:
    with pytest.raises(ModelError, match="gives sentence_embedding, token_embeddings, not logits"):
        runtime.run(feeds(), ("logits",))
    with pytest.raises(ModelError, match="takes input_ids, attention_mask, and was given"):
        runtime.run({"input_ids": feeds()["input_ids"]}, (SENTENCE,))
    with pytest.raises(ModelError, match="was given nothing"):
        runtime.run({}, (SENTENCE,))
    texts = {**feeds(), "input_ids": np.array([["a"]])}
    with pytest.raises(ModelError, match="input_ids has no numbers"):
        runtime.run(texts, (SENTENCE,))
    ragged = {**feeds(), "attention_mask": np.ones((3, 9), np.int32)}
    with pytest.raises(ModelError, match="the model failed"):
        runtime.run(ragged, (SENTENCE,))
    outside = {**feeds(), "input_ids": np.full((2, 4), 10**6)}
    with pytest.raises(ModelError, match="the model failed"):
        runtime.run(outside, (SENTENCE,))


def test_several_threads_get_their_own_answers(runtime: OnnxRuntime) -> None:
    alone = {rows: runtime.run(feeds(rows=rows), (SENTENCE,))[0] for rows in (1, 2, 3, 4)}
    wrong: list[int] = []

    def work(rows: int) -> None:
        for _ in range(10):
            (found,) = runtime.run(feeds(rows=rows), (SENTENCE,))
            if not np.array_equal(found, alone[rows]):
                wrong.append(rows)

    threads = [threading.Thread(target=work, args=(rows,)) for rows in alone]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_closed_model_says_so(folder: ModelFolder) -> None:
    opened = OnnxRuntime.open(folder, threads=1)
    opened.close()
    opened.close()
    with pytest.raises(ModelError, match="was closed"):
        opened.run(feeds(), (SENTENCE,))


@pytest.mark.skipif(
    "CUDAExecutionProvider" in ort.get_available_providers(), reason="this one can use a card"
)
@pytest.mark.parametrize("option", ["cuda", "tensorrt"])
def test_no_card_is_said_with_the_way_out(folder: ModelFolder, option: str) -> None:
    with pytest.raises(ModelError, match="can't use an NVIDIA card") as found:
        OnnxRuntime.open(folder, threads=1, option=option)
    assert ("TensorRT" in found.value.what) == (option == "tensorrt")
    assert "onnxruntime-gpu" in found.value.mend
    assert "cpu" in found.value.mend


@pytest.mark.skipif(installed("openvino"), reason="OpenVINO is installed")
def test_openvino_missing_names_its_extra(folder: ModelFolder) -> None:
    with pytest.raises(ModelError, match="openvino is not installed") as found:
        OpenVinoRuntime.open(folder, threads=1)
    assert "dateline-search[openvino]" in found.value.mend


@pytest.mark.skipif(installed("torch"), reason="PyTorch is installed")
@pytest.mark.parametrize("way", ["open", "open_compiled", "open_script"])
def test_torch_missing_names_its_extra(folder: ModelFolder, way: str) -> None:
    with pytest.raises(ModelError, match="torch is not installed") as found:
        getattr(TorchRuntime, way)(folder, threads=1)
    assert "dateline-search[torch]" in found.value.mend


def test_a_library_within_ours_is_named_by_what_is_missing() -> None:
    with pytest.raises(ModelError, match="no_such_library is not installed"):
        library("no_such_library.part")


def test_no_rows_are_refused_before_they_end_the_process(runtime: OnnxRuntime) -> None:
    with pytest.raises(ModelError, match="no rows"):
        runtime.run(feeds(rows=0), (SENTENCE,))


def test_arrays_are_copied_only_where_they_must_be() -> None:
    array = np.ones((2, 3), np.int64)
    assert fitted({"a": array}, {"a": np.int64}, "here")["a"] is array
    turned = fitted({"a": array.T}, {"a": np.int32}, "here")["a"]
    assert turned.flags["C_CONTIGUOUS"]
    assert turned.dtype == np.int32
