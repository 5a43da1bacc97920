"""Counts facets over candidates."""

from __future__ import annotations

from core.retrieval import DateBuckets, FacetCount, Ids
from storage.embedded.columns.facts import Columns
from storage.record.facts import check_facet
from storage.words.date_buckets import count_dates


def count_facets(
    columns: Columns, ids: Ids, name: str, limit: int, buckets: DateBuckets
) -> tuple[FacetCount, ...]:
    """Return the values of facet `name` among `ids`: dates newest first, others by count."""
    if name == "versioncreated":
        return count_dates(columns.dates["versioncreated"].view()[ids], limit, buckets)
    check_facet(name)
    return columns.values[name].counts(ids, limit)
