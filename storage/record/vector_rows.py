"""The columns of passage vectors in a record of truth: spans as JSON, the matrix as float16."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import orjson

from core.errors import StorageError
from core.items import FloatMatrix, Passage, PassageVectors

VectorRow = tuple[str, str, bytes, bytes, int]  # field, encoder, passages, matrix, truncated


def vector_row(entry: PassageVectors) -> VectorRow:
    """Return the columns of an entry. Raises StorageError for values that are not finite, or
    another number of vectors than of passages.
    """
    where = f"vector field {entry.field}"
    if not np.isfinite(entry.vectors).all():
        raise StorageError(
            "a passage vector is not finite",
            where=where,
            mend="check the encoder with `dateline doctor`",
        )
    if len(entry.vectors) != len(entry.passages):
        raise StorageError(
            f"{len(entry.passages)} passages have {len(entry.vectors)} vectors",
            where=where,
            mend="send one row of `vectors` per passage",
        )
    spans = [[passage.field, passage.start, passage.end] for passage in entry.passages]
    matrix = entry.vectors.astype("<f2").tobytes()
    return entry.field, entry.encoder, orjson.dumps(spans), matrix, entry.truncated


@lru_cache(maxsize=4096)
def passages_of(spans: bytes) -> tuple[Passage, ...]:
    """Return the passages of a row."""
    return tuple(Passage(*span) for span in orjson.loads(spans))


def as_matrix(data: bytes, rows: int) -> FloatMatrix:
    """Return float16 bytes as float32 [rows, d]."""
    flat = np.frombuffer(data, dtype="<f2").astype(np.float32)
    return flat.reshape(rows, -1) if rows else np.empty((0, 0), np.float32)


def lacks(field: str, lacking: int, every: int, *, left_out: bool) -> str:
    """Return the flag of a vector field that lacks some of a search's items. A field that is left
    out says so.
    """
    what = f"vectors: field {field} lacks {lacking:,} of {every:,} items"
    if left_out:
        return f"{what} and takes no part until `dateline embed` has added them"
    return f"{what}; `dateline embed` adds them"
