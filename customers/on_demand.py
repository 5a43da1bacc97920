"""Items on demand: what editors sent to an account, read by each of its consumers once.

A consumer reads after the place that it has confirmed. It confirms a page by asking for the one
after it; until then it gets the same page again. What was killed or is not sold to the account any
more is passed over at that moment.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta

from core.callers import Caller
from core.errors import InputError
from core.items import Item
from core.ports.customers import QueueStore
from core.ports.engine import Clock, Sights

CHANNEL = "ondemand"  # the channel in receipts
KEPT = timedelta(days=7)
DEFAULT_QUEUE = "default"
MOST_SENT = 1000  # items at once
_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
Receive = Callable[[str, str, Collection[tuple[str, int]]], None]


@dataclass(frozen=True, slots=True)
class QueuePage:
    """Items of a queue; the next page begins at `position`, and asking for it confirms this one."""

    items: tuple[Item, ...]
    position: int
    more: bool


@dataclass(frozen=True, slots=True)
class OnDemand:
    """The queues of every account. `receive` records that an account gets versions of items, by
    which channel, before they are sent. Thread-safe.
    """

    store: QueueStore
    library: Sights
    clock: Clock
    receive: Receive

    def send(self, account: str, uris: Sequence[str], queue: str = DEFAULT_QUEUE) -> int:
        """Send items to an account; return how many. The account sees those that it may."""
        if not 1 <= len(uris) <= MOST_SENT:
            raise InputError(f"the request names {len(uris)} items", mend=f"name 1 to {MOST_SENT}")
        now = self.clock()
        self.store.drop(now - KEPT)
        return self.store.send(account, _name(queue, "queue"), uris, now)

    def page(
        self,
        caller: Caller,
        consumer: str = "",
        queue: str = DEFAULT_QUEUE,
        position: int | None = None,
        size: int = 10,
    ) -> QueuePage:
        """Return the items after `position`, which confirms all up to it; without one, after what
        the consumer confirmed. The consumer is the key unless one is named.
        """
        account = caller.account
        queue, who = _name(queue, "queue"), _name(consumer, "consumer_id") if consumer else "-"
        if consumer == "" and caller.name != account:
            who = f"-{caller.name}"[:64]
        if position is None:
            start = self.store.confirmed(account, queue, who)
        else:
            start = max(0, position)
            if any(n == start for n, _ in self.store.after(account, queue, start - 1, 1)):
                self.store.confirm(account, queue, who, start)
        found = self.store.after(account, queue, start, size + 1)
        some = found[:size]
        sights = self.library.sights({uri: () for _, uri in some}, caller)
        shown = (sights.get(uri) for _, uri in some)
        items = tuple(sight.item for sight in shown if sight is not None and sight.item is not None)
        if items:
            self.receive(account, CHANNEL, {(item.uri, item.version) for item in items})
        return QueuePage(items, some[-1][0] if some else start, len(found) > size)


def _name(text: str, what: str) -> str:
    if not _NAME.fullmatch(text):
        raise InputError(
            f"{text[:40]!r} can't be a {what}", mend="use 1 to 64 letters, digits, . _ and -"
        )
    return text
