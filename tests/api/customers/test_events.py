"""`POST /v1/events`: UBI's events of a caller's own hits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from api.access.keys import KeyRing
from api.access.services import Services
from api.app import create_app
from api.contract import SearchAnswer
from customers.experiments import LoggedSearch
from customers.use_log import UseLog, UseRules
from storage.customers.use_log import StoredUse
from storage.databases import open_database
from tests.api.conftest import CALLERS, OTHER, READ
from tests.api.newsroom import Newsroom
from tests.search.room import Room, story


@dataclass
class Kept:
    """A client of a service with a log, and the log."""

    client: TestClient
    log: UseLog
    services: Services

    def ask(self, q: str, key: str = READ, **options: str) -> Any:
        asked = {"q": q, **options}
        answer = self.client.get("/content/search", params=asked, headers={"x-api-key": key})
        return SearchAnswer.model_validate(answer.json()).data

    def send(self, body: Any, key: str = READ) -> Any:
        return self.client.post("/v1/events", json=body, headers={"x-api-key": key})


@pytest.fixture
def kept(folder: Path) -> Iterator[Kept]:
    room, absent = Room(folder), Newsroom()
    room.put(story("a", "Ferry strike"), story("b", "Ferry sails", products=("photos",)))
    store = StoredUse(open_database(folder / "use.sqlite"))
    log = UseLog(store, UseRules(frozenset({"Morning Post"}), 90, 1), lambda: datetime.now(UTC))
    services = Services(
        search=LoggedSearch(room.pipeline, log, lambda: datetime.now(UTC)),
        library=room.engine,
        writer=room.engine,
        ingest=absent,
        status=absent,
        keys=KeyRing.of(CALLERS),
        use=log,
    )
    with TestClient(create_app(services)) as client:
        yield Kept(client, log, services)
    room.engine.close()


def event(query: str, uri: str = "a", **more: Any) -> dict[str, Any]:
    attributes = {
        "object": {"object_id": uri, "object_id_field": "uri"},
        "position": {"ordinal": 9},
    }
    told = {"application": "page", "client_id": "secret-person", "message": "what I think"}
    return {
        **told,
        "action_name": "click",
        "query_id": query,
        "event_attributes": attributes,
        **more,
    }


def test_an_event_of_an_own_hit_is_kept_and_nothing_else_of_it(kept: Kept) -> None:
    found = kept.ask("ferry")
    assert found.query_id
    sent = [event(found.query_id), event(found.query_id, "b"), event("none")]
    answer = kept.send({"events": sent})
    assert (answer.status_code, answer.json()["data"]) == (200, {"kept": 1, "dropped": 2})
    assert kept.send(event(found.query_id, action_name="save")).json()["data"]["kept"] == 1
    now = datetime.now(UTC)
    (query,) = kept.log.store.logged(now - timedelta(days=1), now + timedelta(days=1))
    assert [(one.uri, one.place, str(one.action)) for one in query.events] == [
        ("a", 1, "click"),
        ("a", 1, "save"),
    ]
    assert "secret-person" not in str(query)


def test_who_did_not_agree_is_not_kept(kept: Kept) -> None:
    mine = kept.ask("ferry").query_id
    assert kept.ask("ferry", OTHER).query_id == ""
    assert kept.send(event(mine), OTHER).json()["data"] == {"kept": 0, "dropped": 1}


def test_a_reader_may_refuse_for_one_search_and_the_page_knows_whom_to_ask(kept: Kept) -> None:
    assert kept.ask("ferry", use_log="false").query_id == ""
    days = {
        key: kept.client.get("/page/config", headers={"x-api-key": key}).json()["use_log_days"]
        for key in (READ, OTHER, "nobody")
    }
    assert days == {READ: 90, OTHER: 0, "nobody": 0}


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({"events": [event("x", action_name="buy")]}, 400, "events.0.action_name"),
        ({"events": [{"action_name": "click", "query_id": "x"}]}, 400, "events.0.event_attributes"),
        ({"events": [event("x")] * 101}, 400, "events"),
        ({"clicks": []}, 400, "clicks"),
        ([], 400, ""),
    ],
)
def test_bad_events_say_what_is_wrong(kept: Kept, body: Any, status: int, field: str) -> None:
    answer = kept.send(body)
    assert answer.status_code == status, answer.text
    assert field in answer.text


def test_a_service_without_a_log_says_so(kept: Kept) -> None:
    with TestClient(create_app(replace(kept.services, use=None))) as client:
        answer = client.post("/v1/events", json=event("x"), headers={"x-api-key": READ})
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")
