"""Ranking: the scores of a candidate become one, and all candidates get an order.

Fusion is a convex combination of bounded scores (after Bruch, Gai and Ingber, 2023, who show that
it beats reciprocal ranks once scores are normalized). No bound depends on the last item of a list:
BM25 goes from 0 to the list's best, a cosine from the query's background level over the corpus, or
from a share of the way up (`Profile.vector_starts`), to the list's best. A candidate that one
retriever did not find gets its exact cosine, or a BM25 of 0, because no word matches.

Age is a curve with a half-life and a floor: an item that is `half_life_days` old keeps half of its
score above the floor. The curve multiplies the fused score and filters nothing, so an old story
that alone answers the query is still first. Dates in the future count as now.

What editors pinned to a query comes first, in the frozen list like any other. Then come items that
have the whole query as a value, such as their slugline.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from time import perf_counter

import numpy as np

from core.callers import Caller
from core.items import Item, Passage, text_of
from core.ports.engine import Catalogue, Standings
from core.query_tree import Node, is_fact
from core.retrieval import Floats, Ids, Marks, Retrieved, SortOrder, VectorScores
from rerank.deadline import DeadlineReranker, Reranked, mix, mixing_of
from search.profiles import Fusion, Profile
from search.question import MOST_EXACT, Question
from search.retrieval import Engine, Evidence

RRF_K = 60  # Cormack, Clarke and Buettcher, 2009
BOUND_SHARE = 0.1  # share of BM25's supremum that a list's best must reach to count in full
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_DAY = timedelta(days=1) / _MICROSECOND
NO_IDS: Ids = np.zeros(0, np.int64)
_NONE_NAMED = "no reranker is configured"


@dataclass(frozen=True, slots=True)
class Fused:
    """`scores` float32 [m], aligned with the candidates, with the normalized scores of each
    retriever.

    `weights` are those of BM25 and of each vector field; together with `names_weight` they add up
    to 1. `recency` is the share of its score that each candidate keeps for its age, None if all
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


@dataclass(frozen=True, slots=True)
class Weighed:
    """Candidates with one score each. `pinned` are the editors' uris for this query, `pins` int64
    [k] the ids of those that may be shown. `exact` int64 [k] are the ids of items that have the
    whole query as a value, such as a slugline. `found` has them all. `reranked` has the reranker's
    scores, NaN if it read nothing. `teams` int64 [m] says who put each candidate into a list that
    two profiles filled (see `search/interleaving.py`), None in any other.
    """

    evidence: Evidence
    found: Retrieved
    ranking: Ranked
    pinned: Sequence[str]
    pins: Ids
    exact: Ids
    reranked: Reranked
    teams: Ids | None = None


def weigh(engine: Engine, evidence: Evidence, now: datetime) -> Weighed:
    """Return one score for each candidate. If scores give the order, the candidates include the
    items that editors pinned and the items that have the whole query as a value.
    """
    question, found, names = evidence.question, evidence.found, evidence.names
    given = given_order(evidence)
    pinned = question.meaning.pinned if given is None else ()
    pins = engine.shown(pinned, question.caller, question.asked.filters) if pinned else NO_IDS
    exact = NO_IDS
    if given is None:
        named = found.named
        exact = exact_ids(engine, question, question.beside) if named is None else named
    found = with_items(with_items(found, pins), exact)
    profile, ages = question.profile, None
    if profile.recency_half_life_days > 0:
        half_life, floor = profile.recency_half_life_days, profile.recency_floor
        ages = kept_shares(engine.created(found.ids), now, half_life, floor)
    added, foreign = len(found.ids) - len(evidence.found.ids), evidence.foreign
    if names is not None:  # added candidates have no names, and are not foreign
        names = np.pad(names, (0, added))
    if foreign is not None:
        foreign = np.pad(foreign, (0, added))
    fused = replace(fuse(found, profile, names, foreign), recency=ages)
    scores, order = aged_ranking(fused.scores, ages, found.ids)
    ranking = Ranked(fused, scores, order if given is None else given, order)
    unscored = Reranked(np.full(len(found.ids), np.nan, np.float32))
    return Weighed(evidence, found, ranking, pinned, pins, exact, unscored)


def exact_ids(archive: Standings, question: Question, filters: Node) -> Ids:
    """Return the ids of at most MOST_EXACT items that the caller may see, that pass `filters`, and
    that have the whole query as one of their values. Dates and kinds in the query's words do not
    filter them: a whole value is no such words ("Storm-Friday").
    """
    exact = question.meaning.exact
    if exact is None:
        return NO_IDS
    return archive.having(exact, question.caller, filters, MOST_EXACT)


def given_order(evidence: Evidence) -> Ids | None:
    """Return the places of the candidates, best first, where the engine gives the order: the
    request asks for an order by date, or there is nothing to score by. None if scores give the
    order.
    """
    asked, found = evidence.question.asked, evidence.found
    browsing = is_fact(asked.query) and not asked.vectors
    if asked.order is SortOrder.SCORE and not browsing:
        return None
    return ranking(-found.lexical_ranks.astype(np.float32), found.ids)


