"""Stories as what the index is to hold of them: the middle of every projection, new or repeated."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from core.items import FloatMatrix
from storage.opensearch.bulk import Operation
from storage.opensearch.documents import Version, document_of
from storage.opensearch.index_body import VectorSpace
from storage.opensearch.shown import Shown, shown_of
from storage.record_port import RecordReads


@dataclass(frozen=True, slots=True)
class Restated:
    """Operations that bring the index to what the record says of some stories, what these show, and
    the vectors in the documents: by field and seq, float32 [n, d].
    """

    operations: Sequence[Operation]
    shown: Shown
    vectors: Mapping[str, Mapping[int, FloatMatrix]]


def restated(
    reads: RecordReads,
    chains: Iterable[str],
    spaces: Mapping[str, VectorSpace],
    now: int,
    version: int,
) -> Restated:
    """The stories `chains` as of `now` (microseconds), each operation of `version`: the number of
    the newest change that `reads` sees. A version that its story does not show is taken away.
    """
    shown = shown_of(reads, chains, now)
    seqs = sorted(shown.stretches)
    vectors = {
        name: dict(reads.vectors_by_seq(name, space.encoder, seqs))
        for name, space in spaces.items()
    }
    operations = [Operation(seq, version) for seq in sorted(shown.hidden)]
    for seq, item in reads.items_by_seq(seqs).items():
        own = {name: held[seq] for name, held in vectors.items() if seq in held}
        stretches = tuple(shown.stretches[seq])
        document = document_of(Version(seq, item, shown.chains[seq], stretches, own))
        operations.append(Operation(seq, version, document))
    return Restated(operations, shown, vectors)
