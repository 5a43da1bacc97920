"""What docs/ranking.md says of strong and related hits is what the demo answers."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

pytestmark = pytest.mark.service


def answered(service: str, query: str, **params: str) -> Any:
    answer = httpx.get(
        f"{service}/content/search",
        params={"q": query} | params,
        headers={"x-api-key": "demo-reader"},
        timeout=240,
    )
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


def relevances(data: Any) -> list[str | None]:
    return [hit["meta"]["relevance"] for hit in data["items"]]


@pytest.mark.parametrize("query", ["zzzqqxx", "qwv fghjk zrtp"])
def test_nonsense_has_no_strong_hit(service: str, query: str) -> None:
    data = answered(service, query)
    assert data["total_items"] == 0
    assert data["related_items"] > 0
    assert set(relevances(data)) == {"related"}
    only = answered(service, query, min_relevance="strong")
    assert (only["items"], only["total_items"]) == ([], 0)


def test_kinds_and_dates_in_plain_words_keep_the_floor(service: str) -> None:
    for query in ("photos of quentin shilmidze", "zzzqqxx march 2026"):
        data = answered(service, query)
        assert data["total_items"] == 0
        assert data["related_items"] > 0
    data = answered(service, "photos of solvane")
    assert data["total_items"] > 0


def test_strong_hits_stand_above_the_related_ones_and_are_counted(service: str) -> None:
    data = answered(service, "ferry accident", page_size="100")
    strong = data["total_items"]
    assert strong > 0
    assert data["related_items"] > 0
    told = relevances(data)
    assert told == ["strong"] * strong + ["related"] * (len(told) - strong)
    only = answered(service, "ferry accident", page_size="100", min_relevance="strong")
    uris = [[hit["item"]["uri"] for hit in one["items"]] for one in (only, data)]
    assert uris[0] == uris[1][:strong]


def test_a_reader_gets_no_number_from_which_hidden_items_could_be_counted(service: str) -> None:
    data = answered(service, "ferry accident")
    assert all("chance" not in hit["meta"] for hit in data["items"])


@pytest.mark.parametrize(
    ("query", "params"),
    [
        ("Solvane NOT election", {}),
        ("ferry accident", {"type": "text"}),
        ("ferry accident", {"since": "2020-01-01"}),
        ('"ferry"', {}),
        ("headline:ferry", {}),
        ("ferry AND port", {}),
    ],
)
def test_what_narrows_has_no_floor(service: str, query: str, params: dict[str, str]) -> None:
    data = answered(service, query, **params)
    assert data["related_items"] is None
    assert set(relevances(data)) <= {None}


def test_not_holds_for_vectors(service: str) -> None:
    hits = answered(service, "Solvane NOT election")["items"]
    texts = [str(hit["item"]).casefold() for hit in hits]
    assert "solvane" in texts[0]
    assert all("election" not in hit["item"].get("headline", "").casefold() for hit in hits)


@pytest.mark.parametrize(
    ("query", "suggested"), [("Oslo", ""), ("ingrd solvain", "Ingrid Solvane")]
)
def test_a_name_that_no_story_has_is_left_alone(service: str, query: str, suggested: str) -> None:
    assert answered(service, query)["suggestion"] == suggested
