"""What traces cost a search.

    python -m benchmarks.service.tracing [--data DIR] [--queries N] [--json]

An archive of the demo's stories and of others made from them, in this process, with the default
profile. Each headline is asked by every side, in an order drawn by chance: `off` and `off again`,
without traces; `none`, with traces of which none is kept; `tenth`, one in ten; `all`. Each side
adds a number of its own to the headline, so that no side finds another one's answer in a cache. So
two sides differ by tracing and by chance only, and what `off again` takes more is chance.

`more_ms` is the median over the headlines of the time that a side took longer than `off`, and
`share` that of the p50 of `off`. `thread_ms` is the median of the processor time of the thread that
asks, longer than that of `off`. `send_ms` is the processor time for a search of sending its spans
by OTLP to a collector in a process of its own. A service does that in another thread; here it is
done between blocks of headlines, so that each side pays for its own. `write_us` is the processor
time of a made trace of 28 spans, in microseconds, which chance does not reach.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from benchmarks.machine import arguments, show, this_machine
from benchmarks.service.overload import PRODUCTS, STORIES, fill
from core import tracing
from core.callers import Caller
from core.tracing import Sink, Span, Trace
from dateline.build.service import Service, build_service
from dateline.serving.otlp import Sender
from dateline.settings import Settings
from search.answers import SearchRequest

_BLOCK = 50
_WARM_UP = 20
_MADE = 2000
_SPANS = 28  # of a search
_SHARES = {"off": None, "off again": None, "none": 0.0, "tenth": 0.1, "all": 1.0}
_ORDER = random.Random(7)


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
        protocol_version = "HTTP/1.1"  # as a collector's, which keeps connections

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
    sides = {name: _Side(share) for name, share in _SHARES.items()}
    spans: list[int] = []
    tracing.send_to(Sink(lambda span: spans.append(1)))
    headlines = _headlines(service, queries)
    for text in headlines[:_WARM_UP]:
        _asked(service, f"{text} 1")
    number = 1
    for first in range(0, len(headlines), _BLOCK):
        for text in headlines[first : first + _BLOCK]:
            for side in _ORDER.sample([*sides.values()], len(sides)):
                number += 1
                side.ask(service, f"{text} {number}")
        for side in sides.values():
            side.send()
    figures: dict[str, Any] = {"spans of a search": len(spans) / min(_WARM_UP, len(headlines))}
    figures["write_us, none kept"], figures["write_us, all kept"] = (
        _write_us(False),
        _write_us(True),
    )
    off = sides["off"]
    p50 = 1000 * statistics.median(off.seconds)
    figures["off p50_ms"] = p50
    for name, side in sides.items():
        more = _more_ms(side.seconds, off.seconds)
        figures[name] = {
            "more_ms": more,
            "share": more / p50,
            "thread_ms": _more_ms(side.thread_s, off.thread_s),
            "send_ms": 1000 * side.sending_s / len(side.seconds),
        }
    return figures


def _write_us(kept: bool) -> float:
    """Return the microseconds of processor time that a trace of as many spans takes, alone."""
    tracing.send_to(Sink(lambda span: None, lambda trace, said: kept))
    before = time.thread_time()
    for _ in range(_MADE):
        with Trace("GET /content/search"):
            for _ in range(_SPANS - 1):
                with Span("part", {"dateline.hits": 20}):
                    pass
    tracing.send_to(None)
    return 1e6 * (time.thread_time() - before) / _MADE


class _Side:
    """One way to be traced: the share of traces that are kept; None for no traces."""

    def __init__(self, share: float | None) -> None:
        self._sender = Sender("benchmark", every_s=None)
        self._sink: Sink | None = None
        if share is not None:
            most = int(1000 * share)
            self._sink = Sink(self._sender.write, lambda trace, said: trace % 1000 < most)
        self.seconds: list[float] = []
        self.thread_s: list[float] = []
        self.sending_s = 0.0

    def ask(self, service: Service, text: str) -> None:
        """Search, and keep how long it took."""
        tracing.send_to(self._sink)
        processor = time.thread_time()
        self.seconds.append(_asked(service, text))
        self.thread_s.append(time.thread_time() - processor)
        tracing.send_to(None)

    def send(self) -> None:
        """Send what was written, and keep how much processor time it took."""
        before = time.thread_time()
        self._sender.send()
        self.sending_s += time.thread_time() - before


def _more_ms(some: Sequence[float], others: Sequence[float]) -> float:
    """Return the median of what `some` took longer than their `others`, in milliseconds."""
    return 1000 * statistics.median(a - b for a, b in zip(some, others, strict=True))


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
