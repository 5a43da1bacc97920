"""The BERT encoder as an ONNX graph, written node by node from a table of weights.

The graph is written by hand and not traced. A traced graph is fast only if a pattern matcher
recognises it, and tracer and matcher change with every release. A written graph is the same on
every machine and reads from top to bottom, and each dense layer can have its own precision.

Add and LayerNormalization are two operators here, not the fused SkipLayerNormalization, whose CPU
kernel takes twice as long: this saves a fifth of the whole model's time. So the runtime must not
optimize beyond its basic level; the manifest says so (`optimized`).

Weights are numpy arrays under Hugging Face's BERT names without the prefix `bert.`.

Sources: Devlin et al. 2019 (architecture); ONNX Runtime's contrib operator reference.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from training.graphs.quantize import SHIFT, Floats, InputRange, quantize, quantize_dense, smoothing

OPSET = 17
FUSED = "com.microsoft"  # the domain of ONNX Runtime's own operators

Weights = Mapping[str, Floats]
Ranges = Mapping[str, InputRange]  # by the name of a dense layer


@dataclass(frozen=True, slots=True)
class BertShape:
    """What a graph needs besides its weights."""

    layers: int = 6
    heads: int = 12
    width: int = 384
    epsilon: float = 1e-12


@dataclass(frozen=True, slots=True)
class GraphDraft:
    """Nodes and constants in the order they were added; ONNX wants a topological order.

    A dense layer named in `ranges` becomes int8, the others stay float32; the word embeddings are
    int8 if any layer is.
    """

    ranges: Ranges = field(default_factory=dict)
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: list[onnx.TensorProto] = field(default_factory=list)

    def constant(self, name: str, value: npt.NDArray[np.generic]) -> str:
        """Store `value` under `name`; return the name, for use as a node's input."""
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def node(
        self, kind: str, inputs: list[str], outputs: list[str], domain: str = "", **given: object
    ) -> str:
        """Add one operator; return its first output's name."""
        made = helper.make_node(kind, inputs, outputs, outputs[0] + "/op", domain=domain, **given)
        self.nodes.append(made)
        return outputs[0]

    def dense(self, x: str, kernel: Floats, bias: Floats, name: str) -> str:
        """Return `x @ kernel + bias` for a kernel [in, out], in int8 if `ranges` names the
        layer.
        """
        offset = self.constant(name + "/bias", bias)
        if name in self.ranges:
            return self.int8_dense(x, kernel, offset, name)
        product = self.node(
            "MatMul", [x, self.constant(name + "/kernel", kernel)], [name + "/product"]
        )
        return self.node("Add", [product, offset], [name])

    def int8_dense(self, x: str, kernel: Floats, offset: str, name: str) -> str:
        """Smooth and round the input, multiply integers, scale back and add the bias.

        The kernel is shifted to unsigned numbers. On a processor without a dot product of bytes
        (AVX2 without VNNI), a product of unsigned and signed bytes is summed in 16 bits, which
        overflow. Mean cosine with float32 there, on MiniLM-L6: .9951 signed, .9977 unsigned.
        Elsewhere both give the same product.
        """
        made = quantize_dense(kernel, self.ranges[name])
        step = self.constant(name + "/step", np.array(made.step, np.float32))
        zero = self.constant(name + "/zero", np.array(made.zero, np.uint8))
        if self.ranges[name].smooth:
            inverse = self.constant(name + "/inverse", made.inverse)
            x = self.node("Mul", [x, inverse], [name + "/smooth"])
        whole = self.node("QuantizeLinear", [x, step, zero], [name + "/whole"])
        inputs = [
            whole,
            self.constant(name + "/kernel", made.unsigned),
            step,
            self.constant(name + "/scale", made.scale),
            zero,
            self.constant(name + "/kernel_zero", np.full(made.scale.size, SHIFT, np.uint8)),
            offset,
        ]
        return self.node("MatMulIntegerToFloat", inputs, [name], FUSED)

    def norm(self, x: str, weights: Weights, base: str, shape: BertShape, name: str) -> str:
        """Return layer normalization over the last axis with the weights under `base`."""
        gamma = self.constant(name + "/gamma", weights[base + "weight"])
        beta = self.constant(name + "/beta", weights[base + "bias"])
        return self.node(
            "LayerNormalization", [x, gamma, beta], [name], axis=-1, epsilon=shape.epsilon
        )


def folded_positions(weights: Weights) -> Floats:
    """Return position embeddings [512, d] plus the embedding of token type 0.

    Every text here is one segment, so the type embedding is a constant. Adding it to each position
    once saves a lookup per call, and gives the shape of DistilBERT, which has no types.
    """
    positions = weights["embeddings.position_embeddings.weight"]
    types = weights.get("embeddings.token_type_embeddings.weight")
    return positions if types is None else (positions + types[0]).astype(np.float32)


