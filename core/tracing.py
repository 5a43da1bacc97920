"""Traces: what a request or an order did, as spans, over threads and processes.

A span has a name, two moments, attributes, and the span that it is a part of. The span that is
current belongs to the context of the code that runs (`contextvars`), and `core.threads` carries
that into threads. A header in the form of W3C's Trace Context carries it into other processes and
into rows of orders.

A span costs two microseconds here. OpenTelemetry's own take thirty, and a search has about thirty
of them. So a span is a tuple until another thread sends it (`dateline/serving/telemetry.py`), and
without a sink nothing is written at all.

No attribute has the text of a query, a key or an address with a signature. `Span.quote` is the one
way to give a text of a caller, and a setting of the operator must allow it.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping
from contextvars import ContextVar, Token
from dataclasses import dataclass
from time import perf_counter
from types import TracebackType
from typing import NamedTuple, Self, TypeAlias

Value: TypeAlias = "str | bool | int | float | tuple[str, ...]"
_HEADER = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
_SAMPLED = 1


class Finished(NamedTuple):
    """A span that has ended. `trace` has 128 bits, `id` and `parent` 64; a parent of 0 is none.
    Moments are readings of `perf_counter`. `kind` is internal, server, client or consumer, `error`
    the name of the exception that ended it, or "".
    """

    trace: int
    id: int
    parent: int
    name: str
    kind: str
    began: float
    ended: float
    attributes: Mapping[str, Value]
    error: str


@dataclass(frozen=True, slots=True)
class Sink:
    """Where spans go. `write` gets each from any thread and returns at once. `chosen` says whether
    a trace is kept, by its id and by what its caller says of it (None for no caller).
    """

    write: Callable[[Finished], object]
    chosen: Callable[[int, bool | None], bool] = lambda trace, said: said is not False


_sink: Sink | None = None
_quotes = False


def send_to(sink: Sink | None) -> None:
    """Send the spans of this process to `sink`, or nowhere."""
    global _sink
    _sink = sink


def let_quote(allowed: bool) -> None:
    """Let spans and log lines of this process have texts of callers, or not."""
    global _quotes
    _quotes = allowed


def quotes() -> bool:
    """Return whether spans and log lines may have texts of callers."""
    return _quotes


class Place(NamedTuple):
    """A place in a trace: the span that is current. Of a trace that is not kept nothing is
    written, but its id is in logs and in headers.
    """

    trace: int
    span: int
    kept: bool
    attributes: dict[str, Value]

    def header(self) -> str:
        """Return the place as a header `traceparent`."""
        return f"00-{self.trace:032x}-{self.span:016x}-{int(self.kept):02x}"


_place: ContextVar[Place | None] = ContextVar("dateline_place", default=None)


def place() -> Place | None:
    """Return the current place, None outside of a trace."""
    return _place.get()


def header() -> str:
    """Return the current place as a header `traceparent`; "" outside of a trace."""
    here = _place.get()
    return "" if here is None else here.header()


class Span:
    """A part of the current trace while a `with` runs. Outside of a trace, and in one that is not
    kept, it does nothing.
    """

    __slots__ = ("_attributes", "_began", "_kind", "_name", "_parent", "_place", "_token")

    def __init__(
        self, name: str, attributes: Mapping[str, Value] | None = None, *, kind: str = "internal"
    ) -> None:
        self._name = name
        self._kind = kind
        self._attributes = {} if attributes is None else {**attributes}
        self._place: Place | None = None

    def __enter__(self) -> Self:
        parent = _place.get()
        if parent is not None and parent.kept:
            self._begin(parent.span, Place(parent.trace, _new_id(), True, self._attributes))
        return self

    def _begin(self, parent: int, place: Place) -> None:
        self._parent, self._place = parent, place
        self._token: Token[Place | None] = _place.set(place)
        self._began = perf_counter()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        if self._place is None:
            return
        _place.reset(self._token)
        if self._place.kept:
            told = "" if kind is None else kind.__name__
            self._write(perf_counter(), told)

    def _write(self, ended: float, error: str) -> None:
        assert self._place is not None
        trace, span, _, own = self._place
        name, kind = self._name, self._kind
        _write(Finished(trace, span, self._parent, name, kind, self._began, ended, own, error))

    def rename(self, name: str) -> None:
        """Give the span the name that is known only now."""
        self._name = name

    def set(self, attributes: Mapping[str, Value]) -> None:
        """Add attributes."""
        self._attributes.update(attributes)

    def quote(self, name: str, text: str) -> None:
        """Add a text of a caller, if the operator allows that."""
        if _quotes:
            self._attributes[name] = text[:1000]


class Trace(Span):
    """The first span of a trace in this process. `header` is the place of the caller, in another
    process, that the trace goes on from; without one, or with one that can't be read, the trace is
    new. Without a sink there is no trace.
    """

    __slots__ = ("_header",)

    def __init__(
        self,
        name: str,
        attributes: Mapping[str, Value] | None = None,
        *,
        kind: str = "server",
        header: str = "",
    ) -> None:
        super().__init__(name, attributes, kind=kind)
        self._header = header

    def __enter__(self) -> Self:
        if _sink is not None:
            before = place_of(self._header)
            trace = (random.getrandbits(128) or 1) if before is None else before.trace
            kept = _sink.chosen(trace, None if before is None else before.kept)
            here = Place(trace, _new_id(), kept, self._attributes)
            self._begin(0 if before is None else before.span, here)
        return self


class Laps:
    """Spans that follow each other: each `end` names the one that ends, and the next one begins.
    What runs meanwhile is a part of the one that is open. The last one, which nobody ends, is left
    out, unless an exception ends it.
    """

    def __enter__(self) -> Self:
        self._parent = _place.get()
        if self._parent is not None and self._parent.kept:
            self._token = _place.set(self._next())
            self._began = perf_counter()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        if self._parent is not None and self._parent.kept:
            if kind is not None:
                self._write("failed", perf_counter(), kind.__name__)
            _place.reset(self._token)

    def end(self, name: str, now: float) -> None:
        """End a span at a reading of `perf_counter`, and begin the next one."""
        if self._parent is not None and self._parent.kept:
            self._write(name, now, "")
            self._began = now
            _place.set(self._next())

    def _next(self) -> Place:
        assert self._parent is not None
        self._open = Place(self._parent.trace, _new_id(), True, {})
        return self._open

    def _write(self, name: str, ended: float, error: str) -> None:
        assert self._parent is not None
        trace, span, _, own = self._open
        parent = self._parent.span
        _write(Finished(trace, span, parent, name, "internal", self._began, ended, own, error))


def done(name: str, began: float, ended: float, attributes: Mapping[str, Value]) -> None:
    """Write a span that has ended, as a part of the current one."""
    here = _place.get()
    if here is not None and here.kept:
        own = here.trace, _new_id(), here.span
        _write(Finished(*own, name, "internal", began, ended, attributes, ""))


def add(name: str, amount: int) -> None:
    """Add to a number among the attributes of the current span."""
    here = _place.get()
    if here is not None and here.kept:
        before = here.attributes.get(name, 0)
        here.attributes[name] = amount + (before if isinstance(before, int) else 0)


def place_of(header: str) -> Place | None:
    """Return the place in a header `traceparent`; None if it has none that can be read."""
    found = _HEADER.fullmatch(header)
    if found is None:
        return None
    trace, span, flags = (int(part, 16) for part in found.groups())
    return Place(trace, span, bool(flags & _SAMPLED), {}) if trace and span else None


def _write(span: Finished) -> None:
    if _sink is not None:
        _sink.write(span)


def _new_id() -> int:
    return random.getrandbits(64) or 1
