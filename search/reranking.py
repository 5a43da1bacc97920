"""The best few candidates, read again together with the query."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from core.callers import Caller
from core.items import Item, Passage
from core.retrieval import Floats, Ids, Retrieved, SortOrder
from rerank.deadline import Reranked, mixing_of
from search.answers import SearchRequest
from search.fusion import reordered
from search.gathering import Gathered
from search.parts import Parts
from search.stopwatch import Stopwatch

_NONE_NAMED = "no reranker is configured"


class Afterwards:
    """What is kept of a deadline for all that follows the reranker (groups, the page's contents,
    facets): about the longest that it took lately, forgotten by a fiftieth with each answer.
    """

    _LEAST_MS, _MOST_MS, _KEPT = 5.0, 100.0, 0.98

    def __init__(self) -> None:
        self.milliseconds = self._LEAST_MS

    def took(self, milliseconds: float) -> None:
        """One more answer's."""
        lately = max(milliseconds, self.milliseconds * self._KEPT)
        self.milliseconds = min(self._MOST_MS, max(self._LEAST_MS, lately))


@dataclass(frozen=True, slots=True)
class Reranking:
    """The stage between fusion and grouping."""

    parts: Parts
    afterwards: Afterwards = field(default_factory=Afterwards)

    def rerank(
        self,
        request: SearchRequest,
        caller: Caller,
        got: Gathered,
        scores: Floats,
        order: Ids,
        watch: Stopwatch,
    ) -> tuple[Floats, Ids, Reranked]:
        """Scores and order after reranking the best few, and what the reranker gave."""
        profile = got.profile
        unscored = np.full(len(order), np.nan, np.float32)
        wanted = profile.rerank_depth if profile.rerank_weight > 0 else 0
        by_score = request.order is SortOrder.SCORE
        if not wanted or not got.meaning.said.vector_text or not by_score:
            return scores, order, Reranked(unscored)
        if self.parts.reranker is None:
            return scores, order, Reranked(unscored, self._skipped())
        top = order[:wanted]
        result = self.score(request, caller, got, top, watch)
        unscored[top] = result.scores
        ids = got.found.ids
        final, order = reordered(scores, order, ids, result.scores, profile.rerank_weight)
        mixing = mixing_of(scores[top], result.scores, profile.rerank_weight)
        return final, order, Reranked(unscored, result.flag, result.note, mixing)

    def score(
        self,
        request: SearchRequest,
        caller: Caller,
        got: Gathered,
        top: Ids,
        watch: Stopwatch,
    ) -> Reranked:
        """What the reranker gives the candidates at the places `top`, in what is left of time."""
        if self.parts.reranker is None:
            return Reranked(np.full(len(top), np.nan, np.float32), self._skipped())
        items = self.parts.engine.items(got.found.ids[top], caller)
        passages = self.passages(got.found, top, items)
        profile = got.profile
        deadline = profile.deadline_ms if request.deadline_ms is None else request.deadline_ms
        return self.parts.reranker.rerank(
            got.meaning.said.vector_text,
            passages,
            deadline - watch.elapsed_ms() - self.afterwards.milliseconds,
            tokens=profile.rerank_tokens or None,
        )

    def _skipped(self) -> str:
        """The flag of an answer without a reranker."""
        return f"rerank: skipped, {self.parts.reranker_missing or _NONE_NAMED}"

    def passages(self, found: Retrieved, top: Ids, items: tuple[Item | None, ...]) -> list[str]:
        """What the reranker reads of each of `top`: the headline and the best passage."""
        spans: tuple[Passage | None, ...] = (None,) * len(top)
        if found.vectors:
            part = found.vectors[0]
            numbers = part.passages[top].tolist()
            spans = self.parts.engine.passages(found.ids[top], part.field, numbers)
        return [_reading(item, span) for item, span in zip(items, spans, strict=True)]


def _reading(item: Item | None, span: Passage | None) -> str:
    if item is None:
        return ""
    text = item.body or item.description or item.caption or item.shotlist
    if span is not None:
        text = getattr(item, span.field)[span.start : span.end]
    return f"{item.headline}\n{text}" if item.headline else text
