"""From an acknowledged kill to absence: the very next request, on every surface, over HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import pytest
from fastapi.testclient import TestClient

from search.answers import FACET_FIELDS
from tests.api.archive import answering
from tests.api.conftest import INGEST, READ
from tests.search.guard_model import MARKS, UNKNOWN, URIS, own_words, version_of, words_of
from tests.search.guard_world import PINNED, World
from tests.search.room import START

TARGET, OTHER, EARLIER, LATER = URIS[:4]
STORY = version_of(TARGET, 2, when=2)
MARK = MARKS[TARGET, 2]
MISSPELT = f"{MARK[:6]}{MARK[7:]}"
SEARCH, ITEM = "/content/search", "/content/"
CHANGES: list[dict[str, Any]] = [
    {"pubstatus": "canceled"},
    {"pubstatus": "withheld"},
    {"embargoed": (START + timedelta(hours=9)).isoformat()},
]
EVERYWHERE: dict[str, tuple[str, dict[str, Any]]] = {
    "hits": (SEARCH, {"q": "common"}),
    "hits by words": (SEARCH, {"q": "common", "profile": "lexical"}),
    "hits by vectors": (SEARCH, {"q": "common", "profile": "vector"}),
    "browsing": (SEARCH, {}),
    "facets": (SEARCH, {"page_size": 1, "facets": ",".join(FACET_FIELDS), "highlight": "false"}),
    "explanations": (SEARCH, {"q": "common", "explain": "true"}),
    "pinned": (SEARCH, {"q": PINNED}),
    "likeness": (SEARCH, {"similar_to": OTHER}),
    "names": (SEARCH, {"q": f"Ana {MISSPELT}", "page_size": 1}),
    "spelling": (SEARCH, {"q": MISSPELT, "entities": "off", "page_size": 1}),
    "suggestions": ("/v1/suggest", {"q": MARK[:4]}),
    "headlines": ("/v1/suggest", {"q": "common"}),
    "item": (ITEM + quote(TARGET, safe=""), {}),
    "versions": (ITEM + quote(TARGET, safe=""), {"versions": "all"}),
}


@pytest.fixture
def quay(folder: Path) -> Iterator[tuple[World, TestClient]]:
    """A story in two versions, another story, and one of two write-throughs."""
    world = World(folder)
    world.room.put(
        version_of(TARGET, 1),
        STORY,
        version_of(OTHER, 1, shared="Valley", when=3),
        version_of(EARLIER, 1, chain="story"),
        version_of(LATER, 1, chain="story", when=1),
    )
    world.room.pipeline = world.pipeline
    with answering(world.room) as client:
        yield world, client
    world.room.engine.close()


def get(client: TestClient, path: str, params: Mapping[str, Any] | None = None) -> Any:
    return client.get(path, params=params, headers={"x-api-key": READ})


def hide(client: TestClient, uri: str, change: Mapping[str, Any] = CHANGES[0]) -> None:
    path = f"{ITEM}{quote(uri, safe='')}/status"
    answer = client.patch(path, json=dict(change), headers={"x-api-key": INGEST})
    assert answer.status_code == 200


@pytest.mark.parametrize("change", CHANGES, ids=["killed", "withheld", "embargoed"])
def test_the_next_request_shows_nothing(
    quay: tuple[World, TestClient], change: dict[str, Any]
) -> None:
    """Hidden once for each surface, so that each is asked first; shown again before the next."""
    client = quay[1]
    for surface, (path, params) in EVERYWHERE.items():
        words = words_of([STORY]) - own_words(unquote(path))
        assert own_words(get(client, path, params).text) & words, surface
        hide(client, TARGET, change)
        gone = {MARK} if change.get("embargoed") else words  # its predecessor stays
        assert not own_words(get(client, path, params).text) & gone, surface
        hide(client, TARGET, {"pubstatus": "usable", "embargoed": None})


def test_totals_and_counts_are_less_with_the_next_request(quay: tuple[World, TestClient]) -> None:
    client = quay[1]
    asked = {"q": "common", "profile": "lexical", "facets": "type"}
    counts: list[tuple[int, int]] = []
    for _ in range(2):
        data = get(client, SEARCH, asked).json()["data"]
        counts.append((data["total_items"], data["facets"]["type"][0]["count"]))
        hide(client, TARGET)
    assert counts == [(3, 3), (2, 2)]


def test_the_next_page_leaves_it_out(quay: tuple[World, TestClient]) -> None:
    """The list was frozen before: the cursor goes on with what is left of it."""
    client = quay[1]
    data = get(client, SEARCH, {"page_size": 1, "facets": "place"}).json()["data"]
    assert [hit["item"]["uri"] for hit in data["items"]] == [OTHER]
    hide(client, TARGET)
    data = get(client, data["next_page"]).json()["data"]
    assert [hit["item"]["uri"] for hit in data["items"]] == [LATER]
    assert data["total_items"] == 2
    assert not own_words(json.dumps(data)) & words_of([STORY])


def test_what_was_like_it_is_gone_with_it(quay: tuple[World, TestClient]) -> None:
    client = quay[1]
    first = get(client, SEARCH, {"similar_to": TARGET, "page_size": 1})
    link = first.json()["data"]["next_page"]
    hide(client, TARGET)
    assert get(client, link).status_code == 404
    told = [told_without_uri(client, {"similar_to": uri}, uri) for uri in (TARGET, UNKNOWN)]
    assert told[0] == told[1]


def test_why_it_is_missing_is_not_told_to_customers(quay: tuple[World, TestClient]) -> None:
    client = quay[1]
    hide(client, TARGET)
    told = [
        told_without_uri(client, {"q": "common", "why_missing": uri}, uri)["data"]["missing"]
        for uri in (TARGET, UNKNOWN)
    ]
    assert told[0] == told[1]
    assert told[0]["stage"] == "archive"


def test_a_write_through_leaves_its_chain_view(quay: tuple[World, TestClient]) -> None:
    client = quay[1]
    asked = ITEM + quote(LATER, safe="")
    sizes: list[tuple[int, int]] = []
    for _ in range(2):
        whole = get(client, asked, {"versions": "all"}).json()["data"]["versions"]
        hits = get(client, SEARCH, {"q": "common"}).json()["data"]["items"]
        (hit,) = (hit for hit in hits if hit["item"]["uri"] == LATER)
        sizes.append((len(whole), hit["meta"]["versions"]))
        hide(client, EARLIER)
    assert sizes == [(2, 2), (1, 1)]


def told_without_uri(client: TestClient, params: Mapping[str, Any], uri: str) -> Any:
    """The answer but for the uri, the time and its own id."""
    told = json.loads(get(client, SEARCH, params).text.replace(uri, ""))
    told.pop("id")
    told.get("error", {}).pop("timestamp", None)
    return told
