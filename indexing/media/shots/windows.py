"""A stream of frames cut into the windows that the model looks at.

Those in a window's middle count: 25 before them and 25 after say what they stand among. The first
and the last frame of a stretch stand in for what lies beyond it. So a frame is scored in the same
window whatever the batches that it came in.

A live source's windows have 100 frames, so that a shot is told soon. Those of a file are longer: as
many frames stand around those that count, which are more, and so fewer are looked at twice. Its
last window is as long as what is left.

Source: Soucek and Lokoc 2020 (section 3), and the padding of the authors' inference code.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from core.errors import SettingsError
from core.media import FRAME_HEIGHT, FRAME_WIDTH, Frames

WINDOW = 100  # frames: the windows that the model learned from, and those of a live source
# Frames of a file's window. Each is looked at 1.2 times in the place of 2, for the same F1 on the
# test clips. A window takes 146 MB in int8, two of 100 take 84; one of 500 takes 256 MB.
FILE_WINDOW = 300
FILE_AHEAD = 20  # frames after those that count in a file's window, as by default in a live one
AHEAD = 25  # frames after those that count, where the stride leaves so many
LEAST_AROUND = 20  # frames beside those that count: with fewer, false cuts are found
_STEP = 50  # frames by which the last windows of files differ: few lengths, and little in vain


@dataclass(frozen=True, slots=True)
class WindowLayout:
    """Which of a window's frames count: `stride` of them, with `ahead` after and the rest before.

    A shorter stride tells of a frame sooner and costs more: each frame goes through the model
    `cost` times, and `delay` frames more must arrive before the last to be told of is.
    Raises SettingsError where a window has not so many frames.
    """

    stride: int = 50
    ahead: int = AHEAD
    window: int = WINDOW

    def __post_init__(self) -> None:
        longest = self.window - LEAST_AROUND
        if not 1 <= self.stride <= longest or not 0 <= self.ahead <= self.around:
            what = f"a window can't count {self.stride} frames with {self.ahead} after them"
            mend = f"1 to {longest} may count, {self.window} with those around them"
            raise SettingsError(what, where="shot_stride", mend=mend)

    @classmethod
    def of_stride(cls, stride: int, ahead: int = AHEAD) -> WindowLayout:
        """The usual layout: `ahead` frames after those that count, and fewer where the stride is
        long, so that as many stand before as after.
        """
        return cls(stride, min(ahead, (WINDOW - stride) // 2))

    def lengthened(self, window: int) -> WindowLayout:
        """Windows of `window` frames, of which more count and as many stand around them."""
        return replace(self, window=window, stride=window - self.around)

    @property
    def around(self) -> int:
        """Frames that do not count."""
        return self.window - self.stride

    @property
    def before(self) -> int:
        """Frames before those that count."""
        return self.around - self.ahead

    @property
    def cost(self) -> float:
        """Frames put to the model for each of the stream's."""
        return self.window / self.stride

    @property
    def delay(self) -> int:
        """The most frames that must arrive after one before it can be scored."""
        return self.stride - 1 + self.ahead

    def fitting(self, left: int) -> int:
        """Frames of a window in which the last `left` of a stretch count, or as many of them as may
        count in one.
        """
        needed = -(-(left + self.around) // _STEP) * _STEP
        return min(self.window, max(WINDOW, needed))


class FrameWindows:
    """Cuts one stretch of frames, without a gap in it, into windows. Holds at most a window of
    frames between calls.
    """

    def __init__(self, layout: WindowLayout) -> None:
        self.layout = layout
        self._held: Frames = np.zeros((0, FRAME_HEIGHT, FRAME_WIDTH, 3), np.uint8)
        self._unscored = 0  # frames that arrived and counted in no window yet

    def push(self, pixels: Frames) -> Iterator[tuple[Frames, int]]:
        """The windows that uint8 [n, 27, 48, 3] completes, each [t, 27, 48, 3] with how many of
        its frames count.
        """
        if not len(pixels):
            return
        if not len(self._held):  # the first frame stands for those before it
            pixels = np.concatenate([np.repeat(pixels[:1], self.layout.before, axis=0), pixels])
            self._unscored = -self.layout.before
        self._unscored += len(pixels)
        self._held = np.concatenate([self._held, pixels])
        while len(self._held) >= self.layout.window:
            yield self._next(self.layout.window, self.layout.stride)

    def close(self) -> Iterator[tuple[Frames, int]]:
        """The last windows, in which the last frame stands for those after it; another stretch may
        follow.
        """
        while self._unscored > 0:
            length = self.layout.fitting(self._unscored)
            missing = max(0, length - len(self._held))
            last = np.repeat(self._held[-1:], missing, axis=0)
            self._held = np.concatenate([self._held, last])
            yield self._next(length, min(length - self.layout.around, self._unscored))
        self._held = self._held[:0].copy()
        self._unscored = 0

    def _next(self, length: int, counted: int) -> tuple[Frames, int]:
        """The next window; what counts in it is dropped."""
        window = self._held[:length].copy()
        self._held = self._held[counted:]
        self._unscored -= counted
        return window, counted
