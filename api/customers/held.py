"""Reads pages of a feed, and holds a request until there is something to tell, without a thread.

A page is read and written as an answer in one call of the pool. So nothing waits between the last
look at the record and the answer, and the loop that reads all requests neither writes JSON nor
compresses it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from fastapi import Request
from starlette.responses import Response

from api.access.callers import Surface, keys_for, unknown_key
from api.access.counted import counted
from api.problems import TooManyError
from core.callers import Caller
from core.customers.transitions import Position
from core.errors import NotFoundError
from core.query_tree import Node
from customers.feed import Entry, Feed
from customers.readers import Readers

_NO_FEED = "This service has no feed."


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a feed as JSON. A page with items that is for an answer has that `answer`."""

    items: list[dict[str, Any]]
    position: Position
    more: bool
    answer: Response | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """Who reads what of the feed. `caller` returns the caller as its key is in force at the moment,
    because an account may lose products while a request is held. `write` makes JSON of entries,
    `answer` the answer of a page with some.
    """

    surface: Surface
    feed: Feed
    readers: Readers
    caller: Callable[[], Caller]
    tree: Node
    size: int
    write: Callable[[Caller, Sequence[Entry]], list[dict[str, Any]]]
    answer: Callable[[Page], Response] | None = None

    async def page(self, position: Position) -> Page:
        """Return the page after a position."""
        caller = self.caller()

        def read() -> Page:
            page = self.feed.read(caller, self.tree, position, self.size, whole=False)
            return self.told(Page(self.write(caller, page.entries), page.position, page.more))

        return await self.surface.feeds.run(read, caller)

    def told(self, page: Page) -> Page:
        """Return the page with its answer, if it has items; for a thread of the pool."""
        if self.answer is None or not page.items:
            return page
        return replace(page, answer=self.answer(page))

    async def held(self, position: Position, seconds: float) -> Page:
        """Return the next page with something in it, or an empty one after this many seconds."""
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        if seconds and self.readers.is_end(position):
            page = Page([], position, more=False)  # most answers that are held begin so
        else:
            page = await self.page(position)
        while not (page.items or page.more or self.readers.closed or loop.time() >= until):
            woken = asyncio.Event()
            waiting = self.readers.wait(
                self.caller(), self.tree, page.position, _waker(loop, woken)
            )
            if waiting is not None:
                try:
                    await asyncio.wait_for(woken.wait(), until - loop.time())
                except TimeoutError:
                    return Page([], self.readers.leave(waiting), more=False)
                finally:
                    position = self.readers.leave(waiting)
                page = Page([], position, more=False)
            page = await self.page(page.position)
        return page


async def polled(
    request: Request,
    reading: Reading,
    caller: Caller,
    position: Position,
    held: Callable[[], Awaitable[Page]],
) -> Page:
    """Return the `held` page of a poll, which counts in the quota of its account. Over the quota it
    is the kills behind the position, which stays, so that no quota delays a kill. Raises
    TooManyError if there are none.
    """
    counted(request, reading.surface.services, caller)
    quota = getattr(request.state, "quota", None)
    if quota is None or not quota.is_refused:
        page = await held()
        request.state.items = len(page.items)
        return page

    def read() -> Page:
        now = reading.caller()
        kills = reading.write(now, reading.feed.all_kills(now, position.n))
        return reading.told(Page(kills, position, False))

    page = await reading.surface.feeds.run(read, caller)
    if not page.items:
        raise TooManyError("The quota of requests for feed is used up.", quota.retry_after)
    return page


def _waker(loop: asyncio.AbstractEventLoop, woken: asyncio.Event) -> Callable[[], object]:
    return lambda: loop.call_soon_threadsafe(woken.set)


def feed_of(surface: Surface) -> tuple[Feed, Readers]:
    """Return the feed and its readers. Raises NotFoundError for a service without them."""
    feed, readers = surface.services.feed, surface.services.readers
    if feed is None or readers is None:
        raise NotFoundError(_NO_FEED, mend="The API is described at /docs.")
    return feed, readers


def caller_now(request: Request, surface: Surface, key: str) -> Callable[[], Caller]:
    """Return a function that returns the caller of a key with its present rights. It raises
    UnknownKeyError for a key that was revoked.
    """

    def caller() -> Caller:
        found = keys_for(request, surface).caller(key)
        if found is None:
            raise unknown_key()
        return found

    return caller
