"""Pictures, videos and sounds in the record: what is recorded of one, and what nobody describes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from core.items import Item, ItemType
from core.undescribed import Undescribed
from storage.embedded.columns import Columns
from storage.record_port import RecordReads

_MEDIA = (ItemType.PICTURE, ItemType.VIDEO, ItemType.AUDIO, ItemType.GRAPHIC)
_PAGE = 500


def newest_versions(reads: RecordReads, uris: Sequence[str]) -> tuple[Item | None, ...]:
    """See `core.ports.MediaItems`."""
    rows = [reads.versions_of(uri)[:1] for uri in uris]
    items = reads.items_by_seq([row.seq for found in rows for row in found])
    return tuple(items.get(found[0].seq) if found else None for found in rows)


def undescribed_items(reads: RecordReads, columns: Columns, limit: int) -> Undescribed:
    """See `core.ports.MediaItems`. Only media are read, a page at a time."""
    view = columns.view()
    size = len(view.visible)
    media = columns.values["type"].mask(_MEDIA, 0, size) if size else view.visible
    seqs = np.flatnonzero(view.visible & media).tolist()
    count = 0
    found: list[Item] = []
    for start in range(0, len(seqs), _PAGE):
        for item in reads.items_by_seq(seqs[start : start + _PAGE]).values():
            if not item.is_described:
                count += 1
                found += [item][: max(0, limit - len(found))]
    return Undescribed(len(seqs), count, tuple(found))
