"""Facets: counts over the candidates, and for open facets over those of a second retrieval.

A facet counts over the whole answer, so that its counts and the total agree. A facet whose own
filter is set then has the chosen values only. An interface that lets people choose several values
asks for an open facet: it is counted without its own filter but with every other one, over
candidates that are frozen with the answer's own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from core.query_tree import without_field
from core.retrieval import DateBuckets, FacetCount, FacetRequest, Ids, Marks
from search.answers import FacetSubjects, SearchRequest, Total
from search.candidates import CandidateSet, Faces, faces_of, total_of
from search.retrieval import Engine
from search.understanding.dates.calendar import zone_of


@dataclass(frozen=True, slots=True)
class Counts:
    """What an answer counts: how many hits its pages reach (`depth`), its total, its facets, and
    the flags of what could not be done.
    """

    depth: int
    total: Total
    facets: Mapping[str, tuple[FacetCount, ...]]
    degraded: tuple[str, ...] = ()


def count(
    engine: Engine, request: SearchRequest, candidates: CandidateSet, shown: Marks, faces: Faces
) -> Counts:
    """The total and the facets over the hits, which are `faces`; `shown` (bool [n]) says which
    candidates are visible.
    """
    hits = candidates.ids[faces.faces]
    total = total_of(engine, candidates, shown, len(hits), later=bool(request.cursor))
    facets = count_facets(engine, request, candidates, hits)
    return Counts(len(hits), total, facets, _not_open(request, candidates))


def count_facets(
    engine: Engine, request: SearchRequest, candidates: CandidateSet, hits: Ids
) -> Mapping[str, tuple[FacetCount, ...]]:
    """The counts of every facet of `request`, over `hits`. An open facet is counted over its own
    candidates, as far as the caller may see them now.
    """
    names = facet_names(request)
    asked = facet_request(request, names)
    plain = [name for name in names if name not in candidates.open_facets]
    count = partial(engine.facets, limit=asked.limit, buckets=asked.buckets, broader=asked.broader)
    counts = dict(count(hits, plain))
    for name in names:
        if own := candidates.open_facets.get(name):
            shown = np.isin(own.ids, engine.visible(own.ids, candidates.caller))
            ids = own.ids[faces_of(shown, own.groups).faces]
            counts |= count(ids, [name])
    return {name: counts[name] for name in names}


def facet_names(request: SearchRequest) -> tuple[str, ...]:
    """The facets of a request, each once, open ones too."""
    return tuple(dict.fromkeys((*request.facets, *request.open_facets)))


def facet_request(request: SearchRequest, names: Sequence[str]) -> FacetRequest:
    """What to count for the facets `names`."""
    buckets = DateBuckets()
    if "versioncreated" in names:
        buckets = DateBuckets(request.facet_interval, zone_of(request.tz))
    broader = request.facet_subjects is FacetSubjects.BROADER
    return FacetRequest(tuple(names), request.facet_limit, buckets, broader)


def _not_open(request: SearchRequest, candidates: CandidateSet) -> tuple[str, ...]:
    """The flags of facets that a later page asks to be open and the first page did not."""
    late = [
        name
        for name in request.open_facets
        if request.cursor
        and name not in candidates.open_facets
        and without_field(request.filters, name) is not request.filters
    ]
    said = "facets: {} is counted with its filter; it must be open from the first page on"
    return tuple(said.format(name) for name in late)
