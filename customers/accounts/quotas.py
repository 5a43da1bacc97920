"""Quotas of accounts: for each method one for a minute and one for a day. The service's limiter
counts.

A quota of n allows n requests at once and n in each minute (or day) in the long run: requests are
paid back evenly. So an account with fewer than n requests in every minute is never refused, and in
t minutes at most n + n * t requests are accepted.

No quota delays a kill notice. A poll of a feed over its quota still gets the kills behind its
position (`api/customers/held.py`). The position stays, so that all else comes in order as soon as
the quota allows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from core.customers.accounts import AccountBook, Method, Quota
from core.limits import Allowed, Limit, Limiter

MINUTE_S, DAY_S = 60.0, 86_400.0
_STANDARD = Quota()


@dataclass(frozen=True, slots=True)
class QuotaUse:
    """How much of a method's quota is used: of the minute's or of the day's, whichever is nearer to
    its limit. All is paid back after `seconds_left`, rounded up. A refused request may be repeated
    after `retry_after` seconds; 0 for an accepted one.
    """

    name: Method
    used: int
    limit: int
    seconds_left: int
    retry_after: float = 0.0

    @property
    def is_refused(self) -> bool:
        """Return whether the request exceeds the quota."""
        return self.retry_after > 0

    def headers(self) -> dict[str, str]:
        """Return the headers of AP Media API."""
        return {
            "x-mediaapi-Q-name": str(self.name),
            "x-mediaapi-Q-used": f"{self.used}/{self.limit}",
            "x-mediaapi-Q-secondsLeft": str(self.seconds_left),
        }


class Quotas:
    """Counts requests of accounts, together with every process that shares the limiter.

    `standard` are the quotas of accounts without their own.
    """

    def __init__(
        self,
        limiter: Limiter,
        book: Callable[[], AccountBook],
        standard: Mapping[Method, Quota],
    ) -> None:
        self._limiter = limiter
        self._book = book
        self._standard = standard

    def of(self, account: str) -> Mapping[Method, Quota]:
        """Return the quotas of an account, for every method; empty for a name that is not an
        account.
        """
        known = self._book().accounts.get(account)
        if known is None:
            return {}
        return {method: self._of(known.quotas, method) for method in Method}

    def take(self, account: str, method: Method) -> QuotaUse | None:
        """Count one request, unless it is refused; return the use. None if there is no such
        account: a key of the settings has a rate and no quota.
        """
        known = self._book().accounts.get(account)
        if known is None:
            return None
        quota = self._of(known.quotas, method)
        uses: list[QuotaUse] = []
        for period, most, seconds in (
            ("minute", quota.minute, MINUTE_S),
            ("day", quota.day, DAY_S),
        ):
            limit = Limit(f"{method} {period}", most, seconds, most)
            answer = self._limiter.take(limit, account)
            left = answer.left if isinstance(answer, Allowed) else 0
            retry = 0.0 if isinstance(answer, Allowed) else max(answer.retry_after, 1e-3)
            used = most - left
            paid_back = math.ceil(used * seconds / most)
            uses.append(QuotaUse(method, used, most, paid_back, retry))
            if retry:
                return uses[-1]
        return max(uses, key=lambda use: use.used / use.limit)

    def _of(self, own: Mapping[Method, Quota], method: Method) -> Quota:
        return own.get(method) or self._standard.get(method, _STANDARD)
