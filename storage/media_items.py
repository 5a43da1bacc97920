"""Pictures, videos and sounds in the record, whatever their state."""

from __future__ import annotations

from collections.abc import Sequence

from core.items import Item, ItemType
from storage.record_port import RecordReads

MEDIA = (ItemType.PICTURE, ItemType.VIDEO, ItemType.AUDIO, ItemType.GRAPHIC)


def newest_versions(reads: RecordReads, uris: Sequence[str]) -> tuple[Item | None, ...]:
    """See `core.ports.MediaItems`."""
    rows = [reads.versions_of(uri)[:1] for uri in uris]
    items = reads.items_by_seq([row.seq for found in rows for row in found])
    return tuple(items.get(found[0].seq) if found else None for found in rows)
