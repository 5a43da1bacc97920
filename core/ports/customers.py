"""The ports of the tables about customers. SQLite and Postgres have one text for both, in
`storage/customers/`; the rooms above know these protocols only.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import numpy as np
import numpy.typing as npt

from core.audit import AuditEntry, AuditFilter, AuditHead, Chained
from core.customers.accounts import AccountBook, Charge, Download, Order, Uses
from core.customers.baskets import Basket, BasketEntry
from core.customers.monitors import Alert, Checked, ConditionType, Monitor, Standing, Watched
from core.customers.topics import FollowedTopic, TopicMatch
from core.customers.transitions import (
    FeedSession,
    Position,
    Receipt,
    Told,
    Transition,
    TransitionKind,
)
from core.customers.use import Event, LoggedQuery
from core.items import Item
from core.query_tree import Node

BoolMatrix = npt.NDArray[np.bool_]


class AccountStore(Protocol):
    """The accounts, their plans, entitlements and keys."""

    def version(self) -> int:
        """Return the number of changes; cheap."""
        ...

    def book(self) -> AccountBook:
        """Return all accounts now."""
        ...

    def change(
        self, rule: Callable[[AccountBook], AccountBook], entries: Sequence[AuditEntry] = ()
    ) -> tuple[AccountBook, AccountBook]:
        """Run a rule on the accounts and keep its result, with entries of the audit log, durable
        when it returns. Returns the accounts before and after. An error of the rule changes
        nothing.
        """
        ...


class UsageStore(Protocol):
    """How much accounts use."""

    def add(self, counts: Mapping[tuple[str, str, str], Uses]) -> None:
        """Add to the counts, by account, day and method."""
        ...


class OrderLedger(Protocol):
    """The ledger of downloads."""

    def order(
        self,
        wanted: Order,
        since: Mapping[int, datetime],
        charge: Callable[[Mapping[int, int]], Charge],
    ) -> Download:
        """Keep a download, durable when it returns. `charge` gets the ticks that were taken of each
        plan `since` a moment, and says what the download costs, or refuses it by an error. It is
        asked for the first of an order only, while nobody else orders for the account.
        """
        ...

    def void(self, download: Download, at: datetime) -> Download:
        """Take back a download that was not sent: it costs nothing."""
        ...

    def is_ordered(self, wanted: Order) -> bool:
        """Return whether the order was made before in its period."""
        ...

    def used(self, since: Mapping[int, datetime]) -> Mapping[int, int]:
        """Return the ticks that were taken of each plan since a moment of its own."""
        ...

    def history(
        self, account: str, first: datetime, last: datetime, number: int = 0
    ) -> Sequence[Download]:
        """Return the downloads of an account from `first` to before `last`, the newest first; only
        the one with this number if it is not 0.
        """
        ...


class AuditLog(Protocol):
    """The audit log."""

    def append(self, entries: Sequence[AuditEntry]) -> AuditHead:
        """Add entries, durable when it returns."""
        ...

    def head(self) -> AuditHead:
        """Return the newest entry's number and digest."""
        ...

    def newest(self, chosen: AuditFilter, limit: int) -> Sequence[Chained]:
        """Return at most `limit` entries, the newest first."""
        ...


class TransitionLog(Protocol):
    """The transitions, in their order."""

    @property
    def epoch(self) -> str:
        """The name of this history of transitions; a restore begins another one."""
        ...

    def last(self) -> Position:
        """Return the place after the newest transition."""
        ...

    def after(
        self, n: int, limit: int, account: str | None, kind: TransitionKind | None = None
    ) -> Sequence[Transition]:
        """Return at most `limit` transitions after place `n` that concern the account (None: any),
        in order; with `kind` only those of that kind.
        """
        ...

    def knows(self, position: Position) -> bool:
        """Return whether the position is one of this history."""
        ...

    def before(self, moment: datetime) -> Position:
        """Return the place after the last transition that is older than a moment."""
        ...

    def told(self, uris: Collection[str]) -> Mapping[str, Told]:
        """Return what was last told of each of `uris`; nothing for an item that was never told."""
        ...

    def owe(self, uris: Collection[str]) -> None:
        """Note that these items were seen in a state that no transition told. The next step of the
        maker tells each of them again, even if its state is then the one that was told before.
        """
        ...


