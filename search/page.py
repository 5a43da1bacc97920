"""One page of hits out of a candidate set: contents, marks and explanations of just these."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from core.items import Item, Passage
from core.ports import Catalogue
from core.retrieval import Ids
from search.answers import Explanation, Hit, SearchRequest, VectorShare
from search.candidates import CandidateSet
from search.highlight import SNIPPET_CHARACTERS, Highlighter

Mask = npt.NDArray[np.bool_]
_MARKED = ("headline", "description")


@dataclass(frozen=True, slots=True)
class Page:
    """Which page: from candidate number `start` of the frozen list on, `size` visible ones."""

    start: int
    number: int
    size: int


def hits_of_page(
    catalogue: Catalogue,
    highlighter: Highlighter,
    candidates: CandidateSet,
    shown: Mask,
    page: Page,
    request: SearchRequest,
) -> tuple[tuple[Hit, ...], int | None]:
    """The page's hits and the candidate from which the next page goes on, None at the end.

    A hit that vanishes between the guard's look and its reading is left out: never shown, never
    replaced by something older.
    """
    start = min(page.start, len(shown))
    places = np.flatnonzero(shown[start:])[: page.size + 1] + start
    following = int(places[page.size]) if len(places) > page.size else None
    places = places[: page.size]
    ids = candidates.ids[places]
    items = catalogue.items(ids, candidates.caller)
    passages = _passages(catalogue, candidates, places)
    sizes = catalogue.chain_sizes(ids, candidates.caller)
    hits = [
        Hit(
            item=item,
            rank=int(place) + 1,
            score=float(candidates.scores[place]),
            highlights=_highlights(highlighter, candidates, item) if request.highlight else {},
            passage=_passage(highlighter, candidates, item, span) if request.highlight else "",
            versions=size,
            explanation=explain(candidates, int(place)) if request.explain else None,
            pinned=int(place) < candidates.pinned,
        )
        for place, item, span, size in zip(places, items, passages, sizes, strict=True)
        if item is not None
    ]
    return tuple(hits), following


def explain(candidates: CandidateSet, place: int) -> Explanation:
    """What each stage gave the candidate at `place`."""
    found, fused = candidates.found, candidates.fused
    at = int(candidates.places[place])
    bm25 = float(found.bm25[at])
    rerank = float(candidates.rerank_scores[place])
    shares = tuple(
        VectorShare(
            field=part.field,
            weight=weight,
            rank=int(part.ranks[at]),
            cosine=None if np.isnan(part.cosines[at]) else float(part.cosines[at]),
            normalized=float(normalized[at]),
        )
        for part, normalized, weight in zip(
            found.vectors, fused.vectors, fused.weights[1:], strict=True
        )
    )
    return Explanation(
        lexical_rank=int(found.lexical_ranks[at]),
        bm25=None if np.isnan(bm25) else bm25,
        bm25_normalized=float(fused.lexical[at]),
        lexical_weight=fused.weights[0],
        vectors=shares,
        fused=float(fused.scores[at]),
        fused_rank=int(candidates.fused_ranks[place]),
        rerank_score=None if np.isnan(rerank) else rerank,
        reranked_rank=0 if np.isnan(rerank) else place + 1,
        names=float(fused.names[at]),
        names_weight=fused.names_weight,
        recency=1.0 if fused.recency is None else float(fused.recency[at]),
    )


def _passages(
    catalogue: Catalogue, candidates: CandidateSet, places: Ids
) -> tuple[Passage | None, ...]:
    """The best passage of each hit by the first vector field."""
    if not candidates.found.vectors:
        return (None,) * len(places)
    part = candidates.found.vectors[0]
    numbers = part.passages[candidates.places[places]].tolist()
    return catalogue.passages(candidates.ids[places], part.field, numbers)


def _highlights(highlighter: Highlighter, candidates: CandidateSet, item: Item) -> dict[str, str]:
    terms = highlighter.terms(candidates.query, item.language)
    marked: dict[str, str] = {}
    for name in _MARKED:
        text: str = getattr(item, name)
        if text:
            marked[name] = highlighter.mark(text, terms, item.language)
    return marked


def _passage(
    highlighter: Highlighter, candidates: CandidateSet, item: Item, span: Passage | None
) -> str:
    """The stretch to show: the best passage by vectors, shortened to where the words are."""
    terms = highlighter.terms(candidates.query, item.language)
    if span is not None and span.field == "body":
        return highlighter.snippet(item.body[span.start : span.end], terms, item.language)
    if item.body:
        return highlighter.snippet(item.body[: 20 * SNIPPET_CHARACTERS], terms, item.language)
    return ""
