"""The headers that say how much of a quota is used.

Accounts have quotas of their own (`customers/quotas.py`). Where a caller has no account, its
requests of the present minute are counted here, in this process, against the rate that its key may
ask at.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, Protocol

from starlette.types import Scope

from api.access.counted import method_of
from core.accounts import Method
from core.callers import Caller

_MINUTE = 60


class Told(Protocol):
    """How much of a quota is used, as headers."""

    def headers(self) -> dict[str, str]:
        """AP's headers."""
        ...


@dataclass(frozen=True, slots=True)
class Used:
    """How much of a method's quota is used, and in how many seconds it begins anew."""

    name: str
    used: int
    limit: int
    seconds_left: int

    def headers(self) -> dict[str, str]:
        """AP's headers."""
        return {
            "x-mediaapi-Q-name": self.name,
            "x-mediaapi-Q-used": f"{self.used}/{self.limit}",
            "x-mediaapi-Q-secondsLeft": str(self.seconds_left),
        }


@dataclass(slots=True)
class MinuteCounts:
    """Requests by caller and method since the present minute began; thread-safe."""

    clock: Callable[[], float] = time.time
    _minute: int = 0
    _counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    _lock: Lock = field(default_factory=Lock)

    def add(self, caller: Caller, name: str) -> Used:
        """Counts one request."""
        now = self.clock()
        with self._lock:
            if self._minute != (minute := int(now // _MINUTE)):
                self._minute = minute
                self._counts.clear()
            self._counts[caller.account, name] += 1
            used = self._counts[caller.account, name]
        limit = max(used + 1, math.ceil(caller.share.rate * _MINUTE))
        return Used(name, used, limit, _MINUTE - int(now % _MINUTE))


def rates_of(caller: Caller) -> list[dict[str, Any]]:
    """The quotas of a caller without an account: what its key may ask in a minute, by method."""
    limit = math.ceil(caller.share.rate * _MINUTE)
    return [{"method": str(name), "limit": limit, "period": "minute"} for name in Method]


def quota_headers(scope: Scope, counts: MinuteCounts) -> dict[str, str]:
    """The headers for a request that was let in; empty if nobody was."""
    state = scope.get("state", {})
    used: Told | None = state.get("quota")
    if used is None and (caller := state.get("known")) is not None:
        used = counts.add(caller, str(method_of(scope) or Method.OTHER))
    return used.headers() if used else {}