def fuse(
    found: Retrieved,
    profile: Profile,
    names: Floats | None = None,
    foreign: Marks | None = None,
) -> Fused:
    """Return one score per candidate, in 0..1 for the convex combination.

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
        starts = profile.vector_starts
        vectors = tuple(bounded_cosines(p, starts.get(p.field, 0.0)) for p in found.vectors)
    if foreign is not None:
        lexical, vectors = _with_foreign(lexical, vectors, found, foreign, profile)
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
    lexical: Floats,
    vectors: tuple[Floats, ...],
    found: Retrieved,
    foreign: Marks,
    profile: Profile,
) -> tuple[Floats, tuple[Floats, ...]]:
    """Return the shares of BM25 and of the vector fields. For `foreign` candidates the share of the
    profile's field for other languages replaces those of the other fields, and the part of BM25's
    share that the profile does not keep.
    """
    kept = profile.foreign_share
    named = profile.foreign_field
    if all(part.field != named for part in found.vectors):
        named = ""
    heard = [
        (share, part.weight)
        for share, part in zip(vectors, found.vectors, strict=True)
        if named in ("", part.field)
    ]
    whole = sum(weight for _, weight in heard)
    if not whole:
        return lexical, vectors
    meant = sum((share * np.float32(weight / whole) for share, weight in heard), 0 * lexical)
    words = np.where(foreign, kept * lexical + (1 - kept) * meant, lexical)
    others = (
        share if named in ("", part.field) else np.where(foreign, meant, share)
        for share, part in zip(vectors, found.vectors, strict=True)
    )
    return words.astype(np.float32, copy=False), tuple(others)


def bounded_bm25(scores: Floats, bound: float = 0.0) -> Floats:
    """Return BM25 divided by the list's best; 0 if no word matched.

    Equal scores stay equal. If even the best has little of the score that the query's words could
    give (`bound`), its share is small too: one common word of six is not a full match.
    """
    known: Floats = np.where(np.isfinite(scores), np.maximum(scores, 0), 0).astype(np.float32)
    best = max(float(known.max(initial=0)), BOUND_SHARE * bound)
    if best > 0:
        known /= np.float32(best)
    return known


def bounded_cosines(part: VectorScores, start: float = 0.0) -> Floats:
    """Return cosines on a scale that ends at the list's best (1) and begins (0) at the corpus's
    background, or at the share `start` of the way from there to the best; 0 below its beginning and
    without a vector.
    """
    cosines = np.where(np.isfinite(part.cosines), part.cosines, np.float32(-1))
    whole = float(cosines.max(initial=-1.0)) - part.background
    span, begin = whole * (1 - start), part.background + whole * start
    if not 0 < span < np.inf:
        return np.zeros(len(cosines), np.float32)
    above = np.maximum(cosines - begin, 0.0)
    shares: Floats = np.minimum(above / span, 1.0).astype(np.float32)
    return shares


def ranking(scores: Floats, ids: Ids) -> Ids:
    """Return the places of the candidates from best to worst. Equal scores go by id, the first
    recorded first: so the order is the same on every page and in every process, and a copy stands
    behind its original.
    """
    order: Ids = np.lexsort((ids, -scores))
    return order


def aged_ranking(fused: Floats, ages: Floats | None, ids: Ids) -> tuple[Floats, Ids]:
    """Return scores float32 [m] times the shares in `ages` (None: 1), and the places of the
    candidates from best to worst. Equal results go by the score before, so that equal dates keep
    their order, and then by id.
    """
    scores = fused if ages is None else fused * ages
    order: Ids = np.lexsort((ids, -fused, -scores))
    return scores, order


def reordered(
    scores: Floats, order: Ids, ids: Ids, reranked: Floats, weight: float
) -> tuple[Floats, Ids]:
    """Return scores and order after the first `len(reranked)` of `order` are mixed with their
    rerank scores at `weight`. The rest stay behind them, unchanged.
    """
    top, rest = order[: len(reranked)], order[len(reranked) :]
    final = scores.copy()
    final[top] = mix(scores[top], reranked, weight)
    return final, np.concatenate([top[ranking(final[top], ids[top])], rest])


def _list_min_max(scores: Floats, ranks: np.ndarray[tuple[int, ...], np.dtype[np.int32]]) -> Floats:
    """Return scores from the list's worst (0) to its best (1); 0 for candidates outside the
    list.
    """
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
    """Return the time now, in UTC: a pipeline's default clock."""
    return datetime.now(UTC)


