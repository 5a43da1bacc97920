"""How long a kill takes while everything else is busy, over HTTP on loopback.

    python -m benchmarks.service.kill_latency [--kills N] [--searchers N] [--json]

`dateline serve` runs on an archive of its own: the demo corpus, copied until there is a story for
each kill. Other processes load it without a pause: two clients send bulks of 250 stories, some
search (at least 200 searches are answered meanwhile), and some fill the model's queue until it
refuses more. Beside them one client kills a story every 50 ms. After each answer it asks for the
story; a story that is still there ends the benchmark with an error. `quiet` is the same without
load. `found` is the time from the answer to a write until a search by words finds the story, in the
process that took the write and in another one on the same archive.

The clients that make the load have a lower priority than the service, because they run on the same
machine.
"""

from __future__ import annotations

import argparse
import itertools
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import Any

import httpx
import orjson

from benchmarks.machine import arguments, percentile, show, this_machine
from dateline.default_folders import demo_folder
from dateline.measuring.served import served

KEY = "a-key-for-this-benchmark"
PRODUCTS = ("demo",)
BULK = 250
FOUND = 10
_PAUSE_S = 0.05
_TIES = frozenset({"altIds", "associations"})  # members that link other stories
_TEXTS = 64  # texts of a request to the model
_SETTINGS = {
    "DATELINE_KEYS": orjson.dumps(
        [
            {
                "name": "bench",
                "key": KEY,
                "products": PRODUCTS,
                "write": True,
                "models": True,
                "rate": 1e6,
                "concurrency": 1000,
            }
        ]
    ).decode()
}
_QUERIES = ("ferry accident", "central bank rates", "storm damage", "election result", "harbour")


