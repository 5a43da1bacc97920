"""Refuses requests before anything else is done for them: there is no task, no route is looked for,
no parameter is read, no body waited for.

Of ten times what a service can answer nine parts are refused. What a refusal costs is what the
answers lack. So the HTTP server asks here first; whoever is let in is looked at again by the route.
For the same reason a caller's refusals of one second are one answer, with one id, which is that of
their line in the log.
"""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from time import monotonic

from starlette.requests import Request
from starlette.types import Scope

from api.access import Surface, keys_for
from api.envelope import problem_response
from api.keys import HEADER
from api.middleware import begin, log, with_headers
from api.pool import WorkPool
from api.problems import Problem, problem_of
from core.callers import Caller
from core.errors import BusyError

_KEY = HEADER.encode()
_ITEMS = "/content/{item_id:path}"
_READS = frozenset({"/content/search", "/v1/suggest"})
_MODELS = frozenset({"/v1/embeddings", "/v1/rerank", "/v1/tag"})
_SECOND = 1.0
_KEPT = 10_000  # answers


@dataclass(frozen=True, slots=True)
class _Route:
    """What is known of a route that is not looked for."""

    path: str


@dataclass(slots=True)
class Refusal:
    """An answer as HTTP/1.1 has it: `head`, each of its lines with its end, and `body`."""

    status: int
    head: bytes
    body: bytes
    made: float = 0.0
    times: int = 0  # it was given


class Admission:
    """Refuses reads and model requests of known keys that are over their share (429) or find no
    place in their pool (503). For the thread of the event loop alone.
    """

    def __init__(self, surface: Surface) -> None:
        self._surface = surface
        self._root = surface.services.settings.root_path
        self._kept: dict[tuple[str, str, str], Refusal] = {}

    def __call__(self, scope: Scope) -> Refusal | None:
        """The whole answer to a request that is refused at once, or None."""
        found = self._pool_of(scope)
        caller = None if found is None else self._caller(scope)
        if found is None or caller is None:  # one without a key is the route's to refuse
            return None
        pool, route = found
        try:
            self._surface.shares.check(caller)
            pool.check(caller)
        except BusyError as error:
            refusal = self._refusal(scope, route, caller, error)
            refusal.times += 1
            self._surface.metrics.refused_at_once(scope["method"], route, refusal.status)
            return refusal
        return None

    def _pool_of(self, scope: Scope) -> tuple[WorkPool, str] | None:
        """Whose threads answer a request, and its route; None where that depends on more."""
        path = scope["path"].removeprefix(self._root)
        if scope["method"] == "GET":
            if path in _READS:
                return self._surface.reads, path
            if path.startswith("/content/"):
                return self._surface.reads, _ITEMS
        elif path in _MODELS and scope["method"] == "POST":
            return self._surface.models, path
        return None

    def _caller(self, scope: Scope) -> Caller | None:
        keys = self._surface.services.keys
        if keys.local_only:
            keys = keys_for(Request(scope), self._surface)
        sent = next((value for name, value in scope["headers"] if name == _KEY), b"")
        return keys.caller(sent.decode("latin-1")) if sent else None

    def _refusal(self, scope: Scope, route: str, caller: Caller, error: BusyError) -> Refusal:
        """The one of this second, which is made and logged where there is none."""
        key = route, caller.name, error.what
        kept, now = self._kept.get(key), monotonic()
        if kept is not None and now - kept.made < _SECOND:
            return kept
        if len(self._kept) >= _KEPT:
            self._kept.clear()
        begin(scope)
        scope["route"] = _Route(route)
        scope["state"]["caller"] = caller.name
        refusal = self._kept[key] = _written(scope, problem_of(error), now)
        log(scope, refusal.status, 0.0, times=1 if kept is None else kept.times)
        return refusal


def _written(scope: Scope, problem: Problem, now: float) -> Refusal:
    answer = problem_response(Request({**scope, "query_string": b""}), problem)
    status = HTTPStatus(answer.status_code)
    lines = [b"HTTP/1.1 %d %b\r\n" % (status, status.phrase.encode())]
    lines += [b"%b: %b\r\n" % pair for pair in with_headers(answer.raw_headers, scope)]
    return Refusal(status, b"".join(lines), bytes(answer.body), now)
