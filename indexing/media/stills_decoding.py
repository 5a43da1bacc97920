"""Stills out of a video: seek, decode, compare, keep the best of each group; inside the child."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import av
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream
from PIL import Image

from core.media import FRAME_HEIGHT, FRAME_WIDTH
from indexing.media.cage_limits import CageLimits, Refusal
from indexing.media.cage_wire import Message
from indexing.media.reading_open import open_file, prepare, video_of
from indexing.media.reading_pictures import looks_black, renditions
from indexing.media.reading_times import Timeline
from indexing.media.reading_video import Damage, decoded, is_stamped, stamp_of, step_of, turns_of
from indexing.media.stills import Candidate, Gray, best, is_blend, sharpness

_AROUND_S = 0.2  # how far before and after a frame is looked for what a blend is made of
_SAME_S = 1e-6
_SKIP_S = 0.5  # up to so long before a moment, frames that no other needs are not decoded
_SEEK_BACK_S = 10.0
_JUMP_S = 3600.0
_LOOKED_AT = 320
# Where timestamps are those of the file and not of a broadcast, so that a seek finds a moment.
_SEEKABLE = {"mov", "matroska", "mxf"}


def stills(handle: int, asked: Mapping[str, Any], limits: CageLimits) -> Iterator[Message]:
    """One still for each group of moments; the groups are in order of their first moment."""
    container = open_file(handle, limits)
    stream = video_of(container)
    if stream is None:
        raise Refusal("there is no video in it to take stills from")
    frames = Frames(container, stream, limits)
    painter = Painter(stream, int(asked["edge"]))
    groups = [Group(tuple(float(moment) for moment in moments)) for moments in asked["moments"]]
    for together in _overlapping(groups):
        for found in _looked_at(frames, painter, together):
            yield from renditions(found.image, [painter.edge], found.second, blurred=found.blurred)
    yield Message({"say": "done", "notes": frames.damage.notes()})


@dataclass(slots=True)
class Painter:
    """Frames as pictures: pixels square, upright, at most `edge` pixels."""

    stream: VideoStream
    edge: int

    def paint(self, frame: VideoFrame) -> Image.Image:
        """An RGB image."""
        aspect = self.stream.sample_aspect_ratio
        wide = frame.width * (float(aspect) if aspect and 0.1 < aspect < 10 else 1.0)
        share = min(1.0, self.edge / max(wide, frame.height))
        size = max(1, round(wide * share)), max(1, round(frame.height * share))
        scaled = VideoReformatter().reformat(
            frame, *size, format="rgb24", interpolation="BICUBIC", threads=1
        )
        return Image.fromarray(np.rot90(scaled.to_ndarray(), turns_of(frame)))

    def gray(self, frame: VideoFrame) -> Gray:
        """Grey levels, float32 [27, 48]."""
        small = VideoReformatter().reformat(
            frame, FRAME_WIDTH, FRAME_HEIGHT, format="gray", interpolation="AREA", threads=1
        )
        gray: Gray = small.to_ndarray().astype(np.float32)
        return gray


class Frames:
    """The frames of a video from any second on: by seeking where that is worth it."""

    def __init__(self, container: InputContainer, stream: VideoStream, limits: CageLimits) -> None:
        self._container, self._stream, self._limits = container, stream, limits
        self.damage = Damage()
        self._timeline = Timeline(step_of(stream), _JUMP_S)
        self._stamped = is_stamped(container, stream)
        self._can_seek = bool(_SEEKABLE & set(container.format.name.split(",")))
        self._wanted_s = 0.0
        self._origin: float | None = None
        self._at: tuple[float, VideoFrame] | None = None
        self._before: tuple[float, VideoFrame] | None = None
        prepare(stream, limits)
        self._flow = self._read()

    def since(self, second: float) -> Iterator[tuple[float, VideoFrame]]:
        """Seconds and frames, beginning with one at or before `second` if there is any."""
        self._wanted_s = second
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
                return  # the last frame stays for whoever asks for a later moment
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
        """Leaves out, well before the moment that is wanted, what no other frame needs."""
        base, origin = packet.time_base, self._origin
        early = (
            self._stamped
            and packet.pts is not None
            and base is not None
            and origin is not None
            and float(packet.pts * base) - origin < self._wanted_s - _SKIP_S
        )
        self._stream.codec_context.skip_frame = "NONREF" if early else "DEFAULT"

    def _is_key_between(self, second: float) -> bool:
        """Whether a seek would save decoding: a key frame lies between here and there."""
        if self._at is None or not self._can_seek or second - self._at[0] < _SKIP_S:
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
        """To the last key frame before; where the index is wrong, further back, then the start."""
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


@dataclass(frozen=True, slots=True)
class Found:
    """The frame that was taken for a group."""

    second: float
    image: Image.Image
    blurred: bool


@dataclass(slots=True)
class Group:
    """Moments in order, of which the best is wanted, and what was seen around them."""

    moments: tuple[float, ...]
    shown: dict[int, tuple[float, VideoFrame]] = field(default_factory=dict)
    grays: list[tuple[float, Gray]] = field(default_factory=list)
    found: Found | None = None

    @property
    def start(self) -> float:
        """From where on frames are looked at."""
        return max(0.0, self.moments[0] - _AROUND_S)

    @property
    def end(self) -> float:
        """Up to where."""
        return self.moments[-1] + _AROUND_S

    def see(self, second: float, frame: VideoFrame, painter: Painter) -> None:
        """One frame, which is shown from `second` on."""
        if self.start <= second <= self.end:
            self.grays.append((second, painter.gray(frame)))
        for number, moment in enumerate(self.moments):
            if second <= moment + _SAME_S or number not in self.shown:
                self.shown[number] = second, frame

    def judge(self, painter: Painter) -> None:
        """Takes the best of the frames, each looked at once, and lets them go."""
        once = dict(self.shown.values())
        judged = [_judge(second, frame, self.grays, painter) for second, frame in once.items()]
        candidate, second, image = judged[best([candidate for candidate, _, _ in judged])]
        self.found = Found(second, image, candidate.blurred)
        self.shown, self.grays = {}, []


def _overlapping(groups: Sequence[Group]) -> Iterator[list[Group]]:
    """Groups in order, those together that look at the same frames: no file is read backwards."""
    together: list[Group] = []
    for group in groups:
        if together and group.start > max(other.end for other in together):
            yield together
            together = []
        together.append(group)
    if together:
        yield together


def _looked_at(frames: Frames, painter: Painter, groups: Sequence[Group]) -> Iterator[Found]:
    """What is found for each of the groups, in one go over their frames."""
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
            raise Refusal(f"no frame can be decoded at {group.moments[0]:.1f} s")
        if group.found is None:
            group.judge(painter)
        if group.found is not None:
            yield group.found


def _judge(
    second: float, frame: VideoFrame, grays: Sequence[tuple[float, Gray]], painter: Painter
) -> tuple[Candidate, float, Image.Image]:
    """How well a frame would stand for its shot."""
    image = painter.paint(frame)
    looked_at = image.convert("L")
    looked_at.thumbnail((_LOOKED_AT, _LOOKED_AT), reducing_gap=2.0)
    gray = np.asarray(looked_at)
    before = [other for at, other in grays if second - _AROUND_S <= at < second - _SAME_S]
    after = [other for at, other in grays if second + _SAME_S < at <= second + _AROUND_S]
    blend = bool(before and after) and is_blend(before[0], painter.gray(frame), after[-1])
    candidate = Candidate(sharpness(gray.astype(np.float32)), looks_black(gray), blend)
    return candidate, second, image
