"""Fixed lengths, for runtimes that make a program for each shape.

A text is padded to the next of a few lengths and a batch to the next power of two, so that a few
programs serve all texts. Padding is masked, and cut off the answer. Windows of frames are never
padded: a frame is compared with those around it, and windows have few lengths.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from core.errors import ModelError
from inference.runtime import Array

MASK = "attention_mask"
_LENGTHS = (16, 32, 64, 128, 256, 512)  # tokens


def lengths_up_to(longest: int) -> tuple[int, ...]:
    """Return the lengths for texts of up to `longest` tokens, ascending; `longest` is the last."""
    return (*(one for one in _LENGTHS if one < longest), longest)


def length_of(tokens: int, lengths: Sequence[int], where: str) -> int:
    """Return the least of `lengths` (ascending) that holds `tokens`. Raises ModelError if none
    does.
    """
    for one in lengths:
        if one >= tokens:
            return one
    mend = f"the longest has {lengths[-1]}"
    raise ModelError(f"a text has {tokens} tokens", where=where, mend=mend)


def size_of(arrays: Mapping[str, Array]) -> tuple[int, int]:
    """Return the rows and the tokens of a batch. Raises ValueError if there are no rows, or if its
    arrays differ: padding would hide that.
    """
    sizes = {array.shape[:2] for array in arrays.values()}
    if len(sizes) > 1:
        raise ValueError(f"arrays of shapes {', '.join(map(str, sorted(sizes)))}")
    rows, tokens = sizes.pop()
    if not rows:
        raise ValueError("there is nothing to compute: no rows")
    return rows, tokens


def padded_to(arrays: Mapping[str, Array], rows: int, length: int) -> dict[str, Array]:
    """Return arrays [n, t] with zeros up to [rows, length]."""
    found: dict[str, Array] = {}
    for name, array in arrays.items():
        sides = [(0, rows - array.shape[0]), (0, length - array.shape[1])]
        found[name] = np.pad(array, sides)
    return found


def rows_of(rows: int) -> int:
    """Return the next power of two."""
    return 1 << max(0, rows - 1).bit_length()


def cut(answer: Array, rows: int, tokens: int) -> Array:
    """Return an answer without the rows and, if it has numbers for each token, the tokens that were
    added. It is the caller's own.
    """
    part = answer[:rows, :tokens] if answer.ndim == 3 else answer[:rows]
    return np.array(part)
