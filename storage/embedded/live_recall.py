"""Compares a share of the served searches with the exact scan, in the background.

A graph that finds less than it should gives no error: answers are only worse. So some searches are
computed again without a graph, in the moment that they saw, for the same caller and filters. Only
two numbers leave this module: how many of the nearest items there are, and how many of them the
search had found.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from random import random
from time import thread_time
from typing import TypeAlias

import numpy as np

from core.items import FloatMatrix
from core.priority import step_back
from core.retrieval import Floats, Ids, Retrieval, Retrieved, VectorScores
from storage.embedded.retrieval import Mask, Moment, constrained
from storage.embedded.vectors.vector_view import Block, FieldView, Segment
from storage.woken_thread import WokenThread

NEAREST = 10  # items
_SAME = 1e-5  # cosines nearer than this differ by float32's rounding
_ROWS = 4096  # scanned at once: about a millisecond, between which the thread can be ended
_MOST = 0.02  # of a processor
_INTERVAL_S = 3600.0

log = logging.getLogger(__name__)
Observe: TypeAlias = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class FieldRecall:
    """Of the `wanted` nearest items of a search in one vector field, how many were `found`."""

    field: str
    found: int
    wanted: int


def recall_of(
    moment: Moment, request: Retrieval, found: Retrieved, ended: Callable[[], bool] = lambda: False
) -> tuple[FieldRecall, ...]:
    """Return the recall of a search in each vector field that it asked. An item counts if it is as
    near as the last of the nearest, so equal cosines do no harm. Fields are left out after `ended`.
    """
    mask = constrained(moment, request.query)
    asked = {query.field: query for query in request.vectors}
    recalls: list[FieldRecall] = []
    for scores in found.vectors:
        view = moment.fields[scores.field]
        cosines = _nearest_items(view, asked[scores.field].encode(), mask, ended)
        if ended():
            break
        if len(cosines):
            served = int(np.count_nonzero(_served(scores) >= cosines[-1] - _SAME))
            wanted = len(cosines)
            recalls.append(FieldRecall(scores.field, min(served, wanted), wanted))
    return tuple(recalls)


def _served(scores: VectorScores) -> Floats:
    """Return the cosines of the nearest items that the search found."""
    return scores.cosines[(scores.ranks > 0) & (scores.ranks <= NEAREST)]


def _nearest_items(
    view: FieldView, query: FloatMatrix, mask: Mask, ended: Callable[[], bool]
) -> Floats:
    """Return the cosines of the nearest allowed items (bool by seq), best first, by a scan."""
    ids, cosines = np.zeros(0, np.int64), np.zeros(0, np.float32)
    for block, rows in _allowed_rows(view, mask):
        if ended():
            break
        fresh = block.cosines(query, rows)
        if len(cosines) == NEAREST:
            near = fresh > cosines[-1]
            fresh, rows = fresh[near], rows[near]
        ids = np.concatenate([ids, block.seqs[rows]])
        ids, cosines = _best_items(ids, np.concatenate([cosines, fresh]))
    return cosines


def _allowed_rows(view: FieldView, mask: Mask) -> Iterator[tuple[Segment | Block, Ids]]:
    blocks: tuple[Segment | Block, ...] = (*view.segments, view.tail)
    for block in blocks:
        for start in range(0, len(block.seqs), _ROWS):
            rows = start + np.flatnonzero(mask[block.seqs[start : start + _ROWS]])
            if len(rows):
                yield block, rows


def _best_items(ids: Ids, cosines: Floats) -> tuple[Ids, Floats]:
    """Return the nearest of these items, each once by its best passage."""
    order = np.argsort(-cosines, kind="stable")
    _, firsts = np.unique(ids[order], return_index=True)
    kept = order[np.sort(firsts)[:NEAREST]]
    return ids[kept], cosines[kept]


@dataclass(frozen=True, slots=True)
class _Sample:
    moment: Moment
    request: Retrieval
    found: Retrieved


class RecallChecks:
    """Checks a `share` of searches, one at a time, and tells `observe` the field, the number of the
    nearest items found and their number. After each check its thread rests so long that checks take
    a fiftieth of a processor at most, whatever the archive's size and the number of searches.
    """

    def __init__(self, share: float, observe: Observe, most: float = _MOST) -> None:
        self._share = share
        self._observe = observe
        self._most = most
        self._busy = False
        self._sample: _Sample | None = None
        self._thread: WokenThread | None = None
        self._stepped_back = False

    def chosen(self, request: Retrieval) -> Retrieval | None:
        """Return the request, with vectors that are kept, if this search is to be checked."""
        if not request.vectors or self._busy or random() >= self._share:  # noqa: S311 - a sample
            return None
        vectors = (replace(query, encode=cache(query.encode)) for query in request.vectors)
        return replace(request, vectors=tuple(vectors))

    def check(self, moment: Moment, request: Retrieval, found: Retrieved) -> None:
        """Check a search that was chosen, in the background, unless another one is being checked.
        The first one starts the thread.
        """
        if self._busy:
            return
        self._busy, self._sample = True, _Sample(moment, request, found)
        if self._thread is None:
            self._thread = WokenThread("recall", _INTERVAL_S, self._step)
            self._thread.start()
        self._thread.wake()

    def close(self) -> None:
        """End the thread; a check under way is dropped."""
        self._busy = True
        if self._thread is not None:
            self._thread.stop()

    def _step(self) -> None:
        sample, self._sample = self._sample, None
        thread = self._thread
        if sample is None or thread is None or thread.stopping:
            return
        self._step_back()
        began = thread_time()
        try:
            for one in recall_of(sample.moment, sample.request, sample.found, self._ends):
                self._observe(one.field, one.found, one.wanted)
        except Exception:
            log.exception("the recall of a search could not be checked")
        del sample  # a rest must not keep an old segment in memory
        thread.pause((thread_time() - began) * (1 / self._most - 1))
        self._busy = False

    def _ends(self) -> bool:
        return self._thread is not None and self._thread.stopping

    def _step_back(self) -> None:
        if not self._stepped_back:
            self._stepped_back = True
            step_back()