def add_words(draft: GraphDraft, weights: Weights) -> str:
    """Return word embeddings for ids [n, t]: [n, t, d].

    Each int8 row has its own scale instead of one for the table. This is nearer to float32 at no
    cost, because a lookup reads only the rows it needs.
    """
    table = weights["embeddings.word_embeddings.weight"]
    if not draft.ranges:
        return draft.node("Gather", [draft.constant("words/table", table), "input_ids"], ["words"])
    whole, scale = quantize(table, axis=1)
    inputs = [draft.constant("words/table", whole), "input_ids"]
    rows = draft.node("Gather", inputs, ["words/rows"])
    floats = draft.node("Cast", [rows], ["words/floats"], to=TensorProto.FLOAT)
    inputs = [draft.constant("words/scale", scale[:, None]), "input_ids"]
    scales = draft.node("Gather", inputs, ["words/scales"])
    return draft.node("Mul", [floats, scales], ["words"])


def add_embeddings(draft: GraphDraft, weights: Weights, shape: BertShape) -> str:
    """Return word plus position embeddings, layer-normed: ids [n, t] to hidden [n, t, d]."""
    words = add_words(draft, weights)
    length = draft.node("Shape", ["input_ids"], ["length"], start=1, end=2)
    table = draft.constant("positions/table", folded_positions(weights))
    start = draft.constant("positions/start", np.array([0], np.int64))
    positions = draft.node("Slice", [table, start, length], ["positions"])
    summed = draft.node("Add", [words, positions], ["embeddings/sum"])
    return draft.norm(summed, weights, "embeddings.LayerNorm.", shape, "embeddings")


def add_attention(
    draft: GraphDraft, weights: Weights, shape: BertShape, layer: int, hidden: str
) -> str:
    """Self-attention, its output projection and the residual norm: [n, t, d] to the same."""
    base, name = f"encoder.layer.{layer}.attention.", f"layer{layer}/attention"
    parts = [f"{base}self.{part}." for part in ("query", "key", "value")]
    kernel = np.hstack([weights[part + "weight"].T for part in parts])
    bias = np.hstack([weights[part + "bias"] for part in parts])
    joint = draft.dense(hidden, kernel, bias, name + "/qkv")
    sizes = draft.constant(name + "/sizes", np.array([shape.width] * 3, np.int64))
    split = [f"{name}/{part}" for part in "qkv"]
    draft.node("Split", [joint, sizes], split, axis=2)
    inputs = [*split, "", "attention_mask"]
    mixed = draft.node(
        "MultiHeadAttention", inputs, [name + "/mixed"], FUSED, num_heads=shape.heads
    )
    return add_residual(draft, weights, shape, (base + "output.", mixed, hidden, name))


def add_feed_forward(
    draft: GraphDraft, weights: Weights, shape: BertShape, layer: int, hidden: str
) -> str:
    """Return the two dense layers with the exact GELU between, and the residual norm: [n, t, d]."""
    base, name = f"encoder.layer.{layer}.", f"layer{layer}/ffn"
    kernel = weights[base + "intermediate.dense.weight"].T
    wide = draft.dense(hidden, kernel, weights[base + "intermediate.dense.bias"], name + "/wide")
    active = draft.node("Gelu", [wide], [name + "/active"], FUSED)
    return add_residual(draft, weights, shape, (base + "output.", active, hidden, name))


def add_residual(
    draft: GraphDraft, weights: Weights, shape: BertShape, names: tuple[str, str, str, str]
) -> str:
    """Project the inner value, add the skipped one and norm the sum: [n, t, d].

    `names` are the weights' prefix, the inner value, the skipped value and the result.
    """
    base, inner, skipped, name = names
    kernel, bias = weights[base + "dense.weight"].T, weights[base + "dense.bias"]
    projected = draft.dense(inner, kernel, bias, name + "/out")
    summed = draft.node("Add", [projected, skipped], [name + "/sum"])
    return draft.norm(summed, weights, base + "LayerNorm.", shape, name)


def add_encoder(draft: GraphDraft, weights: Weights, shape: BertShape) -> str:
    """Return all layers: ids and mask [n, t] to the last hidden states [n, t, d]."""
    hidden = add_embeddings(draft, weights, shape)
    for layer in range(shape.layers):
        hidden = add_attention(draft, weights, shape, layer, hidden)
        hidden = add_feed_forward(draft, weights, shape, layer, hidden)
    return hidden


