"""A small archive with its transitions: a record, tables about customers, a feed over both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from core.callers import Caller
from core.customers.transitions import START, FeedSession, Position, TransitionKind
from core.query_tree import Node, all_of
from customers.feed import Entry, Feed, FeedPage
from customers.maker import TransitionMaker
from search.understanding.language import parse
from storage.customers.receipts import StoredReceipts
from storage.customers.sessions import StoredSessions
from storage.customers.transitions import StoredTransitions
from storage.databases import Database, open_database
from storage.embedded.engine import EmbeddedEngine
from storage.embedded.percolation import Percolator
from storage.record.item_rows import to_micros
from storage.record.stories import earlier_versions, recorded_versions
from storage.words.topics import Topics
from tests.storage.world import SetClock, open_embedded

FILE = "customers.sqlite"
A, B = Caller("a", frozenset({"a"})), Caller("b", frozenset({"b"}))
BOTH = Caller("both", frozenset({"a", "b"}))


def compiled(query: str, moment: datetime) -> Node:
    """A query as a tree; nothing in these tests depends on the moment."""
    parsed = parse(query)
    return all_of(parsed.tree, parsed.filters)


class FeedWorld:
    """What one process has. Several may share a folder."""

    def __init__(
        self,
        folder: Path,
        clock: SetClock,
        database: Database | None = None,
        entitled: Mapping[str, frozenset[str]] | None = None,
    ) -> None:
        self.clock = clock
        self.engine: EmbeddedEngine = open_embedded(folder, clock)
        self.database = database or open_database(folder / FILE)
        self.owns_database = database is None
        self.entitled = {} if entitled is None else entitled
        self.book = StoredTransitions(self.database)
        self.receipts = StoredReceipts(self.database, late=self._late)
        self.sessions = StoredSessions(self.database)
        self.maker = TransitionMaker(
            self.engine.record, self.book, self.receipts, clock, lambda: self.entitled
        )
        matcher = Percolator(Topics(), self.engine.languages)
        self.feed = Feed(
            self.book,
            self.receipts,
            self.sessions,
            self.engine,
            matcher,
            compiled,
            clock,
            lambda named: recorded_versions(self.engine.record.reads, named),
            lambda named: earlier_versions(self.engine.record.reads, named),
        )

    def _late(self, account: str, versions: Mapping[str, int]) -> int:
        return self.book.tell_late(account, versions, to_micros(self.clock()))

    def search(self, caller: Caller, uri: str) -> bool:
        """Shows the caller an item as a search would; returns whether it may see it."""
        item = self.engine.item(uri, caller)
        if item is None:
            return False
        self.receipts.add(caller.account, "search", [(item.uri, item.version)])
        return True

    def close(self) -> None:
        self.engine.close()
        if self.owns_database:
            self.database.close()


@dataclass
class Reader:
    """A client that follows a session from its beginning and mirrors what it is told."""

    world: FeedWorld
    caller: Caller
    session: FeedSession
    position: Position = START
    mirror: dict[str, int] = field(default_factory=dict)
    told: list[Entry] = field(default_factory=list)
    links: list[Position] = field(default_factory=lambda: [START])

    @classmethod
    def begin(cls, world: FeedWorld, caller: Caller, q: str = "") -> Reader:
        return cls(world, caller, world.feed.begin(caller, {"q": q}))

    def page(self, size: int = 100) -> FeedPage:
        """Reads the next page and takes over what it says."""
        session = self.world.feed.resume(self.caller, self.session.id, self.position)
        page = self.world.feed.page(self.caller, session, self.position, size)
        for entry in page.entries:
            if entry.item is not None:
                self.mirror[entry.item.uri] = entry.item.version
            else:
                self.mirror.pop(entry.transition.uri, None)
        self.told += page.entries
        self.position = page.position
        self.links.append(page.position)
        return page

    def to_the_end(self, size: int = 100) -> None:
        while self.page(size).more:
            pass

    def kinds(self) -> list[tuple[str, TransitionKind]]:
        return [(entry.transition.uri, entry.kind) for entry in self.told]

    def kills(self, uri: str) -> list[str]:
        """The ids of the kill notices of an item."""
        killed = (e for e in self.told if e.pubstatus == "canceled")
        return [e.transition.id for e in killed if e.transition.uri == uri]
