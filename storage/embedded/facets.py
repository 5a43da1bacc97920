"""Counts over candidates."""

from __future__ import annotations

import numpy as np

from core.errors import QueryError
from core.retrieval import FacetCount, Ids
from storage.embedded.columns import VALUE_FIELDS, Columns

_MICROS_PER_DAY = 86_400_000_000


def count_facets(columns: Columns, ids: Ids, name: str, limit: int) -> tuple[FacetCount, ...]:
    """The values of facet `name` among `ids`: dates by month, newest first; others by count."""
    if name == "versioncreated":
        return _months(columns, ids, limit)
    if name not in VALUE_FIELDS:
        raise QueryError(f"there is no facet {name!r}", mend=f"one of {', '.join(VALUE_FIELDS)}")
    return columns.values[name].counts(ids, limit)


def _months(columns: Columns, ids: Ids, limit: int) -> tuple[FacetCount, ...]:
    days = columns.dates["versioncreated"].view()[ids] // _MICROS_PER_DAY
    months = days.astype("datetime64[D]").astype("datetime64[M]")
    values, counts = np.unique(months, return_counts=True)
    pairs = list(zip(values, counts, strict=True))[::-1][:limit]
    return tuple(FacetCount(str(value), int(count)) for value, count in pairs)
