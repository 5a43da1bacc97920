"""`similar_to` on `GET /content/search`, over a real archive."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.api.archive import answering
from tests.api.conftest import READ
from tests.search.room import Room, story

FERRY = "https://news.example/stories?id=1&x=ü"


@pytest.fixture
def quay(folder: Path) -> Iterator[tuple[Room, TestClient]]:
    room = Room(folder)
    room.put(
        story(FERRY, "Ferry resumes after storm", body="The ferry to the islands sails."),
        story("urn:storm", "Storm stops ferry", body="The ferry stays in port."),
        story("urn:fares", "Ferry fares rise", body="The ferry to the islands costs more."),
        story("urn:bank", "Bank raises rates", body="Interest rates rise."),
        story("urn:secret", "Ferry secret", products=("photos",)),
    )
    with answering(room) as client:
        yield room, client
    room.engine.close()


def get(client: TestClient, **params: Any) -> Any:
    return client.get("/content/search", params=params, headers={"x-api-key": READ})


def found(answer: Any) -> list[str]:
    return [hit["item"]["uri"] for hit in answer.json()["data"]["items"]]


def test_what_is_like_an_item(quay: tuple[Room, TestClient]) -> None:
    answer = get(quay[1], similar_to=FERRY, facets="type", explain=True)
    assert set(found(answer)[:2]) == {"urn:storm", "urn:fares"}
    data = answer.json()["data"]
    assert data["total_relation"] == "window"
    assert data["total_items"] == data["facets"]["type"][0]["count"] == len(data["items"])
    assert data["items"][0]["meta"]["explanation"]["lexical"]["rank"] == 1
    assert FERRY not in found(answer)
    assert "urn:secret" not in found(answer)


def test_the_next_page_goes_on(quay: tuple[Room, TestClient]) -> None:
    room, client = quay
    whole = found(get(client, similar_to=FERRY))
    first = get(client, similar_to=FERRY, page_size=1)
    link = first.json()["data"]["next_page"]
    second = client.get(link, headers={"x-api-key": READ})
    assert found(first) + found(second) == whole[:2]
    room.kill(FERRY)
    assert client.get(link, headers={"x-api-key": READ}).status_code == 404


def test_unknown_and_forbidden_are_one_answer(quay: tuple[Room, TestClient]) -> None:
    answers = [get(quay[1], similar_to=uri) for uri in ("urn:secret", "urn:nobody")]
    assert [answer.status_code for answer in answers] == [404, 404]
    errors = [answer.json()["error"] for answer in answers]
    for error in errors:
        error.pop("timestamp")
    errors[0]["message"] = errors[0]["message"].replace("urn:secret", "urn:nobody")
    assert errors[0] == errors[1]


@pytest.mark.parametrize("beside", [{"q": "storm"}, {"sort": "versioncreated:desc"}])
def test_what_can_t_go_together(quay: tuple[Room, TestClient], beside: dict[str, str]) -> None:
    answer = get(quay[1], similar_to=FERRY, **beside)
    assert answer.status_code == 400
    assert answer.json()["error"]["mend"]
