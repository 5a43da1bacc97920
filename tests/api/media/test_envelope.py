"""AP's envelope: members, errors, keys, links, headers, conditional requests, sites of browsers."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from fastapi.testclient import TestClient

from api.access.forwarding import Proxies
from api.media.codes import CODES
from api.media.quotas import used_of
from core.callers import Caller
from core.customers.accounts import Method
from core.limits import MemoryLimiter, Share
from tests.api.conftest import INGEST, READ, Served, app_over, filled, serving
from tests.api.media.overlaid import code_of, faults, needs_contract

needs_contract()
SEARCH = "/media/v/content/search"
ITEM = "/media/v/content/urn:news:ferry"


@pytest.fixture(scope="module")
def open_served() -> Iterator[Served]:
    """A service that takes keys in addresses, and answers pages of one site."""
    settings: dict[str, Any] = {"keys_in_urls": True, "cors_origins": ("https://desk.example",)}
    with serving(filled(), **settings) as running:
        yield running


def test_search_is_as_the_contract_has_it(served: Served) -> None:
    answer = served.get(SEARCH, q="ferry", page_size="1", session_label="desk 1").json()
    assert faults("searchresponse", answer) == []
    assert answer["api_version"] == "2.2"
    assert answer["method"] == "/content/search.GET"
    assert (answer["org_name"], answer["session_label"]) == ("Morning Post", "desk 1")
    assert answer["params"] == {"q": "ferry", "page_size": 1, "session_label": "desk 1"}
    assert "error" not in answer
    data = answer["data"]
    assert (data["total_items"], data["current_item_count"], data["page_size"]) == (2, 1, 1)


def test_pages_follow_each_other_by_absolute_links(served: Served) -> None:
    first = served.get(SEARCH, q="ferry", page_size="1").json()["data"]
    assert first["next_page"].startswith(f"{served.url}{SEARCH}?")
    assert "previous_page" not in first
    second = served.get(first["next_page"]).json()["data"]
    assert second["current_page"] == 2
    assert "next_page" not in second
    uris = {one["item"]["uri"] for data in (first, second) for one in data["items"]}
    assert len(uris) == 2
    again = served.get(second["previous_page"]).json()["data"]
    assert again["items"] == first["items"]
    feed = urlsplit(first["feed_href"])
    assert (feed.path, parse_qs(feed.query)["q"]) == ("/media/v/content/feed", ["ferry"])


def test_an_address_without_parameters_refuses_all_of_them_as_unknown(served: Served) -> None:
    assert code_of(served.get("/media/v/account", day="1")) == (400, 5000)


def test_ten_items_a_page_and_a_hundred_at_most(served: Served) -> None:
    assert served.get(SEARCH).json()["data"]["page_size"] == 10
    assert served.get(SEARCH, page_size="100").status_code == 200
    for refused in ("101", "0", "-1", "ten"):
        assert code_of(served.get(SEARCH, page_size=refused)) == (400, 5001)


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"query": "ferry"}, 5000),
        ({"sort": "headline:asc"}, 5001),
        ({"page": "0"}, 5001),
        ({"page": "first"}, 5001),
        ({"session_label": "a;b"}, 5001),
        ({"session_label": "a" * 49}, 5001),
        ({"session_label": ""}, 5001),
        ({"pricing": "maybe"}, 5001),
        ({"versions": "some"}, 5001),
        ({"q": 'an "open quote'}, 5001),
        ({"qt": "gone"}, 6060),
    ],
)
def test_what_is_invalid_is_refused_by_its_code(
    served: Served, params: dict[str, str], code: int
) -> None:
    answer = served.get(SEARCH, **params)
    assert code_of(answer) == (400, code)
    assert set(answer.json()["error"]) == {"status", "code", "message", "timestamp"}


@pytest.mark.parametrize(
    "params",
    [
        {"sort": "versioncreated: desc"},
        {"sort": "versioncreated:asc"},
        {"q": ""},
        {"pricing": "false", "in_my_plan": "true"},
        {"versions": "latest", "text_links": "nitf"},
        {"include": "*"},
    ],
)
def test_what_is_valid_is_served(served: Served, params: dict[str, str]) -> None:
    answer = served.get(SEARCH, **params)
    assert answer.status_code == 200, answer.text
    assert faults("searchresponse", answer.json()) == []


def test_who_may_not_and_what_is_not_there(served: Served) -> None:
    assert code_of(served.get(SEARCH, key="")) == (401, 401)
    assert code_of(served.get(SEARCH, key="who?")) == (401, 401)
    assert code_of(served.get("/media/v/content/urn:news:photo")) == (404, 404)
    assert code_of(served.get("/media/v/content")) == (404, 404)
    assert code_of(served.http.delete(ITEM, headers={"x-api-key": READ})) == (405, 405)


def test_our_own_routes_keep_their_shape(served: Served) -> None:
    answer = served.get("/content/urn:none").json()
    assert (answer["error"]["code"], answer["api_version"]) == ("not_found", "1.0")
    assert served.get("/content/search", query="x").json()["error"]["code"] == "bad_parameter"


def test_each_code_is_listed_once() -> None:
    numbers = [code.number for code in CODES]
    assert len(set(numbers)) == len(numbers)
    assert all(
        code.source or code.number == code.status or code.number in (402, 409) for code in CODES
    )


def test_the_page_lists_each_code() -> None:
    page = (Path(__file__).parents[3] / "docs/api.md").read_text("utf-8")
    for code in CODES:
        row = f"| {code.number} | {code.status} | {code.means} | {code.source or 'ours'} |"
        assert row in page


def test_an_item_and_its_addresses(served: Served) -> None:
    answer = served.get(ITEM, pricing="true", qt="a", et="b", anything="else").json()
    assert faults("contentresponse", answer) == []
    assert answer["method"] == "/content/{item_id}.GET"
    item = answer["data"]["item"]
    assert item["uri"] == served.url + ITEM.replace("urn:news:", "urn%3Anews%3A")
    assert item["altids"]["itemid"] == "urn:news:ferry"
    assert answer["data"]["meta"]["pricing"]["apusecode"] == 801
    assert all(isinstance(one["id"], int) for one in answer["data"]["meta"]["products"])
    assert served.get(item["uri"]).json()["data"]["item"] == item


def test_a_version_is_named_after_a_dot(served: Served) -> None:
    assert served.get(f"{ITEM}.2").json()["data"]["item"]["version"] == 2
    assert code_of(served.get(f"{ITEM}.7")) == (404, 404)


def test_an_address_of_any_uri_leads_back(served: Served) -> None:
    """Also of one that is an address itself, with a query of its own."""
    hits = served.get(SEARCH, q="storm").json()["data"]["items"]
    (uri,) = [one["item"]["uri"] for one in hits if one["item"]["headline"].startswith("Storm")]
    assert served.get(uri).json()["data"]["item"]["headline"] == "Storm closes ferry port"


def test_identifiers_come_whatever_is_included(served: Served) -> None:
    (hit, *_) = served.get(SEARCH, q="ferry", include="headline").json()["data"]["items"]
    assert set(hit["item"]) == {"uri", "altids", "version", "type", "headline"}
    assert hit["meta"]["products"]
    (hit, *_) = served.get(SEARCH, q="ferry", exclude="uri,altids,byline").json()["data"]["items"]
    assert {"uri", "altids"} <= set(hit["item"])


# --- keys


@pytest.mark.parametrize("header", ["x-api-key", "x-apikey", "X-APIKEY"])
def test_both_headers_are_taken(served: Served, header: str) -> None:
    assert served.http.get(SEARCH, headers={header: READ}).status_code == 200


def test_a_key_in_the_address_needs_the_setting(served: Served, open_served: Served) -> None:
    assert code_of(served.http.get(SEARCH, params={"apikey": READ})) == (401, 401)
    assert open_served.http.get(SEARCH, params={"apikey": READ}).status_code == 200
    assert open_served.http.get(f"{ITEM}?APIKEY={READ}").status_code == 200
    assert open_served.http.get(f"/content/search?apikey={READ}").status_code == 401


@pytest.mark.parametrize("written", ["%E2%82%AC", "%FF", "a%0Ab", "", "%ED%A0%80"])
def test_a_key_of_any_characters_is_an_unknown_one(open_served: Served, written: str) -> None:
    assert code_of(open_served.http.get(f"{SEARCH}?apikey={written}")) == (401, 401)


def test_a_key_in_the_address_is_nowhere_else(
    open_served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        answers = [
            open_served.http.get(SEARCH, params={"q": "ferry", "page_size": 1, "apikey": key})
            for key in (READ, INGEST, "wrong-key-77")
        ]
        answers.append(open_served.http.get(f"{SEARCH}?%61pikey={READ}&nonsense=1"))
    ours = [one for one in caplog.records if not one.name.startswith(("httpx", "httpcore"))]
    assert any(one.name == "dateline.access" for one in ours)
    shown = "".join(f"{one.text}{one.headers}" for one in answers)
    shown += "".join(f"{one.getMessage()} {one.__dict__}" for one in ours)
    assert "apikey=" not in shown.lower()
    assert not any(key in shown for key in (READ, INGEST, "wrong-key-77"))
    assert [one.status_code for one in answers] == [200, 200, 401, 400]


# --- headers


def test_the_quota_is_told_on_every_answer(served: Served) -> None:
    told = [served.get(path).headers for path in (SEARCH, SEARCH, ITEM)]
    names = [one["x-mediaapi-Q-name"] for one in told]
    assert names == ["search", "search", "content"]
    used = [int(one["x-mediaapi-Q-used"].partition("/")[0]) for one in told]
    most = {int(one["x-mediaapi-Q-used"].partition("/")[2]) for one in told}
    assert min(most) >= max(used) >= 1
    assert 1 <= int(told[0]["x-mediaapi-Q-secondsLeft"]) <= 60
    assert all(one["x-request-id"] for one in told)
    assert "x-mediaapi-q-name" not in served.get("/content/search").headers


def test_requests_of_a_minute_are_counted_by_the_limiter_of_all_processes() -> None:
    moments = iter(second * 10**9 for second in (0, 0, 0, 30, 31, 32))
    limiter = MemoryLimiter(now=lambda: next(moments))
    caller = Caller("desk", frozenset(), share=Share(rate=0.05))  # three in a minute
    used = [used_of(caller, Method.SEARCH, limiter) for _ in range(5)]
    assert [one.used for one in used] == [1, 2, 3, 3, 3]
    assert [one.seconds_left for one in used] == [20, 40, 60, 60, 60]
    assert {one.limit for one in used} == {3}
    other = Caller("other", frozenset(), share=Share(rate=0.05))
    assert used_of(other, Method.SEARCH, limiter).used == 1


def test_a_client_that_has_it_gets_nothing(served: Served) -> None:
    for path in (f"{SEARCH}?q=ferry&page_size=1", ITEM):
        tag = served.get(path).headers["etag"]
        again = served.http.get(path, headers={"x-api-key": READ, "if-none-match": tag})
        assert (again.status_code, again.content) == (304, b"")
        other = served.http.get(path, headers={"x-api-key": READ, "if-none-match": '"other"'})
        assert other.status_code == 200


def test_head_has_the_headers_alone(served: Served) -> None:
    for path in (SEARCH, ITEM):
        whole = served.get(path)
        head = served.http.head(path, headers={"x-api-key": READ})
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["etag"] == whole.headers["etag"]


def test_gzip_is_for_those_who_read_it(served: Served) -> None:
    plain = served.http.get(SEARCH, headers={"x-api-key": READ, "accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers
    headers = {"x-api-key": READ, "accept-encoding": "gzip"}
    packed = served.http.get(SEARCH, headers=headers)
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.json()["data"]["items"] == plain.json()["data"]["items"]
    refused = served.http.get(SEARCH, headers={**headers, "accept-encoding": "gzip;q=0"})
    assert "content-encoding" not in refused.headers


# --- where the client reaches us


def test_links_have_the_prefix_and_the_host_of_a_trusted_proxy() -> None:
    settings: dict[str, Any] = {"root_path": "/archive", "proxies": Proxies.of(["10.0.0.0/8"])}
    headers = {
        "x-api-key": READ,
        "x-forwarded-for": "192.0.2.1",
        "x-forwarded-proto": "https",
        "x-forwarded-host": "wire.example",
    }
    for path in (f"/archive{SEARCH}", SEARCH):  # a proxy may remove its own prefix, or not
        with TestClient(app_over(filled(), **settings), client=("10.0.0.1", 4711)) as behind:
            data = behind.get(f"{path}?q=ferry+service", headers=headers).json()["data"]
            error = behind.get(f"{path}?nonsense=1", headers=headers).json()
        places = {one["item"]["uri"].partition("urn%3A")[0] for one in data["items"][:1]}
        assert places == {"https://wire.example/archive/media/v/content/"}
        assert data["feed_href"].startswith("https://wire.example/archive/media/v/content/feed?")
        assert error["method"] == "/content/search.GET"


def test_headers_of_a_stranger_change_no_link(served: Served) -> None:
    headers = {"x-api-key": READ, "x-forwarded-host": "evil.example"}
    assert "evil.example" not in served.http.get(SEARCH, headers=headers).text
    spoilt = served.http.get(SEARCH, headers={"x-api-key": READ, "host": "a b/<c>"})
    assert "<c>" not in spoilt.text


def test_pages_of_a_listed_site_may_read_answers(open_served: Served, served: Served) -> None:
    origin = {"origin": "https://desk.example"}
    asked = open_served.http.options(SEARCH, headers=origin)
    assert asked.status_code == 204
    assert "x-api-key" in asked.headers["access-control-allow-headers"]
    told = open_served.http.get(SEARCH, headers={"x-api-key": READ, **origin})
    assert told.headers["access-control-allow-origin"] == "https://desk.example"
    assert "origin" in told.headers["vary"]
    other = {"x-api-key": READ, "origin": "https://evil.example"}
    assert "access-control-allow-origin" not in open_served.http.get(SEARCH, headers=other).headers
    assert "access-control-allow-origin" not in served.get(SEARCH).headers
    own = open_served.http.get("/content/search", headers={"x-api-key": READ, **origin})
    assert "access-control-allow-origin" not in own.headers
