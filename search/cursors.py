"""Cursors: where a later page begins.

A cursor of a ranked list has the token of the kept candidates, the place of the next one, and the
page's number. A list by date keeps nothing between pages. Its cursor holds a place (a time and the
number of a uri), not a count of hits. So new and removed items move no hit to another page, and the
cursor works in every process and after a restart.
"""

from __future__ import annotations

import base64
import binascii
import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import blake2b

from core.callers import Caller
from core.errors import ExpiredError, QueryError
from core.retrieval import Place
from search.answers import SearchRequest

_NUMBER = re.compile(r"[0-9]{1,18}")  # JSON carries 63 bits
_PREFIX = "b."  # prefix of cursors of lists by date
_LAYOUT = struct.Struct(">qqqII8s8s")  # time, tie, now, rank, page, digests of query and caller
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = 250_000_000_000_000_000  # microseconds, in the year 9892
_CHECKED = 4  # bytes of the checksum


@dataclass(frozen=True, slots=True)
class Start:
    """Where a later page begins: after `place`, with hit number `rank` + 1 as its first. `now` is
    the time of the first page, by which all pages read relative dates.
    """

    place: Place
    now: datetime
    rank: int
    page: int


def write_start(start: Start, request: SearchRequest, caller: Caller) -> str:
    """Return the cursor of a later page."""
    body = _LAYOUT.pack(
        start.place.time,
        start.place.tie,
        (start.now - _EPOCH) // timedelta(microseconds=1),
        start.rank,
        start.page,
        _digest(_of_query(request)),
        _digest(_of_caller(caller)),
    )
    return _PREFIX + base64.urlsafe_b64encode(body + _checksum(body)).decode().rstrip("=")


def read_start(request: SearchRequest, caller: Caller) -> Start | None:
    """Return where the request's page begins; None for a first page and for the cursor of a frozen
    list. Raises QueryError for a cursor that no answer gave and for the cursor of another query,
    ExpiredError for the cursor of another caller.
    """
    if not request.cursor.startswith(_PREFIX):
        return None
    body = _decoded(request.cursor.removeprefix(_PREFIX))
    time, tie, now, rank, page, of_query, of_caller = _LAYOUT.unpack(body)
    if of_query != _digest(_of_query(request)):
        raise QueryError(
            "this cursor belongs to another query",
            where="cursor",
            mend="send it with the parameters of the first page, or follow next_page",
        )
    if of_caller != _digest(_of_caller(caller)):
        raise ExpiredError("this cursor is no longer known", mend="ask the query again")
    return Start(Place(time, tie), _EPOCH + timedelta(microseconds=now), rank, page)


def _decoded(text: str) -> bytes:
    try:
        whole = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        whole = b""
    body, checksum = whole[:-_CHECKED], whole[-_CHECKED:]
    if len(body) != _LAYOUT.size or checksum != _checksum(body) or not _has_times(body):
        raise QueryError(
            "this is not a cursor", where="cursor", mend="use the one that an answer gave"
        )
    return body


def _has_times(body: bytes) -> bool:
    now: int = _LAYOUT.unpack(body)[2]
    return 0 <= now <= _LATEST


def _checksum(body: bytes) -> bytes:
    return blake2b(body, digest_size=_CHECKED, person=b"cursor").digest()


def _digest(parts: Sequence[object]) -> bytes:
    return blake2b(repr(parts).encode(), digest_size=8).digest()


def _of_query(request: SearchRequest) -> Sequence[object]:
    """Return what decides which items are listed, and in which order."""
    return (
        request.q or request.text,
        request.filters,
        request.order,
        request.tz,
        request.locale,
        request.entities,
        request.dates,
        request.ignore,
    )


def _of_caller(caller: Caller) -> Sequence[object]:
    return caller.name, sorted(caller.products)


def write_cursor(token: str, start: int, page: int) -> str:
    """Return a cursor: the token of a set, the place of the next candidate, and the page's
    number.
    """
    return f"{token}.{start}.{page}"


def read_cursor(cursor: str) -> tuple[str, int, int]:
    """Return the token, place and page number of a cursor. Raises ExpiredError for any other
    text.
    """
    token, _, rest = cursor.partition(".")
    start, _, page = rest.partition(".")
    if not token or not _NUMBER.fullmatch(start) or not _NUMBER.fullmatch(page) or len(cursor) > 64:
        raise ExpiredError("this is not a cursor", mend="use the one that an answer gave")
    return token, int(start), int(page)
