"""Retrieval in the embedded engine: BM25 and vectors side by side, within one bitmap.

If a core is free, the lexical search and the later encoders run in threads while the first encoder
and the graph are in use. The result is one list of candidates with every score.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from time import perf_counter
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from core.items import FloatMatrix
from core.query_tree import (
    EVERYTHING,
    Bool,
    Everything,
    Keyword,
    Node,
    Phrase,
    Word,
    all_of,
    constraint,
    is_fact,
    is_text,
)
from core.retrieval import (
    Floats,
    Ids,
    Ints,
    Retrieval,
    Retrieved,
    SortOrder,
    VectorQuery,
    VectorScores,
)
from core.tracing import Span
from storage.embedded.beside import Beside
from storage.embedded.columns.facts import View
from storage.embedded.lexical.reader import LexicalHits, LexicalReader
from storage.embedded.vectors.vector_view import FieldView, VectorHits

Mask = npt.NDArray[np.bool_]
_DATE_ORDERS = {SortOrder.NEWEST: "-versioncreated", SortOrder.OLDEST: "versioncreated"}
_PASSAGES_PER_ITEM = 1.5  # how many passages to fetch for each wanted item
_MANY = 30_000  # matches of words whose bitmap takes 10 ms
_LOOKED_AT = (3, 9)  # times as many passages as are wanted, at first and then
_SPARE = 1.25  # how many more hits of all to fetch than would do if the allowed were spread evenly
_WIDEST = 3  # times the depth; beyond it a search within the filters takes less time


@dataclass(frozen=True, slots=True)
class Moment:
    """What one search sees: the columns, the lexical snapshot and the vector fields, taken
    together. `allowed` (bool by seq) are the versions that the caller may see within the filters.
    `unindexed` is how many of these the lexical snapshot lacks, `unembedded` how many a vector
    field may lack.
    """

    view: View
    lexical: LexicalReader
    fields: Mapping[str, FieldView]
    allowed: Mask
    filters_pass_all: bool
    unindexed: int
    unembedded: Mapping[str, int]


Lexical: TypeAlias = Callable[[], LexicalHits]
Encode: TypeAlias = Callable[[], FloatMatrix]
Scored: TypeAlias = tuple[Floats, Ints]  # cosines and passage numbers
Search: TypeAlias = Callable[[FieldView, FloatMatrix, int], VectorHits]
Begin: TypeAlias = Callable[[Callable[[], Scored]], Callable[[], Scored] | None]


def retrieve(moment: Moment, request: Retrieval, beside: Beside) -> Retrieved:
    """Return all candidates for a request, at most the sum of its depths."""
    milliseconds: dict[str, float] = {}
    if is_fact(request.query) and not request.vectors:
        return _browse(moment, request, milliseconds)
    later = [beside.begin(query.encode) or query.encode for query in request.vectors[1:]]
    lexical: Lexical = _no_hits
    begin: Begin = _later
    if request.lexical_depth:
        search = partial(_lexical, moment, request, milliseconds)
        begun = beside.begin(search)
        lexical, begin = (cache(search), _later) if begun is None else (begun, beside.begin)
    encodings = [*(query.encode for query in request.vectors[:1]), *later]
    found = _nearest(moment, request, encodings, milliseconds, lexical, begin)
    hits = lexical()
    started = perf_counter()
    answer = _merge(moment, hits, found, milliseconds)
    milliseconds["cosines"] = (perf_counter() - started) * 1000
    return answer


@dataclass(frozen=True, slots=True)
class _Nearest:
    """One vector field's nearest items, best first, and the encoded query. `of_hits` returns the
    cosines of BM25's hits, which another thread may compute during the vector search. They are
    always computed separately, because the last bit of a matrix product depends on its rows.
    """

    query: VectorQuery
    vector: npt.NDArray[np.float32]
    ids: Ids
    of_hits: Callable[[], Scored]


def _lexical(moment: Moment, request: Retrieval, milliseconds: dict[str, float]) -> LexicalHits:
    started = perf_counter()
    with Span("BM25"):
        found = _out_of_all(moment, request) or _within_filters(moment, request)
    milliseconds["lexical"] = (perf_counter() - started) * 1000
    return found


def _within_filters(moment: Moment, request: Retrieval) -> LexicalHits:
    """Return the best hits within the filters. With vectors the total is of a window, so nobody
    asks how many items match.
    """
    filters: Node = EVERYTHING
    if not moment.filters_pass_all:
        filters = all_of(request.filters, _held_products(request))
    order = _DATE_ORDERS.get(request.order, "")
    depth, counted = request.lexical_depth, not request.vectors
    hits = moment.lexical.search(
        request.query, filters, depth, order, request.lexical, moment.allowed, counted=counted
    )
    return _allowed(moment, hits)


def _out_of_all(moment: Moment, request: Retrieval) -> LexicalHits | None:
    """Return the best allowed hits out of the best hits of all: a filter would keep tantivy from
    leaving out what can't be among the best, which takes twice the time. None if it would take
    many more hits, or if too few of them are allowed.
    """
    if moment.filters_pass_all or not request.vectors or request.order is not SortOrder.SCORE:
        return None
    depth, every = request.lexical_depth, moment.lexical.documents
    share = min(1.0, max(1, int(np.count_nonzero(moment.allowed))) / max(1, every))
    wide = int(_SPARE * depth / share)
    if wide > _WIDEST * depth:
        return None
    hits = moment.lexical.search(
        request.query, EVERYTHING, wide, "", request.lexical, moment.allowed, counted=False
    )
    found = _allowed(moment, hits)
    if len(found.ids) < depth and len(hits.ids) == wide:
        return None
    ids = found.ids[:depth]
    return LexicalHits(ids, found.scores[:depth], len(ids), found.bound)


def _allowed(moment: Moment, hits: LexicalHits) -> LexicalHits:
    size = len(moment.allowed)
    kept = np.flatnonzero(hits.ids < size)
    kept = kept[moment.allowed[hits.ids[kept]]]
    hidden = len(hits.ids) - len(kept)
    matches = max(len(kept), hits.matches - hidden)
    return LexicalHits(hits.ids[kept], hits.scores[kept], matches, hits.bound)


def _held_products(request: Retrieval) -> Node:
    """Return the caller's products as a filter."""
    return Keyword("product", tuple(sorted(request.caller.products)))


