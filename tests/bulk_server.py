"""A server that speaks as much of the bulk protocol as a writer needs, with the faults that a test
tells it to have: on a real socket, so that connections are really cut and answers really late.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import orjson

from tests.live_servers import serving

Answer = dict[str, Any]
Entry = tuple[str, int, int, bytes | None]  # kind, id, version, document
_FULL = "blocked by: [TOO_MANY_REQUESTS/12/disk usage exceeded flood-stage watermark, index has "


@dataclass(slots=True)
class BulkServer:
    """What it holds and was asked. `fault` sees each bulk request's entries before they are done:
    it may give a status for the whole request, "cut" to end the connection after half of them are
    done, or a status for each, 0 for an honest one.
    """

    fault: Callable[[Sequence[Entry]], int | str | Sequence[int]] = lambda _: 0
    slow_s: float = 0.0
    held: dict[int, tuple[int, bytes]] = field(default_factory=dict)
    requests: list[list[int]] = field(default_factory=list)  # the ids of each
    sizes: list[int] = field(default_factory=list)  # bytes of each
    url: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, body: bytes) -> tuple[int, Answer] | None:
        """Status and reply; None where the connection is to be cut."""
        entries = list(_entries(body))
        with self.lock:
            self.requests.append([id_ for _, id_, _, _ in entries])
            self.sizes.append(len(body))
            fault = self.fault(entries)
            if fault == "cut":
                for entry in entries[: len(entries) // 2]:
                    self._done(entry)
                return None
            if isinstance(fault, int) and fault:
                return fault, _error(fault)
            statuses = [0] * len(entries) if isinstance(fault, (int, str)) else fault
            items = [
                {entry[0]: {"status": status, "error": _error(status)["error"]}}
                if status
                else {entry[0]: self._done(entry)}
                for entry, status in zip(entries, statuses, strict=True)
            ]
            return 200, {"items": items}

    def _done(self, entry: Entry) -> Answer:
        """As external_gte versions have it."""
        _, id_, version, document = entry
        before = self.held.get(id_, (0, b""))[0]
        if version < before:
            return {"status": 409, "error": {"type": "version_conflict_engine_exception"}}
        if document is None:
            self.held.pop(id_, None)
            return {"status": 200 if before else 404, "result": "deleted"}
        self.held[id_] = (version, document)
        return {"status": 200 if before else 201, "result": "updated" if before else "created"}


def _entries(body: bytes) -> Iterator[Entry]:
    lines = iter(body.splitlines())
    for line in lines:
        ((kind, about),) = orjson.loads(line).items()
        assert about["version_type"] == "external_gte"
        document = next(lines) if kind == "index" else None
        yield kind, int(about["_id"]), about["version"], document


def _error(status: int) -> Answer:
    if status == 429:
        cause = {"type": "rejected_execution_exception", "reason": "rejected execution"}
    elif status == 403:
        cause = {"type": "cluster_block_exception", "reason": _FULL}
    else:
        cause = {"type": "mapper_parsing_exception", "reason": "failed to parse field [seq]"}
    return {"error": cause, "status": status}


@contextmanager
def bulk_server() -> Iterator[BulkServer]:
    """One that runs on a port of the loopback."""
    server = BulkServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # a reply is one packet

        def do_GET(self) -> None:
            self._send(200, {"version": {"number": "2.19.1"}})

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            time.sleep(server.slow_s)
            found = server.answer(body)
            if found is None:
                self.close_connection = True
                self.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-length: 9999\r\n\r\n{")
            else:
                self._send(*found)

        def _send(self, status: int, reply: Answer) -> None:
            content = orjson.dumps(reply)
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.url = f"http://127.0.0.1:{http.server_port}"
    with serving(http):
        yield server
