"""Reranks the best few candidates: they are read again together with the query."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from core.callers import Caller
from core.items import Item, Passage
from core.ports import Catalogue
from core.retrieval import Ids, Retrieved, SortOrder
from rerank.deadline import DeadlineReranker, Reranked, mixing_of
from search.answers import SearchRequest
from search.profiles import Profile
from search.ranking import Ranked, reordered
from search.stopwatch import Stopwatch

_NONE_NAMED = "no reranker is configured"


class Afterwards:
    """The part of a deadline that is reserved for all that follows the reranker (groups, the page's
    contents, facets). It is about the longest time of late, and shrinks by a fiftieth with each
    answer.
    """

    _LEAST_MS, _MOST_MS, _KEPT = 5.0, 100.0, 0.98

    def __init__(self) -> None:
        self.milliseconds = self._LEAST_MS

    def took(self, milliseconds: float) -> None:
        """Adds the time of one more answer."""
        lately = max(milliseconds, self.milliseconds * self._KEPT)
        self.milliseconds = min(self._MOST_MS, max(self._LEAST_MS, lately))


@dataclass(frozen=True, slots=True)
class Reranking:
    """The stage between fusion and grouping. `missing` says why a wanted reranker is not there."""

    catalogue: Catalogue
    reranker: DeadlineReranker | None
    missing: str = ""
    afterwards: Afterwards = field(default_factory=Afterwards)

    def rerank(
        self,
        request: SearchRequest,
        caller: Caller,
        profile: Profile,
        text: str,
        found: Retrieved,
        ranked: Ranked,
        watch: Stopwatch,
    ) -> tuple[Ranked, Reranked]:
        """Reranks the best few by the query's `text`. Returns the new ranking, and what the
        reranker gave.
        """
        unscored = np.full(len(found.ids), np.nan, np.float32)
        wanted = profile.rerank_depth if profile.rerank_weight > 0 else 0
        if not wanted or not text or request.order is not SortOrder.SCORE:
            return ranked, Reranked(unscored)
        top = ranked.order[:wanted]
        result = self.score(request, caller, profile, text, found, top, watch)
        if self.reranker is None:
            return ranked, Reranked(unscored, result.flag)
        unscored[top] = result.scores
        before, weight = ranked.scores, profile.rerank_weight
        scores, order = reordered(before, ranked.order, found.ids, result.scores, weight)
        mixing = mixing_of(before[top], result.scores, weight)
        said = Reranked(unscored, result.flag, result.note, mixing)
        return replace(ranked, scores=scores, order=order), said

    def score(
        self,
        request: SearchRequest,
        caller: Caller,
        profile: Profile,
        text: str,
        found: Retrieved,
        top: Ids,
        watch: Stopwatch,
    ) -> Reranked:
        """The rerank scores of the candidates at the places `top`, within what is left of the
        deadline.
        """
        if self.reranker is None:
            flag = f"rerank: skipped, {self.missing or _NONE_NAMED}"
            return Reranked(np.full(len(top), np.nan, np.float32), flag)
        passages = self.passages(found, top, self.catalogue.items(found.ids[top], caller))
        deadline = profile.deadline_ms if request.deadline_ms is None else request.deadline_ms
        return self.reranker.rerank(
            text,
            passages,
            deadline - watch.elapsed_ms() - self.afterwards.milliseconds,
            tokens=profile.rerank_tokens or None,
        )

    def passages(self, found: Retrieved, top: Ids, items: tuple[Item | None, ...]) -> list[str]:
        """The text that the reranker reads of each of `top`: the headline and the best passage."""
        spans: tuple[Passage | None, ...] = (None,) * len(top)
        if found.vectors:
            part = found.vectors[0]
            numbers = part.passages[top].tolist()
            spans = self.catalogue.passages(found.ids[top], part.field, numbers)
        return [_reading(item, span) for item, span in zip(items, spans, strict=True)]


def _reading(item: Item | None, span: Passage | None) -> str:
    if item is None:
        return ""
    text = item.body or item.description or item.caption or item.shotlist
    if span is not None:
        text = getattr(item, span.field)[span.start : span.end]
    return f"{item.headline}\n{text}" if item.headline else text