def kept_shares(created: Ids, now: datetime, half_life_days: float, floor: float) -> Floats:
    """Return float32 [m], `floor` to 1: the share of its score that each candidate keeps. `created`
    is int64 [m] in microseconds since 1970 UTC. A half-life of 0 switches the curve off.
    """
    if half_life_days <= 0:
        return np.ones(len(created), np.float32)
    ages = np.maximum((now - _EPOCH) // _MICROSECOND - created, 0) / _DAY
    shares: Floats = (floor + (1.0 - floor) * np.exp2(-ages / half_life_days)).astype(np.float32)
    return shares


def with_items(found: Retrieved, ids: Ids) -> Retrieved:
    """Return `found` and, as its last candidates, those of `ids` that no retriever found. They have
    no BM25 and no cosine.
    """
    fresh = ids[~np.isin(ids, found.ids)] if len(ids) else ids
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


class Afterwards:
    """The part of a deadline that is reserved for all that follows the reranker (groups, the page's
    contents, facets). It is about the longest time of late, and shrinks by a fiftieth with each
    answer.
    """

    _LEAST_MS, _MOST_MS, _KEPT = 5.0, 100.0, 0.98

    def __init__(self) -> None:
        self.milliseconds = self._LEAST_MS

    def took(self, milliseconds: float) -> None:
        """Add the time of one more answer."""
        lately = max(milliseconds, self.milliseconds * self._KEPT)
        self.milliseconds = min(self._MOST_MS, max(self._LEAST_MS, lately))


@dataclass(frozen=True, slots=True)
class Reranking:
    """The stage between fusion and grouping: the best few candidates are read again together with
    the query. `missing` says why a wanted reranker is not there.
    """

    catalogue: Catalogue
    reranker: DeadlineReranker | None
    missing: str = ""
    afterwards: Afterwards = field(default_factory=Afterwards)

    def answered(self, profile: Profile, milliseconds: float | None) -> None:
        """Take in how long an answer took after the reranker, None for a later page, so that later
        deadlines leave time for it.
        """
        if profile.rerank_depth and milliseconds is not None:
            self.afterwards.took(milliseconds)

    def rerank(self, weighed: Weighed, started: float) -> Weighed:
        """Return the candidates in their new order, and what the reranker gave. `started` is the
        moment of `perf_counter` at which the deadline begins.
        """
        question, ranking = weighed.evidence.question, weighed.ranking
        profile, found = question.profile, weighed.found
        wanted = profile.rerank_depth if profile.rerank_weight > 0 else 0
        text = question.meaning.said.vector_text
        if not wanted or not text or question.request.order is not SortOrder.SCORE:
            return weighed
        top = ranking.order[:wanted]
        result = self.score(question, found, top, started)
        if self.reranker is None:
            return replace(weighed, reranked=replace(weighed.reranked, flag=result.flag))
        scores = weighed.reranked.scores.copy()
        scores[top] = result.scores
        before, weight = ranking.scores, profile.rerank_weight
        mixed, order = reordered(before, ranking.order, found.ids, result.scores, weight)
        mixing = mixing_of(before[top], result.scores, weight)
        return replace(
            weighed,
            ranking=replace(ranking, scores=mixed, order=order),
            reranked=Reranked(scores, result.flag, result.note, mixing),
        )

    def score(self, question: Question, found: Retrieved, top: Ids, started: float) -> Reranked:
        """Return the rerank scores of the candidates at the places `top`, within what is left of
        the deadline.
        """
        if self.reranker is None:
            flag = f"rerank: skipped, {self.missing or _NONE_NAMED}"
            return Reranked(np.full(len(top), np.nan, np.float32), flag)
        profile, wanted = question.profile, question.request.deadline_ms
        passages = self.passages(found, top, question.caller)
        deadline = profile.deadline_ms if wanted is None else wanted
        elapsed = (perf_counter() - started) * 1000
        return self.reranker.rerank(
            question.meaning.said.vector_text,
            [text for _, text in passages],
            deadline - elapsed - self.afterwards.milliseconds,
            tokens=profile.rerank_tokens or None,
        )

    def passages(self, found: Retrieved, top: Ids, caller: Caller) -> list[tuple[str, str]]:
        """Return what the reranker reads of each of `top`: the item's uri, and as text its headline
        and its best passage. Both are "" for an item that is hidden.
        """
        items = self.catalogue.items(found.ids[top], caller)
        spans: tuple[Passage | None, ...] = (None,) * len(top)
        if found.vectors:
            part = found.vectors[0]
            numbers = part.passages[top].tolist()
            spans = self.catalogue.passages(found.ids[top], part.field, numbers)
        return [_reading(item, span) for item, span in zip(items, spans, strict=True)]


def _reading(item: Item | None, span: Passage | None) -> tuple[str, str]:
    if item is None:
        return "", ""
    text = item.body or item.description or item.caption or item.shotlist
    text = text or item.speech_text or item.seen_text
    if span is not None:
        text = text_of(item, span.field)[span.start : span.end]
    return item.uri, f"{item.headline}\n{text}" if item.headline else text
