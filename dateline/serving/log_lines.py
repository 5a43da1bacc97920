"""The log of a process, on its error stream: a JSON object on each line, and no kind of line more
than once a second.

A client that makes a service write a line can make it write millions, which fills a disk and hides
what matters. Lines are of one kind if the same place in the code writes them about the same
exception.
"""

from __future__ import annotations

import logging
import re
import sys
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from time import monotonic
from typing import Any

import orjson

from core.tracing import place, quotes

_SECOND = 1.0
# An address: its scheme, a name and a password, host and path, and the query string.
_ADDRESS = re.compile(r"\b([a-z][a-z0-9+.-]*://)(?:[^\s/@?#]*@)?([^\s?#]*)(?:[?#]\S*)?")
_DEPTH = 10  # errors that led to an error
_KINDS = 1000  # remembered; they are places in the code, so there are far fewer


@dataclass(slots=True)
class _Seen:
    written: float
    left_out: int = 0


class LimitedLines(logging.Handler):
    """Writes records, each with the number of its kind that were left out since the last one
    (`left_out`). A record may have its own `kind`; one with the kind "" is always written.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._seen: dict[object, _Seen] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record or count it."""
        left_out = self._left_out(record)
        if left_out is None:
            return
        try:
            told = _head(record) | members(record)
            if left_out:
                told["left_out"] = left_out
            text = orjson.dumps(told, default=str).decode()
            sys.stderr.write(f"{text}\n")  # the present stream, which tests replace
            sys.stderr.flush()
        except Exception:  # noqa: BLE001  a log must not harm what it is about
            self.handleError(record)

    def _left_out(self, record: logging.LogRecord) -> int | None:
        """Return how many of the kind were left out before; None if this one is left out too."""
        kind = getattr(record, "kind", None)
        if kind == "":
            return 0
        error = record.exc_info[0] if record.exc_info else None
        key = (kind,) if kind else (record.pathname, record.lineno, error)
        now = self._clock()
        seen = self._seen.get(key)
        if seen is not None and now - seen.written < _SECOND:
            seen.left_out += 1
            return None
        if len(self._seen) >= _KINDS:
            self._seen.clear()
        self._seen[key] = _Seen(now)
        return 0 if seen is None else seen.left_out


def members(record: logging.LogRecord) -> dict[str, Any]:
    """Return what a record says. `members` of its own take the place of a message."""
    own = getattr(record, "members", None)
    told: dict[str, Any] = dict(own or {"message": without_secrets(record.getMessage())})
    if record.exc_info and record.exc_info[1] is not None:
        lines = _traced(record.exc_info[1], quotes())
        told["exception"] = without_secrets("\n".join(lines))
    return told


def without_secrets(text: str) -> str:
    """Return a text without the query strings of its addresses, which may be signed or have a key,
    and without their passwords.
    """
    return _ADDRESS.sub(r"\1\2", text) if "://" in text else text


def _traced(error: BaseException, says: bool, depth: int = _DEPTH) -> Iterator[str]:
    """Yield where an error was raised and its type, after those of the errors that led to it. What
    it says may be a text of a caller, and so is left out unless it `says`.
    """
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    parts = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
    for one in (before, *parts) if depth else ():
        if one is not None:
            yield from _traced(one, says, depth - 1)
    yield "Traceback (most recent call last):"
    yield from (line.rstrip() for line in traceback.format_tb(error.__traceback__))
    yield f"{type(error).__qualname__}: {error}" if says else type(error).__qualname__


def _head(record: logging.LogRecord) -> dict[str, Any]:
    """Return when, how bad, where in the program, and in which trace."""
    time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
    head = {"time": time, "level": record.levelname.lower(), "logger": record.name}
    if (here := place()) is not None:
        head |= {"trace_id": f"{here.trace:032x}", "span_id": f"{here.span:016x}"}
    return head


def write_log(level: int) -> None:
    """Write what this process logs at `level` or above, unless it has a log already."""
    logging.basicConfig(level=level, handlers=[LimitedLines()])
    for chatty in ("httpx", "faiss.loader"):  # a line for each remote call, and for each try
        logging.getLogger(chatty).setLevel(logging.WARNING)
