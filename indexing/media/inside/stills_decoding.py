"""Stills of a video: seek, decode, compare, keep the best of each group; inside the child.

A still costs the frames from the last key frame on, and as few others as possible: frames that no
other frame needs are decoded only if a moment asks for them. Of the frames that are compared, only
the one that is taken becomes a picture.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

import av
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from indexing.media.cage.limits import CageLimits, Refusal
from indexing.media.cage.wire import Message
from indexing.media.inside.open import open_file, prepare, video_of
from indexing.media.inside.painting import Found, Painter
from indexing.media.inside.pictures import looks_black, renditions
from indexing.media.inside.times import Timeline, is_stamped, stamp_of, step_of
from indexing.media.inside.video import Damage, decoded
from indexing.media.shots.stills import AROUND_S, Candidate, Gray, best, is_blend, sharpness

_SAME_S = 1e-6
# The frame of a moment begins at most this long before it. A frame that is shown for longer, and
# that no other needs, may be missed: the frames of the other moments also represent the shot.
_SHOWN_S, _SHOWN_STEPS = 0.5, 1.5


@dataclass(slots=True)
class Group:
    """Moments in order, one of which gives the best frame, and the frames around them."""

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
        """Take one frame, which is shown from `second` on."""
        if self.start <= second <= self.end:
            self.grays.append((second, painter.gray(frame)))
        for number, moment in enumerate(self.moments):
            if second <= moment + _SAME_S or number not in self.shown:
                self.shown[number] = second, frame

    def judge(self, painter: Painter) -> None:
        """Take the best of the frames, each judged once, and drop them."""
        once = list(dict(self.shown.values()).items())
        judged = [_judge(second, frame, self.grays, painter) for second, frame in once]
        number = best(judged)
        second, frame = once[number]
        self.found = Found(second, painter.paint(frame), judged[number].blurred)
        self.shown, self.grays = {}, []


def overlapping(groups: Sequence[Group]) -> Iterator[list[Group]]:
    """Yield groups in order, joined if they share frames: so no file is read backwards."""
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
    """Return how well a frame represents its shot."""
    gray = painter.looked_at(frame)
    before = [other for at, other in grays if second - AROUND_S <= at < second - _SAME_S]
    after = [other for at, other in grays if second + _SAME_S < at <= second + AROUND_S]
    blend = bool(before and after) and is_blend(before[0], painter.gray(frame), after[-1])
    return Candidate(sharpness(gray), looks_black(gray), blend)


_AHEAD_S = 0.5  # a seek over less than this saves nothing
_SEEK_BACK_S = 10.0
_JUMP_S = 3600.0
# Their timestamps are those of the file and not of a broadcast, so that a seek finds a moment.
_SEEKABLE = {"mov", "matroska", "mxf"}


def stills(handle: int, asked: Mapping[str, Any], limits: CageLimits) -> Iterator[Message]:
    """Yield one still for each group of moments; the groups are in order of their first moment."""
    container = open_file(handle, limits)
    stream = video_of(container)
    if stream is None:
        raise Refusal("there is no video in it to take stills from")
    painter = Painter(stream, int(asked["edge"]))
    groups = [Group(tuple(float(moment) for moment in moments)) for moments in asked["moments"]]
    frames = Frames(container, stream, limits, Needed.by(groups, step_of(stream)))
    for together in overlapping(groups):
        for found in _looked_at(frames, painter, together):
            yield from renditions(found.image, [painter.edge], found.second, blurred=found.blurred)
    yield Message({"say": "done", "notes": frames.damage.notes()})


class Frames:
    """The frames of a video from any second on, with a seek if that saves time."""

    def __init__(
        self,
        container: InputContainer,
        stream: VideoStream,
        limits: CageLimits,
        needed: Needed,
    ) -> None:
        self._container, self._stream, self._limits = container, stream, limits
        self._needed = needed
        self.damage = Damage()
        self._timeline = Timeline(step_of(stream), _JUMP_S)
        self._stamped = is_stamped(container, stream)
        self._can_seek = bool(_SEEKABLE & set(container.format.name.split(",")))
        self._origin: float | None = None
        self._at: tuple[float, VideoFrame] | None = None
        self._before: tuple[float, VideoFrame] | None = None
        prepare(stream, limits)
        self._flow = self._read()

    def since(self, second: float) -> Iterator[tuple[float, VideoFrame]]:
        """Yield seconds and frames, beginning with one at or before `second` if there is any."""
        if self._at is None:
            self._at = next(self._flow, None)
        first = self._before or self._at
        if first is not None and (first[0] > second or self._is_key_between(second)):
            self._seek(second)
        if self._before is not None:
            yield self._before
        while self._at is not None:
            yield self._at
            following = next(self._flow, None)
            if following is None:
                return  # the last frame stays for a later moment
            self._before, self._at = self._at, following

    def _read(self) -> Iterator[tuple[float, VideoFrame]]:
        found = decoded(self._container, self._stream, self.damage, self._limits, self._hurry)
        for frame in found:
            stamp = stamp_of(frame) if self._stamped else None
            if self._origin is None:
                self._origin = stamp or 0.0
            if self._can_seek and stamp is not None:
                yield stamp - self._origin, frame
            elif (second := self._timeline.second(stamp)[0]) is not None:
                yield second, frame

    def _hurry(self, packet: Packet[VideoStream]) -> None:
        """Skip frames that no other frame needs, unless a moment asks for them."""
        base, origin = packet.time_base, self._origin
        left_out = (
            self._stamped
            and packet.pts is not None
            and base is not None
            and origin is not None
            and not self._needed.has(float(packet.pts * base) - origin)
        )
        self._stream.codec_context.skip_frame = "NONREF" if left_out else "DEFAULT"

    def _is_key_between(self, second: float) -> bool:
        """Return whether a seek would save decoding: a key frame is between here and there."""
        if self._at is None or not self._can_seek or second - self._at[0] < _AHEAD_S:
            return False
        entries = self._stream.index_entries
        number = entries.search_timestamp(self._stamp(second), backward=True)
        if number < 0:
            return second - self._at[0] > _SEEK_BACK_S
        return entries[number].timestamp > self._stamp(self._at[0])

    def _stamp(self, second: float) -> int:
        base = self._stream.time_base or 1
        return round((second + (self._origin or 0.0)) / base)

    def _seek(self, second: float) -> None:
        """Seeks the last key frame before; if the index is wrong, further back, then the start."""
        if not self._can_seek:
            return
        for back in (0.0, _SEEK_BACK_S, second):
            at = self._stamp(max(0.0, second - back))
            try:
                self._container.seek(at, stream=self._stream)
            except av.error.FFmpegError as error:
                self.damage.count(error)
                continue
            self._flow = self._read()
            found = next(self._flow, None)
            if found is not None:
                self._before, self._at = None, found
                if found[0] <= second:
                    return


def _looked_at(frames: Frames, painter: Painter, groups: Sequence[Group]) -> Iterator[Found]:
    """Yield the frame found for each of the groups, in one pass over their frames."""
    end = max(group.end for group in groups)
    for second, frame in frames.since(groups[0].start):
        for group in groups:
            if group.found is None and second > group.end and group.shown:
                group.judge(painter)
            if group.found is None:
                group.see(second, frame, painter)
        if second > end:
            break
    for group in groups:
        if group.found is None and not group.shown:
            what = f"no frame can be decoded at {group.moments[0]:.1f} s"
            raise Refusal(what, doubtful=True)
        if group.found is None:
            group.judge(painter)
        if group.found is not None:
            yield group.found
