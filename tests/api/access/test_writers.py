"""Keys that write some products only, over HTTP and a real archive."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any
from urllib.parse import quote

import pytest
from fastapi.testclient import TestClient

from api.access.callers import Surface
from api.access.keys import KeyRing
from api.access.services import ApiSettings, Services
from api.app import create_app
from core.callers import EVERY_PRODUCT, Caller
from core.items import Item, PassageVectors
from indexing.ingest import Ingest
from tests.api.newsroom import Newsroom
from tests.search.room import Room

BOTH = frozenset({"wire", "sport"})
CALLERS = {
    "desk": Caller("desk", BOTH, EVERY_PRODUCT),
    "wire": Caller("wire", frozenset({"wire"}), frozenset({"wire"}), ("urn:sport:",)),
    "sport": Caller("sport", frozenset({"sport"}), frozenset({"sport"})),
    "sports": Caller("sports", BOTH, frozenset({"sport"})),
    "reader": Caller("reader", BOTH),
}


class NoVectors:
    """Makes none; a bulk waits in it while it is not `free`."""

    def __init__(self) -> None:
        self.free = Event()
        self.free.set()
        self.asked = Event()

    def embed(self, items: Sequence[Item]) -> tuple[tuple[PassageVectors, ...], ...]:
        if len(items) > 1:
            self.asked.set()
            assert self.free.wait(240)
        return ((),) * len(items)


@pytest.fixture
def model() -> NoVectors:
    return NoVectors()


@pytest.fixture
def client(folder: Path, model: NoVectors) -> Iterator[TestClient]:
    room, absent = Room(folder), Newsroom()
    services = Services(
        search=room.pipeline,
        library=room.engine,
        writer=room.engine,
        ingest=Ingest(room.engine, model, lambda: room.now),
        status=absent,
        keys=KeyRing.of(CALLERS),
        settings=ApiSettings(default_products=("wire",)),
    )
    with TestClient(create_app(services)) as client:
        yield client
    room.engine.close()


def post(client: TestClient, key: str, *documents: dict[str, Any], **params: str) -> Any:
    body = documents[0] if len(documents) == 1 else list(documents)
    return client.post("/content", json=body, headers={"x-api-key": key}, params=params)


def patch(client: TestClient, key: str, uri: str, **change: Any) -> Any:
    path = f"/content/{quote(uri, safe='')}/status"
    return client.patch(path, json=change, headers={"x-api-key": key})


def seen(client: TestClient, uri: str, key: str = "reader") -> bool:
    path = f"/content/{quote(uri, safe='')}"
    return client.get(path, headers={"x-api-key": key}).status_code == 200


SPORT = {"products": ["sport"]}


def test_another_product_is_neither_written_nor_told(client: TestClient) -> None:
    assert post(client, "sport", {"uri": "theirs", **SPORT}).status_code == 201
    created = post(client, "wire", {"uri": "new", **SPORT})
    assert (created.status_code, created.json()["error"]["code"]) == (403, "forbidden")
    taken = [
        post(client, "wire", {"uri": "theirs", "version": version}) for version in (0, 1, 10**12)
    ]
    assert {(one.status_code, one.json()["error"]["code"]) for one in taken} == {(409, "taken")}
    assert seen(client, "theirs")


@pytest.mark.parametrize(
    "change",
    [
        {"pubstatus": "canceled"},
        {"pubstatus": "withheld"},
        {"embargoed": "2099-01-01T00:00:00Z"},
        {"pubstatus": "usable"},
        {"embargoed": None},
    ],
)
def test_a_status_change_tells_nothing_of_others_items(
    client: TestClient, change: dict[str, Any]
) -> None:
    post(client, "sport", {"uri": "theirs", **SPORT})
    told = [patch(client, "wire", uri, **change) for uri in ("theirs", "nobody")]
    assert told[0].status_code == told[1].status_code
    assert told[0].status_code in (202, 404)
    texts = [one.text.replace("theirs", "X").replace("nobody", "X") for one in told]
    told_of = [re.sub(r'"(id|timestamp)":"[^"]*"', "", text) for text in texts]
    assert told_of[0] == told_of[1]
    assert seen(client, "theirs")


@pytest.mark.parametrize(
    "joins",
    [
        {"altids": [{"role": "chain", "value": "lead"}]},
        {"altids": {"chain": "lead"}},
        {"altids": {"itemid": "lead"}},
        {"associations": {"predecessor": {"uri": "lead"}}},
        {"associations": [{"name": "writethru_of", "uri": "lead"}]},
        {"associations": [{"rel": "predecessor", "uri": "lead"}]},
    ],
)
def test_a_story_is_not_taken_from_its_readers(client: TestClient, joins: dict[str, Any]) -> None:
    post(client, "sport", {"uri": "lead", **SPORT})
    thief = {"uri": "thief", "versioncreated": "2090-01-01T00:00:00Z", **joins}
    answer = post(client, "wire", thief)
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "taken")
    assert post(client, "wire", {"uri": "thief"}).status_code == 201
    moved = post(client, "wire", {**thief, "version": 10**12})
    assert (moved.status_code, moved.json()["error"]["code"]) == (409, "taken")
    assert seen(client, "lead")
    assert post(client, "desk", {**thief, "version": 10**12}).status_code == 200


def test_reserved_uris_are_closed_whatever_is_there(client: TestClient) -> None:
    post(client, "desk", {"uri": "urn:sport:1", **SPORT})
    for uri in ("urn:sport:1", "urn:sport:2"):
        answer = post(client, "wire", {"uri": uri})
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "reserved")
        answer = post(client, "wire", {"uri": "mine", "altids": {"chain": uri}})
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "reserved")


def test_the_defaults_of_the_service_are_no_right(client: TestClient) -> None:
    assert post(client, "wire", {"uri": "a"}).status_code == 201
    assert post(client, "sport", {"uri": "b"}).json()["error"]["code"] == "forbidden"
    assert post(client, "sport", {"uri": "b"}, products="wire").status_code == 403
    assert post(client, "sport", {"uri": "b"}, products="sport").status_code == 201
    assert not seen(client, "b", "wire")


def test_each_document_of_a_batch_has_its_own_answer(client: TestClient) -> None:
    answer = post(client, "wire", {"uri": "a"}, {"uri": "b", **SPORT}, {"uri": "c"})
    assert answer.status_code == 207
    codes = [one.get("error", {}).get("code", "") for one in answer.json()["data"]["items"]]
    assert codes == ["", "forbidden", ""]
    assert [seen(client, uri) for uri in "abc"] == [True, False, True]


def test_a_version_that_a_kill_has_overtaken_is_held(client: TestClient) -> None:
    post(client, "wire", {"uri": "a", "version": 1})
    assert patch(client, "wire", "a", pubstatus="canceled").status_code == 200
    answer = post(client, "wire", {"uri": "a", "version": 2})
    assert answer.status_code == 200
    assert answer.json()["data"]["items"][0]["held"] == "canceled"
    assert not seen(client, "a")
    assert patch(client, "wire", "a", pubstatus="usable").status_code == 200
    assert seen(client, "a")


def test_a_kill_overtakes_a_bulk_that_was_accepted_before_it(
    client: TestClient, model: NoVectors
) -> None:
    """The bulk waits for its vectors with a new version of one story and the first of another."""
    post(client, "wire", {"uri": "old", "version": 1})
    bulk = [{"uri": uri, "version": 2} for uri in ("old", "new", *"abcdefghij")]
    model.free.clear()
    with ThreadPoolExecutor(1) as threads:
        answer = threads.submit(post, client, "wire", *bulk)
        try:
            assert model.asked.wait(240)
            assert patch(client, "wire", "old", pubstatus="canceled").status_code == 200
            assert patch(client, "wire", "new", pubstatus="canceled").status_code == 202
        finally:
            model.free.set()
        results = answer.result(60).json()["data"]["items"]
    assert [one.get("held", "") for one in results] == ["canceled", "canceled", *[""] * 10]
    assert [seen(client, uri) for uri in ("old", "new", "a")] == [False, False, True]


def test_vectors_that_come_late_undo_no_change_of_products(
    client: TestClient, model: NoVectors
) -> None:
    """Two documents that kill are embedded after their answer; by then they have other products."""
    killed = [{"uri": uri, "pubstatus": "canceled"} for uri in "ab"]
    model.free.clear()
    try:
        post(client, "desk", *killed, products="wire")
        assert model.asked.wait(240)
        for document in killed:
            assert post(client, "desk", document, products="sport").status_code == 200
    finally:
        model.free.set()
    surface: Surface = client.app.state.surface
    surface.bulks.close()  # when all of them are done
    for uri in "ab":
        assert patch(client, "desk", uri, pubstatus="usable").status_code == 200
        assert [seen(client, uri, key) for key in ("wire", "sport")] == [False, True]


def test_a_kill_before_the_item_is_there(client: TestClient) -> None:
    assert patch(client, "wire", "late", pubstatus="canceled").status_code == 202
    assert post(client, "wire", {"uri": "late"}).json()["data"]["items"][0]["held"] == "canceled"
    assert not seen(client, "late")


@pytest.mark.parametrize("uri", ["x" * 2049, " "])
def test_nothing_is_held_under_what_no_item_can_be_called(client: TestClient, uri: str) -> None:
    answer = patch(client, "wire", uri, pubstatus="canceled")
    assert (answer.status_code, answer.json()["error"]["field"]) == (400, "uri")


def test_an_items_products_are_shown_to_who_writes_one_of_them(client: TestClient) -> None:
    post(client, "desk", {"uri": "a", "products": ["wire"]}, {"uri": "b", **SPORT})
    items = [
        client.get(f"/content/{uri}", headers={"x-api-key": "sports"}).json()["data"]["item"]
        for uri in "ab"
    ]
    assert ["products" in item for item in items] == [False, True]
