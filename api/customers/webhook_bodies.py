"""The bodies of webhooks."""

from __future__ import annotations

from typing import Any

import orjson

from api.envelope import rfc3339
from api.formats.items import ItemView, items_json
from api.search.search_json import cut_json, products_json
from core.callers import Caller
from core.items import Item
from core.ports import Library
from core.webhooks import RESTARTED, TEST, Message
from customers.feed import Entry

_NAMES = {TEST: "webhook.test", RESTARTED: "feed.restarted"}


class WebhookBodies:
    """`customers.webhooks.ports.Bodies`: JSON with an item as `GET /content/{item_id}` shows it to
    the account. What an item carries inside is as the guard lets the account see it now.
    """

    def __init__(self, library: Library) -> None:
        self._library = library

    def __call__(self, message: Message, entry: Entry | None, caller: Caller | None) -> bytes:
        """Return the body of a message."""
        data: dict[str, Any] = {}
        kind = str(message.event)
        if entry is not None and caller is not None:
            kind = str(entry.kind)
            data = {"id": message.name, "position": message.n, "kind": kind}
            data |= self._shown(entry.item, caller) if entry.item else {"item": tombstone(entry)}
        told = {
            "type": _NAMES.get(kind, f"item.{kind}"),
            "timestamp": rfc3339(message.at),
            "data": data,
        }
        return orjson.dumps(told, option=orjson.OPT_SERIALIZE_NUMPY)

    def _shown(self, item: Item, caller: Caller) -> dict[str, Any]:
        view = ItemView(caller, whole=True)
        ((members, cut),) = items_json((item,), view, self._library)
        meta = {"products": products_json(item, caller)} | cut_json(cut)
        return {"meta": meta, "item": members}


def tombstone(entry: Entry) -> dict[str, Any]:
    """Return all that is told of an item that was taken away."""
    uri, itemid = entry.transition.uri, entry.itemid
    named = {"uri": uri, "itemid": itemid} if itemid else {"uri": uri}
    return {**named, "version": entry.version, "pubstatus": entry.pubstatus}
