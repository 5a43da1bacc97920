"""Do two runtimes give the same answers?

The outputs that a task reads are compared on real text: sentence vectors, or logits. Vectors must
point the same way (cosine). Logits must have the same size as well, because a cosine of one number
means nothing. Padding is left out, because nothing reads it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from core.errors import ModelError
from core.items import FloatMatrix
from inference.runtime import Array, Runtime
from inference.runtimes.sample import narrowed

LEAST_COSINE = 0.9999  # float32 against float32
LEAST_COSINE_LOW = 0.998  # if one of the two rounds to bfloat16 or int8
MOST_DIFFERENCE = 0.01  # share of the greatest logit
MOST_DIFFERENCE_LOW = 0.1
_ANSWERS = ("sentence_embedding", "last_hidden_state", "logits")


@dataclass(frozen=True, slots=True)
class Parity:
    """How near two runtimes are: the least cosine, and the greatest difference as a share of the
    greatest value. `agree` is whether both are within the limits of their precision.
    """

    cosine: float
    difference: float
    agree: bool


def answer_of(runtime: Runtime) -> str:
    """Return the output that the task reads. Raises ModelError if the graph has none of them."""
    for name in _ANSWERS:
        if name in runtime.outputs:
            return name
    raise ModelError(
        f"the graph gives {', '.join(runtime.outputs)}", mend=f"needed: one of {_ANSWERS}"
    )


def answers(runtime: Runtime, batches: Sequence[Mapping[str, Array]]) -> list[FloatMatrix]:
    """Return the graph's answer to each batch: float32 [rows, d], without rows of padding."""
    name = answer_of(runtime)
    return [
        unpadded(runtime.run(narrowed(batch, runtime), (name,))[0], batch.get("attention_mask"))
        for batch in batches
    ]


def compare(
    found: Sequence[FloatMatrix], expected: Sequence[FloatMatrix], *, low: bool = False
) -> Parity:
    """Return how near `found` is to `expected`, batch by batch; `low` says that one of them
    rounds.
    """
    for one, other in zip(found, expected, strict=True):
        if one.shape != other.shape:
            raise ModelError(f"the answers have shapes {one.shape} and {other.shape}")
    ours, theirs = np.concatenate(found), np.concatenate(expected)
    if not np.isfinite(ours).all():
        return Parity(float("nan"), float("nan"), agree=False)
    cosine = _least_cosine(ours, theirs)
    difference = float(np.abs(ours - theirs).max() / max(np.abs(theirs).max(), 1e-12))
    least = LEAST_COSINE_LOW if low else LEAST_COSINE
    most = MOST_DIFFERENCE_LOW if low else MOST_DIFFERENCE
    return Parity(cosine, difference, cosine >= least and difference <= most)


def unpadded(values: Array, mask: Array | None) -> FloatMatrix:
    """Return `values` [n, d], or the rows of [n, t, d] that are not padding, as float32 [rows,
    d].
    """
    kept = values if mask is None or values.ndim != 3 else values[mask.astype(bool)]
    rows: FloatMatrix = kept.astype(np.float32, copy=False)
    return rows


def _least_cosine(ours: FloatMatrix, theirs: FloatMatrix) -> float:
    """Return the least cosine over rows; over all rows at once where a row is a single number."""
    if ours.shape[1] == 1:
        ours, theirs = ours.T, theirs.T
    lengths = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)
    return float(((ours * theirs).sum(axis=1) / np.maximum(lengths, 1e-12)).min())
