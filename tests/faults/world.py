"""What the killed writer and its judge share: items, words and vectors that a uri decides."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from core.callers import Caller
from core.items import FloatMatrix, Item, ItemType
from core.ports.engine import Clock
from core.writes import PutItem
from storage.embedded.engine import EmbeddedEngine
from storage.embedded.vectors.merge_plan import ProjectionSettings
from tests.storage.world import FIELD, SCANNED, open_embedded, vector_of, vectors

WIDTH = 24
READER = Caller("reader", frozenset({"wire"}))
CREATED = datetime(2026, 3, 1, tzinfo=UTC)
OFTEN = ProjectionSettings(
    seal_rows=48, idle_seal_rows=16, merge_segments=3, build_threads=1, lexical_batch=40
)


def now() -> datetime:
    """The real time."""
    return datetime.now(UTC)


def word_of(uri: str, version: int) -> str:
    """A word that only this version has, and that no stemmer changes."""
    return "q" + "z".join(part for part in uri.split(":") if part.isdigit()) + f"v{version}q"


def vectors_of(uri: str, version: int) -> tuple[FloatMatrix, FloatMatrix]:
    """Two passages that only this version has."""
    return vector_of(f"{uri}/{version}/0", WIDTH), vector_of(f"{uri}/{version}/1", WIDTH)


def put_of(uri: str, version: int) -> PutItem:
    """The version as it is written."""
    item = Item(
        uri,
        version,
        ItemType.TEXT,
        CREATED,
        CREATED,
        uri,
        headline=f"Headline of {uri}",
        body=f"{word_of(uri, version)} and what every story says " * 20,
        products=("wire",),
    )
    return PutItem(item, (vectors(*vectors_of(uri, version), field=FIELD),))


def open_archive(folder: Path, clock: Clock = now, *, background: bool) -> EmbeddedEngine:
    """The engine, sealing and merging far more often than in service. Its segments are scanned, as
    ones of this size are in service: what is asked here is whether a passage is there, and a graph
    may pass it over.
    """
    return open_embedded(folder, clock, background=background, projections=OFTEN, hnsw=SCANNED)
