"""A stream of frames cut into the windows that the model reads.

Only the frames in a window's middle count: 25 before them and 25 after are their context. The first
and the last frame of a stretch are repeated for what is beyond it. So a frame is scored in the same
window, whatever batch it arrives in.

A live source's windows have 100 frames, so that a shot is reported soon. Those of a file are
longer: they have as much context but more frames that count, so fewer frames are read twice. Its
last window is as long as what remains.

Source: Soucek and Lokoc 2020 (section 3), and the padding of the authors' inference code.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from core.errors import SettingsError
from core.media import FRAME_HEIGHT, FRAME_WIDTH, Frames

WINDOW = 100  # frames: the windows that the model learned from, and those of a live source
# Frames of a file's window. Each is read 1.2 times instead of 2, for the same F1 on the test clips.
# A window takes 146 MB in int8, two of 100 take 84; one of 500 takes 256 MB.
FILE_WINDOW = 300
FILE_AHEAD = 20  # frames after those that count in a file's window, as by default in a live one
AHEAD = 25  # frames after those that count, if the stride leaves that many
LEAST_AROUND = 20  # frames beside those that count: with fewer, false cuts are found
_STEP = 50  # frames by which the last windows of files differ: few lengths, and little waste


@dataclass(frozen=True, slots=True)
class WindowLayout:
    """Which frames of a window count: `stride` of them, with `ahead` after and the rest before.

    A shorter stride reports a frame sooner and costs more: each frame goes through the model `cost`
    times, and `delay` more frames must arrive before a frame is scored. Raises SettingsError if a
    window has too few frames.
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
        """Return the usual layout: `ahead` frames after those that count, or fewer with a long
        stride, so that as many are before as after.
        """
        return cls(stride, min(ahead, (WINDOW - stride) // 2))

    def lengthened(self, window: int) -> WindowLayout:
        """Return windows of `window` frames: more of them count, with as many around."""
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
        """Frames given to the model for each frame of the stream."""
        return self.window / self.stride

    @property
    def delay(self) -> int:
        """The most frames that must arrive after one before it can be scored."""
        return self.stride - 1 + self.ahead

    def fitting(self, left: int) -> int:
        """Return frames of a window in which the last `left` of a stretch count, or as many of them
        as one window allows.
        """
        needed = -(-(left + self.around) // _STEP) * _STEP
        return min(self.window, max(WINDOW, needed))


def window_lengths(longest: int = FILE_WINDOW) -> tuple[int, ...]:
    """Return how many frames the windows of files have, ascending, if the longest has `longest`."""
    return (*range(WINDOW, longest, _STEP), longest)


class FrameWindows:
    """Cuts one stretch of frames, without a gap in it, into windows. Holds at most a window of
    frames between calls.
    """

    def __init__(self, layout: WindowLayout) -> None:
        self.layout = layout
        self._held: Frames = np.zeros((0, FRAME_HEIGHT, FRAME_WIDTH, 3), np.uint8)
        self._unscored = 0  # frames that arrived and counted in no window yet

    def push(self, pixels: Frames) -> Iterator[tuple[Frames, int]]:
        """Yield the windows that uint8 [n, 27, 48, 3] completes, each [t, 27, 48, 3] with the
        number of its frames that count.
        """
        if not len(pixels):
            return
        if not len(self._held):  # the first frame stands in for frames before it
            pixels = np.concatenate([np.repeat(pixels[:1], self.layout.before, axis=0), pixels])
            self._unscored = -self.layout.before
        self._unscored += len(pixels)
        self._held = np.concatenate([self._held, pixels])
        while len(self._held) >= self.layout.window:
            yield self._next(self.layout.window, self.layout.stride)

    def close(self) -> Iterator[tuple[Frames, int]]:
        """Yield the last windows, in which the last frame is repeated for those after it; another
        stretch may follow.
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
        """Return the next window, and drop its frames that count."""
        window = self._held[:length].copy()
        self._held = self._held[counted:]
        self._unscored -= counted
        return window, counted
