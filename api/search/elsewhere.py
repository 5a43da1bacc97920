"""Reads that other processes of the service answer: searches, single items, suggestions.

One interpreter runs one thread at a time. So searches in threads of the process that reads requests
would delay reading them, and hiding what is killed. That process keeps access, shares, the queue,
the log and the counters. The rest of a request goes as bytes to a process that has no other work,
and its whole answer comes back (`dateline/serving/searchers.py` has the processes).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine, Iterable
from functools import partial
from typing import Any

import orjson
from fastapi import Request
from fastapi.routing import APIRoute
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Scope

from api.access.callers import Surface, caller_of, surface_of
from api.access.checks import check_query_string
from api.access.keys import HEADER
from api.access.services import Elsewhere
from api.envelope import problem_response
from api.middleware import leave
from api.problems import INTERNAL
from core.tracing import Trace, header

_errors = logging.getLogger("dateline.api")
_PLAIN = ("method", "scheme", "http_version", "path", "root_path", "client", "server")
_BYTES = ("raw_path", "query_string")

Answered = Callable[[Request], Coroutine[Any, Any, Response]]


class ReadRoute(APIRoute):
    """A route whose requests other processes answer, if there are any."""

    def get_route_handler(self) -> Answered:
        """Return the handler, which answers here or in another process."""
        here = self.answered_here()

        async def answer(request: Request) -> Response:
            surface = await surface_of(request)
            elsewhere = surface.services.elsewhere
            if elsewhere is None or not elsewhere.running:
                return await here(request)
            return await _answer_elsewhere(request, surface, elsewhere, self.read)

        return answer

    async def read(self, request: Request) -> bytes:
        """Return the body that the other process needs; a route that takes none has an empty
        one.
        """
        return b""

    def answered_here(self) -> Answered:
        """Return the handler that answers in this process."""
        return super().get_route_handler()


async def _answer_elsewhere(
    request: Request,
    surface: Surface,
    elsewhere: Elsewhere,
    read: Callable[[Request], Coroutine[Any, Any, bytes]],
) -> Response:
    """Let the caller in, and have another process answer in the caller's turn."""
    await check_query_string(request)
    caller = await caller_of(request, surface, request.headers.get(HEADER))
    body = await read(request)
    version = surface.services.keys.version()
    ask = partial(elsewhere.ask, request_bytes(request.scope, version, body))
    head, _, answer = (await surface.reads.run(ask, caller)).partition(b"\n")
    status, headers, request.state.items = orjson.loads(head)
    response = Response(answer, status)
    response.raw_headers = _encoded(headers)
    return response


def request_bytes(scope: Scope, accounts: int = 0, body: bytes = b"") -> bytes:
    """Return a request as bytes, for `answered`. `accounts` is how many changes of accounts were in
    force when it was let in.
    """
    sent = {name: scope.get(name) for name in _PLAIN}
    sent |= {name: scope[name].decode("latin-1") for name in _BYTES}
    headers, name = _decoded(scope["headers"]), scope["state"]["request_id"]
    sent |= {"headers": headers, "id": name, "accounts": accounts, "trace": header()}
    return orjson.dumps({**sent, "body": body.decode("latin-1")})


async def answered(app: ASGIApp, request: bytes) -> bytes:
    """Return the answer of `app` as bytes: a line of JSON with the status and the headers, then the
    body.
    """
    sent = orjson.loads(request)
    with Trace("answer", kind="internal", header=sent.pop("trace", "")):
        return await _answered(app, sent)


async def _answered(app: ASGIApp, sent: dict[str, Any]) -> bytes:
    body = sent.pop("body", "").encode("latin-1")
    scope = _scope(sent)
    messages: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        messages.append(message)

    try:
        await app(scope, receive, send)
    except Exception:  # noqa: BLE001  the last handler: log it, tell the client nothing
        _errors.exception("request %s failed", scope["state"]["request_id"])
        messages.clear()
        await problem_response(Request(scope), INTERNAL)(scope, receive, send)
    finally:
        leave(scope)
    start, *parts = messages
    items = scope["state"].get("items", 0)
    head = orjson.dumps([start["status"], _decoded(start["headers"]), items])
    return head + b"\n" + b"".join(part.get("body", b"") for part in parts)


def _scope(sent: dict[str, Any]) -> Scope:
    told = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "headers": _encoded(sent.pop("headers")),
        "state": {"request_id": sent.pop("id"), "accounts": sent.pop("accounts")},
    }
    return {**sent, **told, **{name: sent[name].encode("latin-1") for name in _BYTES}}


def _decoded(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[str, str]]:
    return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]


def _encoded(headers: Iterable[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
