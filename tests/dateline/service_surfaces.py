"""Whatever a service shows of one item, over HTTP: the item with the word zebedee in it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx

from tests.dateline.service_hosts import Host, search, uris

FOLD = "near_duplicates"


class Surfaces:
    """Whatever of a host shows something of one item, and what was given out before a change."""

    def __init__(self, host: Host, uri: str, before: Host) -> None:
        self._client, self._uri = host.client, uri
        whole = search(before.client, q="lighthouse", page_size=1)
        self._cursor = whole["cursor"]
        listed = search(before.client, q="keeper", page_size=200)["items"]
        (self._picture,) = [
            entry["item"]["renditions"]["thumbnail"]["href"]
            for entry in listed
            if entry["item"]["uri"] == uri
        ]

    def showing(self, key: str = "desk") -> set[str]:
        """The names of the surfaces that show it."""
        checks: dict[str, Callable[[str], bool]] = {
            **{f"search {p}": self._search(profile=p) for p in ("lexical", "hybrid", "vector")},
            "browse": self._search(q=""),
            "phrase": self._search(q='"zebedee light"', profile="lexical"),
            "filter": self._search(q="", place="zebedee"),
            "by date": self._search(q="lighthouse", sort="versioncreated:desc"),
            "fold": self._search(q="lighthouse", fold=FOLD),
            "facets": self._facets(facets="place"),
            "open facets": self._facets(open_facets="place", place="oslo"),
            "suggest": self._suggests,
            "item": self._reads,
            "chain": lambda key: self._reads(key, versions="all"),
            "alike": lambda key: self._get(key, similar_to=self._uri).status_code == 200,
            "why": self._told,
            "picture": lambda _: self._client.get(self._picture).status_code == 200,
        }
        return {name for name, shows in checks.items() if shows(key)}

    def on_the_next_page(self) -> bool:
        """Of a list that another host began, with everything on it."""
        data = search(self._client, q="lighthouse", page_size=200, cursor=self._cursor)
        return self._uri in uris(data)

    def _get(self, key: str, **params: Any) -> httpx.Response:
        return self._client.get("/content/search", params=params, headers={"x-api-key": key})

    def _search(self, **params: Any) -> Callable[[str], bool]:
        asked = {"q": "keeper", "page_size": 200, **params}
        return lambda key: self._uri in uris(search(self._client, key, **asked))

    def _facets(self, **params: Any) -> Callable[[str], bool]:
        def shows(key: str) -> bool:
            data = search(self._client, key, q="", page_size=1, **params)
            return any(one["value"] == "Zebedee" for one in data["facets"]["place"])

        return shows

    def _suggests(self, key: str) -> bool:
        answer = self._client.get("/v1/suggest?q=zebed", headers={"x-api-key": key})
        return "ebedee" in answer.text

    def _reads(self, key: str, **params: str) -> bool:
        headers = {"x-api-key": key}
        answer = self._client.get(f"/content/{self._uri}", params=params, headers=headers)
        assert answer.status_code in (200, 404)
        return answer.status_code == 200

    def _told(self, key: str) -> bool:
        answer = self._get(key, q="", why_missing=self._uri).json()["data"]["missing"]
        return bool(answer["stage"] == "none")


EVERYWHERE = {
    "search lexical", "search hybrid", "search vector", "browse", "phrase", "filter", "by date",
    "fold", "facets", "open facets", "suggest", "item", "chain", "alike", "why", "picture",
}  # fmt: skip
