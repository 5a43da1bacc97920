"""Makes the files of benchmarks/media/ingest.py, and does the parts of ingest alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from PIL import Image

from benchmarks.media.decode import textured
from core.media import FrameBatch
from indexing.media.reading import CagedReader
from indexing.media.shots.windows import FrameWindows, WindowLayout
from indexing.work.stages.decode import PREVIEW_EDGE, THUMBNAIL_EDGE

RATE, SHOT_S, SIZE = 25, 3, (1280, 720)


def decoded_frames(reader: CagedReader, paths: Sequence[Path], files: int) -> int:
    """Decode every frame of every clip, `files` at a time."""

    def count(path: Path) -> int:
        return sum(len(e.seconds) for e in reader.frames(path) if isinstance(e, FrameBatch))

    with ThreadPoolExecutor(files) as pool:
        return sum(pool.map(count, paths))


def decoded_photos(reader: CagedReader, paths: Sequence[Path], files: int) -> int:
    """Decode every photo in both sizes, `files` at a time."""
    with ThreadPoolExecutor(files) as pool:
        for _ in pool.map(lambda p: reader.picture(p, (THUMBNAIL_EDGE, PREVIEW_EDGE)), paths):
            pass
    return len(paths)


def windows_of(reader: CagedReader, paths: Sequence[Path], layout: WindowLayout) -> Iterator[Any]:
    """Yield the windows of the clips, uint8 [t, 27, 48, 3], and how many frames count in each."""
    for path in paths:
        cut = FrameWindows(layout)
        for each in reader.frames(path):
            if isinstance(each, FrameBatch):
                yield from cut.push(each.pixels)
        yield from cut.close()


def scored_frames(score: Callable[[Any], Any], windows: Sequence[Any], clips: int) -> int:
    """Score as many windows as `clips` such clips have, each alone, as the queue takes them;
    returns the frames.
    """
    frames = 0
    for _ in range(clips):
        for pixels, counted in windows:
            score(pixels[None])
            frames += counted
    return frames


def shares(count: int, turns: int) -> Iterator[range]:
    """Return `turns` ranges that together are range(count)."""
    step = max(1, -(-count // turns))
    return (range(at, min(at + step, count)) for at in range(0, count, step))


def write_cuts(path: Path, seed: int, seconds: int) -> Path:
    """Return a 720p clip with a cut every SHOT_S seconds: moving pictures with grain."""
    path.parent.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(seed)
    width, height = SIZE
    grain = random.integers(-8, 9, (8, height, width, 1), np.int16)
    scene = textured((width + RATE * SHOT_S, height), random)
    with av.open(str(path), "w") as container:
        options = {"preset": "veryfast", "crf": "23", "bf": "2"}
        stream = container.add_stream("libx264", rate=RATE, options=options)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number in range(seconds * RATE):
            shift = number % (RATE * SHOT_S)
            if number and not shift:
                scene = textured((width + RATE * SHOT_S, height), random)
            pixels = np.clip(scene[:, shift : shift + width] + grain[number % 8], 0, 255)
            frame = VideoFrame.from_ndarray(pixels.astype(np.uint8), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def small_photo(path: Path, seed: int) -> Path:
    """Return a photo of half a megapixel that is different for each seed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.clip(textured((880, 600), np.random.default_rng(seed)), 0, 255)
    Image.fromarray(pixels.astype(np.uint8)).save(path, quality=88)
    return path
