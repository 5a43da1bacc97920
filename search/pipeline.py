"""The query path: understand, retrieve, names, fuse, rerank, group, guard, page, facets, explain.

`SearchPipeline.search` is the whole path; the service and the evaluation call the same object. A
stage takes values and returns values; it reaches the engine through ports.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from core.callers import Caller, folded
from core.errors import QueryError
from core.query_tree import is_fact, within_products
from core.retrieval import (
    Browse,
    Browsed,
    Floats,
    Ids,
    Marks,
    Retrieval,
    Retrieved,
    SortOrder,
    TotalRelation,
)
from rerank.deadline import Reranked
from search.answers import (
    FACET_FIELDS,
    MAX_PAGE_SIZE,
    Fold,
    Missing,
    SearchRequest,
    SearchResponse,
    Total,
    Understood,
)
from search.browsing import (
    Start,
    as_retrieved,
    browse_of,
    facets_of,
    following,
    is_browsing,
    read_start,
)
from search.candidates import (
    CandidateSet,
    FusionInput,
    RerankerInput,
    is_longer,
    read_cursor,
    relation_of,
    total_of,
    write_cursor,
)
from search.exact import exact_ids
from search.facets import count_facets, not_open, open_facets
from search.folding import Faces, faces_of, groups_of
from search.highlight import Highlighter
from search.page import Page, hits_of_page
from search.parts import Engine, Parts
from search.profiles import Profile, profile_named
from search.ranking import (
    NO_PINS,
    Ranked,
    exact_first,
    first_of_each,
    foreign_items,
    kept_shares,
    pinned_first,
    pins_of,
    ranked,
    with_items,
)
from search.reranking import Reranking
from search.retrieval import QueryEncoders, given_order, retrieval_of, retrieve
from search.similar import check_similar, check_still_there, likeness, without_story
from search.stopwatch import Stopwatch
from search.understanding.editorial import expanded
from search.understanding.encoder_languages import note_on_silent
from search.understanding.long_questions import damped
from search.understanding.names import name_shares
from search.understanding.spelling import Speller
from search.understanding.understand import Meaning
from search.why_missing import folded_under, why_missing


@dataclass(frozen=True, slots=True)
class Question:
    """The understood request, and the profile that ranks the answer."""

    profile: Profile
    meaning: Meaning


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of a query's candidates before any weight applies.

    `names` float32 [m] are the shares of boosting known names, None where no name boosts. `exact`
    int64 [k] are the ids of items of which the whole query is a value, such as a slugline.
    `given_order` is the order of an answer that is not ranked by scores, else None. `foreign` bool
    [m] marks items in another language than the query, None where the profile weighs them alike.
    """

    profile: Profile
    meaning: Meaning
    asked: Retrieval
    found: Retrieved
    given_order: Ids | None
    names: Floats | None
    exact: Ids
    degraded: tuple[str, ...]
    foreign: Marks | None = None

    def flags(self, *more: str) -> tuple[str, ...]:
        """Every flag so far, and `more`."""
        return tuple(flag for flag in (*self.degraded, *self.found.degraded, *more) if flag)


