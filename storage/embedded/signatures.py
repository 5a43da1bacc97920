"""Text signatures in the record of truth: written with each version, read for near-duplicates.

A version that was recorded without one (by an earlier program, or under an earlier scheme) is given
its signature when it is asked for, kept in memory, and recorded by `add_missing` (`dateline
rebuild`).
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Sequence

import numpy as np

from core.near_duplicates import TextSignatures
from core.retrieval import Ids
from storage.embedded.reading import items_by_seq, signatures_by_seq
from storage.embedded.record import Record, storage_errors
from storage.near_duplicates import COLUMNS, SCHEME, as_rows, signature_of

_KEPT = 20_000  # signatures of 256 bytes
_PAGE = 500
_NONE = bytes(2 * COLUMNS)
_MISSING = (
    "SELECT seq FROM items WHERE seq > ? AND NOT EXISTS (SELECT 1 FROM signatures"
    " WHERE signatures.seq = items.seq AND scheme = ?) ORDER BY seq LIMIT ?"
)


def add_missing(record: Record) -> int:
    """Records the signature of every version that has none of this scheme; how many those were."""
    last, count = 0, 0
    with storage_errors(record.path):
        while rows := record.reader.execute(_MISSING, (last, SCHEME, _PAGE)).fetchall():
            seqs = [int(seq) for (seq,) in rows]
            record.add_signatures(_made(record.reader, seqs))
            last, count = seqs[-1], count + len(seqs)
    return count


class StoredSignatures:
    """Reads signatures by seq; makes those that are missing, and keeps them: a version's text never
    changes. Thread-safe.
    """

    def __init__(self) -> None:
        self._kept: dict[int, bytes] = {}
        self._lock = threading.Lock()

    def of(self, connection: sqlite3.Connection, ids: Ids) -> TextSignatures:
        """The signatures of versions, by seq."""
        seqs = ids.tolist()
        found = signatures_by_seq(connection, SCHEME, seqs)
        if len(found) < len(seqs):
            found |= self._missing(connection, [seq for seq in seqs if seq not in found])
        signatures = [found.get(seq) or _NONE for seq in seqs]
        comparable = np.array([signature is not _NONE for signature in signatures], np.bool_)
        return TextSignatures(as_rows(signatures), comparable)

    def _missing(self, connection: sqlite3.Connection, seqs: Sequence[int]) -> dict[int, bytes]:
        with self._lock:
            found = {seq: self._kept[seq] for seq in seqs if seq in self._kept}
        made = _made(connection, [seq for seq in seqs if seq not in found])
        with self._lock:
            if len(self._kept) + len(made) > _KEPT:
                self._kept.clear()
            self._kept |= made
        return found | made


def _made(connection: sqlite3.Connection, seqs: Sequence[int]) -> dict[int, bytes]:
    return {seq: signature_of(item) for seq, item in items_by_seq(connection, seqs).items()}
