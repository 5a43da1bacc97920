"""Orders of downloads on the way to their bytes."""

from __future__ import annotations

from api.access.services import Services
from api.problems import no_item
from core.callers import Caller
from core.customers.accounts import Download
from core.items import Item
from customers.accounts.downloads import read_price


def order_rendition(
    services: Services,
    caller: Caller,
    item: Item,
    rendition: str,
    price: str = "",
    currency: str = "",
    *,
    once: bool = False,
) -> Download | None:
    """Keep the order of a rendition before its first byte leaves; None without accounts. `price`
    and `currency` are what the request acknowledges. With `once`, what was ordered in this period
    already is not a second row: a film is read in many parts.

    The guard is asked once more after the row is kept. If the item is hidden by then, the order
    costs nothing. Raises NotFoundError for that, PriceError, AccessError. For a thread of a pool.
    """
    accounts = services.accounts
    if accounts is None:
        return None
    acknowledged = read_price(price)
    if once and accounts.downloads.is_ordered(caller, item, rendition):
        return None
    download = accounts.downloads.order(caller, item, rendition, acknowledged, currency)
    if services.library.item(item.uri, caller) is None:
        accounts.downloads.void(download)
        raise no_item(item.uri)
    return download
