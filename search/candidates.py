"""Candidate sets: frozen when a query is first answered, kept for a while for its later pages."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock
from time import monotonic

from core.callers import Caller
from core.errors import ExpiredError
from core.query_tree import Node
from core.retrieval import Floats, Ids, Retrieval, Retrieved, TotalRelation
from search.answers import Understood
from search.fusion import Fused

_KEPT = 512
_LIFETIME_S = 600.0


@dataclass(frozen=True, slots=True)
class CandidateSet:
    """One query's candidates from best to worst, one per story. `places[i]` says where candidate
    `ids[i]` stands in `found` and `fused`; `rerank_scores` [len(ids)] is NaN where not reranked.
    The first `pinned` of them stand where editors put them. `retrieval` is what was asked, and
    `similar_to` the uri of the item that they are like, where they answer no query.
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


class CandidateStore:
    """Keeps the last few hundred candidate sets for ten minutes."""

    def __init__(self, kept: int = _KEPT, lifetime_s: float = _LIFETIME_S) -> None:
        self._kept = kept
        self._lifetime_s = lifetime_s
        self._sets: OrderedDict[str, tuple[float, CandidateSet]] = OrderedDict()
        self._lock = Lock()

    def keep(self, candidates: CandidateSet) -> str:
        """Stores a set and gives its token, which can't be guessed."""
        token = secrets.token_urlsafe(12)
        with self._lock:
            self._sets[token] = (monotonic() + self._lifetime_s, candidates)
            while len(self._sets) > self._kept:
                self._sets.popitem(last=False)
        return token

    def find(self, token: str, caller: Caller) -> CandidateSet:
        """The set of a token, for the caller it was made for. Raises ExpiredError."""
        with self._lock:
            until, candidates = self._sets.get(token, (0.0, None))
            if candidates is None or until < monotonic() or candidates.caller != caller:
                self._sets.pop(token, None) if candidates and until < monotonic() else None
                raise ExpiredError(
                    "this cursor is no longer known",
                    mend="ask the query again; a cursor lives for ten minutes",
                )
            return candidates


def write_cursor(token: str, start: int, page: int) -> str:
    """A cursor: which set, from which candidate on, and which page that is."""
    return f"{token}.{start}.{page}"


def read_cursor(cursor: str) -> tuple[str, int, int]:
    """The inverse. Raises ExpiredError for what is no cursor."""
    token, _, rest = cursor.partition(".")
    start, _, page = rest.partition(".")
    if not token or not start.isdecimal() or not page.isdecimal() or len(cursor) > 64:
        raise ExpiredError("this is not a cursor", mend="use the one that an answer gave")
    return token, int(start), int(page)
