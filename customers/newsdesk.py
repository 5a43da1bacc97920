"""The desk's look at one item: its state, what a kill hides, who received it and will be told, and
what was done to it before.

Only who may change the item is answered. It shows no text of any item.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from core.audit import DESK_ACTIONS, AuditFilter, Chained
from core.callers import Caller, reaches
from core.customers.transitions import FeedSession, Receipt
from core.customers.webhooks import Endpoint, EndpointState
from core.errors import NotFoundError
from core.items import Item
from core.ports.customers import AuditLog, FeedSessions, Receipts
from core.ports.engine import Clock, Engine
from core.standing import Standing, Story
from customers.feed import IDLE

_LOG_OF_ITEM = 50  # entries
_LOOKED_AT = 500  # entries of the log, of which the caller may see some
WEBHOOK = "webhook:"  # begins the channels of webhooks


@dataclass(frozen=True, slots=True)
class Recipient:
    """An account that received an item: by which channels, the newest version, and when it got it.
    It is told of a kill by its `sessions` of the feed that are in use and its `webhooks`; without
    any it hears of it when it asks next.
    """

    account: str
    title: str
    channels: tuple[str, ...]
    version: int
    at: datetime
    sessions: int
    webhooks: int

    @property
    def is_told(self) -> bool:
        """Whether something tells it by itself."""
        return bool(self.sessions or self.webhooks)


@dataclass(frozen=True, slots=True)
class DeskView:
    """What the desk sees of an item, whatever its state."""

    item: Item
    standing: Standing
    story: Story
    recipients: tuple[Recipient, ...]
    log: tuple[Chained, ...]


@dataclass(frozen=True, slots=True)
class NewsDesk:
    """Looks at items for the desk. `titles` returns the name of an account as people read it,
    `endpoints` the webhooks of an account. Thread-safe.
    """

    engine: Engine
    receipts: Receipts
    sessions: FeedSessions
    audit: AuditLog
    clock: Clock
    titles: Callable[[str], str]
    endpoints: Callable[[str], Sequence[Endpoint]] = field(default=lambda _: ())

    def recorded(self, uri: str, caller: Caller) -> Item:
        """Return the newest version of an item that the caller may change. Raises NotFoundError for
        any other item, as for one that does not exist.
        """
        (item,) = self.engine.newest([uri])
        if item is None or not _may_change(caller, item):
            raise NotFoundError(
                f"There is no item '{uri[:200]}' that this key may change.",
                mend="Check the uri, its percent-encoding, and the products that the key writes.",
            )
        return item

    def look(self, uri: str, caller: Caller) -> DeskView:
        """Return what the desk sees of an item. Raises NotFoundError, as `recorded`."""
        item = self.recorded(uri, caller)
        return DeskView(
            item,
            self.engine.standing(uri),
            self._story(uri, caller),
            self._recipients(uri, but=caller.account),
            tuple(self.audit.newest(AuditFilter(item=uri, actions=DESK_ACTIONS), _LOG_OF_ITEM)),
        )

    def log(self, caller: Caller, limit: int) -> list[Chained]:
        """Return the newest entries about items that the caller may change, the newest first."""
        entries = self.audit.newest(AuditFilter(actions=DESK_ACTIONS), _LOOKED_AT)
        uris = [*{one.entry.item for one in entries}]
        items = zip(uris, self.engine.newest(uris), strict=True)
        seen = {uri for uri, item in items if item is not None and _may_change(caller, item)}
        return [one for one in entries if one.entry.item in seen][:limit]

    def _story(self, uri: str, caller: Caller) -> Story:
        """Return the item's story, without items that the caller may not change."""
        story = self.engine.story(uri)
        others = [*{one.uri for one in story.versions} - {uri}]
        items = zip(others, self.engine.newest(others), strict=True)
        seen = {uri} | {other for other, item in items if item and _may_change(caller, item)}
        return Story(
            tuple(one for one in story.versions if one.uri in seen),
            story.head if story.head in seen else "",
            story.otherwise if story.otherwise in seen else "",
        )

    def _recipients(self, uri: str, but: str) -> tuple[Recipient, ...]:
        """Return who received the item, those that are told first, without the desk itself."""
        by_account: dict[str, list[Receipt]] = {}
        for receipt in self.receipts.of_item(uri):
            if receipt.account != but:
                by_account.setdefault(receipt.account, []).append(receipt)
        found = [self._recipient(account, mine) for account, mine in by_account.items()]
        return tuple(sorted(found, key=lambda one: (not one.is_told, one.title.casefold())))

    def _recipient(self, account: str, receipts: Sequence[Receipt]) -> Recipient:
        since = self.clock() - IDLE
        used = [one for one in self.sessions.all(account) if _in_use(one, since)]
        hooks = [h for h in self.endpoints(account) if h.state is not EndpointState.DISABLED]
        return Recipient(
            account,
            self.titles(account),
            tuple(dict.fromkeys(_channel(one.channel) for one in receipts)),
            max(one.version for one in receipts),
            max(one.at for one in receipts),
            len(used),
            len(hooks),
        )


def _in_use(session: FeedSession, since: datetime) -> bool:
    return session.used > since


def _channel(name: str) -> str:
    """Return a channel without the id of a webhook."""
    return "webhook" if name.startswith(WEBHOOK) else name


def _may_change(caller: Caller, item: Item) -> bool:
    """Return whether a kill of the item by the caller would be taken."""
    return reaches(caller.writes, item.products)
