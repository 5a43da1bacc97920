"""Text signatures in the record of truth: written with each version, read for near-duplicates.

A version may lack a signature, because an earlier program or scheme recorded it. Its signature is
then made when it is needed and kept in memory; `add_missing` (`dateline rebuild`) records it.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np

from core.retrieval import Ids, TextSignatures
from storage.record.near_duplicates import COLUMNS, SCHEME, as_rows, signature_of
from storage.record.port import RecordOfTruth, RecordReads

_KEPT = 20_000  # signatures of 256 bytes
_PAGE = 500
_NONE = bytes(2 * COLUMNS)


def add_missing(record: RecordOfTruth) -> int:
    """Record missing signatures of this scheme; return how many were missing."""
    last, count = 0, 0
    while seqs := record.reads.without_signature(SCHEME, last, _PAGE):
        record.add_signatures(_made(record.reads, seqs))
        last, count = seqs[-1], count + len(seqs)
    return count


class StoredSignatures:
    """Reads signatures by seq; makes missing ones and keeps them, because a version's text never
    changes. Thread-safe.
    """

    def __init__(self) -> None:
        self._kept: dict[int, bytes] = {}
        self._lock = threading.Lock()

    def of(self, reads: RecordReads, ids: Ids) -> TextSignatures:
        """Return the signatures of versions, by seq."""
        seqs = ids.tolist()
        found = reads.signatures_by_seq(SCHEME, seqs)
        if len(found) < len(seqs):
            found |= self._missing(reads, [seq for seq in seqs if seq not in found])
        signatures = [found.get(seq) or _NONE for seq in seqs]
        comparable = np.array([signature is not _NONE for signature in signatures], np.bool_)
        return TextSignatures(as_rows(signatures), comparable)

    def _missing(self, reads: RecordReads, seqs: Sequence[int]) -> dict[int, bytes]:
        with self._lock:
            found = {seq: self._kept[seq] for seq in seqs if seq in self._kept}
        made = _made(reads, [seq for seq in seqs if seq not in found])
        with self._lock:
            if len(self._kept) + len(made) > _KEPT:
                self._kept.clear()
            self._kept |= made
        return found | made


def _made(reads: RecordReads, seqs: Sequence[int]) -> dict[int, bytes]:
    return {seq: signature_of(item) for seq, item in reads.items_by_seq(seqs).items()}
