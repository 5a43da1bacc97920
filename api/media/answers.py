"""Answers with AP's envelope, to the letter: `baseresponse` and `errorresponse`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from api.envelope import Json, delivered, echo, method_name, request_id, rfc3339, written
from api.media.codes import code_of
from api.media.links import PREFIX
from api.problems import Problem
from customers.accounts.trees import time_text

AP_VERSION = "2.2"
JSON = "application/json"
_NUMBERS = frozenset({"page", "page_size"})  # parameters that the envelope repeats as numbers
_ENDS = (".", "!", "?")
# Members that differ between two answers with the same content.
_FLEETING = frozenset({"updated", "next_page", "previous_page", "page_template", "feed_href"})


def now() -> str:
    """Return the present second as AP writes a time."""
    return time_text(datetime.now(UTC))


def answer(request: Request, org: str, data: Mapping[str, Any], **members: Any) -> Response:
    """Return a successful answer with `data`, in JSON. Each member is written once, for the body
    and for the entity tag.
    """
    parts = {name: orjson.Fragment(written(value)) for name, value in data.items()}
    lasting = {name: part for name, part in parts.items() if name not in _FLEETING}
    whole = ap_base(request, org_name=org, **members, data=parts)
    return delivered(request, written(whole), JSON, written(lasting))


def ap_base(request: Request, **members: Any) -> dict[str, Any]:
    """Return AP's own `baseresponse` with `members` after it; those that are "" are left out."""
    path = method_name(request).partition(" ")[2]
    path = path.removeprefix(str(request.scope.get("root_path", ""))).removeprefix(PREFIX)
    params = {
        name: int(value) if name in _NUMBERS and _is_number(value) else value
        for name, value in echo(request).items()
    }
    return {
        "api_version": AP_VERSION,
        "id": request_id(request),
        "method": f"{path}.{request.method}",
        "params": params,
        **{name: member for name, member in members.items() if member != ""},
    }


def refusal(request: Request, problem: Problem, headers: Mapping[str, str]) -> Json:
    """Return AP's own `errorresponse`. `message` says everything, because clients log nothing
    else.
    """
    code = code_of(problem)
    error = {
        "status": code.status,
        "code": code.number,
        "message": " ".join(_sentence(text) for text in (problem.message, problem.mend) if text),
        "timestamp": rfc3339(datetime.now(UTC).replace(microsecond=0)),
        **({"item": problem.item} if problem.item else {}),
    }
    return Json(ap_base(request, error=error), status_code=code.status, headers=dict(headers))


def _sentence(text: str) -> str:
    return text if text.endswith(_ENDS) else f"{text}."


def _is_number(value: Any) -> bool:
    return isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10
