"""What the record knows of an item that others are to be like."""

from __future__ import annotations

import numpy as np

from core.exemplars import Exemplar
from core.items import Item
from storage.embedded.columns import Columns
from storage.record_port import RecordOfTruth


def exemplar_of(record: RecordOfTruth, columns: Columns, item: Item) -> Exemplar | None:
    """The recorded version `item` with its story's number and its passages' vectors; None where it
    is gone by now.
    """
    seq = record.reads.seq_of(item.uri, item.version)
    if seq is None:
        return None
    story = int(columns.stories(np.array([seq], np.int64))[0])
    vectors = {
        field: matrix
        for field, encoder in record.spaces.items()
        for _, matrix in record.reads.vectors_by_seq(field, encoder, [seq])
    }
    passages = {
        field: spans
        for field in vectors
        for spans in record.reads.passages_by_seq(field, [seq]).values()
    }
    return Exemplar(item, story, vectors, passages)
