"""Which shape a refusal has: that of the API that the request is for, by its address."""

from __future__ import annotations

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from api.envelope import REFUSAL
from api.media import answers
from api.media.links import below_prefix
from api.models.refusals import refusal_of


class Refusals:
    """ASGI middleware: each API's requests are refused in its own shape, also if no route
    exists.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "http":
            choose_refusal(scope)
        await self._app(scope, receive, send)


def choose_refusal(scope: Scope) -> None:
    """See to it that a request for another API is refused as there; leave our own alone."""
    path = str(scope["path"]).removeprefix(str(scope.get("root_path", "")))
    own = below_prefix(HTTPConnection(scope))
    refusal = answers.refusal if own else refusal_of(path, str(scope["method"]))
    if refusal is not None:
        scope.setdefault("state", {})[REFUSAL] = refusal
