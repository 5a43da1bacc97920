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
from core.query_tree import Node
from core.retrieval import (
    Browse,
    Browsed,
    Marks,
    Place,
    Retrieved,
    SortOrder,
    TotalRelation,
)
from search.answers import SearchRequest, Total
from search.facets import Counts, facet_names, facet_request
from search.retrieval import Engine, Evidence, Question

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


@dataclass(frozen=True, slots=True)
class ListByDate:
    """One page of a list by date: what the engine was asked, and what it found. `rank` hits stand
    before the page; `now` is the time by which all pages read relative dates. `wider` has the
    filters of each open facet whose own filter is set.
    """

    wanted: Browse
    found: Browsed
    now: datetime
    rank: int
    page: int
    wider: Mapping[str, Node]

    def cursor(self, request: SearchRequest, caller: Caller) -> str:
        """The cursor of the next page; "" at the end."""
        if not self.found.more:
            return ""
        rank = self.rank + len(self.found.ids)
        start = Start(self.found.places[-1], self.now, rank, self.page + 1)
        return write_start(start, request, caller)

    def count(self, engine: Engine, request: SearchRequest, shown: Marks) -> Counts:
        """How many items the list has (`shown`, bool [n], says which of this page are visible), and
        its facets. An open facet is counted in a list without its own filter.
        """
        counts, flags = dict(self.found.facets), list[str]()
        for name, filters in self.wider.items():
            asked = replace(self.wanted.asked, filters=filters)
            opened = engine.browse(Browse(asked, size=1, facets=facet_request(request, (name,))))
            counts |= opened.facets
            flags += [f"facet {name}: {flag}" for flag in opened.degraded]
        facets = {name: counts[name] for name in facet_names(request)}
        matches = self.found.matches - int(np.count_nonzero(~shown))
        return Counts(matches, Total(matches, TotalRelation.EXACT), facets, tuple(flags))


def browse(
    engine: Engine, question: Question, start: Start | None, now: datetime
) -> tuple[ListByDate, Evidence]:
    """The page of a list by date that begins at `start`, and its items as candidates in that order.
    `now` is the time of a first page.
    """
    request, asked = question.request, question.asked
    order = asked.order if asked.order is not SortOrder.SCORE else SortOrder.NEWEST
    skip = 0 if start else (request.page - 1) * request.page_size
    plain = [name for name in facet_names(request) if name not in question.wider]
    wanted = Browse(
        replace(asked, order=order, vectors=()),
        request.page_size,
        start.place if start else None,
        skip,
        facet_request(request, plain),
    )
    found = engine.browse(wanted)
    page = ListByDate(
        wanted,
        found,
        start.now if start else now,
        start.rank if start else skip,
        start.page if start else request.page,
        question.wider,
    )
    ranks = np.arange(1, len(found.ids) + 1, dtype=np.int32)
    scores = np.zeros(len(found.ids), np.float32)
    listed = Retrieved(
        found.ids, scores, ranks, found.matches, (), found.milliseconds, degraded=found.degraded
    )
    return page, Evidence(replace(question, asked=wanted.asked), listed)
