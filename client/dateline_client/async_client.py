"""The client for asyncio: the methods of `Client`, to be awaited."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from types import TracebackType
from typing import Any, BinaryIO, TypeVar

import httpx

from dateline_client import calls
from dateline_client.calls import Call, Value
from dateline_client.client import HEADER, TIMEOUT_S, WAIT_S
from dateline_client.events import TOPIC, EventLines
from dateline_client.places import MemoryPlace, Place, Progress
from dateline_client.retries import Retries, refusal, unreachable
from dateline_client.values import (
    Difference,
    Entry,
    FeedPage,
    Hit,
    Job,
    Match,
    SearchPage,
    Topic,
    Webhook,
)

T = TypeVar("T")


class AsyncClient:
    """A client of one service with one key; close it, or use it in an `async with`."""

    def __init__(
        self,
        base_url: str,
        key: str,
        *,
        retries: Retries | None = None,
        timeout_s: float = TIMEOUT_S,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._retries = retries or Retries()
        self._key = key
        self._http = httpx.AsyncClient(
            base_url=base_url.rstrip("/"),
            timeout=timeout_s,
            transport=transport,
        )

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    # --- search

    async def search(self, q: str = "", **filters: Value) -> SearchPage:
        """Return the first page of an answer. `filters` are the parameters of GET /content/search,
        such as `type`, `since` and `page_size`.
        """
        return await self._ask(calls.search(q, filters))

    async def next_page(self, page: SearchPage) -> SearchPage | None:
        """Return the page after this one; None after the last."""
        if not page.next_page:
            return None
        return await self._ask(calls.page(page.next_page))

    async def search_all(self, q: str = "", **filters: Value) -> AsyncIterator[Hit]:
        """Yield every hit of an answer, page by page."""
        page: SearchPage | None = await self.search(q, **filters)
        while page is not None:
            for hit in page:
                yield hit
            page = await self.next_page(page)

    async def item(self, uri: str) -> Hit:
        """Return one item, whole. Raises AnswerError (404) if there is none for this key."""
        return await self._ask(calls.item(uri))

    async def diff(self, uri: str, since: int, until: int | None = None) -> Difference:
        """Return what changed in an item from version `since` to version `until`, or to the newest
        one. Raises AnswerError (404) if this key may not see both.
        """
        return await self._ask(calls.diff(uri, since, until))

    async def download(self, address: str, to: BinaryIO) -> int:
        """Write what is at an address, such as `Item.rendition` returns, to a file; return its size
        in bytes. Raises ValueError for "": the item has no such rendition.
        """
        if not address:
            raise ValueError("the address is empty: the item has no such rendition")
        attempt = 1
        while True:
            start = to.tell()
            answer = None
            try:
                async with self._http.stream(
                    "GET", self._path(address), headers=self._headers(address)
                ) as answer:
                    if answer.status_code == 200:
                        async for part in answer.aiter_bytes():
                            to.write(part)
                        return to.tell() - start
                    await answer.aread()
            except httpx.TransportError as error:
                await self._pause(attempt, answer, error, safe=True)
            else:
                await self._pause(attempt, answer, None, safe=True)
            to.seek(start)
            to.truncate()
            attempt += 1

    # --- feeds

    async def feed(
        self, q: str = "", *, begin: str = "start", page_size: int = 100, label: str = ""
    ) -> FeedPage:
        """Return the first page of a new session of the feed. `begin` is start, now, or a time."""
        return await self._ask(calls.feed(q, begin, page_size, label))

    async def feed_page(self, link: str, *, wait: int = 0) -> FeedPage:
        """Return the page that `next_page` names. The service holds an empty page open for `wait`
        seconds at most.
        """
        return await self._ask(calls.feed_page(link, wait))

    async def follow(
        self,
        q: str = "",
        *,
        place: Place | None = None,
        begin: str = "start",
        page_size: int = 100,
        label: str = "",
        wait: int = WAIT_S,
        once: bool = False,
    ) -> AsyncIterator[Entry]:
        """Yield what becomes of stories, in order and each once. It never ends; with `once` it ends
        when nothing is new.

        The place is kept when the loop asks for the entry after a page. So store each entry before
        the loop goes on: after a crash, the entries of the last page come again. If there is more,
        the next page is read while you deal with this one. Raises SessionEndedError: begin
        with an empty place.
        """
        progress = Progress(place or MemoryPlace(), "feed")
        first = calls.feed(q, begin, page_size, label)
        held = 0 if once else wait
        call = calls.feed_page(progress.link, held) if progress.link else first
        page = await self._ask(call)
        coming: asyncio.Task[FeedPage] | None = None
        try:
            while True:
                if page.more:
                    coming = asyncio.create_task(self.feed_page(page.next_page, wait=held))
                for entry in page:
                    if progress.is_new(entry.id):
                        yield entry
                if page.next_page != progress.link:
                    progress.keep(page.next_page)
                if coming is not None:
                    page, coming = await coming, None
                elif once:
                    return
                else:
                    page = await self.feed_page(progress.link, wait=held)
        finally:
            if coming is not None:
                coming.cancel()
                await asyncio.wait((coming,))

    async def stream(
        self,
        q: str = "",
        *,
        place: Place | None = None,
        begin: str = "start",
        label: str = "",
    ) -> AsyncIterator[Entry]:
        """Yield the same as `follow`, by server-sent events and without end. Kills come before what
        waits. After a lost connection it goes on by itself. Raises SessionEndedError.
        """
        progress = Progress(place or MemoryPlace(), "stream")
        params = calls.given(q=q, begin=begin, session_label=label)
        attempt = 1
        while True:
            answer, cause = None, None
            resumed = {"last-event-id": progress.link} if progress.link else {}
            try:
                async with self._http.stream(
                    "GET",
                    "/content/stream",
                    params={} if resumed else params,
                    headers={**self._headers("/"), **resumed},
                ) as answer:
                    if answer.status_code == 200:
                        async for entry in self._events(answer, progress):
                            attempt = 1
                            yield entry
                    else:
                        await answer.aread()
            except httpx.TransportError as error:
                cause = error
            if answer is None or cause is not None or answer.status_code != 200:
                await self._pause(attempt, answer, cause, safe=True)
            else:
                await asyncio.sleep(self._retries.first_s)  # the service ended the stream
            attempt += 1

    async def _events(self, answer: httpx.Response, progress: Progress) -> AsyncIterator[Entry]:
        lines = EventLines()
        async for line in answer.aiter_lines():
            event = lines.take(line)
            if event is None or event.name == TOPIC:  # the entry that follows names the topics too
                continue
            entry = Entry.of(json.loads(event.data))
            if progress.is_new(entry.id):
                yield entry
            if event.id:
                progress.keep(event.id)

    # --- topics and webhooks

    async def topics(self) -> tuple[Topic, ...]:
        """Return the account's followed topics."""
        return await self._ask(calls.topics())

    async def create_topic(self, name: str, query: str, *, emails: Sequence[str] = ()) -> Topic:
        """Follow a topic: the items that match `query`, of which every word counts. Mails to
        `emails` say how many matched.
        """
        return await self._ask(calls.create_topic(name, query, emails))

    async def delete_topic(self, topic: int) -> None:
        """Stop following a topic."""
        await self._ask(calls.delete_topic(topic))

    async def matches(self, after: int = 0, *, limit: int = 100) -> tuple[tuple[Match, ...], int]:
        """Return what matched the topics after a position, and the position to go on from."""
        return await self._ask(calls.matches(after, limit))

    async def webhooks(self) -> tuple[Webhook, ...]:
        """Return the account's webhooks."""
        return await self._ask(calls.webhooks())

    async def create_webhook(
        self, url: str, *, q: str = "", topics: Sequence[int] = (), kinds: Sequence[str] = ()
    ) -> Webhook:
        """Create a webhook. Keep its `secret`: it is never told again."""
        settings = {"q": q, "topics": list(topics), "kinds": list(kinds)}
        return await self._ask(calls.create_webhook(url, settings))

    async def change_webhook(self, webhook: str, **settings: Value) -> Webhook:
        """Change url, q, topics, kinds or state (active, paused)."""
        return await self._ask(calls.change_webhook(webhook, settings))

    async def delete_webhook(self, webhook: str) -> None:
        """Delete a webhook."""
        await self._ask(calls.delete_webhook(webhook))

    async def rotate_secret(self, webhook: str, *, overlap_hours: float = 24.0) -> Webhook:
        """Return the webhook with a new secret. Messages are signed with both until the overlap
        ends.
        """
        return await self._ask(calls.rotate_secret(webhook, overlap_hours))

    async def test_webhook(self, webhook: str) -> None:
        """Ask the service to send a test message."""
        await self._ask(calls.test_webhook(webhook))

    async def replay_webhook(self, webhook: str) -> int:
        """Ask the service to send all dead letters again; return how many there are."""
        return await self._ask(calls.replay_webhook(webhook))

    # --- jobs

    async def order_job(self, name: str, kind: str, options: Mapping[str, Any]) -> Job:
        """Order a job of a name that you choose, and return it. The same name, kind and options are
        the same job, so an order may be sent twice; an operation that failed is tried again. Raises
        AnswerError: 409 if the name is that of another job.
        """
        return await self._ask(calls.order_job(name, kind, options))

    async def job(self, name: str) -> Job:
        """Return a job as it is now. Raises AnswerError (404) if there is none of that name."""
        return await self._ask(calls.job(name))

    async def cancel_job(self, name: str) -> Job:
        """Cancel a job, and return it. What it has put into the archive stays there."""
        return await self._ask(calls.cancel_job(name))

    # --- How every method above asks the service

    def _headers(self, address: str) -> dict[str, str]:
        """Return the header with the key, for addresses of the service only."""
        url, base = httpx.URL(address), self._http.base_url
        ours = not url.host or (url.scheme, url.host, url.port) == (
            base.scheme,
            base.host,
            base.port,
        )
        return {HEADER: self._key} if ours else {}

    def _path(self, address: str) -> str:
        """Return the address without the base's path prefix, because httpx adds that prefix to
        every address.
        """
        prefix = self._http.base_url.path.rstrip("/")
        return address.removeprefix(prefix) if address.startswith(f"{prefix}/") else address

    async def _ask(self, call: Call[T]) -> T:
        attempt = 1
        while True:
            answer, cause = None, None
            try:
                answer = await self._http.request(
                    call.method,
                    self._path(call.path),
                    params=call.params,
                    json=call.json,
                    headers=self._headers(call.path),
                )
            except httpx.TransportError as error:
                cause = error
            if answer is not None and answer.is_success:
                return call.read(calls.data_of(answer.content))
            await self._pause(attempt, answer, cause, safe=call.safe)
            attempt += 1

    async def _pause(
        self,
        attempt: int,
        answer: httpx.Response | None,
        cause: httpx.TransportError | None,
        *,
        safe: bool,
    ) -> None:
        """Wait before the next attempt. Raises the error if there is none."""
        wait = self._retries.wait_s(attempt, None if cause else answer, safe=safe)
        if wait is None:
            if cause is not None:
                raise unreachable(cause) from cause
            assert answer is not None
            raise refusal(answer)
        await asyncio.sleep(wait)
