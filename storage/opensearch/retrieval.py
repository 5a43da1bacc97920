"""Retrieval from an index: BM25 and each vector field's nearest in one request over one moment,
with the same filters inside all of them. What comes back is one list of candidates with every score
filled in, as from the embedded engine.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import numpy as np

from core.errors import BusyError
from core.items import FloatMatrix
from core.query_tree import Everything, constraint, is_fact
from core.retrieval import (
    Retrieval,
    Retrieved,
    SortOrder,
    VectorQuery,
)
from storage.lexical_bound import Supremum
from storage.machine_words import MachineWords
from storage.opensearch.candidates import DATES, Hits, Near, hits_of, merged, no_hits
from storage.opensearch.connection import Reply, error_of, reason_of
from storage.opensearch.exact import ExactCosines
from storage.opensearch.index_body import EMBEDDED, vector_path
from storage.opensearch.index_family import Sum
from storage.opensearch.query_dsl import Clause, Compiler
from storage.opensearch.seen import seen_by
from storage.opensearch.statistics import Basics, Statistics, total
from storage.opensearch.term_counts import TermCounts

_MOST_NEAREST = 10_000  # that the k-NN plugin looks for


@dataclass(frozen=True, slots=True)
class SearchSettings:
    """`timeout_s` is how long a shard may take for a search, before it answers with what it has.
    `ef_search` is the width of the search in a vector graph. `rescored` times as many vectors as
    are wanted are looked for where the graph's are not exact.
    """

    timeout_s: float = 3.0
    ef_search: int = 200
    rescored: int = 1


@dataclass(frozen=True, slots=True)
class Sources:
    """What retrieval is made of: `replies` asks the index, `sums` are those of the vectors."""

    replies: Callable[[Sequence[Mapping[str, Any]]], list[Reply]]
    statistics: Statistics
    exact: Mapping[str, ExactCosines]
    sums: Mapping[str, Sum]
    settings: SearchSettings
    now: int
    where: str


@dataclass(slots=True)
class _Search:
    """One retrieval under way."""

    sources: Sources
    request: Retrieval
    basics: Basics
    compiler: Compiler
    terms: TermCounts
    allowed: list[Clause]
    milliseconds: dict[str, float] = field(default_factory=dict)
    degraded: list[str] = field(default_factory=list)


def retrieve(sources: Sources, request: Retrieval) -> Retrieved:
    """All candidates for a request, at most the sum of its depths. Raises BusyError where the
    cluster answers none of its searches.
    """
    search = _begun(sources, request)
    if is_fact(request.query) and not request.vectors:
        return _browse(search)
    vectors = _encoded(search)
    lexical = bool(request.lexical_depth)
    bodies = [_lexical(search)] if lexical else []
    bodies += [_nearest(search, query, vector) for query, vector in vectors]
    lacking = [query.field for query in request.vectors if search.basics.lacking.get(query.field)]
    bodies += [_lacking(search, name) for name in lacking] + [_every(search)] * bool(lacking)
    counts = search.terms.rare_bodies(_bound(search)) if lexical else []
    started = perf_counter()
    replies = sources.replies([*bodies, *counts])
    search.milliseconds["lexical"] = (perf_counter() - started) * 1000
    _check(search, replies[: lexical + len(vectors)])
    search.terms.take_in(replies[len(bodies) :])
    _flag_lacking(search, lacking, replies[lexical + len(vectors) : len(bodies)])
    near = [
        Near(query, vector, hits_of(reply, SortOrder.SCORE))
        for (query, vector), reply in zip(vectors, replies[lexical:], strict=False)
    ]
    return _answer(search, hits_of(replies[0], request.order) if lexical else no_hits(), near)


def _begun(sources: Sources, request: Retrieval) -> _Search:
    basics = sources.statistics.basics()
    compiler = _compiler(sources.statistics, basics, request)
    allowed = seen_by(request.caller, sources.now)
    if not isinstance(request.filters, Everything):
        allowed = [*allowed, compiler.required(request.filters)]
    terms = TermCounts(sources.statistics, allowed)
    return _Search(sources, request, basics, compiler, terms, allowed)


def _compiler(statistics: Statistics, basics: Basics, request: Retrieval) -> Compiler:
    """With the counts that machines' words are weighed by, where machines say anything."""
    languages, main = basics.all_languages, basics.main
    if not basics.of_machines:
        return Compiler(languages, main, request.lexical)
    counts = TermCounts(statistics)
    machine = MachineWords(basics.documents, counts.held)
    compiler = Compiler(languages, main, request.lexical, machine)
    counts.solved(lambda: (compiler.scored(request.query), compiler.required(request.query)))
    return compiler


def _encoded(search: _Search) -> list[tuple[VectorQuery, FloatMatrix]]:
    started = perf_counter()
    vectors = [(query, query.encode()) for query in search.request.vectors]
    if vectors:
        search.milliseconds["encode"] = (perf_counter() - started) * 1000
    return vectors


