"""The archive's clock: the system's time, without large steps that nobody has confirmed.

Embargoes and expiries follow the clock, so a wrong clock publishes too early or shows expired items
again. The seconds since the machine started never jump. So the system's time minus these seconds is
constant, except for steps: somebody, or a time service, sets the clock. A small step is followed. A
larger one, forward or back, is held: the archive's time goes on as before the step, until an
operator confirms it (`dateline clock --confirm`).

A file in the archive's folder keeps the trusted time. So all processes of the archive agree, and a
new process does not trust a step that happened before its start. After a restart of the machine
there is nothing to compare with. Then a time before the last known one is held; if a step was held
before the restart, every time is held.
"""

from __future__ import annotations

import fcntl
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson

FILE = "clock.json"
SMALL_STEP_S = 60.0
_SMALL = int(SMALL_STEP_S * 1e9)
_KEEP_EVERY = 60 * 10**9
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_log = logging.getLogger("dateline.clock")


def _since_start() -> int:
    """Return the nanoseconds since the machine started, the time that it slept included."""
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return time.clock_gettime_ns(clock)


def _boot() -> str:
    """Return the identifier of this start of the machine, "" if the system has none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


@dataclass(frozen=True, slots=True)
class TimeSources:
    """The sources of time: nanoseconds since 1970 by the system, nanoseconds since the machine
    started, and the identifier of that start.
    """

    system: Callable[[], int] = time.time_ns
    since_start: Callable[[], int] = _since_start
    boot: Callable[[], str] = _boot


@dataclass(frozen=True, slots=True)
class _Mark:
    """The content of the file. `offset` is the trusted time minus the time since the start `boot`,
    `latest` the latest trusted time (both in nanoseconds); `held` says whether a step is held.
    """

    boot: str
    offset: int
    latest: int
    held: bool = False


class SteadyClock:
    """`core.ports.engine.Clock` for the archive in `folder`. Thread-safe."""

    def __init__(self, folder: Path, sources: TimeSources | None = None) -> None:
        self._path = folder / FILE
        self._from = sources or TimeSources()
        self._boot = self._from.boot()
        self._lock = threading.Lock()
        self._step = 0
        self._kept_at = -_KEEP_EVERY
        self._mark = self._first(self._read())

    def __call__(self) -> datetime:
        """Return the trusted time. It never goes back, unless a step back was confirmed."""
        return _moment(self._now())

    @property
    def held_s(self) -> float:
        """How far the system's time is ahead of the trusted one, in seconds; 0 if not held."""
        self._now()
        return self._step / 1e9

    def confirm(self) -> datetime:
        """Trust the system's time now, for every process of the archive; return it."""
        with self._lock:
            self._mark, self._step = self._fresh(), 0
            self._keep(lambda _: self._mark)
            return _moment(self._mark.latest)

    def _now(self) -> int:
        with self._lock:
            since = self._from.since_start()
            offset = self._from.system() - since
            if abs(offset - self._mark.offset) <= _SMALL:
                held, self._step = False, 0
            else:
                self._follow(offset)
                held, offset = self._mark.held, self._mark.offset
            now = max(self._mark.latest, since + offset)
            # One new mark, not several: a search asks for the time ten times.
            self._mark = _Mark(self._mark.boot, offset, now, held)
            if since - self._kept_at > _KEEP_EVERY:
                self._kept_at = since
                self._keep(self._own_mark)
            return now

    def _follow(self, offset: int) -> None:
        """Follow a large step if another process confirmed it; hold it if not."""
        step = offset - self._mark.offset
        if confirmed := self._confirmed(offset):
            self._mark, step = replace(confirmed, offset=offset), 0
        elif not self._step:
            self._hold(step)
        self._step = step

    def _confirmed(self, offset: int) -> _Mark | None:
        """Return the mark of another process since the same start, if it trusts this offset."""
        kept = self._read()
        is_trusted = kept and self._is_ours(kept) and not kept.held
        return kept if kept and is_trusted and abs(offset - kept.offset) <= _SMALL else None

    def _hold(self, step: int) -> None:
        _log.warning(
            "the system's clock was set by %s; the archive's time goes on as before until "
            "`dateline clock --confirm`",
            timedelta(seconds=round(step / 1e9)),
        )
        self._mark = replace(self._mark, held=True)
        self._keep(self._own_mark)

    def _own_mark(self, kept: _Mark | None) -> _Mark:
        """Return the mark to write; a confirmation by another process stays."""
        confirmed = self._mark.held and kept and self._is_ours(kept) and not kept.held
        if kept and confirmed and abs(kept.offset - self._mark.offset) > _SMALL:
            return kept
        return self._mark

    def _first(self, kept: _Mark | None) -> _Mark:
        fresh = self._fresh()
        if kept is None:
            return fresh
        if self._is_ours(kept):
            return kept
        if kept.held or fresh.latest < kept.latest - _SMALL:
            return _Mark(self._boot, kept.latest - self._from.since_start(), kept.latest, held=True)
        return fresh

    def _fresh(self) -> _Mark:
        system = self._from.system()
        return _Mark(self._boot, system - self._from.since_start(), system)

    def _is_ours(self, mark: _Mark) -> bool:
        return bool(self._boot) and mark.boot == self._boot

    def _read(self) -> _Mark | None:
        try:
            return _mark_in(self._path.read_bytes())
        except OSError:
            return None

    def _keep(self, update: Callable[[_Mark | None], _Mark]) -> None:
        """Write the mark. If the folder does not exist yet or the disk is full, nothing is written,
        and this process goes on with its own mark.
        """
        try:
            with _locked(self._path) as file:
                written = orjson.dumps(update(_mark_in(os.pread(file, 4096, 0))))
                os.pwrite(file, written, 0)
                os.ftruncate(file, len(written))
        except OSError as error:
            _log.debug("the clock's mark can't be kept: %s", error)


@contextmanager
def _locked(path: Path) -> Iterator[int]:
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file
    finally:
        os.close(file)


def _mark_in(data: bytes) -> _Mark | None:
    """Return the mark in the file's bytes, None if they are invalid, as after a power failure."""
    try:
        found = orjson.loads(data)
        return _Mark(str(found["boot"]), int(found["offset"]), int(found["latest"]), found["held"])
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
        return None


def _moment(nanoseconds: int) -> datetime:
    return _EPOCH + timedelta(microseconds=nanoseconds // 1000)
