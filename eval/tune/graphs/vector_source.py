"""Vectors to measure graphs on: real ones, and near copies of them if those are too few.

Random vectors say little about a graph: in many dimensions all are equally far from each other, and
texts are not. So passages of judged collections are taken, each vector once, and missing ones are
made from them with noise of a stated size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from core.errors import InputError
from core.items import FloatMatrix

COSINE = 0.95  # cosine of a copy with its original
_BLOCK = 8192


@dataclass(frozen=True, slots=True)
class RealVectors:
    """Unit vectors float32 [n, d] in random order: `real` of them are passages' own, the others
    copies of those at the cosine `cosine`.
    """

    vectors: FloatMatrix
    real: int
    cosine: float = COSINE

    def __str__(self) -> str:
        count = len(self.vectors)
        if self.real == count:
            return f"{count:,} real vectors"
        return (
            f"{count:,} vectors, {self.real:,} of them real and the others copies of those with"
            f" Gaussian noise, at the cosine {self.cosine:g}"
        )


def gather(
    blocks: Sequence[npt.NDArray[np.floating]], count: int, *, seed: int = 0, cosine: float = COSINE
) -> RealVectors:
    """Return `count` vectors from `blocks` of [n, d] in one space: each vector once, then copies
    with noise, in an order that `seed` chooses. `count` 0 takes all real ones.

    Raises InputError if there are no vectors, or for different dimensions.
    """
    rows = _unlike(blocks)
    rng = np.random.default_rng(seed)
    count = count or len(rows)
    chosen = _unit(rows[rng.permutation(len(rows))[:count]].astype(np.float32))
    if len(chosen) == count:
        return RealVectors(chosen, count, cosine)
    found = np.empty((count, rows.shape[1]), np.float32)
    found[: len(chosen)] = chosen
    for start in range(len(chosen), count, _BLOCK):
        size = min(_BLOCK, count - start)
        sources = chosen[rng.integers(0, len(chosen), size)]
        found[start : start + size] = noisy(sources, cosine, rng)
    rng.shuffle(found)
    return RealVectors(found, len(chosen), cosine)


def noisy(vectors: FloatMatrix, cosine: float, rng: np.random.Generator) -> FloatMatrix:
    """Return unit vectors at exactly `cosine` from unit `vectors` [n, d], in Gaussian
    directions.
    """
    noise = rng.standard_normal(vectors.shape, np.float32)
    noise -= np.sum(noise * vectors, axis=1, keepdims=True) * vectors
    mixed = cosine * vectors + np.sqrt(1 - cosine**2) * _unit(noise)
    found: FloatMatrix = mixed.astype(np.float32)
    return found


def _unlike(blocks: Sequence[npt.NDArray[np.floating]]) -> npt.NDArray[np.float16]:
    """Return all rows as float16, each once. An agency's archive repeats passages, and a graph's
    recall among equal vectors means nothing.
    """
    if len({block.shape[1] for block in blocks}) > 1:
        shapes = ", ".join(str(block.shape) for block in blocks)
        raise InputError(f"vectors of different dimensions: {shapes}")
    rows = np.concatenate([block.astype(np.float16) for block in blocks]) if blocks else None
    if rows is None or not len(rows):
        raise InputError(
            "there are no vectors to measure with",
            mend="index a judged set first, as `dateline eval run` does",
        )
    whole = np.ascontiguousarray(rows).view(np.dtype((np.void, rows.shape[1] * rows.itemsize)))
    return rows[np.sort(np.unique(whole.ravel(), return_index=True)[1])]


def _unit(vectors: FloatMatrix) -> FloatMatrix:
    found: FloatMatrix = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return found
