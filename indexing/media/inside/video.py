"""Every frame of a video, small, with the second at which it is shown; inside the child."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import av
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from core.media import FRAME_HEIGHT, FRAME_WIDTH, Frames, Gap
from indexing.media.cage.limits import CageLimits, Refusal
from indexing.media.cage.wire import Message
from indexing.media.inside.open import check_sizes, open_file, prepare, video_of
from indexing.media.inside.times import (
    Timeline,
    duration_of,
    is_stamped,
    stamp_of,
    step_of,
    turns_of,
)

BATCH = 64
_JUMP_S = 3600.0
_HOLE_S = 0.5
MOST_FAILURES = 64  # in a row: a source with only failures is over
_END_S = 0.5

See = Callable[[int, float, VideoFrame, Frames], None]
Witness = Callable[[VideoStream], See]


class DelayedError(Exception):
    """A decoder with many threads met damage; it now reports and returns other frames."""


@dataclass(slots=True)
class Damage:
    """What could not be read: in all, in packets in a row, and up to the last gap.

    `strict` raises DelayedError at the first packet that can't be decoded.
    """

    strict: bool = False
    total: int = 0
    row: int = 0
    told: int = 0
    corrupt: int = 0
    first: str = ""

    def count(self, error: Exception) -> None:
        """Count one packet or frame that could not be read."""
        self.total += 1
        self.first = self.first or str(getattr(error, "strerror", None) or error)[:100]

    def look_at(self, packet: Packet[VideoStream]) -> None:
        """Count a packet that the demuxer reports as incomplete: MPEG-TS numbers its pieces
        (ISO/IEC 13818-1, continuity_counter), and a decoder may not notice a missing one.
        """
        if packet.is_corrupt:
            self.total += 1
            self.first = self.first or "parts of it are missing"

    def notes(self) -> list[str]:
        """Return the damage in words, for a person."""
        said = []
        if self.total:
            said.append(f"{self.total} parts could not be decoded ({self.first})")
        if self.corrupt:
            said.append(f"{self.corrupt} frames are damaged and shown as far as they could be")
        return said


@dataclass(slots=True)
class Shrinker:
    """Shrinks frames to 48 x 27 RGB, upright. That also blends interlaced fields, as 27 lines are
    far fewer than a field has.
    """

    interlaced: int = 0
    _scaler: VideoReformatter = field(default_factory=VideoReformatter)

    def shrink(self, frame: VideoFrame, turns: int) -> Frames:
        """Return uint8 [27, 48, 3]; `turns` of 90 degrees counterclockwise make it upright."""
        self.interlaced += frame.interlaced_frame
        width, height = (FRAME_HEIGHT, FRAME_WIDTH) if turns % 2 else (FRAME_WIDTH, FRAME_HEIGHT)
        small = self._scaler.reformat(
            frame, width, height, format="rgb24", interpolation="AREA", threads=1
        )
        pixels = small.to_ndarray().astype(np.uint8, copy=False)
        return np.rot90(pixels, turns) if turns else pixels


@dataclass(slots=True)
class Batch:
    """Frames that are not sent yet."""

    first: int = 0
    seconds: list[float] = field(default_factory=list)
    pixels: list[Frames] = field(default_factory=list)

    def add(self, second: float, pixels: Frames) -> None:
        """Add one frame."""
        self.seconds.append(second)
        self.pixels.append(pixels)

    def take(self) -> Iterator[Message]:
        """Yield the message that carries the frames, if there are any."""
        count = len(self.seconds)
        if not count:
            return
        times = np.array(self.seconds, "<f8").tobytes()
        body = times + np.stack(self.pixels).tobytes()
        yield Message({"say": "frames", "first": self.first, "count": count}, body)
        self.first += count
        self.seconds, self.pixels = [], []


def frames(handle: int, _: Mapping[str, Any], limits: CageLimits) -> Iterator[Message]:
    """Return batches of frames, gaps, and at the end the notes."""
    return seen_frames(handle, limits, _unseen)


def seen_frames(handle: int, limits: CageLimits, witness: Witness) -> Iterator[Message]:
    """Yield like `frames`; `witness` gets the video, and its function then gets each frame once,
    with its number, its second, and its pixels as they are sent.

    A decoder that works on several frames at once reports damage late and drops good frames with
    it. So at the first damage the file is read again by one that works on one frame at a time, up
    to where it was.
    """
    batch = Batch()
    try:
        yield from _read(handle, limits, batch, Damage(strict=True), "AUTO", witness)
    except DelayedError:
        yield from batch.take()
        yield from _read(handle, limits, batch, Damage(), "SLICE", witness)


def _unseen(_: VideoStream) -> See:
    return lambda *_: None


def _read(
    handle: int, limits: CageLimits, batch: Batch, damage: Damage, threads: str, witness: Witness
) -> Iterator[Message]:
    """Yield all messages of the file, without the frames that `batch` has sent already."""
    known, placed = batch.first, 0
    with open_file(handle, limits) as container:
        stream = video_of(container)
        if stream is None:
            yield Message({"say": "done", "notes": ["there is no video in it"]})
            return
        timeline, shrinker = Timeline(step_of(stream), _JUMP_S), Shrinker()
        stamped = is_stamped(container, stream)
        prepare(stream, limits, threads=threads)
        see = witness(stream)
        for frame in decoded(container, stream, damage, limits):
            second, gap = time_of(frame, timeline, damage, stamped=stamped)
            placed += second is not None
            if second is None or placed <= known:
                continue
            if gap is not None:
                yield from batch.take()
                yield said(gap)
            small = shrinker.shrink(frame, turns_of(frame))
            see(batch.first + len(batch.seconds), second, frame, small)
            batch.add(second, small)
            if len(batch.seconds) >= BATCH:
                yield from batch.take()
        yield from batch.take()
        yield from _end(container, stream, timeline, damage)
    notes = [*timeline.notes(), *damage.notes()]
    if shrinker.interlaced:
        notes.append(f"{shrinker.interlaced} interlaced frames, their fields blended by scaling")
    yield Message({"say": "done", "notes": notes})


def decoded(
    container: InputContainer,
    stream: VideoStream,
    damage: Damage,
    limits: CageLimits,
    before: Callable[[Packet[VideoStream]], None] = lambda _: None,
) -> Iterator[VideoFrame]:
    """Yield the frames of a stream in the order of presentation, without damaged parts; `before`
    sees each packet first.
    """
    while damage.row < MOST_FAILURES:
        try:
            for packet in container.demux(stream):
                damage.row = 0
                damage.look_at(packet)
                before(packet)
                yield from decode(packet, damage, limits, container)
        except (av.error.FFmpegError, OSError) as error:
            if isinstance(error, MemoryError):
                raise
            damage.count(error)  # a demuxer may find its way after the damage
            damage.row += 1
        else:
            return
    with suppress(av.error.FFmpegError, ValueError):
        yield from stream.codec_context.decode(None)  # the frames that it still holds


def decode(
    packet: Packet[VideoStream], damage: Damage, limits: CageLimits, container: InputContainer
) -> list[VideoFrame]:
    """Return the frames of a packet; damage is counted."""
    try:
        found = packet.decode()
    except av.error.MemoryError as error:
        raise MemoryError from error
    except (av.error.FFmpegError, ValueError) as error:
        if damage.strict:
            raise DelayedError from error
        damage.count(error)
        check_sizes(container, limits)
        return []
    damage.corrupt += sum(bool(frame.is_corrupt) for frame in found)
    return found


def time_of(
    frame: VideoFrame,
    timeline: Timeline,
    damage: Damage,
    *,
    stamped: bool = True,
    steady: bool = False,
) -> tuple[float | None, Gap | None]:
    """Return the second of a frame (None if it is left out), and the gap before it: a jump, or a
    hole that damage has left. `steady`: frames of this source follow evenly, so every hole is a
    gap, whatever the cause.
    """
    expected, begun, even = timeline.next_s, timeline.is_begun, timeline.is_even
    second, gap = timeline.second(stamp_of(frame) if stamped else None)
    if second is None or gap is not None or not begun or second - expected <= _HOLE_S:
        return second, gap
    if damage.total > damage.told:
        gap = Gap(expected, second, f"could not be decoded: {damage.first}")
        damage.told = damage.total
    elif steady and even:
        gap = Gap(expected, second, f"{second - expected:.1f} s of it did not come")
    return second, gap


def said(gap: Gap) -> Message:
    """Return a gap as a message."""
    return Message(
        {"say": "gap", "start_s": gap.start_s, "end_s": gap.end_s, "reason": gap.reason[:400]}
    )


def _end(
    container: InputContainer, stream: VideoStream, timeline: Timeline, damage: Damage
) -> Iterator[Message]:
    """Yield the gap for what the header promises and the file lacks."""
    if not timeline.is_begun:
        if damage.total:
            raise Refusal(f"no frame of it can be decoded: {damage.first}", doubtful=True)
        return
    promised = duration_of(container, stream)
    if promised - timeline.next_s > max(_END_S, 2 * timeline.step_s):
        why = damage.first or "no more of it could be read, though its header promises it"
        yield said(Gap(timeline.next_s, promised, why))
