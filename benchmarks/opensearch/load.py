"""A cluster of nodes on this machine with an archive, and searches from many threads, for
benchmarks/opensearch/growth.py.

Items have random words and random vectors; each shard has one copy if there are several nodes.
Searches are by words and vectors, and nothing is written meanwhile.
"""

from __future__ import annotations

import random
import shutil
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import NamedTuple

import numpy as np

from core.callers import Caller
from core.errors import BusyError
from core.items import FloatMatrix, Item, ItemType, Passage, PassageVectors
from core.query_tree import EVERYTHING, Bool, Word
from core.retrieval import Retrieval, VectorQuery
from core.writes import PutItem
from scripts.dev_cluster.cluster import DevCluster, Shape
from scripts.dev_cluster.folders import cache_folder
from storage.embedded.record.archive import Record
from storage.opensearch.engine import OpenSearchEngine, OpenSearchSettings
from storage.opensearch.index.body import IndexSettings, VectorSpace
from storage.opensearch.nodes.connection import ClusterSettings
from storage.opensearch.nodes.nodes import NodeSettings

WIRE = Caller("wire", frozenset({"wire"}))
WIDTH, WORDS, BATCH, THREADS = 64, 2_000, 200, 8
_CREATED = datetime(2026, 3, 1, tzinfo=UTC)


class Sample(NamedTuple):
    """A search: when it began, how long it took (s), and what was wrong with it ("" for
    nothing).
    """

    began: float
    took: float
    wrong: str


@dataclass(frozen=True, slots=True)
class Bench:
    """A cluster, and an archive in `folder` whose index is on the cluster."""

    cluster: DevCluster
    shape: Shape
    folder: Path
    shards: int

    @contextmanager
    def engine(self, waits: NodeSettings) -> Iterator[OpenSearchEngine]:
        """The archive's engine with these waits."""
        urls = tuple(f"http://127.0.0.1:{self.shape.port + n}" for n in range(self.shape.nodes))
        settings = OpenSearchSettings(
            {"text": VectorSpace("space", WIDTH)},
            "load",
            ClusterSettings(urls, nodes=waits),
            IndexSettings(shards=self.shards, replicas=min(1, self.shape.nodes - 1)),
        )
        record = Record(self.folder, {"text": "space"}, _clock)
        engine = OpenSearchEngine(settings, _clock, record)
        try:
            yield engine
        finally:
            engine.close()


@contextmanager
def bench_of(nodes: int, shards: int) -> Iterator[Bench]:
    """A cluster of its own, which is stopped and removed afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="cluster-load-"))
    folder.chmod(0o755)  # the nodes may run as another user
    cluster, shape = DevCluster(cache_folder(), folder / "nodes"), Shape(nodes, 9370)
    shape = replace(shape, wait_s=300)
    try:
        cluster.up(shape)
        yield Bench(cluster, shape, folder / "archive", shards)
    finally:
        cluster.down()
        shutil.rmtree(folder)


def _clock() -> datetime:
    return datetime.now(UTC)


def ingest(engine: OpenSearchEngine, count: int) -> float:
    """Return items a second, until they are searchable."""
    began = monotonic()
    for start in range(0, count, BATCH):
        engine.put([_item(n) for n in range(start, min(count, start + BATCH))])
    engine.catch_up()
    return count / (monotonic() - began)


def _item(number: int) -> PutItem:
    chance = random.Random(number)
    text = " ".join(f"word{int(chance.paretovariate(0.6)) % WORDS}" for _ in range(120))
    uri = f"urn:{number}"
    item = Item(uri, 1, ItemType.TEXT, _CREATED, _CREATED, uri, products=("wire",))
    vectors = PassageVectors("text", "space", (Passage("body", 0, 10),), _vector(number))
    return PutItem(replace(item, headline=text[:60], body=text), (vectors,))


def _vector(seed: int) -> FloatMatrix:
    row = np.random.default_rng(seed).standard_normal((1, WIDTH)).astype(np.float32)
    found: FloatMatrix = row / np.linalg.norm(row)
    return found


def _search(engine: OpenSearchEngine, seed: int) -> Sample:
    chance = random.Random(seed)
    words = tuple(Word(f"word{int(chance.paretovariate(0.6)) % WORDS}") for _ in range(3))
    vector = VectorQuery("text", 1.0, lambda: _vector(seed))
    request = Retrieval(Bool(should=words), WIRE, EVERYTHING, (vector,), 100, 50)
    began = monotonic()
    try:
        flags = engine.retrieve(request).degraded
    except BusyError:
        return Sample(began, monotonic() - began, "busy")
    return Sample(began, monotonic() - began, "flagged" if flags else "")


@contextmanager
def searched(engine: OpenSearchEngine, threads: int = THREADS) -> Iterator[list[Sample]]:
    """Run searches from all threads while the body runs."""
    samples: list[Sample] = []
    over = threading.Event()

    def run(number: int) -> None:
        seed = number
        while not over.is_set():
            samples.append(_search(engine, seed))
            seed += threads

    with ThreadPoolExecutor(threads) as pool:
        done = [pool.submit(run, number) for number in range(threads)]
        try:
            yield samples
        finally:
            over.set()
    for each in done:
        each.result()
