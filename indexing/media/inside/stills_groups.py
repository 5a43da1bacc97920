"""Which frames of a video are compared, and which of them is taken; inside the child.

Only the taken frame becomes a picture.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

from av.video.frame import VideoFrame

from indexing.media.inside.painting import Found, Painter
from indexing.media.inside.pictures import looks_black
from indexing.media.shots.stills import AROUND_S, Candidate, Gray, best, is_blend, sharpness

_SAME_S = 1e-6
# The frame of a moment begins at most this long before it. A frame that is shown for longer, and
# that no other needs, may be missed: the frames of the other moments also stand for the shot.
_SHOWN_S, _SHOWN_STEPS = 0.5, 1.5


@dataclass(slots=True)
class Group:
    """Moments in order, of which the best is wanted, and the frames seen around them."""

    moments: tuple[float, ...]
    shown: dict[int, tuple[float, VideoFrame]] = field(default_factory=dict)
    grays: list[tuple[float, Gray]] = field(default_factory=list)
    found: Found | None = None

    @property
    def start(self) -> float:
        """The second from which frames are compared."""
        return max(0.0, self.moments[0] - AROUND_S)

    @property
    def end(self) -> float:
        """The second up to which frames are compared."""
        return self.moments[-1] + AROUND_S

    def see(self, second: float, frame: VideoFrame, painter: Painter) -> None:
        """Takes one frame, which is shown from `second` on."""
        if self.start <= second <= self.end:
            self.grays.append((second, painter.gray(frame)))
        for number, moment in enumerate(self.moments):
            if second <= moment + _SAME_S or number not in self.shown:
                self.shown[number] = second, frame

    def judge(self, painter: Painter) -> None:
        """Takes the best of the frames, each judged once, and drops them."""
        once = list(dict(self.shown.values()).items())
        judged = [_judge(second, frame, self.grays, painter) for second, frame in once]
        number = best(judged)
        second, frame = once[number]
        self.found = Found(second, painter.paint(frame), judged[number].blurred)
        self.shown, self.grays = {}, []


def overlapping(groups: Sequence[Group]) -> Iterator[list[Group]]:
    """Groups in order, joined if they share frames: so no file is read backwards."""
    together: list[Group] = []
    for group in groups:
        if together and group.start > max(other.end for other in together):
            yield together
            together = []
        together.append(group)
    if together:
        yield together


@dataclass(frozen=True, slots=True)
class Needed:
    """When frames must be decoded even if no other frame needs them: stretches of seconds that
    begin at `starts`, in order, and end at `ends`.
    """

    starts: tuple[float, ...]
    ends: tuple[float, ...]

    @classmethod
    def by(cls, groups: Sequence[Group], step_s: float) -> Needed:
        """Return the moments of the groups, and the first and the last compared frame of each; a
        frame is shown for about `step_s`.
        """
        stretches: list[tuple[float, float]] = []
        for group in groups:
            several = len(group.moments) > 1
            shown_s = min(_SHOWN_S, _SHOWN_STEPS * step_s) if several else _SHOWN_S
            seconds = (group.start, *group.moments, group.end)
            stretches += [(second - shown_s, second + _SAME_S) for second in seconds]
        stretches.sort()
        ends = accumulate((end for _, end in stretches), max)
        return cls(tuple(start for start, _ in stretches), tuple(ends))

    def has(self, second: float) -> bool:
        """Return whether a frame that is shown from then on is needed."""
        number = bisect_right(self.starts, second) - 1
        return number >= 0 and second <= self.ends[number]


def _judge(
    second: float, frame: VideoFrame, grays: Sequence[tuple[float, Gray]], painter: Painter
) -> Candidate:
    """Return how well a frame stands for its shot."""
    gray = painter.looked_at(frame)
    before = [other for at, other in grays if second - AROUND_S <= at < second - _SAME_S]
    after = [other for at, other in grays if second + _SAME_S < at <= second + AROUND_S]
    blend = bool(before and after) and is_blend(before[0], painter.gray(frame), after[-1])
    return Candidate(sharpness(gray), looks_black(gray), blend)
