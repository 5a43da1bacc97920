"""Composition of the wire: transitions and who receives them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from api.access.services import StatusPort
from core.callers import folded
from core.ports.engine import Clock
from customers.accounts.in_force import AccountsInForce
from customers.feed import Feed
from customers.maker import MakingTransitions, TransitionMaker
from customers.readers import Readers
from dateline.build.customers.accounts import open_customers
from dateline.build.engine import ServedEngine, topic_tree
from dateline.settings import Settings
from search.understanding.strict_query import frozen_tree
from storage.customers.receipts import StoredReceipts
from storage.customers.sessions import StoredSessions
from storage.customers.transitions import StoredTransitions
from storage.databases import Database
from storage.embedded.percolation import Percolator
from storage.record.item_rows import to_micros
from storage.record.stories import earlier_versions, recorded_versions


@dataclass(frozen=True, slots=True)
class Wire:
    """What becomes of stories, and its readers in this process; `close` ends the threads."""

    book: StoredTransitions
    sessions: StoredSessions
    feed: Feed
    readers: Readers
    making: MakingTransitions

    def close(self) -> None:
        """End the threads."""
        self.making.close()
        self.readers.close()


def open_receipts(settings: Settings, database: Database, clock: Clock) -> StoredReceipts:
    """Return the receipts in a database. Those of searches are committed without waiting for the
    disk; closing it closes the database.
    """
    book = StoredTransitions(database)

    def late(account: str, versions: Mapping[str, int]) -> object:
        return book.tell_late(account, versions, to_micros(clock()))

    quick = open_customers(settings, synced=False) if database.is_sqlite else None
    return StoredReceipts(database, quick, late)


def open_wire(
    settings: Settings,
    engine: ServedEngine,
    database: Database,
    receipts: StoredReceipts,
    accounts: AccountsInForce,
    clock: Clock,
) -> Wire:
    """Return the transitions of the engine's record, made by a thread of this process."""
    feed = feed_of(settings, engine, database, receipts, clock)
    readers = Readers(feed)
    entitled = _entitled(settings, accounts)
    book, sessions = StoredTransitions(database), StoredSessions(database)
    maker = TransitionMaker(engine.record, book, receipts, clock, entitled, readers.look)
    return Wire(book, sessions, feed, readers, MakingTransitions(maker))


def feed_of(
    settings: Settings,
    engine: ServedEngine,
    database: Database,
    receipts: StoredReceipts,
    clock: Clock,
) -> Feed:
    """Return the feed of the transitions in a database."""
    record = engine.record
    return Feed(
        StoredTransitions(database),
        receipts,
        StoredSessions(database),
        engine,
        Percolator(topic_tree(settings), engine.languages),
        frozen_tree,
        clock,
        lambda named: recorded_versions(record.reads, named),
        lambda named: earlier_versions(record.reads, named),
    )


def _entitled(
    settings: Settings, accounts: AccountsInForce
) -> Callable[[], Mapping[str, frozenset[str]]]:
    """Return a function that returns the products of each account. Keys of the settings with the
    same name are one account.
    """
    fixed: dict[str, frozenset[str]] = {}
    for key in settings.keys:
        fixed[key.name] = fixed.get(key.name, frozenset()) | folded(key.products)

    def products() -> Mapping[str, frozenset[str]]:
        return {**fixed, **accounts.entitled()}

    return products


@dataclass(frozen=True, slots=True)
class WithTransitions:
    """The status of a service, with how far its transitions are."""

    service: StatusPort
    wire: Wire

    def status(self) -> Mapping[str, Any]:
        """Return the service's figures and those of its transitions."""
        found = dict(self.service.status())
        own = {**self.wire.making.status(), "readers": self.wire.readers.count}
        return found | {"projections": {**found["projections"], "transitions": own}}

    def ready(self) -> tuple[bool, str]:
        """Return whether searches can be answered."""
        return self.service.ready()
