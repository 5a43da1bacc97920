"""Dateline's pipeline, embedded or over a node of OpenSearch (options: `opensearch` URL PID)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from benchmarks.race.entrant import HITS, Document, FloatMatrix, bytes_below, run
from benchmarks.race.entrants import PREFIX, PRODUCTS
from core.callers import Caller
from core.items import Item, ItemType, Passage, PassageVectors
from core.writes import PutItem
from dateline.build.engine import VECTOR_FIELD, drop_indexes
from dateline.build.models.served import load_models
from dateline.build.service import build_service
from dateline.settings import Settings, configure
from search.answers import DateUse, SearchRequest
from storage.opensearch.engine import OpenSearchEngine

_READER = Caller("race", frozenset(PRODUCTS))
_THEN = datetime(2026, 1, 1, tzinfo=UTC)
_BATCH = 500
_PATIENT_S = 60.0
_INDEX = "dateline-race"


class Ours:
    """The pipeline as it is served, by the profile `hybrid`, without names: a hit has its contents
    and marks, and passed the guard. Vectors of queries come from its cache.
    """

    def __init__(self, place: Path, options: Sequence[str]) -> None:
        self._settings = _settings(place, *options)
        self._models = load_models(self._settings)
        drop_indexes(self._settings)
        self._service = build_service(self._settings, models=self._models, background=False)
        self.servers = [int(pid) for pid in options[2:]]

    @property
    def versions(self) -> Mapping[str, str]:
        """Versions by name."""
        found = {name: version(name) for name in ("dateline-search", "tantivy", "faiss-cpu")}
        engine = self._service.engine
        if isinstance(engine, OpenSearchEngine):
            del found["tantivy"], found["faiss-cpu"]
            found["opensearch"] = engine.cluster.ask("GET", "/")["version"]["number"]
        return found

    def ingest(self, documents: Sequence[Document], vectors: FloatMatrix) -> None:
        """Record everything durably, and bring the projections up to date."""
        writes = [*_writes(documents, vectors, self._models.encoder.digest)]
        for start in range(0, len(writes), _BATCH):
            self._service.engine.put(tuple(writes[start : start + _BATCH]))
        self._service.engine.catch_up()
        self._service.engine.compact()

    def search(self, text: str, vector: FloatMatrix) -> list[str]:
        """Return the ids of the ten hits. The vector is that of the pipeline's own encoder."""
        request = SearchRequest(q=text, profile="hybrid", page_size=HITS, dates=DateUse.OFF)
        found = self._service.pipeline.search(request, _READER)
        if found.degraded:
            raise SystemExit(f"{text!r} was not answered in full: {found.degraded}")
        return [hit.item.uri.removeprefix(PREFIX) for hit in found.hits]

    def disk(self) -> int:
        """Return the bytes of the record and of its projections."""
        own = bytes_below(self._settings.data)
        engine = self._service.engine
        if not isinstance(engine, OpenSearchEngine):
            return own
        stats = engine.cluster.ask("GET", f"/{engine.family.name}/_stats/store")
        return own + int(stats["_all"]["primaries"]["store"]["size_in_bytes"])

    def close(self) -> None:
        """Close the service; an index on the node is removed."""
        self._service.close()
        if self._settings.engine == "opensearch":
            drop_indexes(self._settings)


def _settings(place: Path, engine: str, url: str = "", _pid: str = "") -> Settings:
    flags: dict[str, object] = {
        "data": str(place),
        "tagger": "",
        "second_encoder": "",
        "next_encoder": "",
        "engine": engine,
    }
    if url:
        waits = ("opensearch_patience_s", "opensearch_timeout_s", "opensearch_search_timeout_s")
        flags |= dict.fromkeys(waits, _PATIENT_S)
        flags |= {"opensearch_url": url, "opensearch_index": _INDEX, "opensearch_replicas": 0}
    return configure(flags).settings


def _writes(documents: Sequence[Document], vectors: FloatMatrix, encoder: str) -> Iterator[PutItem]:
    for n, document in enumerate(documents):
        uri = f"{PREFIX}{document.id}"
        item = Item(
            uri,
            1,
            ItemType.TEXT,
            _THEN,
            _THEN,
            uri,
            headline=document.title,
            body=document.body,
            products=PRODUCTS,
        )
        where, text = ("body", document.body) if document.body else ("headline", document.title)
        spans = (Passage(where, 0, len(text)),)
        yield PutItem(item, (PassageVectors(VECTOR_FIELD, encoder, spans, vectors[n : n + 1]),))


if __name__ == "__main__":
    run(Ours)
