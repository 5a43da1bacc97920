"""The parts of a service that deal with accounts, for its routes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any

from core.callers import Caller
from core.ports.customers import AuditLog
from customers.accounts.desk import AccountDesk
from customers.accounts.downloads import Downloads
from customers.accounts.in_force import AccountsInForce
from customers.accounts.quotas import Quotas
from customers.accounts.usage import UsageCounts


@dataclass(frozen=True, slots=True)
class AccountParts:
    """The accounts of a service. `desk` is where a caller changes them, `used` the rows of
    `customers.accounts.usage.usage_rows` from the first day to the last one, of one account or of
    all. A process that answers what another one let in `counts` no requests.
    """

    in_force: AccountsInForce
    quotas: Quotas
    downloads: Downloads
    usage: UsageCounts
    audit: AuditLog
    desk: Callable[[Caller], AccountDesk]
    used: Callable[[date, date, str], list[dict[str, Any]]]
    counts: bool = True

    def title(self, caller: Caller) -> str:
        """Return the name of a caller's organisation as customers read it."""
        account = self.in_force.book.accounts.get(caller.account)
        return account.title if account else caller.name
