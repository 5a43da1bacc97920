"""The headers that say how much of a quota is used.

Accounts have quotas of their own (`customers/accounts/quotas.py`). If a caller has no account, the
limiter that all processes share counts its requests of a minute against the rate of its key. These
headers only inform: the rate itself refuses (`api/access/shares.py`).
"""

from __future__ import annotations

import math
from typing import Any

from starlette.types import Scope

from api.access.counted import method_of
from core.callers import Caller
from core.customers.accounts import Method
from core.limits import Allowed, Limit, Limiter
from customers.accounts.quotas import QuotaUse

_MINUTE_S = 60


def used_of(caller: Caller, method: Method, limiter: Limiter) -> QuotaUse:
    """Count one request of a caller without an account. What was taken is paid back evenly, as in
    quotas of accounts.
    """
    most = _most(caller)
    answer = limiter.take(Limit(f"{method} told", most, _MINUTE_S, most), caller.account)
    used = most - answer.left if isinstance(answer, Allowed) else most
    return QuotaUse(method, used, most, math.ceil(used * _MINUTE_S / most))


def _most(caller: Caller) -> int:
    return math.ceil(caller.share.rate * _MINUTE_S)


def rates_of(caller: Caller) -> list[dict[str, Any]]:
    """Return the quotas of a caller without an account: what its key may ask in a minute, by
    method.
    """
    limit = _most(caller)
    return [{"method": str(name), "limit": limit, "period": "minute"} for name in Method]


def quota_headers(scope: Scope, limiter: Limiter) -> dict[str, str]:
    """Return the headers for a request that was let in; empty if nobody was."""
    state = scope.get("state", {})
    used: QuotaUse | None = state.get("quota")
    if used is None and (caller := state.get("known")) is not None:
        used = used_of(caller, method_of(scope) or Method.OTHER, limiter)
    return used.headers() if used else {}
