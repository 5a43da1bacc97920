"""A stream of frames cut into the windows that the model looks at.

A window has 100 frames, of which those in the middle count: 25 before them and 25 after say what
they stand among. The first and the last frame of a stretch stand in for what lies beyond it. So a
frame is scored in the same window whether a file or a camera gives it, and whatever the batches
that it came in.

Source: Soucek and Lokoc 2020 (section 3), and the padding of the authors' inference code.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from core.errors import SettingsError
from core.media import FRAME_HEIGHT, FRAME_WIDTH, Frames

WINDOW = 100
AHEAD = 25  # frames after those that count, where the stride leaves so many
LONGEST_STRIDE = 80  # beyond it too few frames stand around those that count


@dataclass(frozen=True, slots=True)
class WindowLayout:
    """Which frames of a window count: `stride` of them, with `ahead` after and the rest before.

    A shorter stride tells of a frame sooner and costs more: each frame goes through the model
    `cost` times, and `delay` frames more must arrive before the last to be told of is.
    Raises SettingsError where a window has not so many frames.
    """

    stride: int = 50
    ahead: int = AHEAD

    def __post_init__(self) -> None:
        if not 1 <= self.stride <= LONGEST_STRIDE or not 0 <= self.ahead <= WINDOW - self.stride:
            what = f"a window can't count {self.stride} frames with {self.ahead} after them"
            mend = f"1 to {LONGEST_STRIDE} may count, {WINDOW} with those around them"
            raise SettingsError(what, where="shot_stride", mend=mend)

    @classmethod
    def of_stride(cls, stride: int, ahead: int = AHEAD) -> WindowLayout:
        """The usual layout: `ahead` frames after those that count, and fewer where the stride is
        long, so that as many stand before as after.
        """
        return cls(stride, min(ahead, (WINDOW - stride) // 2))

    @property
    def before(self) -> int:
        """Frames before those that count."""
        return WINDOW - self.ahead - self.stride

    @property
    def cost(self) -> float:
        """Frames put to the model for each of the stream's."""
        return WINDOW / self.stride

    @property
    def delay(self) -> int:
        """The most frames that must arrive after one before it can be scored."""
        return self.stride - 1 + self.ahead


class FrameWindows:
    """Cuts one stretch of frames, without a gap in it, into windows. Holds at most a window of
    frames between calls.
    """

    def __init__(self, layout: WindowLayout) -> None:
        self.layout = layout
        self._held: Frames = np.zeros((0, FRAME_HEIGHT, FRAME_WIDTH, 3), np.uint8)
        self._unscored = 0  # frames that arrived and counted in no window yet

    def push(self, pixels: Frames) -> Iterator[tuple[Frames, int]]:
        """The windows that uint8 [n, 27, 48, 3] completes, each [100, 27, 48, 3] with how many of
        its frames count.
        """
        if not len(pixels):
            return
        if not len(self._held):  # the first frame stands for those before it
            pixels = np.concatenate([np.repeat(pixels[:1], self.layout.before, axis=0), pixels])
            self._unscored = -self.layout.before
        self._unscored += len(pixels)
        self._held = np.concatenate([self._held, pixels])
        while len(self._held) >= WINDOW:
            yield self._next(self.layout.stride)

    def close(self) -> Iterator[tuple[Frames, int]]:
        """The last windows, in which the last frame stands for those after it; another stretch may
        follow.
        """
        while self._unscored > 0:
            missing = max(0, WINDOW - len(self._held))
            last = np.repeat(self._held[-1:], missing, axis=0)
            self._held = np.concatenate([self._held, last])
            yield self._next(min(self.layout.stride, self._unscored))
        self._held = self._held[:0].copy()
        self._unscored = 0

    def _next(self, counted: int) -> tuple[Frames, int]:
        """The next window, which a stride is dropped after."""
        window = self._held[:WINDOW].copy()
        self._held = self._held[self.layout.stride :]
        self._unscored -= counted
        return window, counted
