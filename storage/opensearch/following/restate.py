"""Stories as what the index is to hold of them: the middle of every projection, new or repeated.

A version that its story does not show is not deleted from the index: a document takes its place
that has its number and nothing else. OpenSearch remembers the version of a document for as long as
there is one; that of a deletion for `index.gc_deletes`, and not beyond a restart of its node or a
move of its shard. A process that read the record before a kill and was then held up (by a node that
restarted, a machine that slept) would find nothing that is newer, and bring back what was killed.
The price is a document of 32 to 43 bytes for each version that is not shown (`measured_sizes.py`);
the words and vectors that were there go as with a deletion.
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
    """Operations that bring the index to what the record says of some stories, what these show, and
    the vectors in the documents: by field and seq, float32 [n, d].
    """

    operations: Sequence[Operation]
    shown: Shown
    vectors: Mapping[str, Mapping[int, FloatMatrix]]


def hidden(seq: int, version: int) -> Operation:
    """Puts in a document's place what no search finds, and what keeps out everything older."""
    return Operation(seq, version, orjson.dumps({"seq": seq}))


def is_hidden(source: Mapping[str, Any]) -> bool:
    """Whether that is kept of a document that `hidden` has put in another one's place."""
    return "chain" not in source


def restated(
    reads: RecordReads,
    chains: Iterable[str],
    spaces: Mapping[str, VectorSpace],
    now: int,
    version: int,
) -> Restated:
    """The stories `chains` as of `now` (microseconds), each operation of `version`: the number of
    the newest change that `reads` sees. A version that its story does not show is `hidden`.
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
