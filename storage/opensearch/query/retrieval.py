"""Retrieval from an index: BM25 and the nearest vectors of each field, in one request over one
moment of the index, all with the same filters. The result is one list of candidates with every
score, as from the embedded engine. Flags say which searches or shards did not answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, Future, wait
from contextvars import copy_context
from dataclasses import dataclass, field, replace
from functools import partial
from time import perf_counter
from typing import Any

import numpy as np

from core.errors import BusyError, QueryError
from core.items import FloatMatrix
from core.query_tree import EVERYTHING, Everything, Node, constraint, is_fact
from core.retrieval import (
    Browse,
    Browsed,
    FacetCount,
    FacetRequest,
    Ids,
    Place,
    Retrieval,
    Retrieved,
    SortOrder,
    VectorQuery,
)
from storage.opensearch.index.vector_sums import Sum
from storage.opensearch.nodes.connection import Reply, error_of, reason_of
from storage.opensearch.nodes.nodes import within
from storage.opensearch.query.beside import named_bodies, named_in
from storage.opensearch.query.candidates import Hits, Near, hits_of, merged, no_hits
from storage.opensearch.query.exact import ExactCosines
from storage.opensearch.query.facet_counts import (
    CREATED,
    SUBJECT,
    SUBJECTS,
    counts_in,
    inexact,
)
from storage.opensearch.query.long_queries import MOST_CLAUSES, Optional, clauses, count_of, folded
from storage.opensearch.query.query_dsl import Clause, Compiler, any_word
from storage.opensearch.query.search_bodies import (
    MOST_NEAREST,
    aggregated,
    by_date,
    counting,
    listed,
    nearest,
)
from storage.opensearch.query.statistics import Basics, Counts, Statistics, total
from storage.opensearch.query.term_counts import LookUps, TermCounts
from storage.opensearch.query.whole_facets import dates_counted, topics_counted
from storage.opensearch.seen import seen_by
from storage.record.vector_rows import lacks
from storage.words.apart_words import ApartWords
from storage.words.lexical_bound import NO_BOUND, Bound, Supremum
from storage.words.topics import Topics


def missing(replies: Sequence[Reply], *, lexical: bool, where: str) -> list[str]:
    """Return a flag for each reply that lacks something. With `lexical` the first reply is that of
    the search for words. If no search was answered, raises the first error, or BusyError.
    """
    failed = [reply for reply in replies if "error" in reply or _has_no_shard(reply)]
    if replies and len(failed) == len(replies):
        first = failed[0]
        if "error" in first:
            error = error_of(first.get("status", 500), first["error"], where)
            raise error
        raise BusyError("no part of the index answers", where=where, mend="try again")
    flags = []
    for place, reply in enumerate(replies):
        if what := _partly(reply):
            flags.append(f"{'lexical' if place == 0 and lexical else 'vectors'}: {what}")
    return flags


def lacking_vectors(fields: Sequence[str], replies: Sequence[Reply]) -> Mapping[str, int]:
    """Return how many items of the search each of `fields` lacks. `replies` count them, and last
    all items. Nothing is returned if a count failed.
    """
    if any("error" in reply for reply in replies):
        return {}
    return {name: total(reply) for name, reply in zip(fields, replies, strict=False)}


def _has_no_shard(reply: Reply) -> bool:
    shards = reply["_shards"]
    return bool(shards["total"]) and not shards["successful"]


def _partly(reply: Reply) -> str:
    """Return what is missing in a reply, "" if nothing is."""
    if "error" in reply:
        return f"not searched: {reason_of(reply['error'])}"
    shards = reply["_shards"]
    if shards["failed"]:
        return f"{shards['failed']} of {shards['total']} parts of the index do not answer"
    return "not searched to the end in time" if reply["timed_out"] else ""


_MOST_OPEN = 40  # terms whose counts are not known yet, each a search of its own
_MOMENT_S = 0.25  # the longest wait for counts that a search can do without
_COMMON = 2  # a word without a count is taken to be in this many items
_MORE = 2  # times the counted passages, because there may be more by now


@dataclass(frozen=True, slots=True)
class SearchSettings:
    """After `timeout_s` a shard answers a search with what it has found. `ef_search` is the width
    of the search in a vector graph: 400 was the narrowest that finds .998 of the 100 nearest of
    10,375 (docs/reports/engines.md). For graphs with inexact vectors, a search asks for `rescored`
    times as many vectors as are wanted. In a field with at most `exact_rows` vectors all of them
    are compared, as in the embedded engine.
    """

    timeout_s: float = 3.0
    ef_search: int = 400
    rescored: int = 1
    exact_rows: int = 10_000


@dataclass(frozen=True, slots=True)
class Sources:
    """What retrieval needs: `replies` searches the index, `sums` are the sums of the vectors, and
    `beside` runs work while the query is encoded. All requests of a retrieval to the index may take
    `longest_s` together.
    """

    replies: Callable[[Sequence[Mapping[str, Any]]], list[Reply]]
    statistics: Statistics
    exact: Mapping[str, ExactCosines]
    sums: Mapping[str, Sum]
    settings: SearchSettings
    now: int
    where: str
    beside: Executor
    longest_s: float
    topics: Topics


@dataclass(slots=True)
class _Search:
    """One retrieval under way; `narrowing` is the query's condition on what vectors find."""

    sources: Sources
    request: Retrieval
    basics: Basics
    allowed: list[Clause]
    terms: TermCounts
    look_ups: LookUps
    scored: Clause = field(default_factory=dict)
    narrowing: list[Clause] = field(default_factory=list)
    milliseconds: dict[str, float] = field(default_factory=dict)
    degraded: list[str] = field(default_factory=list)


