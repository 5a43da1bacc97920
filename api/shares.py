"""Each caller's share of a service: how many requests at the same time, and how many a second."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial
from math import ceil
from threading import Lock

from api.problems import TooManyError
from core.callers import Caller
from core.limits import Limit, Limiter, Refused, Share

_BURST_S = 2.0  # of its rate a caller may take at once


class Shares:
    """Lets requests in as long as their callers keep to their shares; thread-safe.

    `limiter` counts over all processes that share it; requests at the same time are counted here.
    """

    def __init__(self, limiter: Limiter) -> None:
        self._limiter = limiter
        self._lock = Lock()
        self._inside: Counter[str] = Counter()  # by the caller's name

    def enter(self, caller: Caller) -> Callable[[], None]:
        """Lets a request in; what is returned must be called at its end. Raises TooManyError."""
        name, share = caller.name, caller.share
        with self._lock:
            if self._inside[name] >= share.concurrency:
                raise TooManyError(
                    f"{share.concurrency} requests of this key are being answered already.", 1.0
                )
            self._inside[name] += 1
        try:
            answer = self._limiter.take(_limit(share), name)
        except BaseException:
            self._leave(name)
            raise
        if isinstance(answer, Refused):
            self._leave(name)
            raise TooManyError(
                f"This key has made more than {share.rate:g} requests a second.", answer.retry_after
            )
        return partial(self._leave, name)

    def _leave(self, name: str) -> None:
        with self._lock:
            self._inside[name] -= 1
            if not self._inside[name]:
                del self._inside[name]


def _limit(share: Share) -> Limit:
    return Limit("requests", share.rate, 1.0, max(1, ceil(_BURST_S * share.rate)))
