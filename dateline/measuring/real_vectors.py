"""Passage vectors of all archives under a folder, to measure graphs on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from core.errors import InputError
from dateline.build.engine import VECTOR_FIELD
from dateline.measuring.evaluate import CACHE
from eval.tune.graphs.vector_source import RealVectors, gather
from storage.embedded.vectors.stored_vectors import RECORD, stored_vectors


def real_vectors(data: Path, count: int, seed: int = 0) -> RealVectors:
    """Return `count` vectors (0: all) from the archive in `data` and from the judged collections
    that are indexed under it (see `eval.tune.graphs.vector_source.gather`), of the encoder with
    most of them.

    Raises InputError if there are none, CorruptError if one can't be read.
    """
    found: dict[str, list[npt.NDArray[np.float16]]] = {}
    for record in [data / RECORD, *sorted((data / CACHE).glob(f"*/{RECORD}"))]:
        if not record.is_file():
            continue
        for encoder, rows in stored_vectors(record.parent, VECTOR_FIELD).items():
            found.setdefault(encoder, []).append(rows)
    if not found:
        raise InputError(
            "no archive with vectors is here",
            where=str(data),
            mend="index a judged set first, as `dateline eval run` does",
        )
    most = max(found, key=lambda encoder: sum(len(rows) for rows in found[encoder]))
    return gather(found[most], count, seed=seed)