def _body(search: _Search, query: Clause, depth: int, order: Sequence[Clause]) -> Clause:
    """A search for ids in an order: the sort values are all that is needed of a hit."""
    return {
        "size": max(1, depth),
        "track_total_hits": True,
        "_source": False,
        "stored_fields": "_none_",
        "timeout": f"{round(search.sources.settings.timeout_s * 1000)}ms",
        "query": query,
        "sort": list(order),
    }


def _lexical(search: _Search) -> Clause:
    request = search.request
    scored = search.compiler.scored(request.query)
    query = {"bool": {"must": [scored], "filter": search.allowed}}
    return _body(search, query, request.lexical_depth, _order(request.order))


def _order(order: SortOrder) -> list[Clause]:
    """Equal ones go by id, the first recorded first (the last where the newest are first)."""
    if order in DATES:
        return [{"versioncreated": DATES[order]}, {"seq": DATES[order]}]
    return [{"_score": "desc"}, {"seq": "asc"}]


def _nearest(search: _Search, query: VectorQuery, vector: FloatMatrix) -> Clause:
    settings, depth = search.sources.settings, search.request.vector_depth
    wanted = min(_MOST_NEAREST, max(1, depth * settings.rescored))
    needed = constraint(search.request.query)
    narrowing = [] if isinstance(needed, Everything) else [search.compiler.narrowing(needed)]
    path = vector_path(query.field)
    near = {
        "vector": vector[0].astype(float).tolist(),
        "k": wanted,
        "filter": {"bool": {"filter": [*search.allowed, *narrowing]}},
        "method_parameters": {"ef_search": max(wanted, settings.ef_search)},
    }
    nested = {
        "path": path,
        "query": {"knn": {f"{path}.vector": near}},
        "score_mode": "max",
    }
    return {**_body(search, {"nested": nested}, wanted, _order(SortOrder.SCORE))}


def _every(search: _Search) -> Clause:
    return {"size": 0, "track_total_hits": True, "query": {"bool": {"filter": search.allowed}}}


def _lacking(search: _Search, name: str) -> Clause:
    clause = {"filter": search.allowed, "must_not": [{"term": {EMBEDDED: name}}]}
    return {"size": 0, "track_total_hits": True, "query": {"bool": clause}}


def _flag_lacking(search: _Search, fields: Sequence[str], replies: Sequence[Reply]) -> None:
    """What is to be said of vector fields that do not cover what the search is over."""
    if not fields or any("error" in reply for reply in replies):
        return
    every = total(replies[-1])
    for name, reply in zip(fields, replies, strict=False):
        if lacking := total(reply):
            what = f"vectors: field {name} lacks {lacking:,} of {every:,} items"
            search.degraded.append(f"{what}; `dateline embed` adds them")


def _check(search: _Search, replies: Sequence[Reply]) -> None:
    """Flags what some of the searches or some shards did not answer."""
    failed = [reply for reply in replies if "error" in reply or _has_no_shard(reply)]
    if replies and len(failed) == len(replies):
        first = failed[0]
        where = search.sources.where
        if "error" in first:
            error = error_of(first.get("status", 500), first["error"], where)
            raise error
        raise BusyError("no part of the index answers", where=where, mend="try again")
    for place, reply in enumerate(replies):
        if what := _partly(reply):
            part = "lexical" if place == 0 and search.request.lexical_depth else "vectors"
            search.degraded.append(f"{part}: {what}")


def _has_no_shard(reply: Reply) -> bool:
    shards = reply["_shards"]
    return bool(shards["total"]) and not shards["successful"]


def _partly(reply: Reply) -> str:
    """What is missing in an answer; "" where nothing is."""
    if "error" in reply:
        return f"not searched: {reason_of(reply['error'])}"
    shards = reply["_shards"]
    if shards["failed"]:
        return f"{shards['failed']} of {shards['total']} parts of the index do not answer"
    return "not searched to the end in time" if reply["timed_out"] else ""


def _bound(search: _Search) -> Callable[[], float]:
    basics, request = search.basics, search.request
    languages = tuple(dict.fromkeys((*basics.main, *basics.all_languages))) or ("en",)
    supremum = Supremum(
        basics.documents, search.terms.held, languages, basics.main, request.lexical
    )
    return lambda: supremum.of(request.query)


def _answer(search: _Search, hits: Hits, near: Sequence[Near]) -> Retrieved:
    started = perf_counter()
    sources, request = search.sources, search.request
    found = merged(hits, near, request.vector_depth, sources.exact, sources.sums)
    bound = search.terms.reckoned(_bound(search)) if request.lexical_depth else 0.0
    search.milliseconds["cosines"] = (perf_counter() - started) * 1000
    return Retrieved(
        found.ids,
        found.bm25,
        found.ranks,
        hits.matches,
        found.vectors,
        search.milliseconds,
        tuple(search.degraded),
        bound,
    )


def _browse(search: _Search) -> Retrieved:
    """No text to rank by: everything that the facts let through, newest first unless asked else."""
    request = search.request
    order = SortOrder.OLDEST if request.order is SortOrder.OLDEST else SortOrder.NEWEST
    facts = [*search.allowed, search.compiler.required(request.query)]
    body = _body(search, {"bool": {"filter": facts}}, request.lexical_depth, _order(order))
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
