"""Measured sizes of the parts of an index, for `plan.py`.

    python -m benchmarks.opensearch_sizes --documents 3000

measured the figures of Lucene on 3,000 items of 774 characters: 842 bytes an item, and 24 bytes a
passage without its vectors. Vectors lie on the disk once, because the mapping leaves out the column
that the k-NN plugin would make of them. int8 keeps them, and searches coarse ones of one byte a
number. Until an index is settled, it also has each vector as it was sent: 12 bytes a number or
more. A hidden version takes HIDDEN_BYTES with one of them per item, and 32 bytes with ten per item
(141 and 61 before the index is settled): the gaps in the items' columns cost only once.

faiss was not measured. Its figures are its makers' estimate (k-NN plugin, "Approximate k-NN
search", memory estimation): 1.1 (4 d + 8 M) bytes a vector, with 2 d instead of 4 d at fp16; and
the column.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from core.errors import SettingsError


@dataclass(frozen=True, slots=True)
class Measured:
    """Bytes in a settled index, by library and precision: for a `character` of text, for a
    `passage` without its vectors, and for a number of a vector: in its `column`, as searches have
    it (`raw`), and in the smaller copy that searches read instead (`coarse`, 0 for none).
    """

    library: str
    precision: str
    character: float
    passage: float
    column: float
    raw: float
    coarse: float
    how: str


HIDDEN_BYTES = 43.0  # of the document of a version that is not shown
_LUCENE = "measured"
_FAISS = "by its makers' estimate, not measured"
MEASURED: Sequence[Measured] = (
    Measured("lucene", "fp32", 1.09, 23.5, 0.0, 4.0, 0.0, _LUCENE),
    Measured("lucene", "int8", 1.09, 23.5, 0.0, 4.0, 1.016, _LUCENE),
    Measured("faiss", "fp32", 1.09, 23.5, 4.0, 4.4, 0.0, _FAISS),
    Measured("faiss", "fp16", 1.09, 23.5, 4.0, 2.2, 0.0, _FAISS),
)


def sizes_of(library: str, precision: str) -> Measured:
    """Return the row of a library and precision. Raises SettingsError if there is none."""
    for row in MEASURED:
        if (row.library, row.precision) == (library, precision):
            return row
    known = ", ".join(f"{row.library} {row.precision}" for row in MEASURED)
    what = f"the sizes of {library} {precision} are not known"
    raise SettingsError(what, where="opensearch_precision", mend=f"known are {known}")


def link_bytes(library: str, links: int, vectors: float) -> float:
    """Return the most bytes that one vector's links take in a graph of `vectors`: 2 M links on the
    lowest level. Lucene writes the difference from one neighbour's number to the next, 7 bits a
    byte; faiss takes 8 bytes for each of M, and a tenth more.
    """
    if library == "faiss":
        return 1.1 * 8 * links
    gap = max(1.0, vectors / (2 * links))
    return 2.0 * links * max(1, -(-max(1, int(gap)).bit_length() // 7))
