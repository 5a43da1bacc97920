"""`why_missing`, `suggestion`, `pinned`, `degraded` on `GET /content/search`, over an archive."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from api.contract import SearchAnswer
from core.entities import Entity
from core.errors import UnavailableError
from search.pipeline import SearchPipeline
from search.understanding.editorial import Editorial
from search.understanding.spelling import Doubt
from search.understanding.understand import Understanding
from tests.api.archive import answering
from tests.api.conftest import INGEST, INSPECT, OTHER, READ
from tests.search.room import Room, story

STORM = "https://news.example/stories?id=1&x=ü"


@pytest.fixture
def quay(folder: Path) -> Iterator[tuple[Room, TestClient]]:
    room = Room(folder)
    room.put(
        story("urn:ferry", "Ferry aground", body="The ferry is aground."),
        story(STORM, "Storm closes port", body="A storm closed the port."),
        story("urn:photo", "Regatta", body="The regatta.", products=("photos",)),
    )
    rules = Editorial({}, {"ferry": (STORM, "urn:photo")})
    room.pipeline = SearchPipeline(
        replace(
            room.pipeline._parts, editorial=lambda: rules, doubt=Doubt(), clock=lambda: room.now
        )
    )
    with answering(room) as client:
        yield room, client
    room.engine.close()


def get(client: TestClient, key: str = READ, code: int = 200, **params: Any) -> Any:
    answer = client.get("/content/search", params=params, headers={"x-api-key": key})
    assert answer.status_code == code, answer.text
    if code == 200:
        SearchAnswer.model_validate(answer.json())
        return answer.json()["data"]
    return answer.json()


def test_why_an_item_is_missing(quay: tuple[Room, TestClient]) -> None:
    data = get(quay[1], q="aground", profile="lexical", why_missing=STORM)
    assert data["missing"] == {
        "uri": STORM,
        "stage": "retrieval",
        "reason": "no word matches it (aground)",
        "mend": data["missing"]["mend"],
        "rank": 0,
        "page": 0,
        "excluded_by": [],
        "words": {"found": [], "missing": ["aground"]},
        "retrievers": [{"retriever": "bm25", "rank": 0, "depth": 1000}],
    }
    assert get(quay[1], q="aground")["missing"] is None
    filtered = get(quay[1], q="storm", type="picture", why_missing=STORM)["missing"]
    assert (filtered["stage"], filtered["excluded_by"]) == ("filters", ["type is picture"])


def test_what_is_hidden_is_as_unknown_as_anything(quay: tuple[Room, TestClient]) -> None:
    room, client = quay
    unknown = get(client, q="ferry", why_missing="urn:none")["missing"]
    assert unknown["stage"] == "archive"
    for uri in ("urn:photo", "urn:ferry"):
        room.kill("urn:ferry")
        assert get(client, q="ferry", why_missing=uri)["missing"] == {**unknown, "uri": uri}


def test_a_cursor_and_why_missing_do_not_go_together(quay: tuple[Room, TestClient]) -> None:
    refused = get(quay[1], code=400, q="ferry", cursor="abc.1.2", why_missing=STORM)
    assert "later page" in refused["error"]["message"]


def test_did_you_mean(quay: tuple[Room, TestClient]) -> None:
    assert get(quay[1], q="fery")["suggestion"] == "ferry"
    assert get(quay[1], q="ferry")["suggestion"] == ""
    assert get(quay[1], q="regata")["suggestion"] == ""
    assert get(quay[1], OTHER, q="regata")["suggestion"] == "regatta"


def test_pinned_hits_are_marked(quay: tuple[Room, TestClient]) -> None:
    items = get(quay[1], q="ferry")["items"]
    assert [(one["item"]["uri"], one["meta"]["pinned"]) for one in items] == [
        (STORM, True),
        ("urn:ferry", False),
    ]


def test_recency_is_explained(quay: tuple[Room, TestClient]) -> None:
    room, client = quay
    room.put(story("urn:old", "Ferry sails", body="The ferry sails.", when=-24))
    items = get(client, q="the ferry sails", profile="hybrid", explain="true")["items"]
    assert {one["meta"]["explanation"]["recency"] for one in items} == {1.0}


class AwayTagger:
    """A model at another service that does not answer."""

    def tag(self, texts: Sequence[str]) -> tuple[tuple[Entity, ...], ...]:
        raise UnavailableError("nothing answers there")


def test_names_that_could_not_be_looked_for_are_flagged(folder: Path) -> None:
    room = Room(folder)
    room.put(story("urn:ferry", "Ferry aground"), story(STORM, "Ferry in a storm"))
    understanding = Understanding(AwayTagger(), room.engine)
    room.pipeline = SearchPipeline(replace(room.pipeline._parts, understanding=understanding))
    with answering(room) as client:
        asked = {"q": "ferry", "page_size": 1, "entities": "filter"}
        first = get(client, **asked)
        flag = "names: skipped, UnavailableError"
        assert first["degraded"] == [flag]
        assert first["understood"]["notes"] == [
            "names were not looked for: UnavailableError, so none filters"
        ]
        assert get(client, **asked, cursor=first["cursor"])["degraded"] == [flag]
        assert get(client, q="ferry", entities="off")["degraded"] == []
        told = client.get("/metrics", headers={"x-api-key": INGEST}).text
    assert "dateline_search_degraded_total 2.0" in told
    room.engine.close()


def numbers(tree: Any) -> set[float]:
    """Every number in an answer that is no count."""
    if isinstance(tree, dict):
        return set().union(*(numbers(tree[name]) for name in tree if name != "timings_ms"))
    if isinstance(tree, list):
        return set().union(*map(numbers, tree))
    return {tree} if isinstance(tree, float) and tree not in (0.0, 0.5, 1.0) else set()


def test_raw_scores_are_for_keys_that_inspect(quay: tuple[Room, TestClient]) -> None:
    """From BM25 and idf one can compute how many hidden items hold a word."""
    room, client = quay
    for number in range(3):
        room.put(story(f"urn:quay-{number}", "Quay", body="The ferry at the quay." * (number + 1)))
    asked = {"q": "ferry quay", "explain": "true", "why_missing": "urn:quay-0"}
    inspected, read = get(client, INSPECT, **asked), get(client, READ, **asked)
    told = [one["meta"]["explanation"] for one in inspected["items"]]
    raw = {one["lexical"]["bm25"] for one in told} | {one["vectors"][0]["cosine"] for one in told}
    raw = {value for value in raw if value not in (None, 0.0, 1.0)}
    assert len(raw) >= 4
    assert raw <= numbers(inspected)
    assert all(round(value, 3) == value for value in numbers(read["items"]) if value < 0.99)
    assert raw.isdisjoint(numbers(read))
    shown = [(one["item"]["uri"], one["meta"]["rank"]) for one in read["items"]]
    assert shown == [(one["item"]["uri"], one["meta"]["rank"]) for one in inspected["items"]]
    for one, other in zip(read["items"], inspected["items"], strict=True):
        assert one["meta"]["score"] == pytest.approx(other["meta"]["score"], abs=6e-4)


def test_how_far_a_list_reached_is_told_in_ranks(quay: tuple[Room, TestClient]) -> None:
    asked = {"q": "aground", "profile": "lexical", "why_missing": STORM}
    (inspected,) = get(quay[1], INSPECT, **asked)["missing"]["retrievers"]
    (read,) = get(quay[1], READ, **asked)["missing"]["retrievers"]
    assert inspected["last_score"] > 0
    assert set(inspected) - set(read) == {"score", "last_score"}
