"""Counts the total and the facets over the candidates, and open facets over candidates of their
own.

A facet counts over the whole answer, so that its counts and the total agree. A facet whose own
filter is set then has the chosen values only. An interface that lets people choose several values
asks for an open facet: it is counted without its own filter but with every other one, over
candidates of its own that are frozen with the answer's, or in its own list by date.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from core.ports.engine import Retriever
from core.retrieval import Browse, FacetCount, Ids, Marks, TotalRelation
from search.answers import Counted, Total
from search.candidates import CandidateSet, Guarded, Listing
from search.retrieval import Engine, ListByDate


@dataclass(frozen=True, slots=True)
class Counts:
    """What an answer counts: how many hits its pages reach (`depth`), its total, its facets, and
    the flags of what could not be done.
    """

    depth: int
    total: Total
    facets: Mapping[str, tuple[FacetCount, ...]]
    degraded: tuple[str, ...] = ()


def count(engine: Engine, listing: Listing, guarded: Guarded, counted: Counted) -> Counts:
    """Return the total and the facets `counted`, over the strong hits if the answer has a floor."""
    if listing.by_date is not None:
        return _count_by_date(engine, listing.by_date, guarded, counted)
    candidates, strong = listing.candidates, guarded.strong
    flags = _not_open(counted, candidates)
    hits = candidates.ids[strong.faces]
    later = bool(listing.token)
    total = _total(engine, candidates, guarded.shown, len(hits), later=later)
    facets = _count_facets(engine, counted, guarded, hits)
    return Counts(len(guarded.hits.faces), total, facets, flags)


def _total(
    engine: Retriever, candidates: CandidateSet, shown: Marks, hits: int, *, later: bool
) -> Total:
    """Return the total over what is visible now (`shown`, bool [n]), in `hits` hits.

    A list by date that is longer than the window gets the count of all matches that pass the
    filters now. A `later` page counts them again, because some may have been hidden.
    Near-duplicates are compared within the window only, so with folding that total is a lower
    bound.
    """
    found, asked = candidates.found, candidates.retrieval
    longer = found.lexical_matches > len(candidates.ids)
    if candidates.relation is not TotalRelation.EXACT or not longer:
        return Total(hits, candidates.relation)
    if candidates.groups is not None or (later and asked is None):
        return Total(hits, TotalRelation.LOWER_BOUND)
    matches = found.lexical_matches - int(np.count_nonzero(~shown))
    if later and asked is not None:
        matches = engine.retrieve(replace(asked, lexical_depth=1)).lexical_matches
    return Total(matches, TotalRelation.EXACT)


def _count_by_date(
    engine: Engine, listed: ListByDate, guarded: Guarded, counted: Counted
) -> Counts:
    """Return how many items the list has, and its facets; the engine counted both, before the
    guard. An open facet is counted in a list without its own filter.
    """
    counts, flags = dict(listed.found.facets), list[str]()
    for name, filters in listed.wider.items():
        asked = replace(listed.wanted.asked, filters=filters)
        opened = engine.browse(Browse(asked, size=1, facets=counted.of(name)))
        counts |= opened.facets
        flags += [f"facet {name}: {flag}" for flag in opened.degraded]
    facets = {name: counts[name] for name in counted.facets.names}
    matches = listed.found.matches - int(np.count_nonzero(~guarded.shown))
    return Counts(matches, Total(matches, TotalRelation.EXACT), facets, tuple(flags))


def _count_facets(
    engine: Engine, counted: Counted, guarded: Guarded, hits: Ids
) -> Mapping[str, tuple[FacetCount, ...]]:
    """Return the counts of every facet over `hits`; an open facet is counted over hits of its
    own.
    """
    asked, opened = counted.facets, guarded.open_facets
    plain = [name for name in asked.names if name not in opened]
    counts_of = partial(
        engine.facets, limit=asked.limit, buckets=asked.buckets, broader=asked.broader
    )
    counts = dict(counts_of(hits, plain))
    for name in asked.names:
        if name in opened:
            counts |= counts_of(opened[name], [name])
    return {name: counts[name] for name in asked.names}


def _not_open(counted: Counted, candidates: CandidateSet) -> tuple[str, ...]:
    """Return the flags of facets that a later page asks to be open and the first page did not."""
    late = [name for name in counted.opened if name not in candidates.open_facets]
    said = "facets: {} is counted with its filter; it must be open from the first page on"
    return tuple(said.format(name) for name in late)
