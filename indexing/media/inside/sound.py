"""The sound of a file as plain samples, from one second up to another; inside the child.

Samples lie at their seconds of presentation, counted from the first frame of the video, or from the
first sound where there is none. What is missing or damaged is silence.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import av
import numpy as np
import numpy.typing as npt
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer

from core.media import SOUND_RATE
from indexing.media.cage.limits import CageLimits
from indexing.media.cage.wire import Message
from indexing.media.inside.open import open_file, video_of
from indexing.media.inside.video import Damage

BATCH = 10 * SOUND_RATE  # samples in a message
NO_SOUND = "there is no sound in it"
_UNEVEN_S = 0.1  # a smaller step in the timestamps is none that can be heard
_BEFORE_S = 0.2  # decoding begins that much earlier: the first frames after a seek are not whole
_MOST_FAILURES = 64  # in a row
Samples = npt.NDArray[np.int16]


@dataclass(slots=True)
class Tape:
    """The samples from `first` up to `end` (counted from the file's start), as they come. A hole is
    filled with silence; what comes twice counts once. `missing` counts the samples of holes.
    """

    first: int
    end: int
    sent: int = 0
    missing: int = 0
    _waits: list[Samples] = field(default_factory=list)
    _waiting: int = 0

    @property
    def place(self) -> int:
        """The number of the next sample."""
        return self.first + self.sent + self._waiting

    @property
    def is_full(self) -> bool:
        """Whether all that was asked for is there."""
        return self.place >= self.end

    def put(self, place: int, samples: Samples) -> None:
        """Take samples whose first one has the number `place`."""
        if place > self.place:
            hole = min(place, self.end) - self.place
            self.missing += hole if self.place > self.first else 0
            self._add(np.zeros(hole, np.int16))
        self._add(samples[max(0, self.place - place) : max(0, self.end - place)])

    def take(self, least: int = 1) -> Iterator[Message]:
        """Yield the samples that are not sent yet, if they are `least` or more."""
        if self._waiting < least:
            return
        joined = np.concatenate(self._waits)
        for start in range(0, len(joined), BATCH):
            part = joined[start : start + BATCH]
            head = {"say": "sound", "first": self.sent, "count": len(part)}
            yield Message(head, part.astype("<i2").tobytes())
            self.sent += len(part)
        self._waits, self._waiting = [], 0

    def _add(self, samples: Samples) -> None:
        if len(samples):
            self._waits.append(samples)
            self._waiting += len(samples)


def sound(handle: int, asked: Mapping[str, Any], limits: CageLimits) -> Iterator[Message]:
    """Yield the samples of the first sound track from second `start_s` up to `end_s`. They have one
    channel, 16 bits, and SOUND_RATE samples a second. If the file ends earlier, fewer samples come,
    and the notes at the end say what is missing.
    """
    start_s, end_s = float(asked["start_s"]), float(asked["end_s"])
    tape = Tape(round(start_s * SOUND_RATE), round(end_s * SOUND_RATE))
    damage = Damage()
    with open_file(handle, limits) as container:
        stream = next((one for one in container.streams.audio if one.codec_context), None)
        if stream is None:
            lacks = NO_SOUND if not container.streams.audio else "its sound can't be decoded here"
            yield Message({"say": "done", "notes": [lacks]})
            return
        origin = _origin(container, stream)
        if start_s > 0:
            _seek(container, stream, max(0.0, start_s - _BEFORE_S) + origin)
        for place, samples in _resampled(_decoded(container, stream, damage), origin, tape):
            tape.put(place, samples)
            yield from tape.take(BATCH)
            if tape.is_full:
                break
        yield from tape.take()
    notes = damage.notes()
    if tape.missing > _UNEVEN_S * SOUND_RATE:
        notes.append(f"{tape.missing / SOUND_RATE:.1f} s of its sound are missing")
    yield Message({"say": "done", "notes": notes})


def _origin(container: InputContainer, stream: AudioStream) -> float:
    """Return the time of the file's clock that is second 0."""
    for one in (video_of(container), stream):
        if one is not None and one.start_time is not None and one.time_base is not None:
            return float(one.start_time * one.time_base)
    return 0.0


def _seek(container: InputContainer, stream: AudioStream, clock_s: float) -> None:
    """Go to the last packet before that time; where a file can't be sought in, it is read from its
    start.
    """
    try:
        container.seek(int(clock_s / (stream.time_base or 1)), stream=stream)
    except (av.error.FFmpegError, OSError) as error:
        if isinstance(error, MemoryError):
            raise


def _decoded(
    container: InputContainer, stream: AudioStream, damage: Damage
) -> Iterator[AudioFrame]:
    """Yield the frames of the sound, without damaged parts."""
    packets = container.demux(stream)
    while damage.row < _MOST_FAILURES:
        try:
            packet = next(packets)
            found = packet.decode()
        except StopIteration:
            return
        except av.error.MemoryError as error:
            raise MemoryError from error
        except (av.error.FFmpegError, OSError, ValueError) as error:
            damage.count(error)
            damage.row += 1
        else:
            damage.row = 0
            yield from found


def _resampled(
    frames: Iterator[AudioFrame], origin: float, tape: Tape
) -> Iterator[tuple[int, Samples]]:
    """Yield stretches of samples, each with the number of its first one."""
    filter_, place, due_s = resampler(), tape.first, 0.0
    for frame in frames:
        at_s = due_s if frame.time is None else frame.time - origin
        if abs(at_s - due_s) > _UNEVEN_S or due_s == 0.0:
            for samples in through(filter_, None):  # what the filter still holds
                yield place, samples
            filter_, place = resampler(), round(at_s * SOUND_RATE)
        frame.pts = None
        for samples in through(filter_, frame):
            yield place, samples
            place += len(samples)
        due_s = at_s + frame.samples / frame.sample_rate
    for samples in through(filter_, None):
        yield place, samples
        place += len(samples)


def resampler() -> AudioResampler:
    """Return a new filter to one channel, 16 bits, and SOUND_RATE samples a second."""
    return AudioResampler(format="s16", layout="mono", rate=SOUND_RATE)


def through(filter_: AudioResampler, frame: AudioFrame | None) -> Iterator[Samples]:
    """Yield what a filter makes of a frame; of None, what it still holds."""
    for made in filter_.resample(frame):
        yield made.to_ndarray().reshape(-1).astype(np.int16, copy=False)
