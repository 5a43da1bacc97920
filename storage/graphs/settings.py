"""Parameters to build and search an HNSW graph (Malkov and Yashunin, 2018)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Implementation: TypeAlias = Literal["faiss", "hnswlib", "faiss-gpu", "faiss-ivf"]
Precision: TypeAlias = Literal["fp32", "fp16", "int8", "pq", "binary"]

# The graph is asked for this many times the wanted candidates; the kept vectors then score them
# again. On passage vectors of 384 dimensions the recall is that of full vectors, to within a
# hundredth (docs/vector-graphs.md).
RESCORE: dict[Precision, int] = {"fp32": 1, "fp16": 1, "int8": 2, "pq": 4, "binary": 8}


@dataclass(frozen=True, slots=True)
class HnswSettings:
    """Build and query parameters.

    `m` is the number of links per node (twice as many on the lowest level). `ef_construction` is
    the width of the search for links when a node is added, `ef_search` the width of a search.

    With fewer than `exact_below` allowed rows, a scan of them is faster than the graph and exact.
    With more, the walk is widened as the allowed share shrinks, and again if too few of the rows
    found are allowed, until a scan costs less. A graph of at most `exact_whole` rows is always
    scanned, which takes about a millisecond.

    `precision` is that of the vectors which the walk compares: fp32; fp16; int8, a byte per
    dimension; pq, a byte per four dimensions (Jegou, Douze and Schmid, 2011); binary, a bit per
    dimension (RaBitQ: Gao and Long, 2024). With the last three, the graph returns `rescore` times
    as many candidates, and their float16 vectors on disk order them; 0 means the precision's own
    factor.

    `faiss-ivf` has inverted lists in place of a graph, only in pq (two bits a dimension): a
    search reads a list for 3 of its width, and `m` and `ef_construction` have no meaning.
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
        """The number of candidates from the graph for each wanted row."""
        return self.rescore or RESCORE[self.precision]
