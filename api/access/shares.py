"""Each caller's share of a service: requests at the same time, and requests a second."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial
from math import ceil
from threading import Lock
from time import monotonic

from api.problems import TooManyError
from core.callers import Caller
from core.limits import Limit, Limiter, Refused, Share

_BURST_S = 2.0  # a caller may use up the rate of this many seconds at once


class Shares:
    """Lets requests in while their callers keep to their shares; thread-safe.

    `limiter` counts over all processes that share it. Requests at the same time are counted in this
    process.
    """

    def __init__(self, limiter: Limiter) -> None:
        self._limiter = limiter
        self._lock = Lock()
        self._inside: Counter[str] = Counter()  # by the caller's name
        self._spent: dict[str, float] = {}  # the moment until which a name's rate is used up

    def check(self, caller: Caller) -> None:
        """Raise TooManyError if it is known, without counting, that `enter` would."""
        with self._lock:
            self._check_concurrency(caller)
            left = self._spent.get(caller.name, 0.0) - monotonic()
        if left > 0:
            raise _over_rate(caller, left)

    def enter(self, caller: Caller) -> Callable[[], None]:
        """Let a request in; call the returned function at its end. Raises TooManyError."""
        name, share = caller.name, caller.share
        with self._lock:
            self._check_concurrency(caller)
            self._inside[name] += 1
        try:
            answer = self._limiter.take(_limit(share), name)
        except BaseException:
            self._leave(name)
            raise
        if isinstance(answer, Refused):
            self._leave(name)
            self._spent[name] = monotonic() + answer.retry_after
            raise _over_rate(caller, answer.retry_after)
        return partial(self._leave, name)

    def _check_concurrency(self, caller: Caller) -> None:
        most = caller.share.concurrency
        if self._inside[caller.name] >= most:
            raise TooManyError(f"{most} requests of this key are being answered already.", 1.0)

    def _leave(self, name: str) -> None:
        with self._lock:
            self._inside[name] -= 1
            if not self._inside[name]:
                del self._inside[name]


def _over_rate(caller: Caller, retry_after: float) -> TooManyError:
    rate = caller.share.rate
    return TooManyError(f"This key has made more than {rate:g} requests a second.", retry_after)


def _limit(share: Share) -> Limit:
    return Limit("requests", share.rate, 1.0, max(1, ceil(_BURST_S * share.rate)))