def main() -> None:
    """Run the benchmark, or (`--load`) one of its clients."""
    parser = arguments(__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--searchers", type=int, default=8)
    parser.add_argument("--load", nargs=2, metavar=("KIND", "URL"), help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.load:
        _load(*chosen.load)
        return
    machine = this_machine()
    with tempfile.TemporaryDirectory() as folder:
        figures = _measure(Path(folder), chosen.kills, chosen.searchers)
    show("kill latency", figures, machine, as_json=chosen.json)


def _measure(folder: Path, kills: int, searchers: int) -> dict[str, Any]:
    with served(folder, PRODUCTS, _SETTINGS) as reached:
        url = str(reached.base_url)
        with _client(url) as client:
            for number in range(0, 2 * kills, BULK):
                _write(client, _stories(f"urn:kill:{number}", BULK))
            uris = [
                f"urn:kill:{number - number % BULK}:{number % BULK}" for number in range(2 * kills)
            ]
            quiet = _kill_all(client, uris[:kills])
            with _loaded(url, searchers) as counts:
                loaded = _kill_all(client, uris[kills:])
            with (
                served(folder, PRODUCTS, _SETTINGS) as other,
                _client(str(other.base_url)) as second,
            ):
                here, elsewhere = _found(client, second)
    return {
        **_figures("quiet", quiet),
        **_figures("loaded", loaded),
        **{f"answered meanwhile: {kind}": count for kind, count in counts.items()},
        **_figures("found here", here),
        **_figures("found elsewhere", elsewhere),
    }


def _figures(name: str, seconds: list[float]) -> dict[str, float]:
    return {
        f"{name} p50_ms": percentile(seconds, 50),
        f"{name} p99_ms": percentile(seconds, 99),
        f"{name} max_ms": max(seconds) * 1000,
    }


def _client(url: str) -> httpx.Client:
    return httpx.Client(base_url=url, headers={"x-api-key": KEY}, timeout=600)


def _stories(prefix: str, count: int) -> list[dict[str, Any]]:
    """Return stories of the demo corpus under other uris."""
    lines = (demo_folder() / "stories.jsonl").read_bytes().splitlines()
    demo = [
        {name: value for name, value in orjson.loads(line).items() if name not in _TIES}
        for line in lines
    ]
    told = itertools.islice(itertools.cycle(demo), count)
    return [
        {
            **story,
            "uri": f"{prefix}:{number}",
            "products": PRODUCTS,
        }
        for number, story in enumerate(told)
    ]


def _write(client: httpx.Client, stories: Sequence[dict[str, Any]]) -> None:
    answer = client.post("/content", json=stories)
    assert answer.status_code in (200, 201), answer.text[:500]


def _kill_all(client: httpx.Client, uris: Sequence[str]) -> list[float]:
    """Return the seconds of each kill."""
    taken: list[float] = []
    for uri in uris:
        began = perf_counter()
        answer = client.patch(f"/content/{uri}/status", json={"pubstatus": "canceled"})
        taken.append(perf_counter() - began)
        assert answer.status_code == 200, answer.text
        assert client.get(f"/content/{uri}").status_code == 404, f"{uri} is still there"
        time.sleep(_PAUSE_S)
    return taken


@contextmanager
def _loaded(url: str, searchers: int) -> Iterator[dict[str, int]]:
    """Run the load in other processes. The yielded counts of answered requests, by kind, are
    complete after the body.
    """
    command = [sys.executable, "-m", "benchmarks.service.kill_latency", "--load"]
    kinds = ["bulk"] * 2 + ["model"] + ["search"] * max(1, searchers // 4)
    clients = [subprocess.Popen([*command, kind, url], stdout=subprocess.PIPE) for kind in kinds]
    counts: dict[str, int] = dict.fromkeys(kinds, 0)
    try:
        for client in clients:
            assert client.stdout is not None
            client.stdout.readline()  # it has begun
        yield counts
    finally:
        for kind, client in zip(kinds, clients, strict=True):
            client.terminate()
            answered, _ = client.communicate()
            counts[kind] += len(answered)


def _load(kind: str, url: str) -> None:
    """Make one kind of load without end; print a byte for each answered request."""
    os.nice(15)
    threads = {"bulk": 1, "model": 48, "search": 4}[kind]
    work = {"bulk": _bulks, "model": _embeddings, "search": _searches}[kind]

    def run() -> None:
        with _client(url) as client:
            for _ in work(client):
                os.write(1, b".")

    running = [threading.Thread(target=run) for _ in range(threads)]
    for thread in running:
        thread.start()
    print(flush=True)


def _bulks(client: httpx.Client) -> Iterator[None]:
    for number in itertools.count():
        _write(client, _stories(f"urn:bulk:{id(client)}:{number}", BULK))
        yield


def _searches(client: httpx.Client) -> Iterator[None]:
    for query in itertools.cycle(_QUERIES):
        client.get("/content/search", params={"q": query})
        yield


def _embeddings(client: httpx.Client) -> Iterator[None]:
    """Send enough texts to fill the model's queue; a refused request is sent again."""
    texts = [f"{query} {'and what was said of it ' * 20}" for query in _QUERIES] * _TEXTS
    while True:
        answer = client.post("/v1/embeddings", json={"input": texts[:_TEXTS]})
        if answer.status_code == 503:
            time.sleep(float(answer.headers["retry-after"]))
        yield


def _found(here: httpx.Client, elsewhere: httpx.Client) -> tuple[list[float], list[float]]:
    """Return the seconds from the answer to a write until each process finds the story by its
    word.
    """
    taken: tuple[list[float], list[float]] = ([], [])
    for number in range(FOUND):
        word = f"zq{number}q"
        (story,) = _stories(f"urn:found:{number}", 1)
        _write(here, [{**story, "headlines": [{"role": "main", "value": word}]}])
        began = perf_counter()
        for client, seconds in zip((here, elsewhere), taken, strict=True):
            while not _finds(client, word):
                assert perf_counter() - began < 30, f"{word} is not found"
            seconds.append(perf_counter() - began)
    return taken


def _finds(client: httpx.Client, word: str) -> bool:
    answer = client.get("/content/search", params={"q": f'"{word}"', "profile": "lexical"})
    return bool(answer.json()["data"]["items"])


if __name__ == "__main__":
    main()