@dataclass(frozen=True, slots=True)
class Turn:
    """How far the transitions are: up to change number `position` of the record's log, whose line
    was `line` ("" for 0). `number` rises with each write.
    """

    number: int = 0
    position: int = 0
    line: str = ""


class TransitionBook(TransitionLog, Protocol):
    """The transitions, and what their maker notes beside them."""

    def turn(self) -> Turn:
        """Return how far the transitions are."""
        ...

    def told_of(self, stories: Collection[str]) -> Sequence[Told]:
        """Return what was last told of each item that was told as one of these stories."""
        ...

    def due(self, now: int, limit: int) -> Sequence[str]:
        """Return at most `limit` stories that change by themselves up to `now` (microseconds)."""
        ...

    def next_due(self) -> int | None:
        """Return when the next embargo or expiry of a story is due, in microseconds; None if none
        is. It is 0 while transitions are owed.
        """
        ...

    def owed(self, limit: int) -> Sequence[str]:
        """Return at most `limit` items whose transition is owed."""
        ...

    def write(
        self,
        turn: Turn,
        transitions: Sequence[Told],
        noted: Sequence[Told],
        wakes: Mapping[str, int | None],
        to: Turn,
        now: int,
        owed: Collection[str] = (),
    ) -> bool:
        """Write transitions in order, changes without a transition (`noted`), when stories change
        without a write (None: never), and the new position, in one transaction. `owed` items are no
        longer owed one. Returns False, and writes nothing, if another process has written since
        `turn`.
        """
        ...

    def begin_anew(self, turn: Turn) -> bool:
        """Begin another history: the record is not the one that was followed. Every story is due at
        once, and compared with what was told. Returns False if another process was faster.
        """
        ...

    def entitle(
        self, account: str, products: frozenset[str], lost: Sequence[Told], now: int
    ) -> None:
        """Note which products an account has, and tell only this account that `lost` are hidden."""
        ...

    def tell_late(self, account: str, versions: Mapping[str, int], now: int) -> int:
        """Tell only this account, by the ids of the transitions, which of the items were taken away
        while these versions were on their way to it; return how many. An item that it received
        before its transition was told is owed one.
        """
        ...

    def entitled(self, accounts: Collection[str]) -> Mapping[str, frozenset[str]]:
        """Return the noted products of each account of `accounts` that has some noted."""
        ...


class Receipts(Protocol):
    """Which account received which item, and by which channel: it must hear of a kill."""

    def add(
        self,
        account: str,
        channel: str,
        versions: Collection[tuple[str, int]],
        *,
        synced: bool = False,
    ) -> None:
        """Record that the account received these (uri, version). It returns before the first byte
        of the answer leaves; for known receipts it costs almost nothing. With `synced` it is on the
        disk when this returns, else it may be lost in a power failure.
        """
        ...

    def received(self, account: str, uris: Collection[str]) -> Mapping[str, int]:
        """Return the newest version that the account received of each of `uris` that it
        received.
        """
        ...

    def receivers(self, uris: Collection[str]) -> Mapping[str, frozenset[str]]:
        """Return, by uri, the accounts that received some version of the item."""
        ...

    def of_item(self, uri: str) -> Sequence[Receipt]:
        """Return the receipts of an item, by account and channel."""
        ...

    def of(self, account: str, after: str, limit: int) -> Sequence[str]:
        """Return at most `limit` uris that the account received, in order, after uri `after`."""
        ...


class FeedSessions(Protocol):
    """The sessions of feeds."""

    def add(self, session: FeedSession) -> None:
        """Record a new session."""
        ...

    def session(self, id_: str) -> FeedSession | None:
        """Return the session of an id; None if there is none."""
        ...

    def use(self, id_: str, at: datetime) -> None:
        """Note that a page of a session was asked for."""
        ...

    def all(self, account: str = "") -> Sequence[FeedSession]:
        """Return the sessions, of one account or of all, the newest first."""
        ...

    def drop(self, unused_since: datetime) -> int:
        """Delete the sessions that were not used since; return how many."""
        ...


