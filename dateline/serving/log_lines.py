"""The log of a process, on its error stream: a JSON object on each line, and no kind of line more
than once a second.

A client that makes a service write a line can make it write millions, which fills a disk and hides
what matters. Lines are of one kind if the same place in the code writes them about the same
exception.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from time import monotonic
from typing import Any

import orjson

from core.tracing import place

_SECOND = 1.0
_FORM = logging.Formatter()
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
    told: dict[str, Any] = dict(
        getattr(record, "members", None) or {"message": record.getMessage()}
    )
    if record.exc_info and record.exc_info[0] is not None:
        told["exception"] = _FORM.formatException(record.exc_info)
    return told


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
