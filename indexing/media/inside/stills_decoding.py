"""Stills of a video: seek, decode, compare, keep the best of each group; inside the child.

A still costs the frames from the last key frame on, and as few others as possible: frames that no
other frame needs are decoded only if a moment asks for them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
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
from indexing.media.inside.pictures import renditions
from indexing.media.inside.stills_groups import Group, Needed, overlapping
from indexing.media.inside.stream import is_stamped, stamp_of, step_of
from indexing.media.inside.times import Timeline
from indexing.media.inside.video import Damage, decoded

_AHEAD_S = 0.5  # a seek over less than this saves nothing
_SEEK_BACK_S = 10.0
_JUMP_S = 3600.0
# Their timestamps are those of the file and not of a broadcast, so that a seek finds a moment.
_SEEKABLE = {"mov", "matroska", "mxf"}


def stills(handle: int, asked: Mapping[str, Any], limits: CageLimits) -> Iterator[Message]:
    """One still for each group of moments; the groups are in order of their first moment."""
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
        """Seconds and frames, beginning with one at or before `second` if there is any."""
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
        """Skips frames that no other frame needs, unless a moment asks for them."""
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
