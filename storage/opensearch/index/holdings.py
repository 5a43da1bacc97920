"""Counts what an index holds, for `dateline status`, and lists the products of its items."""

from __future__ import annotations

from typing import Any

from storage.opensearch.index.body import vector_path
from storage.opensearch.nodes.searcher import Searcher
from storage.opensearch.query.query_dsl import Clause
from storage.opensearch.query.statistics import total
from storage.opensearch.seen import shown_at
from storage.opensearch.view import View

_MOST_PRODUCTS = 10_000


def products_in(searcher: Searcher) -> frozenset[str]:
    """Return every product code of the items in the index, casefolded."""
    aggregation = {"terms": {"field": "product", "size": _MOST_PRODUCTS}}
    (reply,) = searcher.ask([{"size": 0, "aggs": {"products": aggregation}}])
    buckets = reply["aggregations"]["products"]["buckets"]
    return frozenset(bucket["key"] for bucket in buckets)


def holdings_of(view: View, now: int) -> dict[str, Any]:
    """Return the numbers of items shown at `now` (microseconds), of documents and of passages, as
    values for JSON.
    """
    names = list(view.family.spaces)
    shown, *passages = view.searcher.ask([_shown(now), *map(_passages, names)])
    basics = view.statistics.basics()
    return {
        "visible": total(shown),
        "documents": basics.documents,
        "vectors": {
            name: {
                "segments": [reply["aggregations"]["passages"]["doc_count"]],
                "tail": 0,
                "lacking": basics.lacking[name],
            }
            for name, reply in zip(names, passages, strict=True)
        },
    }


def _shown(now: int) -> Clause:
    return {"size": 0, "track_total_hits": True, "query": {"bool": {"filter": shown_at(now)}}}


def _passages(name: str) -> Clause:
    return {"size": 0, "aggs": {"passages": {"nested": {"path": vector_path(name)}}}}
