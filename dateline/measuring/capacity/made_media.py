"""Photos and clips that are made, because real ones are large to ship. PyAV and Pillow are loaded
where they are used.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

PHOTO = (3264, 2448)  # pixels: 8 megapixels
RATE = 25  # frames a second
_SHAPES = ((8, 110), (40, 70), (200, 40), (800, 20))  # cells across, and how much they weigh


def write_clip(path: Path, size: tuple[int, int], frames: int) -> Path:
    """Return a clip in H.264 like those in archives: a moving picture with grain."""
    import av
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

    width, height = size
    random = np.random.default_rng(1)
    picture = textured((width + frames, height), random)
    grain = random.integers(-8, 9, (8, height, width, 1), np.int16)
    with av.open(str(path), "w") as container:
        options = {"preset": "veryfast", "crf": "23", "bf": "2"}
        stream = container.add_stream("libx264", rate=RATE, options=options)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number in range(frames):
            moved = picture[:, number : number + width] + grain[number % 8]
            pixels = np.clip(moved, 0, 255).astype(np.uint8)
            frame = VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def write_photo(path: Path, seed: int, *, words: str = "") -> Path:
    """Return a photo of 8 megapixels that is different for each seed, with some lines of `words` in
    it.
    """
    from PIL import Image, ImageDraw

    pixels = np.clip(textured(PHOTO, np.random.default_rng(seed)), 0, 255).astype(np.uint8)
    image = Image.fromarray(pixels)
    draw = ImageDraw.Draw(image)
    for line in range(4 if words else 0):
        draw.text((300, 300 + 500 * line), words, fill="white", font_size=160)
    image.save(path, quality=90)
    return path


def textured(size: tuple[int, int], random: np.random.Generator) -> npt.NDArray[Any]:
    """Return int16 [h, w, 3]: shapes of several sizes, as in photos."""
    from PIL import Image

    width, height = size
    total = np.zeros((height, width, 3), np.int16)
    for cells, weight in _SHAPES:
        coarse = random.integers(0, 256, (max(2, cells * height // width), cells, 3), np.uint8)
        scaled = Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)
        total += (np.asarray(scaled, np.int16) * weight) // 255
    return total
