"""Facets of everything that matches, for which the index is asked once more: dates, and subjects
with the topics above them. Both are exact, as in the embedded engine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from core.retrieval import FacetCount, FacetRequest
from storage.opensearch.query.facet_counts import CREATED, SUBJECT, SUBJECTS, Labelled
from storage.opensearch.query.query_dsl import Clause
from storage.words.date_buckets import count_dates, cuts
from storage.words.topics import Topics, most_frequent

_AT_ONCE = 1_000  # buckets of time in one request
_END = 2**62  # microseconds, after every time
_RANGES, _OLDER = "ranges", "older"
Ask = Callable[[Mapping[str, Any]], Mapping[str, Any]]
"""Asks for aggregations over everything that matches; returns {} if there is no answer."""


def dates_counted(
    ask: Ask, reply: Mapping[str, Any], wanted: FacetRequest
) -> tuple[FacetCount, ...]:
    """Return the counts of the newest buckets that have items. `reply` has the newest time. Time is
    cut where buckets begin and where clocks change, so that each stretch lies in one bucket.
    """
    found: dict[int, int] = {}
    newest, counts, end = reply[CREATED]["value"], tuple[FacetCount, ...](), _END
    while newest is not None and len(counts) < wanted.limit:
        moments = cuts(int(newest), _AT_ONCE, wanted.buckets).tolist()
        answer = ask(_between([moment for moment in moments if moment < end], end))
        if not answer:
            break
        buckets = answer[_RANGES]["buckets"]
        found |= {int(one["from"]): one["doc_count"] for one in buckets if one["doc_count"]}
        times = np.array([*found], np.int64)
        counts = count_dates(times, wanted.limit, wanted.buckets, np.array([*found.values()]))
        newest, end = answer[_OLDER]["newest"]["value"], moments[0]
    return counts


def _between(moments: Sequence[int], end: int) -> dict[str, Any]:
    ranges = [{"from": a, "to": b} for a, b in pairwise([*moments, end])]
    older = {"filter": {"range": {CREATED: {"lt": moments[0]}}}}
    return {
        _RANGES: {"range": {"field": CREATED, "ranges": ranges}},
        _OLDER: {**older, "aggs": {"newest": {"max": {"field": CREATED}}}},
    }


def topics_counted(
    ask: Ask, reply: Mapping[str, Any], topics: Topics, limit: int
) -> tuple[FacetCount, ...]:
    """Return the most frequent subjects and broader topics. `reply` has the names of subjects, and
    all of their values. A name that is not a label of the vocabulary is counted already; the items
    of a topic are counted by a filter of the values at and below it.
    """
    below, names = _below(topics, reply), Labelled.of(reply[SUBJECT]["buckets"])
    keys = {topics.label(topic).casefold() for topic in below}
    keys |= names.counts.keys() & topics.by_label
    own = {key: _topics_of(key, topics) for key in keys}
    filters = {k: _filter(k, own[k], topics.by_label.get(k, ()), below) for k in keys}
    counts = dict(names.counts)
    if filters:
        answer = ask({SUBJECT: {"filters": {"filters": [*filters.values()]}}})
        buckets = answer[SUBJECT]["buckets"] if answer else []
        counts |= {key: one["doc_count"] for key, one in zip(filters, buckets, strict=False)}
    written = {key: topics.label(some[0]) for key, some in own.items() if some}
    return most_frequent(counts, {**names.labels, **written}, limit)


def _topics_of(key: str, topics: Topics) -> list[str]:
    """Return the topics that are counted under a casefolded `key`, their first label or code."""
    named = dict.fromkeys((*topics.by_label.get(key, ()), key))
    return [
        topic
        for topic in named
        if topic in topics.broader and topics.label(topic).casefold() == key
    ]


def _below(topics: Topics, reply: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return for each topic the values of the items that are codes at or below it."""
    found: dict[str, list[str]] = {}
    for bucket in reply[SUBJECTS]["buckets"]:
        for topic in topics.line(topics.code(bucket["key"])):
            found.setdefault(topic, []).append(bucket["key"])
    return found


def _filter(
    key: str, own: Iterable[str], named: Iterable[str], below: Mapping[str, list[str]]
) -> Clause:
    """Return the clause of items that count for a key: those with a value at or below its `own`
    topics, and those with the name, unless another topic that is `named` so counts them.
    """
    values = {value for topic in own for value in below.get(topic, ())}
    others = {value for topic in named for value in below.get(topic, ())}
    if others <= values:
        return {"terms": {SUBJECT: sorted({*values, key})}}
    name = {"filter": [{"term": {SUBJECT: key}}]}
    alone = {"bool": {**name, "must_not": [{"terms": {SUBJECT: sorted(others)}}]}}
    return {"bool": {"should": [{"terms": {SUBJECT: sorted(values)}}, alone]}}
