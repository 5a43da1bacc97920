"""One stream of frames, with marked gaps, from a source that may stall, break off and come back.

A live source gives what a file gives (`core.media.FrameBatch`, `Gap`), so that the same code finds
shots in both. This module joins its connections into one stream: frame numbers go on, times never
go back, and missing time is a gap.

    source -> connection, connection, ...   a thread of its own, which connects again
                   |  at most `ahead` batches wait; a slower reader slows the source down
                   v
              numbers, times, gaps          in the caller's thread

- A source silent for `stall_s` gets a gap at once, so that the shot before it is known; it is not
  given up. The reader of the source (`Connect`) ends a connection that stays silent for too long.
- A connection that breaks is made again, with growing pauses, for `away_s` at most. That time is
  added, so that times stay near to the wall clock.
- The decoder already evened out a clock that jumps inside one connection (`inside/times.py`).

Nothing else is kept, so memory stays constant for days.
"""

from __future__ import annotations

import math
import queue
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

from core.errors import DatelineError, InputError, MediaError
from core.media import AskedStill, FrameBatch, Gap, LastFrame, LiveItem, SoundBatch
from indexing.media.cage.sources import SCHEMES, LiveSource

_END_S = 10.0  # a connection that can be stopped needs a second

Connect = Callable[[], Iterator[LiveItem]]
"""Opens the source anew: its frames counted from 0, timed from the first. Raises MediaError where
it can't be had or breaks off; ends where the source does. Where the iterator has a method `stop`,
that makes it raise soon, whatever it waits for.
"""


@dataclass(frozen=True, slots=True)
class LiveSettings:
    """`stall_s` of silence are marked as a gap. A connection that broke, or that ended (if
    `again_after_end`: a camera may come back), is made again after `first_wait_s`, then ever longer
    up to `longest_wait_s`, until it has been away for `away_s`. So is the first one, if
    `waits_for_first`. `ahead` batches wait at most.
    """

    stall_s: float = 5.0
    again_after_end: bool = False
    again_after_break: bool = True
    first_wait_s: float = 0.5
    longest_wait_s: float = 30.0
    away_s: float = 600.0
    ahead: int = 64
    waits_for_first: bool = False


@dataclass(frozen=True, slots=True)
class _Arrived:
    """What came, and its time by this machine's clock."""

    item: LiveItem | _Broken
    at: float


@dataclass(frozen=True, slots=True)
class _Broken:
    """The connection is gone."""

    reason: str


