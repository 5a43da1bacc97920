"""Records which account is shown which items, before the answer leaves: it must hear of a kill."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from api.access.services import Services
from core.callers import Caller
from core.items import Item
from core.standing import Head

Receive = Callable[[Iterable[Item | Head]], None]


def receiving(services: Services, caller: Caller, channel: str, *, synced: bool = False) -> Receive:
    """Return what records the items of an answer by a channel. It is called in the thread that
    makes the answer. With `synced`, the receipts are on the disk when it returns.
    """
    receipts = services.receipts

    def receive(items: Iterable[Item | Head]) -> None:
        if receipts is not None:
            versions = {(item.uri, item.version) for item in items}
            receipts.add(caller.account, channel, versions, synced=synced)

    return receive
