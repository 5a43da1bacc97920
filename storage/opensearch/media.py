"""Finds media without a description in the index: part of `core.ports.MediaItems`."""

from __future__ import annotations

from typing import Any

from core.items import Item
from core.media import Undescribed
from storage.media.items import MEDIA
from storage.opensearch.query.statistics import total
from storage.opensearch.seen import Ask, Clause, Now, all_of, shown_at
from storage.record.port import RecordReads

_PAGE = 500


def undescribed_items(ask: Ask, now: Now, reads: RecordReads, limit: int) -> Undescribed:
    """Return the first `limit` visible media without a description; reads them page by page."""
    media = [*shown_at(now()), {"terms": {"type": [str(kind) for kind in MEDIA]}}]
    silent: list[Clause] = [*media, {"term": {"described": False}}]
    every, few = ask([_search(media, 0, ()), _search(silent, min(limit, _PAGE), ())])
    found: list[Item] = []
    page: dict[str, Any] = few
    while seqs := [hit["sort"][0] for hit in page["hits"]["hits"]]:
        items = reads.items_by_seq(seqs)
        found += [items[seq] for seq in seqs if seq in items]
        if len(found) >= limit or len(seqs) < _PAGE:
            break
        (page,) = ask([_search(silent, min(limit - len(found), _PAGE), seqs[-1:])])
    return Undescribed(total(every), total(few), tuple(found[:limit]))


def _search(clauses: list[Clause], size: int, after: tuple[int, ...] | list[int]) -> Clause:
    """Return the search that counts the items and finds the first `size` by seq, behind `after`."""
    search: Clause = {
        "size": size,
        "_source": False,
        "track_total_hits": True,
        "sort": [{"seq": "asc"}],
        "query": all_of(*clauses),
    }
    return search | ({"search_after": list(after)} if after else {})
