"""The bodies of the searches that a retrieval is made of: clauses in, ids in an order out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from core.items import FloatMatrix
from core.retrieval import SortOrder
from storage.opensearch.index.body import EMBEDDED, vector_path
from storage.opensearch.query.candidates import DATES
from storage.opensearch.query.query_dsl import Clause

MOST_NEAREST = 10_000  # that the k-NN plugin looks for


def listed(query: Clause, depth: int, order: SortOrder, timeout_s: float) -> Clause:
    """The search for the first `depth` ids: the sort values are all that is needed of a hit."""
    return {
        "size": max(1, depth),
        "track_total_hits": True,
        "_source": False,
        "stored_fields": "_none_",
        "timeout": f"{round(timeout_s * 1000)}ms",
        "query": query,
        "sort": _sort(order),
    }


def nearest(
    field: str, vector: FloatMatrix, within: Sequence[Clause], wanted: int, ef_search: int
) -> Clause:
    """What has the `wanted` nearest passages of a vector field to `vector`, float32 [1, d]."""
    path = vector_path(field)
    near: dict[str, Any] = {
        "vector": vector[0].astype(float).tolist(),
        "k": wanted,
        "filter": {"bool": {"filter": list(within)}},
        "method_parameters": {"ef_search": max(wanted, ef_search)},
    }
    query = {"knn": {f"{path}.vector": near}}
    return {"nested": {"path": path, "query": query, "score_mode": "max"}}


def counting(within: Sequence[Clause], lacking: str = "") -> Clause:
    """The search for the number of items; `lacking`: of those not embedded for a vector field."""
    clause: dict[str, Any] = {"filter": list(within)}
    if lacking:
        clause["must_not"] = [{"term": {EMBEDDED: lacking}}]
    return {"size": 0, "track_total_hits": True, "query": {"bool": clause}}


def _sort(order: SortOrder) -> list[Clause]:
    """Equal ones go by id, the first recorded first (the last where the newest are first)."""
    if order in DATES:
        return [{"versioncreated": DATES[order]}, {"seq": DATES[order]}]
    return [{"_score": "desc"}, {"seq": "asc"}]
