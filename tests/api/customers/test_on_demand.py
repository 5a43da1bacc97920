"""Items on demand over HTTP, on a real archive."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from api.access.keys import KeyRing
from api.access.services import Services
from api.app import create_app
from core.items import PubStatus
from core.writes import SetStatus
from customers.on_demand import OnDemand
from storage.customers.queues import StoredQueues
from storage.databases import open_database
from tests.api.conftest import CALLERS, INGEST, OTHER, READ
from tests.api.newsroom import Newsroom
from tests.search.room import Room, story

Ask = Any


@pytest.fixture
def ask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ask]:
    folder = tmp_path_factory.mktemp("queues")
    room = Room(folder)
    room.put(story("a", "Ferry"), story("b", "Fire"), story("c", "Photo", products=("photos",)))
    database = open_database(folder / "customers.sqlite", synced=False)
    queues = OnDemand(StoredQueues(database), room.engine, lambda: room.now, lambda *given: None)
    services = Services(
        search=room.pipeline,
        library=room.engine,
        writer=room.engine,
        ingest=Newsroom(),
        status=Newsroom(),
        keys=KeyRing.of(CALLERS),
        on_demand=queues,
    )
    with TestClient(create_app(services)) as client:

        def asked(method: str, path: str, body: Any = None, key: str = READ) -> Any:
            return client.request(method, path, json=body, headers={"x-api-key": key})

        asked.kill = lambda uri: room.engine.set_status([SetStatus(uri, PubStatus.CANCELED)])
        yield asked
    database.close()
    room.engine.close()


def send(ask: Ask, *uris: str, key: str = INGEST, **more: Any) -> Any:
    body = {"account": CALLERS[READ].account, "items": list(uris), **more}
    return ask("POST", "/v1/ondemand", body, key)


def uris(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [one["item"]["uri"] for one in answer.json()["data"]["items"]]


def test_what_is_sent_is_read_until_it_is_confirmed(ask: Ask) -> None:
    assert send(ask, "a", "b", "c").json()["data"] == {"sent": 3}
    first = ask("GET", "/content/ondemand?page_size=1")
    assert uris(first) == ["a"]
    assert uris(ask("GET", "/content/ondemand?page_size=1")) == ["a"]
    link = first.json()["data"]["next_page"]
    assert uris(ask("GET", link)) == ["b"]
    assert uris(ask("GET", "/content/ondemand")) == ["b"], "c is not in a product of this key"
    assert uris(ask("GET", "/content/ondemand?consumer_id=other")) == ["a", "b"]
    assert uris(ask("GET", "/content/ondemand", key=OTHER)) == []
    ask.kill("b")
    assert uris(ask("GET", "/content/ondemand")) == []


def test_only_writers_send_and_wrong_requests_are_refused(ask: Ask) -> None:
    assert send(ask, "a", key=READ).status_code == 403
    assert send(ask).status_code == 400
    assert send(ask, "a", queue="a b").status_code == 400
    assert send(ask, "a", colour="red").status_code == 400
    for query in ("position=-1", "page_size=0", "colour=red", "consumer_id=a%20b"):
        assert ask("GET", f"/content/ondemand?{query}").status_code == 400
