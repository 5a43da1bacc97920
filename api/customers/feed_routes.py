"""The route `GET /content/feed`: what became of stories, page by page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query, Request, Security
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from api import contract
from api.access.callers import KEY_HEADER, LinksDep, Surface, SurfaceDep, known_caller_of
from api.access.receipts import receiving
from api.content.media_links import MediaLinks
from api.customers.feed_json import entries_json
from api.customers.held import Page, Reading, caller_now, feed_of, polled
from api.envelope import Json, base, rfc3339
from api.formats.items import ItemView
from api.problems import ParameterError
from api.search.parameters import WHAT_TO_EXCLUDE, WHAT_TO_INCLUDE, MemberNames, read_time
from core.callers import Caller
from core.customers.transitions import START, FeedSession, Position
from customers.feed import Entry, Feed, position_text, read_position
from search.answers import MAX_QUERY_CHARACTERS

PATH = "/content/feed"
router = APIRouter(tags=["feed"])
PAGE_SIZE, MOST = 20, 200
_WAIT_S = 15
_LABEL = r"^[a-zA-Z0-9_. -]*$"

KnownCallerDep = Annotated[Caller, Depends(known_caller_of)]
KeyDep = Annotated[str | None, Security(KEY_HEADER)]


class SessionParameters(BaseModel):
    """What begins a session of a feed or a stream, and what goes on with one."""

    model_config = ConfigDict(extra="forbid")

    q: str = Field(
        default="",
        max_length=MAX_QUERY_CHARACTERS,
        description="Only items that match, strictly: a word must be there. Kills come whatever"
        " it says.",
    )
    include: MemberNames = Field(default_factory=list, description=WHAT_TO_INCLUDE)
    exclude: MemberNames = Field(default_factory=list, description=WHAT_TO_EXCLUDE)
    begin: str = Field(
        default="start",
        max_length=40,
        description="Where a new session begins: `start`, `now`, or a date or time.",
    )
    session_label: str = Field(default="", max_length=48, pattern=_LABEL)
    session: str = Field(default="", max_length=64, description="The session to go on with.")
    position: str = Field(default="", max_length=64, description="The place to go on from.")


class FeedParameters(SessionParameters):
    """What `GET /content/feed` takes."""

    page_size: int = Field(default=PAGE_SIZE, ge=1, le=MOST)
    wait: int = Field(
        default=0, ge=0, le=_WAIT_S, description="Seconds to hold the answer while it is empty."
    )


@router.get(
    PATH,
    summary="What became of stories, in order",
    response_model=None,
    responses=contract.answers(contract.FeedAnswer, 400, 401, 404, 410, 503),
)
async def read_feed(
    request: Request,
    surface: SurfaceDep,
    known: KnownCallerDep,
    key: KeyDep,
    links: LinksDep,
    parameters: Annotated[FeedParameters, Query()],
) -> Response:
    """One page of a session: each story that was shown, updated, hidden, killed or that expired.

    The first call begins a session and freezes its parameters. `data.next_page` goes on from there
    and is always given; follow it with nothing but the key. What the key may see comes whole. What
    it received, by any route, and may no longer see comes as `uri`, `version` and `pubstatus` only.
    A link may be repeated; drop what you know by `meta.transition.id`. A session that was not used
    for 72 hours, or that began before a backup was restored, answers 410 `session_ended`.
    """
    feed, readers = feed_of(surface)
    session, position = await begun(surface, feed, known, parameters)
    answer = partial(_answer, request, known.name, session, parameters.wait)
    reading = Reading(
        surface,
        feed,
        readers,
        caller_now(request, surface, key or ""),
        feed.tree(session),
        int(session.parameters.get("page_size", parameters.page_size)),
        writing(surface, feed, session, parameters, links, "feed"),
        answer,
    )
    held = partial(reading.held, position, parameters.wait)
    page = await polled(request, reading, known, position, held)
    return page.answer or answer(page)


def _answer(request: Request, name: str, session: FeedSession, wait: int, page: Page) -> Response:
    """Return the answer with a page of a session, to a caller of this name."""
    envelope = base(request, org_name=name)
    if session.label:
        envelope["session_label"] = session.label
    envelope["data"] = {
        "session": session.id,
        "started": rfc3339(session.started),
        "query": session.q,
        "current_item_count": len(page.items),
        "more": page.more,
        "next_page": next_page(request, session, page.position, wait),
        "items": page.items,
    }
    return Json(envelope)


async def begun(
    surface: Surface, feed: Feed, caller: Caller, parameters: SessionParameters
) -> tuple[FeedSession, Position]:
    """Return the session that a request begins or goes on with, and the place to read from."""
    if parameters.session:
        position = read_position(parameters.position or "0")
        session = await resumed(surface, feed, caller, parameters.session, position)
        return session, position if parameters.position else session.first
    if parameters.position:
        raise ParameterError(
            "A position needs its session.", field="position", mend="Follow next_page as it is."
        )
    frozen = _frozen(parameters)
    if (topics := surface.services.topics) is not None and parameters.q:
        write_out = partial(topics.written_out, parameters.q, caller)
        frozen["q"] = await surface.feeds.run(write_out, caller)
    at = _beginning(parameters.begin)
    session = await surface.feeds.run(
        lambda: feed.begin(caller, frozen, parameters.session_label, at), caller
    )
    return session, session.first


async def resumed(
    surface: Surface, feed: Feed, caller: Caller, id_: str, position: Position
) -> FeedSession:
    """Return the caller's session of an id. Raises SessionEndedError."""
    if (session := feed.waiting(caller, id_, position)) is not None:
        return session
    return await surface.feeds.run(lambda: feed.resume(caller, id_, position), caller)


def _frozen(parameters: SessionParameters) -> dict[str, str]:
    frozen = {
        "q": parameters.q,
        "include": ",".join(parameters.include),
        "exclude": ",".join(parameters.exclude),
    }
    if isinstance(parameters, FeedParameters):
        frozen["page_size"] = str(parameters.page_size)
    return {name: value for name, value in frozen.items() if value}


def _beginning(text: str) -> Position | datetime | None:
    if text == "start":
        return START
    if text == "now":
        return None
    try:
        return read_time(text, end=False)
    except ValueError as error:
        raise ParameterError(
            f"begin {error}", field="begin", mend="Write start, now, or a time."
        ) from error


def writing(
    surface: Surface,
    feed: Feed,
    session: FeedSession,
    parameters: SessionParameters,
    links: MediaLinks | None,
    channel: str,
) -> Callable[[Caller, Sequence[Entry]], list[dict[str, Any]]]:
    """Return a function that makes JSON of a session's entries. `include` and `exclude` of a
    request go before those of the session.
    """

    def names(name: str, own: Sequence[str]) -> Sequence[str]:
        return own or tuple(filter(None, session.parameters.get(name, "").split(",")))

    include, exclude = names("include", parameters.include), names("exclude", parameters.exclude)

    def write(caller: Caller, entries: Sequence[Entry]) -> list[dict[str, Any]]:
        receive = receiving(surface.services, caller, channel, synced=True)
        view = ItemView(caller, include, exclude, links, whole=True, receive=receive)
        services = surface.services
        return entries_json(entries, view, feed.library, services.topics, services.forms)

    return write


def next_page(request: Request, session: FeedSession, position: Position, wait: int) -> str:
    """Return the link to the next page, relative to this host."""
    place = {"session": session.id, "position": position_text(position)}
    held = {"wait": str(wait)} if wait else {}
    return f"{request.url.path}?{urlencode(place | held)}"
