"""What the feed costs and how fast it is, over HTTP on loopback.

    python -m benchmarks.feed [--stories N] [--held N] [--writes N] [--json]

`dateline serve` runs with its own settings on an archive of stories made from the demo corpus.

- `read_per_s`: a client reads all transitions from the beginning, whole items, 100 a page.
- `delay`: from the answer to a write until the story is in the answer of a request that was held;
  0 where the feed was faster than the answer.
- `held_mib`: what so many held requests add to the service's resident memory.
- `search`: searches by words, one after another, without and with the held requests beside them.
- `receipt`: the time of recording an answer of 20 items, new ones and known ones.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import orjson
import psutil

from benchmarks.machine import arguments, percentile, show, this_machine
from benchmarks.made_stories import made_stories, parents_of
from benchmarks.served import started
from dateline.build.service import build_service
from dateline.default_folders import demo_folder
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
_SEARCHES = 300
_WORDS = ("ferry", "minister", "storm", "bank", "election", "harbour", "court", "festival")


def archive(folder: Path, stories: int) -> None:
    """Makes an archive of the demo corpus and `stories` more."""
    service = build_service(Settings(data=folder))
    try:
        service.ingest.run([demo_folder() / "stories.jsonl"])
        parents = parents_of(service)
        for first in range(0, stories, _BATCH):
            service.engine.put([*made_stories(parents, first, min(_BATCH, stories - first))])
        service.engine.catch_up()
    finally:
        service.close()


def read_all(client: httpx.Client) -> dict[str, float]:
    """Reads every transition once the service has made them all."""
    link = "/content/feed?page_size=100&begin=start"
    while _lag(client):
        time.sleep(0.1)
    start, count, size = time.perf_counter(), 0, 0
    while True:
        answer = client.get(link, headers=_READER)
        data = answer.raise_for_status().json()["data"]
        count, size = count + len(data["items"]), size + len(answer.content)
        if not data["more"]:
            break
        link = data["next_page"]
    seconds = time.perf_counter() - start
    return {"read": count, "read_per_s": count / seconds, "read_mb_per_s": size / seconds / 1e6}


def _lag(client: httpx.Client) -> float:
    for line in client.get("/metrics", headers=_DESK).text.splitlines():
        if line.startswith('dateline_projection_lag{projection="transitions"}'):
            return float(line.rpartition(" ")[2])
    raise SystemExit("the service does not tell how far its transitions are")


def delays(client: httpx.Client, writes: int) -> dict[str, float]:
    """Writes stories one after another while a request is held."""
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


def searches(client: httpx.Client) -> list[float]:
    """The seconds of searches by two words each."""
    found: list[float] = []
    for number in range(_SEARCHES):
        one, other = _WORDS[number % 8], _WORDS[(number // 8) % 8]
        start = time.perf_counter()
        client.get("/content/search", params={"q": f"{one} {other}"}, headers=_READER)
        found.append(time.perf_counter() - start)
    return found


@contextmanager
def held(url: str, count: int) -> Iterator[None]:
    """So many requests that are held, from a process of their own."""
    command = [sys.executable, "-m", "benchmarks.feed", "--hold", url, "--held", str(count)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield
        finally:
            process.terminate()


async def hold(url: str, count: int) -> None:
    """Holds requests until the process is ended; prints a line when all are held."""
    limits = httpx.Limits(max_connections=None)
    waiting = 0

    async def follow(client: httpx.AsyncClient) -> None:
        nonlocal waiting
        link, first = "/content/feed?begin=now&wait=1", True
        while True:
            try:
                answer = await client.get(link)
            except httpx.TransportError:
                continue  # on a busy machine the head of a request may come too late
            link = answer.json()["data"]["next_page"].replace("wait=1", "wait=15", first)
            waiting, first = waiting + first, False

    async with httpx.AsyncClient(
        base_url=url, headers=_READER, limits=limits, timeout=120
    ) as client:
        tasks = [asyncio.create_task(follow(client)) for _ in range(count)]
        while waiting < count:
            await asyncio.sleep(0.1)
        await asyncio.sleep(2)
        print("held", flush=True)
        await asyncio.gather(*tasks)


def memory(pid: int) -> int:
    """The resident memory of the process that reads requests, in bytes."""
    return int(psutil.Process(pid).memory_info().rss)


def receipts(folder: Path) -> dict[str, float]:
    """The time of recording answers of 20 items each."""
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


def measure(stories: int, count: int, writes: int) -> dict[str, Any]:
    """All figures."""
    figures: dict[str, Any] = {"stories": stories, "held": count}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        archive(folder / "data", stories)
        figures |= receipts(folder)
        with started(folder / "data", (PRODUCT,), _SETTINGS) as (pid, client):
            figures |= read_all(client)
            figures |= delays(client, writes)
            searches(client)
            plain, before = searches(client), memory(pid)
            with held(str(client.base_url), count):
                figures["held_mib"] = (memory(pid) - before) / 2**20
                beside = searches(client)
            figures["search_p50_ms"] = percentile(plain, 50)
            figures["search_beside_held_p50_ms"] = percentile(beside, 50)
            figures["search_p95_ms"] = percentile(plain, 95)
            figures["search_beside_held_p95_ms"] = percentile(beside, 95)
    return figures


def main() -> None:
    """Measures and prints."""
    parser = arguments(__doc__)
    parser.add_argument("--stories", type=int, default=2000)
    parser.add_argument("--held", type=int, default=1000)
    parser.add_argument("--writes", type=int, default=100)
    parser.add_argument("--hold", default="", help="only hold requests at this address")
    asked = parser.parse_args()
    if asked.hold:
        os.nice(5)
        asyncio.run(hold(asked.hold, asked.held))
        return
    figures = measure(asked.stories, asked.held, asked.writes)
    show("feed", figures, this_machine(), as_json=asked.json)


if __name__ == "__main__":
    main()
