"""Accounts: the organisations that are served, what each may read, their keys and downloads.

An account has plans, a plan has entitlements, an entitlement has product codes. An account reads
the products of all of its plans. Only the digest of a key is kept. A download is an order of a
rendition of an item, which the ledger keeps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

FREE = Decimal(0)


class Method(StrEnum):
    """What requests are counted as, in the words of AP Media API."""

    CONTENT = "content"
    SEARCH = "search"
    FEED = "feed"
    ACCOUNT = "account"
    PLANS = "plans"
    DOWNLOADS = "downloads"
    QUOTAS = "quotas"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Quota:
    """The most requests of one method: `minute` at once and in each minute, `day` in a day."""

    minute: int = 600
    day: int = 200_000


class PlanStyle(StrEnum):
    """What a plan's meter counts."""

    DURATION = "duration"  # nothing: the plan is paid by time
    DOWNLOADS = "downloads"  # the ticks of downloads in an interval


class Interval(StrEnum):
    """How long a meter counts before it begins again, as an ISO 8601 duration. Days, months and
    years are those of UTC.
    """

    DAY = "P1D"
    MONTH = "P1M"
    YEAR = "P1Y"


@dataclass(frozen=True, slots=True)
class Account:
    """An organisation. `id` is its short name. `quotas` are those that differ from the service's,
    by method.
    """

    id: str
    title: str
    created: datetime
    quotas: Mapping[Method, Quota] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Entitlement:
    """Products that are sold together. A download takes `ticks` of a plan's meter and costs `cost`;
    beyond the meter's limit it costs `overage`, or is refused if that is None.

    `day_part` is shown to customers and limits nothing.
    """

    id: int
    name: str
    products: tuple[str, ...]
    tier: str = ""
    ticks: int = 1
    cost: Decimal = FREE
    overage: Decimal | None = None
    currency: str = "USD"
    day_part: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """What an account has bought. `limit` is the most ticks in one `interval`, for a plan whose
    meter counts downloads.
    """

    id: int
    account: str
    name: str
    entitlements: tuple[int, ...]
    added: datetime
    style: PlanStyle = PlanStyle.DURATION
    limit: int = 0
    interval: Interval = Interval.MONTH


@dataclass(frozen=True, slots=True)
class AccountKey:
    """A key of an account. `id` is public and part of the key, `digest` the sha256 of all of it.

    `writes`, `may_inspect` and `may_use_models` are as in `core.callers.Caller`.
    """

    id: str
    account: str
    name: str
    digest: bytes = field(repr=False)
    created: datetime
    writes: frozenset[str] = frozenset()
    may_inspect: bool = False
    may_use_models: bool = False
    expires: datetime | None = None
    revoked: datetime | None = None

    def is_valid(self, now: datetime) -> bool:
        """Return whether the key is neither revoked nor expired."""
        return self.revoked is None and (self.expires is None or now < self.expires)


@dataclass(frozen=True, slots=True)
class AccountBook:
    """All accounts at one moment. `version` rises with every change."""

    version: int = 0
    accounts: Mapping[str, Account] = field(default_factory=dict)
    entitlements: Mapping[int, Entitlement] = field(default_factory=dict)
    plans: Mapping[int, Plan] = field(default_factory=dict)
    keys: Mapping[str, AccountKey] = field(default_factory=dict)

    def plans_of(self, account: str) -> tuple[Plan, ...]:
        """Return the plans of an account, in the order of their ids."""
        return tuple(plan for _, plan in sorted(self.plans.items()) if plan.account == account)

    def keys_of(self, account: str) -> tuple[AccountKey, ...]:
        """Return the keys of an account, the oldest first."""
        own = (key for key in self.keys.values() if key.account == account)
        return tuple(sorted(own, key=lambda key: (key.created, key.id)))

    def products_of(self, account: str) -> frozenset[str]:
        """Return the product codes that an account reads."""
        return frozenset(
            code
            for plan in self.plans_of(account)
            for entitlement in plan.entitlements
            for code in self.entitlements[entitlement].products
        )


@dataclass(frozen=True, slots=True)
class Uses:
    """How much was used: accepted requests, items in their answers, refused requests."""

    requests: int = 0
    items: int = 0
    refused: int = 0

    def __add__(self, other: Uses) -> Uses:
        return Uses(
            self.requests + other.requests,
            self.items + other.items,
            self.refused + other.refused,
        )


@dataclass(frozen=True, slots=True)
class Order:
    """Who wants which rendition of which item, in which period. `kind` is the item's type."""

    account: str
    key: str
    uri: str
    version: int
    rendition: str
    period: str
    at: datetime
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Charge:
    """What an order costs, and the ticks that it takes of a plan's meter; plan 0 for none."""

    amount: Decimal = FREE
    currency: str = "USD"
    plan: int = 0
    entitlement: int = 0
    ticks: int = 0


@dataclass(frozen=True, slots=True)
class Download:
    """A row of the ledger. A `duplicate` repeats an order of the same period and costs nothing. A
    `void` one was not sent, because the item was hidden in between: it costs nothing either.
    """

    id: int
    order: Order
    charge: Charge
    duplicate: bool = False
    void: bool = False
