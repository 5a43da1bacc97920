"""Asks a server on this machine in JSON, through one open connection for each thread. It imports
the standard library only, as `entrant` does.
"""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

_PATIENT_S = 120.0


class JsonServer:
    """A server at `url`, which gets `headers` with each request."""

    def __init__(self, url: str, headers: Mapping[str, str] | None = None) -> None:
        self._headers = headers or {}
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "127.0.0.1", parts.port or 80
        self._threads = threading.local()

    def ask(self, method: str, path: str, body: object = None) -> Any:
        """Return the answer to one request; `body` is a value for JSON, or bytes as they are.
        Raises RuntimeError for a status of 400 or more.
        """
        sent = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        kind = "application/x-ndjson" if isinstance(body, bytes) else "application/json"
        headers = {"content-type": kind, **self._headers}
        reply = self._reply(method, path, sent, headers)
        data = reply.read()
        if reply.status >= 400:
            raise RuntimeError(f"{method} {path}: {reply.status} {data[:300]!r}")
        return json.loads(data) if data else {}

    def await_ready(self, path: str) -> None:
        """Return when `path` is answered. Raises TimeoutError after two minutes."""
        until = time.monotonic() + _PATIENT_S
        while time.monotonic() < until:
            try:
                self.ask("GET", path)
            except (OSError, http.client.HTTPException, RuntimeError):
                self._threads = threading.local()
                time.sleep(0.1)
            else:
                return
        raise TimeoutError(f"{self._host}:{self._port}{path} did not answer")

    def _reply(
        self, method: str, path: str, sent: bytes | None, headers: Mapping[str, str]
    ) -> http.client.HTTPResponse:
        """Ask through this thread's connection, and once more through a new one if the server has
        closed it, as servers do with one that is idle.
        """
        held: http.client.HTTPConnection | None = getattr(self._threads, "connection", None)
        if held is not None:
            try:
                held.request(method, path, sent, headers)
                return held.getresponse()
            except ConnectionError:
                held.close()
        new = http.client.HTTPConnection(self._host, self._port, timeout=_PATIENT_S)
        self._threads.connection = new
        new.request(method, path, sent, headers)
        return new.getresponse()
