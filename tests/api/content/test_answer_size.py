"""No answer grows with what was written: lists are cut, and what is left out is named."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from fastapi.testclient import TestClient

from api.content.answer_size import CARRIED_BYTES, LISTED_ENTRIES, within
from core.items import Concept, Item
from tests.api.archive import answering
from tests.api.conftest import READ
from tests.search.room import Room, story

SUBJECTS = tuple(Concept(f"subject {n}", f"c:{n}") for n in range(1000))
PICTURES = {f"p{n}": {"uri": f"urn:else:{n}", "headline": "A quay"} for n in range(1000)}
LONG = "gull " * 12_000
PLAIN = story("urn:plain", "Ferry aground")
HOSTILE = story(
    "urn:hostile",
    "Ferry aground again",
    description=f"{LONG} ferry {LONG}",
    subject=SUBJECTS,
    source={"associations": {"main": {"uri": "urn:carried"}, **PICTURES}, "keywords": ["a"] * 51},
)
CARRIED = story("urn:carried", "Quay", body="q", description=LONG, subject=SUBJECTS)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    room = Room(tmp_path_factory.mktemp("sizes"))
    room.put(PLAIN, HOSTILE, CARRIED)
    with answering(room) as client:
        yield client
    room.engine.close()


def hits(client: TestClient, **parameters: Any) -> dict[str, dict[str, Any]]:
    answer = client.get(
        "/content/search", params={"q": "ferry", **parameters}, headers={"x-api-key": READ}
    )
    assert answer.status_code == 200, answer.text
    return {hit["item"]["uri"]: hit for hit in answer.json()["data"]["items"]}


def by_itself(client: TestClient, uri: str, **parameters: Any) -> dict[str, Any]:
    path = f"/content/{quote(uri, safe='')}"
    answer = client.get(path, params=parameters, headers={"x-api-key": READ})
    data: dict[str, Any] = answer.json()["data"]
    return data


def test_long_lists_have_their_first_entries_and_say_so(client: TestClient) -> None:
    found = hits(client)
    item, meta = found[HOSTILE.uri]["item"], found[HOSTILE.uri]["meta"]
    assert [entry["name"] for entry in item["subject"]] == [c.name for c in SUBJECTS[:50]]
    assert len(item["associations"]) == len(item["keywords"]) == LISTED_ENTRIES
    assert meta["cut"] == {"subject": 1000, "associations": None, "keywords": None}
    assert "cut" not in found[PLAIN.uri]["meta"]


def test_who_asks_for_a_list_gets_all_of_it(client: TestClient) -> None:
    hit = hits(client, include="subject")[HOSTILE.uri]
    assert set(hit["item"]) == {"uri", "subject"}
    assert len(hit["item"]["subject"]) == 1000
    assert "cut" not in hit["meta"]


def test_only_what_is_asked_for_is_made(client: TestClient, monkeypatch: Any) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("nobody asked for it")

    monkeypatch.setattr("api.formats.items.concepts_json", refuse)
    assert hits(client, include="uri,headline")[HOSTILE.uri]["item"] == {
        "uri": HOSTILE.uri,
        "headline": HOSTILE.headline,
    }


def test_the_item_by_itself_is_whole(client: TestClient) -> None:
    data = by_itself(client, HOSTILE.uri)
    assert len(data["item"]["subject"]) == 1000
    assert len(data["item"]["associations"]) == 1001
    assert data["item"]["description_summary"] == HOSTILE.description
    assert "cut" not in data["meta"]


def test_an_item_inside_of_another_has_no_more_than_its_share(client: TestClient) -> None:
    inside = by_itself(client, HOSTILE.uri)["item"]["associations"]["main"]
    assert inside["headline"] == "Quay"
    assert len(str(inside)) < 2 * CARRIED_BYTES
    assert "description_summary" not in inside


def test_of_a_very_long_text_the_marked_stretch_is_told(client: TestClient) -> None:
    marked = hits(client)[HOSTILE.uri]["meta"]["highlights"]["description_summary"]
    assert "\ue000ferry\ue001" in marked
    assert len(marked) < 1000


def test_what_does_not_fit_is_left_out_and_named(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.formats.items.MAX_ANSWER_BYTES", 60_000)
    hit = hits(client)[HOSTILE.uri]
    assert "description_summary" not in hit["item"]
    assert hit["item"]["headline"] == HOSTILE.headline
    assert hit["meta"]["cut"]["description_summary"] is None
    assert hits(client)[PLAIN.uri]["item"]["headline"] == PLAIN.headline


def test_the_longest_members_go_first_and_the_uri_stays() -> None:
    members = {"uri": "u" * 40, "a": "x" * 100, "b": "x" * 300, "c": "x" * 20}
    assert within(members, 10_000) == (members, [])
    assert within(members, 200)[1] == ["b"]
    assert within(members, 10) == ({"uri": "u" * 40}, ["b", "a", "c"])


def test_the_newest_hundred_versions_are_told(tmp_path: Path) -> None:
    room = Room(tmp_path)
    versions: list[Item] = [story("urn:long", f"Ferry {n}", version=n) for n in range(1, 106)]
    for version in versions:
        room.put(version, index=False)
    room.engine.catch_up()
    with answering(room) as client:
        data = by_itself(client, "urn:long", versions="all")
        assert [one["item"]["version"] for one in data["versions"]] == [*range(105, 5, -1)]
        assert hits(client)["urn:long"]["meta"]["versions"] == 105
    room.engine.close()
