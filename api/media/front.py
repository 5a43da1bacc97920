"""ASGI middleware before AP's routes: one header for a key however it was sent, the quota's headers
on every answer, and what browsers of other sites may read.
"""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import unquote_plus

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.access.keys import HEADER
from api.media.links import below_prefix
from api.media.quotas import quota_headers
from core.limits import Limiter

OTHER_HEADER = "x-apikey"
PARAMETER = "apikey"
_EXPOSED = (
    "etag, retry-after, x-request-id, "
    "x-mediaapi-q-name, x-mediaapi-q-used, x-mediaapi-q-secondsleft"
)
_ALLOWED = f"{HEADER}, {OTHER_HEADER}, if-none-match, x-request-id, content-type"


class MediaFront:
    """Pure ASGI middleware. With `keys_in_urls` the parameter `apikey` is taken. `origins` are the
    sites whose pages may read answers, `*` for all. `limiter` counts the requests of keys without
    an account.
    """

    def __init__(
        self, app: ASGIApp, *, keys_in_urls: bool, origins: Collection[str], limiter: Limiter
    ) -> None:
        self._app = app
        self._keys_in_urls = keys_in_urls
        self._origins = frozenset(origins)
        self._limiter = limiter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or not below_prefix(HTTPConnection(scope)):
            await self._app(scope, receive, send)
            return
        one_key(scope, taken=self._keys_in_urls)
        origin = self._origin(scope)
        if origin and scope["method"] == "OPTIONS":
            await _preflight(send, origin)
            return

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(raw=message["headers"])
                if message["status"] == 200:
                    headers.update(quota_headers(scope, self._limiter))
                if origin:
                    headers.update(_shared(origin))
            await send(message)

        await self._app(scope, receive, told)

    def _origin(self, scope: Scope) -> str:
        """Return the site of the page that asks, if it may read the answer."""
        origin = HTTPConnection(scope).headers.get("origin", "")
        return origin if origin and not self._origins.isdisjoint({origin, "*"}) else ""


def one_key(scope: Scope, *, taken: bool) -> None:
    """Put the key into the header that routes read, and take `apikey` out of the address, so that
    nothing after this can log or repeat it. It counts only if it is `taken` from there.
    """
    headers = MutableHeaders(scope=scope)
    in_url = _cut_from_query(scope)
    if not headers.get(HEADER):
        key = headers.get(OTHER_HEADER) or (in_url if taken else "")
        if key:  # in any characters; a header has bytes
            headers[HEADER] = key.encode("utf-8", "surrogateescape").decode("latin-1")
    scope["headers"] = headers.raw


def _cut_from_query(scope: Scope) -> str:
    """Remove `apikey` from the query string, in any case and however escaped; return its last
    value.
    """
    kept, found = [], ""
    for part in scope.get("query_string", b"").decode("latin-1").split("&"):
        name, _, value = part.partition("=")
        if unquote_plus(name).strip().lower() == PARAMETER:
            found = unquote_plus(value)
        else:
            kept.append(part)
    scope["query_string"] = "&".join(kept).encode("latin-1")
    return found


def _shared(origin: str) -> dict[str, str]:
    return {
        "access-control-allow-origin": origin,
        "access-control-expose-headers": _EXPOSED,
        "cross-origin-resource-policy": "cross-origin",
        "vary": "accept-encoding, origin",
    }


async def _preflight(send: Send, origin: str) -> None:
    """Tell a browser what a page of `origin` may send."""
    headers = {
        **_shared(origin),
        "access-control-allow-methods": "GET, HEAD, POST, DELETE",
        "access-control-allow-headers": _ALLOWED,
        "access-control-max-age": "600",
    }
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": 204, "headers": raw})
    await send({"type": "http.response.body", "body": b""})
