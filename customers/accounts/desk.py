"""What administrators do with accounts, by the command line or over HTTP: a rule, and an entry in
the audit log in the same transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from core.audit import AuditAction, AuditEntry
from core.callers import Caller
from core.customers.accounts import (
    Account,
    AccountBook,
    AccountKey,
    Entitlement,
    Interval,
    Method,
    Plan,
    PlanStyle,
    Quota,
)
from customers.accounts import rules as rules
from customers.accounts.keys import digest_of, new_key


class Changes(Protocol):
    """The accounts, as a store or a process that has them in force offers them."""

    def change(
        self, rule: Callable[[AccountBook], AccountBook], entries: Sequence[AuditEntry] = ()
    ) -> tuple[AccountBook, AccountBook]:
        """As `core.ports.customers.AccountStore.change`."""
        ...


class AccountDesk:
    """Changes accounts for `by`. Each method raises InputError for what a rule refuses. `taken` are
    names that accounts can't have.
    """

    def __init__(
        self,
        accounts: Changes,
        by: Caller,
        clock: Callable[[], datetime],
        taken: Collection[str] = (),
    ) -> None:
        self._accounts = accounts
        self._by = by
        self._clock = clock
        self._taken = taken

    def create_account(self, name: str, title: str = "") -> Account:
        """Create an account."""
        now, taken = self._clock(), self._taken
        after = self._change(
            lambda book: rules.create_account(book, name, title, now, taken),
            AuditAction.ACCOUNT,
            {"account": name},
        )
        return after.accounts[name]

    def set_quota(self, account: str, method: Method, quota: Quota | None) -> Account:
        """Give an account its own quota for a method; None gives it the service's again."""
        limits = {} if quota is None else {"minute": quota.minute, "day": quota.day}
        after = self._change(
            lambda book: rules.set_quota(book, account, method, quota),
            AuditAction.QUOTA,
            {"account": account, "method": method, **limits},
        )
        return after.accounts[account]

    def put_entitlement(self, entitlement: Entitlement) -> Entitlement:
        """Keep an entitlement; it replaces one with the same id."""
        after = self._change(
            lambda book: rules.put_entitlement(book, entitlement),
            AuditAction.ENTITLEMENT,
            {"entitlement": entitlement.id, "products": ",".join(entitlement.products)},
        )
        return after.entitlements[entitlement.id]

    def remove_entitlement(self, number: int) -> None:
        """Remove an entitlement that no plan has."""
        self._change(
            lambda book: rules.remove_entitlement(book, number),
            AuditAction.ENTITLEMENT_REMOVE,
            {"entitlement": number},
        )

    def add_plan(
        self,
        account: str,
        name: str,
        entitlements: Sequence[int],
        style: PlanStyle = PlanStyle.DURATION,
        limit: int = 0,
        interval: Interval = Interval.MONTH,
    ) -> Plan:
        """Add a plan to an account."""
        now = self._clock()
        after = self._change(
            lambda book: rules.add_plan(
                book, account, name, entitlements, now, style, limit, interval
            ),
            AuditAction.PLAN,
            {"account": account, "entitlements": ",".join(map(str, entitlements))},
        )
        return after.plans[max(after.plans)]

    def remove_plan(self, account: str, number: int) -> None:
        """Remove a plan from an account."""
        self._change(
            lambda book: rules.remove_plan(book, account, number),
            AuditAction.PLAN_REMOVE,
            {"account": account, "plan": number},
        )

    def create_key(
        self,
        account: str,
        name: str,
        writes: Iterable[str] = (),
        *,
        may_inspect: bool = False,
        may_use_models: bool = False,
        expires: datetime | None = None,
    ) -> tuple[AccountKey, str]:
        """Create a key; return the row that is kept, and the key itself, which is kept nowhere."""
        number, key = new_key()
        made = AccountKey(
            number,
            account,
            name,
            digest_of(key),
            self._clock(),
            frozenset(writes),
            may_inspect,
            may_use_models,
            expires,
        )
        after = self._change(
            lambda book: rules.create_key(book, made),
            AuditAction.KEY,
            {"account": account, "key": number},
        )
        return after.keys[number], key

    def rotate_key(self, number: str, overlap: timedelta) -> tuple[AccountKey, str]:
        """Create a key in place of another one, which stays valid for `overlap`."""
        fresh, key = new_key()
        now = self._clock()
        after = self._change(
            lambda book: rules.rotate_key(book, number, fresh, digest_of(key), now, overlap),
            AuditAction.KEY_ROTATE,
            {"key": number, "by": fresh},
        )
        return after.keys[fresh], key

    def expire_key(self, number: str, at: datetime) -> AccountKey:
        """Let a key expire at a moment."""
        after = self._change(
            lambda book: rules.expire_key(book, number, at),
            AuditAction.KEY_EXPIRE,
            {"key": number, "at": at.isoformat()},
        )
        return after.keys[number]

    def revoke_key(self, number: str) -> AccountKey:
        """End a key at once and for good."""
        now = self._clock()
        after = self._change(
            lambda book: rules.revoke_key(book, number, now),
            AuditAction.KEY_REVOKE,
            {"key": number},
        )
        return after.keys[number]

    def _change(
        self,
        rule: Callable[[AccountBook], AccountBook],
        action: AuditAction,
        detail: Mapping[str, object],
    ) -> AccountBook:
        text = " ".join(f"{name}={value}" for name, value in detail.items())
        entry = AuditEntry(self._clock(), self._by.account, self._by.name, action, detail=text)
        return self._accounts.change(rule, [entry])[1]
