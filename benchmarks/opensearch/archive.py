"""The archive of benchmarks/opensearch/three_engines.py: one record of truth with a projection for
each engine.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import perf_counter
from typing import Any

import orjson

from benchmarks.news import Reporting
from core.callers import Caller
from dateline.build.engine import drop_indexes
from dateline.build.models.served import Models
from dateline.build.service import Service, build_service
from dateline.measuring.made_stories import made_stories, parents_of
from dateline.settings import Settings, configure
from indexing.ingest import IngestOptions
from storage.opensearch.engine import OpenSearchEngine
from storage.opensearch.index.settle import Settled, settle
from storage.opensearch.nodes.connection import Cluster

WIRE = Caller("wire", frozenset({"wire"}))
NAME = "dateline-benchmark"
_PATIENT_S = 60.0
_BATCH = 2_000  # stories that are made in one step


def settings_of(folder: Path) -> Settings:
    """Return the settings of the embedded engine, with the archive in `folder`: one encoder, and no
    names.
    """
    flags = {
        "data": str(folder),
        "tagger": "",
        "engine": "embedded",
        "next_encoder": "",
        "second_encoder": "",
        "profile": "hybrid",
    }
    return configure(flags).settings


def ingest(settings: Settings, models: Models, documents: Sequence[Any]) -> None:
    """Record the documents that are not recorded yet, with vectors."""
    corpus = settings.data / "reuters" / "corpus.jsonl"
    corpus.parent.mkdir(parents=True, exist_ok=True)
    lines = [orjson.dumps({**one, "_id": f"{n}"}) for n, one in enumerate(documents)]
    corpus.write_bytes(b"\n".join((*lines, b"")))
    service = build_service(settings, models=models, background=False)
    try:
        options = IngestOptions(products=tuple(WIRE.products))
        report = service.ingest.run([corpus], options, Reporting())
        if report.stopped_by is not None:
            raise report.stopped_by
    finally:
        service.close()


def make(settings: Settings, models: Models, of: Settings, wanted: int) -> None:
    """Record `wanted` stories made from those of another archive, except those that exist
    already.
    """
    service = build_service(settings, models=models, background=False)
    try:
        there = service.engine.status()["versions"]
        if there >= wanted:
            return
        parents = build_service(of, models=models, background=False)
        try:
            drawn = parents_of(parents)
        finally:
            parents.close()
        for first in range(there, wanted, _BATCH):
            some = made_stories(drawn, first, min(_BATCH, wanted - first))
            service.engine.put(tuple(some))
    finally:
        service.close()


@contextmanager
def both_engines(
    settings: Settings,
    models: Models,
    changes: Mapping[str, Any],
    figures: dict[str, Any],
    keep: bool,
    alone: bool,
) -> Iterator[tuple[Service | None, Service]]:
    """Both services over new projections of the one record; the cluster's is removed afterwards. To
    `keep` both is to take those that are there, and to leave them there. With the cluster `alone`
    there is no embedded service.
    """
    name = f"{NAME}-{settings.data.name}"
    own = {"engine": "opensearch", "opensearch_index": name, "opensearch_replicas": 0}
    waits = {"opensearch_patience_s": _PATIENT_S, "opensearch_timeout_s": _PATIENT_S}
    of_cluster = settings.model_copy(update={**own, **waits, **changes})
    with ExitStack() as opened:
        embedded = None
        if not alone:
            embedded = _opened(settings, models, opened, keep=keep)
            figures |= _embedded(embedded)
        if not keep:
            opened.callback(drop_indexes, of_cluster)  # when its service is closed
        cluster = _opened(of_cluster, models, opened, keep=keep)
        figures |= _projected(cluster)
        yield embedded, cluster


def _opened(settings: Settings, models: Models, opened: ExitStack, *, keep: bool) -> Service:
    if not keep:
        drop_indexes(settings)
    service = build_service(settings, models=models, background=False)
    opened.callback(service.close)
    return service


def _embedded(service: Service) -> dict[str, Any]:
    """Make the embedded projection; return its time and bytes."""
    started = perf_counter()
    service.engine.catch_up()
    service.engine.compact()
    taken = perf_counter() - started
    folder = service.settings.data / "projections"
    files = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    count = service.engine.status()["visible"]
    return {
        "embedded, items_per_s, compacted": count / taken,
        "embedded, bytes an item": files / count,
    }


def _projected(cluster: Service) -> dict[str, Any]:
    """Make the cluster's projection; return its time and bytes."""
    engine = engine_of(cluster)
    started = perf_counter()
    engine.catch_up()
    written = perf_counter() - started
    settled = settle(engine.cluster, engine.family.name, engine.family.spaces, print)
    count = engine.statistics.basics().documents
    return {
        **_hardware(engine.cluster, settled),
        "opensearch, items_per_s": count / written,
        "opensearch, s to settle": perf_counter() - started - written,
        "opensearch, bytes an item": settled.bytes_after / count,
    }


def _hardware(cluster: Cluster, settled: Settled) -> dict[str, Any]:
    nodes = cluster.ask("GET", "/_nodes/jvm")["nodes"].values()
    return {
        "nodes": len(nodes),
        "heap of a node, MB": min(node["jvm"]["mem"]["heap_max_in_bytes"] for node in nodes) / 1e6,
        "segments": settled.segments,
    }


def engine_of(service: Service) -> OpenSearchEngine:
    """Return the engine of a service that uses the cluster."""
    assert isinstance(service.engine, OpenSearchEngine)
    return service.engine
