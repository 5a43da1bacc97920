"""What faults of a cluster cost its searches: latency while a node hangs, by how long it is waited
for; latency around the kill of a node; searches a second by connections kept.

    python -m benchmarks.cluster_faults [--nodes N] [--shards N] [--items N] [--seconds S]
        [--parts pool,hang,kill]

Starts a development cluster of its own, as `make dev-cluster` does, and ends it. Items are of
random words with random vectors; each shard has one copy, where there are several nodes. Searches
(words and vectors, nothing is written meanwhile) are of eight threads. `waited` is the setting
opensearch_timeout_s, `kept` is opensearch_pool. Parts are pool, hang and kill.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from time import monotonic, sleep
from typing import NamedTuple

import numpy as np

from benchmarks.machine import arguments, percentile, show_table, this_machine
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
POOLS, WAITS = (1, 4, 16), (1.0, 2.0, 5.0, 10.0)
_CREATED = datetime(2026, 3, 1, tzinfo=UTC)
Row = tuple[str, ...]


class Sample(NamedTuple):
    """A search: when it began, how long it took (s), and what was wrong with it."""

    began: float
    took: float
    wrong: str


def main() -> None:
    """Runs the benchmark."""
    parser = arguments(__doc__, json=False)
    parser.add_argument("--nodes", type=int, default=3)
    parser.add_argument("--shards", type=int, default=1)
    parser.add_argument("--items", type=int, default=3_000)
    parser.add_argument("--seconds", type=float, default=6.0, help="of each measurement")
    parser.add_argument("--parts", default="pool,hang,kill")
    chosen = parser.parse_args()
    machine = this_machine()
    with bench_of(chosen.nodes, chosen.shards) as bench:
        with bench.engine(NodeSettings()) as engine:
            rate = ingest(engine, chosen.items)
        print(f"{chosen.nodes} nodes, {chosen.shards} shards: {rate:.0f} items a second went in")
        rows: list[Row] = []
        for part in filter(None, chosen.parts.split(",")):
            rows += {"pool": _pools, "hang": _hangs, "kill": _kill}[part](bench, chosen.seconds)
    show_table(("", "searches/s", "p50 ms", "p99 ms", "longest ms", "busy", "flagged"), rows)
    print(machine)


@dataclass(frozen=True, slots=True)
class Bench:
    """A cluster, and an archive in `folder` whose index is on it."""

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
            "faults",
            ClusterSettings(urls, nodes=waits),
            IndexSettings(shards=self.shards, replicas=min(1, self.shape.nodes - 1)),
        )
        record = Record(self.folder, {"text": "space"}, _clock)
        engine = OpenSearchEngine(settings, _clock, record)
        try:
            yield engine
        finally:
            engine.close()

    def process(self, node: str) -> int:
        """The process of a node."""
        (pid,) = (row["pid"] for row in self.cluster.status()["nodes"] if row["name"] == node)
        return int(pid)


@contextmanager
def bench_of(nodes: int, shards: int) -> Iterator[Bench]:
    """A cluster of its own, ended and removed afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="cluster-faults-"))
    folder.chmod(0o755)  # the nodes may run as somebody else
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
    """Items a second, until they are searchable."""
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
    """Searches of all threads while the body runs."""
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


def _row(name: str, samples: list[Sample], first: float, last: float) -> Row:
    """Of the searches that ended between two moments."""
    chosen = [each for each in samples if first <= each.began + each.took < last]
    took = [each.took for each in chosen]
    kinds = Counter(each.wrong for each in chosen)
    times = [f"{percentile(took, at):,.0f}" for at in (50, 99, 100)]
    rate = f"{len(took) / (last - first):.1f}"
    return (name, rate, *times, str(kinds["busy"]), str(kinds["flagged"]))


def _pools(bench: Bench, seconds: float) -> list[Row]:
    rows = []
    for turn, pool in product((1, 2), POOLS):
        with bench.engine(NodeSettings(pool=pool)) as engine, searched(engine) as samples:
            sleep(1)
            first = monotonic()
            sleep(seconds)
            last = monotonic()
        rows.append(_row(f"{pool} kept, turn {turn}", samples, first, last))
    return rows


def _hangs(bench: Bench, seconds: float) -> list[Row]:
    """Stops the node that the searches' point in time is on, and lets it go on."""
    rows = []
    for wait in WAITS:
        with bench.engine(NodeSettings(timeout_s=wait)) as engine, searched(engine) as samples:
            sleep(1)
            victim = bench.process(_holder(engine))
            first = monotonic()
            sleep(seconds)
            hung = monotonic()
            os.kill(victim, signal.SIGSTOP)
            try:
                sleep(max(seconds, wait + 4))
            finally:
                os.kill(victim, signal.SIGCONT)
            again = monotonic()
            sleep(seconds)
            last = monotonic()
        rows.append(_row(f"{wait:g} s waited: before", samples, first, hung))
        rows.append(_row("  while a node hangs", samples, hung, again))
        rows.append(_row("  after", samples, again, last))
    return rows


def _kill(bench: Bench, seconds: float) -> list[Row]:
    with bench.engine(NodeSettings()) as engine, searched(engine) as samples:
        sleep(1)
        number = int(_holder(engine).rpartition("-")[2])
        first = monotonic()
        sleep(seconds)
        killed = monotonic()
        bench.cluster.end_node(number, signal.SIGKILL)
        sleep(seconds)
        starting = monotonic()
        bench.cluster.start_node(number, bench.shape)
        bench.cluster.wait(bench.shape)
        back = monotonic()
        sleep(seconds)
        last = monotonic()
    return [
        _row("before a kill", samples, first, killed),
        _row("  after it", samples, killed, starting),
        _row("  while the node starts", samples, starting, back),
        _row("  when it is back", samples, back, last),
    ]


def _holder(engine: OpenSearchEngine) -> str:
    """The node that holds the point in time."""
    nodes = engine.cluster.ask("GET", "/_nodes/stats/indices/search")["nodes"].values()
    return str(max(nodes, key=lambda node: node["indices"]["search"]["open_contexts"])["name"])


if __name__ == "__main__":
    main()