@dataclass(frozen=True, slots=True)
class Weighed:
    """Candidates with one score each. `pinned` are the editors' uris for this query, `pins` int64
    [k] the ids of those that may be shown; `found` has them too, and `exact`.
    """

    found: Retrieved
    ranking: Ranked
    pinned: tuple[str, ...]
    pins: Ids
    exact: Ids


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
        _check(request)
        watch, engine, token = Stopwatch(), self._engine, ""
        start = read_start(request, caller)
        if request.cursor and start is None:
            candidates, page, token = self._continued(request, caller)
        else:
            question = self._understand(request, caller, watch, start)
            if is_browsing(request, question.meaning.tree):
                return self._browse(question, request, caller, start, watch)
            evidence = self._retrieve(question, request, caller, watch)
            fused = self._fuse(evidence, request, watch)
            ranking, reranked = self._rerank(evidence, fused, request, caller, watch)
            candidates = self._group(evidence, fused, ranking, reranked, request, caller, watch)
            page = _page(request)
        shown = guard(engine, candidates)
        watch.lap("guard")
        faces = faces_of(shown, candidates.groups)
        hits, following = hits_of_page(engine, self._highlighter, candidates, faces, page, request)
        watch.lap("page")
        stories = candidates.ids[faces.faces]
        facets = count_facets(engine, request, candidates, stories)
        watch.lap("facets")
        suggestion = self._suggestion(request, candidates)
        missing, flags = self._missing(request, candidates, shown, faces)
        watch.lap("spelling")
        response = SearchResponse(
            hits=hits,
            depth=len(stories),
            total=total_of(candidates, len(stories), self._matches(request, candidates, shown)),
            page=page.number,
            page_size=request.page_size,
            profile=candidates.profile,
            understood=self._parts.understanding.recheck(candidates.understood, caller),
            facets=facets,
            cursor=self._cursor(candidates, token, following, page),
            degraded=(*candidates.degraded, *not_open(request, candidates), *flags),
            milliseconds=watch.report(candidates.found.milliseconds),
            lexical_matches=candidates.found.lexical_matches,
            suggestion=suggestion,
            missing=missing,
            fold=Fold.NONE if candidates.groups is None else Fold.NEAR_DUPLICATES,
        )
        self._time_afterwards(candidates, watch)
        return response

    def _browse(
        self,
        question: Question,
        request: SearchRequest,
        caller: Caller,
        start: Start | None,
        watch: Stopwatch,
    ) -> SearchResponse:
        """One page of a list by date, which pages through everything that matches."""
        engine = self._engine
        meaning = question.meaning.with_names(request.entities, self._parts.analysis, boosts=False)
        asked, _ = retrieval_of(meaning, request, caller, question.profile, self._encoders)
        wanted = browse_of(asked, request, start)
        found = engine.browse(wanted)
        watch.lap("retrieve")
        candidates = self._listed(question.profile, meaning, wanted, found, request)
        shown = guard(engine, candidates)
        watch.lap("guard")
        page = Page(0, start.page if start else request.page, request.page_size)
        faces = faces_of(shown, None)
        hits, _ = hits_of_page(engine, self._highlighter, candidates, faces, page, request)
        watch.lap("page")
        facets, flags = facets_of(engine, request, wanted, found, meaning.filters)
        watch.lap("facets")
        total = found.matches - int(np.count_nonzero(~shown))
        first = start.rank if start else wanted.skip
        now = start.now if start else self._parts.understanding.calendar().now
        return SearchResponse(
            hits=tuple(replace(hit, rank=hit.rank + first) for hit in hits),
            depth=total,
            total=Total(total, TotalRelation.EXACT),
            page=page.number,
            page_size=request.page_size,
            profile=candidates.profile,
            understood=self._parts.understanding.recheck(candidates.understood, caller),
            facets=facets,
            cursor=following(found, request, caller, now, first, page.number),
            degraded=(*candidates.degraded, *flags),
            milliseconds=watch.report(found.milliseconds),
            lexical_matches=found.matches,
            suggestion=self._suggestion(request, candidates),
        )

    def _listed(
        self,
        profile: Profile,
        meaning: Meaning,
        wanted: Browse,
        found: Browsed,
        request: SearchRequest,
    ) -> CandidateSet:
        """The stories of one page of a list by date, as candidates in that order."""
        listed = as_retrieved(found)
        order = np.arange(len(found.ids), dtype=np.int64)
        ranking = ranked(listed, profile, None, self._ages(listed, profile), order)
        return CandidateSet(
            caller=wanted.asked.caller,
            profile=request.profile or self._parts.default_profile,
            query=meaning.tree,
            understood=meaning.said,
            ids=found.ids,
            scores=ranking.scores,
            places=order,
            found=listed,
            fused=ranking.fused,
            fused_ranks=order + 1,
            rerank_scores=np.full(len(order), np.nan, np.float32),
            relation=TotalRelation.EXACT,
            degraded=(*meaning.degraded, *found.degraded),
            retrieval=wanted.asked,
        )

    def _understand(
        self,
        request: SearchRequest,
        caller: Caller,
        watch: Stopwatch,
        start: Start | None = None,
    ) -> Question:
        """What is asked for: by words, with the editors' synonyms, or by an item to find the like
        of.
        """
        wanted = request.profile or self._parts.default_profile
        profile = profile_named(self._parts.profiles, wanted)
        question = Question(profile, self._meaning(request, caller, profile, start))
        watch.lap("understand")
        return question

    def _retrieve(
        self, question: Question, request: SearchRequest, caller: Caller, watch: Stopwatch
    ) -> Evidence:
        """The candidates, by words and by vectors. Names are searched for while the engine answers;
        if a name filters, the engine is asked again.
        """
        profile, meaning = question.profile, question.meaning
        asked, flags = retrieval_of(meaning, request, caller, profile, self._encoders)
        answer = retrieve(self._engine, asked, profile, flags)
        watch.lap("retrieve")
        boosts = profile.entity_boost > 0 and request.order is SortOrder.SCORE
        named = meaning.with_names(request.entities, self._parts.analysis, boosts=boosts)
        flags = (*answer.degraded, *named.degraded)
        if named.tree is not meaning.tree:
            asked = replace(answer.asked, query=named.tree)
            answer = retrieve(self._engine, asked, profile, flags)
            flags = answer.degraded
        names = name_shares(self._engine, answer.found.ids, named.said.entities)
        watch.lap("names")
        found = answer.found
        if named.like is not None:
            stories = self._engine.chains(found.ids)
            found = without_story(found, stories, named.like.exemplar.story)
        given = given_order(answer.asked, found)
        exact = NO_PINS if given is not None else exact_ids(self._engine, request, answer.asked)
        watch.lap("exact")
        foreign = foreign_items(self._engine, found.ids, named.said.language, profile)
        return Evidence(profile, named, answer.asked, found, given, names, exact, flags, foreign)

    def _fuse(self, known: Evidence, request: SearchRequest, watch: Stopwatch) -> Weighed:
        """One score for each candidate, and the editors' pins among them."""
        pinned = () if known.given_order is not None else self._parts.editorial().pinned(request.q)
        pins = pins_of(self._engine, pinned, known.asked)
        found = with_items(with_items(known.found, pins), known.exact)
        ages = self._ages(found, known.profile)
        given = known.given_order
        ranking = ranked(found, known.profile, known.names, ages, given, known.foreign)
        watch.lap("fuse")
        return Weighed(found, ranking, pinned, pins, known.exact)

    def _rerank(
        self,
        known: Evidence,
        fused: Weighed,
        request: SearchRequest,
        caller: Caller,
        watch: Stopwatch,
    ) -> tuple[Ranked, Reranked]:
        """The best few, read again with the query within the request's deadline."""
        text = known.meaning.said.vector_text
        result = self._reranking.rerank(
            request, caller, known.profile, text, fused.found, fused.ranking, watch
        )
        watch.lap("rerank")
        return result

    def _group(
        self,
        known: Evidence,
        fused: Weighed,
        ranking: Ranked,
        reranked: Reranked,
        request: SearchRequest,
        caller: Caller,
        watch: Stopwatch,
    ) -> CandidateSet:
        """The stories that answer, best first, one candidate each. They are frozen, so that every
        page shows a part of the same list; the page's number has no influence on them.
        """
        found, pins = fused.found, fused.pins
        order = pinned_first(exact_first(ranking.order, found, fused.exact), found, pins)
        places = order[first_of_each(self._engine.chains(found.ids[order]))]
        first = len(first_of_each(self._engine.chains(pins)))
        exact = int(np.count_nonzero(np.isin(found.ids[places[first:]], fused.exact)))
        groups = self._near_duplicates(request, found.ids[places], first, watch)
        facets, flags = open_facets(
            self._engine, request, known.asked, known.meaning.filters, known.profile, fused.pinned
        )
        if facets:
            watch.lap("open facets")
        return CandidateSet(
            caller=caller,
            profile=request.profile or self._parts.default_profile,
            query=known.meaning.tree,
            understood=self._with_unread(known, reranked.note),
            ids=found.ids[places],
            scores=ranking.scores[places],
            places=places,
            found=found,
            fused=ranking.fused,
            fused_ranks=_ranks_in(ranking.by_score)[places],
            rerank_scores=reranked.scores[places],
            relation=relation_of(known.asked, found, similar=bool(request.similar_to)),
            degraded=known.flags(reranked.flag, *flags),
            similar_to=request.similar_to,
            pinned=first,
            exact=exact,
            retrieval=known.asked,
            mixing=reranked.mixing,
            groups=groups,
            open_facets=facets,
        )

    def _meaning(
        self, request: SearchRequest, caller: Caller, profile: Profile, start: Start | None
    ) -> Meaning:
        if request.similar_to:
            analysis = self._parts.analysis
            return likeness(self._engine, analysis, request.similar_to, caller, profile)
        understanding = self._parts.understanding
        calendar = understanding.calendar(request.tz, request.locale)
        meaning = understanding.understand(
            request.q,
            caller,
            request.entities,
            calendar=replace(calendar, now=start.now) if start else calendar,
            filters=request.filters,
            dates=request.dates,
            ignore=request.ignore,
            read=self._encoders.languages(profile),
        )
        held = folded(caller.products)
        meaning = replace(
            meaning,
            tree=within_products(meaning.tree, held),
            filters=within_products(meaning.filters, held),
        )
        tree, notes = expanded(meaning.tree, self._parts.editorial())
        language = meaning.said.language
        notes = (*notes, *note_on_silent(language, self._encoders.silent(language, profile)))
        said = replace(meaning.said, notes=(*meaning.said.notes, *notes)) if notes else meaning.said
        return replace(meaning, tree=damped(tree), said=said)

    def _with_unread(self, known: Evidence, of_rerank: str) -> Understood:
        """What was made of the query, with notes on what encoders and the reranker did not read to
        the end. `of_rerank` is the reranker's note, "" where it read all.
        """
        said = known.meaning.said
        notes = [*self._encoders.unread(said.vector_text, known.asked)]
        if of_rerank:
            notes.append(of_rerank)
        return replace(said, notes=(*said.notes, *notes)) if notes else said

    def _ages(self, found: Retrieved, profile: Profile) -> Floats | None:
        """The share of each score that the recency curve keeps, None where the profile has no
        curve.
        """
        if profile.recency_half_life_days <= 0:
            return None
        created, now = self._engine.created(found.ids), self._parts.clock()
        return kept_shares(created, now, profile.recency_half_life_days, profile.recency_floor)

    def _near_duplicates(
        self, request: SearchRequest, ids: Ids, pinned: int, watch: Stopwatch
    ) -> Ids | None:
        """The groups of near-duplicates, if the request asks for folding."""
        if request.fold is Fold.NONE:
            return None
        groups = groups_of(self._engine.signatures(ids), pinned=pinned)
        watch.lap("fold")
        return groups

    def _continued(self, request: SearchRequest, caller: Caller) -> tuple[CandidateSet, Page, str]:
        """The candidates of the cursor's list, the page to show, and the list's token."""
        token, start, number = read_cursor(request.cursor)
        candidates = self._parts.candidates.find(token, caller)
        return candidates, Page(start, number, request.page_size), token

    def _matches(
        self, request: SearchRequest, candidates: CandidateSet, shown: Marks
    ) -> int | None:
        """How many stories match now: those of `shown` (bool [n]), and those beyond the window. On
        a later page the stories beyond the window are counted again, because some may be hidden
        since; None if they can't be counted.
        """
        if not request.cursor:
            return candidates.found.lexical_matches - int(np.count_nonzero(~shown))
        if candidates.retrieval is None or not is_longer(candidates):
            return None
        return self._engine.retrieve(replace(candidates.retrieval, lexical_depth=1)).lexical_matches

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

    def _suggestion(self, request: SearchRequest, candidates: CandidateSet) -> str:
        """The query in another spelling; "" for a later page of an answer."""
        if self._speller is None or request.cursor or request.similar_to:
            return ""
        said = self._parts.understanding.recheck(candidates.understood, candidates.caller)
        return self._speller.suggestion(
            request.q, candidates.query, candidates.caller, said.entities
        )

    def _missing(
        self, request: SearchRequest, candidates: CandidateSet, shown: Marks, faces: Faces
    ) -> tuple[Missing | None, tuple[str, ...]]:
        """Why an item is not among the hits, if the request asks, and the flags of what could not
        be done for that.
        """
        if not request.why_missing:
            return None, ()
        profile, flags = self._parts.profiles[candidates.profile], dict[str, None]()

        def deeper(asked: Retrieval) -> Retrieved:
            answer = retrieve(self._engine, asked, profile)
            told = (*answer.degraded, *answer.found.degraded)
            flags.update(dict.fromkeys(f"why_missing: {flag}" for flag in told))
            return answer.found

        folded = folded_under(self._engine, candidates, shown, request.why_missing)
        hits = np.zeros_like(shown)
        hits[faces.faces] = True
        missing = folded or why_missing(self._engine, candidates, hits, request, deeper)
        return missing, tuple(flags)

    def reranker_input(self, request: SearchRequest, caller: Caller, depth: int) -> RerankerInput:
        """What a reranker would get of the best `depth` stories, to train and judge one apart from
        the service. The request's profile must not rerank. Raises QueryError.
        """
        _check(request)
        watch = Stopwatch()
        known = self._retrieve(self._understand(request, caller, watch), request, caller, watch)
        fused = self._fuse(known, request, watch)
        unread = Reranked(np.full(len(fused.found.ids), np.nan, np.float32))
        candidates = self._group(known, fused, fused.ranking, unread, request, caller, watch)
        ids, places = candidates.ids[:depth], candidates.places[:depth]
        items = self._engine.items(ids, caller)
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
        """The values that are fused for one query, so that they can be weighed otherwise.

        `to_rerank` gets the candidates with their shares of names and returns the places that the
        reranker scores, whatever the profile says, within the request's deadline. Raises
        QueryError.
        """
        _check(request)
        watch = Stopwatch()
        known = self._retrieve(self._understand(request, caller, watch), request, caller, watch)
        found, text = known.found, known.meaning.said.vector_text
        scores, flag = np.full(len(found.ids), np.nan, np.float32), ""
        if to_rerank is not None and text:
            top = to_rerank(found, known.names)
            result = self._reranking.score(request, caller, known.profile, text, found, top, watch)
            scores[top], flag = result.scores, result.flag
        return FusionInput(
            found=found,
            names=known.names,
            stories=self._engine.chains(found.ids),
            rerank_scores=scores,
            given_order=known.given_order,
            degraded=known.flags(flag),
            foreign=known.foreign,
        )


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


def _page(request: SearchRequest) -> Page:
    """The page with the number that is asked for."""
    return Page((request.page - 1) * request.page_size, request.page, request.page_size)


def guard(engine: Engine, candidates: CandidateSet) -> Marks:
    """Bool [n]: which candidates the record of truth lets the caller see at this moment. Raises
    NotFoundError where the item of a "more like this" search has vanished since.
    """
    check_still_there(engine, candidates.similar_to, candidates.caller)
    ids = candidates.ids
    shown = engine.visible(ids, candidates.caller)
    return np.ones(len(ids), np.bool_) if len(shown) == len(ids) else np.isin(ids, shown)


def _ranks_in(order: Ids) -> Ids:
    """The 1-based rank of each candidate in `order`."""
    ranks: Ids = np.empty(len(order), np.int64)
    ranks[order] = np.arange(1, len(order) + 1)
    return ranks
