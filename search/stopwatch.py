"""How long each stage of an answer took."""

from __future__ import annotations

from collections.abc import Mapping
from time import perf_counter


class Stopwatch:
    """Milliseconds per stage, and in all."""

    def __init__(self) -> None:
        self._started = self._last = perf_counter()
        self._laps: dict[str, float] = {}
        self._ends: dict[str, float] = {}

    def lap(self, stage: str) -> None:
        """Ends a stage, and begins the next."""
        now = perf_counter()
        self._laps[stage] = (now - self._last) * 1000
        self._ends[stage] = now
        self._last = now

    def since_ms(self, stage: str) -> float | None:
        """Milliseconds since that stage ended; None if it did not run."""
        ended = self._ends.get(stage)
        return None if ended is None else (perf_counter() - ended) * 1000

    def elapsed_ms(self) -> float:
        """Milliseconds since the start."""
        return (perf_counter() - self._started) * 1000

    def report(self, inner: Mapping[str, float]) -> dict[str, float]:
        """The times of every stage, of the retriever's `inner` stages, and "total"."""
        return {**self._laps, **inner, "total": self.elapsed_ms()}
