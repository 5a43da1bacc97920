"""What an HNSW graph is built and searched with (Malkov and Yashunin, 2018)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Implementation: TypeAlias = Literal["faiss", "hnswlib"]
Precision: TypeAlias = Literal["fp32", "fp16", "int8", "pq", "binary"]

# How many times as many candidates as asked for are taken from the graph and scored again by the
# kept vectors. On passage vectors of 384 dimensions that finds what the full vectors do, to a
# hundredth (docs/vector-graphs.md).
RESCORE: dict[Precision, int] = {"fp32": 1, "fp16": 1, "int8": 2, "pq": 4, "binary": 8}


@dataclass(frozen=True, slots=True)
class HnswSettings:
    """Build and query parameters.

    `m` is the number of links per node (twice as many on the lowest level), `ef_construction` the
    width of the search for them when a node is added, `ef_search` the width when searching.

    `exact_below`: with fewer allowed rows than this a scan of them is faster than the graph, and
    has no loss. Above it the walk is widened as the allowed share shrinks, and further where too
    few of what it finds are allowed, until a scan costs less. A graph of at most `exact_whole` rows
    is not walked at all: scanning it takes about a millisecond.

    `precision` is that of the vectors which the walk compares: fp32; fp16; int8, a byte per
    dimension; pq, a byte per four dimensions (Jegou, Douze and Schmid, 2011); binary, a bit per
    dimension (RaBitQ: Gao and Long, 2024). The last three take `rescore` times as many candidates
    and order them by their float16 vectors, which stay on disk; 0 for the precision's own factor.
    """

    m: int = 32
    ef_construction: int = 200
    ef_search: int = 300
    exact_below: int = 4000
    exact_whole: int = 10_000
    implementation: Implementation = "faiss"
    precision: Precision = "fp32"
    rescore: int = 0

    @property
    def kind(self) -> str:
        """Implementation and precision, such as `faiss:fp32`."""
        return f"{self.implementation}:{self.precision}"

    @property
    def rescored(self) -> int:
        """How many candidates are taken for each row asked for."""
        return self.rescore or RESCORE[self.precision]
