"""A connection that stays open, for hundreds of requests a second.

httpx takes a fifth of the test's time for its own work.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from email.message import Message
from http.client import HTTPConnection, HTTPResponse
from itertools import islice
from select import select
from typing import Any
from urllib.parse import quote, urlencode

from tests.guard.surfaces import JSON, JSON_LINES, STREAM, Ask

_COMMENT = b": alive\n"  # of a stream, at its beginning and where there is nothing more to tell
_MOST_LINES = 600  # of a stream


@dataclass(frozen=True, slots=True)
class Answer:
    """What a service answered."""

    status: int
    headers: Message
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")

    def json(self) -> Any:
        return json.loads(self.body)


class Client:
    """Asks the service at a port of this machine; for one thread at a time."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._connection = HTTPConnection("127.0.0.1", port, timeout=240)

    def send(self, ask: Ask, key: str = "") -> Answer:
        """The answer to a request, with a key where there is one. Raises ConnectionError."""
        address = quote(ask.path, safe="/:")
        if ask.params:
            address += "?" + urlencode(ask.params, doseq=True, quote_via=quote)
        headers = {**({"x-api-key": key} if key else {}), **ask.headers}
        body = None
        if ask.json is not None:
            body = _body(ask.json, headers.setdefault("content-type", JSON))
        if ask.path == STREAM:
            return self._streamed(ask.method, address, headers)
        socket = self._connection.sock
        if socket is not None and select([socket], [], [], 0)[0]:
            self._connection.close()  # the service has closed it: nobody asked for a while
        try:
            self._connection.request(ask.method, address, body, headers)
            with self._connection.getresponse() as response:
                return Answer(response.status, response.headers, response.read())
        except ConnectionError:
            self._connection.close()  # the next request opens it anew
            raise

    def _streamed(self, method: str, address: str, headers: Mapping[str, str]) -> Answer:
        """What a stream tells until there is nothing more, over a connection of its own."""
        connection = HTTPConnection("127.0.0.1", self._port, timeout=240)
        with closing(connection):
            connection.request(method, address, headers=headers)
            with connection.getresponse() as response:
                endless = method == "GET" and response.status == 200
                told = b"".join(_events(response)) if endless else response.read()
                return Answer(response.status, response.headers, told)

    def close(self) -> None:
        self._connection.close()


def _events(response: HTTPResponse) -> Iterator[bytes]:
    comments = 0
    for line in islice(response, _MOST_LINES):
        yield line
        comments += line == _COMMENT
        if comments == 2:
            return


def _body(value: Any, kind: str) -> bytes:
    """JSON, or JSON lines: of these a text is a line as it stands."""
    if kind != JSON_LINES:
        return json.dumps(value).encode()
    lines = (one if isinstance(one, str) else json.dumps(one) for one in value)
    return "\n".join(lines).encode()
