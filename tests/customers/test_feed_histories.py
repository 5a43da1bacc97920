"""Random histories: puts, versions, kills, embargoes, expiry, products, plans, searches, crashes of
the maker, two makers; readers of the feed against a dict.

FEED_HISTORIES says how many are played.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core.callers import OPERATOR, Caller
from core.customers.transitions import ENDS, TransitionKind
from core.items import PubStatus
from core.writes import PutItem, SetStatus
from customers.maker import TransitionMaker
from storage.customers.transitions import StoredTransitions
from storage.databases import Database, open_database
from storage.record.port import RecordOfTruth
from tests.customers.feed_world import FILE, FeedWorld, Reader
from tests.storage.postgres_world import address_of, on
from tests.storage.world import HOUR, NOW, SetClock, make_item

HISTORIES = int(os.environ.get("FEED_HISTORIES", "12"))
STEPS = 45
PRODUCTS = (("a",), ("b",), ("a", "b"))
EVERYTHING = Caller("all", frozenset({"a", "b", "c"}))
KILLED = TransitionKind.KILLED


class Crash(Exception):  # noqa: N818 - it is no error
    """The process ends here."""


class CrashingBook(StoredTransitions):
    """Ends the process before or after its next write, where a test says so."""

    crash = ""

    def write(self, *parts: Any) -> bool:
        crash, self.crash = self.crash, ""
        if crash == "before":
            raise Crash
        written = super().write(*parts)
        if crash == "after":
            raise Crash
        return written


class History:
    """An archive, two makers of its transitions, and readers."""

    def __init__(self, folder: Path, seed: int, database: Database) -> None:
        self.rng = random.Random(seed)
        self.clock = SetClock()
        self.plans = {"a": frozenset({"a"}), "b": frozenset({"b"}), "ab": frozenset({"a", "b"})}
        self.world = FeedWorld(folder, self.clock, database, self.plans)
        self.book = CrashingBook(database)
        self.makers = [self.world.maker, self._another()]
        self.readers = [Reader.begin(self.world, Caller(n, p)) for n, p in self.plans.items()]
        self.gained: dict[str, set[str]] = {name: set() for name in self.plans}
        self.versions: dict[str, int] = {}

    @property
    def record(self) -> RecordOfTruth:
        return self.world.engine.record

    def _another(self) -> TransitionMaker:
        return TransitionMaker(
            self.record, self.book, self.world.receipts, self.clock, lambda: self.plans
        )

    def step(self) -> None:
        steps = [self.put, self.put, self.put_products, self.kill, self.set_status, self.advance]
        steps += [self.make, self.make, self.crash, self.read, self.read, self.repeat, self.search]
        self.rng.choice([*steps, self.change_plan])()

    def uri(self) -> str:
        return f"u{self.rng.randrange(6)}"

    def put(self) -> None:
        uri, hours = self.uri(), self.rng.choice
        version = self.versions[uri] = self.versions.get(uri, 0) + 1
        embargo, expiry = hours([None, None, None, 1, 2]), hours([None, None, None, 2, 3])
        item = make_item(
            uri,
            version,
            chain=self.rng.choice([uri, uri, "story"]),
            versioncreated=NOW + self.rng.randrange(-9, 9) * HOUR,
            products=self.rng.choice(PRODUCTS),
            embargoed=None if embargo is None else self.clock.now + embargo * HOUR,
            expires=None if expiry is None else self.clock.now + expiry * HOUR,
        )
        self.world.engine.put([PutItem(item)])

    def put_products(self) -> None:
        """The newest version of an item again, with other products."""
        uri = self.uri()
        (item,) = self.world.engine.newest([uri])
        if item is not None and item.pubstatus is PubStatus.USABLE:
            products = self.rng.choice(PRODUCTS)
            self.world.engine.put([PutItem(replace(item, products=products))])

    def kill(self) -> None:
        self.world.engine.set_status([SetStatus(self.uri(), PubStatus.CANCELED)], OPERATOR)

    def set_status(self) -> None:
        until = self.rng.choice([None, self.clock.now + HOUR])
        status = self.rng.choice([PubStatus.USABLE, PubStatus.WITHHELD])
        self.world.engine.set_status([SetStatus(self.uri(), status, until)], OPERATOR)

    def advance(self) -> None:
        self.clock.advance(self.rng.choice([0.5, 1]) * HOUR)

    def make(self) -> None:
        self.rng.choice(self.makers).run()

    def crash(self) -> None:
        """The second process ends around a write, and starts again."""
        self.book.crash = self.rng.choice(["before", "after"])
        try:
            self.makers[1].run()
        except Crash:
            self.makers[1] = self._another()
        self.book.crash = ""

    def read(self) -> None:
        self.rng.choice(self.readers).page(self.rng.choice([1, 2, 5]))

    def repeat(self) -> None:
        """A link from before shows what the account may see now, and nothing else."""
        reader = self.rng.choice(self.readers)
        link = self.rng.choice(reader.links)
        page = self.world.feed.page(reader.caller, reader.session, link, 5)
        places = [entry.transition.n for entry in page.entries]
        assert places == sorted({*places})
        for entry in page.entries:
            if entry.item is not None:
                assert self.world.engine.item(entry.item.uri, reader.caller) == entry.item

    def search(self) -> None:
        self.world.search(self.rng.choice(self.readers).caller, self.uri())

    def change_plan(self) -> None:
        reader = self.rng.choice(self.readers)
        name, products = reader.caller.name, frozenset(self.rng.choice(PRODUCTS))
        self.plans = self.world.entitled = {**self.plans, name: products}  # type: ignore[assignment]
        old = reader.caller
        reader.caller = replace(old, products=products)
        for uri in self.versions:
            item = self.world.engine.item(uri, EVERYTHING)
            if (
                item is not None
                and products & {*item.products}
                and not old.products & {*item.products}
            ):
                self.gained[name].add(uri)

    def settle(self) -> None:
        for maker in self.makers:
            maker.run()

    # What must hold

    def check_told(self) -> None:
        """What was told is what the archive shows."""
        shown = {
            uri: (item.version, frozenset(item.products))
            for uri in self.versions
            if (item := self.world.engine.item(uri, EVERYTHING)) is not None
        }
        told = self.world.book.told(self.versions)
        assert {u: (t.version, t.products) for u, t in told.items() if t.shown} == shown

    def check_readers(self) -> None:
        for reader in self.readers:
            reader.to_the_end()
            self._check_order(reader)
            self._check_kills(reader)
            self._check_mirror(reader)

    def _check_order(self, reader: Reader) -> None:
        places = [entry.transition.n for entry in reader.told]
        assert places == sorted(places)
        assert len({*places}) == len(places)

    def _check_kills(self, reader: Reader) -> None:
        """One notice for each kill of what the account received before it, by its id once or, where
        it was on its way, again.
        """
        account = reader.caller.account
        received = self.world.receipts.received(account, self.versions)
        told = [entry.transition for entry in reader.told if entry.pubstatus == "canceled"]
        for uri in self.versions:
            kills = [t for t in self.world.book.after(0, 10_000, account) if t.uri == uri]
            kills = [t for t in kills if t.kind is KILLED]
            mine = [t.id for t in told if t.uri == uri]
            assert len({*mine}) == len(mine)
            assert {*mine} <= {t.id for t in kills}
            (newest,) = self.world.engine.newest([uri])
            if uri in received and newest is not None and newest.pubstatus is PubStatus.CANCELED:
                assert mine, f"{account} received {uri} and was not told of its kill"
        assert all(t.uri in received for t in told)

    def _check_mirror(self, reader: Reader) -> None:
        """The reader has what its account may see, but for what a plan gave it later."""
        visible = {
            uri: item.version
            for uri in self.versions
            if (item := self.world.engine.item(uri, reader.caller)) is not None
        }
        assert reader.mirror.items() <= visible.items()
        assert visible.keys() - reader.mirror.keys() <= self.gained[reader.caller.name]


@contextmanager
def history(folder: Path, seed: int, database: Database) -> Iterator[History]:
    found = History(folder, seed, database)
    yield found
    found.world.close()


def play(found: History) -> None:
    for number in range(STEPS):
        found.step()
        if number % 15 == 14:
            found.settle()
            found.check_told()
    found.settle()
    found.check_told()
    found.check_readers()


@pytest.mark.parametrize("seed", range(HISTORIES))
def test_histories(folder: Path, seed: int) -> None:
    database = open_database(folder / FILE)
    with history(folder, seed, database) as found:
        play(found)
    database.close()


@pytest.mark.parametrize("seed", range(max(2, HISTORIES // 6)))
def test_histories_on_postgres(folder: Path, seed: int, request: pytest.FixtureRequest) -> None:
    server = request.getfixturevalue("postgres")
    database = open_database(address_of(server, folder))
    with on(server), history(folder, seed, database) as found:
        play(found)
    database.close()


def test_an_end_is_no_content() -> None:
    assert {TransitionKind.SHOWN, TransitionKind.UPDATED}.isdisjoint(ENDS)
