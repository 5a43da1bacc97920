"""Baskets over HTTP, on a real archive: who reads them, and what each reader sees in them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from starlette.testclient import TestClient

from api.access.keys import KeyRing
from api.access.services import Services
from api.app import create_app
from core.items import PubStatus
from core.writes import SetStatus
from customers.baskets import MOST_ITEMS, Baskets
from storage.customers.baskets import StoredBaskets
from storage.customers.receipts import StoredReceipts
from storage.databases import open_database
from tests.api.conftest import CALLERS, OTHER, READ
from tests.api.newsroom import Newsroom
from tests.search.room import Room, story

FERRY, FIRE, PHOTO = "urn:s:ferry", "urn:s:fire", "urn:s:photo"


class Desk:
    """A service and clients before it."""

    def __init__(self, room: Room, client: TestClient) -> None:
        self.room, self.client = room, client

    def ask(self, method: str, path: str, body: Any = None, key: str = READ) -> Any:
        headers = {"x-api-key": key}
        return self.client.request(method, f"/v1/baskets{path}", json=body, headers=headers)

    def begin(self, name: str = "Front page") -> str:
        answer = self.ask("POST", "", {"name": name})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["data"]["id"])

    def put(self, basket: str, uri: str, key: str = READ) -> int:
        path = f"/{basket}/items/{quote(uri, safe='')}"
        return int(self.ask("PUT", path, key=key).status_code)

    def shown(self, basket: str, key: str = READ) -> list[tuple[str, str]]:
        """The uri and the status of each item in a basket."""
        items = self.ask("GET", f"/{basket}", key=key).json()["data"]["items"]
        return [(one["item"]["uri"], one["item"]["pubstatus"]) for one in items]


@pytest.fixture
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    folder = tmp_path_factory.mktemp("baskets")
    room = Room(folder)
    room.put(
        story(FERRY, "Ferry aground"),
        story(FIRE, "Ferry fire", products=("wire", "photos")),
        story(PHOTO, "Ferry photo", products=("photos",)),
    )
    database = open_database(folder / "customers.sqlite", synced=False)
    receipts = StoredReceipts(database)
    baskets = Baskets(StoredBaskets(database), room.engine, receipts, lambda: room.now)
    services = Services(
        search=room.pipeline,
        library=room.engine,
        writer=room.engine,
        ingest=Newsroom(),
        status=Newsroom(),
        keys=KeyRing.of(CALLERS),
        receipts=receipts,
        baskets=baskets,
    )
    with TestClient(create_app(services)) as client:
        yield Desk(room, client)
    database.close()
    room.engine.close()


def test_a_basket_is_begun_filled_renamed_and_deleted(desk: Desk) -> None:
    basket = desk.begin()
    assert [desk.put(basket, uri) for uri in (FERRY, FIRE, FERRY)] == [200, 200, 200]
    assert sorted(desk.shown(basket)) == [(FERRY, "usable"), (FIRE, "usable")]
    told = desk.ask("PATCH", f"/{basket}", {"name": " Page 3 "}).json()["data"]
    assert (told["name"], told["shared"], told["own"], told["count"]) == ("Page 3", False, True, 2)
    assert [one["id"] for one in desk.ask("GET", "").json()["data"]["items"]] == [basket]
    assert desk.ask("DELETE", f"/{basket}/items/{quote(FERRY, safe='')}").status_code == 200
    assert desk.shown(basket) == [(FIRE, "usable")]
    assert desk.ask("DELETE", f"/{basket}").status_code == 200
    assert desk.ask("GET", f"/{basket}").status_code == 404


def test_others_read_a_shared_basket_as_far_as_their_own_key_sees(desk: Desk) -> None:
    basket = desk.begin()
    for uri in (FERRY, FIRE):
        desk.put(basket, uri)
    unknown = desk.ask("GET", "/none", key=OTHER)
    assert desk.ask("GET", f"/{basket}", key=OTHER).status_code == unknown.status_code == 404
    desk.ask("PATCH", f"/{basket}", {"shared": True})
    told = desk.ask("GET", f"/{basket}", key=OTHER).json()["data"]
    assert [one["item"]["uri"] for one in told["items"]] == [FIRE]
    assert (told["own"], told["count"]) == (False, None)
    for method, path, body in (
        ("PATCH", "", {"name": "x"}),
        ("DELETE", "", None),
        ("PUT", f"/items/{quote(PHOTO, safe='')}", None),
        ("DELETE", f"/items/{quote(FIRE, safe='')}", None),
    ):
        assert desk.ask(method, f"/{basket}{path}", body, OTHER).status_code == 404
    assert desk.ask("GET", "", key=OTHER).json()["data"]["items"] == []


def test_what_was_taken_away_is_a_tombstone_for_who_received_it(desk: Desk) -> None:
    basket = desk.begin()
    for uri in (FERRY, FIRE):
        desk.put(basket, uri)
    desk.ask("PATCH", f"/{basket}", {"shared": True})
    desk.room.engine.set_status([SetStatus(FIRE, PubStatus.CANCELED)])
    assert sorted(desk.shown(basket)) == [(FERRY, "usable"), (FIRE, "hidden")]
    gone = next(
        one["item"]
        for one in desk.ask("GET", f"/{basket}").json()["data"]["items"]
        if one["item"]["uri"] == FIRE
    )
    assert gone == {"uri": FIRE, "version": 1, "pubstatus": "hidden"}
    assert desk.shown(basket, OTHER) == []


def test_only_what_is_seen_can_be_put_in(desk: Desk) -> None:
    basket = desk.begin()
    hidden, unknown = (
        desk.ask("PUT", f"/{basket}/items/{quote(uri, safe='')}") for uri in (PHOTO, "urn:s:nowhr")
    )
    assert hidden.status_code == unknown.status_code == 404
    assert (
        hidden.json()["error"]["message"].replace(PHOTO, "urn:s:nowhr")
        == (unknown.json()["error"]["message"])
    )
    assert desk.shown(basket) == []


@pytest.mark.parametrize(
    ("body", "code"),
    [({"name": " "}, "bad_request"), ({"name": "x" * 101}, "bad_request"), ({}, "bad_parameter")],
)
def test_a_name_is_one_line(desk: Desk, body: Any, code: str) -> None:
    answer = desk.ask("POST", "", body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)


def test_a_full_basket_takes_nothing_more(desk: Desk) -> None:
    basket = desk.begin()
    desk.room.put(*(story(f"urn:n:{number}", "Ferry") for number in range(MOST_ITEMS)))
    assert {desk.put(basket, f"urn:n:{number}") for number in range(MOST_ITEMS)} == {200}
    assert desk.put(basket, FERRY) == 409
