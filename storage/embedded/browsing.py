"""Browsing in the embedded engine: everything that matches, by date, from the sorted columns."""

from __future__ import annotations

from time import perf_counter

import numpy as np

from core.query_tree import is_fact
from core.retrieval import Browse, Browsed, Ids, Marks, Place, SortOrder
from storage.embedded.columns.date_order import DateOrder, taken
from storage.embedded.retrieval import Moment

_FEW = 8_192  # at most this many matches are sorted; more are found in the order of all rows


def browse(moment: Moment, request: Browse, matching: Marks) -> Browsed:
    """Return a stretch of the `matching` versions (bool by seq), without facets."""
    started = perf_counter()
    order = moment.view.columns.by_date
    count = int(np.count_nonzero(matching))
    few = count <= _FEW
    rows = order.sorted(np.flatnonzero(matching)) if few else order.rows(len(matching))
    rest = _after(order, rows, request)
    ids = taken(rest, matching, request.skip, request.size + 1)
    stretch = ids[: request.size]
    return Browsed(
        ids=stretch,
        places=tuple(order.place(row) for row in stretch.tolist()),
        matches=count,
        more=len(ids) > request.size,
        milliseconds={"lexical": (perf_counter() - started) * 1000},
    )


def matching(moment: Moment, request: Browse) -> Marks:
    """Return the allowed versions that match the query: bool by seq."""
    query, size = request.asked.query, len(moment.allowed)
    if is_fact(query):
        return moment.allowed & moment.view.columns.facts_mask(query, size)
    found = np.zeros(size, np.bool_)
    ids = moment.lexical.every(query, request.asked.lexical)
    found[ids[ids < size]] = True
    return moment.allowed & found


def _after(order: DateOrder, rows: Ids, request: Browse) -> Ids:
    """Return the rows after the request's place, in the request's order."""
    place: Place | None = request.after
    if request.asked.order is SortOrder.OLDEST:
        return rows if place is None else rows[order.up_to(rows, place) :]
    return (rows if place is None else rows[: order.before(rows, place)])[::-1]
