"""What is asked of a service: load, latency, archive, and what has to be taken in by when."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path

from core.errors import InputError

_SCALES = {"": 1.0, "k": 1e3, "m": 1e6, "g": 1e9, "b": 1e9}
_MS = {"ms": 1.0, "s": 1000.0}
_HOURS = {"h": 1.0, "d": 24.0, "w": 168.0}
KINDS = ("stories", "photos", "videos")
_NUMBER = r"(\d[\d_,]*(?:\.\d+)?|\.\d+)"
_BACKFILL = re.compile(
    rf"\s*{_NUMBER}([kmgb]?)\s+([a-z]+)\s*/\s*{_NUMBER}\s*([hdw])\s*", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Backfill:
    """`count` of a kind within `hours`. A video's length is `Demand.video_s`."""

    count: float
    kind: str
    hours: float


@dataclass(frozen=True, slots=True)
class Demand:
    """What is asked.

    - `qps`: searches a second on average; `burst` times as many in a burst, in which `p95_ms` holds
    - `items`: shown items, each with `passages` of a text of `characters`; `grows` is their growth
      in a year, and the load's: .3 is 30 %
    - `engine`: embedded or opensearch; `remote`: where the models run if not in the searches'
      processes: "", ec2, sagemaker, serverless or lambda
    - `filter`: what narrows every search, as it was measured: "", rights, date or facet
    - `vectors`: what searches them in the embedded engine: graphs, lists (inverted ones, for
      millions of passages) or any
    - `deadline_ms`: what a search has before its reranking is cut; 0 is what was measured
    - `rerank`: the reranking's work, in what was measured: .5 for half as many tokens
    """

    qps: float
    burst: float = 1.0
    p95_ms: float = 150.0
    items: float = 1e6
    profile: str = "hybrid"
    passages: float = 2.0
    characters: float = 2000.0
    answer_kb: float = 20.0
    grows: float = 0.0
    ingest: tuple[Backfill, ...] = ()
    video_s: float = 60.0
    caption: str = ""
    engine: str = "embedded"
    remote: str = ""
    filter: str = ""
    vectors: str = "any"
    deadline_ms: float = 0.0
    rerank: float = 1.0

    @property
    def peak(self) -> float:
        """Return the searches a second in a burst."""
        return self.qps * self.burst

    def check(self) -> None:
        """Raise InputError for what nobody can ask."""
        for name, value, least in (
            ("qps", self.qps, 0.0),
            ("p95", self.p95_ms, 0.0),
            ("items", self.items, 0.0),
            ("passages", self.passages, 0.0),
        ):
            if not value > least:
                raise InputError(f"{name} must be above {least:g}", where=f"--{name}")
        if not self.burst >= 1:
            mend = "1 is a load without bursts"
            raise InputError("burst is at least 1", where="--burst", mend=mend)
        if self.grows <= -1:
            raise InputError("an archive can't shrink below nothing", where="--grows")


def amount(text: str, where: str) -> float:
    """Return the number in a text such as 12M, 400k or 1_000. Raises InputError."""
    match = re.fullmatch(rf"\s*{_NUMBER}\s*([kmgb]?)\s*", text, re.IGNORECASE)
    if match is None:
        mend = "a number, with k, M or G for thousands, millions, thousand millions: 12M"
        raise InputError(f"{text!r} is no number", where=where, mend=mend)
    return _plain(match[1]) * _SCALES[match[2].lower()]


def milliseconds(text: str, where: str) -> float:
    """Return the milliseconds in a text such as 150ms, .2s or 150. Raises InputError."""
    match = re.fullmatch(rf"\s*{_NUMBER}\s*(ms|s)?\s*", text, re.IGNORECASE)
    if match is None:
        mend = "milliseconds or seconds: 150ms, .2s"
        raise InputError(f"{text!r} is no time", where=where, mend=mend)
    return _plain(match[1]) * _MS[(match[2] or "ms").lower()]


def backfill(text: str) -> Backfill:
    """Return what a text such as `3M photos/5d` asks for. Raises InputError."""
    where = f"--ingest {text!r}"
    match = _BACKFILL.fullmatch(text)
    if match is None:
        mend = "how many, of what, in which time (h, d or w): '3M photos/5d'"
        raise InputError("is not understood", where=where, mend=mend)
    kind = match[3].lower()
    if kind not in KINDS:
        raise InputError(f"{kind} is no kind", where=where, mend=f"one of {', '.join(KINDS)}")
    count = _plain(match[1]) * _SCALES[match[2].lower()]
    hours = _plain(match[4]) * _HOURS[match[5].lower()]
    if not (count > 0 and hours > 0):
        raise InputError("number and time must be above 0", where=where)
    return Backfill(count, kind, hours)


def read_log(path: Path) -> tuple[float, ...]:
    """Return the moments in a file, seconds, one a line. Raises InputError."""
    try:
        found = tuple(float(line) for line in path.read_text("utf-8").split())
    except (OSError, ValueError) as error:
        mend = "moments in seconds, one a line"
        raise InputError(f"is no log of arrivals: {error}", where=str(path), mend=mend) from error
    if len(found) < 2 or not all(math.isfinite(moment) for moment in found):
        raise InputError("a log has two moments at least", where=str(path))
    return found


def _plain(digits: str) -> float:
    return float(digits.replace("_", "").replace(",", ""))
