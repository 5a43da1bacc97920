"""What a caller may see of the index, as clauses of a query; and how searches are asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from core.callers import Caller

Clause = dict[str, Any]


class Ask(Protocol):
    """Searches that go to the cluster together, over one moment of the index."""

    def __call__(self, bodies: Sequence[Clause]) -> list[dict[str, Any]]:
        """Their replies, in order. Raises StorageError where one of them failed."""
        ...


class Now(Protocol):
    """The time, in microseconds since 1970 UTC."""

    def __call__(self) -> int:
        """Now."""
        ...


def shown_at(now: int) -> list[Clause]:
    """Of the versions that their stories show at `now` (microseconds)."""
    return [{"bool": {"should": [{"term": {"lasting": True}}, {"term": {"shown": now}}]}}]


def seen_by(caller: Caller, now: int) -> list[Clause]:
    """Of the versions that `caller` may see at `now`."""
    held = sorted({code.casefold() for code in caller.products if code})
    return [*shown_at(now), {"terms": {"product": held}}] if held else [{"match_none": {}}]


def all_of(*clauses: Clause) -> Clause:
    """The query for what every clause lets through, unscored."""
    return {"bool": {"filter": list(clauses)}}


def beginning_with(field: str, text: str) -> Clause:
    """Of the items that have a value in keyword `field` that begins with `text`."""
    return {"prefix": {field: {"value": text}}}


def count_of(field: str, value: str, within: Sequence[Clause]) -> Clause:
    """The search for the number of items within clauses that have a value, or a term."""
    query = all_of({"term": {field: {"value": value}}}, *within)
    return {"size": 0, "track_total_hits": True, "query": query}


def literal(text: str) -> str:
    """`text` as a Lucene regular expression that matches nothing else."""
    return "".join(sign if sign.isalnum() else f"\\{sign}" for sign in text)


def values_like(field: str, pattern: str, size: int) -> Clause:
    """The aggregation that counts the items by those values of `field` that match a Lucene regular
    expression, the commonest `size`. By value and not by ordinal: few items have any, and ordinals
    of a whole shard would be made anew after every refresh.
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
    """The search whose aggregations look at the newest `most` items of each shard that `query` lets
    through, so that what a common word costs has a bound; its total says whether there are more.
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
    """The values and counts of aggregation `name`, among the newest or all."""
    found = reply["aggregations"]
    buckets = found.get("newest", found)[name]["buckets"]
    return [(bucket["key"], bucket["doc_count"]) for bucket in buckets]
