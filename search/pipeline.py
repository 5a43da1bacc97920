"""The query path: understand, retrieve, fuse, rerank, group, facet, page, guard, explain.

`SearchPipeline.search` is the whole of it, in order; the served service and the evaluation call the
same object.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from core.callers import Caller
from core.errors import QueryError
from core.query_tree import is_fact
from core.retrieval import Floats, Ids, Marks, Retrieval, Retrieved, TotalRelation
from search.answers import (
    FACET_FIELDS,
    MAX_PAGE_SIZE,
    Fold,
    Missing,
    SearchRequest,
    SearchResponse,
)
from search.candidates import (
    CandidateSet,
    FusionInput,
    RerankerInput,
    read_cursor,
    write_cursor,
)
from search.facets import count_facets, not_open, open_facets
from search.folding import Faces, faces_of, groups_of
from search.fusion import Fused, first_of_each, fuse
from search.gathering import Gathering
from search.highlight import Highlighter
from search.page import Page, hits_of_page
from search.parts import Parts
from search.pins import pinned_first
from search.profiles import Profile
from search.recency import faded_ranking, kept_shares
from search.reranking import Reranking
from search.similar import check_similar, check_still_there
from search.spelling import Speller
from search.stopwatch import Stopwatch
from search.totals import relation_of, total_of
from search.why_missing import folded_under, why_missing


class SearchPipeline:
    """Answers searches; safe to call from any number of threads."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._gathering = Gathering(parts)
        self._reranking = Reranking(parts)
        self._store = parts.candidates
        self._highlighter = Highlighter(parts.analysis)
        self._speller = Speller(parts.engine, parts.doubt) if parts.doubt else None

    def search(self, request: SearchRequest, caller: Caller) -> SearchResponse:
        """One page of stories for `request`. Raises QueryError and ExpiredError."""
        watch = Stopwatch()
        _check(request)
        candidates, page, token = self._frozen(request, caller, watch)
        check_still_there(self._parts.engine, candidates.similar_to, caller)
        shown = _among(candidates.ids, self._parts.engine.visible(candidates.ids, caller))
        watch.lap("guard")
        faces = faces_of(shown, candidates.groups)
        hits, following = hits_of_page(
            self._parts.engine, self._highlighter, candidates, faces, page, request
        )
        watch.lap("page")
        ids = candidates.ids[faces.faces]
        facets = count_facets(self._gathering, request, candidates, ids)
        watch.lap("facets")
        suggestion = self._suggestion(request, candidates)
        flags: list[str] = []
        missing = self._missing(request, candidates, shown, faces, flags)
        watch.lap("spelling")
        cursor = self._cursor(candidates, token, following, page)
        answer = SearchResponse(
            hits=hits,
            total=total_of(candidates, len(ids), int(np.count_nonzero(shown))),
            page=page.number,
            page_size=request.page_size,
            profile=candidates.profile,
            understood=self._parts.understanding.recheck(candidates.understood, caller),
            facets=facets,
            cursor=cursor,
            degraded=(*candidates.degraded, *not_open(request, candidates), *flags),
            milliseconds=watch.report(candidates.found.milliseconds),
            lexical_matches=candidates.found.lexical_matches,
            suggestion=suggestion,
            missing=missing,
            fold=Fold.NONE if candidates.groups is None else Fold.NEAR_DUPLICATES,
        )
        self._time_afterwards(candidates, watch)
        return answer

    def _frozen(
        self, request: SearchRequest, caller: Caller, watch: Stopwatch
    ) -> tuple[CandidateSet, Page, str]:
        """The candidates: made, or those that the cursor goes on with; which page of them is asked
        for; and under which token they are kept, "" where they are not yet.
        """
        if request.cursor:
            token, start, number = read_cursor(request.cursor)
            return self._store.find(token, caller), Page(start, number, request.page_size), token
        start = (request.page - 1) * request.page_size
        candidates = self._candidates(request, caller, watch)
        return candidates, Page(start, request.page, request.page_size), ""

    def _cursor(
        self, candidates: CandidateSet, token: str, following: int | None, page: Page
    ) -> str:
        """Where the answer goes on; "" at its end."""
        if following is None:
            return ""
        return write_cursor(token or self._store.keep(candidates), following, page.number + 1)

    def _time_afterwards(self, candidates: CandidateSet, watch: Stopwatch) -> None:
        """Tells the reranker how long the rest of an answer takes after it."""
        after = watch.since_ms("rerank")
        if after is not None and self._parts.profiles[candidates.profile].rerank_depth:
            self._reranking.afterwards.took(after)

    def _suggestion(self, request: SearchRequest, candidates: CandidateSet) -> str:
        """The query in another spelling; a later page of an answer suggests no other."""
        if self._speller is None or request.cursor or request.similar_to:
            return ""
        return self._speller.suggestion(request.q, candidates.query, candidates.caller)

    def _missing(
        self,
        request: SearchRequest,
        candidates: CandidateSet,
        shown: Marks,
        faces: Faces,
        flags: list[str],
    ) -> Missing | None:
        """Why an item is not among the hits, where that was asked; what could not be done for it is
        added to `flags`.
        """
        if not request.why_missing:
            return None
        profile = self._parts.profiles[candidates.profile]

        def retrieve(retrieval: Retrieval) -> Retrieved:
            degraded: list[str] = []
            found = self._gathering.retrieve(retrieval, profile, degraded)[1]
            told = (*degraded, *found.degraded)
            flags.extend(f"why_missing: {flag}" for flag in told if flag not in flags)
            return found

        folded = folded_under(self._parts.engine, candidates, shown, request.why_missing)
        hits = np.zeros_like(shown)
        hits[faces.faces] = True
        return folded or why_missing(self._parts.engine, candidates, hits, request, retrieve)

    def reranker_input(self, request: SearchRequest, caller: Caller, depth: int) -> RerankerInput:
        """What a reranker would be given of the best `depth` stories, for training and judging one
        apart from the service. The request's profile must not rerank by itself. Raises QueryError.
        """
        _check(request)
        candidates = self._candidates(request, caller, Stopwatch())
        ids, places = candidates.ids[:depth], candidates.places[:depth]
        items = self._parts.engine.items(ids, caller)
        return RerankerInput(
            query=candidates.understood.vector_text,
            uris=tuple("" if item is None else item.uri for item in items),
            fused=candidates.scores[:depth],
            texts=tuple(self._reranking.passages(candidates.found, places, items)),
        )

    def fusion_input(
        self,
        request: SearchRequest,
        caller: Caller,
        to_rerank: Callable[[Retrieved, Floats | None], Ids] | None = None,
    ) -> FusionInput:
        """What is fused for one query, so that it can be weighed otherwise. `to_rerank` gets the
        candidates with their shares of names and says which places the reranker scores, whatever
        the profile says, within the request's deadline. Raises QueryError.
        """
        _check(request)
        watch = Stopwatch()
        got = self._gathering.gather(request, caller, watch)
        found, scores = got.found, np.full(len(got.found.ids), np.nan, np.float32)
        flag = ""
        if to_rerank is not None and got.meaning.said.vector_text:
            top = to_rerank(found, got.names)
            result = self._reranking.score(request, caller, got, top, watch)
            scores[top], flag = result.scores, result.flag
        return FusionInput(
            found=found,
            names=got.names,
            stories=self._parts.engine.chains(found.ids),
            rerank_scores=scores,
            given_order=got.given_order,
            degraded=got.flags(flag),
        )

    def _candidates(self, request: SearchRequest, caller: Caller, watch: Stopwatch) -> CandidateSet:
        """Understands, retrieves, fuses, reranks and groups: everything that the page's number
        plays no part in.
        """
        gathered = self._gathering.gather(request, caller, watch)
        got, pins = self._gathering.with_pins(request, caller, gathered)
        found = got.found
        fused = self._faded(fuse(found, got.profile, got.names), found.ids, got.profile)
        faded, by_score = faded_ranking(fused.scores, fused.recency, found.ids)
        order = by_score if got.given_order is None else got.given_order
        watch.lap("fuse")
        scores, order, reranked = self._reranking.rerank(request, caller, got, faded, order, watch)
        watch.lap("rerank")
        order = pinned_first(order, found, pins)
        said = self._gathering.told_of_reading(got, reranked.note)
        places = order[first_of_each(self._parts.engine.chains(found.ids[order]))]
        pinned = len(first_of_each(self._parts.engine.chains(pins)))
        groups = self._groups(request, found.ids[places], pinned, watch)
        facets, flags = open_facets(self._gathering, request, caller, gathered, watch)
        return CandidateSet(
            caller=caller,
            profile=request.profile or self._parts.default_profile,
            query=got.meaning.tree,
            understood=said,
            ids=found.ids[places],
            scores=scores[places],
            places=places,
            found=found,
            fused=fused,
            fused_ranks=_places_in(by_score)[places],
            rerank_scores=reranked.scores[places],
            relation=TotalRelation.WINDOW
            if request.similar_to
            else relation_of(got.retrieval, found),
            degraded=(*got.flags(reranked.flag), *flags),
            similar_to=request.similar_to,
            pinned=pinned,
            retrieval=got.retrieval,
            mixing=reranked.mixing,
            groups=groups,
            open_facets=facets,
        )

    def _groups(
        self, request: SearchRequest, ids: Ids, pinned: int, watch: Stopwatch
    ) -> Ids | None:
        """Which candidates are near-duplicates of which, where that was asked for."""
        if request.fold is Fold.NONE:
            return None
        groups = groups_of(self._parts.engine.signatures(ids), pinned=pinned)
        watch.lap("fold")
        return groups

    def _faded(self, fused: Fused, ids: Ids, profile: Profile) -> Fused:
        """With what the recency curve leaves of each score, where the profile has one."""
        half_life = profile.recency_half_life_days
        if half_life <= 0:
            return fused
        created, now = self._parts.engine.created(ids), self._parts.clock()
        return replace(fused, recency=kept_shares(created, now, half_life, profile.recency_floor))


