"""Downloads: orders of a rendition of an item, as the ledger keeps them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from core.accounts import FREE


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
