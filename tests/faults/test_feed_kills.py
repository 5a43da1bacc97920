"""A feed loses no transition and tells none twice, however often its service is killed.

Writers make transitions of every kind: stories are shown, updated, embargoed, lifted, expired,
withheld, released and killed. A reader follows the feed with `dateline_client` and keeps its place.
Meanwhile the service is killed by SIGKILL at random moments, and started again. Each story has one
transition in each wave, and the next wave begins when the reader has all of this one. So it is
known which transitions there must be, whoever is killed.

FEED_TRANSITIONS and FEED_KILLS say how many; `make deep` has a million transitions and a hundred
kills over SQLite, and a tenth and a fifth of these over Postgres.
"""

from __future__ import annotations

import json
import os
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import zip_longest
from pathlib import Path
from threading import Condition, Event, Thread
from typing import Any, TypeVar

import httpx
import orjson
import pytest
from dateline_client import Client, Entry, FilePlace, Retries

from dateline.build.customers.accounts import CUSTOMERS_FILE
from storage.customers.transitions import StoredTransitions
from storage.databases import open_database
from tests.faults.feed_service import PRODUCT, item_of, state_of
from tests.free_ports import free_port
from tests.guard.process import SharedClock, Starter
from tests.postgres_server import Server
from tests.storage.postgres_world import address_of
from tests.storage.world import NOW

pytestmark = [pytest.mark.faults, pytest.mark.timeout(7200)]

T = TypeVar("T")
TRANSITIONS = int(os.environ.get("FEED_TRANSITIONS", "5000"))
KILLS = int(os.environ.get("FEED_KILLS", "5"))
STORIES = 5_000  # at most, in one wave
AT_ONCE = 500  # in one bulk
PATIENCE_S = 300.0  # without any news
MOST_DELAY_S = 0.02  # from what a kill waits for, until the kill
PATIENT = Retries(attempts=10**6, first_s=0.02, longest_s=0.5)
STEP_S = 60  # of the clock, until an embargo lifts and until an item expires
DESK, READER = "key-of-the-desk", "key-of-a-reader"
PUBLIC = {0, 9, 13, 18}  # of a thousand stories, written by the routes that the desk has
LIFE = (
    *("put", "embargo", "lift", "withhold", "release", "embargo", "lift", "withhold", "release"),
    *("ahead", "back", "lift", "withhold", "release", "back", "lift", "withhold", "release"),
    *("due", "withhold", "release", "expire"),
)
PUTS = {"put", "ahead", "due"}  # at once, under an embargo, until it expires
TURNS = {"lift", "expire"}  # waves that the clock makes
KILLING = {9, 13, 18}  # waves that kill a twentieth of the stories
BUSY = ("wrote", "made transitions", "served a page")
ENDS = {"hidden", "expired", "killed"}


@dataclass(slots=True)
class Story:
    """A story that is written; `shown` is whether customers are shown it."""

    number: int
    version: int = 0
    shown: bool = False

    @property
    def uri(self) -> str:
        return f"urn:kills:{self.number}"


class EndedError(Exception):
    """The reader is to end."""


@dataclass
class Told:
    """What the reader was told, and what it is still to be told."""

    changed: Condition = field(default_factory=Condition)
    ids: dict[str, None] = field(default_factory=dict)
    place: int = 0
    pending: dict[str, tuple[str, int]] = field(default_factory=dict)
    last: dict[str, tuple[str, int]] = field(default_factory=dict)
    killed: dict[str, float] = field(default_factory=dict)  # when it was acknowledged
    counts: Counter[str] = field(default_factory=Counter)
    due: int = 0  # how many transitions there must be when this wave is over
    failure: str = ""

    def take(self, entry: Entry) -> None:
        """The client gave out an entry."""
        with self.changed:
            self.counts["given out"] += 1
            if entry.id not in self.ids:
                self._take_new(entry)
                self.changed.notify_all()

    def _take_new(self, entry: Entry) -> None:
        self.ids[entry.id] = None
        self.counts[entry.kind] += 1
        uri, told = entry.item.uri, (entry.kind, entry.item.version)
        if entry.position <= self.place:
            self.fail(f"{entry} came after place {self.place}")
        self.place = entry.position
        if self.pending.get(uri) == told:
            self.last[uri] = self.pending.pop(uri)
        elif _is_again(told, self.last.get(uri)):
            self.counts["told once more"] += 1
        else:
            self.fail(f"{uri} was told as {told} and not {self.pending.get(uri)}")

    def look(self, sent: float, body: bytes) -> None:
        """A page came whose request was sent at a moment."""
        entries = orjson.loads(body)["data"]["items"]
        with self.changed:
            self.counts["pages"] += 1
            self.counts["delivered"] += len(entries)
            for entry in entries:
                uri = entry["item"]["uri"]
                whole = entry["item"].keys() - {"uri", "version", "pubstatus", "altids"}
                if whole and self.killed.get(uri, sent) < sent:
                    self.fail(f"the content of {uri} came after its kill was acknowledged")

    def fail(self, why: str) -> None:
        """Something is wrong: the test ends with the first of these."""
        with self.changed:
            self.failure = self.failure or why
            self.changed.notify_all()

    def wait(self, until: Callable[[], bool]) -> None:
        """Waits until something is so, as long as there is news."""
        with self.changed:
            while not until():
                news = self.changed.wait(PATIENCE_S)
                assert not self.failure, self.failure
                assert news, f"nothing came; still to come: {[*self.pending.items()][:5]}"