def finish(
    draft: GraphDraft,
    outputs: Mapping[str, list[str | int]],
    inputs: tuple[str, ...] = ("input_ids", "attention_mask"),
) -> onnx.ModelProto:
    """Close the graph over int32 `inputs`, each [n, t]."""
    given = [helper.make_tensor_value_info(name, TensorProto.INT32, ["n", "t"]) for name in inputs]
    results = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, sizes)
        for name, sizes in outputs.items()
    ]
    graph = helper.make_graph(draft.nodes, "bert", given, results, draft.constants)
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(FUSED, 1)]
    # IR version 8 goes with opset 17; older runtimes refuse a newer version, which is not needed.
    return helper.make_model(graph, opset_imports=opsets, ir_version=8, producer_name="dateline")


def sentence_graph(
    weights: Weights, shape: BertShape, ranges: Ranges, pooling: str = "mean"
) -> onnx.ModelProto:
    """Return the graph with outputs `sentence_embedding` [n, d], pooled (`mean` or `cls`) to unit
    norm, and `token_embeddings` [n, t, d], the last hidden state; this second output costs a call
    nothing.
    """
    draft = GraphDraft(ranges)
    hidden = add_encoder(draft, weights, shape)
    flat = add_pool(draft, hidden, pooling)
    draft.node("LpNormalization", [flat], ["sentence_embedding"], axis=-1, p=2)
    draft.nodes[:] = [renamed(node, hidden, "token_embeddings") for node in draft.nodes]
    sizes: dict[str, list[str | int]] = {
        "sentence_embedding": ["n", shape.width],
        "token_embeddings": ["n", "t", shape.width],
    }
    return finish(draft, sizes)


def add_pool(draft: GraphDraft, hidden: str, pooling: str) -> str:
    """Return hidden states [n, t, d] to one vector a text, [n, d], of any length.

    The next step scales it to unit norm, which cancels a mean's division. So the mean is mask x
    hidden, one small product.
    """
    one = draft.constant("pool/axis", np.array([1], np.int64))
    if pooling == "cls":
        first = draft.constant("pool/first", np.array([0], np.int64))
        chosen = draft.node("Gather", [hidden, first], ["pool/row"], axis=1)
    else:
        floats = draft.node("Cast", ["attention_mask"], ["pool/floats"], to=TensorProto.FLOAT)
        rows = draft.node("Unsqueeze", [floats, one], ["pool/rows"])
        chosen = draft.node("MatMul", [rows, hidden], ["pool/sum"])
    return draft.node("Squeeze", [chosen, one], ["pool/flat"])


def renamed(node: onnx.NodeProto, old: str, new: str) -> onnx.NodeProto:
    """Return `node` with the value `old` called `new`."""
    for names in (node.input, node.output):
        names[:] = [new if name == old else name for name in names]
    return node


def label_graph(weights: Weights, shape: BertShape, ranges: Ranges) -> onnx.ModelProto:
    """Return the graph with output `logits` [n, t, labels]: a linear layer per token over the last
    hidden state.
    """
    draft = GraphDraft(ranges)
    hidden = add_encoder(draft, weights, shape)
    # The head always stays float32: it has a few thousand numbers, where rounding would cost most.
    kernel = draft.constant("labels/kernel", weights["classifier.weight"].T)
    product = draft.node("MatMul", [hidden, kernel], ["labels/product"])
    bias = draft.constant("labels/bias", weights["classifier.bias"])
    draft.node("Add", [product, bias], ["logits"])
    return finish(draft, {"logits": ["n", "t", len(weights["classifier.bias"])]})


def folded(weights: Weights, ranges: Ranges, shape: BertShape) -> tuple[Weights, Ranges]:
    """Return BERT `weights` that compute the same, and `ranges` with which attention's output no
    longer needs smoothing.

    It costs nothing when the graph runs. An int8 layer's input is divided by a factor per channel
    (`quantize.py`), which takes an operator. Attention's output is a mean of the values, channel by
    channel, so there the factor can go into the values' columns instead. Columns have their own
    scales, so nothing is lost. A norm's output can't be folded, because the sum after the layer
    needs it unchanged; what passes through GELU can't be folded either.
    """
    changed, left = dict(weights), dict(ranges)
    for layer in range(shape.layers):
        base, name = f"encoder.layer.{layer}.attention.", f"layer{layer}/attention/out"
        if name not in left:
            continue
        seen, kernel = left[name], changed[base + "output.dense.weight"]  # [out, in]
        smooth = smoothing(kernel.T, seen)
        changed[base + "self.value.weight"] = weights[base + "self.value.weight"] / smooth[:, None]
        changed[base + "self.value.bias"] = weights[base + "self.value.bias"] / smooth
        changed[base + "output.dense.weight"] = kernel * smooth
        least = seen.least / float(smooth.min())
        left[name] = InputRange(least, seen.channels / smooth, smooth=False)
    return changed, left
