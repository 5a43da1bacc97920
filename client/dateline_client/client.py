"""The client that waits for answers."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, BinaryIO, TypeVar

import httpx

from dateline_client import calls
from dateline_client.ahead import begun
from dateline_client.calls import Call, Value
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
HEADER = "x-api-key"
TIMEOUT_S = 30.0
WAIT_S = 15  # how long the service holds an empty page of a feed


class Client:
    """A client of one service with one key. Thread-safe; close it, or use it in a `with`."""

    def __init__(
        self,
        base_url: str,
        key: str,
        *,
        retries: Retries | None = None,
        timeout_s: float = TIMEOUT_S,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._retries = retries or Retries()
        self._key = key
        self._http = httpx.Client(
            base_url=base_url.rstrip("/"),
            timeout=timeout_s,
            transport=transport,
        )

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    # --- search

    def search(self, q: str = "", **filters: Value) -> SearchPage:
        """Return the first page of an answer. `filters` are the parameters of GET /content/search,
        such as `type`, `since` and `page_size`.
        """
        return self._ask(calls.search(q, filters))

    def next_page(self, page: SearchPage) -> SearchPage | None:
        """Return the page after this one; None after the last."""
        if not page.next_page:
            return None
        return self._ask(calls.page(page.next_page))

    def search_all(self, q: str = "", **filters: Value) -> Iterator[Hit]:
        """Yield every hit of an answer, page by page."""
        page: SearchPage | None = self.search(q, **filters)
        while page is not None:
            yield from page
            page = self.next_page(page)

    def item(self, uri: str) -> Hit:
        """Return one item, whole. Raises AnswerError (404) if there is none for this key."""
        return self._ask(calls.item(uri))

    def diff(self, uri: str, since: int, until: int | None = None) -> Difference:
        """Return what changed in an item from version `since` to version `until`, or to the newest
        one. Raises AnswerError (404) if this key may not see both.
        """
        return self._ask(calls.diff(uri, since, until))

    def download(self, address: str, to: BinaryIO) -> int:
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
                with self._http.stream(
                    "GET", self._path(address), headers=self._headers(address)
                ) as answer:
                    if answer.status_code == 200:
                        to.writelines(answer.iter_bytes())
                        return to.tell() - start
                    answer.read()
            except httpx.TransportError as error:
                self._pause(attempt, answer, error, safe=True)
            else:
                self._pause(attempt, answer, None, safe=True)
            to.seek(start)
            to.truncate()
            attempt += 1

    # --- feeds

    def feed(
        self, q: str = "", *, begin: str = "start", page_size: int = 100, label: str = ""
    ) -> FeedPage:
        """Return the first page of a new session of the feed. `begin` is start, now, or a time."""
        return self._ask(calls.feed(q, begin, page_size, label))

    def feed_page(self, link: str, *, wait: int = 0) -> FeedPage:
        """Return the page that `next_page` names. The service holds an empty page open for `wait`
        seconds at most.
        """
        return self._ask(calls.feed_page(link, wait))

    def follow(
        self,
        q: str = "",
        *,
        place: Place | None = None,
        begin: str = "start",
        page_size: int = 100,
        label: str = "",
        wait: int = WAIT_S,
        once: bool = False,
    ) -> Iterator[Entry]:
        """Yield what becomes of stories, in order and each once. It never ends; with `once` it ends
        when nothing is new.

        The place is kept when the loop asks for the entry after a page. So store each entry before
        the loop goes on: after a crash, the entries of the last page come again. If there is more,
        the next page is read in a thread while you deal with this one. Raises SessionEndedError:
        begin with an empty place.
        """
        progress = Progress(place or MemoryPlace(), "feed")
        first = calls.feed(q, begin, page_size, label)
        held = 0 if once else wait
        call = calls.feed_page(progress.link, held) if progress.link else first
        page = self._ask(call)
        while True:
            coming = begun(self._ask, calls.feed_page(page.next_page, held)) if page.more else None
            yield from (entry for entry in page if progress.is_new(entry.id))
            if page.next_page != progress.link:
                progress.keep(page.next_page)
            if coming is not None:
                page = coming.result()
            elif once:
                return
            else:
                page = self.feed_page(progress.link, wait=held)

    def stream(
        self,
        q: str = "",
        *,
        place: Place | None = None,
        begin: str = "start",
        label: str = "",
    ) -> Iterator[Entry]:
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
                with self._http.stream(
                    "GET",
                    "/content/stream",
                    params={} if resumed else params,
                    headers={**self._headers("/"), **resumed},
                ) as answer:
                    if answer.status_code == 200:
                        for entry in self._events(answer, progress):
                            attempt = 1
                            yield entry
                    else:
                        answer.read()
            except httpx.TransportError as error:
                cause = error
            if answer is None or cause is not None or answer.status_code != 200:
                self._pause(attempt, answer, cause, safe=True)
            else:
                time.sleep(self._retries.first_s)  # the service ended the stream
            attempt += 1

    def _events(self, answer: httpx.Response, progress: Progress) -> Iterator[Entry]:
        lines = EventLines()
        for line in answer.iter_lines():
            event = lines.take(line)
            if event is None or event.name == TOPIC:  # the entry that follows names the topics too
                continue
            entry = Entry.of(json.loads(event.data))
            if progress.is_new(entry.id):
                yield entry
            if event.id:
                progress.keep(event.id)

    # --- topics and webhooks

    def topics(self) -> tuple[Topic, ...]:
        """Return the account's followed topics."""
        return self._ask(calls.topics())

    def create_topic(self, name: str, query: str, *, emails: Sequence[str] = ()) -> Topic:
        """Follow a topic: the items that match `query`, of which every word counts. Mails to
        `emails` say how many matched.
        """
        return self._ask(calls.create_topic(name, query, emails))

    def delete_topic(self, topic: int) -> None:
        """Stop following a topic."""
        self._ask(calls.delete_topic(topic))

    def matches(self, after: int = 0, *, limit: int = 100) -> tuple[tuple[Match, ...], int]:
        """Return what matched the topics after a position, and the position to go on from."""
        return self._ask(calls.matches(after, limit))

    def webhooks(self) -> tuple[Webhook, ...]:
        """Return the account's webhooks."""
        return self._ask(calls.webhooks())

    def create_webhook(
        self, url: str, *, q: str = "", topics: Sequence[int] = (), kinds: Sequence[str] = ()
    ) -> Webhook:
        """Create a webhook. Keep its `secret`: it is never told again."""
        settings = {"q": q, "topics": list(topics), "kinds": list(kinds)}
        return self._ask(calls.create_webhook(url, settings))

    def change_webhook(self, webhook: str, **settings: Value) -> Webhook:
        """Change url, q, topics, kinds or state (active, paused)."""
        return self._ask(calls.change_webhook(webhook, settings))

    def delete_webhook(self, webhook: str) -> None:
        """Delete a webhook."""
        self._ask(calls.delete_webhook(webhook))

    def rotate_secret(self, webhook: str, *, overlap_hours: float = 24.0) -> Webhook:
        """Return the webhook with a new secret. Messages are signed with both until the overlap
        ends.
        """
        return self._ask(calls.rotate_secret(webhook, overlap_hours))

    def test_webhook(self, webhook: str) -> None:
        """Ask the service to send a test message."""
        self._ask(calls.test_webhook(webhook))

    def replay_webhook(self, webhook: str) -> int:
        """Ask the service to send all dead letters again; return how many there are."""
        return self._ask(calls.replay_webhook(webhook))

    # --- jobs

    def order_job(self, name: str, kind: str, options: Mapping[str, Any]) -> Job:
        """Order a job of a name that you choose, and return it. The same name, kind and options are
        the same job, so an order may be sent twice; an operation that failed is tried again. Raises
        AnswerError: 409 if the name is that of another job.
        """
        return self._ask(calls.order_job(name, kind, options))

    def job(self, name: str) -> Job:
        """Return a job as it is now. Raises AnswerError (404) if there is none of that name."""
        return self._ask(calls.job(name))

    def cancel_job(self, name: str) -> Job:
        """Cancel a job, and return it. What it has put into the archive stays there."""
        return self._ask(calls.cancel_job(name))

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

    def _ask(self, call: Call[T]) -> T:
        attempt = 1
        while True:
            answer, cause = None, None
            try:
                answer = self._http.request(
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
            self._pause(attempt, answer, cause, safe=call.safe)
            attempt += 1

    def _pause(
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
        time.sleep(wait)
