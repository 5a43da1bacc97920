"""Refuses requests before any other work for them: no task, no routing, no parameters, no body.

At ten times the load that a service can answer, nine of ten requests are refused, and the cost of
refusals is lost for answers. So the HTTP server asks here first; the route checks accepted requests
again. For the same reason, all refusals of a caller within a second are one answer with one id,
which is also the id of their line in the log.
"""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from time import monotonic

from fastapi.security.utils import get_authorization_scheme_param
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import Scope

from api.access.callers import Surface, keys_for, unknown_key
from api.access.forwarding import believe
from api.access.keys import HEADER, KeyRing
from api.envelope import problem_response
from api.middleware import begin, log, with_headers
from api.models.refusals import COHERE_PATHS, TEI_PATHS
from api.problems import Problem, UnknownKeyError, problem_of
from api.refusals import choose_refusal
from core.callers import Caller
from core.errors import BusyError, DatelineError

_ITEMS = "/content/{item_id:path}"
_STATUS = "/content/{item_id:path}/status"
_WRITES = "/content"
_AP_ITEMS = "/media/v/content/{item_id:path}"
_AP_SEARCH = "/media/v/content/search"
_READS = frozenset({"/content/search", "/v1/suggest", _AP_SEARCH})
_MODELS = frozenset({"/v1/embeddings", "/v1/tag"}) | COHERE_PATHS | TEI_PATHS
_NO_ITEMS = frozenset({"feed", "ondemand", "rss"})  # below the same path, with work of their own
_FEEDS = frozenset({"/content/feed", "/content/stream"})  # no share delays a notice of a kill
_SECOND = 1.0
_KEPT = 10_000  # answers


@dataclass(frozen=True, slots=True)
class _Route:
    """A route that was not looked up, for the log."""

    path: str


@dataclass(slots=True)
class Refusal:
    """An answer in HTTP/1.1: `head`, each of its lines with its end, and `body`."""

    status: int
    head: bytes
    body: bytes
    made: float = 0.0
    times: int = 0  # how often it was given


class Admission:
    """Refuses requests with an unknown key (401), and reads and model requests that exceed their
    key's share (429) or find no place in their pool (503). Only for the event loop's thread.
    """

    def __init__(self, surface: Surface) -> None:
        self._surface = surface
        self._settings = surface.services.settings
        self._pools = dict.fromkeys((*_READS, _ITEMS, _AP_ITEMS), surface.reads)
        self._pools |= dict.fromkeys(_MODELS, surface.models)
        self._kept: dict[tuple[str, str, str], Refusal] = {}

    def __call__(self, scope: Scope) -> Refusal | None:
        """Return the whole answer to a request that is refused at once, else None."""
        route = self._route_of(scope)
        key = _key_of(scope, route) if route else ""
        if not key:  # its route refuses a request without a key
            return None
        caller = self._keys(scope).caller(key)
        try:
            self._check(route, caller)
        except (UnknownKeyError, BusyError) as error:
            believe(scope, self._settings.proxies)
            refusal = self._refusal(scope, route, caller, error)
            refusal.times += 1
            self._surface.metrics.refused_at_once(scope["method"], route, refusal.status)
            if isinstance(error, BusyError):
                self._surface.metrics.refused()
            return refusal
        return None

    def _route_of(self, scope: Scope) -> str:
        """Return the route of a request that needs a key; "" if it needs none, or if more decides
        that.
        """
        method, path = scope["method"], scope["path"].removeprefix(self._settings.root_path)
        if path in _MODELS:
            return path if method == "POST" else ""
        if self._settings.models_only:
            return ""
        if method == "GET":
            return path if path in _READS else _item_route(path)
        if method == "PATCH" and path.startswith("/content/") and path.endswith("/status"):
            return _STATUS
        return _WRITES if method == "POST" and path == _WRITES else ""

    def _keys(self, scope: Scope) -> KeyRing:
        keys = self._surface.services.keys
        return keys_for(Request(scope), self._surface) if keys.local_only else keys

    def _check(self, route: str, caller: Caller | None) -> None:
        """Raise UnknownKeyError, TooManyError or BusyError. Writes are never refused for load here,
        because some of them hide an item.
        """
        if caller is None:
            raise unknown_key()
        pool = self._pools.get(route)
        if pool is not None:
            self._surface.shares.check(caller)
            pool.check(caller)

    def _refusal(
        self, scope: Scope, route: str, caller: Caller | None, error: DatelineError
    ) -> Refusal:
        """Return the answer that this caller, or this address with an unknown key, gets for the
        rest of the second. The first one of a second is made and logged.
        """
        name = caller.name if caller else (scope.get("client") or ("",))[0]
        key = route, name, error.what
        kept, now = self._kept.get(key), monotonic()
        if kept is not None and now - kept.made < _SECOND:
            return kept
        if len(self._kept) >= _KEPT:
            self._kept.clear()
        begin(scope)
        scope["route"] = _Route(route)
        choose_refusal(scope)
        if caller:
            scope["state"]["caller"] = caller.name
        refusal = self._kept[key] = _written(scope, problem_of(error), now)
        log(scope, refusal.status, 0.0, times=1 if kept is None else kept.times)
        return refusal


def _item_route(path: str) -> str:
    """Return the route of an item's path, "" for any other path."""
    if path in _FEEDS:
        return ""
    if path.startswith("/content/"):
        return _ITEMS
    name = path.removeprefix(_AP_ITEMS.partition("{")[0])
    return _AP_ITEMS if name != path and name.partition("/")[0] not in _NO_ITEMS else ""


def _key_of(scope: Scope, route: str) -> str:
    """Return the key in the header that the route takes. The route itself reads a key in an
    address.
    """
    headers = Headers(scope=scope)
    sent = headers.get(HEADER, "")
    if sent or route not in _MODELS:
        return sent
    scheme, token = get_authorization_scheme_param(headers.get("authorization"))
    return token if scheme.lower() == "bearer" else ""


def _written(scope: Scope, problem: Problem, now: float) -> Refusal:
    answer = problem_response(Request({**scope, "query_string": b""}), problem)
    status = HTTPStatus(answer.status_code)
    lines = [b"HTTP/1.1 %d %b\r\n" % (status, status.phrase.encode())]
    lines += [b"%b: %b\r\n" % pair for pair in with_headers(answer.raw_headers, scope)]
    return Refusal(status, b"".join(lines), bytes(answer.body), now)