def _nearest(
    moment: Moment,
    request: Retrieval,
    encodings: Sequence[Encode],
    milliseconds: dict[str, float],
    lexical: Lexical,
    begin: Begin,
) -> list[_Nearest]:
    found: list[_Nearest] = []
    search: Search | None = None
    for query, encode in zip(request.vectors, encodings, strict=True):
        started = perf_counter()
        vector = encode()
        encoded = perf_counter()
        if search is None:
            search = _searching(moment, request.query)
        field = moment.fields[query.field]
        reckoned = partial(_cosines_of_hits, field, vector, lexical)
        of_hits = begin(reckoned) or reckoned
        wanted = int(request.vector_depth * _PASSAGES_PER_ITEM)
        with Span("HNSW", {"dateline.field": query.field}):
            hits = search(field, vector, wanted)
        near = hits.ids[np.lexsort((hits.ids, -hits.cosines))]
        _, firsts = np.unique(near, return_index=True)
        ids = near[np.sort(firsts)][: request.vector_depth]
        found.append(_Nearest(query, vector, ids, of_hits))
        ended = perf_counter()
        milliseconds["encode"] = milliseconds.get("encode", 0.0) + (encoded - started) * 1000
        milliseconds["vectors"] = milliseconds.get("vectors", 0.0) + (ended - encoded) * 1000
    return found


def _later(_: Callable[[], Scored]) -> None:
    """Return None: no core is free for work beside the search."""


def _cosines_of_hits(field: FieldView, vector: npt.NDArray[np.float32], lexical: Lexical) -> Scored:
    return field.best_passages(vector, lexical().ids)


def _searching(moment: Moment, query: Node) -> Search:
    """Return the search for the nearest passages of allowed items that satisfy the parts of the
    query that are not optional.

    A bitmap of all matches is made first, unless words have very many: then the nearest of all
    allowed items are looked up in the index, which takes less time if most of them match.
    """
    needed = constraint(query)
    if isinstance(needed, Everything):
        return lambda field, vector, wanted: field.search(vector, wanted, moment.allowed)
    whole = cache(partial(constrained, moment, query))
    if _most_matches(moment.lexical, needed) <= _MANY:
        return lambda field, vector, wanted: field.search(vector, wanted, whole())

    def search(field: FieldView, vector: FloatMatrix, wanted: int) -> VectorHits:
        for wide in (times * wanted for times in _LOOKED_AT):
            hits = field.search(vector, wide, moment.allowed)
            kept = np.flatnonzero(_mask(moment, needed, np.unique(hits.ids))[hits.ids])
            if len(kept) >= wanted or len(hits.ids) < wide:
                kept = kept[:wanted]
                return VectorHits(hits.ids[kept], hits.numbers[kept], hits.cosines[kept])
        return field.search(vector, wanted, whole())

    return search


def constrained(moment: Moment, query: Node) -> Mask:
    """Return the allowed versions that satisfy the parts of the query that are not optional: bool
    by seq.
    """
    needed = constraint(query)
    return (
        moment.allowed if isinstance(needed, Everything) else moment.allowed & _mask(moment, needed)
    )


def _most_matches(lexical: LexicalReader, node: Node) -> int:
    """Return about how many matches of words `_mask` looks up, at most."""
    if is_fact(node):
        return 0
    if isinstance(node, Word | Phrase):
        return min((lexical.frequency(word) for word in node.text.split()), default=0)
    if not isinstance(node, Bool):
        return 0
    words, must, must_not = _worded(node)
    few = min((_most_matches(lexical, child) for child in words.must), default=0)
    others = (*must, *must_not, *(node.should if not node.must else ()))
    return few + sum(_most_matches(lexical, child) for child in others)


