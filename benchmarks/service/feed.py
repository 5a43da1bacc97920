"""What the feed costs and how fast it is, over HTTP on loopback.

    python -m benchmarks.service.feed [--stories N] [--held N] [--writes N] [--pairs N] [--json]

`dateline serve` runs with its own settings on an archive of stories made from the demo corpus. How
fast a feed is read to its end is measured by `benchmarks.service.feed_reading`.

- `delay`: from the answer to a write until the story is in the answer of a request that was held;
  0 if the feed was faster than the answer.
- `held_mib`: what so many held requests add to the service's resident memory.
- `processor`: the service's share of one processor when only these requests come, and without.
- `search`: searches by words, one after another, without and with the held requests beside them,
  in turns of some seconds. `ratio` is the median of the ratios of such pairs, between the bounds of
  95 % (by the order of the ratios). `processor ratio` compares the processor time of the processes
  that search, which other work on the machine hardly changes. The requests are renewed evenly over
  fifteen seconds, as those of clients are.
- `receipt`: the time of recording an answer of 20 items, new ones and known ones.
"""

from __future__ import annotations

import asyncio
import math
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import orjson
import psutil

from benchmarks.machine import arguments, percentile, show, this_machine
from dateline.build.service import build_service
from dateline.default_folders import demo_folder
from dateline.measuring.made_stories import made_stories, parents_of
from dateline.measuring.served import started
from dateline.settings import Settings
from storage.customers.receipts import StoredReceipts
from storage.databases import open_database

PRODUCT = "demo"
_DESK = {"x-api-key": "key-of-the-desk"}
_READER = {"x-api-key": "key-of-a-reader"}
_SETTINGS = {
    "DATELINE_KEYS": orjson.dumps(
        [
            {"name": "desk", "key": _DESK["x-api-key"], "products": [PRODUCT], "write": True},
            {"name": "reader", "key": _READER["x-api-key"], "products": [PRODUCT]},
        ]
    ).decode(),
    "DATELINE_CONNECTIONS": "5000",
    "DATELINE_CONNECTIONS_PER_ADDRESS": "5000",
}
_BATCH = 500
_SEARCHES = 100
_HELD_S, _SETTLE_S = 15, 1.0
_WORDS = ("ferry", "minister", "storm", "bank", "election", "harbour", "court", "festival")


def archive(folder: Path, stories: int) -> None:
    """Make an archive of the demo corpus and `stories` more."""
    service = build_service(Settings(data=folder))
    try:
        service.ingest.run([demo_folder() / "stories.jsonl"])
        parents = parents_of(service)
        for first in range(0, stories, _BATCH):
            service.engine.put([*made_stories(parents, first, min(_BATCH, stories - first))])
        service.engine.catch_up()
    finally:
        service.close()


def made(client: httpx.Client) -> None:
    """Wait until the service has made all transitions."""
    while _lag(client):
        time.sleep(0.1)


def _lag(client: httpx.Client) -> float:
    for line in client.get("/metrics", headers=_DESK).text.splitlines():
        if line.startswith('dateline_projection_lag{projection="transitions"}'):
            return float(line.rpartition(" ")[2])
    raise SystemExit("the service does not tell how far its transitions are")


def delays(client: httpx.Client, writes: int) -> dict[str, float]:
    """Write stories one after another while a request is held."""
    arrived: dict[str, float] = {}
    ready, heard = threading.Event(), threading.Event()

    def follow() -> None:
        with httpx.Client(base_url=client.base_url, headers=_READER, timeout=60) as reader:
            link = "/content/feed?begin=now&wait=15"
            ready.set()
            while len(arrived) < writes:
                data = reader.get(link).raise_for_status().json()["data"]
                now = time.perf_counter()
                for entry in data["items"]:
                    arrived[entry["item"]["uri"]] = now
                    heard.set()
                link = data["next_page"]

    thread = threading.Thread(target=follow)
    thread.start()
    ready.wait()
    time.sleep(1)
    found: list[float] = []
    for number in range(writes):
        heard.clear()
        uri = f"urn:feed:{number}"
        document = {"uri": uri, "headline": f"Story {number}", "body_text": "Words. " * 200}
        answer = client.post("/content", params={"products": PRODUCT}, json=document, headers=_DESK)
        acknowledged = time.perf_counter()
        answer.raise_for_status()
        heard.wait(20)
        found.append(max(0.0, arrived[uri] - acknowledged))
    thread.join()
    return {"delay_p50_ms": percentile(found, 50), "delay_p99_ms": percentile(found, 99)}


