"""Followed topics and RSS over HTTP, on a real archive."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from xml.etree.ElementTree import Element, fromstring

import pytest
from starlette.testclient import TestClient

from api.access.keys import KeyRing
from api.access.services import Services
from api.app import create_app
from api.customers.followed import TopicSearch
from core.customers.topics import TopicMatch
from core.customers.transitions import TransitionKind
from core.items import PubStatus
from core.writes import SetStatus
from customers.rss import TOPICS_FROM
from customers.topics import FollowedTopics
from storage.customers.topics import StoredTopics
from storage.databases import open_database
from storage.embedded.percolation import Percolator
from storage.embedded.topic_set import TopicSet
from storage.words.topics import Topics
from tests.api.conftest import CALLERS, OTHER, READ
from tests.api.newsroom import Newsroom
from tests.search.room import Room, story


class Desk:
    """A service and clients before it."""

    def __init__(self, room: Room, topics: FollowedTopics, client: TestClient) -> None:
        self.room, self.topics, self.client = room, topics, client

    def ask(self, method: str, path: str, body: Any = None, key: str = READ, **params: Any) -> Any:
        return self.client.request(
            method, path, json=body, params=params, headers={"x-api-key": key}
        )

    def follow(self, name: str, query: str, key: str = READ) -> int:
        answer = self.ask("POST", "/v1/topics", {"name": name, "query": query}, key)
        assert answer.status_code == 201, answer.text
        return int(answer.json()["data"]["id"])

    def named(self, **params: Any) -> dict[str, list[str]]:
        """By uri the names of followed topics beside each hit."""
        items = self.ask("GET", "/content/search", **params).json()["data"]["items"]
        return {
            one["item"]["uri"]: [t["name"] for t in one["meta"].get("followed_topics", [])]
            for one in items
        }


@pytest.fixture
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    folder = tmp_path_factory.mktemp("topics")
    room = Room(folder)
    room.put(story("a", "Ferry aground"), story("b", "Ferry fire"), story("c", "Bank fire"))
    database = open_database(folder / "customers.sqlite", synced=False)
    percolator = Percolator(Topics(), room.engine.languages)
    topics = FollowedTopics(StoredTopics(database), lambda: room.now, lambda: TopicSet(percolator))
    services = Services(
        search=TopicSearch(room.pipeline, topics),
        library=room.engine,
        writer=room.engine,
        ingest=Newsroom(),
        status=Newsroom(),
        keys=KeyRing.of(CALLERS),
        topics=topics,
    )
    with TestClient(create_app(services)) as client:
        yield Desk(room, topics, client)
    database.close()
    room.engine.close()


def test_topics_are_made_changed_and_deleted(desk: Desk) -> None:
    number = desk.follow("Ferries", "ferry fire")
    told = desk.ask("GET", f"/v1/topics/{number}").json()["data"]
    assert (told["name"], told["query"]) == ("Ferries", "ferry fire")
    assert told["reads"] == '"ferry" AND "fire"'
    mailed = {"emails": ["desk@gazette.example"]}
    assert desk.ask("PATCH", f"/v1/topics/{number}", mailed).json()["data"]["emails"]
    changed = desk.ask("PATCH", f"/v1/topics/{number}", {"query": "ferry"}).json()["data"]
    assert changed["emails"] == mailed["emails"]
    assert (changed["name"], changed["query"]) == ("Ferries", "ferry")
    assert [one["id"] for one in desk.ask("GET", "/v1/topics").json()["data"]["items"]] == [number]
    assert desk.ask("GET", "/v1/topics", key=OTHER).json()["data"]["items"] == []
    for method, body in (("GET", None), ("PATCH", {"name": "x"}), ("DELETE", None)):
        assert desk.ask(method, f"/v1/topics/{number}", body, OTHER).status_code == 404
    assert desk.ask("DELETE", f"/v1/topics/{number}").status_code == 200
    assert desk.ask("GET", f"/v1/topics/{number}").status_code == 404


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        ({"name": "x", "query": ""}, "bad_query", None),
        ({"name": "x", "query": "*"}, "bad_query", None),
        ({"name": "", "query": "ferry"}, "bad_request", None),
        ({"name": "x"}, "bad_parameter", "query"),
        ({"name": "x", "query": "ferry", "emails": ["a b@c"]}, "bad_request", None),
        ({"name": "x", "query": "ferry", "emails": ["a@b.example"] * 6}, "bad_parameter", "emails"),
        ({"name": "x", "similar_to": "a"}, "bad_parameter", "similar_to"),
        ({"name": "x", "query": "ferry", "profile": "vector"}, "bad_parameter", "profile"),
        ({"name": "x", "query": "ferry", "colour": "red"}, "bad_parameter", "colour"),
        ({"name": "x", "query": "versioncreated:>now-2d"}, "bad_query", None),
        ({"name": "x", "query": "ferry NOT arrived:>2026-01-01"}, "bad_query", None),
        ({"name": "x", "query": "nosuchfield:1"}, "bad_query", None),
    ],
)
def test_what_is_no_filter_is_refused_with_what_is(
    desk: Desk, body: Any, code: str, field: str | None
) -> None:
    answer = desk.ask("POST", "/v1/topics", body)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["mend"]
    assert (error["code"], error.get("field")) == (code, field)


def test_hits_name_the_topics_that_they_match(desk: Desk) -> None:
    assert desk.named(q="fire", profile="lexical") == {"b": [], "c": []}
    desk.follow("Ferries", "ferry")
    desk.follow("Fires", "fire")
    desk.follow("Not mine", "fire", OTHER)
    found = desk.named(q="fire OR aground", profile="lexical")
    assert found == {"a": ["Ferries"], "b": ["Ferries", "Fires"], "c": ["Fires"]}
    told = desk.client.get(
        "/media/v/content/search", params={"q": "aground"}, headers={"x-api-key": READ}
    ).json()["data"]["items"][0]["meta"]
    assert [one["name"] for one in told["followed_topics"]] == ["Ferries"]


def test_a_query_names_a_topic(desk: Desk) -> None:
    number = desk.follow("Fires", "fire")
    for profile in ("lexical", "hybrid"):
        asked = {"profile": profile}
        assert set(desk.named(q=f"followedtopics:{number}", **asked)) == {"b", "c"}
        assert set(desk.named(q=f"ferry AND followedtopics:{number}", **asked)) == {"b"}
        assert set(desk.named(q=f"ferry AND NOT followedtopics:{number}", **asked)) == {"a"}
    other = desk.ask("GET", "/content/search", key=OTHER, q=f"followedtopics:{number}")
    assert other.status_code == 400


def test_matches_show_what_the_key_may_see_now(desk: Desk) -> None:
    number = desk.follow("Ferries", "ferry")
    matches = [
        TopicMatch(
            f"{number}.t{uri}", number, CALLERS[READ].account, desk.room.now,
            TransitionKind.SHOWN, uri, uri, 1, seq,
        )
        for seq, uri in enumerate("ab", start=1)
    ]  # fmt: skip
    desk.topics.store.note(("", 0), matches, ("one", 2))
    data = desk.ask("GET", "/v1/topics/matches").json()["data"]
    assert [one["uri"] for one in data["items"]] == ["a", "b"]
    desk.room.engine.set_status([SetStatus("a", PubStatus.CANCELED)])
    after = desk.ask("GET", "/v1/topics/matches").json()["data"]
    assert [one["uri"] for one in after["items"]] == ["b"]
    assert after["position"] == data["position"]
    rest = desk.ask("GET", "/v1/topics/matches", after=data["position"]).json()["data"]
    assert rest == {"items": [], "position": data["position"]}
    assert desk.ask("GET", "/v1/topics/matches", key=OTHER).json()["data"]["items"] == []


def channel(answer: Any) -> Element:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("application/rss+xml")
    found = fromstring(answer.content).find("channel")
    assert found is not None
    return found


def titles(answer: Any) -> list[str | None]:
    return [one.findtext("title") for one in channel(answer).iter("item")]


def test_rss_has_what_the_key_may_see_now(desk: Desk) -> None:
    number = desk.follow("Fires & <more>", "fire")
    listed = channel(desk.ask("GET", "/content/rss"))
    (entry,) = listed.iter("item")
    assert entry.findtext("title") == "Fires & <more>"
    path = f"/content/rss/{TOPICS_FROM + number}"
    assert (entry.findtext("link") or "").endswith(path)
    first = desk.ask("GET", path)
    assert sorted(map(str, titles(first))) == ["Bank fire", "Ferry fire"]
    assert len(titles(desk.ask("GET", path, page_size=1))) == 1
    same = desk.client.get(
        path, headers={"x-api-key": READ, "if-none-match": first.headers["etag"]}
    )
    assert (same.status_code, same.content) == (304, b"")
    desk.room.engine.set_status([SetStatus("c", PubStatus.CANCELED)])
    after = desk.client.get(
        path, headers={"x-api-key": READ, "if-none-match": first.headers["etag"]}
    )
    assert titles(after) == ["Ferry fire"]
    assert b"Bank" not in after.content
    assert desk.ask("GET", path, key=OTHER).status_code == 404
    for wrong in ("0", "x", "9" * 30, str(TOPICS_FROM + number + 1)):
        assert desk.ask("GET", f"/content/rss/{wrong}").status_code == 404


def test_rss_of_a_product_with_a_number(desk: Desk) -> None:
    desk.room.put(story("p", "A photo", products=("31991", "wire")))
    assert "31991" not in CALLERS[READ].products
    assert desk.ask("GET", "/content/rss/31991").status_code == 404
