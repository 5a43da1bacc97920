"""Two processes that serve one archive, their clock, and the look at each of their answers."""

from __future__ import annotations

import json
import re
import shutil
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from core.customers.accounts import AccountBook, AccountKey, Entitlement, Method
from core.writes import REFUSED, Outcome, SetStatus
from customers.accounts import rules as rules
from customers.accounts.keys import digest_of, id_of, new_key
from dateline.build.customers.accounts import CUSTOMERS_FILE
from storage.customers.accounts import StoredAccounts
from storage.databases import open_database
from storage.embedded.record.archive import Record
from storage.media.files import FolderMediaStore
from storage.postgres.record import PostgresRecord
from storage.record.port import RecordOfTruth
from tests.free_ports import free_port
from tests.guard.client import Answer, Client
from tests.guard.documents import document_of
from tests.guard.model import RESERVES, Model, Reader, Version, View, Words, marks_in, view_of
from tests.guard.process import SharedClock, Starter
from tests.guard.surfaces import AP, COMMANDS, JSON, STREAM, Ask, Contract, Shows
from tests.search.room import START

PRODUCTS = ("wire", "photos", "premium")
READERS = {
    "wire": Reader("wire", frozenset({"wire"})),
    "desk": Reader("desk", frozenset({"wire", "photos"}), models=True),
    "operator": Reader("operator", frozenset({"photos"}), inspects=True),
    "nobody": Reader("nobody", frozenset()),
}  # whose products change
EVERYTHING = Reader("agency", frozenset(PRODUCTS), frozenset("*"), inspects=True, models=True)
WRITERS = {
    "agency": EVERYTHING,
    "news": Reader("news", frozenset({"wire"}), frozenset({"wire"})),
    "pictures": Reader("pictures", frozenset(), frozenset({"photos"})),
    "both": Reader("both", frozenset({"photos"}), frozenset({"wire", "photos"})),
}
_NO_KEY = Reader("", frozenset())
SUBSCRIBER = new_key()[1]  # of an account, whose products change while the processes run
ACCOUNT = "gazette"
_HISTORY = ("/v1/account/downloads", "/media/v/account/downloads")
_CURSOR = re.compile(r'(?:"cursor":"|[?&]qt=)([^".&]+)\.')
_BASKETS = "/v1/baskets/"
_FEEDS = ("/content/feed", "/media/v/content/feed", STREAM)
_SESSION = re.compile(r"[?&](?:session|qt)=([^\"&]+)")  # of a feed, which goes on with its query
_TOMBSTONE = re.compile(
    r'"item":\{"uri":"([^"]+)",(?:"altids":\{"itemid":"([^"]+)"\},)?"version":\d+,'
    r'"pubstatus":"(?:canceled|expired|hidden|withheld)"\}'
)
_RAW = re.compile(r'"(bm25|cosine)":-?\d')  # counts hidden items: for who inspects


@dataclass
class Host:
    """A process that serves, a connection to it, and the keys that it was started with."""

    data: Path
    log: Path
    readers: dict[str, Reader] = field(default_factory=lambda: dict(READERS))
    life: ExitStack = field(default_factory=ExitStack)
    client: Client = field(default_factory=lambda: Client(0))

    def reader(self, name: str) -> Reader:
        """The owner of the key `name`; without a key, one who reads nothing."""
        return {**self.readers, **WRITERS}.get(name, _NO_KEY)

    def keys(self) -> str:
        """The setting `keys`: a key is its owner's name."""
        return json.dumps(
            [
                {
                    "name": one.name,
                    "key": one.name,
                    "products": sorted(one.products),
                    "write": sorted(one.writes) or False,
                    "reserves": [prefix for name, prefix in RESERVES.items() if name == one.name],
                    "inspect": one.inspects,
                    "models": one.models,
                }
                for one in (*self.readers.values(), *WRITERS.values())
                if one.name != SUBSCRIBER
            ]
        )


@dataclass(frozen=True, slots=True)
class Answered:
    """What became of one write: None where it could not be read. `held` is what holds the item, and
    `found` says that the process that answered finds by words all that was written before.
    """

    outcome: Outcome | None
    held: str
    found: bool


