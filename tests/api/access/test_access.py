"""Who may do what, and that what a key may not see is nowhere."""

from __future__ import annotations

import pytest

from api.access.keys import KeyRing, fingerprint
from core.callers import Caller
from tests.api.conftest import INGEST, OTHER, READ, Served

DOCUMENT = {"uri": "urn:new", "headline": "New"}


def status_of(served: Served, method: str, path: str, key: str) -> int:
    headers = {"x-api-key": key} if key else {}
    body = {"pubstatus": "usable"} if method == "PATCH" else DOCUMENT
    json = body if method in ("POST", "PATCH") else None
    return served.http.request(method, path, headers=headers, json=json).status_code


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/content/search?q=ferry", (401, 401, 200, 200)),
        ("GET", "/content/urn:news:ferry", (401, 401, 200, 200)),
        ("POST", "/content", (401, 401, 403, 201)),
        ("PATCH", "/content/urn:news:ferry/status", (401, 401, 403, 200)),
        ("GET", "/metrics", (401, 401, 403, 200)),
        ("GET", "/v1/models", (401, 401, 403, 200)),
        ("POST", "/v1/embeddings", (401, 401, 403, 400)),
        ("POST", "/v1/rerank", (401, 401, 403, 400)),
        ("POST", "/v1/tag", (401, 401, 403, 400)),
        ("GET", "/v1/models/x", (401, 401, 403, 404)),
        ("POST", "/v2/embed", (401, 401, 403, 400)),
        ("POST", "/v2/rerank", (401, 401, 403, 400)),
        ("GET", "/info", (401, 401, 403, 424)),
        ("POST", "/embed", (401, 401, 403, 422)),
        ("POST", "/rerank", (401, 401, 403, 422)),
        ("POST", "/predict", (401, 401, 403, 422)),
        ("POST", "/tokenize", (401, 401, 403, 422)),
        ("POST", "/decode", (401, 401, 403, 422)),
        ("GET", "/healthz", (200, 200, 200, 200)),
        ("GET", "/readyz", (200, 200, 200, 200)),
        ("GET", "/", (200, 200, 200, 200)),
        ("GET", "/openapi.json", (200, 200, 200, 200)),
    ],
)
def test_each_key_opens_what_it_should(
    fresh: Served, method: str, path: str, expected: tuple[int, ...]
) -> None:
    keys = ("", "not-a-key", READ, INGEST)
    assert tuple(status_of(fresh, method, path, key) for key in keys) == expected


def test_search_hands_on_the_caller_and_shows_only_their_items(served: Served) -> None:
    wire = served.get("/content/search", q="ferry").json()["data"]
    photos = served.get("/content/search", key=OTHER, q="ferry").json()["data"]
    assert {hit["item"]["uri"] for hit in wire["items"]}.isdisjoint({"urn:news:photo"})
    assert [hit["item"]["uri"] for hit in photos["items"]] == ["urn:news:photo"]
    assert (wire["total_items"], photos["total_items"]) == (2, 1)
    assert served.room.asked[-1][1].products == frozenset({"photos"})


def test_facets_count_only_what_the_caller_may_see(served: Served) -> None:
    facets = served.get("/content/search", q="ferry", facets="type").json()["data"]["facets"]
    assert facets["type"] == [{"value": "text", "count": 2}]


def test_products_of_others_are_not_told(served: Served) -> None:
    data = served.get("/content/urn:news:photo", key=OTHER).json()["data"]
    assert data["meta"]["products"] == [{"name": "photos"}]
    assert "900" not in served.get("/content/urn:news:photo", key=OTHER).text


def test_hidden_and_missing_items_answer_alike(served: Served) -> None:
    hidden = served.get("/content/urn:news:photo").json()["error"]
    missing = served.get("/content/urn:news:nothing").json()["error"]
    assert hidden["status"] == missing["status"] == 404
    same = hidden["message"].replace("urn:news:photo", "X")
    assert same == missing["message"].replace("urn:news:nothing", "X")


def test_key_is_read_from_the_header_only(served: Served) -> None:
    answer = served.http.get("/content/search", params={"q": "ferry", "apikey": READ})
    assert answer.status_code == 401
    assert READ not in answer.text


def test_ring_knows_keys_by_fingerprint_only() -> None:
    ring = KeyRing.of({"secret": Caller("a", frozenset({"p"})), "": Caller("b", frozenset())})
    assert ring.caller("secret") == Caller("a", frozenset({"p"}))
    assert ring.caller("") is None
    assert ring.caller("Secret") is None
    assert "secret" not in repr(ring)
    assert ring.entries[0][0] == fingerprint("secret")
