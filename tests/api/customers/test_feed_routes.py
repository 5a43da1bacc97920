"""The feed and the stream over HTTP, served by a real server over a small archive."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import orjson
import pytest

from api.access.keys import KeyRing
from api.access.services import Services
from api.app import create_app
from core.callers import EVERY_PRODUCT, Caller
from core.customers.accounts import Method
from core.items import PubStatus
from customers.accounts.quotas import QuotaUse
from customers.maker import MakingTransitions
from customers.readers import Readers
from customers.topics import FollowedTopics
from storage.customers.topics import StoredTopics
from storage.embedded.percolation import Percolator
from storage.embedded.topic_set import TopicSet
from storage.words.topics import Topics
from tests.api.newsroom import Newsroom
from tests.app_server import on_a_port
from tests.conftest import new_folder
from tests.customers.feed_world import FeedWorld
from tests.storage.world import SetClock, change, make_item, write

A_KEY, B_KEY = "key-of-a-123", "key-of-b-456"
KEYS = {
    A_KEY: Caller("a", frozenset({"a"})),
    B_KEY: Caller("b", frozenset({"b"}), writes=EVERY_PRODUCT),
}


@dataclass
class Served:
    world: FeedWorld
    readers: Readers
    url: str
    http: httpx.Client

    def feed(self, path: str = "/content/feed", key: str = A_KEY, **params: Any) -> Any:
        answer = self.http.get(path, params=params or None, headers={"x-api-key": key})
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]

    def put(self, uri: str, version: int = 1, **members: Any) -> None:
        write(self.world.engine, make_item(uri, version, **{"products": ("a",), **members}))

    def kill(self, uri: str) -> None:
        change(self.world.engine, uri, pubstatus=PubStatus.CANCELED)

    def settle(self) -> None:
        """Waits until the transitions are made of what was written."""
        while self.world.maker.status()["lag"]:
            time.sleep(0.005)


@pytest.fixture
def served() -> Iterator[Served]:
    folder = new_folder()
    world = FeedWorld(folder, SetClock())
    readers = Readers(world.feed)
    world.maker._changed = readers.look
    making = MakingTransitions(world.maker)
    absent = Newsroom()
    percolator = Percolator(Topics(), world.engine.languages)
    services = Services(
        search=absent,
        library=world.engine,
        writer=world.engine,
        ingest=absent,
        status=absent,
        keys=KeyRing.of(KEYS),
        receipts=world.receipts,
        feed=world.feed,
        readers=readers,
        topics=FollowedTopics(
            StoredTopics(world.database), world.clock, lambda: TopicSet(percolator)
        ),
    )
    try:
        with (
            on_a_port(create_app(services)) as url,
            httpx.Client(base_url=url, timeout=120) as http,
        ):
            yield Served(world, readers, url, http)
    finally:
        making.close()
        readers.close()
        world.close()


def kinds(data: Any) -> list[tuple[str, str]]:
    return [(e["item"]["uri"], e["meta"]["transition"]["kind"]) for e in data["items"]]


def test_a_client_follows_links_with_nothing_but_its_key(served: Served) -> None:
    first = served.feed(q="headline:ferry", page_size=2, include="headline")
    assert first["items"] == []
    for number in range(3):
        served.put(f"u{number}", headline="A ferry", body="long")
    served.put("train", headline="A train")
    served.settle()
    second = served.feed(first["next_page"])
    third = served.feed(second["next_page"])
    assert kinds(second) == [("u0", "shown"), ("u1", "shown")]
    assert kinds(third) == [("u2", "shown")]
    assert "body_text" not in second["items"][0]["item"]
    assert "body_text" in served.feed(first["next_page"] + "&include=*")["items"][0]["item"]
    served.kill("u1")
    served.settle()
    fourth = served.feed(third["next_page"])
    (told,) = fourth["items"]
    assert told["item"] == {"uri": "u1", "version": 1, "pubstatus": "canceled"}
    assert told["meta"].keys() == {"transition"}
    again = served.feed(first["next_page"])
    assert kinds(again) == [("u0", "shown"), ("u2", "shown")]
    ids = {e["meta"]["transition"]["id"] for e in (*second["items"], *third["items"])}
    assert {e["meta"]["transition"]["id"] for e in again["items"]} <= ids
    links = [page["next_page"] for page in (first, second, third, fourth)]
    assert len({len(link.partition("position")[0]) for link in links}) == 1
    assert all("?" in link for link in links)


def test_a_held_answer_comes_with_the_story(served: Served) -> None:
    start = served.feed(wait=1, begin="now")

    def later() -> None:
        while not served.readers.count:
            time.sleep(0.005)
        served.put("other", products=("b",))
        served.put("x")

    thread = threading.Thread(target=later)
    thread.start()
    page, link = start, start["next_page"].replace("wait=1", "wait=15")
    while not page["items"]:  # a busy machine may take longer than an answer is held
        page = served.feed(link)
        link = page["next_page"]
    thread.join()
    assert kinds(page) == [("x", "shown")]
    assert served.readers.count == 0


def test_a_held_answer_without_a_story_moves_on(served: Served) -> None:
    start = served.feed(begin="now")
    served.put("other", products=("b",))
    served.settle()
    page = served.feed(start["next_page"], wait=1)
    assert page["items"] == []
    assert page["next_page"] != start["next_page"]
    assert served.readers.count == 0


def test_a_kill_of_what_an_item_request_showed(served: Served) -> None:
    served.put("x")
    served.settle()
    answer = served.http.get("/content/x", headers={"x-api-key": A_KEY})
    assert answer.status_code == 200
    served.kill("x")
    served.settle()
    for key, told in ((A_KEY, [("x", "killed")]), (B_KEY, [])):
        assert kinds(served.feed(key=key, q="nothing like it")) == told


@pytest.mark.parametrize(
    ("params", "status", "code"),
    [
        ({"session": "unknown"}, 410, "session_ended"),
        ({"session": "unknown", "position": "x"}, 410, "session_ended"),
        ({"position": "7-ab"}, 400, "bad_parameter"),
        ({"begin": "someday"}, 400, "bad_parameter"),
        ({"wait": "16"}, 400, "bad_parameter"),
        ({"page_size": "0"}, 400, "bad_parameter"),
        ({"unknown": "1"}, 400, "bad_parameter"),
        ({"q": "versioncreated:>someday"}, 400, None),
    ],
)
def test_bad_requests(
    served: Served, params: dict[str, str], status: int, code: str | None
) -> None:
    for path in ("/content/feed", "/content/stream"):
        if path == "/content/stream" and params.keys() & {"wait", "page_size"}:
            continue
        answer = served.http.get(path, params=params, headers={"x-api-key": A_KEY})
        assert answer.status_code == status, answer.text
        assert code in (None, answer.json()["error"]["code"])
    assert served.http.get("/content/feed").status_code == 401


def test_a_session_is_of_one_account(served: Served) -> None:
    own = served.feed()
    answer = served.http.get(own["next_page"], headers={"x-api-key": B_KEY})
    assert answer.json()["error"]["code"] == "session_ended"


def events(response: httpx.Response, count: int) -> list[dict[str, Any]]:
    """The next events of a stream; comments are left out."""
    found: list[dict[str, Any]] = []
    event: dict[str, Any] = {}
    for line in response.iter_lines():
        name, _, value = line.partition(": ")
        if name == "data":
            event["data"] = orjson.loads(value)
        elif name in ("id", "event"):
            event[name] = value
        elif not line and "data" in event:
            found.append(event)
            event = {}
            if len(found) == count:
                break
    return found


def test_a_stream_goes_on_after_its_last_event(served: Served) -> None:
    served.put("x")
    served.put("y")
    served.settle()
    key = {"x-api-key": A_KEY}
    with served.http.stream("GET", "/content/stream", headers=key) as response:
        assert response.headers["content-type"] == "text/event-stream"
        found = events(response, 2)
    assert [event["event"] for event in found] == ["shown", "shown"]
    again = {**key, "last-event-id": found[0]["id"]}
    with served.http.stream("GET", "/content/stream", headers=again) as response:
        (one,) = events(response, 1)
        assert one == found[1]
        served.kill("x")
        killed = events_after(served, found[1]["id"])
    assert killed["event"] == "killed"
    assert killed["data"]["item"]["pubstatus"] == "canceled"


def events_after(served: Served, last: str) -> dict[str, Any]:
    headers = {"x-api-key": A_KEY, "last-event-id": last}
    with served.http.stream("GET", "/content/stream", headers=headers) as response:
        (found,) = events(response, 1)
    return found


def test_kills_come_first_in_a_stream_that_is_behind(served: Served) -> None:
    for number in range(30):
        served.put(f"u{number}")
    served.settle()
    assert len(served.feed()["items"]) == 20
    served.kill("u3")
    served.settle()
    with served.http.stream("GET", "/content/stream", headers={"x-api-key": A_KEY}) as response:
        first, *rest = events(response, 31)
    assert (first["event"], first["data"]["item"]["uri"], first.get("id")) == ("killed", "u3", None)
    last = rest[-1]
    assert last["event"] == "killed"
    assert last["id"]
    assert last["data"]["meta"]["transition"]["id"] == first["data"]["meta"]["transition"]["id"]


def test_many_held_requests_hold_no_thread(served: Served) -> None:
    start = served.feed(begin="now")
    before = threading.active_count()
    count = 60

    async def follow(http: httpx.AsyncClient) -> int:
        link = start["next_page"] + "&wait=15"
        while True:  # a busy machine may take longer than an answer is held
            data = (await http.get(link)).json()["data"]
            if data["items"]:
                return len(data["items"])
            link = data["next_page"]

    async def hold() -> list[int]:
        limits, headers = httpx.Limits(max_connections=count), {"x-api-key": A_KEY}
        async with httpx.AsyncClient(
            base_url=served.url, headers=headers, timeout=120, limits=limits
        ) as http:
            held = [asyncio.create_task(follow(http)) for _ in range(count)]
            while served.readers.count < count:
                await asyncio.sleep(0.01)
            threads = threading.active_count()
            await asyncio.to_thread(served.put, "x")
            told = await asyncio.gather(*held)
            assert threads <= before + 4
            return told

    assert asyncio.run(hold()) == [1] * count


def test_topics_narrow_a_feed_and_are_named_beside_its_items(served: Served) -> None:
    key = {"x-api-key": A_KEY}
    body = {"name": "Ferries", "query": "ferry"}
    made = served.http.post("/v1/topics", json=body, headers=key).json()["data"]["id"]
    served.put("x", headline="A train")
    served.put("y", headline="A ferry")
    served.settle()
    entries = served.feed()["items"]
    assert [entry["meta"].get("followed_topics") for entry in entries] == [
        None,
        [{"id": made, "name": "Ferries"}],
    ]
    narrowed = served.feed(q=f"followedtopics:{made}")
    assert kinds(narrowed) == [("y", "shown")]
    served.http.delete(f"/v1/topics/{made}", headers=key)
    assert kinds(served.feed(narrowed["next_page"])) == [], "the session's query is frozen"
    unknown = {"q": f"followedtopics:{made}"}
    answer = served.http.get("/content/feed", params=unknown, headers=key)
    assert answer.status_code == 400


def test_a_stream_tells_that_a_topic_matched(served: Served) -> None:
    key = {"x-api-key": A_KEY}
    body = {"name": "Ferries", "query": "ferry"}
    made = served.http.post("/v1/topics", json=body, headers=key).json()["data"]["id"]
    served.put("x", headline="A train")
    served.put("y", headline="A ferry")
    served.settle()
    with served.http.stream("GET", "/content/stream", headers=key) as response:
        train, matched, ferry = events(response, 3)
    assert [one["event"] for one in (train, matched, ferry)] == ["shown", "topic.matched", "shown"]
    assert "id" not in matched
    assert matched["data"]["uri"] == "y"
    assert matched["data"]["followed_topics"] == [{"id": made, "name": "Ferries"}]
    assert matched["data"]["transition"] == ferry["data"]["meta"]["transition"]


def test_a_poll_over_its_quota_gets_kills_and_nothing_else(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, others = served.feed(), served.feed(key=B_KEY)
    served.put("x")
    served.settle()
    read = served.feed(first["next_page"])
    assert kinds(read) == [("x", "shown")]
    served.put("y")
    served.kill("x")
    served.settle()

    def spent(request: Any, _services: Any, _caller: Any) -> None:
        request.state.quota = QuotaUse(Method.FEED, 9, 9, 60, 7.0)

    with monkeypatch.context() as patch:
        patch.setattr("api.customers.held.counted", spent)
        over = served.feed(read["next_page"])
        assert kinds(over) == [("x", "killed")]
        assert over["next_page"] == read["next_page"]  # its position stays
        refused = served.http.get(others["next_page"], headers={"x-api-key": B_KEY})
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "7")
    assert sorted(kinds(served.feed(over["next_page"]))) == [("x", "killed"), ("y", "shown")]
