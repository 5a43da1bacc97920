"""`fold` on `GET /content/search`: the parameter, and what a real archive answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from api.contract import SearchAnswer
from search.answers import Fold
from tests.api.archive import answering
from tests.api.conftest import READ, Served
from tests.search.room import Room, story

TEXT = "The ferry is aground off Kalymira, the coast guard said. Nobody was hurt, and two tugs are "


@pytest.mark.parametrize(
    ("params", "fold"), [({}, Fold.NONE), ({"fold": "near_duplicates"}, Fold.NEAR_DUPLICATES)]
)
def test_the_parameter_reaches_the_search(
    served: Served, params: dict[str, str], fold: Fold
) -> None:
    served.get("/content/search", q="ferry", **params)
    assert served.room.asked[-1][0].fold is fold


@pytest.mark.parametrize("value", ["duplicates", "true", "NEAR_DUPLICATES", " "])
def test_another_value_is_refused_with_those_that_there_are(served: Served, value: str) -> None:
    answer = served.get("/content/search", q="ferry", fold=value)
    error = answer.json()["error"]
    assert (answer.status_code, error["field"]) == (400, "fold")
    assert "near_duplicates" in error["message"]


def test_groups_are_counted_and_said(folder: Path) -> None:
    room = Room(folder)
    room.put(
        story("urn:one", "Ferry aground", body=f"{TEXT}on their way."),
        story("urn:two", "Ferry aground", body=f"{TEXT}on the way."),
        story("urn:three", "Ferry aground", body=f"{TEXT}on their way", products=("photos",)),
        story("urn:storm", "Storm stops the ferry"),
    )

    def get(**params: Any) -> Any:
        headers = {"x-api-key": READ}
        answer = client.get("/content/search", params={"q": "ferry", **params}, headers=headers)
        SearchAnswer.model_validate(answer.json())
        return answer.json()["data"]

    with answering(room) as client:
        plain = get(profile="lexical")
        assert (plain["total_items"], plain["counted"], plain["fold"]) == (3, "stories", "none")
        data = get(profile="lexical", fold="near_duplicates", facets="type", page_size=1)
        assert (data["total_items"], data["total_relation"]) == (2, "exact")
        assert (data["counted"], data["fold"]) == ("groups", "near_duplicates")
        assert data["facets"]["type"] == [{"value": "text", "count": 2}]
        rest = get(profile="lexical", cursor=data["cursor"], page_size=5)
        hits = [*data["items"], *rest["items"]]
        told = {hit["item"]["uri"]: hit["meta"]["near_duplicates"] for hit in hits}
        assert sorted([uri, *under] for uri, under in told.items() if under) in (
            [["urn:one", "urn:two"]],
            [["urn:two", "urn:one"]],
        )
        assert told["urn:storm"] == []
    room.engine.close()
