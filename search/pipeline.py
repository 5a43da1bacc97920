"""The query path: understand, retrieve, fuse, rerank, group, facet, page, guard, explain.

`SearchPipeline.search` is the whole of it, in order; the served service and the evaluation call the
same object.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

import numpy as np

from core.callers import Caller
from core.errors import QueryError
from core.items import FloatMatrix, Item, Passage
from core.ports import Catalogue, Names, Retriever, TextAnalysis, TextEncoder
from core.query_tree import all_of, is_fact
from core.retrieval import (
    Floats,
    Ids,
    Retrieval,
    Retrieved,
    SortOrder,
    TotalRelation,
    VectorQuery,
)
from rerank.deadline import DeadlineReranker, Reranked
from search.answers import (
    FACET_FIELDS,
    MAX_PAGE_SIZE,
    EntityUse,
    SearchRequest,
    SearchResponse,
    Total,
)
from search.candidates import (
    CandidateSet,
    CandidateStore,
    FusionInput,
    RerankerInput,
    read_cursor,
    write_cursor,
)
from search.fusion import first_of_each, fuse, ranking, reordered
from search.highlight import Highlighter
from search.names import known_names, name_shares, only_told, respelt
from search.page import Mask, Page, hits_of_page
from search.profiles import Profile, profile_named
from search.stopwatch import Stopwatch
from search.understand import Meaning, Understanding


class Engine(Retriever, Catalogue, Names, Protocol):
    """What the query path needs of a storage engine."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What a pipeline is made of. `encoders` are by vector field; without a field's encoder its
    part of the answer is left out and flagged, as is reranking without a `reranker`.
    """

    engine: Engine
    encoders: Mapping[str, TextEncoder]
    understanding: Understanding
    analysis: TextAnalysis
    profiles: Mapping[str, Profile]
    default_profile: str
    reranker: DeadlineReranker | None = None


_NO_RERANKER = "rerank: skipped, no reranker is configured"


@dataclass(frozen=True, slots=True)
class _Gathered:
    """What one query's answer is made from. `given_order` is that of an answer by date."""

    profile: Profile
    meaning: Meaning
    retrieval: Retrieval
    found: Retrieved
    names: Floats | None
    given_order: Ids | None
    degraded: tuple[str, ...]

    def flags(self, last: str) -> tuple[str, ...]:
        """Every flag so far, and the last one."""
        return tuple(flag for flag in (*self.degraded, *self.found.degraded, last) if flag)


