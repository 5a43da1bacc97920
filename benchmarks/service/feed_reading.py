"""Reading a feed of many transitions from its beginning to its end, by `dateline_client`.

    PYTHONPATH=client python -m benchmarks.service.feed_reading [--transitions N] [--stories N]
    [--page N]

The stories are generated: whole documents of the demo corpus, again and again under other uris, so
that an item has the size and the members of a real one. Each has the same number of transitions:
the first is made from the record, the others are updates in the same tables, written as the maker
of transitions writes them. So the feed is that of a wire whose stories are updated so many times.
The archive is made once, in the data folder; seven transitions of the demo corpus itself are not
told to the reader.

- `read_per_s`: items a second of one client that follows the feed, over loopback, whole items.
- `floor_per_s`: a server without an application (uvicorn) sends one page of the same size, already
  made, as often as the client (httpx) asks, which parses it as JSON. Both are read in turns.
- `service_us`, `client_us`: processor time of both sides for an item.
- `all of them in s`: how long all transitions take at the pace of those that were read before
  `--seconds` were over.
- `look_us`, `make_us`, `write_us`: of the service's, in this process and without HTTP: which
  transitions are told (the guard and receipts), items as JSON's values, JSON. `again` is a reader
  whose receipts are known.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import orjson
import psutil
from dateline_client import Client, Entry

from api.customers.feed_json import entries_json
from api.envelope import written
from api.formats.items import ItemView
from api.formats.kept_forms import KeptForms
from benchmarks.machine import arguments, show, this_machine
from core.callers import Caller
from core.customers.transitions import START, Told, TransitionKind
from core.items import Item
from core.query_tree import EVERYTHING
from core.standing import Head
from core.writes import PutItem
from customers.feed import Feed
from customers.maker import TransitionMaker
from dateline.build.customers.accounts import open_customers
from dateline.build.customers.wire import feed_of, open_receipts
from dateline.build.service import Service, archive_clock, build_service
from dateline.default_folders import demo_folder
from dateline.measuring.served import free_port, started
from dateline.settings import Settings
from storage.customers.receipts import StoredReceipts
from storage.customers.transitions import StoredTransitions
from storage.record.item_rows import to_micros

PRODUCT = "demo"
_KEY = "key-of-a-reader"
_PUT, _WRITTEN = 1_000, 5_000  # at once
_OF_FEED, _OF_FLOOR = 50, 10  # pages, in turns
_STAGED = 5_000  # items whose stages are measured
_FLOOR = """
import sys, uvicorn
body = open(sys.argv[1], "rb").read()
start = {"type": "http.response.start", "status": 200,
         "headers": [(b"content-length", str(len(body)).encode())]}
async def app(scope, receive, send):
    await send(start)
    await send({"type": "http.response.body", "body": body})
