"""Candidate sets: frozen when a query is first answered, kept for a while for its later pages.

How many hits there are is exact, at least so many, or a window's.
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
from core.retrieval import Floats, Ids, Retrieval, Retrieved, TotalRelation
from rerank.deadline import Mixing
from search.answers import Total, Understood
from search.ranking import Fused

_KEPT = 512
_NUMBER = re.compile(r"[0-9]{1,18}")  # JSON carries 63 bits
_LIFETIME_S = 600.0


@dataclass(frozen=True, slots=True)
class OpenFacet:
    """What a facet that ignores its own filter is counted over: one per story, with `groups` as in
    a candidate set.
    """

    ids: Ids
    groups: Ids | None = None


@dataclass(frozen=True, slots=True)
class CandidateSet:
    """One query's candidates from best to worst, one per story. `places[i]` says where candidate
    `ids[i]` stands in `found` and `fused`; `rerank_scores` [len(ids)] is NaN where not reranked.
    The first `pinned` of them stand where editors put them. `retrieval` is what was asked, and
    `similar_to` the uri of the item that they are like, where they answer no query. `groups`
    [len(ids)] is the place of the first of each one's near-duplicates, None where they are not
    folded.
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
    retrieval: Retrieval | None = None
    similar_to: str = ""
    mixing: Mixing | None = None
    groups: Ids | None = None
    open_facets: Mapping[str, OpenFacet] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RerankerInput:
    """What a reranker reads: the query's words, and for each story its item's `uri` ("" where it
    was hidden meanwhile), the fused score [n] and the text, best first.
    """

    query: str
    uris: tuple[str, ...]
    fused: Floats
    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FusionInput:
    """What one query's fusion starts from, before any weight has a say, m candidates long.

    `names` is the share of known names, None where there are none; equal numbers in `stories` are
    one story; `rerank_scores` is NaN where nothing was scored; `given_order` are all places, best
    first, of an answer that is not ordered by scores, None of one that is.
    """

    found: Retrieved
    names: Floats | None
    stories: Ids
    rerank_scores: Floats
    given_order: Ids | None
    degraded: tuple[str, ...]


class KeptCandidates(Protocol):
    """Where candidate sets wait for their later pages. Any thread may call."""

    def keep(self, candidates: CandidateSet) -> str:
        """Keeps a set for a while and gives its token, which can't be guessed."""
        ...

    def find(self, token: str, caller: Caller) -> CandidateSet:
        """The set of a token, for the caller it was made for. Raises ExpiredError, in the same
        words for a set that is gone and for one of another caller.
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
        """See `KeptCandidates`."""
        token = new_token()
        self.put(token, candidates)
        return token

    def put(self, token: str, candidates: CandidateSet) -> None:
        """Keeps a set under a token that is given."""
        with self._lock:
            self._sets[token] = (monotonic() + self._lifetime_s, candidates)
            while len(self._sets) > self._kept:
                self._sets.popitem(last=False)

    def find(self, token: str, caller: Caller) -> CandidateSet:
        """See `KeptCandidates`."""
        with self._lock:
            until, candidates = self._sets.get(token, (0.0, None))
            if candidates is None or until < monotonic() or candidates.caller != caller:
                self._sets.pop(token, None) if candidates and until < monotonic() else None
                raise no_longer_known()
            return candidates


def new_token() -> str:
    """96 random bits, as text for an address."""
    return secrets.token_urlsafe(12)


def no_longer_known() -> ExpiredError:
    """What is said of every cursor that leads to no candidates."""
    return ExpiredError(
        "this cursor is no longer known",
        mend="ask the query again; a cursor lives for ten minutes",
    )


def write_cursor(token: str, start: int, page: int) -> str:
    """A cursor: which set, from which candidate on, and which page that is."""
    return f"{token}.{start}.{page}"


def read_cursor(cursor: str) -> tuple[str, int, int]:
    """The inverse. Raises ExpiredError for what is no cursor."""
    token, _, rest = cursor.partition(".")
    start, _, page = rest.partition(".")
    if not token or not _NUMBER.fullmatch(start) or not _NUMBER.fullmatch(page) or len(cursor) > 64:
        raise ExpiredError("this is not a cursor", mend="use the one that an answer gave")
    return token, int(start), int(page)


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
