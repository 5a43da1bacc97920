"""What a caller's account has bought, by AP's integers: its entitlements, and the price of items.

A key of the settings file counts as an account with one plan, which has an entitlement for each
product of the key.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from zlib import crc32

from api.access.services import Services
from core.callers import Caller, folded
from core.items import Item, itemid_of
from core.query_tree import EVERYTHING, Keyword, Node
from customers.accounts.pricing import Price, price_of

_DERIVED = 1_000_000_000  # ids of products without a number begin here
_NAMED = re.compile(
    r"(?P<field>\b(?:productid|product|products|products\.id)\s*:\s*)(?P<ids>\d{1,10}|\([^()]*\))",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"(?<![\w\"])\d{1,10}(?![\w\"])")


@dataclass(frozen=True, slots=True)
class Sold:
    """An entitlement as AP's clients know it: a number, a name, and our product codes."""

    id: int
    name: str
    products: tuple[str, ...]


def product_id(code: str) -> int:
    """Return the integer that stands for a product's code: the code itself if it is a number."""
    if code.isascii() and code.isdigit() and len(code) <= 9:
        return int(code)
    return _DERIVED + crc32(code.encode()) % _DERIVED


def sold_to(services: Services, caller: Caller) -> tuple[Sold, ...]:
    """Return what a caller may read, in the order of its plans."""
    accounts = services.accounts
    if accounts is None or not caller.customer:
        return tuple(Sold(product_id(code), code, (code,)) for code in sorted(caller.products))
    book = accounts.in_force.book
    numbers = dict.fromkeys(
        number for plan in book.plans_of(caller.account) for number in plan.entitlements
    )
    found = [book.entitlements[number] for number in numbers if number in book.entitlements]
    return tuple(Sold(one.id, one.name, one.products) for one in found)


def products_json(item: Item, sold: Sequence[Sold]) -> list[dict[str, Any]]:
    """Return the entitlements by which a caller reads an item."""
    codes = folded(item.products)
    return [
        {"id": one.id, "name": one.name}
        for one in sold
        if not codes.isdisjoint(folded(one.products))
    ]


def in_our_words(query: str, sold: Sequence[Sold]) -> str:
    """Return a query with our product codes in place of AP's numbers: `productid:31991` becomes
    `productid:("wire" OR "sport")`. A number that the caller has not bought stays, and finds
    nothing.
    """
    codes = {one.id: one.products for one in sold}
    return _NAMED.sub(lambda found: found["field"] + _with_codes(found["ids"], codes), query)


def _with_codes(ids: str, codes: Mapping[int, tuple[str, ...]]) -> str:
    def named(found: re.Match[str]) -> str:
        known = codes.get(int(found[0]))
        if known is None:
            return found[0]
        quoted = (code.replace("\\", "\\\\").replace('"', '\\"') for code in known)
        return "(" + " OR ".join(f'"{code}"' for code in quoted) + ")"

    return _NUMBER.sub(named, ids)


def prices_of(services: Services, caller: Caller, items: Sequence[Item]) -> list[Price]:
    """Return what a download of each item costs the caller now."""
    if services.accounts is None or not caller.customer:
        return [Price() for _ in items]
    return services.accounts.downloads.prices(caller.account, items)


def costly_in(services: Services, caller: Caller, items: Sequence[Item]) -> frozenset[str]:
    """Return the itemids of those items associated with `items` whose download costs something
    beyond the caller's plans.
    """
    if services.accounts is None or not caller.customer:
        return frozenset()
    named = {uri: () for item in items for uri in _associated(item.source)}
    sights = services.library.sights(named, caller) if named else {}
    found = [sight.item for sight in sights.values() if sight.item is not None]
    prices = prices_of(services, caller, found)
    return frozenset(
        itemid_of(item) or item.uri
        for item, price in zip(found, prices, strict=True)
        if not price.included
    )


def _associated(source: Mapping[str, Any]) -> list[str]:
    """Return the uris of what a document is associated with, in either shape of ninjs."""
    value = source.get("associations")
    entries = value.values() if isinstance(value, Mapping) else value
    listed = entries if isinstance(entries, Iterable) and not isinstance(entries, str) else ()
    uris = (one.get("uri") for one in listed if isinstance(one, Mapping))
    return [uri for uri in uris if isinstance(uri, str)]


def included_only(services: Services, caller: Caller) -> Node:
    """Return the filter of items whose download costs nothing beyond the caller's plans."""
    accounts = services.accounts
    if accounts is None or not caller.customer:
        return EVERYTHING
    book, used = accounts.in_force.book, accounts.downloads.used(caller.account)
    codes = sorted(caller.products)
    free = [code for code in codes if price_of(book, caller.account, (code,), used).included]
    return Keyword("product", tuple(free))
