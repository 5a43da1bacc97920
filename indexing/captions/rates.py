"""No more requests and tokens a minute than a provider was promised, in this process."""

from __future__ import annotations

from types import TracebackType
from typing import Any

_UNITS = 10_000  # tokens are counted in steps of the limit's ten-thousandth: one entry a step


class Rates:
    """Limits over any minute that slides along; 0 is none. Thread-safe."""

    def __init__(self, requests: int = 0, tokens: int = 0, minute_ms: int = 60_000) -> None:
        self._requests = _limiter(requests, minute_ms)
        self._step = max(1, -(-tokens // _UNITS))
        self._most = tokens // self._step
        self._tokens = _limiter(self._most, minute_ms)

    def take(self, tokens: int, patience_s: float) -> bool:
        """Waits until one request of `tokens` may be made; False after `patience_s` seconds.

        A request of more tokens than fit into a minute takes the whole minute.
        """
        steps = min(-(-tokens // self._step), self._most)
        return _taken(self._requests, 1, patience_s) and _taken(self._tokens, steps, patience_s)

    def close(self) -> None:
        """Ends the limiters' threads."""
        for limiter in (self._requests, self._tokens):
            if limiter is not None:
                limiter.close()

    def __enter__(self) -> Rates:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _limiter(most: int, interval_ms: int) -> Any:
    if most <= 0:
        return None
    from pyrate_limiter import InMemoryBucket, Limiter, Rate

    return Limiter(InMemoryBucket([Rate(most, interval_ms)]))


def _taken(limiter: Any, weight: int, patience_s: float) -> bool:
    if limiter is None:
        return True
    return bool(limiter.try_acquire("captions", weight, blocking=True, timeout=patience_s))