class MonitorStore(Protocol):
    """Monitors, the sessions that they watch, and notices."""

    def put(self, monitor: Monitor, id_: int, most: int) -> Monitor | None:
        """Record a monitor: a new one if `id_` is 0, else a replacement for the account's monitor
        of this id. None if its name is taken, the account has `most` monitors, or has none of this
        id.
        """
        ...

    def remove(self, account: str, id_: int) -> bool:
        """Delete a monitor and forget the sessions that it watched; whether there was one."""
        ...

    def of(self, account: str) -> Sequence[Monitor]:
        """Return the monitors of an account, the oldest first."""
        ...

    def seen(self, sessions: Sequence[Watched]) -> None:
        """Add requests and failures to the counts of sessions, and records new sessions."""
        ...

    def watched(self, account: str = "") -> Sequence[Watched]:
        """Return the watched sessions, of an account or of all, the newest use first."""
        ...

    def standings(self, session: str) -> Mapping[ConditionType, Standing]:
        """Return how the conditions of a session stand."""
        ...

    def enable(self, account: str, session: str, *, enabled: bool, at: datetime) -> bool:
        """Begin or ends watching a session of the account; whether there is one."""
        ...

    def record(self, before: datetime | None, checked: Checked) -> bool:
        """Record a look at a session whose last one was at `before`, with the notices that are due,
        in one transaction. Returns False, and records nothing, if another process was faster.
        """
        ...

    def forget(self, used_before: datetime) -> int:
        """Delete sessions that were not used since, and notices that are older; return how many
        sessions.
        """
        ...

    def alerts(self, account: str, limit: int) -> Sequence[Alert]:
        """Return the notices of an account, the newest first."""
        ...

    def take_mail(self, now: datetime, until: datetime, limit: int) -> Sequence[Alert]:
        """Return at most `limit` notices that are to be sent now, the oldest first. No other
        process gets them before `until`.
        """
        ...

    def mailed(self, n: int, at: datetime) -> None:
        """Record that the mail server accepted notice `n`."""
        ...


class QueueStore(Protocol):
    """Queues of items on demand, and how far each consumer has read them."""

    def send(self, account: str, queue: str, uris: Collection[str], at: datetime) -> int:
        """Put items at the end of a queue; return how many."""
        ...

    def after(self, account: str, queue: str, n: int, limit: int) -> Sequence[tuple[int, str]]:
        """Return at most `limit` places and uris after place `n`, in order."""
        ...

    def confirmed(self, account: str, queue: str, consumer: str) -> int:
        """Return the place up to which a consumer has said that it has the items."""
        ...

    def confirm(self, account: str, queue: str, consumer: str, n: int) -> None:
        """Note that a consumer has the items up to place `n`, if it is not further already."""
        ...

    def drop(self, before: datetime) -> int:
        """Delete what was sent before a moment; return how many items."""
        ...


class BasketStore(Protocol):
    """Baskets and what is in them."""

    def create(self, basket: Basket, most: int) -> bool:
        """Record a new basket; False if its account has `most` already."""
        ...

    def of(self, account: str) -> Sequence[Basket]:
        """Return the baskets of an account, the last changed first."""
        ...

    def one(self, id_: str) -> Basket | None:
        """Return the basket with this id, of any account; None without one."""
        ...

    def entries(self, id_: str) -> Sequence[BasketEntry]:
        """Return what is in a basket, the last one put in first."""
        ...

    def change(self, account: str, id_: str, name: str, shared: bool, at: datetime) -> bool:
        """Give a basket of the account another name and say whether it is shared; False without
        such a basket.
        """
        ...

    def put_in(self, account: str, id_: str, entry: BasketEntry, most: int) -> bool:
        """Put an entry into a basket of the account, once; False if there is no such basket, or
        `most` entries are in it.
        """
        ...

    def take_out(self, account: str, id_: str, uri: str, at: datetime) -> bool:
        """Take an item out of a basket of the account; False if it was not in it."""
        ...

    def remove(self, account: str, id_: str) -> bool:
        """Delete a basket of the account and what is in it; False without such a basket."""
        ...


