"""The cross-encoder as an ONNX graph: BERT over query and passage at once, and a head that starts
as late interaction.

    logit = scale x (mean over query tokens of their best cosine with a passage token) + cls . w + b

Both texts are one sequence, [CLS] query [SEP] passage [SEP], so that every token has seen the other
text before it is compared; the mean of best cosines is MaxSim (Khattab and Zaharia 2020). Token
types only say which text a token belongs to: the embedding of type 1 is not used.
"""

import numpy as np
import onnx
from onnx import TensorProto

from training.graphs.bert import BertShape, GraphDraft, Ranges, Weights, add_encoder, finish

PAIR_INPUTS = ("input_ids", "attention_mask", "token_type_ids")
CLS, SEP = 101, 102  # in the vocabulary of every English BERT


def pair_graph(weights: Weights, shape: BertShape, ranges: Ranges) -> onnx.ModelProto:
    """Return the graph with output `logits` [n, 1] for int32 PAIR_INPUTS [n, t].

    `weights` are BERT's, with the head's `head.scale` [1], `head.cls.weight` [1, d] and
    `head.cls.bias` [1].
    """
    draft = GraphDraft(ranges)
    hidden = add_encoder(draft, weights, shape)
    best = _late_interaction(draft, weights, hidden)
    first = draft.constant("head/first", np.array([0], np.int64))
    row = draft.node("Gather", [hidden, first], ["head/row"], axis=1)
    cls = draft.node("Squeeze", [row, "head/axis"], ["head/cls"])
    kernel = draft.constant("head/kernel", weights["head.cls.weight"].T)
    term = draft.node("MatMul", [cls, kernel], ["head/term"])
    bias = draft.constant("head/bias", weights["head.cls.bias"])
    biased = draft.node("Add", [term, bias], ["head/biased"])
    draft.node("Add", [best, biased], ["logits"])
    return finish(draft, {"logits": ["n", 1]}, PAIR_INPUTS)


def _late_interaction(draft: GraphDraft, weights: Weights, hidden: str) -> str:
    """Return hidden states [n, t, d] to the scaled mean of best cosines [n, 1]."""
    asked, answering = _sides(draft)
    unit = draft.node("LpNormalization", [hidden], ["head/unit"], axis=-1, p=2)
    turned = draft.node("Transpose", [unit], ["head/turned"], perm=[0, 2, 1])
    cosines = draft.node("MatMul", [unit, turned], ["head/cosines"])
    least = draft.constant("head/least", np.array(-1.0, np.float32))
    one = draft.constant("head/axis", np.array([1], np.int64))
    across = draft.node("Unsqueeze", [answering, one], ["head/across"])
    seen = draft.node("Where", [across, cosines, least], ["head/seen"])
    best = draft.node("ReduceMax", [seen], ["head/best"], axes=[2], keepdims=0)
    counted = draft.node("Cast", [asked], ["head/counted"], to=TensorProto.FLOAT)
    kept = draft.node("Mul", [best, counted], ["head/kept"])
    total = draft.node("ReduceSum", [kept, one], ["head/total"], keepdims=1)
    count = draft.node("ReduceSum", [counted, one], ["head/count"], keepdims=1)
    floor = draft.constant("head/floor", np.array(1.0, np.float32))
    divisor = draft.node("Max", [count, floor], ["head/divisor"])
    mean = draft.node("Div", [total, divisor], ["head/mean"])
    scale = draft.constant("head/scale", weights["head.scale"].reshape(1))
    return draft.node("Mul", [mean, scale], ["head/late"])


def _sides(draft: GraphDraft) -> tuple[str, str]:
    """Return which tokens are the query's and which the passage's, bool [n, t]; special tokens are
    neither.
    """
    zero = draft.constant("head/zero", np.array(0, np.int32))
    present = draft.node("Greater", ["attention_mask", zero], ["head/present"])
    for name, number in (("cls", CLS), ("sep", SEP)):
        token = draft.constant(f"head/{name}_token", np.array(number, np.int32))
        same = draft.node("Equal", ["input_ids", token], [f"head/is_{name}"])
        other = draft.node("Not", [same], [f"head/not_{name}"])
        present = draft.node("And", [present, other], [f"head/without_{name}"])
    second = draft.node("Greater", ["token_type_ids", zero], ["head/second"])
    opening = draft.node("Not", [second], ["head/opening"])
    asked = draft.node("And", [opening, present], ["head/asked"])
    answering = draft.node("And", [second, present], ["head/answering"])
    return asked, answering
