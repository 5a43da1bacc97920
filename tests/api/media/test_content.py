"""AP's search, downloads and RSS over a real archive."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from lxml import etree

from api.media.sold import product_id
from core.items import ItemType
from tests.api.media.archive import KEY, OTHER, Whole, whole
from tests.api.media.overlaid import code_of, needs_contract
from tests.conftest import new_folder
from tests.search.room import story

needs_contract()
SEARCH, ITEM = "/media/v/content/search", "/media/v/content"
WIRES = f"/{product_id('wire')}"  # the feed of a product whose code is no number
FILE = "https://media.example/pier"


@pytest.fixture(scope="module")
def wire() -> Iterator[Whole]:
    with whole(new_folder()) as made:
        files = {
            "original": {"href": f"{FILE}.jpg", "contentType": "image/jpeg"},
            "preview": {"href": f"{FILE}-small.jpg"},
            "script": {"href": "javascript:alert(1)"},
        }
        picture = replace(story("pier", "A pier"), type=ItemType.PICTURE)
        bare = replace(story("bare", "A quay"), type=ItemType.PICTURE)
        made.room.put(replace(picture, source={"uri": "pier", "renditions": files}), bare)
        yield made


@pytest.mark.parametrize("query", ['"open', "ferry (tanker", "ferry AND", "ferry)"])
def test_a_query_that_no_parser_reads_is_refused(wire: Whole, query: str) -> None:
    """AP's answer has no place that says what was made of a query."""
    assert code_of(wire.get(SEARCH, q=query)) == (400, 5001)
    assert wire.get("/content/search", q=query).json()["data"]["understood"]["notes"]


@pytest.mark.parametrize("query", ["AC/DC", '"bank raises"', "O'Hare: delays", 'say "no" to it'])
def test_other_signs_are_read(wire: Whole, query: str) -> None:
    assert wire.get(SEARCH, q=query).status_code == 200


def test_a_total_counts_no_less_than_the_pages_have(wire: Whole) -> None:
    told = wire.get(SEARCH, q="ferry bank pier").json()["data"]
    assert told["total_items"] >= told["current_item_count"] > 0


@pytest.mark.parametrize(
    ("asked", "address"),
    [
        ({"rid": "main"}, f"{FILE}.jpg?"),
        ({"rid": "Main"}, f"{FILE}.jpg?"),
        ({}, f"{FILE}.jpg?"),
        ({"rid": "original"}, f"{FILE}.jpg"),
        ({"rid": "preview"}, f"{FILE}-small.jpg"),
    ],
)
def test_a_file_that_lies_elsewhere_is_led_to(
    wire: Whole, asked: dict[str, str], address: str
) -> None:
    answer = wire.get(f"{ITEM}/pier.1/download", **asked)
    assert (answer.status_code, answer.headers.get("location")) == (302, address)


@pytest.mark.parametrize(
    ("item", "rid"), [("pier", "script"), ("pier", "thumbnail"), ("bare", "main"), ("a", "preview")]
)
def test_a_file_that_is_nowhere_is_told(wire: Whole, item: str, rid: str) -> None:
    assert code_of(wire.get(f"{ITEM}/{item}.1/download", rid=rid)) == (404, 404)


def test_the_main_rendition_of_a_text_is_the_text(wire: Whole) -> None:
    for rid in ("main", "nitf"):
        answer = wire.get(f"{ITEM}/b/download", rid=rid)
        assert answer.headers["content-type"] == "application/nitf+xml"
    assert wire.get(f"{ITEM}/bare.1/download", rid="nitf").status_code == 200


@pytest.mark.parametrize(
    ("wanted", "forms"),
    [("all", {"nitf", "plain"}), ("nitf", {"nitf"}), ("plain", {"plain"}), ("anpa", set())],
)
def test_text_links_choose_the_renditions_of_texts(
    wire: Whole, wanted: str, forms: set[str]
) -> None:
    found = wire.get(SEARCH, q="headline:bank", text_links=wanted).json()["data"]["items"][0]
    one = wire.get(f"{ITEM}/b", text_links=wanted).json()["data"]
    for told in (found, one):
        assert set(told["item"].get("renditions", {})) == forms


def test_a_feed_keeps_its_text_links(wire: Whole) -> None:
    page = wire.get(f"{ITEM}/feed", text_links="plain", page_size="1").json()["data"]
    seen = [*page["items"]]
    for _ in range(100):  # a page that took long may have nothing in it
        if len(seen) > 1:
            break
        page = wire.get(page["next_page"]).json()["data"]
        seen += page["items"]
    told = [set(one["item"].get("renditions", {})) for one in seen if one["item"]["type"] == "text"]
    assert len(seen) > 1
    assert {"plain"} in told
    assert not any("nitf" in one for one in told)


def channel(wire: Whole, path: str = "", key: str = KEY, **asked: str) -> Any:
    answer = wire.get(f"{ITEM}/rss{path}", key, **asked)
    assert answer.status_code == 200, answer.text
    return etree.fromstring(answer.content).find("channel")


def test_what_is_sold_has_an_rss_feed_by_its_number(wire: Whole) -> None:
    for key in (KEY, OTHER):
        (plan,) = wire.get("/media/v/account/plans", key).json()["data"]["plans"]
        sold = {str(one["id"]) for one in plan["entitlements"]}
        assert {one.text for one in channel(wire, key=key).iter("guid")} == sold
        for number in sold:
            assert channel(wire, f"/{number}", key) is not None
            other = KEY if key == OTHER else OTHER
            assert wire.get(f"{ITEM}/rss/{number}", other).status_code == 404


def test_members_of_rss_are_chosen(wire: Whole) -> None:
    def told(**asked: str) -> set[str]:
        return {one.tag for item in channel(wire, WIRES, **asked).iter("item") for one in item}

    least = {"title", "link", "guid"}
    assert told() == least | {"pubDate"}
    assert told(include="headline") == least
    assert told(exclude="versioncreated") == least
    (title,) = channel(wire, WIRES, include="type", page_size="1").findall("item/title")
    assert title.text in ("0", "b", "pier", "bare")
    assert code_of(wire.get(f"{ITEM}/rss{WIRES}", include="hedline")) == (400, 5001)
