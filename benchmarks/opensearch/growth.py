"""What a search and an item cost, by the number of nodes and shards of a cluster.

    python -m benchmarks.opensearch.growth [--items N] [--seconds S] [--shapes 1x1,1x2,…]

A shape is nodes x shards. Each gets its own development cluster on this machine, with the items and
searches of benchmarks/opensearch/load.py, and a copy of each shard if there are several nodes. The
nodes share this machine's cores, so the figures show only the cost, not what a cluster of real
machines gains. `CPU` is the processor time of all nodes for a search, or for an item until it is
searchable; times are of one search at a time, and of eight.
"""

from __future__ import annotations

from time import monotonic, sleep

from benchmarks.machine import arguments, percentile, this_machine
from benchmarks.opensearch.load import THREADS, Sample, bench_of, ingest, searched
from storage.opensearch.engine import OpenSearchEngine
from storage.opensearch.nodes.connection import Cluster
from storage.opensearch.nodes.nodes import NodeSettings

SHAPES = "1x1,1x2,1x3,2x2,3x1,3x3"
HEAD = """| nodes | shards | copies | items/s | CPU ms an item | one at a time/s | p50 | p99 ms \
| CPU ms | eight/s | p50 | p99 ms | CPU ms |
|---|---|---|---|---|---|---|---|---|---|---|---|---|"""


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


if __name__ == "__main__":
    main()
