"""Turns times of arrival in a query into numbers of versions.

The log of changes says when each version was recorded, and numbers of versions rise in that order.
So "arrived since" is "a number above", and no index needs a field for it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from core.query_tree import ARRIVED, DateRange, Node, Recorded, with_leaves
from core.retrieval import Retrieval
from storage.record.item_rows import to_micros

LastBefore = Callable[
    [int], int
]  # microseconds to the last version recorded before them, 0 if none
# The last change before :at, by halving: times of changes rise, as the archive's clock does. Works
# on SQLite and Postgres. Numbers of changes may have gaps.
_EARLY = (
    "coalesce((SELECT at FROM changes WHERE n <= (low + high) / 2 ORDER BY n DESC LIMIT 1)"
    " < :at, true)"
)
LAST_BEFORE = (
    "WITH RECURSIVE half(low, high) AS ("  # noqa: S608 - constants only
    " SELECT CAST(0 AS bigint), (SELECT coalesce(max(n), 0) + 1 FROM changes) UNION ALL"
    f" SELECT CASE WHEN {_EARLY} THEN (low + high) / 2 ELSE low END,"
    f" CASE WHEN {_EARLY} THEN high ELSE (low + high) / 2 END FROM half WHERE high - low > 1"
    ") SELECT seq FROM changes WHERE kind = 'put' AND n <= (SELECT max(low) FROM half)"
    " ORDER BY n DESC LIMIT 1"
)


def with_arrivals(node: Node, last_before: LastBefore) -> Node:
    """Return the tree with a Recorded in place of each span of arrival."""

    def recorded(leaf: Node) -> Node:
        if not isinstance(leaf, DateRange) or leaf.field != ARRIVED:
            return leaf
        return Recorded(_last(leaf.since, last_before), _last(leaf.until, last_before))

    return with_leaves(node, recorded)


def request_with_arrivals(request: Retrieval, last_before: LastBefore) -> Retrieval:
    """Return the request with the trees of `with_arrivals`."""
    query = with_arrivals(request.query, last_before)
    filters = with_arrivals(request.filters, last_before)
    return replace(request, query=query, filters=filters)


def _last(moment: datetime | None, last_before: LastBefore) -> int | None:
    return None if moment is None else last_before(to_micros(moment))
