"""Answers with AP's envelope."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from api.envelope import ap_base, delivered, rfc3339, tag_of, written

JSON = "application/json"
# Members that differ between two answers with the same content.
_FLEETING = frozenset({"updated", "next_page", "previous_page", "page_template", "feed_href"})


def now() -> str:
    """The present second as AP writes a time."""
    return rfc3339(datetime.now(UTC).replace(microsecond=0))


def answer(request: Request, org: str, data: Mapping[str, Any], **members: Any) -> Response:
    """A successful answer with `data`, in JSON."""
    lasting = {name: value for name, value in data.items() if name not in _FLEETING}
    whole = ap_base(request, org_name=org, **members, data=data)
    return delivered(request, written(whole), JSON, tag_of(lasting))
