"""Baskets: items that an account keeps together, and may show to others."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Basket:
    """A basket of an account. Nobody can guess `id`: who knows it reads a `shared` basket. `count`
    is its number of entries, in any state.
    """

    id: str
    account: str
    name: str
    created: datetime
    changed: datetime
    shared: bool = False
    count: int = 0


@dataclass(frozen=True, slots=True)
class BasketEntry:
    """An item in a basket, in the version that was shown when it was put in. It shows nothing by
    itself: whoever reads a basket asks for the item at that moment.
    """

    uri: str
    version: int
    added: datetime
