"""How large an index on OpenSearch is, by part: the figures that `dateline index plan` uses.

    python -m benchmarks.opensearch.sizes [--url http://127.0.0.1:9200] [--documents 10000]

The texts are those of the Reuters set. The vectors are artificial (points near a 32-dimensional
surface, as embeddings are), because only their number and width decide their size. Each row is one
index, settled to one segment, by the lengths of its files: `vectors` are the raw ones, `coarse` the
quantised ones that a search reads, `graph` the links of HNSW, `text` all the rest. The difference
between one and three passages an item is what a passage costs beside its vector. The difference
between no hidden versions and some is what the number that is kept of each costs.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import orjson

from benchmarks.machine import REUTERS, arguments, show, this_machine
from core.items import FloatMatrix, Item, ItemType
from storage.opensearch.index.body import IndexSettings, VectorSpace
from storage.opensearch.index.bulk import BulkSettings, BulkWriter, Operation
from storage.opensearch.index.documents import Version, document_of, hidden
from storage.opensearch.index.family import IndexFamily
from storage.opensearch.index.settle import settle
from storage.opensearch.nodes.connection import Cluster, ClusterSettings
from storage.opensearch.nodes.nodes import NodeSettings

_NOW = datetime(2024, 1, 1, tzinfo=UTC)
_NAME = "dateline-sizes"
_PARTS = {"vec": "vectors", "veq": "coarse", "vex": "graph"}
_SURFACE = 32
_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True)
class Cell:
    """One index: `links` is the graph's m, `passages` and `hidden` versions are per item."""

    library: str = "lucene"
    precision: str = "fp32"
    width: int = 384
    links: int = 16
    passages: int = 1
    hidden: int = 0

    def __str__(self) -> str:
        shape = f"{self.width} wide, m {self.links}, {self.passages} passages"
        return f"{self.library} {self.precision}, {shape}, {self.hidden} hidden"


CELLS = (
    Cell(),
    Cell(passages=3),
    Cell(links=32),
    Cell(width=768),
    Cell(precision="int8"),
    Cell(hidden=1),
    Cell(hidden=10),
)


def main() -> None:
    """Run the benchmark."""
    parser = arguments(__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=REUTERS)
    parser.add_argument("--url", default="http://127.0.0.1:9200")
    parser.add_argument("--documents", type=int, default=10_000)
    chosen = parser.parse_args()
    items = [*islice(_items(chosen.folder / "corpus.jsonl.gz"), chosen.documents)]
    figures: dict[str, Any] = {"documents": len(items)}
    figures["characters of text an item"] = sum(_length(item) for item in items) / len(items)
    cluster = Cluster(
        ClusterSettings((chosen.url,), nodes=NodeSettings(timeout_s=120), bulk_timeout_s=300)
    )
    for cell in CELLS:
        figures |= _measured(cluster, items, cell)
    cluster.close()
    show("sizes on OpenSearch", figures, this_machine(), as_json=chosen.json)


def _measured(cluster: Cluster, items: list[Item], cell: Cell) -> dict[str, Any]:
    settings = IndexSettings(1, 0, cell.library, cell.precision, m=cell.links)
    family = IndexFamily(cluster, _NAME, settings, {"text": VectorSpace("made up", cell.width)})
    family.open()
    try:
        began = perf_counter()
        writer = BulkWriter(cluster, family.writes_to, BulkSettings())
        operations = _written(items, cell)
        while few := [*islice(operations, _AT_ONCE)]:
            assert not writer.write(few).refused
            family.refresh()  # a segment of its own, because merging one segment does nothing
        taken = perf_counter() - began
        told = settle(cluster, _NAME, family.spaces, print, searches=1)
        assert told.released
        sizes = part_sizes(cluster, _NAME)
    finally:
        cluster.ask("DELETE", f"/{family.concrete},{family.meta}")
    count = len(items)
    rows = {part: sizes.get(part, 0) / (count * cell.passages) for part in _PARTS.values()}
    return {
        f"{cell}: text, bytes an item": sizes["text"] / count,
        **{f"{cell}: {part}, bytes a passage": size for part, size in rows.items()},
        f"{cell}: items written a second": count / taken,
        f"{cell}: all before it was settled, bytes an item": told.bytes_before / count,
    }


def part_sizes(cluster: Cluster, name: str) -> dict[str, int]:
    """Return bytes of an index's primary shards by part; Lucene names files by three letters."""
    path = f"/{name}/_stats/segments"
    reply = cluster.ask("GET", path, include_segment_file_sizes="true")
    files = reply["_all"]["primaries"]["segments"]["file_sizes"]
    found = {"text": 0}
    for kind, about in files.items():
        part = _PARTS.get(kind, "text")
        found[part] = found.get(part, 0) + about["size_in_bytes"]
    return found


def _written(items: list[Item], cell: Cell) -> Iterator[Operation]:
    """Yield the items, each followed by the numbers of its hidden versions."""
    chance = np.random.default_rng(0)
    surface = chance.standard_normal((_SURFACE, cell.width))
    for place, item in enumerate(items):
        rows = chance.standard_normal((cell.passages, _SURFACE)) @ surface
        rows += 0.3 * chance.standard_normal(rows.shape) * np.sqrt(_SURFACE)
        matrix: FloatMatrix = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(
            np.float32
        )
        seq = 1 + place * (1 + cell.hidden)
        version = Version(seq, item, item.uri, ((None, None),), {"text": matrix})
        yield Operation(seq, 1, document_of(version))
        yield from (hidden(seq + more, 1) for more in range(1, cell.hidden + 1))


def _items(corpus: Path) -> Iterator[Item]:
    with gzip.open(corpus) as lines:
        for line in lines:
            row = orjson.loads(line)
            title, text = row.get("title", ""), row["text"]
            plain = Item(
                row["_id"], 1, ItemType.TEXT, _NOW, _NOW, title, products=("all",), body=text
            )
            yield plain


def _length(item: Item) -> int:
    return len(item.headline) + len(item.body)


if __name__ == "__main__":
    main()
