"""A pasted text in the body of a request: its charset, its form in JSON, and no text at all."""

from __future__ import annotations

import pytest
from starlette.requests import Request

from api.search.pasted_text import is_picture, most_bytes, text_in
from search.answers import MAX_PICTURE, MAX_TEXT


def posted(kind: str, body: bytes) -> str:
    request = Request({"type": "http", "headers": [(b"content-type", kind.encode())]})
    return text_in(request, body)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("", "Fähre".encode()),
        ("text/plain", "Fähre".encode("utf-8-sig")),
        ("text/plain", "Fähre".encode("utf-16")),
        ("text/plain; charset=ISO-8859-1", "Fähre".encode("latin-1")),
        ('text/plain; charset="windows-1252"; format=flowed', "Fähre".encode("cp1252")),
        ("text/plain; charset=punycode", "Fähre".encode()),
        ("text/plain; charset=iso-8859-99", "Fähre".encode()),
        ("application/json", b'{"text": "F\\u00e4hre"}'),
    ],
)
def test_a_text_is_read_in_its_charset(kind: str, body: bytes) -> None:
    assert posted(kind, body) == "Fähre"


@pytest.mark.parametrize(
    "body", [b'{"text": "a \\ud800 ferry"}', b'{"text": "a ? ferry"}', b'{"text":"a ? ferry"}']
)
def test_half_a_character_is_replaced(body: bytes) -> None:
    assert posted("application/json; charset=utf-8", body) == "a ? ferry"


@pytest.mark.parametrize(
    ("kind", "body"), [("text/plain", b""), ("application/json", b'{"text": ""}')]
)
def test_no_text_is_a_text_still(kind: str, body: bytes) -> None:
    assert posted(kind, body).strip() == ""
    assert posted(kind, body) != ""


@pytest.mark.parametrize(
    ("kind", "picture", "most"),
    [
        ("image/jpeg", True, MAX_PICTURE),
        ("Image/PNG; q=1", True, MAX_PICTURE),
        ("text/plain", False, MAX_TEXT),
        ("", False, MAX_TEXT),
    ],
)
def test_a_picture_is_one_by_what_the_request_says(kind: str, picture: bool, most: int) -> None:
    request = Request({"type": "http", "headers": [(b"content-type", kind.encode())]})
    assert is_picture(request) is picture
    assert most_bytes(request) == most
