"""Reads a pasted text or a picture from a request's body. What a text says is never a reason to
refuse it.
"""

from __future__ import annotations

import json
import re
from typing import Any

from pydantic import BaseModel, ConfigDict
from starlette.requests import Request

from api.access.bodies import JSON, parse_object
from api.access.checks import model_of
from api.problems import BodyTooLargeError
from core.errors import DocumentError
from search.answers import MAX_PICTURE, MAX_TEXT

_ESCAPED = 6  # bytes of JSON for a byte of text, if everything in it is escaped
_ENVELOPE = 1024  # bytes of JSON beside the text
_CHARSET = re.compile(r"(?i)charset\s*=\s*\"?(utf-16|iso-8859-\d{1,2}|windows-125\d)\"?\s*(?:;|$)")
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")  # how such a text may begin
_NO_TEXT = " "  # "" would be a request without a text


class TextBody(BaseModel):
    """A body in JSON that has a text."""

    model_config = ConfigDict(extra="forbid", strict=True)

    text: str


def most_bytes(request: Request) -> int:
    """Return how long the body may be."""
    if is_picture(request):
        return MAX_PICTURE
    return _ESCAPED * MAX_TEXT + _ENVELOPE if _is_json(request) else MAX_TEXT


def is_picture(request: Request) -> bool:
    """Return whether the body is a picture, by what the request says of it."""
    return request.headers.get("content-type", "").strip().lower().startswith("image/")


def text_in(request: Request, body: bytes) -> str:
    """Return the text in a body. What is no character is replaced. Raises DocumentError for what is
    no JSON though it says so, ParameterError for other members than `text`, and BodyTooLargeError.
    """
    text = _text_of_json(body) if _is_json(request) else _decoded(request, body)
    if len(text) * 4 > MAX_TEXT and len(text.encode()) > MAX_TEXT:
        raise BodyTooLargeError(
            f"The text is over the limit of {MAX_TEXT:,} bytes.", mend="Send less of it."
        )
    return text or _NO_TEXT


def _is_json(request: Request) -> bool:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower() == JSON


def _decoded(request: Request, body: bytes) -> str:
    """Return the text of bytes in the charset that the request names, by default UTF-8."""
    named = _CHARSET.search(request.headers.get("content-type", ""))
    charset = named[1] if named else "utf-16" if body.startswith(_UTF_16) else "utf-8-sig"
    try:
        return body.decode(charset, "replace")
    except LookupError:  # there is no such part of ISO 8859
        return body.decode("utf-8", "replace")


def _text_of_json(body: bytes) -> str:
    """Return the member `text`; JavaScript and Python write half a character as an escape, which a
    strict parser refuses.
    """
    try:
        sent = parse_object(body)
    except DocumentError:
        tolerated = _tolerated(body)
        if tolerated is None:
            raise
        sent = tolerated
    return model_of(sent, TextBody).text


def _tolerated(body: bytes) -> dict[str, Any] | None:
    """Return the JSON object with halves of characters in its text replaced; None if it is no
    JSON, or has no text.
    """
    try:
        value = json.loads(body.decode("utf-8", "replace"), strict=False)
    except (ValueError, RecursionError):
        return None
    if isinstance(value, dict) and isinstance(value.get("text"), str):
        return value | {"text": value["text"].encode("utf-8", "replace").decode()}
    return None
