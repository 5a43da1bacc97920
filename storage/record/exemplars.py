"""Reads an item, to find similar items."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from core.items import Item
from core.retrieval import Exemplar, Ids
from storage.record.port import RecordOfTruth


def exemplar_of(
    record: RecordOfTruth, stories: Callable[[Ids], Ids], item: Item, spaces: Mapping[str, str]
) -> Exemplar | None:
    """Return the recorded version `item` with its story's number, from `stories`, and its passages
    and their vectors in `spaces` (encoders by field); None if it is gone.
    """
    seq = record.reads.seq_of(item.uri, item.version)
    if seq is None:
        return None
    story = int(stories(np.array([seq], np.int64))[0])
    vectors = {
        field: matrix
        for field, encoder in spaces.items()
        for _, matrix in record.reads.vectors_by_seq(field, encoder, [seq])
    }
    passages = {
        field: spans
        for field in vectors
        for spans in record.reads.passages_by_seq(field, spaces[field], [seq]).values()
    }
    return Exemplar(item, story, vectors, passages, spaces)
