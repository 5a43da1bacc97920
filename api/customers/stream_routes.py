"""The route `GET /content/stream`: the same transitions as server-sent events.

https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Query, Request
from starlette.responses import StreamingResponse

from api import contract
from api.access.callers import LinksDep, SurfaceDep
from api.customers.feed_routes import KeyDep, KnownCallerDep, SessionParameters, begun, writing
from api.customers.held import Reading, caller_now, feed_of
from api.problems import UnknownKeyError
from core.customers.transitions import Position
from customers.feed import position_text

PATH = "/content/stream"
router = APIRouter(tags=["feed"])
_HEADER = "last-event-id"
_AT_ONCE = 20  # entries that are made before the client has taken the earlier ones
_ALIVE_S = 15.0  # after this time without an event a comment is sent
_KILLS_AHEAD = 500
_COMMENT = b": alive\n\n"


@router.get(
    PATH,
    summary="What became of stories, as server-sent events",
    response_model=None,
    responses=contract.answers(None, 400, 401, 404, 410, 503)
    | {200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}},
)
async def read_stream(
    request: Request,
    surface: SurfaceDep,
    known: KnownCallerDep,
    key: KeyDep,
    links: LinksDep,
    parameters: Annotated[SessionParameters, Query()],
) -> StreamingResponse:
    """The transitions of a session as they come. An event's name is the transition's kind, its data
    one entry as in the feed. Before one that matches followed topics comes an event
    `topic.matched`, whose data names the topics and the transition.

    Its id is the session and the place in it; a client that sends it back as Last-Event-ID goes on
    from there. Kills of what the key received come first, without an id, and once more in their
    place, with the same `meta.transition.id`. A client that does not take what is sent is
    disconnected.
    """
    feed, readers = feed_of(surface)
    if last := request.headers.get(_HEADER, ""):
        id_, _, place = last.partition(":")
        parameters = parameters.model_copy(update={"session": id_[:64], "position": place[:64]})
    session, position = await begun(surface, feed, known, parameters)
    caller = caller_now(request, surface, key or "")
    write = writing(surface, feed, session, parameters, links, "stream")
    reading = Reading(surface, feed, readers, caller, feed.tree(session), _AT_ONCE, write)

    stream = _Stream(reading, session.id, lambda: feed.touch(session))
    return StreamingResponse(
        stream.until_revoked(position), headers={"content-type": "text/event-stream"}
    )


@dataclass(frozen=True, slots=True)
class _Stream:
    """The events of a session from a place on; `touch` is called for each page."""

    reading: Reading
    session: str
    touch: Callable[[], object]

    async def until_revoked(self, position: Position) -> AsyncIterator[bytes]:
        """Yield the events until the client goes, the service ends, or the key is no longer
        valid.
        """
        try:
            async for part in self._events(position):
                yield part
        except UnknownKeyError:
            return

    async def _events(self, position: Position) -> AsyncIterator[bytes]:
        yield _COMMENT
        told = position.n  # kills up to this place were told
        more = True
        while not self.reading.readers.closed:
            for entry in await self._kills(max(told, position.n)) if more else ():
                yield _event(entry)
                told = entry["meta"]["transition"]["position"]
            page = await self.reading.held(position, _ALIVE_S)
            for entry in page.items:
                yield _matched(entry) + self._id(entry) + _event(entry)
            position, more = page.position, page.more
            self.touch()
            if not page.items:
                yield _COMMENT

    async def _kills(self, after: int) -> list[dict[str, Any]]:
        reading, caller = self.reading, self.reading.caller()
        return await reading.surface.feeds.run(
            lambda: reading.write(caller, reading.feed.kills(caller, after, _KILLS_AHEAD)), caller
        )

    def _id(self, entry: dict[str, Any]) -> bytes:
        told = entry["meta"]["transition"]
        place = position_text(Position(told["position"], told["id"]))
        return f"id: {self.session}:{place}\n".encode()


def _event(entry: dict[str, Any]) -> bytes:
    kind: str = entry["meta"]["transition"]["kind"]
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), orjson.dumps(entry))


def _matched(entry: dict[str, Any]) -> bytes:
    """Return the event `topic.matched` of an entry, b"" for one that matches none. It has no id,
    and comes before the entry: a client that goes on from the entry's id has had it.
    """
    meta = entry["meta"]
    if "followed_topics" not in meta:
        return b""
    item = orjson.loads(orjson.dumps(entry["item"]))  # a kept form is JSON already
    told = {
        "followed_topics": meta["followed_topics"],
        "transition": meta["transition"],
        "uri": item.get("uri", ""),
    }
    return b"event: topic.matched\ndata: %b\n\n" % orjson.dumps(told)