def _mask(moment: Moment, node: Node, among: Ids | None = None) -> Mask:
    """Return the versions that match the node: bool by seq. It says nothing of items that are not
    `among` these, if they are given.
    """
    size = len(moment.allowed)
    if is_fact(node):
        return moment.view.columns.facts_mask(node, size)
    if not isinstance(node, Bool):
        return _matching(moment, node, among)
    words, must, must_not = _worded(node)
    parts = [_matching(moment, words, among)] if words.must else []
    parts += [_mask(moment, child, among) for child in must]
    if node.should and not node.must:
        parts.append(np.logical_or.reduce([_mask(moment, child, among) for child in node.should]))
    parts.extend(~_mask(moment, child, among) for child in must_not)
    return np.logical_and.reduce(parts) if parts else np.ones(size, np.bool_)


def _worded(node: Bool) -> tuple[Bool, list[Node], list[Node]]:
    """Return the parts of a node that need words, to look up in one query, and the rest of `must`
    and `must_not`. Each match costs time, and a common word together with a rare one has few
    matches. If no part asks for a word, that query stays empty, because all items without some
    words would match.
    """
    words, must = _parted(node.must)
    if not any(map(_asks_for_words, words)):
        return Bool(), [*node.must], [*node.must_not]
    refused, must_not = _parted(node.must_not)
    return Bool(must=(*words,), must_not=(*refused,)), must, must_not


def _asks_for_words(node: Node) -> bool:
    """Return whether every item that satisfies the node has one of its words."""
    if not isinstance(node, Bool):
        return True
    some = bool(node.should) and all(map(_asks_for_words, node.should))
    return any(map(_asks_for_words, node.must)) or (some and not node.must)


def _parted(nodes: Sequence[Node]) -> tuple[list[Node], list[Node]]:
    """Return the nodes that are only about text, and the others."""
    return [n for n in nodes if is_text(n)], [n for n in nodes if not is_text(n)]


def _matching(moment: Moment, node: Node, among: Ids | None) -> Mask:
    size = len(moment.allowed)
    mask = np.zeros(size, np.bool_)
    ids = moment.lexical.matching(node, among)
    mask[ids[ids < size]] = True
    return mask


def _merge(
    moment: Moment, hits: LexicalHits, found: list[_Nearest], milliseconds: dict[str, float]
) -> Retrieved:
    """Return the union of what both retrievers found, each candidate with every score."""
    lists = [hits.ids, *(nearest.ids for nearest in found)]
    ids, (_, *places) = _joined(lists)
    count = len(hits.ids)
    bm25 = np.full(len(ids), np.nan, np.float32)
    bm25[:count] = hits.scores
    ranks = np.zeros(len(ids), np.int32)
    ranks[:count] = np.arange(1, count + 1)
    scores = tuple(
        _scores(moment, nearest, ids, own) for nearest, own in zip(found, places, strict=True)
    )
    return Retrieved(
        ids,
        bm25,
        ranks,
        hits.matches,
        scores,
        milliseconds,
        lexical_bound=hits.bound.whole,
        lexical_seen=hits.bound.seen,
    )


def _joined(lists: list[Ids]) -> tuple[Ids, list[Ids]]:
    """Return the ids of all lists, each once, in the order of their first places; and for each list
    the places of its ids in that order.
    """
    joined = np.concatenate(lists)
    _, firsts, which = np.unique(joined, return_index=True, return_inverse=True)
    order = np.argsort(firsts)
    places = np.empty(len(order), np.int64)
    places[order] = np.arange(len(order))
    ends = np.cumsum([len(one) for one in lists])
    return joined[firsts[order]], np.split(places[which], ends[:-1])


def _scores(moment: Moment, nearest: _Nearest, ids: Ids, places: Ids) -> VectorScores:
    """Return one field's scores of the candidates `ids`; its nearest items are at `places`."""
    field = moment.fields[nearest.query.field]
    known = nearest.of_hits()
    rest = field.best_passages(nearest.vector, ids[len(known[0]) :])
    cosines, passages = (np.concatenate(parts) for parts in zip(known, rest, strict=True))
    ranks = np.zeros(len(ids), np.int32)
    ranks[places] = np.arange(1, len(places) + 1)
    return VectorScores(
        nearest.query.field,
        nearest.query.weight,
        cosines,
        passages,
        ranks,
        field.background(nearest.vector),
    )


def _browse(moment: Moment, request: Retrieval, milliseconds: dict[str, float]) -> Retrieved:
    """Return all that satisfies the facts of a query without text, newest first by default."""
    started = perf_counter()
    columns = moment.view.columns
    mask = moment.allowed & columns.facts_mask(request.query, len(moment.allowed))
    ids = np.flatnonzero(mask)
    oldest_first = columns.by_date.sorted(ids)
    ids = oldest_first if request.order is SortOrder.OLDEST else oldest_first[::-1]
    ids = ids[: max(1, request.lexical_depth)]
    milliseconds["lexical"] = (perf_counter() - started) * 1000
    return Retrieved(
        ids,
        np.zeros(len(ids), np.float32),
        np.arange(1, len(ids) + 1, dtype=np.int32),
        int(np.count_nonzero(mask)),
        (),
        milliseconds,
    )


def _no_hits() -> LexicalHits:
    return LexicalHits(np.zeros(0, np.int64), np.zeros(0, np.float32), 0)
