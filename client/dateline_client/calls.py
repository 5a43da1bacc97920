"""The requests of the API, and how their answers become values: shared by both clients."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from urllib.parse import quote

from dateline_client.values import (
    Difference,
    FeedPage,
    Hit,
    Job,
    Json,
    Match,
    SearchPage,
    Topic,
    Webhook,
    items_of,
)

T = TypeVar("T")
Value = str | int | bool | Sequence[str]


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One request. `read` makes a value of the answer's `data`."""

    method: str
    path: str
    read: Callable[[Json], T]
    params: Mapping[str, Any] | None = None
    json: Any = None

    @property
    def safe(self) -> bool:
        """Return whether the request may be carried out twice."""
        return self.method != "POST"


def given(**params: Value | None) -> dict[str, Any]:
    """Return the parameters that are set. Truth values are written as the service reads them."""
    return {
        name: str(value).lower() if isinstance(value, bool) else value
        for name, value in params.items()
        if value not in (None, "", (), [])
    }


def search(q: str, filters: Mapping[str, Value]) -> Call[SearchPage]:
    """Return the request for a search."""
    return Call("GET", "/content/search", SearchPage.of, given(q=q, **filters))


def page(link: str) -> Call[SearchPage]:
    """Return the request for the page behind a link."""
    return Call("GET", link, SearchPage.of)


def item(uri: str) -> Call[Hit]:
    """Return the request for one item."""
    return Call("GET", f"/content/{quote(uri, safe='')}", Hit.of)


def diff(uri: str, since: int, until: int | None) -> Call[Difference]:
    """Return the request for what changed between two versions of an item."""
    params = given(**{"from": since, "to": until})
    return Call("GET", f"/content/{quote(uri, safe='')}/diff", Difference.of, params)


def feed(q: str, begin: str, page_size: int, label: str) -> Call[FeedPage]:
    """Return the request for the first page of a new session of the feed."""
    params = given(q=q, begin=begin, page_size=page_size, session_label=label)
    return Call("GET", "/content/feed", FeedPage.of, params)


def feed_page(link: str, wait: int) -> Call[FeedPage]:
    """Return the request for the page of a feed, held for some seconds while it is empty."""
    path = link.partition("&wait=")[0]
    return Call("GET", f"{path}&wait={wait}" if wait else path, FeedPage.of)


def topics() -> Call[tuple[Topic, ...]]:
    """Return the request for the followed topics."""
    return Call("GET", "/v1/topics", lambda data: tuple(map(Topic.of, items_of(data))))


def create_topic(name: str, query: str, emails: Sequence[str]) -> Call[Topic]:
    """Return the request that creates a topic."""
    mails = {"emails": list(emails)} if emails else {}
    return Call("POST", "/v1/topics", Topic.of, json={"name": name, "query": query, **mails})


def delete_topic(id_: int) -> Call[None]:
    """Return the request that deletes a topic."""
    return Call("DELETE", f"/v1/topics/{id_}", _nothing)


def matches(after: int, limit: int) -> Call[tuple[tuple[Match, ...], int]]:
    """Return the request for what matched the topics after a place, and where to go on."""

    def read(data: Json) -> tuple[tuple[Match, ...], int]:
        return tuple(map(Match.of, items_of(data))), int(data["position"])

    return Call("GET", "/v1/topics/matches", read, {"after": after, "limit": limit})


def webhooks() -> Call[tuple[Webhook, ...]]:
    """Return the request for the webhooks."""
    return Call("GET", "/v1/webhooks", lambda data: tuple(map(Webhook.of, items_of(data))))


def create_webhook(url: str, settings: Mapping[str, Any]) -> Call[Webhook]:
    """Return the request that creates a webhook."""
    return Call("POST", "/v1/webhooks", Webhook.of, json={"url": url, **settings})


def change_webhook(id_: str, settings: Mapping[str, Any]) -> Call[Webhook]:
    """Return the request that changes settings of a webhook."""
    return Call("PATCH", f"/v1/webhooks/{quote(id_)}", Webhook.of, json=dict(settings))


def delete_webhook(id_: str) -> Call[None]:
    """Return the request that deletes a webhook."""
    return Call("DELETE", f"/v1/webhooks/{quote(id_)}", _nothing)


def rotate_secret(id_: str, overlap_hours: float) -> Call[Webhook]:
    """Return the request for another secret of a webhook."""
    body = {"overlap_hours": overlap_hours}
    return Call("POST", f"/v1/webhooks/{quote(id_)}/secret", Webhook.of, json=body)


def test_webhook(id_: str) -> Call[None]:
    """Return the request for a test message."""
    return Call("POST", f"/v1/webhooks/{quote(id_)}/test", _nothing)


def replay_webhook(id_: str) -> Call[int]:
    """Return the request that sends all dead letters of a webhook again."""
    return Call(
        "POST", f"/v1/webhooks/{quote(id_)}/replay", lambda data: int(data["queued"]), json={}
    )


def order_job(name: str, kind: str, options: Mapping[str, Any]) -> Call[Job]:
    """Return the request that orders a job."""
    return Call("PUT", _job(name), Job.of, json={"kind": kind, **options})


def job(name: str) -> Call[Job]:
    """Return the request for a job's state."""
    return Call("GET", _job(name), Job.of)


def cancel_job(name: str) -> Call[Job]:
    """Return the request that cancels a job."""
    return Call("DELETE", _job(name), Job.of)


def _job(name: str) -> str:
    return f"/v1/admin/jobs/{quote(name, safe='')}"


def data_of(body: bytes) -> Json:
    """Return the `data` of an answer; empty for an answer without any."""
    found: Json = (json.loads(body) if body else {}).get("data") or {}
    return found


def _nothing(data: Json) -> None:
    return None
