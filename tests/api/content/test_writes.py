"""Writing documents and changing states."""

from __future__ import annotations

import json
from typing import Any

import pytest

from api.access import lanes
from api.access.bodies import parse_documents
from tests.api.conftest import INGEST, OTHER, Served

KEY = {"x-api-key": INGEST}


def post(served: Served, body: object, **params: str) -> tuple[int, dict[str, Any]]:
    answer = served.http.post("/content", json=body, headers=KEY, params=params or None)
    return answer.status_code, answer.json()


def test_single_document_is_created_then_found(fresh: Served) -> None:
    status, answer = post(fresh, {"uri": "urn:new", "headline": "Whale in the harbour"})
    assert status == 201
    assert answer["data"]["items"] == [
        {"number": 1, "uri": "urn:new", "version": 1, "outcome": "created"}
    ]
    found = fresh.get("/content/search", q="whale").json()["data"]["items"]
    assert [hit["item"]["uri"] for hit in found] == ["urn:new"]


@pytest.mark.parametrize(
    ("version", "headline", "status", "word"),
    [
        (2, "Ferry service resumes after storm", 409, "conflict"),
        (1, "Older", 409, "stale"),
        (3, "Newer", 200, "superseded"),
    ],
)
def test_versions_are_kept_in_order(
    fresh: Served, version: int, headline: str, status: int, word: str
) -> None:
    body = {"uri": "urn:news:ferry", "version": version, "headline": headline}
    got, answer = post(fresh, body)
    assert got == status
    told = answer["error"]["code"] if status == 409 else answer["data"]["items"][0]["outcome"]
    assert told == word


def test_same_document_again_changes_nothing(fresh: Served) -> None:
    body = {"uri": "urn:new", "headline": "Whale"}
    assert post(fresh, body)[0] == 201
    status, answer = post(fresh, body)
    assert (status, answer["data"]["items"][0]["outcome"]) == (200, "unchanged")


def test_array_goes_on_after_a_bad_document(fresh: Served) -> None:
    status, answer = post(fresh, [{"uri": "urn:a"}, {"headline": "x"}, 7, {"uri": "urn:b"}])
    assert status == 207
    assert (answer["data"]["written"], answer["data"]["refused"]) == (2, 2)
    items = answer["data"]["items"]
    assert [item.get("outcome", "refused") for item in items] == [
        "created",
        "refused",
        "refused",
        "created",
    ]
    assert items[1]["error"]["field"] == "uri"
    assert "object" in items[2]["error"]["message"]
    assert {"urn:a", "urn:b"} <= set(fresh.room.items)


def test_array_without_a_fault_is_ok(fresh: Served) -> None:
    assert post(fresh, [{"uri": "urn:a"}, {"uri": "urn:b"}])[0] == 200


def test_json_lines_go_on_after_a_bad_line(fresh: Served) -> None:
    lines = b'{"uri": "urn:a"}\n\n{"uri": \n{"uri": "urn:b"}\r\n'
    answer = fresh.http.post(
        "/content", content=lines, headers=KEY | {"content-type": "application/x-ndjson"}
    )
    assert answer.status_code == 207
    items = answer.json()["data"]["items"]
    assert [item.get("uri") for item in items] == ["urn:a", None, "urn:b"]
    assert items[1]["line"] == 3
    assert "JSON" in items[1]["error"]["message"]


def post_xml(served: Served, body: str, kind: str = "application/xml") -> Any:
    headers = KEY | {"content-type": kind}
    return served.http.post("/content", content=body.encode(), headers=headers)


def test_xml_goes_on_after_a_bad_document(fresh: Served) -> None:
    meta = "<contentMeta><headline>Whale</headline></contentMeta>"
    item = f'<newsItem guid="{{}}" version="3">{meta}</newsItem>'
    first, second = item.format("urn:a"), item.format("")
    body = f"<newsMessage><itemSet>\n{first}\n{second}</itemSet></newsMessage>"
    answer = post_xml(fresh, body, "application/vnd.iptc.g2.newsmessage+xml")
    assert answer.status_code == 207
    good, bad = answer.json()["data"]["items"]
    assert (good["uri"], good["version"], good["outcome"]) == ("urn:a", 3, "created")
    assert (bad["line"], bad["error"]["code"]) == (3, "bad_document")
    source = fresh.room.items["urn:a"][-1].source
    assert source["headlines"] == [{"role": "main", "value": "Whale"}]


