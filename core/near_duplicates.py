"""Signatures of texts, which show candidates with nearly the same text."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from core.retrieval import Marks

SignatureMatrix = npt.NDArray[np.uint16]


@dataclass(frozen=True, slots=True)
class TextSignatures:
    """MinHash signatures of n candidates' texts.

    `rows` is uint16 [n, k]; the share of equal columns of two rows estimates the Jaccard similarity
    of the two texts' word shingles. `comparable` is bool [n]: False where an item can't be compared
    by its text, and its row means nothing.
    """

    rows: SignatureMatrix
    comparable: Marks
