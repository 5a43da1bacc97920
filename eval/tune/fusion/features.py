"""Gathers and keeps what the pipeline fuses for each judged query, so that settings are tried by
arithmetic alone.

The arrays come from `SearchPipeline.fusion_input`. `served_orders` weighs them with the serving
functions (`search.ranking`): with a profile's own setting the order is the served one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from core.callers import Caller
from core.errors import ModelError, QueryError
from core.ports.engine import Catalogue
from core.retrieval import Floats, Ids, Ints, Marks, Retrieved
from eval.sets.datasets import JudgedSet
from eval.tune.fusion.settings import FusionSetting
from search.answers import SearchRequest
from search.candidates import FusionInput, first_of_each
from search.pipeline import SearchPipeline
from search.profiles import Profile
from search.ranking import BOUND_SHARE, fuse, ranking, reordered

PATIENCE_MS = 600_000.0  # the order is measured, not what a deadline leaves of it
ToRerank = Callable[[Retrieved, Floats | None], Ids]


@dataclass(frozen=True, slots=True)
class QueryFeatures:
    """One query's candidates. `documents` int32 [m] are places in the set's `names`; `given` is
    None for a query that the pipeline refused.
    """

    query_id: str
    given: FusionInput | None
    documents: Ints


@dataclass(frozen=True, slots=True)
class SetFeatures:
    """One judged set. `label` is `name:split`, `names` are the candidates' document ids."""

    label: str
    names: tuple[str, ...]
    queries: tuple[QueryFeatures, ...]


def gather(
    source: SearchPipeline,
    items: Catalogue,
    judged: JudgedSet,
    caller: Caller,
    profile: str,
    *,
    to_rerank: ToRerank | None = None,
    said: Callable[[int, int], None] = lambda done, total: None,
) -> SetFeatures:
    """Ask every query of `judged` once. Raises ModelError if an answer was degraded, because
    settings must not be chosen on answers that lack a model.
    """
    names: dict[str, int] = {}
    places: dict[int, int] = {}
    queries = []
    for number, (query_id, text) in enumerate(judged.queries.items()):
        said(number, len(judged.queries))
        request = SearchRequest(
            q=text, profile=profile, deadline_ms=PATIENCE_MS, dates=judged.dates
        )
        try:
            given = source.fusion_input(request, caller, to_rerank)
        except QueryError:
            queries.append(QueryFeatures(query_id, None, np.zeros(0, np.int32)))
            continue
        if given.degraded:
            raise ModelError(
                f"the answer is degraded: {'; '.join(given.degraded)}",
                where=f"{judged.name}:{judged.split}, query {query_id}",
                mend="see `dateline doctor`",
            )
        ids = given.found.ids
        fresh = np.array([one for one in ids.tolist() if one not in places], np.int64)
        for one, item in zip(fresh.tolist(), items.items(fresh, caller), strict=True):
            name = "" if item is None else judged.document_id(item.uri)
            places[one] = names.setdefault(name, len(names))
        documents = np.array([places[one] for one in ids.tolist()], np.int32)
        queries.append(QueryFeatures(query_id, given, documents))
    said(len(judged.queries), len(judged.queries))
    return SetFeatures(f"{judged.name}:{judged.split}", tuple(names), tuple(queries))


def every_top(profile: Profile, settings: Sequence[FusionSetting]) -> ToRerank | None:
    """Return a function that returns all places that at least one of `settings` would give to a
    reranker; None if no setting reranks.
    """
    depths: dict[FusionSetting, int] = {}
    for setting in settings:
        if setting.rerank_weight > 0:
            fusing = setting.without_rerank()
            depths[fusing] = max(setting.rerank_depth, depths.get(fusing, 0))
    if not depths:
        return None
    tries = [
        (fusing.applied(profile), fusing.bound_share, depth) for fusing, depth in depths.items()
    ]

    def places(found: Retrieved, names: Floats | None) -> Ids:
        tops = [
            fused_order(found, names, applied, bound_share)[1][:depth]
            for applied, bound_share, depth in tries
        ]
        union: Ids = np.unique(np.concatenate(tops))
        return union

    return places


def fused_order(
    found: Retrieved,
    names: Floats | None,
    profile: Profile,
    bound_share: float,
    foreign: Marks | None = None,
) -> tuple[Floats, Ids]:
    """Return fused scores [m] and the places from best to worst, by the weights of `profile`
    instead of those of the retrieval, and with `bound_share` of BM25's supremum.
    """
    weighed = replace(
        found,
        lexical_bound=found.lexical_bound * (bound_share / BOUND_SHARE),
        vectors=tuple(
            replace(part, weight=profile.vector_weights[part.field]) for part in found.vectors
        ),
    )
    scores = fuse(weighed, profile, names, foreign).scores
    return scores, ranking(scores, found.ids)


def served_orders(
    query: QueryFeatures, profile: Profile, settings: Sequence[FusionSetting]
) -> list[Ids]:
    """Return, for each of `settings`, the places of the query's stories as they would be served,
    best first.

    The settings differ in reranking only; `profile` has their other parts
    (`FusionSetting.applied`).
    """
    given = query.given
    if given is None:
        return [np.zeros(0, np.int64)] * len(settings)
    if given.given_order is not None:
        return [_stories(given, given.given_order)] * len(settings)
    bound_share, foreign = settings[0].bound_share, given.foreign
    scores, order = fused_order(given.found, given.names, profile, bound_share, foreign)
    return [_stories(given, _reranked(given, scores, order, setting)) for setting in settings]


def _reranked(given: FusionInput, scores: Floats, order: Ids, setting: FusionSetting) -> Ids:
    depth = setting.rerank_depth if setting.rerank_weight > 0 else 0
    known = given.rerank_scores[order[:depth]]
    if not depth or not np.isfinite(known).any():
        return order
    return reordered(scores, order, given.found.ids, known, setting.rerank_weight)[1]


def _stories(given: FusionInput, order: Ids) -> Ids:
    return order[first_of_each(given.stories[order])]


def documents_of(
    query: QueryFeatures, names: Sequence[str], order: Ids, depth: int
) -> tuple[str, ...]:
    """Return ids of the first `depth` documents of an order; hidden ones are skipped."""
    found = (names[place] for place in query.documents[order[:depth]].tolist())
    return tuple(name for name in found if name)


def with_names(features: Sequence[SetFeatures]) -> Mapping[str, int]:
    """Return, for each set, the number of queries with a candidate that has one of the query's
    known names.
    """
    return {one.label: sum(_has_names(query) for query in one.queries) for one in features}


def _has_names(query: QueryFeatures) -> bool:
    given = query.given
    return given is not None and given.names is not None and bool(given.names.any())
