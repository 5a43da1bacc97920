"""Makes one page of hits from a candidate set: contents, marks and explanations of this page
only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.items import Item, Passage, line_of
from core.ports.engine import Catalogue
from core.query_tree import Node
from core.retrieval import Ids
from search.answers import Explanation, Hit, Relevance, RerankMix, SearchRequest, VectorShare
from search.candidates import CandidateSet, Faces, Listing, ranks_of
from search.highlight import SNIPPET_CHARACTERS, Highlighter, ReadText, mark, read, snippet

_MARKED = ("headline", "description", "caption")
_LONGEST_MARKED = 8_000  # characters of a member that is shown whole
_NO_TEXT = read("")


def hits_of_page(
    catalogue: Catalogue,
    highlighter: Highlighter,
    listing: Listing,
    faces: Faces,
    request: SearchRequest,
) -> tuple[tuple[Hit, ...], int | None]:
    """Return the page's hits, and the number at which the next page begins, None at the end.

    A hit that vanishes between the guard's look and its reading is left out; nothing older replaces
    it.
    """
    candidates, page = listing.candidates, listing.page
    ranks = ranks_of(faces.stands, candidates.groups)
    first = int(np.count_nonzero(ranks <= page.start))
    following = int(ranks[first + page.size]) - 1 if len(ranks) > first + page.size else None
    on_page = slice(first, first + page.size)
    places = faces.faces[on_page]
    folded = _folded_uris(catalogue, candidates, faces.folded[on_page], len(places))
    shown = _shown(catalogue, highlighter, candidates, places, request.highlight)
    at = places.tolist()
    explained = [explain(candidates, place) if request.explain else None for place in at]
    hits = [
        _hit(candidates, place, rank + page.before, one, under, why)
        for place, rank, one, under, why in zip(
            at, ranks[on_page].tolist(), shown, folded, explained, strict=True
        )
        if one is not None
    ]
    return tuple(hits), following


@dataclass(frozen=True, slots=True)
class _Shown:
    """What is shown of a candidate: its item, the number of its story's versions, its marked texts
    by member, the part of it to show, and the number of the shot that answers.
    """

    item: Item
    versions: int
    marks: dict[str, str]
    passage: str
    shot: int


def _hit(
    candidates: CandidateSet,
    place: int,
    rank: int,
    shown: _Shown,
    folded: tuple[str, ...],
    explanation: Explanation | None,
) -> Hit:
    return Hit(
        item=shown.item,
        rank=rank,
        score=float(candidates.scores[place]),
        highlights=shown.marks,
        passage=shown.passage,
        versions=shown.versions,
        explanation=explanation,
        pinned=place < candidates.pinned,
        exact=0 <= place - candidates.pinned < candidates.exact,
        near_duplicates=folded,
        shot=shown.shot,
        relevance=relevance_of(candidates, place),
        id=int(candidates.ids[place]),
    )


def relevance_of(candidates: CandidateSet, place: int) -> Relevance | None:
    """Return what the hit at `place` is by the floor. The hit of a group counts by its group's
    place.
    """
    if candidates.strong is None:
        return None
    stands = place if candidates.groups is None else int(candidates.groups[place])
    return Relevance.STRONG if stands < candidates.strong else Relevance.RELATED


def _shown(
    catalogue: Catalogue,
    highlighter: Highlighter,
    candidates: CandidateSet,
    places: Ids,
    wanted: bool,
) -> list[_Shown | None]:
    """Return what is shown of the candidates at `places`; None for a candidate that has been hidden
    since.
    """
    ids = candidates.ids[places]
    items = catalogue.items(ids, candidates.caller)
    passages = _passages(catalogue, candidates, places)
    sizes = catalogue.chain_sizes(ids, candidates.caller)
    texts = _marked(highlighter, candidates.query, items, passages, wanted)
    return [
        None if item is None else _Shown(item, size, *said)
        for item, size, said in zip(items, sizes, texts, strict=True)
    ]


def _folded_uris(
    catalogue: Catalogue, candidates: CandidateSet, folded: Sequence[Ids], hits: int
) -> list[tuple[str, ...]]:
    """Return, for each hit of the page, the uris of its near-duplicates that are still visible."""
    if not any(len(places) for places in folded):
        return [()] * hits
    places = np.concatenate(list(folded))
    items = iter(catalogue.items(candidates.ids[places], candidates.caller))
    listed = [[next(items) for _ in under] for under in folded]
    return [tuple(item.uri for item in under if item is not None) for under in listed]


def explain(candidates: CandidateSet, place: int) -> Explanation:
    """Return what each stage gave the candidate at `place`."""
    found, fused = candidates.found, candidates.fused
    at = int(candidates.places[place])
    bm25 = float(found.bm25[at])
    rerank = float(candidates.rerank_scores[place])
    return Explanation(
        lexical_rank=int(found.lexical_ranks[at]),
        bm25=None if np.isnan(bm25) else bm25,
        bm25_normalized=float(fused.lexical[at]),
        lexical_weight=fused.weights[0],
        vectors=_vector_shares(candidates, at),
        fused=float(fused.scores[at]),
        fused_rank=int(candidates.fused_ranks[place]),
        rerank_score=None if np.isnan(rerank) else rerank,
        reranked_rank=0 if np.isnan(rerank) else place + 1,
        names=float(fused.names[at]),
        names_weight=fused.names_weight,
        recency=1.0 if fused.recency is None else float(fused.recency[at]),
        mix=_mix(candidates, place, rerank),
        chance=None if candidates.chances is None else float(candidates.chances[place]),
    )


def _vector_shares(candidates: CandidateSet, at: int) -> tuple[VectorShare, ...]:
    """Return what each vector field gave the candidate at place `at` of `found`."""
    found, fused = candidates.found, candidates.fused
    return tuple(
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


def _mix(candidates: CandidateSet, place: int, rerank: float) -> RerankMix | None:
    mixing, fused, at = candidates.mixing, candidates.fused, int(candidates.places[place])
    if mixing is None:
        return None
    faded = fused.scores[at] if fused.recency is None else fused.scores[at] * fused.recency[at]
    if np.isfinite(rerank):
        return RerankMix(mixing.weight, mixing.floor, *mixing.shares(float(faded), rerank))
    if candidates.scores[place] == faded:
        return None  # below all reranked candidates
    share, _ = mixing.shares(float(faded), 0.0)
    return RerankMix(0.0, mixing.floor, share, 0.0)


def _passages(
    catalogue: Catalogue, candidates: CandidateSet, places: Ids
) -> tuple[Passage | None, ...]:
    """Return the best passage of each hit, by the first vector field."""
    if not candidates.found.vectors:
        return (None,) * len(places)
    part = candidates.found.vectors[0]
    numbers = part.passages[candidates.places[places]].tolist()
    return catalogue.passages(candidates.ids[places], part.field, numbers)


def _marked(
    highlighter: Highlighter,
    query: Node,
    items: Sequence[Item | None],
    passages: Sequence[Passage | None],
    wanted: bool,
) -> list[tuple[dict[str, str], str, int]]:
    """Return, for each item, its marked texts by member, the part of it to show, and the number of
    the shot that answers. Without `wanted` there are no texts.
    """
    texts = [_texts(item, span, wanted) for item, span in zip(items, passages, strict=True)]
    by_language: dict[str, list[ReadText]] = {}
    for item, (marked, body) in zip(items, texts, strict=True):
        if item is not None and (wanted or item.shots):
            spoken = by_language.setdefault(item.language, [])
            spoken += (*marked.values(), body, read(item.shotlist))
    words = {
        language: highlighter.words(query, spoken, language)
        for language, spoken in by_language.items()
    }
    found = []
    for item, span, (marked, body) in zip(items, passages, texts, strict=True):
        said = frozenset[str]() if item is None else words.get(item.language, frozenset())
        shot = 0 if item is None else _shot(highlighter, item, span, said)
        if item is not None and shot and wanted:
            body = read(item.shots[shot - 1].description)
        marks = {name: _told(text, said) for name, text in marked.items()}
        found.append((marks, snippet(body, said), shot))
    return found


def _told(text: ReadText, said: frozenset[str]) -> str:
    """Return a member's text, marked; of a very long text only the part to show."""
    return (mark if len(text) <= _LONGEST_MARKED else snippet)(text, said)