class SearchPipeline:
    """Answers searches; safe to call from any number of threads."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._store = CandidateStore()
        self._highlighter = Highlighter(parts.analysis)

    def search(self, request: SearchRequest, caller: Caller) -> SearchResponse:
        """One page of stories for `request`. Raises QueryError and ExpiredError."""
        watch = Stopwatch()
        _check(request)
        token, start, number = "", (request.page - 1) * request.page_size, request.page
        if request.cursor:
            token, start, number = read_cursor(request.cursor)
            candidates = self._store.find(token, caller)
        else:
            candidates = self._candidates(request, caller, watch)
        shown = _among(candidates.ids, self._parts.engine.visible(candidates.ids, caller))
        watch.lap("guard")
        page = Page(start, number, request.page_size)
        hits, following = hits_of_page(
            self._parts.engine, self._highlighter, candidates, shown, page, request
        )
        watch.lap("page")
        ids = candidates.ids[shown]
        facets = self._parts.engine.facets(ids, request.facets, request.facet_limit)
        watch.lap("facets")
        if following is not None:
            token = token or self._store.keep(candidates)
        return SearchResponse(
            hits=hits,
            total=_total(candidates, len(ids)),
            page=number,
            page_size=request.page_size,
            profile=candidates.profile,
            understood=self._parts.understanding.recheck(candidates.understood, caller),
            facets=facets,
            cursor="" if following is None else write_cursor(token, following, number + 1),
            degraded=candidates.degraded,
            milliseconds=watch.report(candidates.found.milliseconds),
            lexical_matches=candidates.found.lexical_matches,
        )

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
            texts=tuple(self._passages(candidates.found, places, items)),
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
        got = self._gathered(request, caller, watch)
        found, scores = got.found, np.full(len(got.found.ids), np.nan, np.float32)
        flag = ""
        if to_rerank is not None and got.meaning.said.vector_text:
            top = to_rerank(found, got.names)
            result = self._scored(request, caller, got, top, watch)
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
        got = self._gathered(request, caller, watch)
        found = got.found
        fused = fuse(found, got.profile, got.names)
        by_score = ranking(fused.scores, found.ids)
        order = by_score if got.given_order is None else got.given_order
        watch.lap("fuse")
        scores, order, reranked = self._rerank(request, caller, got, fused.scores, order, watch)
        watch.lap("rerank")
        said = got.meaning.said
        if reranked.note:
            said = replace(said, notes=(*said.notes, reranked.note))
        places = order[first_of_each(self._parts.engine.chains(found.ids[order]))]
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
            relation=_relation(got.retrieval, found),
            degraded=got.flags(reranked.flag),
        )

    def _gathered(self, request: SearchRequest, caller: Caller, watch: Stopwatch) -> _Gathered:
        """Understands and retrieves: everything before the first weight has a say."""
        profile = profile_named(
            self._parts.profiles, request.profile or self._parts.default_profile
        )
        meaning = self._parts.understanding.understand(request.q, caller, request.entities)
        watch.lap("understand")
        retrieval, degraded = self._retrieval(request, caller, profile, meaning)
        retrieval, found = self._retrieve(retrieval, profile, degraded)
        watch.lap("retrieve")
        meaning, retrieval, found, names = self._named(
            request, profile, meaning, retrieval, found, degraded
        )
        watch.lap("names")
        by_date = _is_by_date(request, retrieval)
        given = ranking(_newest_first(found), found.ids) if by_date else None
        return _Gathered(profile, meaning, retrieval, found, names, given, tuple(degraded))

    def _retrieve(
        self, retrieval: Retrieval, profile: Profile, degraded: list[str]
    ) -> tuple[Retrieval, Retrieved]:
        """The candidates, and what was asked for them: without vectors where an encoder fails."""
        try:
            return retrieval, self._parts.engine.retrieve(retrieval)
        except _EncoderError as failure:
            degraded.append(str(failure))
            retrieval = replace(retrieval, vectors=(), lexical_depth=profile.lexical_depth)
            return retrieval, self._parts.engine.retrieve(retrieval)

    def _named(
        self,
        request: SearchRequest,
        profile: Profile,
        meaning: Meaning,
        retrieval: Retrieval,
        found: Retrieved,
        degraded: list[str],
    ) -> tuple[Meaning, Retrieval, Retrieved, Floats | None]:
        """What names change, which were being looked for meanwhile: the candidates are retrieved
        again where the archive spells a name otherwise, and get their shares of the known names.
        """
        said = meaning.told()
        if profile.entity_boost <= 0 or request.order is not SortOrder.SCORE:
            said = only_told(said)
        tree = respelt(meaning.tree, said.entities, self._parts.analysis)
        if tree is not meaning.tree:
            retrieval = replace(retrieval, query=tree)
            retrieval, found = self._retrieve(retrieval, profile, degraded)
        boosting = known_names(said.entities, EntityUse.BOOST)
        shares = name_shares(self._parts.engine, found.ids, boosting) if boosting else None
        return replace(meaning, tree=tree, said=said, names=None), retrieval, found, shares

    def _retrieval(
        self, request: SearchRequest, caller: Caller, profile: Profile, meaning: Meaning
    ) -> tuple[Retrieval, list[str]]:
        """What to ask the engine. A date order asks BM25's matches only: the vectors' nearest are
        near by comparison, not by themselves, and would put strangers on top.
        """
        filters = all_of(meaning.filters, request.filters)
        degraded: list[str] = []
        vectors: list[VectorQuery] = []
        text = meaning.said.vector_text
        if text and request.order is SortOrder.SCORE:
            for field, weight in profile.vector_weights.items():
                encoder = self._parts.encoders.get(field)
                if encoder is None:
                    degraded.append(f"vectors: no encoder for field {field}")
                elif weight > 0:
                    encode = partial(_encode, encoder, field, text)
                    vectors.append(VectorQuery(field, weight, encode))
        lexical = profile.lexical_weight > 0 or not vectors
        depth = profile.lexical_depth if lexical else 0
        order = request.order
        return (
            Retrieval(
                meaning.tree,
                caller,
                filters,
                tuple(vectors),
                depth,
                profile.vector_depth,
                order,
            ),
            degraded,
        )

    def _rerank(
        self,
        request: SearchRequest,
        caller: Caller,
        got: _Gathered,
        scores: Floats,
        order: Ids,
        watch: Stopwatch,
    ) -> tuple[Floats, Ids, Reranked]:
        """Scores and order after reranking the best few, and what the reranker gave."""
        profile = got.profile
        unscored = np.full(len(order), np.nan, np.float32)
        wanted = profile.rerank_depth if profile.rerank_weight > 0 else 0
        by_score = request.order is SortOrder.SCORE
        if not wanted or not got.meaning.said.vector_text or not by_score:
            return scores, order, Reranked(unscored)
        if self._parts.reranker is None:
            return scores, order, Reranked(unscored, _NO_RERANKER)
        top = order[:wanted]
        result = self._scored(request, caller, got, top, watch)
        unscored[top] = result.scores
        ids = got.found.ids
        final, order = reordered(scores, order, ids, result.scores, profile.rerank_weight)
        return final, order, Reranked(unscored, result.flag, result.note)

    def _scored(
        self,
        request: SearchRequest,
        caller: Caller,
        got: _Gathered,
        top: Ids,
        watch: Stopwatch,
    ) -> Reranked:
        """What the reranker gives the candidates at the places `top`, in what is left of time."""
        if self._parts.reranker is None:
            return Reranked(np.full(len(top), np.nan, np.float32), _NO_RERANKER)
        items = self._parts.engine.items(got.found.ids[top], caller)
        passages = self._passages(got.found, top, items)
        profile = got.profile
        deadline = profile.deadline_ms if request.deadline_ms is None else request.deadline_ms
        return self._parts.reranker.rerank(
            got.meaning.said.vector_text,
            passages,
            deadline - watch.elapsed_ms(),
            tokens=profile.rerank_tokens or None,
        )

    def _passages(self, found: Retrieved, top: Ids, items: tuple[Item | None, ...]) -> list[str]:
        """What the reranker reads of each of `top`: the headline and the best passage."""
        spans: tuple[Passage | None, ...] = (None,) * len(top)
        if found.vectors:
            part = found.vectors[0]
            numbers = part.passages[top].tolist()
            spans = self._parts.engine.passages(found.ids[top], part.field, numbers)
        return [_reading(item, span) for item, span in zip(items, spans, strict=True)]


def _check(request: SearchRequest) -> None:
    if not 1 <= request.page_size <= MAX_PAGE_SIZE:
        raise QueryError(
            f"page_size is {request.page_size}", mend=f"it must be 1 to {MAX_PAGE_SIZE}"
        )
    if request.page < 1:
        raise QueryError(f"page is {request.page}", mend="pages are counted from 1")
    if not is_fact(request.filters):
        raise QueryError("a filter asks for text", mend="filters are facts; put words into q")
    for name in request.facets:
        if name not in FACET_FIELDS:
            raise QueryError(
                f"there is no facet {name!r}", mend=f"one of {', '.join(FACET_FIELDS)}"
            )


class _EncoderError(Exception):
    """A query could not be embedded; says which field is left out and why."""


def _encode(encoder: TextEncoder, field: str, text: str) -> FloatMatrix:
    try:
        return encoder.encode_queries([text])
    except Exception as error:
        what = f"vectors: the encoder of field {field} failed, {type(error).__name__}"
        raise _EncoderError(what) from error


def _is_by_date(request: SearchRequest, retrieval: Retrieval) -> bool:
    """Whether the order is the retriever's own: asked for, or nothing there to score by."""
    return request.order is not SortOrder.SCORE or (
        is_fact(retrieval.query) and not retrieval.vectors
    )


