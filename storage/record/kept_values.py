"""Keeps values of versions in memory, up to a limit."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from typing import Generic, TypeVar

V = TypeVar("V")


class KeptValues(Generic[V]):
    """Values by seq, at most `most`, in two halves: when the young half is full, it replaces the
    old one, so what was used lately stays. Thread-safe.
    """

    def __init__(self, most: int) -> None:
        self._most = most // 2
        self._young: dict[int, V] = {}
        self._old: dict[int, V] = {}
        self._lock = threading.Lock()

    def of(self, seqs: Iterable[int]) -> dict[int, V]:
        """Return the values that are kept of `seqs`."""
        with self._lock:
            young, old = self._young, self._old
            found = {seq: young[seq] for seq in seqs if seq in young}
            if old:
                aged = {seq: old[seq] for seq in seqs if seq in old and seq not in young}
                found |= aged
                self._take(aged)
        return found

    def keep(self, fresh: Mapping[int, V]) -> None:
        """Keep more values."""
        with self._lock:
            self._take(fresh)

    def _take(self, fresh: Mapping[int, V]) -> None:
        if len(self._young) + len(fresh) > self._most:
            self._old, self._young = self._young, {}
        self._young |= fresh
