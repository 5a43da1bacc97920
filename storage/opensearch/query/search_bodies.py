"""The bodies of a retrieval's searches: from clauses to searches for ids in an order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from core.items import FloatMatrix
from core.retrieval import Browse, SortOrder
from storage.opensearch.index.body import EMBEDDED, TIE, vector_path
from storage.opensearch.query.candidates import DATES
from storage.opensearch.query.facet_counts import aggregations
from storage.opensearch.query.query_dsl import Clause

MOST_NEAREST = 10_000  # the k-NN plugin's limit


def listed(
    query: Clause, depth: int, order: SortOrder, timeout_s: float, *, counted: bool = True
) -> Clause:
    """Return the search for the first `depth` ids; of a hit it only needs the sort values. If
    matches are not `counted`, Lucene skips those that can't be among the first.
    """
    return {
        "size": max(1, depth),
        "track_total_hits": counted,
        "_source": False,
        "stored_fields": "_none_",
        "timeout": f"{round(timeout_s * 1000)}ms",
        "query": query,
        "sort": _sort(order),
    }


def nearest(
    field: str, vector: FloatMatrix, within: Sequence[Clause], wanted: int, ef_search: int
) -> Clause:
    """Return the query for items with the `wanted` passages of a vector field that are nearest to
    `vector`, float32 [1, d].
    """
    path = vector_path(field)
    near: dict[str, Any] = {
        "vector": np.ascontiguousarray(vector[0]),  # written in half the digits of Python's floats
        "k": wanted,
        "filter": {"bool": {"filter": list(within)}},
        "method_parameters": {"ef_search": max(wanted, ef_search)},
    }
    query = {"knn": {f"{path}.vector": near}}
    return {"nested": {"path": path, "query": query, "score_mode": "max"}}


def counting(within: Sequence[Clause], lacking: str = "") -> Clause:
    """Return the search that counts items, or only those without vectors in the field `lacking`."""
    clause: dict[str, Any] = {"filter": list(within)}
    if lacking:
        clause["must_not"] = [{"term": {EMBEDDED: lacking}}]
    return {"size": 0, "track_total_hits": True, "query": {"bool": clause}}


def aggregated(query: Clause, aggs: Mapping[str, Any], timeout_s: float) -> Clause:
    """Return the search that only aggregates what satisfies `query`."""
    return {
        "size": 0,
        "track_total_hits": False,
        "timeout": f"{round(timeout_s * 1000)}ms",
        "query": query,
        "aggs": aggs,
    }


def by_date(query: Clause, request: Browse, timeout_s: float) -> Clause:
    """Return the search for a stretch of a list by date, and one item more."""
    direction = "asc" if request.asked.order is SortOrder.OLDEST else "desc"
    body: Clause = {
        "size": request.size + 1,
        "track_total_hits": True,
        "_source": False,
        "stored_fields": "_none_",
        "docvalue_fields": ["seq"],
        "timeout": f"{round(timeout_s * 1000)}ms",
        "query": query,
        "sort": [{"versioncreated": direction}, {TIE: direction}],
    }
    if request.facets.names:
        body["aggs"] = aggregations(request.facets)
    if request.after is not None:
        return {**body, "search_after": [request.after.time, request.after.tie]}
    return {**body, "from": request.skip}


def _sort(order: SortOrder) -> list[Clause]:
    """Return the sort of `order`. Ties go by id, ascending, or descending with the newest first."""
    if order in DATES:
        return [{"versioncreated": DATES[order]}, {"seq": DATES[order]}]
    return [{"_score": "desc"}, {"seq": "asc"}]
