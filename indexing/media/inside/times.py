"""Times and positions of a video's frames; inside the child.

A source's timestamps become seconds from its first frame, which always grow.
"""

from __future__ import annotations

from dataclasses import dataclass

import av
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from core.media import Gap


def is_stamped(container: InputContainer, stream: VideoStream) -> bool:
    """Return whether a file says when its frames are shown. AVI says when they are decoded, which
    is another order if frames depend on later ones; but their rate is constant.
    """
    return container.format.name != "avi" or not stream.codec_context.has_b_frames


def stamp_of(frame: VideoFrame) -> float | None:
    """Return when the source says that a frame is shown, in seconds of its clock."""
    if frame.pts is None or frame.time_base is None:
        return None
    return float(frame.pts * frame.time_base)


def step_of(stream: VideoStream) -> float:
    """Return for how many seconds a frame is shown, by the header."""
    rate = stream.average_rate or stream.guessed_rate or 25
    return 1 / float(rate) if 1 <= rate <= 1000 else 0.04


def turns_of(frame: VideoFrame) -> int:
    """Return quarter turns counterclockwise that make a frame upright."""
    return round(frame.rotation / 90) % 4


def duration_of(container: InputContainer, stream: VideoStream) -> float:
    """Return seconds of a video by its header; 0 if it does not say."""
    if stream.duration is not None and stream.time_base is not None:
        return max(0.0, float(stream.duration * stream.time_base))
    if container.duration is not None:
        return max(0.0, container.duration / av.time_base)
    return 0.0


_LEAST_STEP_S = 1e-4
_SMALL_STEP_BACK_S = 1.0
_EVEN_STEP_S, _EVEN_STEPS = 0.2, 25


@dataclass(slots=True)
class Timeline:
    """Gives each frame its second.

    `step_s` is how long a frame is shown if nothing says it. A frame without a timestamp follows
    its predecessor after one step; one whose timestamp does not grow follows at once. A timestamp
    that goes back by more than a second, or on by more than `jump_s`, is a stray frame's, and the
    frame is left out. But if the next frame goes on from there, the source's clock was set: time
    goes on by one step, and a gap of no length marks the place.
    """

    step_s: float
    jump_s: float
    guessed: int = 0
    mended: int = 0
    jumps: int = 0
    strays: int = 0
    _origin: float | None = None
    _last: float = 0.0
    _even: int = 0  # steps in a row that were short
    _stray: float | None = None

    @property
    def next_s(self) -> float:
        """The second of the next frame if it follows after one step."""
        return 0.0 if self._origin is None else self._last + self.step_s

    @property
    def origin(self) -> float | None:
        """The time of the source's clock that is second 0; None before there is one."""
        return self._origin

    def begin(self, stamp: float) -> None:
        """Set second 0 before the first frame, as the sound says."""
        self._origin = stamp

    @property
    def is_begun(self) -> bool:
        """Whether there was a frame."""
        return self._origin is not None

    @property
    def is_even(self) -> bool:
        """Whether the last frames followed one another evenly, as a camera's do."""
        return self._even >= _EVEN_STEPS

    def second(self, stamp: float | None) -> tuple[float | None, Gap | None]:
        """Return the second of the frame with this stamp (None for a stray), and the jump before
        it.
        """
        if self._origin is None:
            self._origin = stamp or 0.0
            self.guessed += stamp is None
            return self._last, None
        if stamp is None:
            self.guessed += 1
            self._last = self.next_s
            return self._last, None
        moved = stamp - self._origin - self._last
        if self._goes_on(moved):
            self.mended += moved < _LEAST_STEP_S
            self._even = self._even + 1 if moved <= _EVEN_STEP_S else 0
            self._last += max(moved, _LEAST_STEP_S)
            self._stray = None
            return self._last, None
        if self._stray is None or not self._goes_on(stamp - self._stray):
            self._stray = stamp
            self.strays += 1
            return None, None
        return self._begin_anew(stamp, moved)

    def _goes_on(self, moved: float) -> bool:
        return -_SMALL_STEP_BACK_S <= moved <= self.jump_s

    def _begin_anew(self, stamp: float, moved: float) -> tuple[float, Gap]:
        self.jumps += 1
        self.strays -= 1
        at = self._last = self.next_s
        self._origin, self._stray = stamp - at, None
        return at, Gap(at, at, f"the source's clock jumps by {moved:+.1f} s")

    def notes(self) -> list[str]:
        """Return what was changed in the timestamps, for a person."""
        said = []
        if self.guessed:
            step = f"{self.step_s:.4f}"
            said.append(f"{self.guessed} frames without a timestamp, counted on by {step} s")
        if self.mended:
            said.append(f"{self.mended} timestamps that did not grow")
        if self.jumps:
            said.append(f"the source's clock jumps {self.jumps} times, losing a frame each time")
        if self.strays:
            said.append(f"{self.strays} frames out of their time, left out")
        return said