uvicorn.run(app, port=int(sys.argv[2]), lifespan="off", log_level="error", access_log=False)
"""


def made_archive(folder: Path, stories: int, transitions: int) -> None:
    """Make the archive, unless it is there whole."""
    whole = folder.with_name(f"{folder.name}-is-whole")
    if whole.exists():
        return
    shutil.rmtree(folder, ignore_errors=True)
    settings = Settings(data=folder)
    service = build_service(settings, background=False)
    try:
        _put(service, stories)
        _tell(service, settings, stories, transitions)
        service.engine.catch_up()
    finally:
        service.close()
    whole.touch()


def _put(service: Service, stories: int) -> None:
    service.ingest.run([demo_folder() / "stories.jsonl"])
    named = {item.uri: () for item in service.engine.all_items()}
    sights = service.engine.sights(named, Caller("reader", frozenset({PRODUCT})))
    parents = [sight.item for _, sight in sorted(sights.items()) if sight.item is not None]
    for first in range(0, stories, _PUT):
        numbers = range(first, min(stories, first + _PUT))
        service.engine.put([PutItem(_copy(parents[n % len(parents)], n), ()) for n in numbers])


def _copy(item: Item, number: int) -> Item:
    uri = f"urn:made:{number}"
    return replace(item, uri=uri, chain=uri, source={**item.source, "uri": uri})


def _tell(service: Service, settings: Settings, stories: int, transitions: int) -> None:
    """Make the first transition of each story, and the others."""
    clock, database = archive_clock(settings), open_customers(settings, synced=False)
    receipts, book = open_receipts(settings, database, clock), StoredTransitions(database)
    try:
        TransitionMaker(service.engine.record, book, receipts, clock).run()
        left = transitions - book.count()
        for first in range(0, left, _WRITTEN):
            numbers = range(first, min(left, first + _WRITTEN))
            told = book.told({f"urn:made:{n % stories}" for n in numbers})
            again = [_updated(told[f"urn:made:{n % stories}"]) for n in numbers]
            turn = book.turn()
            to = replace(turn, number=turn.number + 1)
            if not book.write(turn, again, (), {}, to, to_micros(clock())):
                raise SystemExit("another process makes transitions in this archive")
            print(f"{numbers.stop:,} of {left:,} transitions made", file=sys.stderr, flush=True)
    finally:
        receipts.close()


def _updated(told: Told) -> Told:
    return replace(told, kind=TransitionKind.UPDATED)


@dataclass(slots=True)
class _Side:
    """The answers of one of the two servers, which are read in turns."""

    items: int = 0
    seconds: float = 0.0
    client_s: float = 0.0
    server_s: float = 0.0

    def read(self, read: Callable[[], int], server: psutil.Process) -> int:
        """Read some; return how many."""
        spent, own, wall = _spent(server), time.process_time(), time.perf_counter()
        count = read()
        self.seconds += time.perf_counter() - wall
        self.client_s += time.process_time() - own
        self.server_s += _spent(server) - spent
        self.items += count
        return count


def _spent(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def read_all(folder: Path, transitions: int, page_size: int, most_s: float) -> dict[str, float]:
    """Read the feed and its floor in turns, for at most the given seconds."""
    until = time.monotonic() + most_s
    keys = orjson.dumps([{"name": "reader", "key": _KEY, "products": [PRODUCT]}]).decode()
    with started(folder, (PRODUCT,), {"DATELINE_KEYS": keys}) as (pid, plain):
        url, service = str(plain.base_url), psutil.Process(pid)
        link = f"/content/feed?page_size={page_size}"
        body = plain.get(link, headers={"x-api-key": _KEY}).raise_for_status().content
        beside = folder.with_name("page.json")
        beside.write_bytes(body)
        feed, floor = _Side(), _Side()
        with Client(url, _KEY, timeout_s=120) as client, _bare(beside) as (process, bare):
            entries = client.follow(page_size=page_size, once=True)
            while time.monotonic() < until and feed.read(
                lambda: _some(entries, _OF_FEED * page_size), service
            ):
                floor.read(lambda: _pages(bare, page_size, _OF_FLOOR), process)
                print(
                    f"{feed.items:,} read, {feed.items / feed.seconds:,.0f}/s;"
                    f" floor {floor.items / floor.seconds:,.0f}/s",
                    file=sys.stderr,
                    flush=True,
                )
    return {
        "read": feed.items,
        "bytes an item": len(body) / page_size,
        "read_per_s": feed.items / feed.seconds,
        "floor_per_s": floor.items / floor.seconds,
        "share of the floor": feed.items / feed.seconds * floor.seconds / floor.items,
        "service_us": feed.server_s / feed.items * 1e6,
        "client_us": feed.client_s / feed.items * 1e6,
        "floor: service_us": floor.server_s / floor.items * 1e6,
        "floor: client_us": floor.client_s / floor.items * 1e6,
        "read in s": feed.seconds,
        "all of them in s": transitions * feed.seconds / feed.items,
    }


def _some(entries: Iterator[Entry], most: int) -> int:
    count = 0
    for _ in entries:
        count += 1
        if count == most:
            break
    return count


def _pages(client: httpx.Client, page_size: int, count: int) -> int:
    found = 0
    for _ in range(count):
        found += len(orjson.loads(client.get("/").content)["data"]["items"])
    if found != page_size * count:
        raise SystemExit(f"the floor sent {found} items, and not {page_size * count}")
    return found


@contextmanager
def _bare(body: Path) -> Iterator[tuple[psutil.Process, httpx.Client]]:
    """A server that answers every request with the same bytes, and a client of it."""
    port = free_port()
    command = [sys.executable, "-c", _FLOOR, str(body), str(port)]
    with (
        subprocess.Popen(command) as server,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=120) as client,
    ):
        try:
            while server.poll() is None:
                try:
                    client.get("/")
                    break
                except httpx.TransportError:
                    time.sleep(0.1)
            yield psutil.Process(server.pid), client
        finally:
            server.terminate()


def stages(folder: Path, page_size: int) -> dict[str, float]:
    """Return the processor time of each stage for an item, in this process."""
    settings = Settings(data=folder)
    service = build_service(settings, background=False)
    clock, database = archive_clock(settings), open_customers(settings)
    receipts = open_receipts(settings, database, clock)
    feed = feed_of(settings, service.engine, database, receipts, clock)
    caller = Caller(f"stages {time.time()}", frozenset({PRODUCT}))
    try:
        forms = KeptForms()
        first = _staged(feed, receipts, caller, page_size, forms)
        again = _staged(feed, receipts, caller, page_size, forms)
    finally:
        receipts.close()
        service.close()
    return {
        **{f"{name}_us": spent for name, spent in first.items()},
        **{f"again: {name}_us": spent for name, spent in again.items()},
    }


def _staged(
    feed: Feed, receipts: StoredReceipts, caller: Caller, page_size: int, forms: KeptForms
) -> dict[str, float]:
    spent = {"look": 0.0, "make": 0.0, "write": 0.0}
    position, count = START, 0

    def receive(items: Iterable[Item | Head]) -> None:
        receipts.add(caller.account, "feed", {(i.uri, i.version) for i in items}, synced=True)

    @contextmanager
    def timed(name: str) -> Iterator[None]:
        start = time.thread_time()
        yield
        spent[name] += time.thread_time() - start

    more = True
    while more and count < _STAGED:
        with timed("look"):
            page = feed.read(caller, EVERYTHING, position, page_size, whole=False)
        with timed("make"):
            view = ItemView(caller, whole=True, receive=receive)
            made = entries_json(page.entries, view, feed.library, kept=forms)
        with timed("write"):
            written({"items": made})
        count, position, more = count + len(page.entries), page.position, page.more
    return {name: seconds / count * 1e6 for name, seconds in spent.items()}


def main() -> None:
    """Measure and print."""
    parser = arguments(__doc__)
    parser.add_argument("--data", type=Path, default=Path("data"), help="where the archive is kept")
    parser.add_argument("--transitions", type=int, default=50_000)
    parser.add_argument("--stories", type=int, default=5_000)
    parser.add_argument("--page", type=int, default=100, help="items of a page")
    parser.add_argument("--seconds", type=float, default=7200, help="then it stops reading")
    asked = parser.parse_args()
    machine = this_machine()
    folder = asked.data / f"feed-{asked.stories}-{asked.transitions}"
    made_archive(folder, asked.stories, asked.transitions)
    figures = {"transitions": asked.transitions, "stories": asked.stories}
    figures |= stages(folder, asked.page) | read_all(
        folder, asked.transitions, asked.page, asked.seconds
    )
    show("reading a feed to its end", figures, machine, as_json=asked.json)


if __name__ == "__main__":
    main()