def _shot(highlighter: Highlighter, item: Item, span: Passage | None, said: frozenset[str]) -> int:
    if not item.shots:
        return 0
    lines = [shot.description for shot in item.shots]
    return best_shot(item, span, highlighter.matches(said, lines, item.language))


def best_shot(item: Item, span: Passage | None, matches: Sequence[int]) -> int:
    """Return the number, from 1, of the shot that answers best; 0 if neither words nor meaning lead
    to a shot.

    It is the shot with most of the query's words (`matches` has each shot's count). Among equals it
    is the nearest by meaning (`span` is the item's best passage), else the first.
    """
    near = line_of(item, span) if span is not None and span.field == "shotlist" else -1
    most = max(matches, default=0)
    if near >= 0 and (near >= len(matches) or matches[near] == most):
        return near + 1
    return list(matches).index(most) + 1 if most else 0


def _texts(
    item: Item | None, span: Passage | None, wanted: bool
) -> tuple[dict[str, ReadText], ReadText]:
    """Return the texts of an item to show: the members that are marked, and its best passage by
    vectors or else the beginning of its body. Without `wanted` none.
    """
    if item is None or not wanted:
        return {}, _NO_TEXT
    marked = {name: read(text) for name in _MARKED if (text := getattr(item, name))}
    if span is not None and span.field == "body":
        return marked, read(item.body[span.start : span.end])
    return marked, read(item.body[: 20 * SNIPPET_CHARACTERS])
