"""The bodies of webhooks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson

from api.customers.feed_json import entries_json
from api.envelope import rfc3339
from api.formats.items import ItemView
from core.callers import Caller
from core.customers.webhooks import RESTARTED, TEST, Endpoint, Message
from core.items import Item
from core.ports.customers import Receipts
from core.ports.engine import Heads
from core.standing import Head
from customers.feed import Entry
from customers.topics import FollowedTopics

_NAMES = {TEST: "webhook.test", RESTARTED: "feed.restarted"}


class WebhookBodies:
    """`customers.webhooks.ports.Bodies`: JSON with an entry as the feed has it. What an item
    carries inside is as the guard lets the account see it now.
    """

    def __init__(
        self, library: Heads, receipts: Receipts, topics: FollowedTopics | None = None
    ) -> None:
        self._library = library
        self._receipts = receipts
        self._topics = topics

    def __call__(
        self, endpoint: Endpoint, message: Message, entry: Entry | None, caller: Caller
    ) -> bytes:
        """Return the body of a message, once the receipts of its items are written."""

        def receive(items: Iterable[Item | Head]) -> None:
            versions = {(item.uri, item.version) for item in items}
            self._receipts.add(endpoint.account, endpoint.channel, versions, synced=True)

        kind, data = str(message.event), dict[str, Any]()
        if entry is not None:
            kind = str(entry.kind)
            view = ItemView(caller, whole=True, receive=receive)
            (data,) = entries_json([entry], view, self._library, self._topics)
        told = {
            "type": _NAMES.get(kind, f"item.{kind}"),
            "timestamp": rfc3339(message.at),
            "data": data,
        }
        return orjson.dumps(told, option=orjson.OPT_SERIALIZE_NUMPY)
