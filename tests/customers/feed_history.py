"""One random history of an archive and of its customers: what is written, what becomes of it, and
what each surface shows, beside a few dicts that say what it has to show.
"""

from __future__ import annotations

import random
import subprocess
from collections.abc import Callable, Sequence
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import pytest

from core.callers import Caller
from core.customers.transitions import TransitionKind
from core.items import PubStatus
from core.writes import PutItem, SetStatus
from customers.feed import SessionEndedError
from customers.maker import TransitionMaker
from storage.customers.transitions import StoredTransitions
from storage.databases import open_database
from storage.embedded.record import copies
from storage.record.port import RecordOfTruth
from tests.customers.feed_world import FeedWorld, Reader
from tests.customers.other_surfaces import COST, OtherSurfaces
from tests.guard.model import Model, Version, view_of
from tests.guard.model import Reader as Key
from tests.postgres_server import Server, binaries
from tests.storage.postgres_world import schema_of
from tests.storage.world import HOUR, NOW, SetClock, make_item

PRODUCTS = (("1",), ("2",), ("1", "2"))
WORDS = ("ferry", "storm")  # one in each version's headline; each account follows both
EVERYBODY = frozenset({"1", "2"})
KILLED = TransitionKind.KILLED
Plans = dict[str, frozenset[str]]
Sold = tuple[str, int, bool, bool]  # uri, version, duplicate, void


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


class Copies(Protocol):
    """Backups of an archive and of its customers, while no process uses them."""

    def backup(self) -> None: ...

    def restore(self, *, customers: bool) -> bool:
        """Returns whether the customers went back too."""
        ...


class FileCopies:
    """Those of `dateline backup` and `dateline restore`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.number = 0

    @property
    def _copy(self) -> Path:
        return self.folder / f"copy-{self.number}"

    def backup(self) -> None:
        self.number += 1
        copies.backup(self.folder, self._copy)

    def restore(self, *, customers: bool) -> bool:
        beside = copies.beside(self._copy)
        away = beside.with_name("away")
        if not customers:
            beside.rename(away)
        copies.restore(self._copy, self.folder, force=True)
        if not customers:
            away.rename(beside)
        return customers


class ServerCopies:
    """Those of Postgres's tools, as docs/postgres.md has them: all goes back but for receipts."""

    def __init__(self, server: Server, folder: Path) -> None:
        self._url = server.url()
        self._schema = schema_of(folder)
        self._copy, self._receipts = folder / "archive.dump", folder / "receipts.sql"

    def backup(self) -> None:
        self._run("pg_dump", "--format=custom", f"--schema={self._schema}", "--file", self._copy)

    def restore(self, *, customers: bool) -> bool:
        table = f"--table={self._schema}.dateline_receipts"
        rows = "--data-only", "--inserts", "--on-conflict-do-nothing"
        self._run("pg_dump", *rows, table, "--file", self._receipts)
        self._run("pg_restore", "--clean", "--if-exists", self._copy)
        self._run("psql", "--quiet", "--file", self._receipts)
        return True

    def _run(self, program: str, *arguments: str | Path) -> None:
        where = binaries()
        assert where is not None
        command = [where / program, f"--dbname={self._url}", *arguments]
        subprocess.run(command, check=True, capture_output=True)


@dataclass
class Expected:
    """The dicts: what the archive holds, what each account has bought and received."""

    model: Model
    plans: Plans
    versions: dict[str, int]  # the newest number of each item; a restore gives none again
    sold: dict[str, list[Sold]]
    gained: dict[str, set[str]]  # items that a plan gave an account later: not told of
    received: dict[str, set[str]]


