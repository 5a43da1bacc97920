"""A `SearchResponse` as AP Media API's `searchresponse`, in plain values for orjson.

Our additions: `total_relation`, `counted`, `fold`, `facets`, `cursor`, `profile`, `understood`,
`degraded`, `suggestion`, `missing`, `timings_ms`, and per hit `meta.rank`, `versions`, `pinned`,
`near_duplicates`, `highlights`, `passage`, `live`, `found_in`, `opens_at`, `shot`, `film_strip`,
`explanation`.

Scores depend on every indexed item, also on those that the caller may not see: BM25 tells how many
items have a word. So only callers who may inspect get raw scores. Others get ranks, weights, and
shares of each list's best to three digits.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from api.content.answer_size import Cut
from api.content.media_json import film_strip, live_json, shot_json
from api.content.media_links import MediaLinks
from api.envelope import rfc3339
from api.formats.items import ItemView, text_names
from api.formats.kept_forms import KeptForms, told_versions
from core.callers import Caller
from core.entities import NameMatch
from core.ports.engine import Library
from indexing.media.shots.timecodes import timecode
from search.answers import (
    Explanation,
    Fold,
    FoundName,
    Hit,
    Missing,
    SearchResponse,
    Understood,
)
from search.opening import SHOTS, Opening

_DIGITS = 3  # decimals of a share
_NUMBER = re.compile(r"[0-9]{1,18}")  # what JSON readers, ours included, take for an integer


def search_data(
    response: SearchResponse,
    query: str,
    pages: dict[str, str],
    items: list[dict[str, Any]],
    caller: Caller,
) -> dict[str, Any]:
    """Return the `data` member of a search's envelope."""
    missing = response.missing
    facets = {
        name: [{"value": count.value, "count": count.count} for count in counts]
        for name, counts in response.facets.items()
    }
    return {
        "query": query,
        "updated": rfc3339(datetime.now(UTC).replace(microsecond=0)),
        "page_size": response.page_size,
        "total_items": response.total.value,
        "total_relation": response.total.relation.value,
        "related_items": response.related,
        "depth": response.depth,
        "counted": "stories" if response.fold is Fold.NONE else "groups",
        "fold": response.fold.value,
        "current_page": response.page,
        "current_item_count": len(items),
        **pages,
        "items": items,
        "facets": facets,
        "cursor": response.cursor,
        "profile": response.profile,
        "query_id": response.query_id,
        "understood": understood_json(response.understood),
        "degraded": list(response.degraded),
        "suggestion": response.suggestion,
        "missing": None if missing is None else missing_json(missing, exact=caller.may_inspect),
        "timings_ms": {name: round(float(ms), 3) for name, ms in response.milliseconds.items()},
    }


def hits_json(
    hits: Sequence[Hit], view: ItemView, library: Library, kept: KeptForms | None = None
) -> list[dict[str, Any]]:
    """Return a `contentresult` for each hit; with `kept` its item may be JSON already."""
    versions = [(hit.id, hit.item) for hit in hits]
    items = told_versions(versions, view, library, kept)
    return [
        {"meta": _meta(hit, view.caller, view.links) | cut_json(cut), "item": item}
        for hit, (item, cut) in zip(hits, items, strict=True)
    ]


def cut_json(cut: Cut) -> dict[str, Any]:
    """Return the member `cut` for members that are not given whole; empty if all are."""
    return {"cut": cut} if cut else {}


def _meta(hit: Hit, caller: Caller, links: MediaLinks | None) -> dict[str, Any]:
    names = text_names(hit.item)
    exact = caller.may_inspect
    meta: dict[str, Any] = {
        "score": _share(hit.score, exact),
        "products": products_json(hit.item.products, caller),
        "rank": hit.rank,
        "versions": hit.versions,
        "pinned": hit.pinned,
        "exact": hit.exact,
        "relevance": None if hit.relevance is None else hit.relevance.value,
        "near_duplicates": list(hit.near_duplicates),
        "highlights": {names.get(name, name): text for name, text in hit.highlights.items()},
        "passage": hit.passage,
    }
    if live := live_json(hit.item):
        meta["live"] = live
    if hit.explanation:
        meta["explanation"] = explanation_json(hit.explanation, exact=exact)
    if hit.found_in:
        meta["found_in"] = found_in_json(hit.found_in)
    if hit.opening:
        meta["opens_at"] = opening_json(hit.opening)
    if hit.shot:
        meta["shot"] = shot_json(hit.item, hit.shot, links)
    if hit.item.shots:
        meta["film_strip"] = film_strip(hit.item, hit.shot, links)
    return meta


def found_in_json(found: Mapping[str, str]) -> list[dict[str, str]]:
    """Return the fields apart from the item's text that have a word of the query, with `made_by`
    for what a machine wrote or found.
    """
    return [
        {"field": name} | ({"made_by": maker} if maker else {}) for name, maker in found.items()
    ]


def opening_json(opening: Opening) -> dict[str, Any]:
    """Return where to open the media of a hit: a line of it, with its second and its shot."""
    told: dict[str, Any] = {
        "second": round(opening.second, 6),
        "timecode": timecode(opening.second),
        "field": "shots" if opening.field == SHOTS else opening.field,
        "text": opening.text,
    }
    if opening.shot:
        told["shot"] = opening.shot
    return told | ({"made_by": opening.made_by} if opening.made_by else {})


