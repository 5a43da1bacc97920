"""Makes one page of hits from a candidate set: contents, marks and explanations of this page
only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from core.items import Item, Passage
from core.media_words import MEDIA_WORDS
from core.ports.engine import Catalogue
from core.query_tree import Node
from core.retrieval import Ids
from search.answers import Explanation, Hit, Relevance, RerankMix, SearchRequest, VectorShare
from search.candidates import CandidateSet, Faces, Listing, ranks_of
from search.highlight import (
    SNIPPET_CHARACTERS,
    START,
    Highlighter,
    ReadText,
    mark,
    positive_texts,
    read,
    snippet,
)
from search.interleaving import LETTERS
from search.opening import Opening, found_apart, media_lines, opening_of

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
class _Said:
    """What is shown of an item's texts: marked texts by member, the part to show, where its media
    opens, and the fields apart from its text that have a word of the query, with their makers.
    """

    marks: dict[str, str]
    passage: str
    opening: Opening | None = None
    found_in: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Shown:
    """What is shown of a candidate: its item, the number of its story's versions, and its texts."""

    item: Item
    versions: int
    said: _Said


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
        highlights=shown.said.marks,
        passage=shown.said.passage,
        versions=shown.versions,
        explanation=explanation,
        pinned=place < candidates.pinned,
        exact=0 <= place - candidates.pinned < candidates.exact,
        near_duplicates=folded,
        opening=shown.said.opening,
        found_in=shown.said.found_in,
        relevance=relevance_of(candidates, place),
        id=int(candidates.ids[place]),
        team="" if candidates.teams is None else LETTERS[int(candidates.teams[place])],
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
        None if item is None else _Shown(item, size, said)
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
    """Return the best passage of each hit, by the vector field with the greatest weight, the first
    of equals; else by the first field that has one.
    """
    found: list[Passage | None] = [None] * len(places)
    for part in sorted(candidates.found.vectors, key=lambda part: -part.weight):
        numbers = part.passages[candidates.places[places]].tolist()
        wanted = [at for at, n in enumerate(numbers) if n >= 0 and found[at] is None]
        if wanted:
            ids, own = candidates.ids[places[wanted]], [numbers[at] for at in wanted]
            spans = catalogue.passages(ids, part.field, own)
            found = _filled(found, wanted, spans)
    return tuple(found)


def _filled(
    found: list[Passage | None], places: Sequence[int], spans: Sequence[Passage | None]
) -> list[Passage | None]:
    """Return the passages found so far, with `spans` at `places`."""
    there = dict(zip(places, spans, strict=True))
    return [there.get(place, known) for place, known in enumerate(found)]


def _marked(
    highlighter: Highlighter,
    query: Node,
    items: Sequence[Item | None],
    passages: Sequence[Passage | None],
    wanted: bool,
) -> list[_Said]:
    """Return what is shown of each item. Without `wanted` there are no texts."""
    texts = [_texts(item, span, wanted) for item, span in zip(items, passages, strict=True)]
    by_language: dict[str, list[ReadText]] = {}
    for item, (marked, body) in zip(items, texts, strict=True):
        if item is not None and (wanted or item.media or item.shots):
            spoken = by_language.setdefault(item.language, [])
            spoken += (*marked.values(), body, *map(read, _texts_of_media(item)))
    words = {
        language: highlighter.words(query, spoken, language)
        for language, spoken in by_language.items()
    }
    asked = {node.field for node in positive_texts(query)}
    found = []
    for item, span, (marked, body) in zip(items, passages, texts, strict=True):
        said = frozenset[str]() if item is None else words.get(item.language, frozenset())
        marks = {name: _told(text, said) for name, text in marked.items()}
        if item is None:
            found.append(_Said(marks, ""))
            continue
        lines = media_lines(item)
        matches = {
            name: [len(terms) for terms in highlighter.matches(said, each, item.language)]
            for name, each in lines.items()
        }
        opening = opening_of(item, span, matches, asked, said)
        if opening is not None and wanted:
            body = read(opening.text)
        makers = found_apart(item, matches, {name for name in marks if START in marks[name]})
        best = {n: lines[n][matches[n].index(max(matches[n]))] for n in makers if n in MEDIA_WORDS}
        if wanted:
            marks |= {name: _told(read(text), said) for name, text in best.items()}
        found.append(_Said(marks, snippet(body, said), opening, makers))
    return found


def _told(text: ReadText, said: frozenset[str]) -> str:
    """Return a member's text, marked; of a very long text only the part to show."""
    return (mark if len(text) <= _LONGEST_MARKED else snippet)(text, said)


def _texts_of_media(item: Item) -> tuple[str, ...]:
    return item.shotlist, item.speech_text, item.seen_text, item.looks_text, item.file_words


def _texts(
    item: Item | None, span: Passage | None, wanted: bool
) -> tuple[dict[str, ReadText], ReadText]:
    """Return the texts of an item to show: the members that are marked, and its best passage by
    vectors or else the beginning of its body. Without `wanted` none.
    """
    if item is None or not wanted:
        return {}, _NO_TEXT
    marked = {name: read(text) for name in _MARKED if (text := getattr(item, name))}
    if name := item.file_words:
        marked["filename"] = read(name)
    if span is not None and span.field == "body":
        return marked, read(item.body[span.start : span.end])
    return marked, read(item.body[: 20 * SNIPPET_CHARACTERS])
