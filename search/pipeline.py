"""The query path: understand, retrieve, names, fuse, rerank, group, guard, page, facets, explain.

`SearchPipeline.search` is the whole path; the service and the evaluation call the same object. A
stage takes values and returns values; it reaches the engine through ports. The text goes one way:
a request becomes a question, a question evidence, evidence scores, scores a frozen list.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from time import perf_counter

import numpy as np

from core.callers import Caller
from core.errors import QueryError
from core.model_ports import TextAnalysis, TextEncoder
from core.ports import Clock
from core.retrieval import Floats, Ids, Marks, Retrieved, SortOrder
from rerank.deadline import DeadlineReranker
from search.answers import (
    FACET_FIELDS,
    MAX_PAGE_SIZE,
    Fold,
    Relevance,
    SearchRequest,
    SearchResponse,
    Understood,
)
from search.browsing import ListByDate, Start, browse, read_start
from search.candidates import (
    CandidateSet,
    FusionInput,
    RerankerInput,
    faces_of,
    group,
    open_facets,
)
from search.facets import count
from search.floor import Floor, with_floor
from search.highlight import Highlighter
from search.kept_candidates import CandidateStore, KeptCandidates, read_cursor, write_cursor
from search.page import Page, hits_of_page, page_of
from search.pasted import meaning_of_text, with_text
from search.profiles import Profile, profile_named
from search.ranking import Reranking, Weighed, given_order, utc_now, weigh
from search.retrieval import (
    Engine,
    Evidence,
    QueryEncoders,
    Question,
    gather,
    named,
    question_of,
    with_names,
)
from search.similar import check_still_there, likeness
from search.understanding.editorial import Editorial, no_rules
from search.understanding.spelling import Doubt, Speller
from search.understanding.understand import Understanding
from search.why_missing import why_missing, why_not_listed


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of a pipeline, which `dateline/build/service.py` puts together.

    `encoders` are by vector field; without a field's encoder, its part of the answer is left out
    and flagged. So is reranking without a `reranker`; `reranker_missing` says why a wanted one is
    not there. `editorial` returns the editors' rules in force. Without `doubt` no spelling is
    suggested. Without `floor` all hits of an answer count alike. `candidates` keeps the lists
    behind cursors. `languages` are those that the encoder of a vector field reads, where that is
    known.
    """

    engine: Engine
    encoders: Mapping[str, TextEncoder]
    understanding: Understanding
    analysis: TextAnalysis
    profiles: Mapping[str, Profile]
    default_profile: str
    reranker: DeadlineReranker | None = None
    reranker_missing: str = ""
    clock: Clock = utc_now
    editorial: Callable[[], Editorial] = no_rules
    doubt: Doubt | None = None
    floor: Floor | None = None
    candidates: KeptCandidates = field(default_factory=CandidateStore)
    languages: Mapping[str, Collection[str]] = field(default_factory=dict)