@dataclass
class World:
    """An archive, the two processes that serve it, and the model of what they may show. With a
    record on Postgres each process is a host of its own.
    """

    folder: Path
    settings: Mapping[str, str]
    starter: Starter
    words: Words = field(default_factory=Words)
    model: Model = field(default_factory=Model)
    visits: Counter[str] = field(default_factory=Counter)
    told: Counter[str] = field(default_factory=Counter)  # visits that were told something
    outcomes: set[Outcome | None] = field(default_factory=set)  # of writes
    commands: Iterator[str] = field(default_factory=lambda: cycle(COMMANDS))
    addresses: set[str] = field(default_factory=set)  # words of uris: paths, which logs have
    lists: dict[tuple[str, str], set[str]] = field(default_factory=dict)
    # What was typed for the list behind a cursor, by the caller's name and the list's token.
    received: dict[str, set[str]] = field(default_factory=dict)  # words, by the caller's name
    bought: dict[str, set[str]] = field(default_factory=dict)  # words of uris, by the caller's name
    past: set[str] = field(default_factory=set)  # words of all uris of earlier histories
    recorded: set[str] = field(default_factory=set)  # those that had an item

    def __post_init__(self) -> None:
        self.clock = SharedClock(self.folder / "clock")
        self.now = START + timedelta(days=1)
        self.clock.turn(self.now)
        address = self.settings.get("record", "")
        names = ("one", "other" if address else "one")
        self.hosts = [
            Host(self.folder / name, self.folder / f"log-{number}")
            for number, name in enumerate(names)
        ]
        self.stills = FolderMediaStore(self.folder / "stills")
        self.originals = self.folder / "originals"
        self.originals.mkdir()
        self.editors = self.folder / "editors.toml"
        self.pin(["urn:nobody"])
        path = self.hosts[0].data / CUSTOMERS_FILE
        self.accounts = StoredAccounts(open_database(address or path))
        self._sell(frozenset({"wire"}))
        for host in self.hosts:
            self._start(host)
        document = Ask("GET", "/openapi.json", Shows.NOTHING)
        self.contract = Contract(self._answering(self.hosts[0]).send(document).json())
        self._answering(self.hosts[1])
        self.record: RecordOfTruth = (
            PostgresRecord(address, {}, self.clock)
            if address
            else Record(self.hosts[0].data, {}, self.clock)
        )

    # --- the account

    def _sell(self, products: frozenset[str]) -> None:
        """The account reads these products, by one entitlement; its key is that of SUBSCRIBER."""

        def rule(book: AccountBook) -> AccountBook:
            sold = Entitlement(7, "Sold", tuple(sorted(products)) or ("nothing",))
            book = rules.put_entitlement(book, sold)
            if ACCOUNT in book.accounts:
                return book
            book = rules.create_account(book, ACCOUNT, "", START)
            book = rules.add_plan(book, ACCOUNT, "All", [sold.id], START)
            kept = AccountKey(id_of(SUBSCRIBER), ACCOUNT, "key", digest_of(SUBSCRIBER), START)
            return rules.create_key(book, kept)

        self.accounts.change(rule)
        for host in self.hosts:
            host.readers[SUBSCRIBER] = Reader(SUBSCRIBER, products)

    def change_plan(self, product: str) -> None:
        """The account gets the product, or loses it, while both processes run."""
        before = self.hosts[0].readers[SUBSCRIBER]
        self._sell(changed(before, product).products)
        expected = sorted(changed(before, product).products) or ["nothing"]
        until = time.monotonic() + 240
        for host in self.hosts:
            ask = Ask("GET", "/v1/account", Shows.NOTHING)
            while self.ask(host, SUBSCRIBER, ask).json()["data"]["products"] != expected:
                assert time.monotonic() < until, host.log.read_text()
                time.sleep(0.02)

    # --- processes

    def start_anew(self, host: Host) -> None:
        """Kills the process and starts another one with the host's present keys."""
        host.life.close()
        self._start(host)
        self._answering(host)

    def _start(self, host: Host) -> None:
        port = free_port()
        command = ["serve", "--data", str(host.data), "--port", str(port)]
        with host.log.open("ab") as log:
            settings = {**self._settings(host), "search_in": self._search_in(host)}
            pid = self.starter.start(command, settings, self.folder, log)
        host.life.callback(self.starter.kill, pid)
        host.client = host.life.enter_context(closing(Client(port)))

    def _search_in(self, host: Host) -> str:
        """The second service searches in a process of its own."""
        return "processes" if host is self.hosts[1] else "threads"

    def _answering(self, host: Host) -> Client:
        """The client of the host, once that searches where it is to."""
        until = time.monotonic() + 240
        self._alive(host, until)
        figures = Ask("GET", "/metrics", Shows.NOTHING)
        processes = f"\ndateline_search_processes {float(host is self.hosts[1])}\n"
        while processes not in (page := host.client.send(figures, EVERYTHING.name).text):
            assert time.monotonic() < until, f"{page}\n{host.log.read_text()}"
            time.sleep(0.02)
        return host.client

    def _alive(self, host: Host, until: float) -> None:
        while True:
            try:
                alive = host.client.send(Ask("GET", "/healthz", Shows.NOTHING))
            except ConnectionError:
                assert time.monotonic() < until, host.log.read_text()
                time.sleep(0.05)
            else:
                assert alive.status == 200, host.log.read_text()
                return

    def _settings(self, host: Host) -> dict[str, str]:
        return {
            "data": str(host.data),
            "keys": host.keys(),
            "media_secret": "the same in both",
            "media_store": f"file://{self.folder}/stills",
            "media_roots": str(self.originals),
            "editorial": str(self.editors),
            "threads": "1",
            "key_rate": "1000000",
            "account_quotas": json.dumps({m: {"minute": 10**9, "day": 10**9} for m in Method}),
            "searches": "1",
            "feed_hold_seconds": "0",
            **self.settings,
        }

    def close(self) -> None:
        """Ends every process."""
        self.record.close()
        self.accounts.close()
        for host in self.hosts:
            host.life.close()

    # --- looks

    def turn(self, hours: int) -> None:
        """Moves the clock of all processes."""
        self.now += timedelta(hours=hours)
        self.clock.turn(self.now)

    def view(self, reader: Reader) -> View:
        """What a reader may see now."""
        return view_of(self.model, reader, self.now)

    def ask(self, host: Host, name: str, ask: Ask, signed_for: str = "") -> Answer:
        """Sends a request with the key `name` ("" for none), looks at the answer and returns it. It
        may show what that key may see, or what the key may that the address is `signed_for`.
        """
        reader = host.reader(signed_for or name)
        answer = host.client.send(ask, name)
        self.look(ask, reader, f"{answer.text} {answer.headers.items()}")
        assert answer.status < 500, (ask, answer.text, host.log.read_text()[-3000:])
        return answer

    def pin(self, uris: Sequence[str]) -> None:
        """The editors put these items first for "front page", whoever may see them."""
        fresh = self.editors.with_suffix(".fresh")
        fresh.write_text(f'[[pins]]\nquery = "front page"\nuris = {json.dumps([*uris])}\n')
        fresh.replace(self.editors)

    def post(self, host: Host, version: Version, by: Reader) -> Answered:
        """Sends a version as a document."""
        params = {} if version.states_products else {"products": ",".join(version.products)}
        body = document_of(version)
        answer = self.ask(host, by.name, Ask("POST", "/content", Shows.NOTHING, params, body))
        return self._noted(_answered(answer, version.uri))

    def post_many(
        self, host: Host, documents: Sequence[Any], by: Reader, kind: str
    ) -> list[Answered]:
        """Sends documents in one request, as a list or as lines; what became of each."""
        headers = {"content-type": kind} if kind != JSON else {}
        ask = Ask("POST", "/content", Shows.NOTHING, json=documents, headers=headers)
        answer = self.ask(host, by.name, ask)
        data = answer.json()["data"]
        refused = sum("error" in told for told in data["items"])
        assert answer.status == (207 if refused else 200)
        assert (data["refused"], data["written"]) == (refused, len(documents) - refused)
        assert [told["number"] for told in data["items"]] == [*range(1, len(documents) + 1)]
        found = "degraded" not in data
        return [self._noted(_one_of_many(told, found)) for told in data["items"]]

    def patch(self, host: Host, change: SetStatus, by: Reader) -> Answered:
        """Changes a state. An item that is not there, or not the writer's, is told nothing of."""
        body: dict[str, Any] = {"pubstatus": change.pubstatus} if change.pubstatus else {}
        if change.embargoed or change.lift_embargo:
            body["embargoed"] = change.embargoed and change.embargoed.isoformat()
        path = f"/content/{change.uri}/status"
        answer = self.ask(host, by.name, Ask("PATCH", path, Shows.NOTHING, json=body))
        return self._noted(_answered(answer, change.uri))

    def set_status(self, change: SetStatus) -> Outcome:
        """Changes a state as the operator of the machine does."""
        arguments = ["set-status", change.uri, *([change.pubstatus] if change.pubstatus else [])]
        arguments += ["--lift"] if change.lift_embargo else []
        if change.embargoed:
            arguments += ["--embargo", f"{change.embargoed:%Y-%m-%dT%H:%M:%SZ}"]
        printed = self.command(arguments)
        self.look(
            Ask("dateline", "set-status", Shows.NOTHING, {"": arguments}), EVERYTHING, printed
        )
        said = (outcome for outcome in Outcome if f": {outcome}" in printed)
        return next(said, Outcome.MISSING)

    def _noted(self, answered: Answered) -> Answered:
        self.outcomes.add(answered.outcome)
        return answered

    def look(self, ask: Ask, reader: Reader, shown: str) -> None:
        """Fails where `shown` says more than `reader` may see."""
        view = self.view(reader)
        versions = list(view.heads.values()) if ask.shows.any else []
        whole = "all" in str(ask.params.get("versions")) or ask.path.endswith("/diff")
        if ask.shows is Shows.STORY and whole:
            versions += view.chain(ask.item)
            if ask.path.startswith(AP):  # which takes an item's itemid, too
                named = [v.uri for v in versions if (v.named_by, v.chain) == ("itemid", ask.item)]
                versions += [one for uri in named for one in view.chain(uri)]
        told = marks_in(shown) - self._typed(ask, reader, shown)
        assert reader.inspects or not _RAW.search(shown), (reader.name, ask)
        self.visits.update(ask.surfaces)
        if told:
            self.told.update(ask.surfaces)
        allowed = view.marks(versions) | self._why(reader, str(ask.params.get("why_missing")))
        # They tell by uri what was taken away, to whoever received it.
        if ask.path in _FEEDS or ask.path.startswith(_BASKETS):
            allowed |= self._tombstones(reader, view, shown)
        if ask.path in _HISTORY:  # which names what was downloaded by uri, also after a kill
            allowed |= self.bought.get(reader.name, set())
        if ask.shows is Shows.DESK and reader.inspects:  # what the desk may change, by its uri
            allowed |= marks_in(str([*self.model.versions])) | self.recorded
        self.assert_allowed(told, allowed, f"{reader.name or 'no key'}: {ask}")
        self._note_received(ask, reader, view, versions, shown, told)

    def start_over(self) -> None:
        """Begins a history: nothing that was recorded before is shown any more."""
        self.recorded |= marks_in(str([*self.model.versions]))
        self.past = set(self.addresses)
        self.model = Model()

    def _tombstones(self, reader: Reader, view: View, shown: str) -> set[str]:
        """The words that tombstones in `shown` may have: of the uri of what the reader received,
        and of the itemid that this has.
        """
        received = self.received.get(reader.name, set())
        allowed: set[str] = set()
        for uri, itemid in _TOMBSTONE.findall(shown):
            allowed |= marks_in(uri) & received
            if itemid and self._may_be_itemid(itemid, received, view):
                allowed |= marks_in(itemid)
        return allowed

    def _may_be_itemid(self, itemid: str, received: set[str], view: View) -> bool:
        """Whether something received has this itemid, which is not the uri of a hidden item."""
        if marks_in(itemid) & self.past:
            return not marks_in(itemid) & self.recorded
        versions = (one for some in self.model.versions.values() for one in some)
        return any(
            view.may_name(itemid, one.now)
            for one in versions
            if (one.sent.named_by, one.sent.chain) == ("itemid", itemid)
            and marks_in(one.sent.uri) & received
        )

    def _note_received(
        self,
        ask: Ask,
        reader: Reader,
        view: View,
        versions: Sequence[Version],
        shown: str,
        told: set[str],
    ) -> None:
        """Notes what the reader received: all that it was told, each version of which it was told
        something, what the path names, as a still has no word, and all that an answer without a
        body may stand for. What stands inside an item has been received with it, also where the
        caller has chosen members without it.
        """
        words, path = marks_in(shown), marks_in(ask.path)
        ids = [(one, _ids(one)) for one in versions]
        named = [one for one, uris in ids if uris & path]
        got = [
            one
            for one, uris in ids
            if ask.method == "HEAD" or one.marks & told or uris & (words | path)
        ]
        carried = {inside.uri for one in got for inside in one.nested} & view.heads.keys()
        received = told.union(*(one.marks for one in got), marks_in(str(carried)))
        self.received.setdefault(reader.name, set()).update(received)
        bought = marks_in(str([one.uri for one in named]))
        self.bought.setdefault(reader.name, set()).update(bought)

    def _typed(self, ask: Ask, reader: Reader, shown: str) -> set[str]:
        """The words that the caller has typed for this answer, or for the list or the session
        that it goes on with: they come back to him.
        """
        named = (ask.params.get(name) for name in ("cursor", "qt", "session"))
        cursor = str(next(filter(None, named), ""))
        before = (reader.name, cursor.partition(".")[0])
        typed = ask.typed | self.lists.get(before, set())
        for token in (*_CURSOR.findall(shown), *_SESSION.findall(shown)):
            self.lists.setdefault((reader.name, token), set()).update(typed)
        return typed

    def _why(self, reader: Reader, missing: str) -> set[str]:
        """The words that an operator is told where he asks why an item is missing: those in the uri
        of its story's head.
        """
        stories = self.model.stories(self.now) if reader.inspects else []
        heads = [story[0].uri for story in stories if missing in {one.uri for one in story}]
        return marks_in(str(heads))

    def assert_allowed(self, told: set[str], allowed: set[str], where: str) -> None:
        """Fails if words were told that are not `allowed`."""
        leaked = told - allowed
        assert not leaked, f"{where} told of {sorted(self._owners(leaked))}"

    def _owners(self, words: set[str]) -> Iterator[str]:
        for word in words:
            found = [
                f"{one.sent.uri} v{one.sent.number}"
                for versions in self.model.versions.values()
                for one in versions
                if word in one.sent.marks | {inside.word for inside in one.sent.nested}
            ]
            yield f"{word} ({', '.join(found) or 'an earlier history, or nobody'})"

    def explained(self, host: Host, name: str) -> str:
        """The message of a failure: what the caller should see."""
        return f"{host.reader(name)} should see {self.view(host.reader(name)).heads}"

    def command(self, arguments: list[str]) -> str:
        """What a command prints."""
        with TemporaryFile() as printed:
            settings = self._settings(self.hosts[0])
            self.starter.wait(self.starter.start(arguments, settings, self.folder, printed))
            printed.seek(0)
            return printed.read().decode()

    def logged(self) -> str:
        """All that the processes wrote to their logs."""
        return "".join(host.log.read_text("utf-8", "replace") for host in self.hosts)


