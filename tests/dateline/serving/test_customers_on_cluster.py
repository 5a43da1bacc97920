"""What customers are told by a service over a real OpenSearch node and a record on Postgres."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import httpx
import pytest
from dateline_client import Client, FeedPage

from tests.conftest import new_folder
from tests.dateline.serving.service_hosts import KEYS, change, write
from tests.demo_service import serving
from tests.free_ports import free_port
from tests.opensearch_node import new_name
from tests.postgres_server import Server
from tests.storage.opensearch_world import remove_index
from tests.storage.postgres_world import address_of
from tests.webhook_receiver import Receiver, receiver, status

pytestmark = [pytest.mark.service, pytest.mark.cluster]

PATIENT = {"replicas": 0, "patience_s": 60, "timeout_s": 120, "search_timeout_s": 60}
PATIENCE_S = 240.0
TRIES = 5


@dataclass(frozen=True)
class Wire:
    """A service, a customer of it, and a receiver of its webhooks."""

    http: httpx.Client
    client: Client
    there: Receiver

    def put(self, uri: str, headline: str, version: int = 1, **members: Any) -> None:
        plain = {"uri": uri, "version": str(version), "headline": headline, "products": ["wire"]}
        write(self.http, plain | members)

    def told(self) -> list[tuple[str, str]]:
        """What the feed of ferries tells from its beginning."""
        return [(entry.item.uri, entry.kind) for entry in self.client.follow("ferry", once=True)]


@pytest.fixture(scope="module")
def wire(postgres: Server, opensearch: str) -> Iterator[Wire]:
    folder, name = new_folder(), new_name()
    settings = {f"opensearch_{key}": str(value) for key, value in PATIENT.items()} | {
        "record": address_of(postgres, folder),
        "engine": "opensearch",
        "opensearch_url": opensearch,
        "opensearch_index": name,
        "keys": json.dumps(KEYS),
        "reranker": "",
        "tagger": "",
        "threads": "1",
        "webhook_http": "true",
        "webhook_networks": '["127.0.0.0/8"]',
    }
    with receiver(status(204)) as there:
        try:
            with (
                serving(folder / "host", free_port(), **settings) as (url, _),
                httpx.Client(base_url=url, timeout=PATIENCE_S) as http,
                Client(url, "desk", timeout_s=PATIENCE_S) as client,
            ):
                yield Wire(http, client, there)
        finally:
            remove_index(opensearch, name)


def until(found: Callable[[], Any], holds: Callable[[Any], bool]) -> Any:
    """What is found, once it holds."""
    deadline = time.monotonic() + PATIENCE_S
    while not holds(value := found()):
        assert time.monotonic() < deadline, value
        time.sleep(0.05)
    return value


def test_a_story_percolates_is_fed_and_its_kill_reaches_the_receiver(wire: Wire) -> None:
    topic = wire.client.create_topic("Ferries", "ferry AND language:en")
    wire.client.create_webhook(wire.there.url, topics=[topic.id])
    wire.put("urn:ferry", "Ferry aground", language="en")
    wire.put("urn:fähre", "Ferry auf Grund", language="de")
    wire.put("urn:bank", "Bank raises rates", language="en")
    until(wire.told, lambda told: len(told) == 2)
    matches = until(lambda: wire.client.matches()[0], bool)
    assert [(one.topic, one.uri) for one in matches] == [(topic.id, "urn:ferry")]
    named = wire.http.get(
        "/content/search?q=ferry&profile=lexical", headers={"x-api-key": "desk"}
    ).json()["data"]
    assert {
        one["item"]["uri"]: [each["name"] for each in one["meta"].get("followed_topics", [])]
        for one in named["items"]
    } == {"urn:ferry": ["Ferries"], "urn:fähre": []}
    assert [hit.item.uri for hit in wire.client.search(f"followedtopics:{topic.id}").hits] == [
        "urn:ferry"
    ]
    change(wire.http, "urn:ferry", pubstatus="canceled")
    received = until(lambda: wire.there.wait(2), lambda all_: _types(all_) >= {"item.killed"})
    sent = {one.json["type"]: one.json["data"]["item"] for one in received}
    assert sent["item.shown"]["uri"] == "urn:ferry"
    assert sent["item.killed"] == {"uri": "urn:ferry", "version": 1, "pubstatus": "canceled"}
    assert until(wire.told, lambda told: ("urn:ferry", "killed") in told) == [
        ("urn:fähre", "shown"),
        ("urn:ferry", "killed"),
    ]


def _types(received: list[Any]) -> set[str]:
    return {one.json["type"] for one in received}


def test_a_held_request_comes_with_the_story(wire: Wire) -> None:
    """Asked several times, as a machine may be too busy to write a story while one is held."""
    link = str(wire.client.feed("train", begin="now").next_page)
    for number in range(TRIES):
        uri = f"urn:train:{number}"
        page = _held(wire, link, uri)
        if page.entries:
            assert [entry.item.uri for entry in page.entries] == [uri]
            return
        link = until(partial(wire.client.feed_page, link), lambda page: page.entries).next_page
    pytest.fail("no held request came before its time")


def _held(wire: Wire, link: str, uri: str) -> FeedPage:
    """The page behind a link, held while a story is written."""
    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(wire.client.feed_page, link, wait=15)
        until(lambda: _readers(wire) or held.done(), bool)
        wire.put(uri, "Train late")
        return held.result()


def _readers(wire: Wire) -> bool:
    """Whether a request is held."""
    answer = wire.http.get("/metrics", headers={"x-api-key": "photos"})
    assert answer.status_code == 200
    return "\ndateline_feed_readers 1.0" in answer.text


def test_a_topic_is_served_as_rss(wire: Wire) -> None:
    wire.put("urn:rss", "Tram derailed", language="en")
    topic = wire.client.create_topic("Trams", "tram")
    answer = wire.http.get(f"/content/rss/{10**9 + topic.id}", headers={"x-api-key": "desk"})
    assert answer.status_code == 200
    assert "Tram derailed" in answer.text
