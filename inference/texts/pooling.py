"""One unit vector a text from a graph's outputs.

Our own graphs pool and scale inside and give `sentence_embedding`. Public ones give
`last_hidden_state`, which is pooled here as the manifest says.
"""

import math
from dataclasses import dataclass

import numpy as np

from core.errors import ModelError
from core.items import FloatMatrix
from inference.models.store import ModelFolder
from inference.runtime import Array, Runtime

SENTENCE = "sentence_embedding"
HIDDEN = "last_hidden_state"
TOKENS = "token_embeddings"


@dataclass(frozen=True, slots=True)
class Pooling:
    """Which output of the graph is read, and how: `mean` over a text's tokens, `cls` for its first
    token, "" if the graph has pooled already.
    """

    output: str
    how: str

    @classmethod
    def of(cls, folder: ModelFolder, runtime: Runtime) -> "Pooling":
        """Return the pooling of a model. Raises ModelError for a graph without vectors, and for a
        manifest without the pooling that the graph needs.
        """
        if SENTENCE in runtime.outputs:
            return cls(SENTENCE, "")
        found = [name for name in (HIDDEN, TOKENS) if name in runtime.outputs]
        how = folder.manifest.pooling
        if not found or how not in ("mean", "cls"):
            raise ModelError(
                f"the graph gives {runtime.outputs}, its pooling is {how!r}",
                where=str(folder.path),
                mend=f"an encoder gives {SENTENCE}, or {HIDDEN} and pooling mean or cls",
            )
        return cls(found[0], how)

    def vectors(self, output: Array, mask: Array) -> FloatMatrix:
        """Return float32 [n, d] of unit norm from the graph's [n, d] or [n, t, d]; `mask` is [n,
        t]. Rows with NaN or infinity stay as they are: `sound` finds them.
        """
        found: FloatMatrix = output.astype(np.float32, copy=False)
        if not self.how:
            return found
        if self.how == "cls":
            return unit_rows(found[:, 0])
        weights = mask.astype(np.float32, copy=False)
        # Padding must not count: its numbers may be anything.
        total = np.einsum("ntd,nt->nd", np.where(weights[:, :, None] > 0, found, 0.0), weights)
        return unit_rows(total)


def unit_rows(vectors: FloatMatrix) -> FloatMatrix:
    """Return rows [n, d] scaled to length 1; a row of zeros stays."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    with np.errstate(invalid="ignore"):  # infinity becomes NaN, which `sound` finds
        scaled: FloatMatrix = (vectors / np.maximum(lengths, 1e-12)).astype(np.float32, copy=False)
    return scaled


def finite(numbers: FloatMatrix) -> bool:
    """Return whether all `numbers`, of any shape, are finite."""
    # One product is the quickest test. It overflows for very large numbers, which are then tested
    # one by one.
    return math.isfinite(float(np.vdot(numbers, numbers))) or bool(np.isfinite(numbers).all())


def sound(rows: FloatMatrix) -> list[bool]:
    """Return, for each row [n, d], whether all of its numbers are finite."""
    return [True] * len(rows) if finite(rows) else [finite(row) for row in rows]