def _ids(version: Version) -> set[str]:
    """The words of what names a version: its uri, and its itemid."""
    return marks_in(f"{version.uri} {version.chain if version.named_by == 'itemid' else ''}")


_STATUS = {
    Outcome.CREATED: 201,
    Outcome.HELD: 202,
    **dict.fromkeys((Outcome.FORBIDDEN, Outcome.RESERVED), 403),
    Outcome.MISSING: 404,
    **dict.fromkeys((Outcome.STALE, Outcome.CONFLICT, Outcome.TAKEN), 409),
}
_UNRECORDED = {"number", "uri", "outcome", "embargoed"}  # all that is told of such an item


def _answered(answer: Answer, uri: str) -> Answered:
    """What became of a write, as an answer about it alone says it."""
    body = answer.json()
    if "error" in body:
        code = body["error"]["code"]
        outcome = Outcome.MISSING if code == "not_found" else Outcome(code)
        told = {"outcome": outcome}
    else:
        (told,) = body["data"]["items"]
        outcome = Outcome(told["outcome"])
        assert told["uri"] == uri
    assert answer.status == _STATUS.get(outcome, 200), answer.text
    if outcome in (Outcome.HELD, Outcome.RELEASED):
        assert set(told) <= _UNRECORDED
    return Answered(outcome, told.get("held", ""), "degraded" not in body.get("data", ()))


def _one_of_many(told: Mapping[str, Any], found: bool) -> Answered:
    """What became of a document, by its entry in the answer to many."""
    error = told.get("error", {})
    if error.get("code") == "bad_document":
        return Answered(None, "", found)
    outcome = Outcome(told["outcome"])
    assert error.get("status", 200) == (_STATUS[outcome] if outcome in REFUSED else 200)
    return Answered(outcome, told.get("held", ""), found)


@contextmanager
def opened(world: World) -> Iterator[World]:
    """The world; its processes end and its folder is removed at the end."""
    try:
        yield world
    finally:
        world.close()
        shutil.rmtree(world.folder)


def changed(reader: Reader, product: str) -> Reader:
    """The same reader with the product added, or taken away if it was there."""
    return replace(reader, products=reader.products ^ {product})
