"""Makes one list of candidates, each with every score, from the hits of several searches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from core.items import FloatMatrix
from core.retrieval import Floats, Ids, Ints, SortOrder, VectorQuery, VectorScores
from storage.opensearch.index.vector_sums import Sum
from storage.opensearch.nodes.connection import Reply
from storage.opensearch.query.exact import ExactCosines
from storage.opensearch.query.statistics import total

DATES = {SortOrder.NEWEST: "desc", SortOrder.OLDEST: "asc"}


@dataclass(frozen=True, slots=True)
class Hits:
    """The hits of one search, best first: ids int64 [n] and scores float32 [n]; in all it matched
    `matches` items (n if they were not counted).
    """

    ids: Ids
    scores: Floats
    matches: int


@dataclass(frozen=True, slots=True)
class Near:
    """The hits of one vector query; `vector` is the encoded query, float32 [1, d]."""

    query: VectorQuery
    vector: FloatMatrix
    hits: Hits


@dataclass(frozen=True, slots=True)
class Candidates:
    """Candidates with scores and ranks, as in `core.retrieval.Retrieved`."""

    ids: Ids
    bm25: Floats
    ranks: Ints
    vectors: tuple[VectorScores, ...]


def no_hits() -> Hits:
    """Return the hits of a search that was not asked or failed: none."""
    return Hits(np.zeros(0, np.int64), np.zeros(0, np.float32), 0)


def hits_of(reply: Reply, order: SortOrder) -> Hits:
    """Return the hits of a search in `order`. Their sort values are score or time, and id."""
    if "error" in reply:
        return no_hits()
    found = [hit["sort"] for hit in reply["hits"]["hits"]]
    ids = np.array([values[1] for values in found], np.int64)
    scores = np.zeros(len(ids), np.float32)
    if order not in DATES:
        scores = np.array([values[0] for values in found], np.float32)
    return Hits(ids, scores, total(reply) if "total" in reply["hits"] else len(ids))


def merged(
    lexical: Hits,
    near: Sequence[Near],
    depth: int,
    exact: Mapping[str, ExactCosines],
    sums: Mapping[str, Sum],
) -> Candidates:
    """Return the union of the lexical hits and the `depth` nearest of each vector query."""
    every = np.unique(np.concatenate([lexical.ids, *(each.hits.ids for each in near)]))
    found = [exact[each.query.field].best_passages(each.vector, every) for each in near]
    ranked = [
        _ranked(each.hits.ids, every, cosines)[:depth]
        for each, (cosines, _) in zip(near, found, strict=True)
    ]
    joined = np.concatenate([lexical.ids, *ranked])
    _, firsts = np.unique(joined, return_index=True)
    ids = joined[np.sort(firsts)]
    rows = np.searchsorted(every, ids)
    scores = tuple(
        VectorScores(
            each.query.field,
            each.query.weight,
            cosines[rows],
            passages[rows],
            _places(ids, nearest),
            _background(sums.get(each.query.field), each.vector),
        )
        for each, (cosines, passages), nearest in zip(near, found, ranked, strict=True)
    )
    return Candidates(ids, *_of_words(lexical, len(ids)), scores)


def _of_words(hits: Hits, size: int) -> tuple[Floats, Ints]:
    """Return scores and 1-based ranks of `size` candidates, which begin with the hits."""
    count = len(hits.ids)
    bm25 = np.full(size, np.nan, np.float32)
    bm25[:count] = hits.scores
    ranks = np.zeros(size, np.int32)
    ranks[:count] = np.arange(1, count + 1)
    return bm25, ranks


def _ranked(ids: Ids, every: Ids, cosines: Floats) -> Ids:
    """Return `ids` by cosine, best first; `cosines` are those of `every` (ascending)."""
    values = cosines[np.searchsorted(every, ids)]
    near: Ids = ids[np.lexsort((ids, -np.nan_to_num(values, nan=-2.0)))]
    return near


def _places(ids: Ids, ranked: Ids) -> Ints:
    """Return the 1-based place in `ranked` of each of `ids`, 0 if it is not there. `ids` contain
    all of `ranked`.
    """
    order = np.argsort(ids)
    places = np.zeros(len(ids), np.int32)
    places[order[np.searchsorted(ids[order], ranked)]] = np.arange(1, len(ranked) + 1)
    return places


def _background(sums: Sum | None, vector: FloatMatrix) -> float:
    """Return the query's mean cosine over all passages, 0 if there are none."""
    if sums is None or sums.count <= 0:
        return 0.0
    return float(sums.total @ vector[0].astype(np.float64)) / sums.count