class LiveFrames:
    """The frames of a source over all its connections; iterate over it once, in one thread."""

    def __init__(self, connect: Connect, settings: LiveSettings) -> None:
        self._connect = connect
        self._settings = settings
        self._waiting: queue.Queue[_Arrived | BaseException | None] = queue.Queue(settings.ahead)
        self._stopped = threading.Event()
        self._connection: object = None
        self._thread = threading.Thread(target=self._receive, name="live source", daemon=True)

    def __iter__(self) -> Iterator[LiveItem]:
        self._thread.start()
        timeline = _Timeline()
        try:
            while (arrived := self._next(timeline)) is not None:
                if isinstance(arrived, BaseException):
                    raise arrived
                yield from timeline.placed(arrived)
        finally:
            self.close()

    def close(self) -> None:
        """Stop taking frames, end the connection and wait for that."""
        self._stopped.set()
        while not self._waiting.empty():  # a thread that waits for room sees the end
            self._waiting.get_nowait()
        getattr(self._connection, "stop", _nothing)()
        if self._thread.is_alive():
            self._thread.join(_END_S)

    def stop(self) -> None:
        """End the iterator as if the source had ended; from another thread."""
        self.close()
        self._waiting.put(None)

    def _next(self, timeline: _Timeline) -> _Arrived | BaseException | None:
        """Return the next arrival; silence counts as one, once."""
        wait = self._settings.stall_s if timeline.is_flowing else None
        try:
            return self._waiting.get(timeout=wait)
        except queue.Empty:
            silent = Gap(0.0, 0.0, f"no frames for {self._settings.stall_s:g} s")
            return _Arrived(silent, time.monotonic())

    def _receive(self) -> None:
        """The thread: puts everything from all connections, then None or the error."""
        try:
            self._receive_all()
        except BaseException as error:  # noqa: BLE001 - raised again in the caller's thread
            self._put(error)
        else:
            self._put(None)

    def _receive_all(self) -> None:
        waits = self._settings.waits_for_first
        items = self._connected_again() if waits else self._begun()
        while not self._stopped.is_set():
            reason, again = "the source ended", self._settings.again_after_end
            try:
                for item in items:
                    if not self._put(_Arrived(item, time.monotonic())):
                        return
            except MediaError as error:
                reason, again = error.what, self._settings.again_after_break
                if not again:
                    raise
            if not again or not self._put(_Arrived(_Broken(reason), time.monotonic())):
                return
            items = self._connected_again()

    def _begun(self) -> Iterator[LiveItem]:
        """Yield a connection that gave a frame."""
        self._connection = items = iter(self._connect())
        if self._stopped.is_set():  # by a thread that did not know this connection yet
            raise _StoppedError("nobody reads the source any more")
        first = next(items, None)
        if first is None:
            raise MediaError("it gave no frame of video", mend="is it a video, and is it running?")
        return chain([first], items)

    def _connected_again(self) -> Iterator[LiveItem]:
        """Yield the next connection. Raises MediaError when the source was away for too long."""
        from tenacity import (  # of the extra `media`
            Retrying,
            retry_if_exception_type,
            stop_after_delay,
            wait_random_exponential,
        )

        chosen = self._settings
        self._pause(chosen.first_wait_s)
        retrying = Retrying(
            retry=retry_if_exception_type(MediaError),
            wait=wait_random_exponential(chosen.first_wait_s, chosen.longest_wait_s),
            stop=stop_after_delay(chosen.away_s),
            sleep=self._pause,
            reraise=True,
        )
        return retrying(self._begun)

    def _pause(self, seconds: float) -> None:
        if self._stopped.wait(seconds):
            raise _StoppedError("nobody reads the source any more")

    def _put(self, arrived: _Arrived | BaseException | None) -> bool:
        """Hand over, as soon as there is room; False if nobody takes any more."""
        while not self._stopped.is_set():
            try:
                self._waiting.put(arrived, timeout=0.5)
            except queue.Full:
                continue
            return True
        return False


def _nothing() -> None:
    """Do nothing: this connection ends without help."""


class _StoppedError(DatelineError):
    """The reader is gone; ends the thread."""


