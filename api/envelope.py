"""The envelope around every JSON answer of our own routes: AP Media API's `baseresponse` and
`errorresponse`, with two members that differ on purpose. `error.code` is a word (AP's integer is in
`status`), and `error` also has `mend`, which says what to do, and the `field` that is wrong. Routes
of another contract have an envelope of their own, and name it in `REFUSAL`.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from api.content.byte_ranges import unchanged
from api.problems import Problem

API_VERSION = "1.0"
_SECRET_PARAMETERS = frozenset({"apikey", "api_key", "key", "x-api-key", "token"})
_ECHO_CHARACTERS = 4096
_COMPRESSED_FROM = 1024  # bytes; shorter answers gain nothing
_LEVEL = 5
REFUSAL = "refusal"  # in a request's state: what writes the answer to a problem, if not this module


class Json(Response):
    """A JSON answer that orjson writes from plain values, without a model in between."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """Return `content` as bytes."""
        return written(content)


Refusal = Callable[[Request, Problem, Mapping[str, str]], Json]


def rfc3339(moment: datetime) -> str:
    """Return a UTC time as `2024-03-05T07:30:00Z`, with a fraction only if it has one."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def request_id(request: Request) -> str:
    """Return the id of this request, as in the header `x-request-id` and the log."""
    return str(request.scope.get("state", {}).get("request_id", ""))


def echo(request: Request) -> dict[str, Any]:
    """Return the query parameters as they came, shortened, without any that may be a key."""
    echoed: dict[str, Any] = {}
    for name in request.query_params:
        if name.lower() in _SECRET_PARAMETERS:
            continue
        values = [value[:_ECHO_CHARACTERS] for value in request.query_params.getlist(name)]
        echoed[name[:_ECHO_CHARACTERS]] = values[0] if len(values) == 1 else values
    return echoed


def method_name(request: Request) -> str:
    """Return the operation in words that are the same for all items: `GET /content/{item_id}`."""
    route = request.scope.get("route")
    path = request.url.path[:_ECHO_CHARACTERS] if route is None else getattr(route, "path", "")
    return f"{request.method} {str(path).replace(':path}', '}')}"


def base(request: Request, **members: Any) -> dict[str, Any]:
    """Return `baseresponse` with `members` after it."""
    return {
        "api_version": API_VERSION,
        "id": request_id(request),
        "method": method_name(request),
        "params": echo(request),
        **members,
    }


def problem_response(
    request: Request, problem: Problem, headers: Mapping[str, str] | None = None
) -> Json:
    """Return the answer to `problem` in the envelope of the routes that were asked, with
    Retry-After if waiting helps.
    """
    extra = dict(headers or {})
    if problem.retry_after:
        extra["retry-after"] = str(problem.retry_after)
    refusal: Refusal = request.scope.get("state", {}).get(REFUSAL, _refusal)
    return refusal(request, problem, extra)


def _refusal(request: Request, problem: Problem, headers: Mapping[str, str]) -> Json:
    """Return `errorresponse` of our own routes."""
    error: dict[str, Any] = {
        "status": problem.status,
        "code": problem.code,
        "message": problem.message,
        "mend": problem.mend,
        "timestamp": rfc3339(datetime.now(UTC).replace(microsecond=0)),
    }
    if problem.field:
        error["field"] = problem.field
    return Json(base(request, error=error), status_code=problem.status, headers=dict(headers))


def delivered(request: Request, body: bytes, kind: str, lasting: bytes | None = None) -> Response:
    """Return a body as the client takes it: nothing but 304 if it has it already, and compressed
    where the client reads gzip. So the entity tag is weak. It is that of the body, or of the part
    that is `lasting`, in a body that differs at each request.
    """
    tag = f'"{blake2b(body if lasting is None else lasting, digest_size=12).hexdigest()}"'
    headers = {"etag": f"W/{tag}", "cache-control": "private, no-cache", "vary": "accept-encoding"}
    if unchanged(request.headers.get("if-none-match", ""), tag):
        return Response(status_code=304, headers=headers)
    if len(body) >= _COMPRESSED_FROM and _reads_gzip(request.headers.get("accept-encoding", "")):
        headers["content-encoding"] = "gzip"
        body = gzip.compress(body, _LEVEL, mtime=0)
    return Response(body, 200, headers, kind)


def written(content: Any) -> bytes:
    """Return plain values as JSON; NaN becomes null, numpy's numbers become numbers."""
    return orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY)


def _reads_gzip(accepted: str) -> bool:
    """Return whether an Accept-Encoding header allows gzip."""
    for coding in accepted.lower().split(","):
        name, _, weight = coding.partition(";")
        if name.strip() in ("gzip", "*"):
            return weight.replace(" ", "").rstrip("0.") != "q="
    return False
