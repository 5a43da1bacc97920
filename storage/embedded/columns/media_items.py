"""Finds media without a description."""

from __future__ import annotations

import numpy as np

from core.items import Item
from core.media import Undescribed
from storage.embedded.columns.facts import Columns
from storage.media.items import MEDIA
from storage.record.port import RecordReads

_PAGE = 500


def undescribed_items(reads: RecordReads, columns: Columns, limit: int) -> Undescribed:
    """Return the visible media without a description; reads only media, page by page."""
    view = columns.view()
    size = len(view.visible)
    media = columns.values["type"].mask(MEDIA, 0, size) if size else view.visible
    seqs = np.flatnonzero(view.visible & media).tolist()
    count = 0
    found: list[Item] = []
    for start in range(0, len(seqs), _PAGE):
        for item in reads.items_by_seq(seqs[start : start + _PAGE]).values():
            if not item.is_described:
                count += 1
                found += [item][: max(0, limit - len(found))]
    return Undescribed(len(seqs), count, tuple(found))
