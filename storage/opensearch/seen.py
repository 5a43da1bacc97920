"""Clauses for what a caller may see of the index, and parts of searches that several files use."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from core.callers import Caller

Clause = dict[str, Any]


Ask = Callable[[Sequence[Clause]], list[dict[str, Any]]]
"""Sends searches to the cluster together; all see the same moment of the index. Returns the replies
in order. Raises StorageError if one search failed.
"""

Now = Callable[[], int]
"""Returns the time, in microseconds since 1970 UTC."""


def shown_at(now: int) -> list[Clause]:
    """Return clauses for the versions that stories show at `now` (microseconds)."""
    return [{"bool": {"should": [{"term": {"lasting": True}}, {"term": {"shown": now}}]}}]


def seen_by(caller: Caller, now: int) -> list[Clause]:
    """Return clauses for the versions that `caller` may see at `now`."""
    held = sorted({code.casefold() for code in caller.products if code})
    return [*shown_at(now), {"terms": {"product": held}}] if held else [{"match_none": {}}]


def all_of(*clauses: Clause) -> Clause:
    """Return the unscored query for items that satisfy every clause."""
    return {"bool": {"filter": list(clauses)}}


def beginning_with(field: str, text: str) -> Clause:
    """Return the clause for items with a value of keyword `field` that begins with `text`."""
    return {"prefix": {field: {"value": text}}}


def count_of(field: str, value: str, within: Sequence[Clause]) -> Clause:
    """Return the search that counts the items `within` the clauses that have this value or term."""
    query = all_of({"term": {field: {"value": value}}}, *within)
    return {"size": 0, "track_total_hits": True, "query": query}


def literal(text: str) -> str:
    """Return the Lucene regular expression that matches only `text`."""
    return "".join(sign if sign.isalnum() else f"\\{sign}" for sign in text)


def values_like(field: str, pattern: str, size: int) -> Clause:
    """Return the aggregation that counts items by value of `field`, for the `size` commonest values
    that match the Lucene regular expression `pattern`. It counts by value and not by ordinal: few
    items have one, and each refresh would make a whole shard's ordinals again.
    """
    return {
        "terms": {
            "field": field,
            "include": pattern,
            "size": size,
            "shard_size": 4 * size,
            "execution_hint": "map",
        }
    }


def newest_first(query: Clause, aggs: Clause, most: int) -> Clause:
    """Return the search that aggregates only the newest `most` items of each shard that satisfy
    `query`. So a common word costs no more than that. The total says whether there are more.
    """
    latest = {"field_value_factor": {"field": "seq", "missing": 0}}
    scored = {"query": query, "functions": [latest], "boost_mode": "replace"}
    return {
        "size": 0,
        "track_total_hits": most + 1,
        "query": {"function_score": scored},
        "aggs": {"newest": {"sampler": {"shard_size": most}, "aggs": aggs}},
    }


def counted(reply: dict[str, Any], name: str) -> list[tuple[str, int]]:
    """Return the values and counts of aggregation `name`, over the newest items or over all."""
    found = reply["aggregations"]
    buckets = found.get("newest", found)[name]["buckets"]
    return [(bucket["key"], bucket["doc_count"]) for bucket in buckets]