class SearchPipeline:
    """Answers searches. Safe to call from any number of threads."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._engine = parts.engine
        self._encoders = QueryEncoders(parts.encoders, parts.languages)
        self._reranking = Reranking(parts.engine, parts.reranker, parts.reranker_missing)
        self._highlighter = Highlighter(parts.analysis)
        self._speller = Speller(parts.engine, parts.doubt, parts.engine) if parts.doubt else None

    def search(self, request: SearchRequest, caller: Caller) -> SearchResponse:
        """One page of stories for `request`. Raises QueryError, NotFoundError and ExpiredError."""
        request = with_text(request)
        _check(request)
        watch, engine = Stopwatch(), self._engine
        listed, token, start = None, "", read_start(request, caller)
        if request.cursor and start is None:
            token, place, number = read_cursor(request.cursor)
            candidates = self._parts.candidates.find(token, caller)
            page = Page(place, number, request.page_size)
        else:
            question = self._understand(request, caller, start)
            watch.lap("understand")
            listed, evidence = self._retrieve(question, start, watch)
            fused = self._fuse(evidence)
            watch.lap("fuse")
            reranked = self._reranking.rerank(fused, watch.started)
            watch.lap("rerank")
            candidates = self._group(reranked, watch)
            page = page_of(request, listed)
        shown = guard(engine, candidates)
        watch.lap("guard")
        every = faces_of(shown, candidates.groups)
        strong = every.before(candidates.strong)
        faces = strong if request.min_relevance is Relevance.STRONG else every
        hits, following = hits_of_page(engine, self._highlighter, candidates, faces, page, request)
        watch.lap("page")
        if listed is None:
            counts = count(engine, request, candidates, shown, strong)
            counts = replace(counts, depth=len(faces.faces))
            cursor = self._cursor(candidates, token, following, page)
        else:
            counts, cursor = listed.count(engine, request, shown), listed.cursor(request, caller)
        watch.lap("facets")
        understood = self._parts.understanding.recheck(candidates.understood, caller)
        suggestion = self._suggestion(request, candidates, understood)
        if listed is None:
            missing, flags = why_missing(
                engine, self._parts.profiles, candidates, shown, faces, request
            )
        else:
            missing, flags = why_not_listed(engine, listed.wanted, request), ()
        watch.lap("spelling")
        response = SearchResponse(
            hits=hits,
            depth=counts.depth,
            total=counts.total,
            page=page.number,
            page_size=request.page_size,
            profile=candidates.profile,
            understood=understood,
            facets=counts.facets,
            cursor=cursor,
            degraded=(*candidates.degraded, *counts.degraded, *flags),
            milliseconds=watch.report(candidates.found.milliseconds),
            lexical_matches=candidates.found.lexical_matches,
            suggestion=suggestion,
            missing=missing,
            fold=Fold.NONE if candidates.groups is None else Fold.NEAR_DUPLICATES,
            related=(None if candidates.strong is None else len(every.faces) - len(strong.faces)),
        )
        if listed is None:
            self._time_afterwards(candidates, watch)
        return response

    def _understand(
        self, request: SearchRequest, caller: Caller, start: Start | None = None
    ) -> Question:
        """What is asked for: by words, with the editors' synonyms, or by an item to find the like
        of. A list by date that goes on at `start` reads dates by the time of its first page.
        """
        parts = self._parts
        profile = profile_named(parts.profiles, request.profile or parts.default_profile)
        if request.similar_to:
            uri, analysis = request.similar_to, parts.analysis
            meaning = likeness(self._engine, analysis, uri, caller, profile)
        elif request.text:
            meaning = meaning_of_text(request.text, self._engine, parts.analysis, caller)
        else:
            now = start.now if start else None
            read = self._encoders.languages(profile)
            meaning = parts.understanding.meaning(request, caller, parts.editorial(), now, read)
            meaning = meaning.without_stop_words(parts.analysis)
            meaning = meaning.with_silent(self._encoders.silent(meaning.said.language, profile))
        return question_of(request, caller, profile, meaning, self._encoders)

    def _retrieve(
        self, question: Question, start: Start | None, watch: Stopwatch
    ) -> tuple[ListByDate | None, Evidence]:
        """The candidates, by words and by vectors, and for a list by date the page of it. Names are
        searched for while the engine answers.
        """
        engine, analysis = self._engine, self._parts.analysis
        if not question.by_date:
            evidence = gather(engine, question)
            watch.lap("retrieve")
            evidence = with_names(engine, analysis, evidence)
            watch.lap("names")
            return None, evidence
        question = named(question, analysis)
        now = self._parts.understanding.calendar().now
        listed, evidence = browse(engine, question, start, now)
        watch.lap("retrieve")
        return listed, evidence

    def _fuse(self, evidence: Evidence) -> Weighed:
        """One score for each candidate, and the editors' pins among them."""
        pinned = self._parts.editorial().pinned(evidence.question.request.q)
        return weigh(self._engine, evidence, pinned, self._parts.clock())

    def _group(self, weighed: Weighed, watch: Stopwatch) -> CandidateSet:
        """The frozen list of stories, with the candidates of open facets."""
        question, note = weighed.evidence.question, weighed.reranked.note
        unread = self._encoders.unread(question.meaning.said.vector_text, question.asked)
        candidates = group(self._engine, weighed, (*unread, *((note,) if note else ())))
        candidates = with_floor(self._parts.floor, weighed, candidates)
        if candidates.groups is not None:
            watch.lap("fold")
        if question.by_date or not question.wider:
            return candidates
        facets, flags = open_facets(self._engine, weighed)
        watch.lap("open facets")
        return replace(candidates, open_facets=facets, degraded=(*candidates.degraded, *flags))

    def _cursor(
        self, candidates: CandidateSet, token: str, following: int | None, page: Page
    ) -> str:
        """The cursor of the next page; "" at the end. Without a `token` the candidates are kept
        now.
        """
        if following is None:
            return ""
        kept = token or self._parts.candidates.keep(candidates)
        return write_cursor(kept, following, page.number + 1)

    def _time_afterwards(self, candidates: CandidateSet, watch: Stopwatch) -> None:
        """Reports how long the answer took after the reranker, for later deadlines."""
        after = watch.since_ms("rerank")
        if after is not None and self._parts.profiles[candidates.profile].rerank_depth:
            self._reranking.afterwards.took(after)

    def _suggestion(
        self, request: SearchRequest, candidates: CandidateSet, said: Understood
    ) -> str:
        """The query in another spelling; "" for a later page of an answer. `said` is what the
        caller is told of the query now.
        """
        if self._speller is None or request.cursor or request.similar_to or request.text:
            return ""
        return self._speller.suggestion(
            request.q, candidates.query, candidates.caller, said.entities
        )

    def reranker_input(self, request: SearchRequest, caller: Caller, depth: int) -> RerankerInput:
        """What a reranker would get of the best `depth` stories, to train and judge one apart from
        the service. The request's profile must not rerank. Raises QueryError.
        """
        evidence = self._evidence(request, caller)
        candidates = group(self._engine, self._fuse(evidence), ())
        places = candidates.places[:depth]
        read = self._reranking.passages(candidates.found, places, caller)
        return RerankerInput(
            query=candidates.understood.vector_text,
            uris=tuple(uri for uri, _ in read),
            fused=candidates.scores[:depth],
            texts=tuple(text for _, text in read),
        )

    def fusion_input(
        self,
        request: SearchRequest,
        caller: Caller,
        to_rerank: Callable[[Retrieved, Floats | None], Ids] | None = None,
    ) -> FusionInput:
        """The values that are fused for one query, so that they can be weighed otherwise.

        `to_rerank` gets the candidates with their shares of names and returns the places that the
        reranker scores, whatever the profile says, within the request's deadline. Raises
        QueryError.
        """
        started = perf_counter()
        evidence = self._evidence(request, caller)
        found = evidence.found
        scores, flag = np.full(len(found.ids), np.nan, np.float32), ""
        if to_rerank is not None and evidence.question.meaning.said.vector_text:
            top = to_rerank(found, evidence.names)
            result = self._reranking.score(evidence.question, found, top, started)
            scores[top], flag = result.scores, result.flag
        return FusionInput(
            found=found,
            names=evidence.names,
            stories=self._engine.chains(found.ids),
            rerank_scores=scores,
            given_order=given_order(evidence),
            degraded=evidence.flags(flag),
            foreign=evidence.foreign,
        )

    def _evidence(self, request: SearchRequest, caller: Caller) -> Evidence:
        """The candidates before any weight applies, for a list by date too."""
        request = with_text(request)
        _check(request)
        question = replace(self._understand(request, caller), by_date=False)
        return self._retrieve(question, None, Stopwatch())[1]