def _check(request: SearchRequest) -> None:
    if not 1 <= request.page_size <= MAX_PAGE_SIZE:
        raise QueryError(
            f"page_size is {request.page_size}", mend=f"it must be 1 to {MAX_PAGE_SIZE}"
        )
    if request.why_missing and request.cursor:
        raise QueryError(
            "why_missing is asked of a later page", where="cursor", mend="leave the cursor out"
        )
    if request.page < 1:
        raise QueryError(f"page is {request.page}", mend="pages are counted from 1")
    if not is_fact(request.filters):
        raise QueryError("a filter asks for text", mend="filters are facts; put words into q")
    for name in (*request.facets, *request.open_facets):
        if name not in FACET_FIELDS:
            raise QueryError(
                f"there is no facet {name!r}", mend=f"one of {', '.join(FACET_FIELDS)}"
            )
    check_similar(request)


def _among(ids: Ids, shown: Ids) -> Marks:
    """Bool [n]: which of `ids` are in `shown`, a part of them in the same order."""
    if len(shown) == len(ids):
        return np.ones(len(ids), np.bool_)
    return np.isin(ids, shown)


def _places_in(order: Ids) -> Ids:
    """The inverse of an order: each candidate's 1-based rank."""
    ranks: Ids = np.empty(len(order), np.int64)
    ranks[order] = np.arange(1, len(order) + 1)
    return ranks
