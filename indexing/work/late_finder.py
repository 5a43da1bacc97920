"""A shot finder that is loaded for the first video: photos need none."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

from core.media import FrameBatch, Gap, ShotBounds
from indexing.work.stages.decoding import ShotFinder


class LateFinder:
    """`indexing.work.stages.decoding.ShotFinder` that calls `load` once, when needed. Thread-safe.
    If loading fails, the video fails with the reason, and the next one tries again.
    """

    def __init__(self, load: Callable[[], ShotFinder]) -> None:
        self._load = load
        self._lock = threading.Lock()
        self._loaded: ShotFinder | None = None

    @property
    def digest(self) -> str:
        """Return the digest of the loaded finder."""
        return self._finder().digest

    def shots(self, source: Iterator[FrameBatch | Gap]) -> Iterator[ShotBounds]:
        """Find shots with the loaded finder."""
        return self._finder().shots(source)

    def _finder(self) -> ShotFinder:
        with self._lock:
            if self._loaded is None:
                self._loaded = self._load()
            return self._loaded