class Stopwatch:
    """Milliseconds per stage, and in all. `started` is a moment of `perf_counter`."""

    def __init__(self) -> None:
        self.started = self._last = perf_counter()
        self._laps: dict[str, float] = {}
        self._ends: dict[str, float] = {}

    def lap(self, stage: str) -> None:
        """Ends a stage, and begins the next."""
        now = perf_counter()
        self._laps[stage] = (now - self._last) * 1000
        self._ends[stage] = now
        self._last = now

    def since_ms(self, stage: str) -> float | None:
        """Milliseconds since that stage ended; None if it did not run."""
        ended = self._ends.get(stage)
        return None if ended is None else (perf_counter() - ended) * 1000

    def report(self, inner: Mapping[str, float]) -> dict[str, float]:
        """The times of every stage, of the retriever's `inner` stages, and "total"."""
        total = (perf_counter() - self.started) * 1000
        return {**self._laps, **inner, "total": total}


def _check(request: SearchRequest) -> None:
    if not 1 <= request.page_size <= MAX_PAGE_SIZE:
        raise QueryError(
            f"page_size is {request.page_size}", mend=f"it must be 1 to {MAX_PAGE_SIZE}"
        )
    if request.why_missing and request.cursor:
        raise QueryError(
            "why_missing is asked of a later page", where="cursor", mend="leave the cursor out"
        )
    if request.fold is not Fold.NONE and request.order is not SortOrder.SCORE:
        raise QueryError(
            "fold groups the candidates of a ranked answer; a list by date has everything",
            where="fold",
            mend="leave out fold, or sort",
        )
    if request.page < 1:
        raise QueryError(f"page is {request.page}", mend="pages are counted from 1")
    for name in (*request.facets, *request.open_facets):
        if name not in FACET_FIELDS:
            raise QueryError(
                f"there is no facet {name!r}", mend=f"one of {', '.join(FACET_FIELDS)}"
            )
    if request.similar_to:
        _check_similar(request)


def _check_similar(request: SearchRequest) -> None:
    """Raises QueryError for options that can't be combined with an item."""
    if request.q.strip():
        raise QueryError(
            "q and similar_to are both given",
            mend="search by one of them; filters narrow what is like an item",
        )
    if request.why_missing == request.similar_to:
        raise QueryError(
            "an item is not among what is like it",
            where="why_missing",
            mend="ask it of another item",
        )
    if request.order is not SortOrder.SCORE:
        raise QueryError(
            "what is like an item is ordered by likeness alone",
            mend="leave the sort order out, or give a range of dates",
        )


def guard(engine: Engine, candidates: CandidateSet) -> Marks:
    """Bool [n]: which candidates the record of truth lets the caller see at this moment. Raises
    NotFoundError where the item of a "more like this" search has vanished since.
    """
    check_still_there(engine, candidates.similar_to, candidates.caller)
    ids = candidates.ids
    shown = engine.visible(ids, candidates.caller)
    return np.ones(len(ids), np.bool_) if len(shown) == len(ids) else np.isin(ids, shown)
