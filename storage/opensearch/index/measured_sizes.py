"""Sizes of index parts as they were measured: what `plan.py` reckons with.

    python -m benchmarks.opensearch_sizes --documents 3000

made the figures of Lucene, on 3,000 items of 774 characters: 842 bytes an item and 24 a passage
beside its vectors. Those lie on the disk once: the mapping leaves out the column that the k-NN
plugin would make of them. int8 keeps them, and searches coarse ones of a byte a number. Before an
index is settled, each vector is there as it was sent, too: 12 bytes a number and more. What is left
of a hidden version takes HIDDEN_BYTES where there is one of them an item, and 32 where there are
ten (before the index is settled 141 and 61): items' columns have gaps then, which cost once.

faiss was not measured: its figures are those of its makers (k-NN plugin, "Approximate k-NN search",
memory estimation): 1.1 (4 d + 8 M) bytes a vector, 2 d in place of 4 d at fp16; and the column.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from core.errors import SettingsError


@dataclass(frozen=True, slots=True)
class Measured:
    """Bytes of an index by library and precision, settled: of a character of text, of a passage
    beside its vectors, of a number of a vector in its `column`, as searches have it (`raw`), and as
    they read it in the place of that (`coarse`, 0 for none).
    """

    library: str
    precision: str
    character: float
    passage: float
    column: float
    raw: float
    coarse: float
    how: str


HIDDEN_BYTES = 43.0  # of a version that is not shown: its number
_LUCENE = "measured"
_FAISS = "by its makers' estimate, not measured"
MEASURED: Sequence[Measured] = (
    Measured("lucene", "fp32", 1.09, 23.5, 0.0, 4.0, 0.0, _LUCENE),
    Measured("lucene", "int8", 1.09, 23.5, 0.0, 4.0, 1.016, _LUCENE),
    Measured("faiss", "fp32", 1.09, 23.5, 4.0, 4.4, 0.0, _FAISS),
    Measured("faiss", "fp16", 1.09, 23.5, 4.0, 2.2, 0.0, _FAISS),
)


def sizes_of(library: str, precision: str) -> Measured:
    """The row of a library and precision. Raises SettingsError where there is none."""
    for row in MEASURED:
        if (row.library, row.precision) == (library, precision):
            return row
    known = ", ".join(f"{row.library} {row.precision}" for row in MEASURED)
    what = f"the sizes of {library} {precision} are not known"
    raise SettingsError(what, where="opensearch_precision", mend=f"known are {known}")


def link_bytes(library: str, links: int, vectors: float) -> float:
    """Bytes of one vector's links in a graph of `vectors`, at most: 2 M of them on the lowest
    level. Lucene writes the distance from one neighbour's number to the next, 7 bits a byte; faiss
    has 8 bytes for each of M, and a tenth more.
    """
    if library == "faiss":
        return 1.1 * 8 * links
    gap = max(1.0, vectors / (2 * links))
    return 2.0 * links * max(1, -(-max(1, int(gap)).bit_length() // 7))
