"""Facets: counts over the candidates, and for open facets over those of a second retrieval.

A facet counts over the whole answer, so that its counts and the total agree. A facet whose own
filter is set then has the chosen values only. An interface that lets people choose several values
asks for an open facet: it is counted without its own filter but with every other one, over
candidates that are frozen with the answer's own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from core.query_tree import Bool, DateRange, Keyword, Node, all_of
from core.retrieval import DateBuckets, FacetCount, FacetRequest, Ids, Retrieval
from search.answers import FacetSubjects, Fold, SearchRequest
from search.candidates import CandidateSet, OpenFacet
from search.exact import exact_ids
from search.folding import faces_of, groups_of
from search.parts import Engine
from search.profiles import Profile
from search.ranking import first_of_each, fuse, pins_of, ranking, with_items
from search.retrieval import Answer, retrieve
from search.shots import exemplar_at
from search.understanding.dates.calendar import zone_of


def without_filter(filters: Node, name: str) -> Node:
    """`filters` without those that only choose values of facet `name`; the same object if there are
    none.
    """
    parts = tuple(_conjuncts(filters))
    kept = tuple(part for part in parts if not _is_of(part, name))
    return filters if len(kept) == len(parts) else all_of(*kept)


def _conjuncts(node: Node) -> tuple[Node, ...]:
    if isinstance(node, Bool) and node.must and not node.should and not node.must_not:
        return tuple(part for child in node.must for part in _conjuncts(child))
    return (node,)


def _is_of(node: Node, name: str) -> bool:
    return isinstance(node, Keyword | DateRange) and node.field == name


def open_facets(
    engine: Engine,
    request: SearchRequest,
    asked: Retrieval,
    filters: Node,
    profile: Profile,
    pinned: Sequence[str],
) -> tuple[Mapping[str, OpenFacet], tuple[str, ...]]:
    """The candidates of each open facet whose own filter is set, and the flags of what could not be
    done.

    The retrieval is repeated without that filter; `filters` are those of the query itself, and the
    query's vector is not computed again.
    """
    found: dict[str, OpenFacet] = {}
    flags: list[str] = []
    for name in dict.fromkeys(request.open_facets):
        left = without_filter(request.filters, name)
        if left is request.filters:
            continue
        wider = retrieve(engine, replace(asked, filters=all_of(filters, left)), profile)
        flags += [f"facet {name}: {flag}" for flag in (*wider.degraded, *wider.found.degraded)]
        found[name] = _candidates(engine, request, wider, profile, pinned)
    return found, tuple(flags)


def _candidates(
    engine: Engine,
    request: SearchRequest,
    answer: Answer,
    profile: Profile,
    pinned: Sequence[str],
) -> OpenFacet:
    """One candidate per story, without the story of the "more like this" item, and folded if asked
    for.
    """
    found = with_items(answer.found, pins_of(engine, pinned, answer.asked))
    found = with_items(found, exact_ids(engine, request, answer.asked))
    ids = found.ids[ranking(fuse(found, profile).scores, found.ids)]
    stories = engine.chains(ids)
    places = first_of_each(stories)
    like = request.similar_to and exemplar_at(engine, request.similar_to, answer.asked.caller)
    if like:
        places = places[stories[places] != like.story]
    ids = ids[places]
    folds = request.fold is not Fold.NONE
    return OpenFacet(ids, groups_of(engine.signatures(ids)) if folds else None)


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


def not_open(request: SearchRequest, candidates: CandidateSet) -> tuple[str, ...]:
    """The flags of facets that a later page asks to be open and the first page did not."""
    late = [
        name
        for name in request.open_facets
        if request.cursor
        and name not in candidates.open_facets
        and without_filter(request.filters, name) is not request.filters
    ]
    said = "facets: {} is counted with its filter; it must be open from the first page on"
    return tuple(said.format(name) for name in late)