class TopicMatcher(Protocol):
    """Says which stored queries match which items, by the compiler that searches use."""

    def matches(self, items: Sequence[Item], trees: Sequence[Node]) -> BoolMatrix:
        """Return whether item i matches tree j: bool [n, m]. Facts and words only; no entitlement,
        no guard, no vectors: the caller asks these at the moment of sending.
        """
        ...


class TopicIndex(Protocol):
    """Many stored queries, each compiled once. The same items match as by `TopicMatcher`."""

    def change(self, changed: Mapping[int, Node] | Mapping[int, Node | None]) -> None:
        """Replace the queries with these numbers; None takes one out."""
        ...

    def matching(self, items: Sequence[Item]) -> Sequence[frozenset[int]]:
        """Return the numbers of the queries that each item matches."""
        ...


class TopicStore(Protocol):
    """The followed topics and what matched them."""

    def add(
        self,
        account: str,
        name: str,
        query: str,
        at: datetime,
        most: int,
        emails: Sequence[str] = (),
    ) -> FollowedTopic | None:
        """Record a topic. Returns None if the account has `most` topics already."""
        ...

    def change(
        self, account: str, id_: int, name: str, query: str, emails: Sequence[str] = ()
    ) -> FollowedTopic | None:
        """Give a topic of the account another name, query and addresses; None without such a
        topic.
        """
        ...

    def remove(self, account: str, id_: int) -> bool:
        """Delete a topic of the account; say whether there was one."""
        ...

    def of(self, account: str) -> Sequence[FollowedTopic]:
        """Return the topics of an account, the oldest first."""
        ...

    def changes(self) -> int:
        """Return the number of changes of topics so far; cheap."""
        ...

    def since(self, changes: int, limit: int) -> Sequence[FollowedTopic]:
        """Return at most `limit` topics that were changed after the given number of changes, in the
        order of their last change; deleted ones too.
        """
        ...

    def position(self) -> tuple[str, int]:
        """Return the history of transitions, and the place in it up to which matches were looked
        for; "" before the first.
        """
        ...

    def note(
        self, before: tuple[str, int], matches: Sequence[TopicMatch], after: tuple[str, int]
    ) -> bool:
        """Record matches and the new position in one transaction. Returns False, and records
        nothing, if another process has moved the position from `before`.
        """
        ...

    def matches(self, n: int, limit: int, account: str = "") -> Sequence[TopicMatch]:
        """Return at most `limit` matches after place `n`, of one account or of all, in order. They
        are kept for seven days.
        """
        ...

    def last(self) -> int:
        """Return the place of the newest match, 0 without any."""
        ...

    def unmailed(self) -> Sequence[tuple[FollowedTopic, int]]:
        """Return the topics with addresses that matched since the last call of any process, each
        with the number of its matches.
        """
        ...


class UseStore(Protocol):
    """The log of queries, and of what callers did with their hits. The words of a query are kept
    when at least `least` callers have asked it.
    """

    def secret(self, period: int) -> bytes:
        """Return the secret of a period, which is made when it is first asked for."""
        ...

    def secrets(self) -> Mapping[int, bytes]:
        """Return the secret of each period that has queries, and of the newest."""
        ...

    def add(self, query: LoggedQuery, words: str, least: int) -> None:
        """Keep a query; its `words` only if `least` callers asked it in its period. With "" they
        are never kept.
        """
        ...

    def note(self, event: Event, caller: str) -> bool:
        """Keep an event; return False, and keep nothing, if the caller was shown no such hit."""
        ...

    def logged(self, since: datetime, until: datetime) -> Iterator[LoggedQuery]:
        """Yield the queries from `since` to before `until` with their events, the oldest first."""
        ...

    def erase(self, callers: Collection[str], least: int, entry: AuditEntry) -> int:
        """Delete what these callers did; return how many queries. Words that fewer than `least`
        callers asked now are deleted too. The `entry` of the audit log, with that number, is kept
        in the same transaction.
        """
        ...

    def drop(self, before: datetime, least: int) -> int:
        """Delete what is older, and secrets that nothing uses any more; return how many queries."""
        ...
