"""A film to broadcast (`benchmarks.media.broadcast`): shots of one colour each and, in each shot, a
tone that `tests.speech_provider` hears as words.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import av
import numpy as np

from tests.speech_provider import tone

RATE = 25
_SOUND = 16_000
_SIZE = (160, 96)


@dataclass(frozen=True)
class Film:
    """`shots` is the colour, the pitch of the tone and the seconds of each shot."""

    shots: Sequence[tuple[tuple[int, int, int], int, float]]
    picture: bool = True
    sound: bool = True
    sound_late_s: float = 0.0  # how much later than the picture the sound is sent

    @property
    def seconds(self) -> float:
        return sum(seconds for *_, seconds in self.shots)

    def ends(self) -> list[float]:
        """The second at which each shot ends."""
        return [float(s) for s in np.cumsum([seconds for *_, seconds in self.shots])]

    @cached_property
    def pieces(self) -> list[tuple[float, bytes]]:
        """Bytes of MPEG-TS, with the second at which they are on air."""
        out = io.BytesIO()
        made: list[tuple[float, bytes]] = []
        with av.open(out, "w", format="mpegts", options={"flush_packets": "1"}) as container:
            packets = [*self._pictures(container), *self._sounds(container)]
            for second, packet in sorted(packets, key=lambda one: one[0]):
                out.seek(0)
                out.truncate()
                container.mux(packet)
                made.append((second, out.getvalue()))
        return made

    def _pictures(self, container: av.container.OutputContainer) -> Iterator[tuple[float, object]]:
        if not self.picture:
            return
        options = {"preset": "ultrafast", "tune": "zerolatency"}
        stream = container.add_stream("libx264", rate=RATE, options=options)
        stream.width, stream.height, stream.pix_fmt = *_SIZE, "yuv420p"
        stream.gop_size = RATE
        noise = np.random.default_rng(3).integers(-20, 20, (_SIZE[1], _SIZE[0], 3))
        number = 0
        for colour, _, seconds in self.shots:
            pixels = np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)
            for _ in range(round(seconds * RATE)):
                frame = av.VideoFrame.from_ndarray(pixels, "rgb24")
                frame.pts = number
                yield from ((number / RATE, packet) for packet in stream.encode(frame))
                number += 1
        yield from ((number / RATE, packet) for packet in stream.encode())

    def _sounds(self, container: av.container.OutputContainer) -> Iterator[tuple[float, object]]:
        if not self.sound:
            return
        stream = container.add_stream("aac", rate=_SOUND, layout="mono")
        parts = []
        for _, pitch, seconds in self.shots:
            said = tone(pitch, max(0.0, seconds - 1.0)) if pitch else np.zeros(0, np.int16)
            rest = np.zeros(round(seconds * _SOUND) - len(said), np.int16)
            parts += [said, rest]
        samples = np.concatenate(parts)
        for start in range(0, len(samples), 1024):
            frame = av.AudioFrame.from_ndarray(samples[None, start : start + 1024], layout="mono")
            frame.sample_rate, frame.pts = _SOUND, start
            second = start / _SOUND + self.sound_late_s
            yield from ((second, packet) for packet in stream.encode(frame))
        yield from ((self.seconds + self.sound_late_s, packet) for packet in stream.encode())
