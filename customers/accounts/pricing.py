"""What a download of an item costs an account."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from core.callers import folded
from core.customers.accounts import FREE, AccountBook, Entitlement, Interval, Plan, PlanStyle
from core.errors import AccessError, InputError

INCLUDED = 801
"""AP's use code of what is included in a plan."""
CHARGED = 851
"""AP's use code of what is available for an extra charge."""


@dataclass(frozen=True, slots=True)
class Price:
    """What a download costs by one entitlement of one plan, and the ticks that it takes of the
    plan's meter. A download that is not `allowed` is over the limit of every plan that has the
    item. Without plan and entitlement it is free: a key of the settings has no plans.
    """

    amount: Decimal = FREE
    currency: str = "USD"
    allowed: bool = True
    ticks: int = 0
    plan: Plan | None = None
    entitlement: Entitlement | None = None

    @property
    def included(self) -> bool:
        """Return whether the download costs nothing more than the plan."""
        return self.allowed and self.amount == 0

    def __str__(self) -> str:
        return f"{self.amount:.2f} {self.currency}"

    def as_ap(self) -> dict[str, Any]:
        """Return the member `pricing` of AP Media API."""
        message = "Included in your plan" if self.included else f"A download costs {self}"
        if not self.allowed:
            message = "Your plan's downloads are used up"
        priced = self.allowed and not self.included
        return {
            "amount": float(self.amount) if priced else None,
            "currency": self.currency if priced else None,
            "formatted": str(self) if priced else None,
            "apusecode": INCLUDED if self.included else CHARGED,
            "tier": self.entitlement.tier if self.entitlement else "",
            "message": message,
            "policy": {
                "policyid": str(self.plan.id) if self.plan else "none",
                "policytype": str(self.plan.style) if self.plan else "none",
            },
        }


class PriceError(InputError):
    """The price of a download is not acknowledged: it is `price` now, for the item `uri`."""

    code = "price_not_acknowledged"

    def __init__(self, uri: str, price: Price) -> None:
        super().__init__(
            f"A download of '{uri[:200]}' costs {price}, which the request does not acknowledge.",
            mend=f"Send price={price.amount:.2f} and currency={price.currency} if you want it.",
        )
        self.uri = uri
        self.price = price


def price_of(
    book: AccountBook, account: str, products: Collection[str], used: Mapping[int, int]
) -> Price:
    """Return the lowest price of an item with these product codes. `used` are the ticks of each
    plan in its present interval. An account reads an item by any of its plans, so the plan that
    costs the least counts.
    """
    if account not in book.accounts:
        return Price()
    codes = folded(products)
    found = [
        _price(plan, entitlement, used.get(plan.id, 0))
        for plan in book.plans_of(account)
        for entitlement in (book.entitlements[number] for number in plan.entitlements)
        if not codes.isdisjoint(folded(entitlement.products))
    ]
    return min(found, key=_rank, default=Price(allowed=False))


def _price(plan: Plan, entitlement: Entitlement, used: int) -> Price:
    cost, ticks, allowed = entitlement.cost, 0, True
    if plan.style is PlanStyle.DOWNLOADS:
        ticks = entitlement.ticks
        if used + ticks > plan.limit:
            allowed = entitlement.overage is not None
            cost = entitlement.overage or FREE
    return Price(cost, entitlement.currency, allowed, ticks, plan, entitlement)


def _rank(price: Price) -> tuple[bool, Decimal, int, int, int]:
    assert price.plan
    assert price.entitlement
    return not price.allowed, price.amount, price.ticks, price.plan.id, price.entitlement.id


def check_acknowledged(
    price: Price, uri: str, acknowledged: Decimal | None, currency: str = ""
) -> None:
    """Raise PriceError unless the download is free, or the caller acknowledged at least its price;
    AccessError for a download that no plan allows.
    """
    if not price.allowed:
        raise AccessError(
            "The downloads of your plan are used up for now.",
            mend="Wait for the plan's next interval, or ask for a larger plan.",
        )
    if price.included:
        return
    same = currency.upper() in ("", price.currency)
    if acknowledged is None or not same or not acknowledged >= price.amount:
        raise PriceError(uri, price)


def interval_start(interval: Interval, now: datetime) -> datetime:
    """Return the beginning of the day, month or year of a moment, in UTC."""
    day = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    match interval:
        case Interval.DAY:
            return day
        case Interval.MONTH:
            return day.replace(day=1)
        case Interval.YEAR:
            return day.replace(month=1, day=1)


def next_interval(interval: Interval, now: datetime) -> datetime:
    """Return the beginning of the next day, month or year after a moment, in UTC."""
    start = interval_start(interval, now)
    match interval:
        case Interval.DAY:
            return datetime.fromtimestamp(start.timestamp() + 86_400, UTC)
        case Interval.MONTH:
            following = start.month % 12 + 1
            return start.replace(year=start.year + (following == 1), month=following)
        case Interval.YEAR:
            return start.replace(year=start.year + 1)


def period_of(now: datetime) -> str:
    """Return the period of an order: the month in UTC. Whoever downloads the same again in it is
    not charged again.
    """
    return f"{now.astimezone(UTC):%Y-%m}"