class History:
    """An archive in `folder` whose customers are kept at `place`, two makers of its transitions,
    and readers.
    """

    def __init__(self, folder: Path, seed: int, place: Path | str, copier: Copies) -> None:
        self.rng = random.Random(seed)
        self.folder, self.place, self.copier = folder, place, copier
        self.clock = SetClock()
        plans = {"a": frozenset({"1"}), "b": frozenset({"2"}), "ab": EVERYBODY}
        self.expected = Expected(
            Model(),
            plans,
            {},
            {name: [] for name in plans},
            {name: set() for name in plans},
            {name: set() for name in plans},
        )
        self.saved: Expected | None = None
        self.steps: list[str] = []
        self._open()
        for name in plans:
            for word in WORDS:
                self.others.topics.create(self.caller(name), word, word)
        self._begin_to_read()

    def _open(self) -> None:
        self.database = open_database(self.place)
        self.world = FeedWorld(self.folder, self.clock, self.database, self.expected.plans)
        self.book = CrashingBook(self.database)
        self.makers = [self.world.maker, self._another()]
        self.others = OtherSurfaces(self.world, lambda: self.expected.plans)

    def close(self) -> None:
        self.world.close()
        self.database.close()

    def _begin_to_read(self) -> None:
        """Each account reads everything, and what has the first word."""
        self.readers = [
            Reader.begin(self.world, self.caller(name), query)
            for name in self.expected.plans
            for query in ("", f"headline:{WORDS[0]}")
        ]

    def caller(self, name: str) -> Caller:
        return Caller(name, self.expected.plans[name])

    @property
    def record(self) -> RecordOfTruth:
        return self.world.engine.record

    def _another(self) -> TransitionMaker:
        plans = lambda: self.expected.plans  # noqa: E731
        return TransitionMaker(self.record, self.book, self.world.receipts, self.clock, plans)

    def visible(self, products: frozenset[str]) -> dict[str, Version]:
        """What an account with these products may see now, by uri, as the model has it."""
        return view_of(self.expected.model, Key("", products), self.clock.now).heads

    # Steps

    def step(self) -> None:
        steps = [*[self.put] * 4, self.put_products, self.kill, self.embargo, *[self.lift] * 2]
        steps += [self.withhold, self.advance, self.expire, *[self.change_plan] * 2]
        steps += [*[self.make] * 3, self.crash, self.start_anew, self.backup, self.restore]
        steps += [*[self.read] * 4, self.repeat, *[self.search] * 2]
        steps += [self.match, self.read_rss, *[self.download] * 2]
        chosen = self.rng.choice(steps)
        self.steps.append(chosen.__name__)
        chosen()

    def uri(self) -> str:
        return f"u{self.rng.randrange(6)}"

    def name(self) -> str:
        return self.rng.choice([*self.expected.plans])

    def put(self) -> None:
        uri, hours = self.uri(), self.rng.choice
        number = self.expected.versions[uri] = self.expected.versions.get(uri, 0) + 1
        embargo, expiry = hours([None, None, None, 1, 2]), hours([None, None, None, 2, 3])
        version = Version(
            uri=uri,
            number=number,
            word=self.rng.choice(WORDS),
            chain=self.rng.choice([uri, uri, "story"]),
            products=self.rng.choice(PRODUCTS),
            created=NOW + self.rng.randrange(-9, 9) * HOUR,
            place="",
            embargoed=None if embargo is None else self.clock.now + embargo * HOUR,
            expires=None if expiry is None else self.clock.now + expiry * HOUR,
        )
        self._put(version)

    def put_products(self) -> None:
        """The newest version of an item again, with other products."""
        versions = self.expected.model.versions.get(self.uri())
        if versions:
            self._put(replace(versions[-1].sent, products=self.rng.choice(PRODUCTS)))

    def _put(self, version: Version) -> None:
        item = make_item(
            version.uri,
            version.number,
            headline=f"A {version.word}",
            chain=version.chain,
            versioncreated=version.created,
            products=version.products,
            embargoed=version.embargoed,
            expires=version.expires,
        )
        (written,) = self.world.engine.put([PutItem(item)])
        assert written.outcome is self.expected.model.put(version)

    def kill(self) -> None:
        self._change(SetStatus(self.uri(), PubStatus.CANCELED))

    def embargo(self) -> None:
        until = self.clock.now + self.rng.choice([1, 2]) * HOUR
        self._change(SetStatus(self.uri(), embargoed=until))

    def lift(self) -> None:
        """Of whatever keeps an item."""
        self._change(SetStatus(self.uri(), PubStatus.USABLE, lift_embargo=True))

    def withhold(self) -> None:
        self._change(SetStatus(self.uri(), PubStatus.WITHHELD))

    def _change(self, change: SetStatus) -> None:
        (written,) = self.world.engine.set_status([change])
        assert written.outcome is self.expected.model.set_status(change)

    def advance(self) -> None:
        """Embargoes lift, items expire."""
        self.clock.advance(self.rng.choice([0.5, 1]) * HOUR)

    def expire(self) -> None:
        """Time passes until the next item expires."""
        newest = [some[-1].now.expires for some in self.expected.model.versions.values()]
        later = [moment for moment in newest if moment and moment > self.clock.now]
        if later:
            self.clock.now = min(later)

    def make(self) -> None:
        self.rng.choice(self.makers).run()

    def crash(self) -> None:
        """The second process ends around a write, and starts again."""
        self.book.crash = self.rng.choice(["before", "after"])
        with suppress(Crash):
            self.makers[1].run()
        self.book.crash = ""
        self.makers[1] = self._another()

    def start_anew(self) -> None:
        """All processes end and start: what they remembered is gone."""
        self.close()
        self._open()
        for reader in self.readers:
            reader.world = self.world

    def backup(self) -> None:
        self.copier.backup()
        self.saved = deepcopy(self.expected)

    def restore(self) -> None:
        """The record goes back to the backup, with its customers or without them. Every session
        ends, and who mirrored begins anew. What was received is not forgotten, with files.
        """
        if self.saved is None:
            return
        now, back = self.expected, deepcopy(self.saved)
        self.close()
        if self.copier.restore(customers=self.rng.random() < 0.5):
            self.expected = replace(back, received=now.received, versions=now.versions)
        else:
            self.expected = replace(now, model=back.model)
        self._open()
        self.makers[0].run()
        for reader in self.readers:
            with pytest.raises(SessionEndedError):
                self.world.feed.resume(reader.caller, reader.session.id, reader.position)
        self._begin_to_read()

    def read(self) -> None:
        self._read(self.rng.choice(self.readers), self.rng.choice([1, 2, 5, 100]))

    def _read(self, reader: Reader, size: int) -> bool:
        page = reader.page(size)
        got = {entry.item.uri for entry in page.entries if entry.item is not None}
        self.expected.received[reader.caller.account] |= got
        return page.more

    def repeat(self) -> None:
        """A link from before shows what the account may see now, and nothing else."""
        reader = self.rng.choice(self.readers)
        link = self.rng.choice(reader.links)
        page = self.world.feed.page(reader.caller, reader.session, link, 5)
        places = [entry.transition.n for entry in page.entries]
        assert places == sorted({*places})
        visible = self.visible(reader.caller.products)
        for entry in page.entries:
            if entry.item is not None:
                assert entry.item.version == visible[entry.item.uri].number
                self.expected.received[reader.caller.account].add(entry.item.uri)
            else:
                assert entry.transition.uri in self.expected.received[reader.caller.account]

    def search(self) -> None:
        caller, uri = self.caller(self.name()), self.uri()
        seen = self.world.search(caller, uri)
        assert seen == (uri in self.visible(caller.products))
        if seen:
            self.expected.received[caller.account].add(uri)

    def change_plan(self) -> None:
        name, products = self.name(), frozenset(self.rng.choice(PRODUCTS))
        before = self.expected.plans[name]
        self.expected.gained[name] |= {
            uri
            for uri, versions in self.expected.model.versions.items()
            if any(before.isdisjoint(one.now.products) and products & {*one.now.products}
                   for one in versions)
        }  # fmt: skip
        self.expected.plans = {**self.expected.plans, name: products}
        self.world.entitled = self.expected.plans
        for reader in self.readers:
            if reader.caller.name == name:
                reader.caller = self.caller(name)

    def match(self) -> None:
        """Whoever finds the matches of topics looks; sometimes it is a process that starts."""
        if self.rng.random() < 0.3:
            self.others.alerts = self.others.follower()
        while self.others.alerts.step():
            pass
        self.check_matches(self.caller(self.name()))

    def read_rss(self) -> None:
        caller = self.caller(self.name())
        self.check_rss(caller)
        heads = self.visible(caller.products)
        shown = [(uri, head.number) for uri, head in heads.items()]
        self.world.receipts.add(caller.account, "rss", shown)
        self.expected.received[caller.account] |= heads.keys()

    def download(self) -> None:
        """An account orders an item that it sees, to which something may happen meanwhile."""
        caller, uri = self.caller(self.name()), self.uri()
        item = self.world.engine.item(uri, caller)
        seen = self.visible(caller.products).get(uri)
        assert (item and item.version) == (seen and seen.number)
        if item is None:
            return
        endings: list[Callable[[], object]] = [
            lambda: None,
            lambda: None,
            lambda: self._change(SetStatus(uri, PubStatus.CANCELED)),
            lambda: self._change(SetStatus(uri, embargoed=self.clock.now + HOUR)),
        ]
        self.world.receipts.add(caller.account, "item", [(uri, item.version)])
        self.expected.received[caller.account].add(uri)
        sent = self.others.order(caller, item, self.rng.choice(endings))
        hidden = uri not in self.visible(caller.products)
        assert (sent is None) == hidden
        sold = self.expected.sold[caller.account]
        before = any(one[0] == uri and not (one[2] or one[3]) for one in sold)
        sold.append((uri, item.version, before, hidden))

    def settle(self) -> None:
        for maker in self.makers:
            maker.run()
        while self.others.alerts.step():
            pass

    # What must hold

    def check(self) -> None:
        self.check_told()
        for name in self.expected.plans:
            caller = self.caller(name)
            self.check_matches(caller, all_made=True)
            self.check_rss(caller)
            self.check_downloads(caller)
        self.check_readers(self.rng.sample(self.readers, 3))

    def check_told(self) -> None:
        """What was told is what the archive shows."""
        heads = self.visible(EVERYBODY)
        told = self.world.book.told(self.expected.versions)
        assert {u: (t.version, t.products) for u, t in told.items() if t.shown} == {
            uri: (head.number, frozenset(head.products)) for uri, head in heads.items()
        }

    def check_matches(self, caller: Caller, *, all_made: bool = False) -> None:
        """Each match is of an item that the account may see; when `all_made`, each item that it was
        told of has one.
        """
        visible = self.visible(caller.products)
        words = {topic.id: topic.name for topic in self.others.topics.all(caller)}
        told = {(m["topic"], m["uri"], m["version"]) for m in self.others.matches(caller)}
        assert {uri for _, uri, _ in told} <= visible.keys()
        for topic, uri, version in told:
            if version == visible[uri].number:
                assert visible[uri].word == words[topic]
        if all_made:
            due = {(topic, u, v.number) for u, v in visible.items() for topic in words
                   if words[topic] == v.word}  # fmt: skip
            assert {uri for _, uri, _ in due - told} <= self.expected.gained[caller.account]

    def check_rss(self, caller: Caller) -> None:
        """Each feed of a product and of a topic has what the account may see, and all of it."""
        visible = self.visible(caller.products)
        for product in caller.products:
            shown = {u: v.number for u, v in visible.items() if product in v.products}
            assert self.others.rss(caller, int(product)) == shown
        for topic in self.others.topics.all(caller):
            shown = {u: v.number for u, v in visible.items() if v.word == topic.name}
            assert self.others.rss(caller, self.others.rss_of(topic)) == shown

    def check_downloads(self, caller: Caller) -> None:
        """Each order has one row, and one charge that was not taken back in its period."""
        rows = self.others.downloads.history(caller.account)[::-1]
        told = [(r.order.uri, r.order.version, r.duplicate, r.void) for r in rows]
        assert told == self.expected.sold[caller.account]
        assert [r.charge.amount for r in rows] == [0 if d or v else COST for *_, d, v in told]

    def check_readers(self, readers: Sequence[Reader]) -> None:
        for reader in readers:
            while self._read(reader, 100):
                pass
            self._check_order(reader)
            self._check_kills(reader)
            self._check_mirror(reader)

    def _check_order(self, reader: Reader) -> None:
        places = [entry.transition.n for entry in reader.told]
        assert places == sorted(places)
        assert len({*places}) == len(places)

    def _check_kills(self, reader: Reader) -> None:
        """One notice for each kill of what the account received before it, and again, by the same
        id and for the account alone, where the item was on its way; no end of anything else.
        """
        account = reader.caller.account
        received = self.expected.received[account]
        told = [entry.transition for entry in reader.told if entry.pubstatus == "canceled"]
        for uri, versions in self.expected.model.versions.items():
            kills = [t for t in self.world.book.after(0, 10_000, account) if t.uri == uri]
            kills = [t for t in kills if t.kind is KILLED]
            mine = [t.id for t in told if t.uri == uri]
            once = [t.id for t in told if t.uri == uri and not t.account]
            assert len({*once}) == len(once)
            assert {*mine} <= {t.id for t in kills}
            if uri in received and versions[-1].now.pubstatus is PubStatus.CANCELED:
                assert mine, f"{account} received {uri} and was not told of its kill"
        ends = {entry.transition.uri for entry in reader.told if entry.item is None}
        assert ends <= received

    def _check_mirror(self, reader: Reader) -> None:
        """The reader has what its account may see, but for what a plan gave it later."""
        heads = self.visible(reader.caller.products)
        assert reader.mirror.items() <= {uri: head.number for uri, head in heads.items()}.items()
        word = reader.session.q.partition(":")[2]
        due = {uri for uri, head in heads.items() if word in ("", head.word)}
        assert due - reader.mirror.keys() <= self.expected.gained[reader.caller.name]
