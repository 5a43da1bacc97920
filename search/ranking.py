"""Ranking: the scores of a candidate become one, and all candidates get an order.

Fusion is a convex combination of bounded scores (after Bruch, Gai and Ingber, 2023, who show that
it beats reciprocal ranks once scores are normalized). No bound depends on the last item of a list:
BM25 goes from 0 to the list's best, a cosine from the query's background level over the corpus to
the list's best. A candidate that one retriever did not find gets its exact cosine, or a BM25 of 0,
because no word matches.

Age is a curve with a half-life and a floor: an item that is `half_life_days` old keeps half of its
score above the floor. The curve multiplies the fused score and filters nothing, so an old story
that alone answers the query is still first. Dates in the future count as now.

What editors pinned to a query comes first, in the frozen list like any other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import numpy as np

from core.ports import Catalogue, Standings
from core.retrieval import Floats, Ids, Marks, Retrieval, Retrieved, VectorScores
from rerank.deadline import mix
from search.profiles import Fusion, Profile

RRF_K = 60  # Cormack, Clarke and Buettcher, 2009
BOUND_SHARE = 0.1  # share of BM25's supremum that a list's best must reach to count in full
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_DAY = timedelta(days=1) / _MICROSECOND
NO_PINS: Ids = np.zeros(0, np.int64)


@dataclass(frozen=True, slots=True)
class Fused:
    """`scores` float32 [m], aligned with the candidates, with the normalized scores of each
    retriever.

    `weights` are those of BM25 and of each vector field; together with `names_weight` they add up
    to 1. `recency` is the share of its score that each candidate keeps for its age, None where all
    keep all.
    """

    scores: Floats
    lexical: Floats
    vectors: tuple[Floats, ...]
    weights: tuple[float, ...]
    names: Floats
    names_weight: float = 0.0
    recency: Floats | None = None


@dataclass(frozen=True, slots=True)
class Ranked:
    """Candidates in an order: `scores` float32 [m], `order` the places from best to worst, and
    `by_score` the order by the scores after fusion.
    """

    fused: Fused
    scores: Floats
    order: Ids
    by_score: Ids


def fuse(
    found: Retrieved,
    profile: Profile,
    names: Floats | None = None,
    foreign: Marks | None = None,
) -> Fused:
    """One score per candidate, in 0..1 for the convex combination.

    `names` is the share, 0 to 1, of the query's known names that each candidate has. If no
    candidate has a name, names have no weight. `foreign` bool [m] marks candidates in another
    language than the query: a part of their lexical share is what their vectors say.
    """
    shares = np.zeros(len(found.ids), np.float32) if names is None else names
    if profile.fusion is Fusion.RRF:
        lexical = _reciprocal(found.lexical_ranks)
        vectors = tuple(_reciprocal(part.ranks) for part in found.vectors)
    elif profile.fusion is Fusion.LIST:
        lexical = _list_min_max(found.bm25, found.lexical_ranks)
        vectors = tuple(_list_min_max(part.cosines, part.ranks) for part in found.vectors)
    else:
        lexical = bounded_bm25(found.bm25, found.lexical_bound)
        vectors = tuple(bounded_cosines(part) for part in found.vectors)
    if foreign is not None:
        lexical = _with_foreign(lexical, vectors, found, foreign, profile.foreign_share)
    relative = (profile.lexical_weight, *(part.weight for part in found.vectors))
    boost = profile.entity_boost if shares.any() else 0.0
    rest = 1.0 / (1.0 + boost)
    weights = tuple(weight / (sum(relative) or 1.0) * rest for weight in relative)
    scores = lexical * weights[0] + shares * (1.0 - rest)
    for share, weight in zip(vectors, weights[1:], strict=True):
        scores = scores + share * weight
    fused = scores.astype(np.float32)
    return Fused(fused, lexical, vectors, weights, shares, 1.0 - rest)


def _with_foreign(
    lexical: Floats, vectors: tuple[Floats, ...], found: Retrieved, foreign: Marks, kept: float
) -> Floats:
    """The lexical shares, where those of `foreign` candidates keep `kept` of their weight and give
    the rest to the vectors' shares.
    """
    whole = sum(part.weight for part in found.vectors)
    if not whole:
        return lexical
    weighed = zip(vectors, found.vectors, strict=True)
    meant = sum((share * np.float32(part.weight / whole) for share, part in weighed), 0 * lexical)
    shares: Floats = np.where(foreign, kept * lexical + (1 - kept) * meant, lexical)
    return shares.astype(np.float32, copy=False)


def bounded_bm25(scores: Floats, bound: float = 0.0) -> Floats:
    """BM25 divided by the list's best; 0 where no word matched.

    Equal scores stay equal. If even the best has little of what the query's words could give
    (`bound`), its share is little too: one common word of six is no full match.
    """
    known: Floats = np.where(np.isfinite(scores), np.maximum(scores, 0), 0).astype(np.float32)
    best = max(float(known.max(initial=0)), BOUND_SHARE * bound)
    if best > 0:
        known /= np.float32(best)
    return known


def bounded_cosines(part: VectorScores) -> Floats:
    """Cosines from the corpus's background (0) to the list's best (1); 0 below the background and
    without a vector.
    """
    cosines = np.where(np.isfinite(part.cosines), part.cosines, np.float32(-1))
    span = float(cosines.max(initial=-1.0)) - part.background
    if not 0 < span < np.inf:
        return np.zeros(len(cosines), np.float32)
    above = np.maximum(cosines - part.background, 0.0)
    shares: Floats = np.minimum(above / span, 1.0).astype(np.float32)
    return shares


def ranking(scores: Floats, ids: Ids) -> Ids:
    """The places of the candidates from best to worst. Equal scores go by id, the first recorded
    first: so the order is the same on every page and in every process, and a copy stands behind its
    original.
    """
    order: Ids = np.lexsort((ids, -scores))
    return order


def ranked(
    found: Retrieved,
    profile: Profile,
    names: Floats | None,
    ages: Floats | None,
    given_order: Ids | None,
    foreign: Marks | None = None,
) -> Ranked:
    """The candidates by their fused scores times `ages`, unless the order is given. Candidates that
    were added after `names` and `foreign` were made have a share of 0, and are not foreign.
    """
    if names is not None:
        names = np.pad(names, (0, len(found.ids) - len(names)))
    if foreign is not None:
        foreign = np.pad(foreign, (0, len(found.ids) - len(foreign)))
    fused = replace(fuse(found, profile, names, foreign), recency=ages)
    scores, order = aged_ranking(fused.scores, ages, found.ids)
    return Ranked(fused, scores, order if given_order is None else given_order, order)


def aged_ranking(fused: Floats, ages: Floats | None, ids: Ids) -> tuple[Floats, Ids]:
    """Scores float32 [m] times the shares in `ages` (None: 1), and the places of the candidates
    from best to worst. Equal results go by the score before, so that equal dates keep their order,
    and then by id.
    """
    scores = fused if ages is None else fused * ages
    order: Ids = np.lexsort((ids, -fused, -scores))
    return scores, order


def reordered(
    scores: Floats, order: Ids, ids: Ids, reranked: Floats, weight: float
) -> tuple[Floats, Ids]:
    """Scores and order after the first `len(reranked)` of `order` are mixed with their rerank
    scores at `weight`. The rest stay behind them, unchanged.
    """
    top, rest = order[: len(reranked)], order[len(reranked) :]
    final = scores.copy()
    final[top] = mix(scores[top], reranked, weight)
    return final, np.concatenate([top[ranking(final[top], ids[top])], rest])


def first_of_each(stories: Ids) -> Ids:
    """The place of the first occurrence of each number in `stories`, in order."""
    _, firsts = np.unique(stories, return_index=True)
    return np.sort(firsts)


def _list_min_max(scores: Floats, ranks: np.ndarray[tuple[int, ...], np.dtype[np.int32]]) -> Floats:
    """Scores from the list's worst (0) to its best (1); 0 for candidates outside the list."""
    known = (ranks > 0) & np.isfinite(scores)
    shares = np.zeros(len(scores), np.float32)
    if known.any():
        wide = scores[known].astype(np.float64)  # the difference of two float32 may be 0
        low, high = float(wide.min()), float(wide.max())
        shares[known] = (wide - low) / (high - low) if high > low else 1.0
    return shares


