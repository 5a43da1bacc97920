"""Browsing: lists by date, which page through everything that matches.

A page begins at a place in the list, a time and a uri's number, and not at a count of hits. So
items that come or go move no hit to another page. The cursor holds that place, and nothing is kept
between pages: it goes on in every process and after a restart.
"""

from __future__ import annotations

import base64
import binascii
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import blake2b

import numpy as np

from core.callers import Caller
from core.errors import ExpiredError, QueryError
from core.query_tree import Node, all_of, is_fact
from core.retrieval import Browse, Browsed, FacetCount, Place, Retrieval, Retrieved, SortOrder
from search.answers import Fold, SearchRequest
from search.facets import facet_names, facet_request, without_filter
from search.parts import Engine

_PREFIX = "b."  # of cursors of lists by date
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


def is_browsing(request: SearchRequest, tree: Node) -> bool:
    """Whether the answer is a list by date: an order by date is asked for, or `tree` has nothing to
    score by. Folding and "why is it missing" compare within a list of candidates.
    """
    if request.similar_to or request.why_missing or request.fold is not Fold.NONE:
        return False
    return is_fact(tree) or request.order is not SortOrder.SCORE


def write_start(start: Start, request: SearchRequest, caller: Caller) -> str:
    """The cursor of a later page."""
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
    """Where the request's page begins; None for a first page and for the cursor of a frozen list.
    Raises QueryError for a cursor that no answer gave and for that of another query, ExpiredError
    for another caller's.
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
    """What decides which items are listed, and in which order."""
    return (
        request.q,
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


def browse_of(asked: Retrieval, request: SearchRequest, start: Start | None) -> Browse:
    """The request to the engine for one page."""
    order = asked.order if asked.order is not SortOrder.SCORE else SortOrder.NEWEST
    skip = 0 if start else (request.page - 1) * request.page_size
    opened = _widened(request)
    plain = [name for name in facet_names(request) if name not in opened]
    return Browse(
        replace(asked, order=order, vectors=()),
        request.page_size,
        start.place if start else None,
        skip,
        facet_request(request, plain),
    )


def following(
    found: Browsed,
    request: SearchRequest,
    caller: Caller,
    now: datetime,
    first: int,
    page: int,
) -> str:
    """The cursor after page number `page`, before which `first` hits stand; "" at the end."""
    if not found.more:
        return ""
    start = Start(found.places[-1], now, first + len(found.ids), page + 1)
    return write_start(start, request, caller)


def as_retrieved(found: Browsed) -> Retrieved:
    """The page as candidates, in order."""
    count = len(found.ids)
    ranks = np.arange(1, count + 1, dtype=np.int32)
    scores = np.zeros(count, np.float32)
    return Retrieved(found.ids, scores, ranks, found.matches, (), found.milliseconds)


def facets_of(
    engine: Engine, request: SearchRequest, wanted: Browse, found: Browsed, filters: Node
) -> tuple[Mapping[str, tuple[FacetCount, ...]], tuple[str, ...]]:
    """The counts of every facet, and flags. An open facet is counted in a list without its own
    filter; `filters` are the query's own.
    """
    counts, flags = dict(found.facets), list[str]()
    for name in _widened(request):
        wider = all_of(filters, without_filter(request.filters, name))
        asked = replace(wanted.asked, filters=wider)
        opened = engine.browse(Browse(asked, size=1, facets=facet_request(request, (name,))))
        counts |= opened.facets
        flags += [f"facet {name}: {flag}" for flag in opened.degraded]
    return {name: counts[name] for name in facet_names(request)}, tuple(flags)


def _widened(request: SearchRequest) -> tuple[str, ...]:
    """The open facets whose own filter is set."""
    filters = request.filters
    return tuple(n for n in request.open_facets if without_filter(filters, n) is not filters)
