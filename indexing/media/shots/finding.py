"""Frames in, shots out as soon as they are known: one way for a file and for a live source.

Windows of many sources go through the model together: a `ShotStream` lists the windows that it
wants scored and takes the scores, and a `ShotFinder` puts windows of one length from several
streams into one call.
"""

from __future__ import annotations

import hashlib
import json
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice

import numpy as np

from core.items import FloatMatrix
from core.media import FrameBatch, Frames, Gap, Seconds, ShotBounds
from core.ports.media import ShotDetector
from indexing.media.shots.boundaries import Boundaries, BoundaryRule
from indexing.media.shots.windows import FrameWindows, WindowLayout

Arrived = FrameBatch | Gap | None  # None: the source has ended


@dataclass(frozen=True, slots=True)
class ShotSettings:
    """How frames are given to the model and what counts as a transition."""

    layout: WindowLayout = field(default_factory=WindowLayout)
    rule: BoundaryRule = field(default_factory=BoundaryRule)


@dataclass(frozen=True, slots=True)
class _Scored:
    """A window to be scored, the times of its frames that count, and the times of those after."""

    pixels: Frames
    seconds: Seconds
    first: int
    after_s: Seconds


class ShotStream:
    """The shots of one source. `offer` what arrives, score what is `wanted`, and `settle` it.

    Memory does not grow with the source: about a window of frames is held, beside frames that
    arrived and are not scored yet.
    """

    def __init__(self, settings: ShotSettings) -> None:
        self.settings = settings
        self._windows = FrameWindows(settings.layout)
        self._boundaries = Boundaries(settings.rule)
        self._frames: deque[tuple[float, int]] = deque()  # frames in no window yet: time and number
        self._waiting: deque[_Scored | Gap | None] = deque()

    def offer(self, arrived: Arrived) -> None:
        """Take frames, a gap, or the end of the source."""
        if isinstance(arrived, FrameBatch):
            self._frames += [
                (second, arrived.first + offset)
                for offset, second in enumerate(arrived.seconds.tolist())
            ]
            self._cut(self._windows.push(arrived.pixels))
            return
        self._cut(self._windows.close())
        self._waiting.append(arrived)

    def wanted(self) -> tuple[Frames, ...]:
        """Return the windows to be scored before `settle`, each uint8 [t, 27, 48, 3]."""
        return tuple(each.pixels for each in self._waiting if isinstance(each, _Scored))

    def settle(self, scores: Iterable[FloatMatrix]) -> tuple[ShotBounds, ...]:
        """Return the shots known by the scores of the wanted windows, each float32 [t, 2]."""
        found: list[ShotBounds] = []
        rows = iter(scores)
        before = self.settings.layout.before
        while self._waiting:
            each = self._waiting.popleft()
            if isinstance(each, _Scored):
                row, end = next(rows), before + len(each.seconds)
                found += self._boundaries.push(row[before:end], each.seconds, each.first)
                foreseen = row[end : end + len(each.after_s)]
                following = each.first + len(each.seconds)
                found += self._boundaries.foresee(foreseen, each.after_s, following)
            else:
                found += self._boundaries.end(None if each is None else each.start_s)
        return tuple(found)

    def _cut(self, windows: Iterable[tuple[Frames, int]]) -> None:
        for pixels, counted in windows:
            frames = [self._frames.popleft() for _ in range(counted)]
            seconds = np.array([second for second, _ in frames], np.float64)
            after = islice(
                self._frames, min(self.settings.layout.ahead, self.settings.rule.foreseen)
            )
            after_s = np.array([second for second, _ in after], np.float64)
            self._waiting.append(_Scored(pixels, seconds, frames[0][1], after_s))


@dataclass(frozen=True, slots=True)
class ShotFinder:
    """Finds the shots of sources with a model."""

    detector: ShotDetector
    settings: ShotSettings = field(default_factory=ShotSettings)

    @property
    def digest(self) -> str:
        """sha256 in hex over the model and all settings that decide the shots."""
        meaning = [self.detector.digest, asdict(self.settings)]
        return hashlib.sha256(json.dumps(meaning, sort_keys=True).encode()).hexdigest()

    def stream(self) -> ShotStream:
        """Return a stream for a new source."""
        return ShotStream(self.settings)

    def push(
        self, streams: Sequence[ShotStream], arrived: Sequence[Arrived]
    ) -> list[tuple[ShotBounds, ...]]:
        """Return the shots that are known from the arrivals at each stream; the model is called
        once for all windows of one length.

        Raises ModelError if the model fails, BusyError if too much waits for it.
        """
        for stream, each in zip(streams, arrived, strict=True):
            stream.offer(each)
        wanted = [stream.wanted() for stream in streams]
        scores = iter(self._scores([window for windows in wanted for window in windows]))
        return [
            stream.settle(list(islice(scores, len(windows))))
            for stream, windows in zip(streams, wanted, strict=True)
        ]

    def _scores(self, windows: Sequence[Frames]) -> list[FloatMatrix]:
        """Return the two numbers of each frame of each window, float32 [t, 2]."""
        scores: dict[int, FloatMatrix] = {}
        for length in sorted({len(window) for window in windows}):
            places = [place for place, window in enumerate(windows) if len(window) == length]
            found = self.detector.transitions(np.stack([windows[place] for place in places]))
            rows = found.reshape(-1, 2, length).transpose(0, 2, 1)
            scores |= dict(zip(places, rows, strict=True))
        return [scores[place] for place in range(len(windows))]

    def shots(self, source: Iterable[FrameBatch | Gap]) -> Iterator[ShotBounds]:
        """Yield the shots of one source, each as soon as it is known. Raises as `push` does."""
        stream = self.stream()
        for arrived in source:
            yield from self.push([stream], [arrived])[0]
        yield from self.push([stream], [None])[0]
