"""Turns stories into the operations that write them to the index.

A version that its story does not show is not deleted from the index. A document with its number and
nothing else replaces it. OpenSearch remembers the version of a document as long as the document
exists. It remembers a deletion only for `index.gc_deletes`, and not beyond a restart of the node or
a move of the shard. Suppose a process reads the record before a kill and is then delayed (by a node
that restarts, by a machine that sleeps). After a deletion it would find nothing newer and would
bring the killed version back. The price is 32 to 43 bytes for each version that is not shown
(`measured_sizes.py`); its words and vectors go as with a deletion.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from core.items import FloatMatrix
from storage.opensearch.following.indexed_vectors import indexed_vectors
from storage.opensearch.following.shown import Shown, shown_of
from storage.opensearch.index.body import VectorSpace
from storage.opensearch.index.bulk import Operation
from storage.opensearch.index.documents import Version, document_of
from storage.record.port import RecordReads


@dataclass(frozen=True, slots=True)
class Restated:
    """Operations that bring some stories in the index up to the record, what these stories show,
    and the vectors in the documents: by field and seq, float32 [n, d].
    """

    operations: Sequence[Operation]
    shown: Shown
    vectors: Mapping[str, Mapping[int, FloatMatrix]]


def hidden(seq: int, version: int) -> Operation:
    """Return the operation that replaces a document by one that no search finds and that keeps
    older states out.
    """
    return Operation(seq, version, orjson.dumps({"seq": seq}))


def is_hidden(source: Mapping[str, Any]) -> bool:
    """Return whether `hidden` made the document with this stored `source`."""
    return "chain" not in source


def restated(
    reads: RecordReads,
    chains: Iterable[str],
    spaces: Mapping[str, VectorSpace],
    now: int,
    version: int,
) -> Restated:
    """Return the stories `chains` as of `now` (microseconds). Each operation has `version`, the
    number of the newest change that `reads` sees. A version that its story does not show is
    `hidden`.
    """
    shown = shown_of(reads, chains, now)
    seqs = sorted(shown.stretches)
    vectors = {name: indexed_vectors(reads, spaces, name, seqs) for name in spaces}
    operations = [hidden(seq, version) for seq in sorted(shown.hidden)]
    for seq, item in reads.items_by_seq(seqs).items():
        own = {name: held[seq] for name, held in vectors.items() if seq in held}
        stretches = tuple(shown.stretches[seq])
        document = document_of(Version(seq, item, shown.chains[seq], stretches, own))
        operations.append(Operation(seq, version, document))
    return Restated(operations, shown, vectors)
