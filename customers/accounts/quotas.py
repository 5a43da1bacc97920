"""Quotas of accounts: by method, for a minute and for a day, over the service's limiter.

A quota of n allows n requests at once and n in each minute (or day) in the long run: what was taken
is paid back evenly. So an account that keeps below n in every minute is never refused, and in t
minutes at most n + n * t requests are let in.

No quota delays a kill notice. A poll of a feed over its quota still gets the kills behind its
position (`api/customers/held.py`), which stays, so that all else comes in order as soon as the
quota allows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from core.accounts import AccountBook, Method, Quota
from core.limits import Allowed, Limit, Limiter

MINUTE_S, DAY_S = 60.0, 86_400.0
_STANDARD = Quota()


@dataclass(frozen=True, slots=True)
class QuotaUse:
    """How much of a method's quota is used: of its minute or of its day, whichever is nearer to its
    end. All is paid back in `seconds_left`, rounded up. A refused request may come again in
    `retry_after` seconds, which is 0 for one that was let in.
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

    `standard` are the quotas of accounts that have none of their own.
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
        """Count one request, unless it is refused. None if there is no such account: a key of the
        settings has a rate and no quota.
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
