"""The graph of a packed E5 encoder for ONNX Runtime.

Its weights stay in the 4 bits of the package: a matrix product and a lookup of words dequantize the
blocks that they read. Both operators are ONNX Runtime's own.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from inference.converting.onnx_writer import FLOAT, FUSED, INT4, INT32, OnnxWriter
from inference.converting.packed_e5 import BLOCK, PackedE5, Quantized

_ROUNDED_INPUTS = 4  # MatMulNBits' accuracy level with inputs in 8 bits, by blocks of 32
_FLIP = 0x88  # turns halves 0..15 around 8 into two's complement


@dataclass(frozen=True, slots=True)
class _Draft:
    packed: PackedE5
    exact: bool
    writer: OnnxWriter = field(default_factory=OnnxWriter)


def e5_graph(packed: PackedE5, *, exact: bool = False) -> bytes:
    """An ONNX file: int32 `input_ids` and `attention_mask` [n, t] to `sentence_embedding` [n, d] of
    unit norm, the mean over a text's tokens.

    `exact` multiplies with the dequantized weights in float32: slow and large, to compare with. The
    lookup of words is exact in both.
    """
    draft = _Draft(packed, exact)
    hidden = _embeddings(draft)
    for layer in range(packed.layers):
        hidden = _attention(draft, layer, hidden)
        hidden = _feed_forward(draft, layer, hidden)
    _pool(draft.writer, hidden)
    inputs = dict.fromkeys(("input_ids", "attention_mask"), (INT32, ("n", "t")))
    return draft.writer.model(inputs, {"sentence_embedding": (FLOAT, ("n", packed.width))})


def _embeddings(draft: _Draft) -> str:
    """Words and positions, normed: ids [n, t] to hidden [n, t, d]."""
    writer, packed = draft.writer, draft.packed
    words = _words(draft)
    length = writer.node("Shape", ["input_ids"], ["length"], start=1, end=2)
    # Every text is one segment, so the vector of segment 0 is added to each position once.
    table = packed.floats["emb.pos"] + packed.floats["emb.type"][0]
    start = writer.constant("positions/start", np.array([0], np.int64))
    places = [writer.constant("positions/table", table), start, length]
    positions = writer.node("Slice", places, ["positions"])
    return _norm(draft, writer.node("Add", [words, positions], ["embeddings/sum"]), "emb.ln")


def _words(draft: _Draft) -> str:
    writer, words = draft.writer, draft.packed.words
    shape = (len(words.halves), draft.packed.width)
    table = writer.raw("words/table", INT4, shape, words.pairs() ^ np.uint8(_FLIP))
    scales = writer.constant("words/scales", words.scales)
    return writer.node(
        "GatherBlockQuantized",
        [table, "input_ids", scales],
        ["words"],
        FUSED,
        block_size=BLOCK,
        gather_axis=0,
        quantize_axis=1,
    )


def _dense(draft: _Draft, x: str, name: str, kernel: Quantized, bias: str) -> str:
    """`x @ kernel.T + bias`."""
    writer = draft.writer
    if draft.exact:
        product = writer.constant(f"{name}/kernel", np.ascontiguousarray(kernel.floats().T))
        return writer.node(
            "Add", [writer.node("MatMul", [x, product], [f"{name}/mul"]), bias], [name]
        )
    packed = writer.constant(f"{name}/kernel", kernel.pairs())
    scales = writer.constant(f"{name}/scales", kernel.scales)
    rows, blocks, _ = kernel.halves.shape
    return writer.node(
        "MatMulNBits",
        [x, packed, scales, "", "", bias],
        [name],
        FUSED,
        K=blocks * BLOCK,
        N=rows,
        bits=4,
        block_size=BLOCK,
        accuracy_level=_ROUNDED_INPUTS,
    )


def _layer(draft: _Draft, x: str, layer: int, part: str) -> str:
    """The dense layer `part` of a layer."""
    name = f"l{layer}.{part}"
    bias = draft.writer.constant(f"{name}/bias", draft.packed.floats[f"{name}.b"])
    return _dense(draft, x, name, draft.packed.kernels[name], bias)


def _attention(draft: _Draft, layer: int, hidden: str) -> str:
    """Self-attention with its output projection and norm: [n, t, d] to the same."""
    writer, packed, name = draft.writer, draft.packed, f"l{layer}.qkv"
    parts = [f"l{layer}.{part}" for part in "qkv"]
    kernels = [packed.kernels[part] for part in parts]
    joint = Quantized(
        np.concatenate([kernel.halves for kernel in kernels]),
        np.concatenate([kernel.scales for kernel in kernels]),
    )
    bias = np.concatenate([packed.floats[f"{part}.b"] for part in parts])
    mixed = _dense(draft, hidden, name, joint, writer.constant(f"{name}/bias", bias))
    sizes = writer.constant(f"{name}/sizes", np.array([packed.width] * 3, np.int64))
    writer.node("Split", [mixed, sizes], parts, axis=2)
    inputs = [*parts, "", "attention_mask"]
    output = f"l{layer}.mixed"
    writer.node("MultiHeadAttention", inputs, [output], FUSED, num_heads=packed.heads)
    projected = _layer(draft, output, layer, "ao")
    summed = writer.node("Add", [projected, hidden], [f"l{layer}.attended"])
    return _norm(draft, summed, f"l{layer}.aln")


def _feed_forward(draft: _Draft, layer: int, hidden: str) -> str:
    """The two dense layers with GELU between, and the norm: [n, t, d] to the same."""
    writer = draft.writer
    wide = _layer(draft, hidden, layer, "fi")
    active = writer.node("Gelu", [wide], [f"l{layer}.active"], FUSED)
    projected = _layer(draft, active, layer, "fo")
    summed = writer.node("Add", [projected, hidden], [f"l{layer}.fed"])
    return _norm(draft, summed, f"l{layer}.oln")


def _norm(draft: _Draft, x: str, name: str) -> str:
    """Layer normalization over the last axis."""
    writer, floats = draft.writer, draft.packed.floats
    inputs = [x, *(writer.constant(f"{name}.{part}", floats[f"{name}.{part}"]) for part in "wb")]
    epsilon = float(draft.packed.epsilon)
    return writer.node("LayerNormalization", inputs, [name], axis=-1, epsilon=epsilon)


def _pool(writer: OnnxWriter, hidden: str) -> None:
    """The mean over a text's tokens, scaled to unit norm, which cancels the division."""
    one = writer.constant("pool/axis", np.array([1], np.int64))
    floats = writer.node("Cast", ["attention_mask"], ["pool/floats"], to=FLOAT)
    rows = writer.node("Unsqueeze", [floats, one], ["pool/rows"])
    total = writer.node("MatMul", [rows, hidden], ["pool/sum"])
    flat = writer.node("Squeeze", [total, one], ["pool/flat"])
    writer.node("LpNormalization", [flat], ["sentence_embedding"], axis=-1, p=2)
