"""The query path: understand, retrieve, names, fuse, rerank, group, guard, page, facets, explain.

`SearchPipeline.search` is the whole path; the service and the evaluation call the same object. A
stage takes values and returns values; it reaches the engine through ports. The text goes one way: a
request becomes a question, a question evidence, evidence scores, scores a frozen list.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from time import perf_counter

import numpy as np

from core.callers import Caller
from core.ports.engine import Clock
from core.ports.models import TextAnalysis, TextEncoder
from core.retrieval import Floats, Ids, Retrieved
from core.threads import Threads
from core.tracing import Laps, Span
from rerank.deadline import DeadlineReranker
from search.answers import (
    Draft,
    Fold,
    Hit,
    Missing,
    SearchRequest,
    SearchResponse,
    Understood,
    types_of,
)
from search.candidates import (
    CandidateSet,
    FusionInput,
    Guarded,
    Listing,
    Page,
    RerankerInput,
    first_page,
    group,
    guard,
    has_enough,
    with_open_facets,
)
from search.cursors import read_cursor, read_start
from search.encoders import QueryEncoders
from search.facets import Counts, count
from search.floor import Floor, FloorInput, floor_input, with_floor
from search.highlight import Highlighter
from search.interleaving import mixed, ranked_by
from search.kept_candidates import CandidateStore, KeptCandidates, next_cursor
from search.media_evidence import with_media_evidence
from search.page import hits_of_page
from search.profiles import Profile, profile_named
from search.question import Questions
from search.ranking import Reranking, Weighed, given_order, utc_now, weigh
from search.retrieval import Engine, Evidence, gather, with_names
from search.similar import Sees
from search.understanding.editorial import Editorial, no_rules
from search.understanding.spelling import NOT_DOUBTED, Doubt, Speller, has_misspelt_name
from search.understanding.understand import Understanding
from search.why_missing import why_missing

_SPELLERS = 16  # searches for other spellings at the same time


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of a pipeline, which `dateline/build/service.py` puts together. `encoders` are by
    vector field; if a field has no encoder, its part of the answer is left out and flagged. Without
    a `reranker`, reranking is left out and flagged; `reranker_missing` says why. `editorial`
    returns the editors' rules in force. Without `doubt` no spelling is suggested. Without a
    floor for the encoders all hits of an answer count alike. `candidates` keeps the lists behind
    cursors. `languages` are those that the encoder of a vector field reads, if that is known. If
    the engine `asks_cluster`, waiting for it costs no time of this process. `sees` looks at
    pictures that come with a request.
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
    floors: Sequence[Floor] = ()
    candidates: KeptCandidates = field(default_factory=CandidateStore)
    languages: Mapping[str, Collection[str]] = field(default_factory=dict)
    asks_cluster: bool = False
    sees: Sees | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """What an answer says beside its hits and counts: what was understood, another spelling, why an
    item is missing, and the flags of what failed in finding that out.
    """

    understood: Understood
    suggestion: str
    missing: Missing | None
    degraded: tuple[str, ...]


class SearchPipeline:
    """Answers searches. Safe to call from any number of threads."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._engine = parts.engine
        self._questions = Questions(
            parts.engine,
            parts.understanding,
            QueryEncoders(parts.encoders, parts.languages),
            parts.analysis,
            parts.profiles,
            parts.default_profile,
            parts.editorial,
            parts.sees,
        )
        self._reranking = Reranking(parts.engine, parts.reranker, parts.reranker_missing)
        self._highlighter = Highlighter(parts.analysis)
        self._speller = Speller(
            parts.engine, parts.analysis, parts.doubt or NOT_DOUBTED, parts.engine
        )
        self._beside = Threads(_SPELLERS, thread_name_prefix="spelling")

    def search(self, request: SearchRequest, caller: Caller) -> SearchResponse:
        """Return one page of stories for `request`. Raises QueryError, NotFoundError and
        ExpiredError.
        """
        with Span("search") as span, Stopwatch() as watch:
            answer = self._widened(self._answered(request, caller, watch), request, caller, watch)
            _describe(span, request, answer)
        return answer

    def _answered(self, request: SearchRequest, caller: Caller, watch: Stopwatch) -> SearchResponse:
        engine, parts = self._engine, self._parts
        request.check()
        counted, typed, start = request.counted(), "", read_start(request, caller)
        suggested: Future[str] | None = None
        if request.cursor and start is None:
            token, place, number = read_cursor(request.cursor)
            page = Page(place, number, request.page_size)
            listing = Listing(parts.candidates.find(token, caller), page, token)
        else:
            question = self._questions.question(request, caller, counted, start)
            watch.lap("understand")
            evidence = gather(engine, question)
            watch.lap("retrieve")
            evidence = with_names(engine, parts.analysis, evidence)
            watch.lap("names")
            fused = weigh(engine, evidence, parts.clock())
            watch.lap("fuse")
            reranked = self._reranking.rerank(fused, watch.started)
            watch.lap("rerank")
            reranked = self._drafted(request.draft, evidence, reranked, watch.started)
            watch.lap("draft", ran=reranked.teams is not None)
            candidates = group(engine, reranked)
            candidates = with_floor(parts.floors, reranked, candidates)
            words = question.meaning.typed
            candidates = with_media_evidence(engine, self._highlighter, words, candidates)
            typed = "" if start else _doubtful(question.request.q, candidates)
            suggested = self._suggesting(typed, candidates)
            watch.lap("fold", ran=candidates.groups is not None)
            candidates = with_open_facets(engine, reranked, candidates)
            watch.lap("open facets", ran=bool(candidates.open_facets))
            listing = first_page(reranked, candidates)
        candidates = listing.candidates
        guarded = guard(engine, candidates, request.min_relevance)
        watch.lap("guard")
        hits, following = hits_of_page(engine, self._highlighter, listing, guarded.hits, request)
        watch.lap("page")
        counts = count(engine, listing, guarded, counted)
        cursor = next_cursor(parts.candidates, listing, following)
        watch.lap("facets")
        understood = parts.understanding.recheck(candidates.understood, caller)
        suggestion = (
            self._speller.suggestion(typed, candidates.query, caller, understood.entities)
            if suggested is None
            else suggested.result()
        )
        missing, flags = why_missing(engine, parts.profiles, listing, guarded, request)
        watch.lap("spelling")
        if listing.by_date is None:
            self._reranking.answered(parts.profiles[candidates.profile], watch.since_ms("rerank"))
        told = Told(understood, suggestion, missing, flags)
        return _answer(listing, guarded, hits, counts, cursor, told, watch)

    def _widened(
        self, narrow: SearchResponse, request: SearchRequest, caller: Caller, watch: Stopwatch
    ) -> SearchResponse:
        """Return the answer among all kinds of item, if none of the kinds that the query's words
        ask for answers and another does: else `narrow`. A kept list stays what it was.
        """
        kept = bool(request.cursor) and read_start(request, caller) is None
        if kept or narrow.total.value or not types_of(narrow.understood.kinds):
            return narrow
        wide = self._answered(replace(request, widened=True), caller, watch)
        return wide if wide.total.value else narrow

    def _drafted(
        self, draft: Draft | None, evidence: Evidence, ranked: Weighed, started: float
    ) -> Weighed:
        """Return the candidates in turns with another profile, if an experiment asks for that."""
        if draft is None or evidence.by_date is not None or ranked.evidence.question.by_date:
            return ranked
        rival = profile_named(self._parts.profiles, draft.against)
        weighed = weigh(self._engine, ranked_by(evidence, rival), self._parts.clock())
        other = self._reranking.rerank(weighed, started)
        return mixed(ranked, other, self._engine.chains(ranked.found.ids), draft.seed)

    def _suggesting(self, typed: str, candidates: CandidateSet) -> Future[str] | None:
        """Begin to find another spelling while the answer is made, if that takes requests."""
        if not typed or not self._parts.asks_cluster:
            return None
        tree, caller, said = candidates.query, candidates.caller, candidates.understood
        return self._beside.submit(self._speller.suggestion, typed, tree, caller, said.entities)

    def reranker_input(self, request: SearchRequest, caller: Caller, depth: int) -> RerankerInput:
        """Return what a reranker would get of the best `depth` stories, to train and judge one
        apart from the service. The request's profile must not rerank. Raises QueryError.
        """
        evidence = self._evidence(request, caller)
        candidates = group(self._engine, weigh(self._engine, evidence, self._parts.clock()))
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
        """Return the values that are fused for one query, so that other weights can be tried.

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

    def floor_input(self, request: SearchRequest, caller: Caller) -> FloorInput:
        """Return what a floor reads of one query, to learn one. Raises QueryError."""
        weighed = weigh(self._engine, self._evidence(request, caller), self._parts.clock())
        return floor_input(weighed, group(self._engine, weighed))

    def _evidence(self, request: SearchRequest, caller: Caller) -> Evidence:
        """Return the candidates before any weight applies, for a list by date too."""
        request.check()
        question = self._questions.question(request, caller, request.counted())
        evidence = gather(self._engine, replace(question, by_date=False))
        return with_names(self._engine, self._parts.analysis, evidence)


def _describe(span: Span, request: SearchRequest, answer: SearchResponse) -> None:
    """Give the span what operators look for. Flags are cut at the colon: what follows may name an
    item or a word.
    """
    span.set(
        {
            "dateline.profile": answer.profile,
            "dateline.hits": len(answer.hits),
            "dateline.total": answer.total.value,
            "dateline.degraded": tuple(flag.partition(":")[0] for flag in answer.degraded),
        }
    )
    span.quote("dateline.query", request.q)


def _doubtful(query: str, candidates: CandidateSet) -> str:
    """Return `query` if another spelling of it may be meant, else ""."""
    misspelt = has_misspelt_name(query, candidates.understood.entities)
    return query if misspelt or not has_enough(candidates) else ""


def _answer(
    listing: Listing,
    guarded: Guarded,
    hits: tuple[Hit, ...],
    counts: Counts,
    cursor: str,
    told: Told,
    watch: Stopwatch,
) -> SearchResponse:
    candidates, page = listing.candidates, listing.page
    below = len(guarded.every.faces) - len(guarded.strong.faces)
    return SearchResponse(
        hits=hits,
        depth=counts.depth,
        total=counts.total,
        page=page.number,
        page_size=page.size,
        profile=candidates.profile,
        understood=told.understood,
        facets=counts.facets,
        cursor=cursor,
        degraded=(*candidates.degraded, *counts.degraded, *told.degraded),
        milliseconds=watch.report(candidates.found.milliseconds),
        lexical_matches=candidates.found.lexical_matches,
        suggestion=told.suggestion,
        missing=told.missing,
        fold=Fold.NONE if candidates.groups is None else Fold.NEAR_DUPLICATES,
        related=None if candidates.strong is None else below,
    )


class Stopwatch(Laps):
    """Milliseconds per stage, and in all; each stage is a span. `started` is a moment of
    `perf_counter`.
    """

    def __init__(self) -> None:
        self.started = self._last = perf_counter()
        self._laps: dict[str, float] = {}
        self._ends: dict[str, float] = {}

    def lap(self, stage: str, *, ran: bool = True) -> None:
        """End a stage, and begin the next. One that did not run has no time."""
        if not ran:
            return
        now = perf_counter()
        self._laps[stage] = self._laps.get(stage, 0.0) + (now - self._last) * 1000
        self._ends[stage] = now
        self._last = now
        self.end(stage, now)

    def since_ms(self, stage: str) -> float | None:
        """Return milliseconds since that stage ended; None if it did not run."""
        ended = self._ends.get(stage)
        return None if ended is None else (perf_counter() - ended) * 1000

    def report(self, inner: Mapping[str, float]) -> dict[str, float]:
        """Return the times of every stage, of the retriever's `inner` stages, and "total"."""
        total = (perf_counter() - self.started) * 1000
        return {**self._laps, **inner, "total": total}
