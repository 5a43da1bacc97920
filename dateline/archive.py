"""An archive as a whole, for the command line: its status, a rebuild, the API's envelope."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, partial
from typing import Any
from uuid import uuid4

import numpy as np
import orjson

from core.callers import NOBODY, Caller
from core.media import Undescribed
from core.ports.engine import Library
from core.query_tree import EVERYTHING
from core.retrieval import Retrieval, VectorQuery
from dateline.build.engine import build_engine, checked_search, drop_indexes, vector_fields
from dateline.build.models.served import load_models
from dateline.build.service import Service, archive_clock, build_service
from dateline.settings import Settings
from search.answers import SearchRequest, SearchResponse
from search.understanding.understand import Understanding
from storage.words.told_languages import language_of_query


def archive_status(settings: Settings) -> Mapping[str, Any]:
    """Return counts and lags, from the record and the indexes on the disk."""
    service = build_service(settings, background=False)
    try:
        return service.status()
    finally:
        service.close()


@dataclass(frozen=True, slots=True)
class CheckedArchive:
    """An archive's status, and of some searches by headlines the recall in each vector field: how
    many of the nearest items they found, and how many there are.
    """

    status: Mapping[str, Any]
    recall: Mapping[str, tuple[int, int]]


def checked_archive(settings: Settings, searches: int) -> CheckedArchive:
    """Return the status of an archive and, on the embedded engine, the recall of its graphs by
    this many searches.
    """
    service = build_service(settings, background=False)
    try:
        return CheckedArchive(service.status(), graph_recall(service, searches))
    finally:
        service.close()


def graph_recall(service: Service, searches: int) -> Mapping[str, tuple[int, int]]:
    """Search for headlines of items from all parts of the archive, by vectors alone, and compare
    with the exact scan. Return the nearest items found and their number, by vector field; nothing
    on OpenSearch.
    """
    engine = service.engine
    last, every = engine.record.reads.count_items(), Caller("doctor", engine.products())
    places = np.unique(np.linspace(1, max(last, 1), searches).astype(int)).tolist()
    sums: dict[str, tuple[int, int]] = {}
    items = engine.record.reads.items_by_seq(places).values()
    for text in (item.headline for item in items if item.headline.strip()):
        vectors = tuple(
            VectorQuery(name, 1.0, cache(partial(encoder.encode_queries, [text])))
            for name, encoder in vector_fields(service.models).items()
        )
        request = Retrieval(EVERYTHING, every, vectors=vectors, lexical_depth=0)
        for one in checked_search(engine, request):
            found, wanted = sums.get(one.field, (0, 0))
            sums[one.field] = found + one.found, wanted + one.wanted
    return sums


def archive_undescribed(settings: Settings, limit: int) -> Undescribed:
    """Return the first `limit` pictures and videos that nobody describes."""
    service = build_service(settings, background=False)
    try:
        return service.engine.undescribed(limit)
    finally:
        service.close()


def rebuild_projections(settings: Settings) -> Mapping[str, Any]:
    """Delete the search indexes, make them again from the record, and return the engine's status.
    Raises ConflictError if another process uses the archive.
    """
    drop_indexes(settings)
    models = load_models(settings)
    engine = build_engine(settings, models, archive_clock(settings), background=False)
    try:
        engine.add_signatures()
        engine.catch_up()
        engine.compact()
        return engine.status()
    finally:
        engine.close()


@contextmanager
def opened_understanding(settings: Settings) -> Iterator[tuple[Understanding, Caller]]:
    """Return the parser of queries, and a caller with every product. The parser knows the archive's
    names if there is an archive.
    """
    models = load_models(settings.with_one_encoder().model_copy(update={"reranker": ""}))
    languages, why_not = models.languages, models.not_loaded("tagger")
    parser = partial(
        Understanding,
        models.tagger,
        languages=languages,
        tagger_missing=why_not,
        told_by=language_of_query,
    )
    if not settings.has_archive:
        yield parser(), NOBODY
        return
    engine = build_engine(settings, models, archive_clock(settings), background=False)
    try:
        yield parser(archive=engine), Caller("command line", engine.products())
    finally:
        engine.close()


def envelope_json(
    request: SearchRequest, response: SearchResponse, caller: Caller, library: Library
) -> bytes:
    """Return the API's envelope for a search from the command line."""
    # These load the web framework, which no other command needs.
    from api.envelope import API_VERSION
    from api.formats.items import ItemView
    from api.search.search_json import hits_json, search_data

    items = hits_json(response.hits, ItemView(caller), library)
    envelope = {
        "api_version": API_VERSION,
        "id": uuid4().hex,
        "method": "search",
        "params": {"q": request.q, "page": request.page, "page_size": request.page_size},
        "updated": datetime.now(UTC),
        "data": search_data(response, request.q, {}, items, caller),
    }
    return orjson.dumps(envelope, option=orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY)