def _reciprocal(ranks: np.ndarray[tuple[int, ...], np.dtype[np.int32]]) -> Floats:
    found = ranks > 0
    return np.where(found, (RRF_K + 1) / (RRF_K + np.maximum(ranks, 1)), 0.0).astype(np.float32)


def utc_now() -> datetime:
    """Returns the time now, in UTC: a pipeline's default clock."""
    return datetime.now(UTC)


def kept_shares(created: Ids, now: datetime, half_life_days: float, floor: float) -> Floats:
    """float32 [m], `floor` to 1: the share of its score that each candidate keeps. `created` is
    int64 [m] in microseconds since 1970 UTC. A half-life of 0 switches the curve off.
    """
    if half_life_days <= 0:
        return np.ones(len(created), np.float32)
    ages = np.maximum((now - _EPOCH) // _MICROSECOND - created, 0) / _DAY
    shares: Floats = (floor + (1.0 - floor) * np.exp2(-ages / half_life_days)).astype(np.float32)
    return shares


def pins_of(archive: Standings, uris: Sequence[str], asked: Retrieval) -> Ids:
    """The ids of the pinned items that the caller may see and that pass the filters."""
    return archive.shown(uris, asked.caller, asked.filters) if uris else NO_PINS


def foreign_items(archive: Catalogue, ids: Ids, language: str, profile: Profile) -> Marks | None:
    """Which items are in another language than the query, bool [m]: not those whose language is not
    known. None where that of the query is not, or where the profile weighs both alike.
    """
    if not language or profile.foreign_share == 1.0:
        return None
    own = ("", language)
    return np.array([code not in own for code in archive.languages_of(ids)], np.bool_)


def with_items(found: Retrieved, ids: Ids) -> Retrieved:
    """`found` with those of `ids` that no retriever found as its last candidates, without BM25 and
    cosine.
    """
    fresh = ids[~np.isin(ids, found.ids)]
    if not len(fresh):
        return found
    unknown, nowhere = np.full(len(fresh), np.nan, np.float32), np.zeros(len(fresh), np.int32)
    return replace(
        found,
        ids=np.concatenate([found.ids, fresh]),
        bm25=np.concatenate([found.bm25, unknown]),
        lexical_ranks=np.concatenate([found.lexical_ranks, nowhere]),
        vectors=tuple(
            replace(
                part,
                cosines=np.concatenate([part.cosines, unknown]),
                passages=np.concatenate([part.passages, nowhere - 1]),
                ranks=np.concatenate([part.ranks, nowhere]),
            )
            for part in found.vectors
        ),
    )


def exact_first(order: Ids, found: Retrieved, exact: Ids) -> Ids:
    """`order` with the places of the items `exact` moved to the front; both parts keep their
    order.
    """
    if not len(exact):
        return order
    first = np.isin(found.ids[order], exact)
    return np.concatenate([order[first], order[~first]])


def pinned_first(order: Ids, found: Retrieved, pins: Ids) -> Ids:
    """`order` with the places of the items `pins` moved to the front, in the order of `pins`."""
    if not len(pins):
        return order
    by_id = np.argsort(found.ids)
    first: Ids = by_id[np.searchsorted(found.ids[by_id], pins)]
    return np.concatenate([first, order[~np.isin(order, first)]])
