"""Facets that the index counts, over everything that matches.

For each facet a document has its values as written; of values that differ only in case it has one.
Buckets that differ only in case are added up here, under the label that was recorded first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.items import Item
from core.retrieval import FacetCount, FacetRequest
from storage.record.source_facts import DOCUMENT_FIELDS, document_keywords
from storage.words.topics import most_frequent

CREATED, SUBJECT = "versioncreated", "subject"
SUBJECTS = "subjects"  # the aggregation of all values of subjects, names and codes
FACETS = (
    *("type", "subject", "place", "person", "organisation", "language", "rights"),
    *DOCUMENT_FIELDS,
)
_MARGIN = 100  # buckets beside twice the limit, as labels may differ in case
_SHARD_SIZE = 10_000  # buckets of each shard
_VALUES = 50_000  # different subjects of an answer


def label_field(name: str) -> str:
    """Return the name of the field with the labels of a facet."""
    return f"{name}_label"


def label_members(item: Item) -> dict[str, list[str]]:
    """Return the labels of an item by field; fields without a value are left out."""
    values: dict[str, Sequence[str]] = {
        "type": [item.type],
        "language": [item.language],
        "rights": item.rights,
        **document_keywords(item),
        **{name: [concept.name for concept in getattr(item, name)] for name in FACETS[1:5]},
    }
    found: dict[str, list[str]] = {}
    for name, labels in values.items():
        first = {label.casefold(): label for label in reversed(labels) if label}
        if first:
            found[label_field(name)] = [*first.values()]
    return found


def aggregations(wanted: FacetRequest) -> dict[str, Any]:
    """Return the aggregations for the facets of a request. `whole_facets` goes on with the newest
    time, and with the values of subjects.
    """
    terms = {"size": 2 * wanted.limit + _MARGIN, "shard_size": _SHARD_SIZE}
    first = {"first": {"min": {"field": "seq"}}}
    found: dict[str, Any] = {
        name: {"terms": {"field": label_field(name), **terms}, "aggs": first}
        for name in indexed(wanted.names)
    }
    if CREATED in wanted.names:
        found[CREATED] = {"max": {"field": CREATED}}
    if wanted.broader and SUBJECT in wanted.names:
        found[SUBJECTS] = {"terms": {"field": SUBJECT, "size": _VALUES, "shard_size": _VALUES}}
    return found


def indexed(names: Iterable[str]) -> tuple[str, ...]:
    """Return those of the facets that the index counts by label."""
    return tuple(name for name in names if name in FACETS)


def counts_in(
    reply: Mapping[str, Any], names: Sequence[str], limit: int
) -> dict[str, tuple[FacetCount, ...]]:
    """Return the counts in the reply to `aggregations`, by count and then by label."""
    return {name: Labelled.of(reply[name]["buckets"]).ranked(limit) for name in indexed(names)}


def inexact(reply: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    """Return a flag for each facet that several shards could not count exactly."""
    found = {name: reply.get(name, {}) for name in indexed(names)}
    off = {name: int(one.get("doc_count_error_upper_bound", 0)) for name, one in found.items()}
    flags = [f"facet {name}: a count may lack {count:,}" for name, count in off.items() if count]
    if reply.get(SUBJECTS, {}).get("sum_other_doc_count"):
        flags.append(f"facet {SUBJECT}: there are more than {_VALUES:,} subjects; counts are low")
    return flags


@dataclass(frozen=True, slots=True)
class Labelled:
    """Counts by casefolded label, and the label that was recorded first."""

    counts: Mapping[str, int]
    labels: Mapping[str, str]

    @classmethod
    def of(cls, buckets: Sequence[Mapping[str, Any]]) -> Labelled:
        """Return the counts of an aggregation's buckets."""
        counts: dict[str, int] = {}
        labels: dict[str, str] = {}
        for bucket in sorted(buckets, key=lambda one: float(one["first"]["value"])):
            key = bucket["key"].casefold()
            counts[key] = counts.get(key, 0) + int(bucket["doc_count"])
            labels.setdefault(key, bucket["key"])
        return cls(counts, labels)

    def ranked(self, limit: int) -> tuple[FacetCount, ...]:
        """Return the most frequent labels, by count and then by label."""
        return most_frequent(self.counts, self.labels, limit)
