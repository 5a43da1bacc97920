"""How many hits there are, and what that number is: exact, at least so many, or a window's."""

from __future__ import annotations

from core.query_tree import is_fact
from core.retrieval import Retrieval, Retrieved, TotalRelation
from search.answers import Total
from search.candidates import CandidateSet


def relation_of(retrieval: Retrieval, found: Retrieved, *, similar: bool) -> TotalRelation:
    """What the number of candidates is. Vectors, and what is `similar` to an item, always give the
    nearest, so their count is that of a window; a list of matches that was cut is a lower bound.
    """
    if retrieval.vectors or similar:
        return TotalRelation.WINDOW
    browsing = is_fact(retrieval.query)
    if browsing or found.lexical_matches <= retrieval.lexical_depth:
        return TotalRelation.EXACT
    return TotalRelation.LOWER_BOUND


def total_of(candidates: CandidateSet, hits: int, shown: int) -> Total:
    """The total over what is visible now, `shown` candidates in `hits` hits; of a browsed list that
    is longer than the window, the count of all that the facts let through. What is folded is
    compared inside of the window only, so that there are at least as many groups as it has.
    """
    gone = len(candidates.ids) - shown
    matches = candidates.found.lexical_matches
    if candidates.relation is TotalRelation.EXACT and matches > len(candidates.ids):
        if candidates.groups is not None:
            return Total(hits, TotalRelation.LOWER_BOUND)
        return Total(matches - gone, TotalRelation.EXACT)
    return Total(hits, candidates.relation)
