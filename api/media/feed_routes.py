"""AP's operation `/content/feed`: what became of stories, page by page, held while nothing comes.

The first call begins a session and freezes its parameters. `next_page` names the session (`qt`) and
a place in it (`seq`), so it does not grow by being followed, and the same link gives the same
stretch again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from time import monotonic
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from api.access.callers import LinksDep, Surface, SurfaceDep
from api.access.receipts import receiving
from api.access.services import Services
from api.content.media_links import MediaLinks
from api.customers.feed_routes import KeyDep, KnownCallerDep, resumed
from api.customers.held import Page, Reading, caller_now, feed_of, polled
from api.customers.monitor_json import session_json
from api.media.account_routes import title_of
from api.media.answers import answer, now
from api.media.content_routes import results
from api.media.contract import served
from api.media.items import asked_view
from api.media.links import PREFIX, Addresses, addresses_of
from api.media.parameters import PAGE_SIZE, Label, PageSize, Priced, Token
from api.media.sold import in_our_words, prices_of, sold_to
from api.problems import ParameterError
from api.search.parameters import read_time
from core.callers import Caller
from core.customers.transitions import FeedSession, Position, TransitionKind
from customers.accounts.trees import time_text
from customers.feed import Entry, Feed, position_text, read_position
from search.answers import MAX_QUERY_CHARACTERS

router = APIRouter(prefix=PREFIX, tags=["AP Media API: content"])
PATH = "/content/feed"
AVAILABLE = timedelta(days=30)  # as AP's guide says; a query with an earlier mindate begins there
_MINDATE = re.compile(
    r"\bmindate\s*:\s*\"?>?=?\s*(\d{4}-\d{2}-\d{2}(?:T[\d:.]+Z?)?)", re.IGNORECASE
)
_FROZEN = ("include", "exclude", "pricing", "in_my_plan", "versions", "page_size", "with_monitor")


class FeedAsked(Priced):
    """What `GET /media/v/content/feed` takes."""

    q: str = Field(
        default="",
        max_length=MAX_QUERY_CHARACTERS,
        description="Only items that match, strictly. Notices of kills come whatever it says.",
    )
    page_size: PageSize = Field(default=PAGE_SIZE, description="Items per page, 1 to 100.")
    session_label: Label | None = Field(default=None, description="A label that comes back.")
    with_monitor: str | None = Field(
        default=None,
        min_length=4,
        max_length=24,
        pattern=r"^[a-zA-Z0-9_.-]*$",
        description="The monitor that watches this session.",
    )
    qt: Token = Field(default="", description="The session to go on with, as next_page has it.")
    seq: Token = Field(default="", description="The place in it, as next_page has it.")


PARAMETERS: dict[str, type[BaseModel]] = {f"{PREFIX}{PATH}": FeedAsked}


@served(router, PATH, "AP: what became of stories, in order")
async def feed(
    request: Request,
    surface: SurfaceDep,
    known: KnownCallerDep,
    key: KeyDep,
    links: LinksDep,
    asked: Annotated[FeedAsked, Query()],
) -> Response:
    """One page: whole items, and of what was taken away its uri, id, version and `pubstatus`.

    Follow `next_page` with nothing but the key. An answer without items is held for up to 15
    seconds. Items come at least once; drop what you know by `meta.transition.id`.
    """
    source, readers = feed_of(surface)
    session, position = await _session(surface, source, known, asked)
    frozen = _frozen(session, asked)
    tell = partial(_answer, request, surface, known, session, frozen)
    reading = Reading(
        surface,
        source,
        readers,
        caller_now(request, surface, key or ""),
        source.tree(session),
        frozen.page_size,
        _writing(surface, source, frozen, links, addresses_of(request)),
        tell,
    )
    seconds = surface.services.settings.held_seconds
    held = partial(_held, reading, position, seconds)
    page = await polled(request, reading, known, position, held)
    if page.answer is None and _is_watched(surface, session):
        return await surface.feeds.run(lambda: tell(page), known)
    return page.answer or tell(page)


def _answer(
    request: Request,
    surface: Surface,
    known: Caller,
    session: FeedSession,
    asked: FeedAsked,
    page: Page,
) -> Response:
    """Return the answer with a page of a session. For a thread of a pool if the session is
    watched.
    """
    monitor = _monitor(request, surface, known, session)
    told = _data(page, session, asked, addresses_of(request))
    title = title_of(surface.services, known)
    return answer(request, title, told, id=session.id, session_label=session.label, **monitor)


def _data(
    page: Page, session: FeedSession, asked: FeedAsked, addresses: Addresses
) -> dict[str, Any]:
    """Return the `data` of an answer with a page of a session."""
    place = [("qt", session.id), ("seq", position_text(page.position))]
    return {
        "query": asked.q,
        "updated": now(),
        "page_size": asked.page_size,
        "current_item_count": len(page.items),
        "next_page": addresses.of(PATH, place),
        "items": page.items,
    }


async def _held(reading: Reading, position: Position, seconds: float) -> Page:
    """Return the next page with something in it, or what there is after this many seconds. A
    stretch without anything for the session is skipped within that time.
    """
    until = monotonic() + seconds
    page = await reading.held(position, seconds)
    while page.more and not page.items and (left := until - monotonic()) > 0:
        page = await reading.held(page.position, left)
    return page


def _is_watched(surface: Surface, session: FeedSession) -> bool:
    """Return whether the session names a monitor."""
    return surface.services.monitoring is not None and "with_monitor" in session.parameters


def _monitor(
    request: Request, surface: Surface, caller: Caller, session: FeedSession
) -> dict[str, Any]:
    """Count the request for the monitor that the session names, and return the monitor's state;
    nothing without one.
    """
    monitoring, name = surface.services.monitoring, session.parameters.get("with_monitor", "")
    if monitoring is None or not name:
        return {}
    agent = request.headers.get("user-agent", "")
    monitoring.seen(caller, session.id, name, label=session.label, agent=agent)
    root = f"{addresses_of(request).base}/account/monitors/sessions"
    return {"monitor": session_json(monitoring.session(caller, session.id), root)["monitor"]}


async def _session(
    surface: Surface, source: Feed, caller: Caller, asked: FeedAsked
) -> tuple[FeedSession, Position]:
    """Return the session that a request begins or goes on with, and the place to read from. Raises
    SessionEndedError.
    """
    if asked.qt:
        position = read_position(asked.seq or "0")
        session = await resumed(surface, source, caller, asked.qt, position)
        return session, position if asked.seq else session.first
    if asked.with_monitor:
        await surface.feeds.run(
            lambda: _check_monitor(surface, caller, asked.with_monitor or ""), caller
        )
    query = await surface.feeds.run(lambda: _query(surface, caller, asked.q), caller)
    frozen = {name: _text(getattr(asked, name)) for name in _FROZEN}
    parameters = {"q": query, "asked": asked.q, **frozen}
    kept = {name: value for name, value in parameters.items() if value}
    first = _beginning(asked.q, source.now())
    label = asked.session_label or ""
    session = await surface.feeds.run(lambda: source.begin(caller, kept, label, first), caller)
    return session, session.first


def _query(surface: Surface, caller: Caller, query: str) -> str:
    """Return a query with our product codes, and with the queries of the followed topics that it
    names.
    """
    topics = surface.services.topics
    own = in_our_words(query, sold_to(surface.services, caller))
    return topics.written_out(own, caller) if topics else own


def _check_monitor(surface: Surface, caller: Caller, name: str) -> None:
    """Raise ParameterError if the caller's account has no monitor of this name."""
    monitoring = surface.services.monitoring
    if monitoring is None or all(one.name != name for one in monitoring.all(caller)):
        raise ParameterError(
            f"There is no monitor '{name}'.",
            field="with_monitor",
            mend="Create it first: POST /account/monitors/create.",
        )