class _Timeline:
    """Frame numbers and times over all connections."""

    def __init__(self) -> None:
        self._frames = 0
        self._floor_s = 0.0  # the earliest time that the next frame may have
        self._end_s = 0.0  # the end of the last frame, or of the gap after it
        self._heard_s = 0.0  # the end of the last sound
        self._step_s = 0.04
        self._base_s = 0.0  # of the present connection
        self._base_frame = 0
        self._broken: _Broken | None = None
        self._broken_at = 0.0
        self.is_flowing = False

    def placed(self, arrived: _Arrived) -> Iterator[LiveItem]:
        """Yield the frames and gaps of the stream for an arrival."""
        match arrived.item:
            case FrameBatch() as batch:
                if self._broken is not None:
                    yield self._back(arrived.at)
                yield from self._batch(batch)
                self.is_flowing = True
            case SoundBatch() as sound:
                yield from self._sound(sound, arrived.at)
            case AskedStill(key, still):
                second = 0.0 if still is None else still.second + self._base_s
                yield AskedStill(key, still and replace(still, second=second))
            case LastFrame() as last:
                yield last
            case Gap() as gap if self._broken is not None:
                return  # no frame yet: still away
            case Gap() as gap:
                start = max(self._end_s, self._base_s + gap.start_s)
                self._end_s = self._floor_s = max(start, self._base_s + gap.end_s)
                yield Gap(start, self._end_s, gap.reason)
                self.is_flowing = False
            case _Broken() as broken:
                if self._frames == self._base_frame:  # no picture came: time goes on with the sound
                    self._end_s = self._floor_s = max(self._end_s, self._heard_s)
                yield Gap(self._end_s, self._end_s, broken.reason)
                self._broken, self._broken_at = broken, arrived.at
                self.is_flowing = False

    def _back(self, now: float) -> Gap:
        """Return the gap until the source is back, and set the start of its next connection."""
        away_s = max(0.0, now - self._broken_at)
        start = self._end_s
        self._base_s = self._end_s = self._floor_s = start + away_s
        self._base_frame = self._frames
        self._broken = None
        return Gap(start, self._base_s, f"the source is back after {away_s:.1f} s")

    def _sound(self, sound: SoundBatch, at: float) -> Iterator[LiveItem]:
        """Yield sound at its second. It may come before the frames of its time."""
        if self._broken is not None:
            yield self._back(at)
        moved = SoundBatch(sound.samples, sound.start_s + self._base_s)
        self._heard_s = moved.end_s
        yield moved

    def _batch(self, batch: FrameBatch) -> Iterator[LiveItem]:
        seconds = batch.seconds + self._base_s
        if seconds[0] < self._floor_s:  # times never go back
            late = self._end_s - float(seconds[0])
            self._base_s += late
            seconds = seconds + late
        jumped = float(seconds[0]) - self._end_s
        if not self.is_flowing and self._frames and jumped > 1.0:
            yield Gap(self._end_s, float(seconds[0]), f"frames again, {jumped:.1f} s later")
        if len(seconds) > 1:
            self._step_s = max(1e-3, float(seconds[-1] - seconds[0]) / (len(seconds) - 1))
        self._floor_s = math.nextafter(float(seconds[-1]), math.inf)
        self._end_s = float(seconds[-1]) + self._step_s
        self._frames = self._base_frame + batch.first + len(seconds)
        yield FrameBatch(batch.pixels, seconds, self._base_frame + batch.first)


STANDARD_INPUT = 0
_ENDLESS = ("rtsp", "rtsps", "rtmp", "rtmps")  # these end and begin again
_SILENT_TIMES = 4  # times `stall_s` of silence, after which a connection is made again


@dataclass(frozen=True, slots=True)
class Patience:
    """`stall_s` of silence are marked as a gap. A source that broke off is given up after `away_s`;
    a file that did not grow for `grown_s` has ended.
    """

    stall_s: float = 5.0
    away_s: float = 600.0
    grown_s: float = 10.0


def chosen_source(
    text: str, patience: Patience, hosts: tuple[str, ...] = ()
) -> tuple[LiveSource, LiveSettings]:
    """Return the source and settings for a text: `-` is standard input; `scheme://` an address; all
    else a named pipe or a growing file. `hosts` are those that an HLS playlist may name besides its
    own.

    Raises InputError for an address of another scheme.
    """
    settings = LiveSettings(stall_s=patience.stall_s, away_s=patience.away_s)
    once = replace(settings, again_after_break=False)
    if text == "-":
        return LiveSource(handle=STANDARD_INPUT, silent_s=0.0), once
    scheme, marked, _ = text.partition("://")
    if not marked:
        path = Path(text)
        if not path.is_fifo():  # silence ends it and makes no gap
            once = replace(once, stall_s=max(patience.stall_s, patience.grown_s + 1))
        return LiveSource(path=path, silent_s=0.0, grown_s=patience.grown_s), once
    if scheme not in SCHEMES:
        raise InputError(
            f"a live source can't be {scheme[:20]}", mend=f"use - or {', '.join(SCHEMES)}"
        )
    source = LiveSource(url=text, silent_s=_SILENT_TIMES * patience.stall_s, hosts=hosts)
    return source, replace(settings, again_after_end=scheme in _ENDLESS)
