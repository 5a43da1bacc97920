"""Facts of versions, read from the record once: under its seq a version's facts never change."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence

from storage.record.facts import FactRow
from storage.record.port import RecordOfTruth

_KEPT = 20_000  # versions, of some kilobytes


class KeptFacts:
    """The facts of versions by seq, kept up to a limit. Safe to use from any number of threads."""

    def __init__(self, record: RecordOfTruth) -> None:
        self._record = record
        self._kept: dict[int, FactRow] = {}
        self._lock = threading.Lock()

    def of(self, seqs: Sequence[int]) -> Mapping[int, FactRow]:
        """Those of `seqs` that are recorded."""
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
