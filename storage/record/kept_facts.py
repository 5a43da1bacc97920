"""Keeps facts of versions that were read from the record: the facts under a seq never change."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence

from storage.record.facts import FactRow
from storage.record.port import RecordOfTruth

_KEPT = 20_000  # versions, of some kilobytes


class KeptFacts:
    """The facts of versions by seq, kept up to a limit. Thread-safe."""

    def __init__(self, record: RecordOfTruth) -> None:
        self._record = record
        self._kept: dict[int, FactRow] = {}
        self._lock = threading.Lock()

    def of(self, seqs: Sequence[int]) -> Mapping[int, FactRow]:
        """Return the facts of the `seqs` that are recorded."""
        with self._lock:
            found = {seq: self._kept[seq] for seq in seqs if seq in self._kept}
        missing = [seq for seq in dict.fromkeys(seqs) if seq not in found]
        if missing:
            fresh = self._record.reads.facts_by_seq(missing)
            found |= fresh
            with self._lock:
                if len(self._kept) + len(fresh) > _KEPT:
                    self._kept.clear()
                self._kept |= fresh
        return found
