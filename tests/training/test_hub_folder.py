"""A converted model opens in transformers and sentence-transformers, and its graph takes int64."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the [torch] extra")
pytest.importorskip("onnx", reason="needs the [torch] extra")

import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from sentence_transformers import SentenceTransformer
from transformers import AutoModelForTokenClassification, AutoTokenizer, pipeline

from core.errors import ModelError
from dateline.default_folders import default_models
from dateline.measuring.model_texts import read_texts
from inference.encoder import SentenceEncoder
from inference.models.store import ModelFolder, ModelStore
from inference.runtimes.onnx import OnnxRuntime
from training.folder import write_graph
from training.public_models.hub_folder import likeness, write_hub_folder

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("default")]

ENCODERS = ("all-MiniLM-L6-v2", "bge-small-en-v1.5")
TAGGER = "distilbert-ner-news"
SOME = ["Angela Merkel met managers of Siemens in Berlin.", "rates", "ferry " * 400]


@pytest.fixture(scope="module")
def store() -> ModelStore:
    return ModelStore(default_models())


@pytest.fixture(scope="module")
def converted(store: ModelStore, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the folder of each model."""
    root = tmp_path_factory.mktemp("hub")
    for name in (*ENCODERS, TAGGER):
        write_hub_folder(store.find(name), root / name)
    return root


@pytest.mark.parametrize("name", [*ENCODERS, TAGGER])
def test_the_graph_takes_int64_and_gives_the_same_numbers(
    store: ModelStore, converted: Path, name: str
) -> None:
    tokenizer = AutoTokenizer.from_pretrained(converted / name)
    given = dict(tokenizer(SOME, padding=True, truncation=True, return_tensors="np"))
    assert {(key, str(value.dtype)) for key, value in given.items()} == {
        ("input_ids", "int64"),
        ("attention_mask", "int64"),
    }
    assert given["input_ids"].shape[1] == store.describe(name).manifest.max_tokens
    output = "logits" if name == TAGGER else "token_embeddings"
    runtime = OnnxRuntime.open(store.find(name), threads=1)
    (expected,) = runtime.run({key: v.astype(np.int32) for key, v in given.items()}, [output])
    runtime.close()
    graph = str(converted / name / "onnx" / "model.onnx")
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    shown = "logits" if name == TAGGER else "last_hidden_state"
    (found,) = session.run([shown], given)
    read = given["attention_mask"].astype(bool)
    assert np.abs(found[read] - expected[read]).max() < 1e-5


@pytest.mark.parametrize("name", ENCODERS)
def test_sentence_transformers_gives_nearly_the_encoders_vectors(
    store: ModelStore, converted: Path, name: str
) -> None:
    encoder = SentenceEncoder.open(store, name, threads=1)
    opened = SentenceTransformer(str(converted / name), device="cpu")
    texts = [*SOME, *read_texts(None, 8)]
    passages = encoder.encode_passages(texts), opened.encode_document(texts)
    queries = encoder.encode_queries(texts), opened.encode_query(texts)
    for ours, theirs in (passages, queries):
        assert np.linalg.norm(theirs, axis=1) == pytest.approx(1, abs=1e-5)
        cosines = (ours * theirs).sum(axis=1)
        assert cosines.min() > 0.99
        assert cosines.mean() > 0.998
    assert np.array_equal(passages[1], queries[1]) == (name == "all-MiniLM-L6-v2"), "the prefix"


def test_transformers_gives_nearly_the_taggers_labels(store: ModelStore, converted: Path) -> None:
    opened, told = AutoModelForTokenClassification.from_pretrained(
        converted / TAGGER, output_loading_info=True
    )
    assert not any(told.values()), "every weight has its place"
    tokenizer = AutoTokenizer.from_pretrained(converted / TAGGER)
    names = pipeline("ner", opened, tokenizer=tokenizer, aggregation_strategy="first")(SOME[0])
    assert [(name["entity_group"], name["word"]) for name in names] == [
        ("PER", "angela merkel"),
        ("ORG", "siemens"),
        ("LOC", "berlin"),
    ]
    near = likeness(store.find(TAGGER), converted / TAGGER, read_texts(None, 20))
    assert near.mean > 0.999
    assert near.same_label is not None
    assert near.same_label > 0.99


def test_what_no_recipe_wrote_is_refused_and_nothing_stays(
    store: ModelStore, tmp_path: Path
) -> None:
    manifest = replace(store.describe(ENCODERS[0]).manifest, name="other", dimension=4)
    table = numpy_helper.from_array(np.zeros((9, 4), np.float32), "table")
    node = helper.make_node("Gather", ["table", "input_ids"], ["last_hidden_state"])
    given = helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["n", "t"])
    told = helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, ["n", "t", 4])
    graph = helper.make_model(helper.make_graph([node], "other", [given], [told], [table]))
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "tokenizer.json").write_bytes(b"{}")
    other = ModelFolder(tmp_path / "other", write_graph(tmp_path / "other", manifest, graph))
    scorer = replace(store.find(TAGGER), manifest=replace(manifest, task="score"))
    before = sorted(tmp_path.iterdir())
    with pytest.raises(ModelError, match="words/table"):
        write_hub_folder(other, tmp_path / "made")
    for folder in (scorer, store.find("transnetv2-int8")):
        with pytest.raises(ModelError, match="no encoder or tagger"):
            write_hub_folder(folder, tmp_path / "made")
    with pytest.raises(ModelError, match="exists"):
        write_hub_folder(store.find(TAGGER), tmp_path / "other")
    assert sorted(tmp_path.iterdir()) == before
