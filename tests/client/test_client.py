"""What the client does with answers, refusals and silence, without a service."""

from __future__ import annotations

import asyncio
import inspect
import io
import json
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
from dateline_client import (
    AnswerError,
    AsyncClient,
    Client,
    FilePlace,
    Item,
    Lines,
    MemoryPlace,
    Retries,
    SessionEndedError,
    SignatureError,
    UnreachableError,
    verify,
)
from dateline_client.events import EventLines

from customers.webhooks.signing import headers, new_secret

BASE = "http://service.example"
QUICK = Retries(attempts=4, first_s=0.0, longest_s=5.0)
Answers = Sequence[httpx.Response | Exception]


class Script:
    """Answers requests from a list, and keeps them."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.answers = [*answers]
        self.asked: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def client(self, **options: Any) -> Client:
        transport = httpx.MockTransport(self)
        return Client(BASE, "k", retries=QUICK, transport=transport, **options)


def data(content: Any, status: int = 200, **told: str) -> httpx.Response:
    return httpx.Response(status, json={"data": content}, headers=told)


def refused(status: int, code: str = "x", **told: str) -> httpx.Response:
    error = {"status": status, "code": code, "message": "No.", "mend": "Ask."}
    return httpx.Response(status, json={"error": error}, headers=told)


def hits(*uris: str, next_page: str = "") -> httpx.Response:
    items = [{"meta": {"rank": 1}, "item": {"uri": uri, "version": 2}} for uri in uris]
    return data(
        {"items": items, "total_items": 9, "total_relation": "exact", "next_page": next_page}
    )


def entry(n: int, kind: str = "shown") -> dict[str, Any]:
    told = {"id": f"t{n}", "position": n, "kind": kind, "at": "2026-03-01T00:00:00Z"}
    return {"meta": {"transition": told}, "item": {"uri": f"urn:{n}", "version": 1}}


def page(*numbers: int, more: bool = False) -> httpx.Response:
    last = numbers[-1] if numbers else 0
    link = f"/content/feed?session=s&position={last}"
    return data({"items": [entry(n) for n in numbers], "next_page": link, "more": more})


def test_both_clients_have_the_same_methods() -> None:
    def methods(kind: type) -> dict[str, list[str]]:
        found = inspect.getmembers(kind, inspect.isfunction)
        return {name: [*inspect.signature(f).parameters] for name, f in found if name[0] != "_"}

    assert methods(Client) == methods(AsyncClient)


def test_a_search_reads_every_page_with_its_key() -> None:
    script = Script(
        hits("urn:a", "urn:b", next_page="/content/search?page=2&cursor=c"), hits("urn:c")
    )
    with script.client() as client:
        found = list(
            client.search_all("ferry", page_size=2, type=["text", "picture"], explain=True)
        )
    assert [hit.item.uri for hit in found] == ["urn:a", "urn:b", "urn:c"]
    first, second = script.asked
    assert first.url.params.multi_items() == [
        ("q", "ferry"),
        ("page_size", "2"),
        ("type", "text"),
        ("type", "picture"),
        ("explain", "true"),
    ]
    assert second.url.params["cursor"] == "c"
    assert {one.headers["x-api-key"] for one in script.asked} == {"k"}


def test_an_item_s_uri_is_one_part_of_the_path() -> None:
    script = Script(data({"meta": {}, "item": {"uri": "https://a/b?c=d#e", "version": 1}}))
    with script.client() as client:
        assert client.item("https://a/b?c=d#e").item.version == 1
    assert script.asked[0].url.raw_path == b"/content/https%3A%2F%2Fa%2Fb%3Fc%3Dd%23e"


def test_what_changed_between_two_versions_is_read() -> None:
    content = {
        "uri": "urn:a/b",
        "from": {"version": 1, "versioncreated": "2026-03-01T00:00:00Z"},
        "to": {"version": 3, "versioncreated": "2026-03-02T00:00:00Z"},
        "fields": {"headline": {"from": None, "to": "Ferry"}},
        "body": [{"line": 2, "removed": ["Two"], "added": []}],
    }
    script = Script(data(content), data(content))
    with script.client() as client:
        found = client.diff("urn:a/b", 0)
        assert client.diff("urn:a/b", 1, 3) == found
    assert (found.uri, found.since, found.until) == ("urn:a/b", 1, 3)
    assert found.fields == {"headline": (None, "Ferry")}
    assert found.body == (Lines(2, ("Two",), ()),)
    assert [one.url.raw_path for one in script.asked] == [
        b"/content/urn%3Aa%2Fb/diff?from=0",
        b"/content/urn%3Aa%2Fb/diff?from=1&to=3",
    ]


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_what_passes_is_asked_again(status: int) -> None:
    script = Script(refused(status), httpx.ReadTimeout("late"), refused(status), hits("urn:a"))
    with script.client() as client:
        assert len(client.search("x")) == 1
    assert len(script.asked) == 4


def test_retry_after_is_honoured() -> None:
    assert QUICK.wait_s(1, refused(429, **{"retry-after": "3"}), safe=True) == 3.0
    assert QUICK.wait_s(1, refused(429, **{"retry-after": "6"}), safe=True) is None
    waits = [Retries(first_s=1.0, longest_s=3.0).wait_s(n, None, safe=True) for n in (1, 2, 3, 4)]
    assert [0.5 * most <= wait <= most for wait, most in zip(waits, (1, 2, 3, 3), strict=True)] == [
        True
    ] * 4  # type: ignore[operator]


def test_attempts_end() -> None:
    for answers, kind in (
        ([refused(503)] * 4, AnswerError),
        ([httpx.ConnectError("")] * 4, UnreachableError),
    ):
        script = Script(*answers)
        with script.client() as client, pytest.raises(kind):
            client.search("x")
        assert len(script.asked) == 4


def test_an_address_without_an_answer_is_named_without_its_signature() -> None:
    script = Script(*[httpx.ConnectError("refused")] * 4)
    with script.client() as client, pytest.raises(UnreachableError) as raised:
        client.download("https://files.example/a.jpg?sig=secret", io.BytesIO())
    assert "https://files.example/a.jpg" in str(raised.value)
    assert "secret" not in str(raised.value)


def test_a_rendition_that_is_not_there_is_not_asked_for() -> None:
    script = Script()
    with script.client() as client, pytest.raises(ValueError, match="rendition"):
        client.download(Item.of({"uri": "urn:a"}).rendition("preview"), io.BytesIO())
    assert script.asked == []


def test_a_write_is_repeated_only_if_nothing_was_done() -> None:
    for answer, asked in ((httpx.ReadTimeout("x"), 1), (refused(502), 1), (refused(503), 2)):
        script = Script(answer, data({"id": 1, "name": "n", "query": "q"}, 201))
        with script.client() as client:
            if asked == 1:
                with pytest.raises((AnswerError, UnreachableError)):
                    client.create_topic("n", "q")
            else:
                assert client.create_topic("n", "q").id == 1
        assert len(script.asked) == asked


def test_a_topic_has_the_addresses_that_hear_of_it() -> None:
    topic = {"id": 1, "name": "n", "query": "q", "emails": ["desk@example.com"]}
    script = Script(data(topic, 201), data(topic, 201))
    with script.client() as client:
        made = client.create_topic("n", "q", emails=["desk@example.com"])
        client.create_topic("n", "q")
    assert made.emails == ("desk@example.com",)
    assert [json.loads(asked.content) for asked in script.asked] == [
        {"name": "n", "query": "q", "emails": ["desk@example.com"]},
        {"name": "n", "query": "q"},
    ]


def test_a_refusal_says_why() -> None:
    with Script(refused(400, "bad_query")).client() as client, pytest.raises(AnswerError) as raised:
        client.search("x")
    error = raised.value
    assert (error.status, error.code, error.message, error.mend) == (
        400,
        "bad_query",
        "No.",
        "Ask.",
    )
    with Script(httpx.Response(404, text="<html>")).client() as client, pytest.raises(AnswerError):
        client.item("urn:a")


def test_the_key_goes_to_the_service_only() -> None:
    script = Script(httpx.Response(200, content=b"abc"), httpx.Response(200, content=b"defg"))
    with script.client() as client:
        file = io.BytesIO()
        assert client.download("/v1/media/preview/x?sig=1", file) == 3
        assert client.download("https://elsewhere.example/x", file) == 4
    assert file.getvalue() == b"abcdefg"
    assert ["x-api-key" in one.headers for one in script.asked] == [True, False]


def test_a_download_that_breaks_off_begins_again() -> None:
    class Broken(httpx.SyncByteStream):
        def __iter__(self) -> Any:
            yield b"ab"
            raise httpx.ReadError("cut")

    script = Script(httpx.Response(200, stream=Broken()), httpx.Response(200, content=b"abc"))
    with script.client() as client:
        file = io.BytesIO(b"")
        assert client.download("/v1/media/original/x", file) == 3
    assert file.getvalue() == b"abc"


def test_links_below_a_proxy_s_prefix() -> None:
    script = Script(hits("urn:a", next_page="/archive/content/search?page=2"), hits())
    client = Client(f"{BASE}/archive", "k", transport=httpx.MockTransport(script))
    list(client.search_all("x"))
    client.close()
    assert [one.url.path for one in script.asked] == 2 * ["/archive/content/search"]


# --- feeds


def test_a_feed_goes_on_where_it_was_and_gives_each_entry_once(folder: Path) -> None:
    place = FilePlace(folder / "feed.json")
    script = Script(page(1, 2, more=True), page(2, 3, more=True), page(4, 5))
    with script.client() as client:
        follow = client.follow("ferry", place=place, once=True)
        assert [next(follow).id for _ in range(4)] == ["t1", "t2", "t3", "t4"]
        follow.close()  # the process ends before t4 was dealt with
    script.answers = [page(4, 5)]
    with script.client() as client:
        again = [one.id for one in client.follow("ferry", place=place, once=True)]
    assert again == ["t4", "t5"]
    assert script.asked[-1].url.params["position"] == "3"
    script.answers = [page()]
    with script.client() as client:
        assert list(client.follow("ferry", place=FilePlace(folder / "feed.json"), once=True)) == []
        with pytest.raises(ValueError, match="feed"):
            next(client.stream(place=place))


def test_the_next_page_is_asked_for_while_one_is_dealt_with() -> None:
    place, asked = MemoryPlace(), threading.Event()
    script = Script(page(1, 2, more=True), refused(410, "session_ended"))

    def answer(request: httpx.Request) -> httpx.Response:
        told = script(request)
        if len(script.asked) == 2:
            asked.set()
        return told

    with Client(BASE, "k", transport=httpx.MockTransport(answer)) as client:
        follow = client.follow(place=place)
        assert next(follow).id == "t1"
        assert asked.wait(60)
        assert (next(follow).id, place.read()) == ("t2", "")
        with pytest.raises(SessionEndedError):
            next(follow)
    assert json.loads(place.read())["link"].endswith("position=2")


def test_a_reader_that_stops_asks_for_nothing_more() -> None:
    async def one() -> int:
        waiting = asyncio.Event()
        script = Script(page(1, more=True))

        async def answer(request: httpx.Request) -> httpx.Response:
            if script.asked:
                waiting.set()
                await asyncio.Event().wait()
            return script(request)

        transport = httpx.MockTransport(answer)
        async with AsyncClient(BASE, "k", transport=transport) as client:
            follow = client.follow()
            assert (await anext(follow)).id == "t1"
            await waiting.wait()
            await follow.aclose()
        return len(asyncio.all_tasks())

    assert asyncio.run(one()) == 1


def test_an_ended_session_is_told() -> None:
    script = Script(refused(410, "session_ended"))
    with script.client() as client, pytest.raises(SessionEndedError):
        next(client.follow())


def test_an_empty_page_is_held_by_the_service() -> None:
    script = Script(page(1), page(), page(2))
    with script.client() as client:
        follow = client.follow(wait=7)
        assert [next(follow).id, next(follow).id] == ["t1", "t2"]
    assert [one.url.params.get("wait") for one in script.asked] == [None, "7", "7"]


def test_a_tombstone_is_gone() -> None:
    with Script(data({"items": [entry(1, "killed")], "next_page": "/x?a=b"})).client() as client:
        (one,) = client.feed()
    assert (one.gone, one.item.body) == (True, "")


def events(*entries: dict[str, Any], ids: bool = True) -> httpx.Response:
    parts = [": alive\n\n"]
    for one in entries:
        told = one["meta"]["transition"]
        head = f"id: s:{told['position']}\n" if ids else ""
        parts.append(f"{head}event: {told['kind']}\ndata: {json.dumps(one)}\n\n")
    return httpx.Response(200, text="".join(parts), headers={"content-type": "text/event-stream"})


def test_a_stream_goes_on_after_a_lost_connection(folder: Path) -> None:
    place = MemoryPlace()
    ahead = events(entry(9, "killed"), ids=False)
    script = Script(
        events(entry(1), entry(2)),
        httpx.ConnectError("gone"),
        ahead,
        events(entry(3), entry(9, "killed"), entry(10)),
    )
    with script.client() as client:
        stream = client.stream("ferry", place=place)
        got = [next(stream) for _ in range(5)]
    assert [one.id for one in got] == ["t1", "t2", "t9", "t3", "t10"]
    assert got[2].gone
    resumed = [one.headers.get("last-event-id") for one in script.asked]
    assert resumed == [None, "s:2", "s:2", "s:2"]
    assert script.asked[1].url.query == b""


def test_events_of_several_lines() -> None:
    lines = EventLines()
    found = [
        lines.take(one) for one in ("data: a", "data:b", ": x", "retry: 1", "", "", "event: e")
    ]
    assert [(one.name, one.data, one.id) for one in found if one] == [("message", "a\nb", "")]


def test_the_client_for_asyncio_does_the_same(folder: Path) -> None:
    script = Script(
        refused(503),
        hits("urn:a", next_page="/content/search?page=2"),
        hits("urn:b"),
        page(1, 2),
        events(entry(3)),
        httpx.Response(200, content=b"abc"),
        refused(410, "session_ended"),
    )

    async def ask() -> list[Any]:
        transport = httpx.MockTransport(script)
        async with AsyncClient(BASE, "k", retries=QUICK, transport=transport) as client:
            found: list[Any] = [hit.item.uri async for hit in client.search_all("x")]
            found += [one.id async for one in client.follow(once=True)]
            async for one in client.stream():
                found.append(one.id)
                break
            found.append(await client.download("/v1/media/x", io.BytesIO()))
            with pytest.raises(SessionEndedError):
                await client.feed()
        return found

    assert asyncio.run(ask()) == ["urn:a", "urn:b", "t1", "t2", "t3", 3]


# --- webhooks


def signed(secret: str, body: bytes, at: int = 1000) -> dict[str, str]:
    return headers((new_secret(), secret), "m1", at, body)


def test_a_webhook_of_the_service_is_verified() -> None:
    secret = new_secret()
    body = json.dumps(
        {"type": "item.killed", "timestamp": "2026-03-01T00:00:00Z", "data": entry(4, "killed")}
    ).encode()
    event = verify(secret, signed(secret, body), body, now=1100.0)
    assert (event.id, event.type) == ("m1", "item.killed")
    assert event.entry is not None
    assert (event.entry.id, event.entry.gone) == ("t4", True)
    upper = {name.upper(): value for name, value in signed(secret, body).items()}
    assert verify(secret, upper, body, now=900.0).id == "m1"


def test_the_published_example_is_verified() -> None:
    told = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    body, now = b'{"test": 2432232314}', 1614265330.0
    assert verify("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", told, body, now=now).raw == {
        "test": 2432232314
    }


Change = Callable[[dict[str, str]], object]


@pytest.mark.parametrize(
    "change",
    [
        lambda told: told.pop("webhook-id"),
        lambda told: told.pop("webhook-signature"),
        lambda told: told.update({"webhook-id": "m2"}),
        lambda told: told.update({"webhook-timestamp": "1001"}),
        lambda told: told.update({"webhook-timestamp": "soon"}),
        lambda told: told.update({"webhook-signature": "v1,"}),
        lambda told: told.update({"webhook-signature": "v1,ä"}),
    ],
)
def test_a_webhook_that_was_changed_is_refused(change: Change) -> None:
    secret, body = new_secret(), b'{"type": "webhook.test", "timestamp": "", "data": {}}'
    told = signed(secret, body)
    assert verify(secret, told, body, now=1000.0).entry is None
    with pytest.raises(SignatureError):
        verify(secret, told, body + b" ", now=1000.0)
    with pytest.raises(SignatureError):
        verify(new_secret(), told, body, now=1000.0)
    for now in (1301.0, 699.0):
        with pytest.raises(SignatureError):
            verify(secret, told, body, now=now)
    change(told)
    with pytest.raises(SignatureError):
        verify(secret, told, body, now=1000.0)