def test_xml_that_kills_is_taken_as_a_kill(fresh: Served) -> None:
    """Documents that hide their item are written even if the key's share is used up."""
    meta = '<itemMeta><pubStatus qcode="stat:canceled"/></itemMeta>'
    body = f'<newsItem guid="urn:news:ferry" version="9">{meta}</newsItem>'
    alone, documents = parse_documents(body.encode(), "application/xml")
    assert not alone
    assert [*lanes._hiding(documents)] == [0]
    assert post_xml(fresh, body).status_code == 200


@pytest.mark.parametrize(
    "body", ["<svg/>", "<nitf>", '<!DOCTYPE a [<!ENTITY b "c">]><nitf>&b;</nitf>', ""]
)
def test_xml_that_is_not_understood_is_refused(fresh: Served, body: str) -> None:
    answer = post_xml(fresh, body, "text/xml")
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "bad_document")


def test_products_of_the_request_decide_who_sees_it(fresh: Served) -> None:
    post(fresh, {"uri": "urn:p"}, products="photos")
    post(fresh, {"uri": "urn:w"})
    assert fresh.get("/content/urn:p").status_code == 404
    assert fresh.get("/content/urn:p", key=OTHER).status_code == 200
    assert fresh.get("/content/urn:w").status_code == 200


def patch(served: Served, uri: str, body: object) -> tuple[int, dict[str, Any]]:
    answer = served.http.patch(f"/content/{uri}/status", json=body, headers=KEY)
    return answer.status_code, answer.json()


def test_kill_hides_everywhere_and_usable_brings_back(fresh: Served) -> None:
    assert patch(fresh, "urn:news:ferry", {"pubstatus": "canceled"})[0] == 200
    assert fresh.get("/content/urn:news:ferry").status_code == 404
    assert fresh.get("/content/search", q="resumes").json()["data"]["total_items"] == 0
    assert patch(fresh, "urn:news:ferry", {"pubstatus": "usable"})[0] == 200
    assert fresh.get("/content/urn:news:ferry").status_code == 200


def test_embargo_is_set_left_and_lifted(fresh: Served) -> None:
    uri = "urn:news:ferry"
    status, answer = patch(fresh, uri, {"embargoed": "2099-01-01T00:00:00+02:00"})
    assert (status, answer["data"]["items"][0]["embargoed"]) == (200, "2098-12-31T22:00:00Z")
    assert fresh.get(f"/content/{uri}").status_code == 404
    patch(fresh, uri, {"pubstatus": "usable"})
    assert fresh.get(f"/content/{uri}").status_code == 404
    patch(fresh, uri, {"embargoed": None})
    assert fresh.get(f"/content/{uri}").status_code == 200


def test_status_of_an_item_whose_uri_has_slashes(fresh: Served) -> None:
    uri = "https%3A%2F%2Fnews.example%2Fstories%2Fstorm%3Fid%3D1%26x%3D%C3%BC"
    assert patch(fresh, uri, {"pubstatus": "withheld"})[0] == 200
    assert fresh.get(f"/content/{uri}").status_code == 404


def test_a_kill_of_what_is_not_there_is_held(fresh: Served) -> None:
    status, answer = patch(fresh, "urn:none", {"pubstatus": "canceled"})
    held = {"number": 1, "uri": "urn:none", "outcome": "held"}
    assert (status, answer["data"]["items"]) == (202, [held])


def test_a_release_of_what_is_not_there_is_404(fresh: Served) -> None:
    status, answer = patch(fresh, "urn:none", {"pubstatus": "usable"})
    assert (status, answer["error"]["code"]) == (404, "not_found")


def test_full_disk_refuses_writes_and_reads_go_on(fresh: Served) -> None:
    fresh.room.full = True
    status, answer = post(fresh, {"uri": "urn:new"})
    assert (status, answer["error"]["code"]) == (507, "storage_full")
    assert fresh.get("/content/search", q="ferry").json()["data"]["total_items"] == 2


def test_megabyte_long_text_is_taken_where_it_fits(fresh: Served) -> None:
    body = json.dumps(
        {"uri": "urn:long", "body_text": "wörd " * 30_000}, ensure_ascii=False
    ).encode()
    headers = KEY | {"content-type": "application/json"}
    assert fresh.http.post("/content", content=body, headers=headers).status_code == 201
    item = fresh.get("/content/urn:long").json()["data"]["item"]
    assert len(item["body_text"]) == 150_000