def retrieve(sources: Sources, request: Retrieval) -> Retrieved:
    """Return all candidates for a request, at most the sum of its depths. Raises BusyError if the
    cluster answers none of its searches, and QueryError for a query with too many parts.
    """
    with within(sources.longest_s):
        return _retrieved(sources, request)


def _retrieved(sources: Sources, request: Retrieval) -> Retrieved:
    search = _begun(sources, request)
    if is_fact(request.query) and not request.vectors:
        return _browse(search)
    counts = _looked_up(search)
    _leave_out_incomplete(search)
    vectors = _encoded(search)
    if counts is not None and _are_worth_waiting(search, counts):
        search.terms.note(counts.result())
        search.terms.look(_bound(search))
        counts = None
    _compile(search)
    lexical = bool(request.lexical_depth)
    bodies = [_lexical(search)] if lexical else []
    bodies += [_nearest(search, query, vector) for query, vector in vectors]
    rare = search.terms.seen_bodies() if lexical else []
    named = _named(search)
    started = perf_counter()
    replies = sources.replies([*bodies, *rare, *named])
    search.milliseconds["lexical"] = (perf_counter() - started) * 1000
    _check(search, replies[: lexical + len(vectors)])
    if counts is not None:
        search.terms.note(counts.result())
    later = len(bodies) + len(rare)
    search.terms.take_in(replies[len(bodies) : later])
    near = [
        Near(query, vector, hits_of(reply, SortOrder.SCORE))
        for (query, vector), reply in zip(vectors, replies[lexical:], strict=False)
    ]
    found = _answer(search, hits_of(replies[0], request.order) if lexical else no_hits(), near)
    return replace(found, named=named_in(replies[later:]))


def _named(search: _Search) -> list[Clause]:
    """Return the search for the items that are wanted beside the candidates."""
    sources, basics, request = search.sources, search.basics, search.request
    compiler, timeout_s = Compiler(basics.all_languages, basics.main), sources.settings.timeout_s
    return named_bodies(request.beside, request.caller, sources.now, compiler, timeout_s)


