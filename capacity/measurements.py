"""What was measured on one machine, as a file: the only input of a plan that comes from a clock.

A search is kept as it was: a row for each of some hundred searches, with the milliseconds of every
stage. So a plan draws whole searches, and what is slow together stays together.

All times are of the clock, of one search alone on a quiet machine. `width` says how many threads it
kept busy meanwhile: its processor time over its time of the clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import orjson
from pydantic import TypeAdapter, ValidationError

from capacity.simulator import Floats64
from core.errors import InputError

FORMAT = 1
QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 1.0)  # of a distribution in a file
HTTP = "http"  # the stage outside of the search: from the client's request to its answer, less it
RERANK = "rerank"


@dataclass(frozen=True, slots=True)
class Peaks:
    """What one thread can do at most: operations a second of int8 and float32 products, bytes a
    second from memory, steps of a fixed Python loop a second; and the milliseconds of an fsync.
    """

    int8: float
    float32: float
    memory: float
    python: float
    sync_ms: float


@dataclass(frozen=True, slots=True)
class MachineFacts:
    """A machine. `curve` is the work that 1, 2, 3 … busy threads do together, 1 for one alone."""

    processor: str
    threads: int
    cores: int
    memory: float  # bytes
    peaks: Peaks
    curve: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class SearchTimes:
    """Searches of one profile, one after the other, among `passages`.

    - `stages`: the names of the columns; `HTTP` is one of them
    - `rows`: milliseconds of each search, a number for each stage
    - `front_ms`, `load_ms`: processor time of a search in the process that reads requests, and in
      the client that measured
    - `width`: threads that the search process kept busy
    - `deadline_ms`: what reranking had, from the search's start
    - `rested_ms`: what a search takes more after a pause in which nobody asked
    - `filter`: what narrowed them, "" for nothing: the caller's `rights`, a `date`, a `facet`;
      `allowed` is the share of the items that it leaves
    """

    profile: str
    passages: int
    stages: tuple[str, ...]
    rows: tuple[tuple[float, ...], ...]
    front_ms: float
    load_ms: float
    width: float
    deadline_ms: float = 0.0
    filter: str = ""
    allowed: float = 1.0
    rested_ms: float = 0.0

    @property
    def alone(self) -> float:
        """Return the mean of a whole search with its HTTP, in milliseconds."""
        inside = {"encode", "lexical", "vectors", "cosines"}  # of `retrieve`
        mean = self.milliseconds.mean(axis=0)
        pairs = zip(self.stages, mean, strict=True)
        return float(sum(ms for stage, ms in pairs if stage not in inside))

    @property
    def served_ms(self) -> float:
        """Return the mean processor time of a search in the service, in milliseconds."""
        return self.front_ms + self.width * (self.alone - self.front_ms - self.load_ms)

    @property
    def milliseconds(self) -> Floats64:
        """Return float64 [searches, stages]."""
        return np.asarray(self.rows, np.float64)

    def of(self, stage: str) -> Floats64:
        """Return the milliseconds of one stage, float64 [searches]; zeros if it never ran."""
        if stage not in self.stages:
            return np.zeros(len(self.rows))
        return self.milliseconds[:, self.stages.index(stage)]


@dataclass(frozen=True, slots=True)
class Archive:
    """What an archive of `passages` takes, in bytes: on disk, in the process that reads requests
    and in one that searches (their own memory), and in mapped files, which processes share.
    """

    stories: int
    passages: int
    disk: float
    front: float
    search: float
    mapped: float


@dataclass(frozen=True, slots=True)
class Calls:
    """Calls of one model, or of another piece of work: the milliseconds at `QUANTILES`, for a call
    of `batch` units of `tokens` each (1 for what has no tokens) on `threads`. `peak` is the bound
    that it scales with on another machine.
    """

    what: str
    threads: int
    batch: int
    tokens: int
    ms: tuple[float, ...]
    peak: str = "int8"

    @property
    def mean(self) -> float:
        """Return the mean of a call, in milliseconds."""
        return float(np.trapezoid(self.ms, QUANTILES))


@dataclass(frozen=True, slots=True)
class Measurements:
    """One run of `dateline capacity measure`, which took `took_s` seconds. `noise` is how much the
    slowest of its repeated measurements took more than the fastest: .1 is a tenth. `memory` is the
    bytes that a process takes for each model, by its name.
    """

    made: str
    version: str
    noise: float
    machine: MachineFacts
    searches: tuple[SearchTimes, ...]
    archives: tuple[Archive, ...]
    calls: tuple[Calls, ...]
    packages: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    memory: Mapping[str, float] = field(default_factory=dict)
    took_s: float = 0.0
    format: int = FORMAT

    def of_profile(self, name: str) -> tuple[SearchTimes, ...]:
        """Return the searches of a profile without a filter, the smallest archive first. Raises
        InputError.
        """
        plain = [s for s in self.searches if not s.filter]
        found = sorted((s for s in plain if s.profile == name), key=lambda s: s.passages)
        if not found:
            known = ", ".join(sorted({s.profile for s in plain}))
            what = f"no search of the profile {name} was measured"
            mend = f"measured are {known}; `dateline capacity measure --profiles {name}`"
            raise InputError(what, where="--profile", mend=mend)
        return tuple(found)

    def narrowed(self, name: str, by: str) -> SearchTimes | None:
        """Return the searches of a profile with a filter, of the largest archive; None without a
        filter. Raises InputError.
        """
        if not by:
            return None
        found = [s for s in self.searches if (s.profile, s.filter) == (name, by)]
        if not found:
            known = ", ".join(sorted({s.filter for s in self.searches if s.filter})) or "none"
            what = f"no search of the profile {name} was measured with a filter by {by}"
            raise InputError(what, where="--filter", mend=f"measured are {known}")
        return max(found, key=lambda each: each.passages)

    def batch_ms(self) -> float:
        """Return how long one thread takes for one batch of the reranker's model; 0 if that was not
        measured.
        """
        found, tokens = self.call("rerank"), float(self.settings.get("batch_tokens", "0"))
        if found is None:
            return 0.0
        return found.mean / (found.batch * found.tokens) * tokens

    def filters(self) -> dict[str, float]:
        """Return how many times as long a search takes in its process with each filter, against the
        same profile and archive without one.
        """
        plain = {(s.profile, s.passages): s for s in self.searches if not s.filter}
        found = {}
        for each in self.searches:
            other = plain.get((each.profile, each.passages))
            if each.filter and other is not None:
                found[each.filter] = each.alone / other.alone
        return found

    def call(self, what: str) -> Calls | None:
        """Return the calls on one thread of the longest texts, as passages are, with the least time
        for a unit; None if none were measured.
        """
        found = [each for each in self.calls if each.what == what]
        return min(
            found,
            key=lambda each: (each.threads, -each.tokens, each.mean / each.batch),
            default=None,
        )


_ADAPTER = TypeAdapter(Measurements)


def read_measurements(path: Path) -> Measurements:
    """Return the measurements in a file. Raises InputError for one that can't be read, is of
    another format, or has values that can't be.
    """
    mend = "make it by `dateline capacity measure --output FILE`"
    try:
        data = orjson.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise InputError(f"can't be read: {error}", where=str(path), mend=mend) from error
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise InputError(f"is no file of measurements, format {FORMAT}", where=str(path), mend=mend)
    try:
        found = _ADAPTER.validate_python(data)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise InputError(f"{place}: {first['msg']}", where=str(path), mend=mend) from error
    _check(found, str(path))
    return found


def _check(found: Measurements, where: str) -> None:
    """Raise InputError for numbers that no machine gives."""
    machine = found.machine
    rules = {
        "machine.curve begins with 1 and never falls": bool(machine.curve)
        and machine.curve[0] == 1
        and list(machine.curve) == sorted(machine.curve),
        "a machine has at least as many threads as cores": 1 <= machine.cores <= machine.threads,
        "peaks are above 0": min(
            machine.peaks.int8, machine.peaks.float32, machine.peaks.memory, machine.peaks.python
        )
        > 0,
        "each search has a number, at least 0, for each stage": all(
            s.rows and all(len(row) == len(s.stages) and min(row) >= 0 for row in s.rows)
            for s in found.searches
        ),
        "widths are above 0": all(s.width > 0 for s in found.searches),
        "filters leave some of the items": all(0 < s.allowed <= 1 for s in found.searches),
        "there is an archive": bool(found.archives),
        f"calls have {len(QUANTILES)} quantiles, which rise": all(
            len(c.ms) == len(QUANTILES) and list(c.ms) == sorted(c.ms) and c.batch >= 1
            for c in found.calls
        ),
    }
    for rule, kept in rules.items():
        if not kept:
            raise InputError(f"the measurements break a rule: {rule}", where=where)


def write_measurements(found: Measurements) -> bytes:
    """Return the content of a file."""
    rounded = tuple(
        replace(s, rows=tuple(tuple(round(ms, 4) for ms in row) for row in s.rows))
        for s in found.searches
    )
    options = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
    return orjson.dumps(replace(found, searches=rounded), option=options)
