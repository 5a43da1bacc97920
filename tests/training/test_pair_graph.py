"""The written graph gives what PyTorch trains, and its head is MaxSim on the first day."""

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the [torch] extra")
pytest.importorskip("onnx", reason="needs the [torch] extra")

import onnx
import onnxruntime as ort
import torch
from tokenizers import Tokenizer, models, pre_tokenizers

from training.graphs.bert import BertShape
from training.graphs.pair import pair_graph
from training.rerank.joint import START_SCALE, JointEncoder, PairTokens, trained_weights

pytestmark = pytest.mark.torch

SHAPE = BertShape(layers=2, heads=4, width=32)
PAIRS = [
    ("who won the match", "spain won the match"),
    ("match", "spain"),
    ("who", ""),
    ("", "spain won"),
]


def tokenizer() -> Tokenizer:
    """Words after the special tokens' usual places."""
    words = ["who", "won", "the", "match", "spain"]
    vocabulary = {"[UNK]": 100, "[CLS]": 101, "[SEP]": 102} | {
        w: 103 + n for n, w in enumerate(words)
    }
    made = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    return made


def model() -> JointEncoder:
    """Random weights of a small BERT, and a head that has learned something."""
    from transformers import BertConfig, BertModel

    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=120,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=128,
    )
    start = BertModel(config, add_pooling_layer=False).state_dict()
    return JointEncoder({n: v.numpy() for n, v in start.items()}, SHAPE, vocabulary=120).eval()


def logits(graph: onnx.ModelProto, batch: dict[str, np.ndarray]) -> np.ndarray:
    session = ort.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    (found,) = session.run(["logits"], batch)
    assert found.shape == (len(PAIRS), 1)
    return found[:, 0]


def test_the_graph_is_the_trained_model() -> None:
    made = model()
    torch.nn.init.normal_(made.cls.weight)
    batch = PairTokens(tokenizer(), 16).batch(PAIRS)
    with torch.no_grad():
        expected = made(batch).numpy()
    graph = pair_graph(trained_weights(made), SHAPE, {})
    onnx.checker.check_model(graph)
    np.testing.assert_allclose(logits(graph, dict(batch)), expected, atol=1e-3)


def test_before_training_a_passage_that_holds_the_query_is_near_the_top_score() -> None:
    graph = pair_graph(trained_weights(model()), SHAPE, {})
    found = logits(graph, dict(PairTokens(tokenizer(), 16).batch(PAIRS)))
    assert found[0] <= START_SCALE + 1e-3
    assert found[2] == pytest.approx(-START_SCALE)  # nothing to find it in
    assert found[3] == pytest.approx(0.0)  # nothing to find


def test_pairs_are_cut_to_the_limit_and_keep_their_ends() -> None:
    batch = PairTokens(tokenizer(), 8).batch([("who won", "spain won the match the match")])
    assert batch["input_ids"].tolist() == [[101, 103, 104, 102, 107, 104, 105, 102]]
    assert batch["token_type_ids"].tolist() == [[0, 0, 0, 0, 1, 1, 1, 1]]