def searches(client: httpx.Client) -> float:
    """Return the median seconds of searches by two words each."""
    found: list[float] = []
    for number in range(_SEARCHES):
        one, other = _WORDS[number % 8], _WORDS[(number // 8) % 8]
        start = time.perf_counter()
        client.get("/content/search", params={"q": f"{one} {other}"}, headers=_READER)
        found.append(time.perf_counter() - start)
    return statistics.median(found)


@dataclass(frozen=True, slots=True)
class _Turn:
    """The median time of a search in one turn, and the mean processor time of the processes that
    search, for one of its searches.
    """

    seconds: float
    processor_s: float


def ratio(pid: int, client: httpx.Client, polls: Polls, pairs: int) -> dict[str, float]:
    """Return how much longer searches take beside the held requests than without."""
    without, beside = list[_Turn](), list[_Turn]()
    for number in range(pairs):
        for held in (False, True) if number % 2 else (True, False):
            polls.hold(on=held)
            before = _searchers_s(pid)
            seconds = searches(client)
            turn = _Turn(seconds, (_searchers_s(pid) - before) / _SEARCHES)
            (beside if held else without).append(turn)
    pairs_of_turns = [*zip(beside, without, strict=True)]
    return {
        "pairs": pairs,
        "search_p50_ms": statistics.median(turn.seconds for turn in without) * 1000,
        "search_beside_held_p50_ms": statistics.median(turn.seconds for turn in beside) * 1000,
        **_ratios("ratio", [one.seconds / other.seconds for one, other in pairs_of_turns]),
        "search_processor_ms": statistics.median(turn.processor_s for turn in without) * 1000,
        **_ratios(
            "processor ratio",
            [one.processor_s / other.processor_s for one, other in pairs_of_turns],
        ),
    }


def _ratios(name: str, found: Sequence[float]) -> dict[str, float]:
    ratios = sorted(found)
    low, high = _bounds(len(ratios))
    return {
        name: statistics.median(ratios),
        f"{name}, low": ratios[low],
        f"{name}, high": ratios[high],
    }


def _searchers_s(pid: int) -> float:
    """Return the processor time of the processes that search for the service."""
    each = [child.cpu_times() for child in psutil.Process(pid).children(recursive=True)]
    return float(sum(times.user + times.system for times in each))


def spent(pid: int, polls: Polls) -> dict[str, float]:
    """Return the service's share of a processor while nobody asks but the held requests, and
    without.
    """
    found: dict[str, float] = {}
    for name, on in (("alone", False), ("beside_held", True)):
        polls.hold(on=on)
        before = psutil.Process(pid).cpu_times()
        time.sleep(_HELD_S)
        after = psutil.Process(pid).cpu_times()
        busy = after.user + after.system - before.user - before.system
        found[f"processor_{name}"] = busy / _HELD_S
    return found


def _bounds(count: int) -> tuple[int, int]:
    """Return the places of the bounds of the median among `count` sorted values, for 95 %."""
    low = max(0, int(count / 2 - 0.98 * math.sqrt(count)))
    return low, count - 1 - low


class Polls:
    """So many sessions in a process of their own, whose requests are held or not."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def hold(self, *, on: bool) -> None:
        """Hold the requests of all sessions, or end them all; return when that is done."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(b"on\n" if on else b"off\n")
        self._process.stdin.flush()
        self._process.stdout.readline()


@contextmanager
def polling(url: str, count: int) -> Iterator[Polls]:
    """Run `count` sessions, none of them held yet."""
    command = [sys.executable, "-m", "benchmarks.service.feed", "--hold", url, "--held", str(count)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield Polls(process)
        finally:
            process.terminate()


async def hold(url: str, count: int) -> None:
    """Begin sessions; then holds their requests or not, as the lines of the input say, and print a
    line when that is so.
    """
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    links: dict[int, str] = {}
    asking: set[int] = set()
    loop = asyncio.get_running_loop()

    async def begin(client: httpx.AsyncClient, number: int) -> None:
        answer = await client.get("/content/feed?begin=now")
        links[number] = answer.json()["data"]["next_page"]

    async def follow(client: httpx.AsyncClient, number: int) -> None:
        seconds = 1 + number % _HELD_S  # so that they are renewed evenly
        while True:
            link = f"{links[number]}&wait={seconds}"
            asking.add(number)
            answer = await client.get(link)
            links[number] = answer.json()["data"]["next_page"].partition("&wait")[0]
            seconds = _HELD_S

    async with httpx.AsyncClient(
        base_url=url, headers=_READER, limits=limits, timeout=120
    ) as client:
        for number in range(count):
            await begin(client, number)
        print("begun", flush=True)
        tasks: list[asyncio.Task[None]] = []
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            asking.clear()
            on = line == "on\n"
            tasks = [asyncio.create_task(follow(client, n)) for n in range(count)] if on else []
            while len(asking) < len(tasks):
                await asyncio.sleep(0.1)
            await asyncio.sleep(_SETTLE_S)
            print(line, end="", flush=True)


def memory(pid: int) -> int:
    """Return the resident memory of the process that reads requests, in bytes."""
    return int(psutil.Process(pid).memory_info().rss)


def receipts(folder: Path) -> dict[str, float]:
    """Return the time of recording answers of 20 items each."""
    slow = open_database(folder / "receipts.sqlite")
    quick = open_database(folder / "receipts.sqlite", synced=False)
    table = StoredReceipts(slow, quick)
    times: dict[str, list[float]] = {"new": [], "known": []}
    for number in range(200):
        shown = [(f"urn:news:{number}:{place}", 1) for place in range(20)]
        for found in times.values():
            start = time.perf_counter()
            table.add("account", "search", shown)
            found.append(time.perf_counter() - start)
    table.close()
    return {f"receipt_{kind}_ms": percentile(found, 50) for kind, found in times.items()}


def measure(stories: int, count: int, writes: int, pairs: int) -> dict[str, Any]:
    """Return all figures."""
    figures: dict[str, Any] = {"stories": stories, "held": count}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        archive(folder / "data", stories)
        figures |= receipts(folder)
        with started(folder / "data", (PRODUCT,), _SETTINGS) as (pid, client):
            made(client)
            figures |= delays(client, writes)
            searches(client)
            with polling(str(client.base_url), count) as polls:
                before = memory(pid)
                polls.hold(on=True)
                figures["held_mib"] = (memory(pid) - before) / 2**20
                figures |= spent(pid, polls) | ratio(pid, client, polls, pairs)
    return figures


def main() -> None:
    """Measure and print."""
    parser = arguments(__doc__)
    parser.add_argument("--stories", type=int, default=2000)
    parser.add_argument("--held", type=int, default=1000)
    parser.add_argument("--writes", type=int, default=100)
    parser.add_argument("--pairs", type=int, default=20, help="turns with and without")
    parser.add_argument("--hold", default="", help="only hold requests at this address")
    asked = parser.parse_args()
    if asked.hold:
        os.nice(5)
        asyncio.run(hold(asked.hold, asked.held))
        return
    figures = measure(asked.stories, asked.held, asked.writes, asked.pairs)
    show("feed", figures, this_machine(), as_json=asked.json)


if __name__ == "__main__":
    main()
