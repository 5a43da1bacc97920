"""Facets that the index counts, over everything that matches.

A document has for each facet its values as written, one of those that differ only in case. Buckets
that differ only in case are added up here, under the label that was recorded first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from core.items import Item
from core.retrieval import FacetCount

FACETS = ("type", "subject", "place", "person", "organisation", "language", "rights")
_MARGIN = 100  # buckets beside twice the limit, as labels may differ in case
_SHARD_SIZE = 10_000  # buckets of each shard


def label_field(name: str) -> str:
    """Return the name of the field with the labels of a facet."""
    return f"{name}_label"


def label_members(item: Item) -> dict[str, list[str]]:
    """Return the labels of an item by field; fields without a value are left out."""
    values: dict[str, Sequence[str]] = {
        "type": [item.type],
        "language": [item.language],
        "rights": item.rights,
        **{name: [concept.name for concept in getattr(item, name)] for name in FACETS[1:5]},
    }
    found: dict[str, list[str]] = {}
    for name, labels in values.items():
        first = {label.casefold(): label for label in reversed(labels) if label}
        if first:
            found[label_field(name)] = [*first.values()]
    return found


def aggregations(names: Sequence[str], limit: int) -> dict[str, Any]:
    """Return the aggregations that count the facets `names`."""
    terms = {"size": 2 * limit + _MARGIN, "shard_size": _SHARD_SIZE}
    first = {"first": {"min": {"field": "seq"}}}
    return {name: {"terms": {"field": label_field(name), **terms}, "aggs": first} for name in names}


def counts_in(
    reply: Mapping[str, Any], names: Sequence[str], limit: int
) -> dict[str, tuple[FacetCount, ...]]:
    """Return the counts in the reply to `aggregations`, by count and then by label."""
    return {name: _counts(reply[name]["buckets"], limit) for name in names}


def inexact(reply: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    """Return a flag for each facet that several shards could not count exactly."""
    off = {name: int(reply[name].get("doc_count_error_upper_bound", 0)) for name in names}
    return [f"facet {name}: a count may lack {count:,}" for name, count in off.items() if count]


def _counts(buckets: Sequence[Mapping[str, Any]], limit: int) -> tuple[FacetCount, ...]:
    counted: dict[str, int] = {}
    labels: dict[str, str] = {}
    for bucket in sorted(buckets, key=lambda one: float(one["first"]["value"])):
        key = bucket["key"].casefold()
        counted[key] = counted.get(key, 0) + int(bucket["doc_count"])
        labels.setdefault(key, bucket["key"])
    ranked = sorted((-count, labels[key]) for key, count in counted.items())
    return tuple(FacetCount(label, -count) for count, label in ranked[:limit])
