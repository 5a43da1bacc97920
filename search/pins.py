"""Pinned results: items that editors put first for a query, in the frozen list like any other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from core.retrieval import Floats, Ids, Retrieved


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


def padded(shares: Floats | None, size: int) -> Floats | None:
    """Shares of names float32 [size], 0 for candidates that came later."""
    if shares is None or len(shares) == size:
        return shares
    return np.concatenate([shares, np.zeros(size - len(shares), np.float32)])


def pinned_first(order: Ids, found: Retrieved, pins: Ids) -> Ids:
    """The places in `order` with those of the items `pins` before all others, in their order."""
    if not len(pins):
        return order
    by_id = np.argsort(found.ids)
    first: Ids = by_id[np.searchsorted(found.ids[by_id], pins)]
    return np.concatenate([first, order[~np.isin(order, first)]])
