"""`GET /v1/suggest` over a real archive."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from api.contract import SuggestAnswer
from core.items import Concept
from tests.api.archive import answering
from tests.api.conftest import INGEST, OTHER, READ, Served
from tests.search.room import Room, story


@pytest.fixture
def quay(folder: Path) -> Iterator[tuple[Room, TestClient]]:
    room = Room(folder)
    room.put(
        story("a", "Storm closes Porto Alto", place=(Concept("Porto Alto"),)),
        story("b", "Porto regatta", products=("photos",), place=(Concept("Porto Alto"),)),
    )
    with answering(room) as client:
        yield room, client
    room.engine.close()


def get(client: TestClient, key: str = READ, **params: Any) -> Any:
    return client.get("/v1/suggest", params=params, headers={"x-api-key": key})


def test_kinds_and_counts_are_the_key_s_own(quay: tuple[Room, TestClient]) -> None:
    answer = get(quay[1], q="porto").json()
    assert SuggestAnswer.model_validate(answer).data.query == "porto"
    assert answer["data"]["items"] == [
        {"text": "Porto Alto", "kind": "place", "count": 1},
        {"text": "Storm closes Porto Alto", "kind": "headline", "count": 1},
    ]
    both = get(quay[1], INGEST, q="PÓRTO", limit=1).json()["data"]["items"]
    assert both == [{"text": "Porto Alto", "kind": "place", "count": 2}]
    photos = get(quay[1], OTHER, q="porto").json()["data"]["items"]
    assert [one["text"] for one in photos] == ["Porto Alto", "Porto regatta"]


def test_a_kill_is_gone_with_the_next_request(quay: tuple[Room, TestClient]) -> None:
    room, client = quay
    assert get(client, q="storm").json()["data"]["items"]
    room.kill("a")
    assert get(client, q="storm").json()["data"]["items"] == []


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"q": "a", "limit": 0}, "limit"),
        ({"q": "a", "limit": 51}, "limit"),
        ({"q": "a", "limit": "ten"}, "limit"),
        ({"q": "a" * 201}, "q"),
        ({"q": "a\x00"}, "q"),
        ({"query": "a"}, "query"),
    ],
)
def test_a_wrong_parameter_is_named(
    quay: tuple[Room, TestClient], params: dict[str, Any], field: str
) -> None:
    answer = get(quay[1], **params)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert (error["code"], error["field"]) == ("bad_parameter", field)
    assert error["mend"]


def test_a_key_is_needed_and_nothing_typed_finds_nothing(quay: tuple[Room, TestClient]) -> None:
    assert quay[1].get("/v1/suggest", params={"q": "a"}).status_code == 401
    assert get(quay[1]).json()["data"]["items"] == []


def test_a_service_without_suggestions_says_so(served: Served) -> None:
    answer = served.get("/v1/suggest", q="a")
    assert answer.status_code == 404
    assert "no suggestions" in answer.json()["error"]["message"]
