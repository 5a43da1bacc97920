"""The parameters of facets over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from api.search.parameters import SearchParameters, search_request
from core.items import ItemType
from core.retrieval import DateInterval
from search.answers import FacetSubjects
from tests.api.archive import answering
from tests.api.conftest import READ
from tests.search.room import Room, story


def test_they_reach_the_core() -> None:
    parameters = SearchParameters.model_validate(
        {
            "open_facets": ["type,place"],
            "facet_interval": "day",
            "facets": "subject",
            "facet_subjects": "broader",
        }
    )
    request = search_request(parameters, ("hybrid",))
    assert request.open_facets == ("type", "place")
    assert request.facets == ("subject",)
    assert request.facet_interval is DateInterval.DAY
    assert request.facet_subjects is FacetSubjects.BROADER


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    room = Room(tmp_path)
    kinds = [ItemType.TEXT, ItemType.TEXT, ItemType.PICTURE]
    room.put(*(story(f"urn:{n}", "ferry", type=kind, when=n) for n, kind in enumerate(kinds)))
    with answering(room) as opened:
        yield opened
    room.engine.close()


def facets(client: TestClient, name: str, **asked: str) -> dict[str, int]:
    answer = client.get("/content/search", headers={"x-api-key": READ}, params=asked)
    assert answer.status_code == 200, answer.text
    return {one["value"]: one["count"] for one in answer.json()["data"]["facets"][name]}


def test_an_open_facet_counts_what_its_filter_leaves_out(client: TestClient) -> None:
    chosen = {"q": "ferry", "type": "picture"}
    assert facets(client, "type", facets="type", **chosen) == {"picture": 1}
    assert facets(client, "type", open_facets="type", **chosen) == {"text": 2, "picture": 1}


def test_dates_by_hour_of_the_caller(client: TestClient) -> None:
    asked = {"facets": "versioncreated", "facet_interval": "hour", "tz": "Asia/Tokyo"}
    found = facets(client, "versioncreated", **asked)
    assert found == {f"2024-03-01T{hour}:00+09:00": 1 for hour in (21, 22, 23)}
    # A value is a time that `since` takes.
    since = "2024-03-01T22:00+09:00"
    assert sum(facets(client, "versioncreated", since=since, **asked).values()) == 2


@pytest.mark.parametrize(
    ("name", "value"),
    [("open_facets", "mood"), ("facet_interval", "century"), ("facet_subjects", "all")],
)
def test_mistakes(client: TestClient, name: str, value: str) -> None:
    answer = client.get("/content/search", headers={"x-api-key": READ}, params={name: value})
    assert answer.status_code == 400
    assert name in answer.text
