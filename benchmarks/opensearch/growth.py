"""What a search and an item cost, by the number of nodes and shards of a cluster.

    python -m benchmarks.opensearch.growth [--items N] [--seconds S] [--shapes 1x1,1x2,…]

A shape is nodes x shards. Each gets its own development cluster on this machine, and a copy of each
shard if there are several nodes. Items have random words and random vectors. Searches are by words
and vectors, and nothing is written meanwhile. The
nodes share this machine's cores, so the figures show only the cost, not what a cluster of real
machines gains. `CPU` is the processor time of all nodes for a search, or for an item until it is
searchable; times are of one search at a time, and of eight.
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
from time import monotonic, sleep
from typing import NamedTuple

import numpy as np

from benchmarks.machine import arguments, percentile, this_machine
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
from storage.opensearch.nodes.connection import Cluster, ClusterSettings
from storage.opensearch.nodes.nodes import NodeSettings

SHAPES = "1x1,1x2,1x3,2x2,3x1,3x3"
HEAD = """| nodes | shards | copies | items/s | CPU ms an item | one at a time/s | p50 | p99 ms \
| CPU ms | eight/s | p50 | p99 ms | CPU ms |
|---|---|---|---|---|---|---|---|---|---|---|---|---|"""
WIRE = Caller("wire", frozenset({"wire"}))
WIDTH, WORDS, BATCH, THREADS = 64, 2_000, 200, 8
_CREATED = datetime(2026, 3, 1, tzinfo=UTC)


def main() -> None:
    """Run the benchmark."""
    parser = arguments(__doc__, json=False)
    parser.add_argument("--items", type=int, default=3_000)
    parser.add_argument("--seconds", type=float, default=8.0, help="of each measurement")
    parser.add_argument("--shapes", default=SHAPES)
    chosen = parser.parse_args()
    machine = this_machine()
    print(HEAD, flush=True)
    for shape in chosen.shapes.split(","):
        nodes, shards = map(int, shape.split("x"))
        print(_row(nodes, shards, chosen.items, chosen.seconds), flush=True)
    print(machine)


def _row(nodes: int, shards: int, items: int, seconds: float) -> str:
    with bench_of(nodes, shards) as bench, bench.engine(NodeSettings()) as engine:
        before = cpu_ms(engine.cluster)
        rate = ingest(engine, items)
        cells = [f"{nodes}", f"{shards}", f"{min(2, nodes)}", f"{rate:,.0f}"]
        cells.append(f"{(cpu_ms(engine.cluster) - before) / items:.1f}")
        for threads in (1, THREADS):
            cells += _measured(engine, threads, seconds)
    return f"| {' | '.join(cells)} |"


def _measured(engine: OpenSearchEngine, threads: int, seconds: float) -> list[str]:
    """Return searches a second, percentiles, and the nodes' processor time for each search, after a
    warm-up.
    """
    with searched(engine, threads) as samples:
        sleep(seconds / 2)
        first, before = monotonic(), cpu_ms(engine.cluster)
        sleep(seconds)
        last, spent = monotonic(), cpu_ms(engine.cluster) - before
    kept = [each for each in samples if first <= each.began + each.took < last]
    wrong = [each.wrong for each in kept if each.wrong]
    assert not wrong, wrong[0]
    times = [f"{percentile(_seconds(kept), at):.1f}" for at in (50, 99)]
    return [f"{len(kept) / (last - first):.1f}", *times, f"{spent / len(kept):.1f}"]


def _seconds(samples: list[Sample]) -> list[float]:
    return [each.took for each in samples]


def cpu_ms(cluster: Cluster) -> float:
    """Return the processor time of all nodes since they started."""
    nodes = cluster.ask("GET", "/_nodes/stats/process")["nodes"].values()
    return float(sum(node["process"]["cpu"]["total_in_millis"] for node in nodes))


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


if __name__ == "__main__":
    main()
