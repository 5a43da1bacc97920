"""What the record knows of an item that others are to be like."""

from __future__ import annotations

import numpy as np

from core.exemplars import Exemplar
from core.items import Item
from storage.embedded.columns import Columns
from storage.embedded.reading import vectors_by_seq
from storage.embedded.record import Record

_SEQ = "SELECT MAX(seq) FROM items WHERE uri = ? AND version = ?"


def exemplar_of(record: Record, columns: Columns, item: Item) -> Exemplar:
    """The recorded version `item` with its story's number and its passages' vectors."""
    connection = record.reader
    (seq,) = connection.execute(_SEQ, (item.uri, item.version)).fetchone()
    story = int(columns.stories(np.array([seq], np.int64))[0])
    vectors = {
        field: matrix
        for field, encoder in record.spaces.items()
        for _, matrix in vectors_by_seq(connection, field, encoder, [seq])
    }
    return Exemplar(item, story, vectors)
