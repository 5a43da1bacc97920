"""Reads all passage vectors of a record of truth, to measure graphs on real vectors."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import numpy as np
import numpy.typing as npt
import orjson

from core.errors import CorruptError

RECORD = "record.sqlite3"


def stored_vectors(folder: Path, field: str) -> dict[str, npt.NDArray[np.float16]]:
    """Return the field's passage vectors by the encoder's digest, float16 [n, d], in the order of
    their items. The archive in `folder` may be in use; this only reads it. Raises CorruptError if
    it can't be read.
    """
    path = folder / RECORD
    parts: dict[str, list[npt.NDArray[np.float16]]] = {}
    try:
        connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=30)
        try:
            for encoder, passages, matrix in connection.execute(
                "SELECT encoder, passages, matrix FROM vectors WHERE field = ? ORDER BY seq",
                (field,),
            ):
                if count := len(orjson.loads(passages)):
                    rows = np.frombuffer(matrix, "<f2").reshape(count, -1)
                    parts.setdefault(encoder, []).append(rows)
        finally:
            connection.close()
    except (sqlite3.Error, ValueError) as error:
        raise CorruptError(f"its vectors can't be read: {error}", where=str(path)) from error
    return {encoder: np.concatenate(rows) for encoder, rows in parts.items()}
