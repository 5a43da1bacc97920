"""Pictures, videos and sounds in the record, in any state."""

from __future__ import annotations

from collections.abc import Sequence

from core.items import Item, ItemType
from storage.record.port import RecordReads

MEDIA = (ItemType.PICTURE, ItemType.VIDEO, ItemType.AUDIO, ItemType.GRAPHIC)


def newest_versions(reads: RecordReads, uris: Sequence[str]) -> tuple[Item | None, ...]:
    """Return the newest recorded version of each item, None for an unknown uri."""
    newest = {uri: rows[0].seq for uri, rows in reads.versions_of_each({*uris}).items()}
    items = reads.items_by_seq([*newest.values()])
    return tuple(items.get(newest[uri]) if uri in newest else None for uri in uris)
