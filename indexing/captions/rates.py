"""Limits requests and tokens a minute to a provider, over all processes together."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

_JITTER, _MOST_JITTER_S = 0.1, 1.0  # of a pause: callers that wait do not all ask at once


class RateLog(Protocol):
    """Keeps the requests of the last minute, for every process of an archive."""

    def take(
        self,
        name: str,
        tokens: int,
        most_requests: float,
        most_tokens: float,
        minute_s: float,
    ) -> float:
        """Notes one request of `tokens` under a provider's name and returns 0, unless a sum over
        the last `minute_s` seconds would pass its limit: then returns the seconds until there may
        be room. One step; a request has at most `most_tokens`. Raises StorageError.
        """
        ...


@dataclass(frozen=True, slots=True)
class Rates:
    """Limits over any sliding minute; 0 is no limit. Without limits `log` is not asked.
    Thread-safe.
    """

    log: RateLog | None = None
    name: str = ""
    requests: int = 0
    tokens: int = 0
    minute_s: float = 60.0
    sleep: Callable[[float], None] = time.sleep

    def take(self, tokens: int, patience_s: float) -> bool:
        """Waits until one request of `tokens` may be made; returns False if that would take more
        than `patience_s` seconds. Raises StorageError.

        A request of more tokens than a minute allows takes the whole minute.
        """
        if self.log is None or not (self.requests or self.tokens):
            return True
        most_requests, most_tokens = self.requests or float("inf"), self.tokens or float("inf")
        tokens = min(tokens, self.tokens or tokens)
        deadline = time.monotonic() + patience_s
        while True:
            pause = self.log.take(self.name, tokens, most_requests, most_tokens, self.minute_s)
            if pause <= 0:
                return True
            if time.monotonic() + pause > deadline:
                return False
            jitter = min(pause * _JITTER, _MOST_JITTER_S)
            self.sleep(pause + random.uniform(0, jitter))  # noqa: S311 - no secret