def _newest_first(found: Retrieved) -> Floats:
    """Scores that keep the retriever's order."""
    return -found.lexical_ranks.astype(np.float32)


def _relation(retrieval: Retrieval, found: Retrieved) -> TotalRelation:
    """What the number of candidates is. Vectors always give the nearest, so their count is that of
    a window; a list of matches that was cut is a lower bound.
    """
    if retrieval.vectors:
        return TotalRelation.WINDOW
    browsing = is_fact(retrieval.query)
    if browsing or found.lexical_matches <= retrieval.lexical_depth:
        return TotalRelation.EXACT
    return TotalRelation.LOWER_BOUND


def _total(candidates: CandidateSet, shown: int) -> Total:
    """The total over what is visible now; of a browsed list that is longer than the window, the
    count of all that the facts let through.
    """
    gone = len(candidates.ids) - shown
    matches = candidates.found.lexical_matches
    if candidates.relation is TotalRelation.EXACT and matches > len(candidates.ids):
        return Total(matches - gone, TotalRelation.EXACT)
    return Total(shown, candidates.relation)


def _among(ids: Ids, shown: Ids) -> Mask:
    """Bool [n]: which of `ids` are in `shown`, a part of them in the same order."""
    if len(shown) == len(ids):
        return np.ones(len(ids), np.bool_)
    return np.isin(ids, shown)


def _places_in(order: Ids) -> Ids:
    """The inverse of an order: each candidate's 1-based rank."""
    ranks: Ids = np.empty(len(order), np.int64)
    ranks[order] = np.arange(1, len(order) + 1)
    return ranks


def _reading(item: Item | None, span: Passage | None) -> str:
    if item is None:
        return ""
    text = item.body or item.description
    if span is not None:
        text = getattr(item, span.field)[span.start : span.end]
    return f"{item.headline}\n{text}" if item.headline else text
