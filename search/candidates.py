"""Candidate sets: frozen when a query is first answered, and kept for a while for its
later pages.
"""

from __future__ import annotations

import re
import secrets
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from threading import Lock
from time import monotonic
from typing import Protocol

from core.callers import Caller
from core.errors import ExpiredError
from core.query_tree import Node, is_fact
from core.retrieval import Floats, Ids, Marks, Retrieval, Retrieved, TotalRelation
from rerank.deadline import Mixing
from search.answers import Total, Understood
from search.ranking import Fused

_KEPT = 512
_NUMBER = re.compile(r"[0-9]{1,18}")  # JSON carries 63 bits
_LIFETIME_S = 600.0


@dataclass(frozen=True, slots=True)
class OpenFacet:
    """The candidates that an open facet counts, one per story; `groups` is as in a
    candidate set.
    """

    ids: Ids
    groups: Ids | None = None


@dataclass(frozen=True, slots=True)
class CandidateSet:
    """One query's candidates from best to worst, one per story.

    `places[i]` says where candidate `ids[i]` stands in `found` and `fused`. `rerank_scores`
    [len(ids)] is NaN for candidates that were not reranked. Editors pinned the first `pinned` of
    them; the next `exact` have the whole query as a value, such as their slugline. `retrieval` is
    what the engine was asked. `similar_to` is the uri of the item of a "more like this" search, ""
    for a query. `groups` [len(ids)] has for each candidate the place of the first of its
    near-duplicates; None where they are not folded.
    """

    caller: Caller
    profile: str
    query: Node
    understood: Understood
    ids: Ids
    scores: Floats
    places: Ids
    found: Retrieved
    fused: Fused
    fused_ranks: Ids
    rerank_scores: Floats
    relation: TotalRelation
    degraded: tuple[str, ...]
    pinned: int = 0
    exact: int = 0
    retrieval: Retrieval | None = None
    similar_to: str = ""
    mixing: Mixing | None = None
    groups: Ids | None = None
    open_facets: Mapping[str, OpenFacet] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RerankerInput:
    """What a reranker reads: the query's words, and for each story, best first, its item's `uri`
    ("" if it was hidden meanwhile), the fused score [n] and the text.
    """

    query: str
    uris: tuple[str, ...]
    fused: Floats
    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FusionInput:
    """The values that one query's fusion starts from, before any weight applies, m candidates long.

    `names` is the share of known names, None if there are no known names. Equal numbers in
    `stories` are one story. `rerank_scores` is NaN where nothing was scored. `given_order` has all
    places, best first, where the order does not follow from scores, else None. `foreign` marks
    candidates in another language than the query, where the profile weighs them otherwise.
    """

    found: Retrieved
    names: Floats | None
    stories: Ids
    rerank_scores: Floats
    given_order: Ids | None
    degraded: tuple[str, ...]
    foreign: Marks | None = None


class KeptCandidates(Protocol):
    """Keeps candidate sets for their later pages. Safe from any thread."""

    def keep(self, candidates: CandidateSet) -> str:
        """Keeps a set for a while and returns its token, which can't be guessed."""
        ...

    def find(self, token: str, caller: Caller) -> CandidateSet:
        """The set of a token, for the caller it was made for. Raises ExpiredError, with the same
        message for a set that is gone and for another caller's set.
        """
        ...


class CandidateStore:
    """Keeps the last few hundred candidate sets for ten minutes, in this process's memory."""

    def __init__(self, kept: int = _KEPT, lifetime_s: float = _LIFETIME_S) -> None:
        self._kept = kept
        self._lifetime_s = lifetime_s
        self._sets: OrderedDict[str, tuple[float, CandidateSet]] = OrderedDict()
        self._lock = Lock()

    def keep(self, candidates: CandidateSet) -> str:
        """Keeps a set in memory."""
        token = new_token()
        self.put(token, candidates)
        return token

    def put(self, token: str, candidates: CandidateSet) -> None:
        """Keeps a set under the given token."""
        with self._lock:
            self._sets[token] = (monotonic() + self._lifetime_s, candidates)
            while len(self._sets) > self._kept:
                self._sets.popitem(last=False)

    def find(self, token: str, caller: Caller) -> CandidateSet:
        """The set in memory; raises ExpiredError."""
        with self._lock:
            until, candidates = self._sets.get(token, (0.0, None))
            if candidates is None or until < monotonic() or candidates.caller != caller:
                self._sets.pop(token, None) if candidates and until < monotonic() else None
                raise no_longer_known()
            return candidates


def new_token() -> str:
    """96 random bits as text that fits into a URL."""
    return secrets.token_urlsafe(12)


def no_longer_known() -> ExpiredError:
    """The error for every cursor that leads to no candidates."""
    return ExpiredError(
        "this cursor is no longer known",
        mend="ask the query again; a cursor lives for ten minutes",
    )


def write_cursor(token: str, start: int, page: int) -> str:
    """A cursor: the token of a set, the place of the next candidate, and the page's number."""
    return f"{token}.{start}.{page}"


def read_cursor(cursor: str) -> tuple[str, int, int]:
    """The token, place and page number of a cursor. Raises ExpiredError for any other text."""
    token, _, rest = cursor.partition(".")
    start, _, page = rest.partition(".")
    if not token or not _NUMBER.fullmatch(start) or not _NUMBER.fullmatch(page) or len(cursor) > 64:
        raise ExpiredError("this is not a cursor", mend="use the one that an answer gave")
    return token, int(start), int(page)


def relation_of(retrieval: Retrieval, found: Retrieved, *, similar: bool) -> TotalRelation:
    """What the number of candidates is.

    Vectors, and a search for what is `similar` to an item, always find the nearest, so the number
    is that of a window. A list of matches that was cut is a lower bound.
    """
    if retrieval.vectors or similar:
        return TotalRelation.WINDOW
    browsing = is_fact(retrieval.query)
    if browsing or found.lexical_matches <= retrieval.lexical_depth:
        return TotalRelation.EXACT
    return TotalRelation.LOWER_BOUND


def total_of(candidates: CandidateSet, hits: int, matches: int | None) -> Total:
    """The total over what is visible now, in `hits` hits.

    A browsed list that is longer than the window gets the count of all `matches` that pass the
    filters now; None where that is not known. Near-duplicates are compared within the window only,
    so with folding that total is a lower bound.
    """
    if not is_longer(candidates):
        return Total(hits, candidates.relation)
    if candidates.groups is not None or matches is None:
        return Total(hits, TotalRelation.LOWER_BOUND)
    return Total(matches, TotalRelation.EXACT)


def is_longer(candidates: CandidateSet) -> bool:
    """Whether the set is a browsed list that is longer than the window."""
    exact = candidates.relation is TotalRelation.EXACT
    return exact and candidates.found.lexical_matches > len(candidates.ids)
