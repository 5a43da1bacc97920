"""Chooses which of an item's recorded vectors go into its document.

OpenSearch refuses a document with more than 10,000 nested documents (`nested_objects.limit`) and a
request of more than 100 MB (`http.max_content_length`). The longest items have more passages. Only
their first passages are indexed, and vector search finds them by these; the cosine of a hit is over
all its vectors, from the record.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from core.items import FloatMatrix
from storage.opensearch.index.body import VectorSpace
from storage.record.port import VectorReads

MOST_PASSAGES = 5_000  # of a document, over all fields
_MOST_NUMBERS = 4_000_000  # in these vectors; about 12 bytes each on their way


def indexed_vectors(
    reads: VectorReads, spaces: Mapping[str, VectorSpace], field: str, seqs: Sequence[int]
) -> dict[int, FloatMatrix]:
    """Return the vectors of `field` for the documents of `seqs`: float32 [n, d] each."""
    width = sum(space.width for space in spaces.values())
    most = max(1, min(MOST_PASSAGES // len(spaces), _MOST_NUMBERS // width))
    found = reads.vectors_by_seq(field, spaces[field].encoder, seqs)
    return {seq: matrix[:most] for seq, matrix in found}