def _text(value: Any) -> str:
    """Return a parameter as a session keeps it."""
    if isinstance(value, list):
        return ",".join(value)
    return "" if value is None or value is False else str(value)


def _frozen(session: FeedSession, asked: FeedAsked) -> FeedAsked:
    """Return the parameters of a session. What a request says itself of members goes before
    them.
    """
    kept = session.parameters
    told = asked.model_dump(exclude_unset=True, include={"include", "exclude"})
    return FeedAsked(
        q=kept.get("asked", ""),
        **{
            **{name: kept[name].lower() for name in ("pricing", "in_my_plan") if name in kept},
            **{name: kept[name] for name in ("include", "exclude", "page_size") if name in kept},
            **told,
        },
    )


def _beginning(query: str, moment: datetime) -> datetime:
    """Return the moment at which a new session begins: that of `mindate`, or 30 days ago."""
    found = _MINDATE.search(query)
    try:
        return read_time(found[1], end=False) if found else moment - AVAILABLE
    except ValueError:
        return moment - AVAILABLE


def _writing(
    surface: Surface,
    source: Feed,
    asked: FeedAsked,
    links: MediaLinks | None,
    addresses: Addresses,
) -> Callable[[Caller, Sequence[Entry]], list[dict[str, Any]]]:
    """Return a function that makes AP's results of a session's entries."""

    def write(caller: Caller, entries: Sequence[Entry]) -> list[dict[str, Any]]:
        receive = receiving(surface.services, caller, "feed", synced=True)
        view = asked_view(
            caller, asked.include, asked.exclude, links, addresses, whole=True, receive=receive
        )
        entries = source.with_items(entries)
        if asked.in_my_plan:
            entries = _included(surface.services, caller, entries)
        whole = [(entry.item, entry) for entry in entries if entry.item is not None]
        metas = [{"transition": transition_json(entry)} for _, entry in whole]
        ids = [entry.head.id for _, entry in whole if entry.head is not None]
        items = [item for item, _ in whole]
        shown = iter(results(items, metas, view, asked, surface.services, ids))
        return [
            next(shown) if entry.item is not None else tombstone(entry, addresses)
            for entry in entries
        ]

    return write


def _included(services: Services, caller: Caller, entries: Sequence[Entry]) -> list[Entry]:
    """Return the entries whose items cost nothing beyond the caller's plans, and all tombstones."""
    items = [entry.item for entry in entries if entry.item is not None]
    prices = iter(prices_of(services, caller, items))
    return [entry for entry in entries if entry.item is None or next(prices).included]


def transition_json(entry: Entry) -> dict[str, Any]:
    """Return the transition; its `id` is the same on every surface."""
    moved = entry.transition
    return {"id": moved.id, "kind": str(entry.kind), "at": time_text(moved.at)}


def tombstone(entry: Entry, addresses: Addresses) -> dict[str, Any]:
    """Return the tombstone of an item that was taken away."""
    itemid = entry.itemid or entry.transition.uri
    killed = entry.kind is TransitionKind.KILLED
    return {
        "meta": {"transition": transition_json(entry)},
        "item": {
            "uri": addresses.item(itemid),
            "altids": {"itemid": itemid},
            "version": entry.version,
            "pubstatus": "canceled" if killed else "withheld",
        },
    }
