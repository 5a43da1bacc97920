"""Reads a live source as it comes: frames, and beside them what an item of it needs. Runs in the
child.

Beside the frames there are, where they are wanted, samples of the sound, the still of each shot
that the parent names, and the packets themselves as MPEG-TS, so that the parent can keep them. All
times are counted from the first frame, or from the first sound where no picture comes.
"""

from __future__ import annotations

import select
import socket
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.video.stream import VideoStream

from core.media import SOUND_RATE
from indexing.media.cage.limits import CageLimits, Refusal
from indexing.media.cage.wire import Message, receive
from indexing.media.inside.kept_frames import KeptFrames
from indexing.media.inside.open import prepare, video_of
from indexing.media.inside.painting import Painter
from indexing.media.inside.pictures import renditions
from indexing.media.inside.recording import Recording
from indexing.media.inside.sound import Samples, resampler, through
from indexing.media.inside.times import Timeline, step_of, turns_of
from indexing.media.inside.video import (
    MOST_FAILURES,
    Batch,
    Damage,
    Shrinker,
    decode,
    said,
    time_of,
)

_FRAMES = 16
_WAIT_S = 0.04  # frames that came within this time go together
_JUMP_S = 10.0
_SOUND_S = 0.2  # of sound in a message
_HELD_S = 3.0  # of sound that waits for the first frame
_UNEVEN_S = 0.1  # a smaller step in the timestamps of sound is none that can be heard
_STEADY = {"mpegts", "hls"}  # broadcasts: frames come at a rate, and a missing one was lost


class Requests:
    """What the parent asks for while the source is read: `still`, `cut`, `enough`."""

    def __init__(self, line: socket.socket) -> None:
        self._line = line
        self._waiting: deque[Mapping[str, Any]] = deque()

    def keep(self, head: Mapping[str, Any]) -> None:
        """Keep a request that came while something else was awaited."""
        self._waiting.append(head)

    def come(self) -> Iterator[Mapping[str, Any]]:
        """Yield what has been asked by now."""
        while self._waiting or select.select([self._line], [], [], 0)[0]:
            yield self._next()

    def until_enough(self) -> Iterator[Mapping[str, Any]]:
        """Yield what is asked until the last request."""
        while (head := self._next())["do"] != "enough":
            yield head

    def _next(self) -> Mapping[str, Any]:
        return self._waiting.popleft() if self._waiting else receive(self._line).head


@dataclass(slots=True)
class _Sound:
    """The samples of a source, numbered from second 0; a hole is left out."""

    sent: int = 0  # the number of the next sample
    _resampler: AudioResampler = field(default_factory=resampler)
    _waits: list[Samples] = field(default_factory=list)
    _waiting: int = 0
    _due_s: float | None = None

    def put(self, frame: AudioFrame, origin: float) -> Iterator[Message]:
        """Take a frame, and yield the message that it completes."""
        at_s = frame.time - origin if frame.time is not None else self._due_s or 0.0
        if self._due_s is None or abs(at_s - self._due_s) > _UNEVEN_S:
            yield from self.take()
            self._resampler = resampler()
            self.sent = max(self.sent, round(at_s * SOUND_RATE))
        self._due_s = at_s + frame.samples / frame.sample_rate
        if at_s < 0:
            return
        frame.pts = None
        self._add(through(self._resampler, frame))
        if self._waiting >= _SOUND_S * SOUND_RATE:
            yield from self.take()

    def take(self) -> Iterator[Message]:
        """Yield the samples that are not sent yet, as one message."""
        if self._waiting:
            joined = np.concatenate(self._waits)
            head = {"say": "sound", "first": self.sent, "count": len(joined)}
            yield Message(head, joined.astype("<i2").tobytes())
            self.sent += len(joined)
            self._waits, self._waiting = [], 0

    def _add(self, made: Iterator[Samples]) -> None:
        for samples in made:
            self._waits.append(samples)
            self._waiting += len(samples)


