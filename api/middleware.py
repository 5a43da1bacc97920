"""Wraps every request: an id, security headers, counters, a line in the log, and a last handler for
errors.
"""

from __future__ import annotations

import logging
import re
import secrets
import time
from collections.abc import Iterable
from typing import Any

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.envelope import problem_response
from api.metrics import Metrics
from api.problems import INTERNAL
from core.tracing import Span, Trace, quotes

_access = logging.getLogger("dateline.access")
_errors = logging.getLogger("dateline.api")
_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_LEFT = 499  # nginx's status for a client that left before the answer
_METHODS = frozenset({"GET", "HEAD", "POST", "PATCH", "PUT", "DELETE", "OPTIONS"})
# 'self' only: scripts, styles and fonts are files of this service; nothing is inline or from
# another host.
_CONTENT_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; "
    "img-src 'self' data:; media-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'self'; "
    "frame-ancestors 'none'"
)
_HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": _CONTENT_POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
_RAW_HEADERS = [(name.encode(), value.encode()) for name, value in _HEADERS.items()]


class Observed:
    """Pure ASGI, because Starlette's middleware base class would cost a task per request."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; only `BaseException` passes through."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begin(scope)
        outgoing = _Outgoing(send, scope)
        started = time.perf_counter()
        self._metrics.in_flight.inc()
        with Trace("request", header=Headers(scope=scope).get("traceparent", "")) as span:
            try:
                await self._answer(scope, receive, outgoing)
            finally:
                self._metrics.in_flight.dec()
                leave(scope)
                seconds = time.perf_counter() - started
                self._metrics.answered(method_of(scope), route_of(scope), outgoing.status, seconds)
                _describe(span, scope, outgoing.status)
                log(scope, outgoing.status, seconds)

    async def _answer(self, scope: Scope, receive: Receive, outgoing: _Outgoing) -> None:
        try:
            await self._app(scope, receive, outgoing)
        except ClientDisconnect:
            outgoing.status = outgoing.status or _LEFT
        except Exception:  # noqa: BLE001  the last handler: log it, tell the client nothing
            _errors.exception("request %s failed", scope["state"]["request_id"])
            if outgoing.status == 0:
                response = problem_response(Request(scope), INTERNAL)
                await response(scope, receive, outgoing)


def _describe(span: Span, scope: Scope, status: int) -> None:
    """Give the span its name and attributes, by OpenTelemetry's conventions for HTTP. The path is
    the route's: an item's own address, a query string and a signature stay out.
    """
    method, route = method_of(scope), route_of(scope)
    span.rename(f"{method} {route}")
    span.set(
        {
            "http.request.method": method if method != "other" else "_OTHER",
            "http.route": route,
            "http.response.status_code": status,
            "url.scheme": scope.get("scheme", "http"),
            "network.protocol.version": scope.get("http_version", ""),
            "dateline.caller": scope["state"].get("caller", ""),
            "dateline.request": scope["state"]["request_id"],
        }
    )
    if status >= 500:
        span.set({"error.type": str(status)})
    span.quote("url.path", scope["path"])


def leave(scope: Scope) -> None:
    """End the request's place in its caller's share, if the caller was let in, and count it with
    the items in its answer.
    """
    state = scope["state"]
    if (leaves := state.get("leave")) is not None:
        leaves()
    if (counts := state.get("counted")) is not None:
        counts(items=state.get("items", 0))


def begin(scope: Scope) -> None:
    """Give a request its id: the client's own if it is harmless, else a new one."""
    sent = Headers(scope=scope).get("x-request-id", "")
    given = sent if _ID.fullmatch(sent) else secrets.token_hex(8)
    scope.setdefault("state", {})["request_id"] = given


def with_headers(headers: Iterable[tuple[bytes, bytes]], scope: Scope) -> list[tuple[bytes, bytes]]:
    """Return an answer's own headers, plus those of every answer."""
    own = [pair for pair in headers if pair[0] != b"x-request-id"]
    there = {name for name, _ in own}
    own += (pair for pair in _RAW_HEADERS if pair[0] not in there)
    if (quota := scope["state"].get("quota")) is not None:
        told = (
            (name.lower().encode(), str(text).encode()) for name, text in quota.headers().items()
        )
        own += (pair for pair in told if pair[0] not in there)
    return [*own, (b"x-request-id", scope["state"]["request_id"].encode())]


def log(scope: Scope, status: int, seconds: float, times: int = 1) -> None:
    """Write a log line for an answer that was given `times` times since the last such line."""
    if not _access.isEnabledFor(logging.INFO):
        return
    line: dict[str, Any] = {
        "id": scope["state"]["request_id"],
        "method": method_of(scope),
        "route": route_of(scope),
        "status": status,
        "client": (scope.get("client") or ("",))[0],
        "milliseconds": round(seconds * 1000, 2),
        "caller": scope["state"].get("caller", ""),
    }
    if "route" in scope or quotes():  # an address that is none of ours may hold anything
        line["path"] = scope["path"].partition("?")[0][:500]  # never the query
    if times > 1:
        line["times"] = times
    # An answered request uses the caller's share; refusals cost their sender nothing, so they are
    # limited.
    kind = f"{line['route']} {status} {line['caller']}" if status >= 400 else ""
    _access.info("%s", line["route"], extra={"kind": kind, "members": line})


def route_of(scope: Scope) -> str:
    """Return the route's path, which is the same for all items."""
    return str(getattr(scope.get("route"), "path", "unmatched"))


def method_of(scope: Scope) -> str:
    """Return the method; "other" for an unknown one, which must not make a new time series."""
    return scope["method"] if scope["method"] in _METHODS else "other"


class _Outgoing:
    """A `send` that remembers the status and adds the headers of every answer."""

    def __init__(self, send: Send, scope: Scope) -> None:
        self._send = send
        self._scope = scope
        self.status = 0

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = with_headers(message.get("headers", ()), self._scope)
        await self._send(message)
