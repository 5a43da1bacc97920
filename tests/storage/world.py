"""A small world for storage engines: a clock that tests set, items, vectors, short ways to ask."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from core.callers import OPERATOR, Caller
from core.items import FloatMatrix, Item, ItemType, Passage, PassageVectors
from core.ports.engine import Clock, Engine
from core.query_tree import EVERYTHING, Bool, Node, Word
from core.retrieval import Retrieval, Retrieved, SortOrder, VectorQuery
from core.writes import Outcome, PutItem, SetStatus
from storage.embedded.engine import EmbeddedEngine, EmbeddedSettings
from storage.embedded.vectors.merge_plan import ProjectionSettings
from storage.graphs.settings import HnswSettings
from storage.record.port import RecordOfTruth

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
FIELD = "text"
ENCODER = "space-a"
WIDTH = 8
WIRE = Caller("wire", frozenset({"wire"}))
ALL = 10_000

Version = tuple[str, int]


class SetClock:
    """A clock that stands still until a test moves it."""

    def __init__(self, now: datetime = NOW) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def advance(self, by: timedelta) -> None:
        self.now += by


def make_item(uri: str, version: int = 1, **members: Any) -> Item:
    """A usable text on the wire, two days old, unless `members` say otherwise."""
    created = members.pop("versioncreated", NOW - 48 * HOUR + version * HOUR)
    plain = Item(uri, version, ItemType.TEXT, created, created, uri, products=("wire",))
    return replace(plain, **members)


def unit(*numbers: float) -> FloatMatrix:
    """float32 [1, WIDTH]: `numbers`, filled up with zeros, at unit length."""
    row = np.zeros((1, WIDTH), np.float32)
    row[0, : len(numbers)] = numbers
    found: FloatMatrix = row / np.linalg.norm(row)
    return found


def vector_of(key: str, width: int = WIDTH) -> FloatMatrix:
    """float32 [1, width]: a unit vector that only `key` decides."""
    seed = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "little")
    row = np.random.default_rng(seed).standard_normal((1, width)).astype(np.float32)
    found: FloatMatrix = row / np.linalg.norm(row)
    return found


def vectors(*rows: FloatMatrix, encoder: str = ENCODER, field: str = FIELD) -> PassageVectors:
    """One passage per row, ten characters of the body each."""
    spans = tuple(Passage("body", 10 * n, 10 * n + 10) for n in range(len(rows)))
    matrix = np.concatenate(rows) if rows else np.zeros((0, WIDTH), np.float32)
    return PassageVectors(field, encoder, spans, matrix)


def write(engine: Engine, item: Item, *rows: FloatMatrix, by: Caller = OPERATOR) -> Outcome:
    """Puts one item with a vector per row (by default one that its uri and version decide)."""
    given = rows or (vector_of(f"{item.uri}/{item.version}"),)
    (written,) = engine.put([PutItem(item, (vectors(*given),))], by)
    assert (written.uri, written.version) == (item.uri, item.version)
    return written.outcome


def change(engine: Engine, uri: str, by: Caller = OPERATOR, **members: Any) -> Outcome:
    """Changes one item's status."""
    (written,) = engine.set_status([SetStatus(uri, **members)], by)
    return written.outcome


def by_vector(vector: FloatMatrix, weight: float = 1.0, field: str = FIELD) -> VectorQuery:
    """A vector query whose encoding is ready."""
    return VectorQuery(field, weight, lambda: vector)


def lexical(
    query: Node,
    caller: Caller = WIRE,
    filters: Node = EVERYTHING,
    order: SortOrder = SortOrder.SCORE,
    depth: int = ALL,
) -> Retrieval:
    """A request to BM25 alone."""
    return Retrieval(query, caller, filters, (), depth, 0, order)


def nearest(
    vector: FloatMatrix,
    caller: Caller = WIRE,
    filters: Node = EVERYTHING,
    query: Node = EVERYTHING,
    depth: int = ALL,
) -> Retrieval:
    """A request to vectors alone, within the constraint of `query`."""
    return Retrieval(query, caller, filters, (by_vector(vector),), 0, depth)


def versions(engine: Engine, found: Retrieved, caller: Caller) -> list[Version]:
    """The uri and version of each candidate, in order; a hidden one is an error here."""
    items = engine.items(found.ids, caller)
    shown = [item for item in items if item is not None]
    assert len(shown) == len(items), "retrieval gave a candidate that the record hides"
    return [(item.uri, item.version) for item in shown]


def ask(engine: Engine, request: Retrieval) -> list[Version]:
    """Retrieves and names the candidates."""
    return versions(engine, engine.retrieve(request), request.caller)


def uris(engine: Engine, query: Node, caller: Caller = WIRE, **more: Any) -> set[str]:
    """The uris that BM25 finds for `query`."""
    return {uri for uri, _ in ask(engine, lexical(query, caller, **more))}


def any_of(*words: str) -> Node:
    """At least one of the words, as a bare query has it."""
    return Bool(should=tuple(Word(word) for word in words))


SMALL = ProjectionSettings(
    seal_rows=16, merge_segments=3, build_threads=1, lexical_batch=50, checkpoint_changes=1
)


WALKED = HnswSettings(m=8, ef_construction=40, ef_search=64, exact_whole=0)  # graphs, not scans
SCANNED = HnswSettings(m=8, ef_construction=40, ef_search=64, exact_whole=1_000_000)


MakeRecord = Callable[[Path, Mapping[str, str], Clock], RecordOfTruth | None]
_records: list[MakeRecord] = [lambda *_: None]


@contextmanager
def records_by(make: MakeRecord) -> Iterator[None]:
    """Engines that are opened inside have their record from `make`, by folder; None is SQLite's."""
    _records.append(make)
    try:
        yield
    finally:
        _records.pop()


def open_embedded(
    folder: Path,
    clock: Clock,
    *,
    spaces: Mapping[str, str] | None = None,
    background: bool = False,
    projections: ProjectionSettings = SMALL,
    hnsw: HnswSettings = WALKED,
) -> EmbeddedEngine:
    """The embedded engine, with small segments so that little data makes many."""
    settings = EmbeddedSettings(
        folder,
        {FIELD: ENCODER} if spaces is None else spaces,
        hnsw,
        projections,
        background=background,
    )
    return EmbeddedEngine(settings, clock, _records[-1](folder, settings.spaces, clock))


@contextmanager
def opened(folder: Path, clock: Clock, **more: Any) -> Iterator[EmbeddedEngine]:
    """The embedded engine, closed at the end."""
    engine = open_embedded(folder, clock, **more)
    try:
        yield engine
    finally:
        engine.close()
