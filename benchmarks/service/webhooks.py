"""From the answer to a write until its webhook has arrived.

    python -m benchmarks.service.webhooks [--stories N] [--writes N] [--hanging N] [--json]

`dateline serve` runs with its own settings on an archive of stories made from the demo corpus. The
receiver is a socket of this machine; `--hanging` receivers beside it never answer.

- `sent`: milliseconds from the answer to a write until its message was read by the receiver.
- `killed`: the same for kills, while messages of the other stories wait.
"""

from __future__ import annotations

import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import orjson

from benchmarks.machine import arguments, percentile, show, this_machine
from benchmarks.service.feed import PRODUCT, archive
from dateline.measuring.served import started

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "client"))

from dateline_client import Client

_DESK, _READER = "key-of-the-desk", "key-of-a-reader"
_KEYS = [
    {"name": "desk", "key": _DESK, "products": [PRODUCT], "write": True},
    {"name": "reader", "key": _READER, "products": [PRODUCT]},
]
_SETTINGS = {
    "DATELINE_KEYS": orjson.dumps(_KEYS).decode(),
    "DATELINE_WEBHOOK_HTTP": "true",
    "DATELINE_WEBHOOK_NETWORKS": '["127.0.0.0/8"]',
}
_PATIENCE_S = 120.0
Event = tuple[str, str]  # a type and a uri


class Arrivals:
    """When each message arrived first."""

    def __init__(self) -> None:
        self.at: dict[Event, float] = {}
        self._came = threading.Condition()

    def note(self, event: Event) -> None:
        """Keep the time of an event."""
        with self._came:
            self.at.setdefault(event, time.perf_counter())
            self._came.notify_all()

    def wait(self, events: list[Event]) -> None:
        """Wait until all of these came."""
        with self._came:
            if not self._came.wait_for(lambda: all(e in self.at for e in events), _PATIENCE_S):
                raise SystemExit("messages are missing")


@contextmanager
def receiver(arrivals: Arrivals | None) -> Iterator[str]:
    """Run a receiver, and yield its address. If `arrivals` is None, it never answers."""
    ended = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if arrivals is None:
                ended.wait(_PATIENCE_S)
                return
            told = orjson.loads(body)
            arrivals.note((told["type"], told["data"].get("item", {}).get("uri", "")))
            self.send_response(204)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - theirs
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/"
    finally:
        ended.set()
        server.shutdown()
        thread.join()
        server.server_close()


def sent(desk: httpx.Client, arrivals: Arrivals, writes: int) -> dict[str, float]:
    """Write stories, then kill each."""
    acknowledged: dict[Event, float] = {}
    for number in range(writes):
        uri = f"urn:webhooks:{number}"
        document = {"uri": uri, "headline": f"Story {number}", "body_text": "Words. " * 200}
        desk.post("/content", params={"products": PRODUCT}, json=document).raise_for_status()
        acknowledged["item.shown", uri] = time.perf_counter()
    arrivals.wait([*acknowledged])
    for number in range(writes):
        uri = f"urn:webhooks:{number}"
        body = {"pubstatus": "canceled"}
        desk.patch(f"/content/{uri}/status", json=body).raise_for_status()
        acknowledged["item.killed", uri] = time.perf_counter()
    arrivals.wait([*acknowledged])
    figures: dict[str, float] = {}
    for name, kind in (("sent", "item.shown"), ("killed", "item.killed")):
        found = [max(0.0, arrivals.at[e] - at) for e, at in acknowledged.items() if e[0] == kind]
        figures |= {
            f"{name}_p50_ms": percentile(found, 50),
            f"{name}_p99_ms": percentile(found, 99),
        }
    return figures


def measure(stories: int, writes: int, hanging: int) -> dict[str, float]:
    """Return all figures, by name."""
    arrivals = Arrivals()
    with tempfile.TemporaryDirectory() as name, receiver(arrivals) as good, receiver(None) as bad:
        archive(Path(name) / "data", stories)
        with started(Path(name) / "data", [PRODUCT], _SETTINGS) as (_, client):
            url = str(client.base_url)
            key = {"x-api-key": _DESK}
            with (
                Client(url, _READER) as reader,
                httpx.Client(base_url=url, headers=key, timeout=60) as desk,
            ):
                for _ in reader.follow(once=True):
                    pass  # until the transitions of the archive are made
                for _ in range(min(hanging, 19)):
                    reader.create_webhook(bad)
                reader.create_webhook(good)
                return sent(desk, arrivals, writes)


def main() -> None:
    """Measure and print."""
    parser = arguments(__doc__)
    parser.add_argument("--stories", type=int, default=5000)
    parser.add_argument("--writes", type=int, default=200)
    parser.add_argument("--hanging", type=int, default=10)
    asked = parser.parse_args()
    figures = measure(asked.stories, asked.writes, asked.hanging)
    show("webhooks", figures, this_machine(), as_json=asked.json)


if __name__ == "__main__":
    main()
