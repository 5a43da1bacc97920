"""EC2's instance metadata on loopback (IMDSv2): a token first, and a warning once it is told."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.live_servers import serving

WARNING = {"action": "terminate", "time": "2026-03-15T12:02:00Z"}


class MetadataServer(ThreadingHTTPServer):
    """`warns` makes it tell the warning; `tokens` are those that it gave and still takes."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.warns = threading.Event()
        self.asked = threading.Event()
        self.tokens: list[str] = []
        self.given = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


@contextmanager
def metadata() -> Iterator[MetadataServer]:
    server = MetadataServer()
    with serving(server):
        yield server


class _Handler(BaseHTTPRequestHandler):
    server: MetadataServer

    def do_PUT(self) -> None:
        seconds = self.headers.get("x-aws-ec2-metadata-token-ttl-seconds", "")
        if self.path != "/latest/api/token" or not 1 <= int(seconds or 0) <= 21600:
            self._reply(400, b"")
            return
        self.server.given += 1
        token = f"token-{self.server.given}"
        self.server.tokens.append(token)
        self._reply(200, token.encode())

    def do_GET(self) -> None:
        self.server.asked.set()
        if self.headers.get("x-aws-ec2-metadata-token") not in self.server.tokens:
            self._reply(401, b"")
        elif self.path == "/latest/meta-data/spot/instance-action" and self.server.warns.is_set():
            self._reply(200, json.dumps(WARNING).encode())
        else:
            self._reply(404, b"")

    def _reply(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass
