"""Media made for the tests of the cage: small clips whose frames tell their number."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from PIL import Image

Pixels = npt.NDArray[np.uint8]
TICKS = 1000  # of a clip's clock in a second
LEVELS = 11
_RAW = b"raw "


@dataclass(frozen=True, slots=True)
class Clip:
    """How a clip is made. `stamps` are the frames' milliseconds; evenly 40 apart where none."""

    count: int = 50
    size: tuple[int, int] = (160, 90)
    codec: str = "libx264"
    options: Mapping[str, str] = field(default_factory=dict)
    stamps: Sequence[int] = ()
    rotation: int = 0
    aspect: Fraction | None = None
    sound: bool = False
    format: str | None = None
    muxer: Mapping[str, str] = field(default_factory=dict)
    interlaced: bool = False
    tags: Mapping[str, str] = field(default_factory=dict)

    def times(self) -> list[float]:
        """The second of each frame."""
        stamps = self.stamps or [40 * number for number in range(self.count)]
        return [(stamp - stamps[0]) / TICKS for stamp in stamps[: self.count]]


def level(number: int) -> int:
    """How bright frame `number` is: no neighbour, and none two further, is as bright."""
    return 40 + 16 * (number * 4 % LEVELS)


def frame_of(number: int, size: tuple[int, int]) -> Pixels:
    """uint8 [h, w, 3]: evenly bright, a darker square in the upper left corner."""
    width, height = size
    pixels = np.full((height, width, 3), level(number), np.uint8)
    pixels[: height // 3, : width // 3] //= 4
    return pixels


def write_clip(path: Path, clip: Clip) -> Path:
    """Writes it; the container is that of the name or of `format`."""
    with av.open(str(path), "w", format=clip.format, options=dict(clip.muxer)) as container:
        container.metadata.update(clip.tags)
        stream = container.add_stream(clip.codec, rate=25, options=dict(clip.options))
        assert isinstance(stream, VideoStream)
        stream.width, stream.height = clip.size
        stream.pix_fmt = "yuvj420p" if clip.codec == "mjpeg" else "yuv420p"
        if clip.stamps:
            stream.codec_context.time_base = Fraction(1, TICKS)
        if clip.aspect is not None:
            stream.codec_context.sample_aspect_ratio = clip.aspect  # type: ignore[misc]
        if clip.interlaced:
            stream.codec_context.flags |= av.codec.context.Flags.interlaced_dct
        if clip.rotation:
            stream.set_display_rotation(-clip.rotation)
        sound = container.add_stream("aac", rate=48000, layout="mono") if clip.sound else None
        for number in range(clip.count):
            frame = VideoFrame.from_ndarray(frame_of(number, clip.size), format="rgb24")
            frame.pts = clip.stamps[number] if clip.stamps else number
            frame.time_base = Fraction(1, TICKS) if clip.stamps else Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
        if sound is not None:
            _write_sound(container, sound, clip.count / 25)
    return path


def write_sound(path: Path, seconds: float = 1.0) -> Path:
    """A file with a tone and nothing else."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=48000, layout="mono")
        _write_sound(container, stream, seconds)
    return path


def _write_sound(container: av.container.OutputContainer, stream: object, seconds: float) -> None:
    assert isinstance(stream, av.audio.stream.AudioStream)
    step = 1024
    for start in range(0, int(seconds * 48000), step):
        tone = np.sin(np.arange(start, start + step) / 20).astype(np.float32)[None, :]
        frame = av.AudioFrame.from_ndarray(tone * 0.1, format="fltp", layout="mono")
        frame.sample_rate, frame.pts = 48000, start
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def photo(size: tuple[int, int], seed: int = 0) -> Image.Image:
    """An RGB picture with shapes and noise."""
    width, height = size
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 256, (9, 12, 3), np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def png_claiming(width: int, height: int) -> bytes:
    """A PNG whose header claims a size, with hardly anything behind it."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = zlib.compress(b"\0" * 4096)
    chunks = ((b"IHDR", head), (b"IDAT", body), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )


def gif_claiming(width: int, height: int) -> bytes:
    """A GIF whose screen is that large."""
    small = io.BytesIO()
    photo((16, 16)).quantize(8).save(small, "GIF")
    data = bytearray(small.getvalue())
    data[6:10] = struct.pack("<HH", width, height)
    return bytes(data)


def video_claiming(path: Path, width: int, height: int) -> Path:
    """A QuickTime file whose sample description claims that size (ISO/IEC 14496-12, 12.1.3), in a
    codec that does not say it again.
    """
    data = bytearray(write_clip(path, Clip(count=5, codec="rawvideo")).read_bytes())
    at = (
        data.index(_RAW, data.index(b"stsd")) + 4
    )  # after the type come 24 bytes, then width and height
    data[at + 24 : at + 28] = struct.pack(">HH", width, height)
    path.write_bytes(data)
    return path
