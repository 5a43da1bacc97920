"""Answers with AP's envelope."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from api.envelope import ap_base, delivered, written
from customers.trees import time_text

JSON = "application/json"
# Members that differ between two answers with the same content.
_FLEETING = frozenset({"updated", "next_page", "previous_page", "page_template", "feed_href"})


def now() -> str:
    """The present second as AP writes a time."""
    return time_text(datetime.now(UTC))


def answer(request: Request, org: str, data: Mapping[str, Any], **members: Any) -> Response:
    """A successful answer with `data`, in JSON. Each member is written once, for the body and for
    the entity tag.
    """
    parts = {name: orjson.Fragment(written(value)) for name, value in data.items()}
    lasting = {name: part for name, part in parts.items() if name not in _FLEETING}
    whole = ap_base(request, org_name=org, **members, data=parts)
    return delivered(request, written(whole), JSON, written(lasting))