def _begun(sources: Sources, request: Retrieval) -> _Search:
    basics = sources.statistics.basics()
    allowed = seen_by(request.caller, sources.now)
    if not isinstance(request.filters, Everything):
        filters = Compiler(basics.all_languages, basics.main).required(request.filters)
        allowed = [*allowed, filters]
    look_ups = LookUps(max(1, basics.documents // _COMMON))
    terms = TermCounts(sources.statistics, look_ups, allowed)
    search = _Search(sources, request, basics, allowed, terms, look_ups)
    if basics.failed:
        what = f"{basics.failed} parts of the index do not say what they hold"
        search.degraded.append(f"lexical: {what}")
    return search


def _looked_up(search: _Search) -> Future[Counts] | None:
    """Start to look up how rare the query's words are; return None if that is known. It runs while
    the query is encoded and searched for.
    """
    if not search.request.lexical_depth:
        return None
    unknown, sources = search.terms.look(_bound(search)), search.sources
    if not unknown:
        return None
    return sources.beside.submit(copy_context().run, sources.statistics.frequencies, unknown)


def _are_worth_waiting(search: _Search, counts: Future[Counts]) -> bool:
    """Return whether to wait for the counts before the search: if it depends on them, as the score
    of words apart from texts, or if it would have to ask about very many words. Else this waits for
    a moment only, which is long beside a count: a search that does not wait asks for each word, and
    the nodes have several times as many searches.
    """
    needed = search.terms.open > _MOST_OPEN or bool(search.basics.some_have)
    return needed or bool(wait([counts], _MOMENT_S).done)


def _leave_out_incomplete(search: _Search) -> None:
    """Flag the vector fields that lack items of the search, and leave the later ones out. A
    separate request counts them, before the query is encoded, while the index lacks any.
    """
    held = search.basics.lacking
    fields = [query.field for query in search.request.vectors if held.get(query.field)]
    if not fields:
        return
    counts = [*(counting(search.allowed, name) for name in fields), counting(search.allowed)]
    replies = search.sources.replies(counts)
    lacking = lacking_vectors(fields, replies)
    left_out = search.request.incomplete(lacking)
    search.request = search.request.without(left_out)
    search.degraded += [
        lacks(name, count, total(replies[-1]), left_out=name in left_out)
        for name, count in lacking.items()
        if count
    ]


def _encoded(search: _Search) -> list[tuple[VectorQuery, FloatMatrix]]:
    """Return each vector query with its vector; the encoders work side by side."""
    if not search.request.vectors:
        return []
    started = perf_counter()
    first, *others = search.request.vectors
    beside = search.sources.beside
    begun = [beside.submit(copy_context().run, query.encode) for query in others]
    vectors = [first.encode(), *(future.result() for future in begun)]
    search.milliseconds["encode"] = (perf_counter() - started) * 1000
    return list(zip(search.request.vectors, vectors, strict=True))


def _compile(search: _Search) -> None:
    held = TermCounts(search.sources.statistics, search.look_ups)
    search.scored, search.narrowing = _compiled(search, search.request.query, held)
    if _size(search, search.scored, search.narrowing) > MOST_CLAUSES:
        _fold(search, held)


def _compiled(search: _Search, query: Node, held: TermCounts) -> tuple[Clause, list[Clause]]:
    """Return the query to score, and its condition on what vectors find."""
    basics, request = search.basics, search.request
    languages, main = basics.all_languages, basics.main
    needed = constraint(query) if request.vectors else EVERYTHING
    condition = Compiler(languages, main, request.lexical, any_word(basics.some_have))
    narrowing = [] if isinstance(needed, Everything) else [condition.narrowing(needed)]
    if not request.lexical_depth:
        return {}, narrowing
    weighed = (ApartWords(basics.documents, held.held),) if basics.some_have else ()
    compiler = Compiler(languages, main, request.lexical, *weighed)
    return held.solved(lambda: compiler.scored(query)), narrowing


def _size(search: _Search, scored: Clause, narrowing: list[Clause]) -> int:
    """Return the number of clauses of the larger of the two searches."""
    return clauses(search.allowed) + max(clauses(scored), clauses(narrowing))


def _fold(search: _Search, held: TermCounts) -> None:
    """Leave out the query's commonest words until the index takes it."""
    languages = search.basics.all_languages or ("en",)

    def size(query: Node) -> int:
        return _size(search, *_compiled(search, query, held))

    def counts(nodes: Sequence[Optional]) -> list[int]:
        return held.solved(lambda: [count_of(node, languages, held.held) for node in nodes])

    query, left, every = folded(search.request.query, size, counts)
    search.request = replace(search.request, query=query)
    search.scored, search.narrowing = _compiled(search, query, held)
    what = f"the query is too long: {left:,} of its {every:,} words are looked for, the rarest"
    search.degraded.append(f"lexical: {what}")


def _lexical(search: _Search) -> Clause:
    request = search.request
    query = {"bool": {"must": [search.scored], "filter": search.allowed}}
    timeout_s = search.sources.settings.timeout_s
    counted = not request.vectors  # nobody asks how many match a search for the nearest
    return listed(query, request.lexical_depth, request.order, timeout_s, counted=counted)


def _nearest(search: _Search, query: VectorQuery, vector: FloatMatrix) -> Clause:
    settings = search.sources.settings
    wanted = min(MOST_NEAREST, max(1, search.request.vector_depth * settings.rescored))
    within = [*search.allowed, *search.narrowing]
    near = nearest(query.field, vector, within, wanted, _width(search, query.field))
    return listed(near, wanted, SortOrder.SCORE, settings.timeout_s, counted=False)


def _width(search: _Search, name: str) -> int:
    """Return how wide to search the graphs of a vector field. If a search wants as many vectors as
    the filter lets through, Lucene compares all of them and skips the graph. The field may have got
    a few more vectors since they were counted.
    """
    settings, held = search.sources.settings, search.basics.passages.get(name, 0)
    if held > min(settings.exact_rows, MOST_NEAREST):
        return settings.ef_search
    return max(settings.ef_search, min(MOST_NEAREST, _MORE * held))


def _check(search: _Search, replies: Sequence[Reply]) -> None:
    """Flag searches and shards that did not answer."""
    lexical, where = bool(search.request.lexical_depth), search.sources.where
    search.degraded += missing(replies, lexical=lexical, where=where)


def _bound(search: _Search) -> Callable[[], Bound]:
    basics, request, held = search.basics, search.request, search.terms.held
    languages = tuple(dict.fromkeys((*basics.main, *basics.all_languages))) or ("en",)

    def reckon() -> Bound:
        """Return the bound, with a new Supremum each time, because that keeps counts that may have
        been guesses.
        """
        supremum = Supremum(basics.documents, held, languages, basics.main, request.lexical)
        return supremum.of(request.query)

    return reckon


def _answer(search: _Search, hits: Hits, near: Sequence[Near]) -> Retrieved:
    started = perf_counter()
    sources, request = search.sources, search.request
    found = merged(hits, near, request.vector_depth, sources.exact, sources.sums)
    bound = search.terms.reckoned(_bound(search)) if request.lexical_depth else NO_BOUND
    search.milliseconds["cosines"] = (perf_counter() - started) * 1000
    if why := search.look_ups.lacking:
        search.degraded.append(f"lexical: it is not known how rare some words are: {why}")
    return Retrieved(
        found.ids,
        found.bm25,
        found.ranks,
        hits.matches,
        found.vectors,
        search.milliseconds,
        tuple(search.degraded),
        bound.whole,
        bound.seen,
    )


def browse(sources: Sources, request: Browse, window: int, newest: int) -> tuple[Browsed, Ids]:
    """Return a stretch of everything that matches, by date, with the facets that the index counts,
    and the ids of the `newest` matches (none for 0). Raises QueryError if `skip` reaches beyond
    `window`, BusyError if the cluster does not answer.
    """
    if request.skip + request.size > window:
        raise QueryError(
            f"the page ends beyond item {window:,}",
            where="page",
            mend="go on by next_page, which reaches everything",
        )
    with within(sources.longest_s):
        search = _begun(sources, request.asked)
        _compile(search)
        matching = {"bool": {"must": [search.scored], "filter": search.allowed}}
        timeout_s = sources.settings.timeout_s
        bodies = [by_date(matching, request, timeout_s)]
        if newest:
            bodies.append(listed(matching, newest, SortOrder.NEWEST, timeout_s))
        started = perf_counter()
        replies = sources.replies(bodies)
        search.milliseconds["lexical"] = (perf_counter() - started) * 1000
        _check(search, replies)
        facets = _facets(search, matching, request.facets, replies[0])
    others = hits_of(replies[1], SortOrder.NEWEST).ids if newest else no_hits().ids
    return _stretch(search, request, replies[0], facets), others


def _facets(
    search: _Search, matching: Clause, wanted: FacetRequest, reply: Reply
) -> dict[str, tuple[FacetCount, ...]]:
    """Return the facets of everything that matches; `reply` is that to the search itself."""
    counted = reply.get("aggregations")
    if not counted:
        return {}
    search.degraded += inexact(counted, wanted.names)
    ask = partial(_aggregated, search, matching)
    found = counts_in(counted, wanted.names, wanted.limit)
    if CREATED in wanted.names:
        found[CREATED] = dates_counted(ask, counted, wanted)
    if SUBJECTS in counted:
        found[SUBJECT] = topics_counted(ask, counted, search.sources.topics, wanted.limit)
    return found


def _aggregated(search: _Search, matching: Clause, aggs: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return aggregations over everything that matches; {} if the cluster does not answer."""
    body = aggregated(matching, aggs, search.sources.settings.timeout_s)
    (reply,) = search.sources.replies([body])
    _check(search, [reply])
    found: Mapping[str, Any] = reply.get("aggregations", {})
    return found


def _stretch(
    search: _Search,
    request: Browse,
    reply: Reply,
    facets: Mapping[str, tuple[FacetCount, ...]],
) -> Browsed:
    if "error" in reply:
        return Browsed(no_hits().ids, (), 0, more=False, degraded=tuple(search.degraded))
    hits = reply["hits"]["hits"]
    found = hits[: request.size]
    return Browsed(
        ids=np.array([hit["fields"]["seq"][0] for hit in found], np.int64),
        places=tuple(Place(*hit["sort"]) for hit in found),
        matches=total(reply),
        more=len(hits) > request.size,
        facets=facets,
        milliseconds=search.milliseconds,
        degraded=tuple(search.degraded),
    )


def _browse(search: _Search) -> Retrieved:
    """Return all that satisfies the facts of a query without text, newest first by default."""
    request = search.request
    order = SortOrder.OLDEST if request.order is SortOrder.OLDEST else SortOrder.NEWEST
    compiler = Compiler(search.basics.all_languages, search.basics.main)
    query = {"bool": {"filter": [*search.allowed, compiler.required(request.query)]}}
    body = listed(query, request.lexical_depth, order, search.sources.settings.timeout_s)
    started = perf_counter()
    (reply,) = search.sources.replies([body])
    search.milliseconds["lexical"] = (perf_counter() - started) * 1000
    _check(search, [reply])
    hits = hits_of(reply, order)
    return Retrieved(
        hits.ids,
        hits.scores,
        np.arange(1, len(hits.ids) + 1, dtype=np.int32),
        hits.matches,
        (),
        search.milliseconds,
        tuple(search.degraded),
    )
