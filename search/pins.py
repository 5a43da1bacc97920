"""Pinned results: items that editors put first for a query, in the frozen list like any other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from core.ports import Standings
from core.retrieval import Ids, Retrieval, Retrieved

NO_PINS: Ids = np.zeros(0, np.int64)


def pins_of(archive: Standings, uris: Sequence[str], asked: Retrieval) -> Ids:
    """The ids of the items that editors pinned, as far as the caller may see them within the
    filters.
    """
    return archive.shown(uris, asked.caller, asked.filters) if uris else NO_PINS


def with_items(found: Retrieved, ids: Ids) -> Retrieved:
    """`found` with those of `ids` that no retriever gave as its last candidates: they match no word
    and are near to nothing, as far as anyone looked.
    """
    fresh = ids[~np.isin(ids, found.ids)]
    if not len(fresh):
        return found
    unknown, nowhere = np.full(len(fresh), np.nan, np.float32), np.zeros(len(fresh), np.int32)
    return replace(
        found,
        ids=np.concatenate([found.ids, fresh]),
        bm25=np.concatenate([found.bm25, unknown]),
        lexical_ranks=np.concatenate([found.lexical_ranks, nowhere]),
        vectors=tuple(
            replace(
                part,
                cosines=np.concatenate([part.cosines, unknown]),
                passages=np.concatenate([part.passages, nowhere - 1]),
                ranks=np.concatenate([part.ranks, nowhere]),
            )
            for part in found.vectors
        ),
    )


def pinned_first(order: Ids, found: Retrieved, pins: Ids) -> Ids:
    """The places in `order` with those of the items `pins` before all others, in their order."""
    if not len(pins):
        return order
    by_id = np.argsort(found.ids)
    first: Ids = by_id[np.searchsorted(found.ids[by_id], pins)]
    return np.concatenate([first, order[~np.isin(order, first)]])
