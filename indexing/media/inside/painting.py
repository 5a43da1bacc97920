"""A video's frames as pictures; inside the child."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream
from PIL import Image

from core.media import FRAME_HEIGHT, FRAME_WIDTH
from indexing.media.inside.times import turns_of
from indexing.media.shots.stills import Gray

_LOOKED_AT = 320


@dataclass(frozen=True, slots=True)
class Found:
    """The frame that was chosen from several, as a picture."""

    second: float
    image: Image.Image
    blurred: bool


@dataclass(slots=True)
class Painter:
    """Makes pictures of frames (square pixels, upright, at most `edge` pixels) and grey levels."""

    stream: VideoStream
    edge: int
    # One for each kind of picture: a scaler is set up again when sizes or formats change.
    _scalers: defaultdict[str, VideoReformatter] = field(
        default_factory=lambda: defaultdict(VideoReformatter)
    )

    def paint(self, frame: VideoFrame) -> Image.Image:
        """Return the frame as an RGB image."""
        return _picture(self._scaled(frame, "rgb24", "BICUBIC"), turns_of(frame))

    def shrink(self, frame: VideoFrame) -> VideoFrame:
        """Return the frame at the picture's size, not upright yet; a third of the memory of RGB."""
        return self._scaled(frame, "yuv420p", "AREA")

    def image(self, shrunk: VideoFrame, turns: int) -> Image.Image:
        """Return an RGB image of a shrunk frame, after `turns` of 90 degrees counterclockwise."""
        scaler = self._scalers["image"]
        return _picture(scaler.reformat(shrunk, format="rgb24", threads=1), turns)

    def gray(self, frame: VideoFrame) -> Gray:
        """Return grey levels, float32 [27, 48]."""
        return self._gray(frame, FRAME_WIDTH, FRAME_HEIGHT, "small")

    def looked_at(self, frame: VideoFrame) -> Gray:
        """Return grey levels, float32 [h, w], enough of them to judge the sharpness of a frame."""
        share = min(1.0, _LOOKED_AT / max(frame.width, frame.height))
        width, height = round(frame.width * share), round(frame.height * share)
        return self._gray(frame, max(1, width), max(1, height), "looked at")

    def _gray(self, frame: VideoFrame, width: int, height: int, use: str) -> Gray:
        small = self._scalers[use].reformat(
            frame, width, height, format="gray", interpolation="AREA", threads=1
        )
        gray: Gray = small.to_ndarray().astype(np.float32)
        return gray

    def _scaled(self, frame: VideoFrame, pixels: str, way: str) -> VideoFrame:
        aspect = self.stream.sample_aspect_ratio
        wide = frame.width * (float(aspect) if aspect and 0.1 < aspect < 10 else 1.0)
        share = min(1.0, self.edge / max(wide, frame.height))
        size = max(1, round(wide * share)), max(1, round(frame.height * share))
        return self._scalers[pixels].reformat(
            frame, *size, format=pixels, interpolation=way, threads=1
        )


def _picture(frame: VideoFrame, turns: int) -> Image.Image:
    return Image.fromarray(np.rot90(frame.to_ndarray(), turns))