def products_json(codes: Iterable[str], caller: Caller) -> list[dict[str, Any]]:
    """Return the products of an item that the caller holds; `id` only where the code is a
    number.
    """
    held = [code for code in codes if code in caller.products]
    return [
        {"id": int(code), "name": code} if _NUMBER.fullmatch(code) else {"name": code}
        for code in held
    ]


def explanation_json(explanation: Explanation, *, exact: bool) -> dict[str, Any]:
    """Return each stage's rank (0: it did not find the hit) and normalized score; with `exact` its
    raw score.
    """
    return {
        "lexical": {
            "rank": explanation.lexical_rank,
            **({"bm25": explanation.bm25} if exact else {}),
            "normalized": _share(explanation.bm25_normalized, exact),
            "weight": explanation.lexical_weight,
        },
        "vectors": [
            {
                "field": share.field,
                "rank": share.rank,
                **({"cosine": share.cosine} if exact else {}),
                "normalized": _share(share.normalized, exact),
                "weight": share.weight,
            }
            for share in explanation.vectors
        ],
        "names": {"share": explanation.names, "weight": explanation.names_weight},
        "fused": {"rank": explanation.fused_rank, "score": _share(explanation.fused, exact)},
        "recency": explanation.recency,
        **({"chance": explanation.chance} if exact else {}),
        "reranked": reranked_json(explanation, exact=exact),
    }


def reranked_json(explanation: Explanation, *, exact: bool) -> dict[str, Any] | None:
    """Return the reranker's part. The hit's score is floor + (1 - weight) * fused_normalized +
    weight * normalized.
    """
    if explanation.rerank_score is None and explanation.mix is None:
        return None
    said: dict[str, Any] = {
        "rank": explanation.reranked_rank,
        **({"score": explanation.rerank_score} if exact else {}),
    }
    if mix := explanation.mix:
        said |= {
            "normalized": _share(mix.reranked, exact),
            "weight": mix.weight,
            "fused_normalized": _share(mix.fused, exact),
            "floor": _share(mix.floor, exact),
        }
    return said


def _share(value: float, exact: bool) -> float:
    return float(value) if exact else round(float(value), _DIGITS)


def understood_json(understood: Understood) -> dict[str, Any]:
    """Return what was made of the query."""
    return {
        "vector_text": understood.vector_text,
        "lexical": understood.lexical,
        "entities": [found_name_json(entity) for entity in understood.entities],
        "dates": [
            {
                "text": span.text,
                "start": span.start,
                "end": span.end,
                "since": span.since,
                "until": span.until,
                "other": span.other,
                "ignored": span.ignored,
            }
            for span in understood.dates
        ],
        "kinds": [
            {
                "text": span.text,
                "start": span.start,
                "end": span.end,
                "types": list(span.types),
                "ignored": span.ignored,
                "widened": span.widened,
            }
            for span in understood.kinds
        ],
        "notes": list(understood.notes),
        "language": understood.language,
    }


def missing_json(missing: Missing, *, exact: bool) -> dict[str, Any]:
    """Return why an item is not among the hits; `stage` is the first that dropped it."""
    return {
        "uri": missing.uri,
        "stage": missing.stage.value,
        "reason": missing.reason,
        "mend": missing.mend,
        "rank": missing.rank,
        "page": missing.page,
        "excluded_by": list(missing.excluded_by),
        "words": {"found": list(missing.words), "missing": list(missing.words_missing)},
        "retrievers": [
            {
                "retriever": miss.retriever,
                "rank": miss.rank,
                "depth": miss.depth,
                **({"score": miss.score, "last_score": miss.last} if exact else {}),
            }
            for miss in missing.retrievers
        ],
    }


def found_name_json(found: FoundName) -> dict[str, Any]:
    """Return a name in the query: `query[start:end]` in characters, `canonical` as the archive
    writes it ("" for an unknown name) in the item's member `field`, its `aliases` there, and what
    was done with it.
    """
    known = found.known
    return {
        "text": found.text,
        "label": found.label.value,
        "start": found.start,
        "end": found.end,
        "score": round(float(found.score), 4),
        "canonical": known.name if known else "",
        "aliases": list(known.aliases) if known else [],
        "field": known.field if known else "",
        "match": known.match.value if known else NameMatch.NONE.value,
        "use": found.use.value,
        "ignored": found.ignored,
    }


def page_links(
    path: str, params: Collection[tuple[str, str]], response: SearchResponse
) -> dict[str, str]:
    """Return `next_page`, `previous_page` and `page_template`, relative to this host.

    The next page has the cursor, so that a story that arrives meanwhile can't move a hit to another
    page; the previous page is asked for by number.
    """
    kept = [(name, value) for name, value in params if name not in ("page", "cursor")]

    def link(page: int | str, cursor: str = "") -> str:
        own = [("page", str(page))] + ([("cursor", cursor)] if cursor else [])
        return f"{path}?{urlencode([*kept, *own], safe='{}')}"

    links = {"page_template": link("{page}")}
    if response.cursor:
        links["next_page"] = link(response.page + 1, response.cursor)
    if response.page > 1:
        links["previous_page"] = link(response.page - 1)
    return links