def _is_again(told: tuple[str, int], last: tuple[str, int] | None) -> bool:
    """Whether an item is told once more: a page met it before its transition was made."""
    return last is not None and last[0] not in ENDS and told == ("updated", last[1])


class Looking(httpx.BaseTransport):
    """Sends requests of the reader, and looks at each page that comes."""

    def __init__(self, told: Told) -> None:
        self.told, self.ended = told, Event()
        self.underway = False
        self._inner = httpx.HTTPTransport()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if self.ended.is_set():
            raise EndedError
        sent, self.underway = time.monotonic(), True
        try:
            response = self._inner.handle_request(request)
            response.read()
        finally:
            self.underway = False
        if response.status_code == 200:
            self.told.look(sent, response.content)
        return response

    def close(self) -> None:
        self._inner.close()


class Reading:
    """A customer's program that follows the feed, in a thread."""

    def __init__(self, url: str, folder: Path, told: Told) -> None:
        self._url, self._place, self._told = url, folder / "place.json", told
        self.crash = Event()  # it loses what it had in memory, and goes on from its place
        self.transport = Looking(told)
        self._thread = Thread(target=self._run, name="reader", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            while True:
                self._follow()
        except EndedError:
            pass
        except BaseException as error:  # noqa: BLE001 - the test ends with it
            self._told.fail(repr(error))

    def _follow(self) -> None:
        client = Client(self._url, READER, retries=PATIENT, transport=self.transport)
        place = FilePlace(self._place)
        for entry in client.follow(place=place, page_size=200, wait=2):
            self._told.take(entry)
            if self.crash.is_set():
                self.crash.clear()
                return

    def close(self) -> None:
        self.transport.ended.set()
        self._thread.join(PATIENCE_S)
        self.transport.close()


@dataclass
class World:
    """The service, and the transitions as they are on the disk."""

    folder: Path
    starter: Starter
    address: str = ""
    port: int = field(default_factory=free_port)
    pid: int = 0
    writing: int = 0  # requests of writers that wait for an answer

    def __post_init__(self) -> None:
        self.now = NOW
        self.clock = SharedClock(self.folder / "clock")
        self.clock.turn(self.now)
        self.log = self.folder / "log"
        self.start()
        place = self.address or self.folder / "data" / CUSTOMERS_FILE
        self.database = open_database(place)
        self.book = StoredTransitions(self.database)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        keys = [
            {"name": "desk", "key": DESK, "products": [PRODUCT], "write": True},
            {"name": "reader", "key": READER, "products": [PRODUCT]},
        ]
        settings = {
            "keys": json.dumps(keys),
            "key_rate": "1000000",
            "threads": "1",
            "searches": "1",
            "search_in": "threads",
            "media_secret": "the same in all of them",
            **({"record": self.address} if self.address else {}),
        }
        command = ["serve", "--data", str(self.folder / "data"), "--port", str(self.port)]
        with self.log.open("wb") as log:
            self.pid = self.starter.start(command, settings, self.folder, log)
        until = time.monotonic() + PATIENCE_S
        while True:
            with suppress(httpx.TransportError):
                if httpx.get(f"{self.url}/healthz", timeout=5).status_code == 200:
                    return
            assert time.monotonic() < until, self.log.read_text()[-3000:]
            time.sleep(0.02)

    def kill(self) -> None:
        self.starter.kill(self.pid)

    def turn(self) -> None:
        self.now += timedelta(seconds=STEP_S)
        self.clock.turn(self.now)

    def close(self) -> None:
        self.kill()
        self.database.close()


class Killer:
    """Kills the service after the transitions with these numbers, in a thread: by turns at once,
    when a writer has sent a request, and when the next wave has begun.
    """

    def __init__(
        self, world: World, told: Told, reading: Reading, after: Sequence[int], rng: random.Random
    ) -> None:
        self._world, self._told, self._reading = world, told, reading
        self._after, self._rng = after, rng
        self.counts: Counter[str] = Counter()
        self._thread = Thread(target=self._run, name="killer", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            for turn, number in enumerate(self._after):
                self._until(turn, number)
                time.sleep(self._rng.uniform(0.0, MOST_DELAY_S))
                self._kill()
        except BaseException as error:  # noqa: BLE001 - the test ends with it
            self._told.fail(repr(error))

    def _until(self, turn: int, number: int) -> None:
        self._told.wait(lambda: len(self._told.ids) >= number)
        due = self._told.due
        if turn % 3 == 1:
            self._told.wait(lambda: self._world.writing > 0)
        elif turn % 3 == 2:
            self._told.wait(lambda: self._told.due > due)

    def _kill(self) -> None:
        writing, paging = self._world.writing > 0, self._reading.transport.underway
        self._world.kill()
        self.counts["kills"] += 1
        self.counts["while it wrote"] += writing
        self.counts["while it served a page"] += paging
        self.counts["while it made transitions"] += self._world.book.count() < self._told.due
        if self._rng.random() < 0.3:
            self._reading.crash.set()
        self._world.start()

    def close(self) -> None:
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive()


class Writers:
    """Write the waves: most by the hundred, some by the routes that a desk has."""

    def __init__(self, world: World, told: Told) -> None:
        self._world, self._told = world, told
        self._pool = ThreadPoolExecutor(1)
        self._clients = [httpx.Client(base_url=world.url, timeout=600) for _ in range(2)]

    def wave(self, name: str, living: Sequence[Story], killed: Sequence[Story]) -> None:
        """One transition of each story; returns when the reader has all of them."""
        expected = {story.uri: _become(name, story) for story in living}
        expected |= {story.uri: ("killed", story.version) for story in killed}
        with self._told.changed:
            self._told.pending = dict(expected)
            self._told.due += len(expected)
            self._told.changed.notify_all()
        if name in TURNS:
            self._world.turn()
        else:
            public = self._pool.submit(self._publicly, name, *map(_public, (living, killed)))
            self._bulks(name, *(_rest(stories) for stories in (living, killed)))
            public.result()
            if name == "ahead":
                self._world.turn()
        self._told.wait(lambda: not self._told.pending)

    def _bulks(self, name: str, living: Sequence[Story], killed: Sequence[Story]) -> None:
        for some in _parts(killed):
            self._bulk([], [[story.uri, "canceled"] for story in some])
            self._note([story.uri for story in some])
        for some in _parts(living):
            if name in PUTS:
                self._bulk([[s.uri, s.version, *self._times(name)] for s in some], [])
            else:
                self._bulk([], [[s.uri, _STATES.get(name), *self._times(name)] for s in some])

    def _bulk(self, puts: Sequence[Any], states: Sequence[Any]) -> None:
        refused = self._ask(0, "POST", "/bulk", {"puts": puts, "states": states}).json()
        assert refused == []

    def _times(self, name: str) -> tuple[float | None, ...]:
        """When an item is shown, and until when."""
        then = self._world.now.timestamp() + STEP_S
        embargoed = {"ahead", "embargo", "back"}
        return (None, then) if name == "due" else (then,) if name in embargoed else ()

    def _publicly(self, name: str, living: Sequence[Story], killed: Sequence[Story]) -> None:
        for story in killed:
            self._status(story, "canceled")
            self._note([story.uri])
        for story in living:
            if name in PUTS:
                self._document(story, name)
            else:
                self._status(story, _STATES.get(name), *self._times(name))

    def _status(self, story: Story, pubstatus: str | None, embargoed: float | None = None) -> None:
        state = state_of(story.uri, pubstatus, embargoed)
        body = {"pubstatus": state.pubstatus} if state.pubstatus else {}
        body |= {"embargoed": state.embargoed.isoformat()} if state.embargoed else {}
        self._ask(1, "PATCH", f"/content/{story.uri}/status", body)

    def _document(self, story: Story, name: str) -> None:
        item = item_of(story.uri, story.version, *self._times(name)).item
        document = {
            "uri": item.uri,
            "version": str(item.version),
            "type": "text",
            "versioncreated": item.versioncreated.isoformat(),
            "headline": item.headline,
            "body_text": item.body,
            "products": [*item.products],
        }
        document |= {"embargoed": item.embargoed.isoformat()} if item.embargoed else {}
        document |= {"expires": item.expires.isoformat()} if item.expires else {}
        self._ask(1, "POST", "/content", document)

    def _ask(self, client: int, method: str, path: str, body: Any) -> httpx.Response:
        """Sends a request until it is answered: the service is killed meanwhile."""
        until = time.monotonic() + PATIENCE_S
        while True:
            with self._told.changed:
                self._world.writing += 1
                self._told.changed.notify_all()
            try:
                answer = self._clients[client].request(
                    method, path, json=body, headers={"x-api-key": DESK}
                )
            except httpx.TransportError:
                time.sleep(0.02)
            else:
                if answer.status_code != 503:
                    assert answer.is_success, answer.text
                    return answer
            finally:
                with self._told.changed:
                    self._world.writing -= 1
            assert time.monotonic() < until, f"{method} {path} was not answered in time"

    def _note(self, uris: Sequence[str]) -> None:
        """Kills were acknowledged."""
        now = time.monotonic()
        with self._told.changed:
            self._told.killed |= dict.fromkeys(uris, now)

    def close(self) -> None:
        self._pool.shutdown()
        for client in self._clients:
            client.close()


_STATES = {"withhold": "withheld", "release": "usable"}


def _become(name: str, story: Story) -> tuple[str, int]:
    """Takes a story through a wave; its transition and the version that this tells."""
    before = story.shown
    story.version += name in PUTS
    story.shown = name in PUTS or name in ("lift", "back", "release")
    if not story.shown:
        return "expired" if name == "expire" else "hidden", story.version
    told = story.version - (name == "back")  # an embargo shows the version before
    return "updated" if before else "shown", told


def _is_public(story: Story) -> bool:
    return story.number % 1000 in PUBLIC


def _public(stories: Sequence[Story]) -> list[Story]:
    return [story for story in stories if _is_public(story)]


def _rest(stories: Sequence[Story]) -> list[Story]:
    return [story for story in stories if not _is_public(story)]


def _parts(stories: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(stories), AT_ONCE):
        yield stories[start : start + AT_ONCE]


def write_all(writers: Writers, told: Told, transitions: int) -> None:
    """Waves until there are so many transitions: one generation of stories after another."""
    stories = min(STORIES, transitions // 20)
    generation = 0
    while len(told.ids) < transitions:
        first = generation * max(stories, 1000)  # so that each has some of the public ones
        living = [Story(number) for number in range(first, first + stories)]
        for number, name in enumerate(LIFE):
            dead = [s for s in living if number in KILLING and s.number % 20 == number]
            living = [s for s in living if s not in dead] if dead else living
            writers.wave(name, living, dead)
        generation += 1
        print(f"{len(told.ids):,} of {transitions:,} transitions were made and told", flush=True)


def check(world: World, told: Told) -> None:
    """The reader has the transitions of the book, each once and in their order. An item that is
    told once more may have changed before the reader came to that.
    """
    n, ids, last = 0, dict[str, None](), dict[str, tuple[str, int]]()
    while batch := world.book.after(n, 10_000, "reader"):
        for each in batch:
            now = (str(each.kind), each.version)
            if each.id in told.ids:
                ids[each.id] = None
            else:
                assert _is_again(now, last.get(each.uri)), f"{each} was not told"
            last[each.uri] = now
        n = batch[-1].n
    pairs = zip_longest(ids, told.ids)  # a comparison of lists would be shown whole
    assert next((pair for pair in pairs if pair[0] != pair[1]), None) is None


def run(folder: Path, transitions: int, kills: int, address: str = "") -> None:
    rng, told = random.Random(transitions), Told()
    began = time.monotonic()
    after = sorted(rng.sample(range(transitions // 20, transitions * 19 // 20), kills))
    with (
        Starter("tests.faults.feed_service") as starter,
        closing(World(folder, starter, address)) as world,
        closing(Writers(world, told)) as writers,
        closing(Reading(world.url, folder, told)) as reading,
    ):
        killer = Killer(world, told, reading, after, rng)
        write_all(writers, told, transitions)
        killer.close()
        seconds = time.monotonic() - began
        told.counts["repeats that were dropped"] = told.counts["delivered"] - len(told.ids)
        print(f"{seconds:,.0f} s; {dict(killer.counts)}; {dict(told.counts)}")
        check(world, told)
        assert not told.failure
        assert len(told.ids) >= transitions
        assert told.killed
        assert killer.counts["kills"] == kills
        if kills >= 20:
            assert all(killer.counts[f"while it {what}"] for what in BUSY)


def test_no_transition_is_lost_or_told_twice(folder: Path) -> None:
    run(folder, TRANSITIONS, KILLS)


def test_no_transition_is_lost_or_told_twice_on_postgres(postgres: Server, folder: Path) -> None:
    run(folder, max(1000, TRANSITIONS // 10), max(2, KILLS // 5), address_of(postgres, folder))