class LiveReading:
    """One connection to a live source. `asked` has `edge`, pixels of the stills, 0 for none;
    `sound`; and `record`, whether packets are wanted, from second `at_s` of the whole on.
    """

    def __init__(
        self,
        container: InputContainer,
        asked: Mapping[str, Any],
        limits: CageLimits,
        requests: Requests,
    ) -> None:
        self._container, self._limits, self._requests = container, limits, requests
        self._video = video_of(container)
        heard = [one for one in container.streams.audio if one.codec_context is not None]
        self._audio = heard[0] if heard and asked.get("sound") else None
        if self._video is None and self._audio is None:
            lacks = "neither video nor sound" if asked.get("sound") else "no video"
            raise Refusal(f"there is {lacks} in the source")
        self._damage, self._sound = Damage(), _Sound()
        self._held: deque[AudioFrame] = deque()
        self._first_sound: float | None = None  # second 0 of a source without a picture
        self._edge = int(asked.get("edge", 0))
        self._is_beside = bool(self._edge)
        self._recording = (
            Recording(self._video, heard[0] if heard else None, float(asked["at_s"]))
            if asked.get("record")
            else None
        )
        self._pictures = None if self._video is None else _Pictures(self._video, self._edge, limits)
        self._steady = bool(_STEADY & set(container.format.name.split(",")))

    def messages(self) -> Iterator[Message]:
        """Yield all that the source gives, then the stills that are still asked for, and notes."""
        failed: Refusal | None = None
        try:
            yield from self._read()
        except Refusal as refusal:
            failed = refusal
        if self._recording is not None:
            yield from self._recording.close()
        if self._is_beside:
            yield Message({"say": "read"})
            for head in self._requests.until_enough():
                yield from self._answer(head)
        if failed is not None:
            raise failed
        yield Message({"say": "done", "notes": self._notes()})

    def _read(self) -> Iterator[Message]:
        for packet in self._packets():
            if packet.stream is self._video:
                yield from self._see(packet)
            elif packet.stream is self._audio:
                yield from self._hear(packet)
            if self._recording is not None:
                yield from self._recording.put(packet)
            if self._is_beside:
                for head in self._requests.come():
                    yield from self._answer(head)
        if self._damage.row:
            yield from self._rest()
        if self._pictures is not None:
            yield from self._pictures.batch.take()
        yield from self._sound.take()
        if self._damage.row:
            raise Refusal(f"the source broke off: {self._damage.first}")

    def _packets(self) -> Iterator[av.Packet[Any]]:
        wanted = {self._video, self._audio}
        if self._recording is not None:
            wanted |= set(self._recording.streams)
        streams = [stream for stream in self._container.streams if stream in wanted]
        while self._damage.row < MOST_FAILURES:
            try:
                for packet in self._container.demux(*streams):
                    self._damage.row = 0
                    yield packet
            except (av.error.FFmpegError, OSError) as error:
                if isinstance(error, MemoryError):
                    raise
                self._damage.count(error)  # a demuxer may find its way after the damage
                self._damage.row += 1
            else:
                return

    def _see(self, packet: av.Packet[VideoStream]) -> Iterator[Message]:
        self._damage.look_at(packet)
        yield from self._show(decode(packet, self._damage, self._limits, self._container))

    def _rest(self) -> Iterator[Message]:
        """Yield the frames that the decoder still holds when a source has broken off."""
        if self._video is not None:
            with suppress(av.error.FFmpegError, ValueError):
                yield from self._show(self._video.codec_context.decode(None))

    def _show(self, frames: Iterable[av.VideoFrame]) -> Iterator[Message]:
        assert self._pictures is not None
        pictures = self._pictures
        for frame in frames:
            second, gap = time_of(frame, pictures.timeline, self._damage, steady=self._steady)
            if second is None:
                continue
            if gap is not None:
                yield from pictures.batch.take()
                yield said(gap)
            yield from pictures.add(frame, second)
        if self._held and pictures.timeline.origin is not None:
            yield from self._hear_held()

    def _hear(self, packet: av.Packet[AudioStream]) -> Iterator[Message]:
        try:
            found = packet.decode()
        except av.error.MemoryError as error:
            raise MemoryError from error
        except (av.error.FFmpegError, ValueError) as error:
            self._damage.count(error)
            return
        self._held.extend(found)
        yield from self._hear_held()

    def _hear_held(self) -> Iterator[Message]:
        """Pass the sound on, once it is known which moment is second 0."""
        origin = self._origin()
        while origin is not None and self._held:
            yield from self._sound.put(self._held.popleft(), origin)

    def _origin(self) -> float | None:
        times = [frame.time for frame in self._held if frame.time is not None]
        first = times[0] if times else 0.0
        if self._pictures is None:
            if self._first_sound is None and times:
                self._first_sound = first
            return self._first_sound
        timeline = self._pictures.timeline
        if timeline.origin is None and times and times[-1] - first > _HELD_S:
            timeline.begin(first)
        return timeline.origin

    def _answer(self, head: Mapping[str, Any]) -> Iterator[Message]:
        if head["do"] == "cut" and self._recording is not None:
            self._recording.cut()
        elif head["do"] == "still":
            first, last = int(head["first"]), int(head["last"])
            none = iter([Message({"say": "none"})])
            yield from none if self._pictures is None else self._pictures.still(first, last)

    def _notes(self) -> list[str]:
        notes = self._damage.notes()
        if self._pictures is not None:
            notes = [*self._pictures.timeline.notes(), *notes]
        return notes if self._recording is None else [*notes, *self._recording.notes]


class _Pictures:
    """The frames of a source's video, small, and larger ones for stills."""

    def __init__(self, stream: VideoStream, edge: int, limits: CageLimits) -> None:
        prepare(stream, limits, threads="SLICE")  # threads by frames would delay frames
        self.timeline = Timeline(step_of(stream), _JUMP_S)
        self.batch = Batch()
        self._shrinker = Shrinker()
        self._edge = edge
        self._kept = KeptFrames(Painter(stream, edge), step_of(stream)) if edge else None
        self._sent = 0.0

    def add(self, frame: av.VideoFrame, second: float) -> Iterator[Message]:
        """Take a frame, and yield the batch that it completes: each within `_WAIT_S` of its first
        frame while frames come.
        """
        small = self._shrinker.shrink(frame, turns_of(frame))
        if self._kept is not None:
            self._kept.see(self.batch.first + len(self.batch.seconds), second, frame, small)
        self.batch.add(second, small)
        if time.monotonic() - self._sent >= _WAIT_S or len(self.batch.seconds) >= _FRAMES:
            yield from self.batch.take()
            self._sent = time.monotonic()

    def still(self, first: int, last: int) -> Iterator[Message]:
        """Yield the still of a shot, or that there is none."""
        found = None if self._kept is None else self._kept.still_of(first, last)
        if found is None:
            yield Message({"say": "none"})
            return
        yield from renditions(found.image, [self._edge], found.second, blurred=found.blurred)
