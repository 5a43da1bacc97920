"""What Python's collector of garbage costs a process that searches.

    python -m benchmarks.service.collector [--data data/proof] [--profile NAME] [--searches N]
        [--turns N] [--json]

The archive is that of `benchmarks.service.capacity_proof --make`. Two ways take turns, each turn in
a process of its own that answers requests as a search process does, one after the other:

- `python's`: full collections when Python makes them;
- `between`: between two searches, as `dateline/serving/collector.py` makes them, each after 64
  searches, because nobody pauses here.

Searches are new ones. The first 400 fill the caches and are not counted. A search's time has the
collection before it. `full` is the number of full collections (of what came since the last one, if
`between`), `longest_ms` the processor time of the longest one, `cpu_ms` the processor time of
a search, `rss_mb` the resident memory after the last search: all medians over the turns, as are p50
and p99.
"""

from __future__ import annotations

import asyncio
import gc
import os
import secrets
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import numpy as np
import orjson

from api.search.elsewhere import answered, request_bytes
from benchmarks.machine import arguments, show, this_machine
from benchmarks.service.proof_serving import EMBEDDED, made, settings_of
from dateline.build.app import build_inner_app
from dateline.build.service import build_service
from dateline.measuring.capacity.archive import WHOLE, keys_of
from dateline.measuring.capacity.serving import Client
from dateline.serving.collector import BetweenSearches
from inference.measuring.made_costs import resident_mb

SIDES = ("python's", "between")
_BEFORE = 400  # searches that are not counted


def main() -> None:
    """Run both sides in turns, or (`--side`) one turn of one."""
    parser = arguments(__doc__)
    parser.add_argument("--data", type=Path, default=Path("data/proof"))
    parser.add_argument("--profile", default="hybrid")
    parser.add_argument("--searches", type=int, default=1500)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--side", choices=SIDES)
    chosen = parser.parse_args()
    if chosen.side:
        found = turn(chosen.data, chosen.profile, chosen.searches, between=chosen.side == SIDES[1])
        sys.stdout.buffer.write(orjson.dumps(found))
        return
    machine = this_machine()
    turns = [(side, _apart(side)) for _ in range(chosen.turns) for side in SIDES]
    figures = {
        f"{side}, {name}": statistics.median(found[name] for of, found in turns if of == side)
        for side in SIDES
        for name in turns[0][1]
    }
    show("collector", figures, machine, as_json=chosen.json)


def _apart(side: str) -> dict[str, float]:
    """Return the figures of one turn in a process of its own."""
    words = [sys.executable, "-P", "-m", "benchmarks.service.collector", *sys.argv[1:]]
    root = str(Path(__file__).resolve().parents[2])
    done = subprocess.run(
        [*words, "--side", side],
        stdout=subprocess.PIPE,
        check=True,
        env={**os.environ, "PYTHONPATH": root},
    )
    found: dict[str, float] = orjson.loads(done.stdout)
    return found


def turn(data: Path, profile: str, searches: int, *, between: bool) -> dict[str, float]:
    """Search in this process, one search after the other; return the figures."""
    key = secrets.token_urlsafe(16)
    os.environ["DATELINE_KEYS"] = orjson.dumps(keys_of(((WHOLE, key),))).decode()
    settings = settings_of(data, EMBEDDED)
    service = build_service(settings, share_cursors=True, follows=True)
    try:
        app = build_inner_app(service)
        garbage = BetweenSearches() if between else None
        requests = _requests(made(data).texts, profile, key)
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)

        def ask() -> bytes:
            if garbage is not None:
                if garbage.due:
                    garbage.collect()
                garbage.searched()
            return loop.run_until_complete(answered(app, next(requests)))

        for _ in range(_BEFORE):
            assert ask().startswith(b"[200,")
        full, began, took = _full_collections(), time.process_time(), []
        for _ in range(searches):
            before = time.perf_counter()
            ask()
            took.append((time.perf_counter() - before) * 1000)
        spent = (time.process_time() - began) * 1000 / searches
        p50, p99 = np.percentile(took, [50, 99])
        pauses = [ms for ms in full if ms > 0]
        return {
            "p50_ms": float(p50),
            "p99_ms": float(p99),
            "cpu_ms": spent,
            "full": float(len(pauses)),
            "longest_ms": max(pauses, default=0.0),
            "rss_mb": resident_mb(),
        }
    finally:
        service.close()


def _full_collections() -> list[float]:
    """Return the milliseconds of processor of each full collection from now on, as they come."""
    found: list[float] = []
    began = 0.0

    def note(phase: str, told: dict[str, int]) -> None:
        nonlocal began
        if phase == "start":
            began = time.thread_time()
        elif told["generation"] == 2:
            found.append((time.thread_time() - began) * 1000)

    gc.callbacks.append(note)
    return found


def _requests(texts: tuple[str, ...], profile: str, key: str) -> Iterator[bytes]:
    """Yield searches that `capacity measure` asks."""
    for number, query in enumerate(Client("http://none", {WHOLE: key}, texts).queries(1)):
        words = urlencode({"q": query, "profile": profile}).encode()
        scope = {
            "type": "http",
            "method": "GET",
            "scheme": "http",
            "http_version": "1.1",
            "path": "/content/search",
            "raw_path": b"/content/search",
            "root_path": "",
            "query_string": words,
            "headers": ((b"x-api-key", key.encode()),),
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 80),
            "state": {"request_id": str(number)},
        }
        yield request_bytes(scope)


if __name__ == "__main__":
    main()
