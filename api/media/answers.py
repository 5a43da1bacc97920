"""Answers with AP's envelope: entity tags, conditional requests, compression."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from api.content.byte_ranges import unchanged
from api.envelope import ap_base, rfc3339

JSON = "application/json"
_COMPRESSED_FROM = 1024  # bytes; shorter answers gain nothing
_LEVEL = 5
# Members that differ between two answers with the same content.
_FLEETING = frozenset({"updated", "next_page", "previous_page", "page_template", "feed_href"})


def now() -> str:
    """The present second as AP writes a time."""
    return rfc3339(datetime.now(UTC).replace(microsecond=0))


def answer(request: Request, org: str, data: Mapping[str, Any], **members: Any) -> Response:
    """A successful answer with `data`, in JSON."""
    lasting = {name: value for name, value in data.items() if name not in _FLEETING}
    whole = ap_base(request, org_name=org, **members, data=data)
    return delivered(request, _bytes(whole), JSON, tag_of(lasting))


def tag_of(content: Any) -> str:
    """The entity tag of an answer's content."""
    return f'"{blake2b(_bytes(content), digest_size=12).hexdigest()}"'


def delivered(request: Request, body: bytes, kind: str, tag: str) -> Response:
    """A body as the client takes it: nothing but 304 if it has it already, and compressed where the
    client reads gzip. So the tag is weak.
    """
    headers = {"etag": f"W/{tag}", "cache-control": "private, no-cache", "vary": "accept-encoding"}
    if unchanged(request.headers.get("if-none-match", ""), tag):
        return Response(status_code=304, headers=headers)
    if len(body) >= _COMPRESSED_FROM and _reads_gzip(request.headers.get("accept-encoding", "")):
        headers["content-encoding"] = "gzip"
        body = gzip.compress(body, _LEVEL, mtime=0)
    return Response(body, 200, headers, kind)


def _bytes(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY)


def _reads_gzip(accepted: str) -> bool:
    """Whether an Accept-Encoding header allows gzip."""
    for coding in accepted.lower().split(","):
        name, _, weight = coding.partition(";")
        if name.strip() in ("gzip", "*"):
            return weight.replace(" ", "").rstrip("0.") != "q="
    return False
