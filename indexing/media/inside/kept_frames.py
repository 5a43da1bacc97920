"""Keeps frames while a video is read, so that a shot's still needs no second reading. Runs in the
child.

A shot is known some hundreds of frames after its end, and its best frame is near its middle. So
frames are kept small and at even steps: every fifth of a second for a time, one in four of them for
four times as long, one in sixteen for sixteen times as long. The candidates of a shot depend on its
length alone, never on how late it was asked for: the same file gives the same stills.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from av.video.frame import VideoFrame

from core.media import Frames
from indexing.media.inside.painting import Found, Painter
from indexing.media.inside.pictures import looks_black
from indexing.media.inside.times import turns_of
from indexing.media.shots.stills import (
    AROUND_S,
    MOMENTS,
    REACH,
    REACH_S,
    Candidate,
    Gray,
    best,
    is_blend,
    sharpness,
)

_EVERY_S = 0.2
_LEAST_STEP = 5  # frames; without it, memory would have no bound at low frame rates
_COARSER = 4  # factor between two steps, and between the times that their frames are kept
_KEPT = 900  # frames from the newest back to the oldest of the finest step
# Frames: a shot of a file is asked for at most 651 after its end (a transition of 250, a window's
# 249 + 25, two batches on their way), and its candidates are further back than its middle.
_LATE = 750
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601, 2.5.1


@dataclass(slots=True)
class _Kept:
    """A frame at a still's size, and the grey levels [27, 48] of it and of those around it."""

    number: int
    second: float
    frame: VideoFrame
    turns: int
    before: Gray
    at: Gray
    after: Gray | None = None


@dataclass(slots=True)
class KeptFrames:
    """The kept frames of a video; each is shown for about `step_s`."""

    painter: Painter
    step_s: float
    _kept: deque[_Kept] = field(default_factory=deque)
    _grays: deque[tuple[float, Gray]] = field(default_factory=deque)  # frames of the last AROUND_S

    def see(self, number: int, second: float, frame: VideoFrame, small: Frames) -> None:
        """Take one frame, and the same as uint8 [27, 48, 3]; all frames, in order."""
        gray: Gray = small.astype(np.float32) @ _LUMA
        while self._grays and self._grays[0][0] < second - AROUND_S:
            self._grays.popleft()
        for kept in reversed(self._kept):
            if kept.second < second - AROUND_S:
                break
            kept.after = gray
        self._grays.append((second, gray))
        if number % self._step == 0:
            small_frame, turns = self.painter.shrink(frame), turns_of(frame)
            before = self._grays[0][1]
            self._kept.append(_Kept(number, second, small_frame, turns, before, gray))
            self._let_go(number)

    def still_of(self, first: int, last: int) -> Found | None:
        """Return the best frame of a shot from frame `first` to `last`; None if none was kept.
        Drops the frames up to the shot's end.
        """
        near = self._near_the_middle(first, last)
        judged = [self._judge(kept) for kept in near]
        found = None
        if near:
            number = best(judged)
            chosen = near[number]
            image = self.painter.image(chosen.frame, chosen.turns)
            found = Found(chosen.second, image, judged[number].blurred)
        while self._kept and self._kept[0].number <= last:
            self._kept.popleft()
        return found

    @property
    def _step(self) -> int:
        return max(_LEAST_STEP, round(_EVERY_S / self.step_s))

    def _near_the_middle(self, first: int, last: int) -> list[_Kept]:
        """Return at most MOMENTS frames of a shot, nearest to its middle first."""
        length, middle = last - first + 1, (first + last) / 2
        coarse = next(k for k in range(64) if _KEPT * _COARSER**k >= length / 2 + _LATE)
        step = self._step * _COARSER**coarse
        reach = max(step, min(REACH * length, REACH_S / self.step_s))
        inside = [
            kept
            for kept in self._kept
            if first <= kept.number <= last
            and kept.number % step == 0
            and abs(kept.number - middle) <= reach
        ]
        return sorted(inside, key=lambda kept: abs(kept.number - middle))[:MOMENTS]

    def _judge(self, kept: _Kept) -> Candidate:
        gray = self.painter.looked_at(kept.frame)
        blend = kept.after is not None and is_blend(kept.before, kept.at, kept.after)
        return Candidate(sharpness(gray), looks_black(gray), blend)

    def _let_go(self, newest: int) -> None:
        """Drop the frames that are too old for their step."""
        young = (kept for kept in self._kept if newest - kept.number < self._life(kept.number))
        self._kept = deque(young)

    def _life(self, number: int) -> int:
        """Return the number of frames for which one is kept."""
        life, place = _KEPT, number // self._step
        while place and place % _COARSER == 0:
            life, place = life * _COARSER, place // _COARSER
        return life if place else _KEPT * _COARSER**30

    def numbers(self) -> Iterator[int]:
        """Yield the numbers of the kept frames."""
        return (kept.number for kept in self._kept)
