"""What traces cost a search.

    python -m benchmarks.service.tracing [--data DIR] [--queries N] [--json]

An archive of the demo's stories and of others made from them, in this process, with the default
profile. Each headline is asked by three sides, in turns: `off`, without traces; `all`, every
search traced and sent by OTLP to a collector in a process of its own; `tenth`, one in ten. Each
side adds a number of its own to the headline, so that no side finds another one's answer in a
cache.
`more_ms` is the median over the headlines of the time that a side took longer than `off`, and
`share` that of the p50 of `off`. `cpu_ms` is the processor time of the whole process for a search,
with the thread that sends; the sides take turns of a block of headlines there.
"""

from __future__ import annotations

import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from benchmarks.machine import arguments, percentile, show, this_machine
from benchmarks.service.overload import PRODUCTS, STORIES, fill
from core import tracing
from core.callers import Caller
from core.tracing import Sink, Span, Trace
from dateline.build.service import Service, build_service
from dateline.serving.otlp import Sender
from dateline.serving.telemetry import SWITCH_S
from dateline.settings import Settings
from search.answers import SearchRequest

_BLOCK = 20
_WARM_UP = 20
_TENTH = 0.1


def main() -> None:
    """Run the benchmark."""
    parser = arguments(__doc__)
    parser.add_argument("--data", type=Path, help="an archive that is there already")
    parser.add_argument("--stories", type=int, default=STORIES)
    parser.add_argument("--queries", type=int, default=300)
    chosen = parser.parse_args()
    machine = this_machine()
    with tempfile.TemporaryDirectory() as folder, _collector() as address:
        data = chosen.data or Path(folder) / "archive"
        if chosen.data is None:
            fill(data, chosen.stories)
        os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = address
        service = build_service(Settings(data=data), background=False)
        try:
            figures = _measured(service, chosen.queries)
        finally:
            service.close()
    show("tracing", figures, machine, as_json=chosen.json)


@contextmanager
def _collector() -> Iterator[str]:
    """Run a process that takes all that is posted; yield its address."""
    ours, theirs = multiprocessing.Pipe()
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=_collect, args=(theirs,), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{ours.recv()}"
    finally:
        process.kill()


def _collect(port: Connection) -> None:
    class Taken(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            """Read and forget."""
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    os.nice(10)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Taken)
    port.send(server.server_port)
    server.serve_forever()


def _measured(service: Service, queries: int) -> dict[str, Any]:
    sys.setswitchinterval(SWITCH_S)  # as in a service
    sender = Sender("benchmark")
    sinks = {
        "off": None,
        "all": Sink(sender.write),
        "tenth": Sink(sender.write, lambda trace, said: trace % 1000 < 1000 * _TENTH),
    }
    spans: list[int] = []
    tracing.send_to(Sink(lambda span: spans.append(1)))
    ask = partial(_asked, service)
    headlines = _headlines(service, queries)
    for text in headlines[:_WARM_UP]:
        ask(f"{text} 1")
    seconds, processor = _turns(headlines, sinks, ask, sender)
    sender.close()
    figures: dict[str, Any] = {"spans of a search": len(spans) / min(_WARM_UP, len(headlines))}
    p50 = 1000 * statistics.median(seconds["off"])
    for side in sinks:
        more = [1000 * (a - b) for a, b in zip(seconds[side], seconds["off"], strict=True)]
        figures[side] = {
            "p50_ms": percentile(seconds[side], 50),
            "p99_ms": percentile(seconds[side], 99),
            "more_ms": statistics.median(more),
            "share": statistics.median(more) / p50,
            "cpu_ms": 1000 * processor[side] / len(more),
        }
    return figures


def _turns(
    headlines: Sequence[str],
    sinks: dict[str, Sink | None],
    ask: Callable[[str], float],
    sender: Sender,
) -> tuple[dict[str, list[float]], dict[str, float]]:
    """Return each side's seconds by headline, and its processor time in all."""
    seconds: dict[str, list[float]] = defaultdict(list)
    processor: dict[str, float] = defaultdict(float)
    sides, number = [*sinks], 0
    for first in range(0, len(headlines), _BLOCK):
        for side in sides:
            tracing.send_to(sinks[side])
            before = time.process_time()
            for text in headlines[first : first + _BLOCK]:
                number += 1
                seconds[side].append(ask(f"{text} {number}"))
            while sender.waiting:
                time.sleep(0.05)
            processor[side] += time.process_time() - before
        sides = [*sides[1:], sides[0]]
    tracing.send_to(None)
    return seconds, processor


def _asked(service: Service, text: str) -> float:
    """Return the seconds of a search, with the spans that a request has around it."""
    caller = Caller("benchmark", frozenset(PRODUCTS))
    started = time.perf_counter()
    with Trace("GET /content/search"), Span("answer"):
        service.pipeline.search(SearchRequest(text), caller)
    return time.perf_counter() - started


def _headlines(service: Service, most: int) -> list[str]:
    """Return headlines of the archive, each once."""
    caller = Caller("benchmark", frozenset(PRODUCTS))
    found: dict[str, None] = {}
    cursor = ""
    while len(found) < most + _WARM_UP:
        answer = service.pipeline.search(SearchRequest("", page_size=50, cursor=cursor), caller)
        found |= dict.fromkeys(hit.item.headline for hit in answer.hits)
        cursor = answer.cursor
        if not cursor:
            break
    return [*found]


if __name__ == "__main__":
    main()
