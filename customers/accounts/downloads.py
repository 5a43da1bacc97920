"""Downloads of accounts: what they cost, and the ledger that knows each before its first byte."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from core.callers import Caller
from core.customers.accounts import AccountBook, Charge, Download, Order, PlanStyle
from core.errors import InputError
from core.items import Item
from core.ports.customers import OrderLedger
from customers.accounts.pricing import (
    Price,
    check_acknowledged,
    interval_start,
    period_of,
    price_of,
)
from customers.accounts.trees import time_text

KEPT = timedelta(days=365)
LONGEST_RANGE = timedelta(days=60)
DOWNLOAD_COLUMNS = (
    *("id", "uri", "version", "type", "rendition", "org_name", "downloaded_by", "download_date"),
    *("duplicate", "charge", "currency"),
)


class Downloads:
    """Prices and orders of accounts. Thread-safe; every method may ask the database."""

    def __init__(
        self,
        ledger: OrderLedger,
        book: Callable[[], AccountBook],
        clock: Callable[[], datetime],
    ) -> None:
        self._ledger = ledger
        self._book = book
        self._clock = clock

    def prices(self, account: str, items: Sequence[Item]) -> list[Price]:
        """Return what a download of each item costs the account now."""
        book = self._book()
        used = self._used(book, account)
        return [price_of(book, account, item.products, used) for item in items]

    def used(self, account: str) -> Mapping[int, int]:
        """Return the ticks taken in the present interval, for each plan that counts downloads."""
        return self._used(self._book(), account)

    def order(
        self,
        caller: Caller,
        item: Item,
        rendition: str,
        acknowledged: Decimal | None = None,
        currency: str = "",
    ) -> Download:
        """Keep the order, durable when it returns: only then the first byte may leave. Ask the
        guard once more afterwards, and call `void` if the item is hidden by then.

        Raises PriceError if the price is not acknowledged, AccessError if no plan allows it.
        """
        book = self._book()

        def charge(used: Mapping[int, int]) -> Charge:
            price = price_of(book, caller.account, item.products, used)
            check_acknowledged(price, item.uri, acknowledged, currency)
            return Charge(
                price.amount,
                price.currency,
                price.plan.id if price.plan else 0,
                price.entitlement.id if price.entitlement else 0,
                price.ticks,
            )

        since = self._since(book, caller.account)
        return self._ledger.order(self._wanted(caller, item, rendition), since, charge)

    def is_ordered(self, caller: Caller, item: Item, rendition: str) -> bool:
        """Return whether the account has ordered this rendition in the present period."""
        return self._ledger.is_ordered(self._wanted(caller, item, rendition))

    def void(self, download: Download) -> Download:
        """Take back an order whose item was hidden before its first byte."""
        return self._ledger.void(download, self._clock())

    def history(
        self,
        account: str,
        first: datetime | None = None,
        last: datetime | None = None,
        number: int = 0,
    ) -> Sequence[Download]:
        """Return the downloads of an account between two moments, the newest first: of the last 30
        days if none is given. Raises InputError for more than 60 days; older than 365 days are left
        out.
        """
        now = self._clock()
        last = last or now + timedelta(seconds=1)
        first = first or last - timedelta(days=30)
        if last - first > LONGEST_RANGE:
            raise InputError(
                f"The range of dates is longer than {LONGEST_RANGE.days} days.",
                mend="Ask for parts of it.",
            )
        return self._ledger.history(account, max(first, now - KEPT), last, number)

    def _wanted(self, caller: Caller, item: Item, rendition: str) -> Order:
        now = self._clock()
        return Order(
            caller.account,
            caller.name,
            item.uri,
            item.version,
            rendition,
            period_of(now),
            now,
            str(item.type),
        )

    def _used(self, book: AccountBook, account: str) -> Mapping[int, int]:
        return self._ledger.used(self._since(book, account))

    def _since(self, book: AccountBook, account: str) -> Mapping[int, datetime]:
        """Return the moment since which each plan by downloads counts them."""
        now = self._clock()
        return {
            plan.id: max(plan.added, interval_start(plan.interval, now))
            for plan in book.plans_of(account)
            if plan.style is PlanStyle.DOWNLOADS
        }


def download_row(download: Download, org_name: str) -> dict[str, Any]:
    """Return a download as a row of DOWNLOAD_COLUMNS. It has nothing of the item's content."""
    order = download.order
    values = (
        str(download.id),
        order.uri,
        order.version,
        order.kind,
        order.rendition,
        org_name,
        order.key,
        time_text(order.at),
        download.duplicate,
        float(download.charge.amount),
        download.charge.currency,
    )
    return dict(zip(DOWNLOAD_COLUMNS, values, strict=True))


def read_price(text: str) -> Decimal | None:
    """Return the price that a text states, or None if the text is empty. Raises InputError for a
    text that is not a price.
    """
    if not text:
        return None
    try:
        price = Decimal(text)
    except InvalidOperation:
        price = Decimal("nan")
    if not price.is_finite() or price < 0:
        raise InputError(f"'{text[:40]}' is no price.", mend="Send a number such as 12.50.")
    return price
