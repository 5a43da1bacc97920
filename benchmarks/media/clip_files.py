"""A made clip on disk: its video, and the truth about its cuts beside it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal

import av
import numpy as np
import numpy.typing as npt
import orjson
from av.video.stream import VideoStream

from core.media import Frames

CLIPS = Path("build/shot-clips")
Kind = Literal["hard", "dissolve", "fade"]
Split = Literal["test", "tuning"]


@dataclass(frozen=True, slots=True)
class TrueCut:
    """A transition: its first and last frame. For a hard cut they are the last frame of the old
    shot and the first of the new; for a gradual one, the first and last frame that is mixed or
    black.
    """

    first: int
    last: int
    kind: Kind


@dataclass(frozen=True, slots=True)
class MadeClip:
    """A clip on disk with its truth; `cuts` is empty if it has none."""

    path: Path
    frames: int
    cuts: tuple[TrueCut, ...]


def forth_and_back(count: int, offset: int, wanted: int) -> npt.NDArray[np.int64]:
    """Return `wanted` frame numbers below `count`, from `offset` on, turning around at both
    ends.
    """
    turn = max(1, 2 * (count - 1))
    places = (np.arange(wanted) + offset) % turn
    return np.where(places < count, places, turn - places)


def write_clip(
    path: Path,
    frames: Iterator[Frames],
    cuts: Sequence[TrueCut],
    size: tuple[int, int],
    rate: Fraction,
    codec: str,
) -> MadeClip:
    """Encode RGB frames [height, width, 3]; the truth is written beside them last."""
    path.parent.mkdir(parents=True, exist_ok=True)
    count = 0
    with av.open(str(path), "w") as container:
        options = {"crf": "23", "preset": "veryfast"} if codec == "libx264" else {}
        stream = container.add_stream(codec, rate=rate, options=options)
        assert isinstance(stream, VideoStream)
        if not options:
            stream.bit_rate = 2_000_000
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for pixels in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, "rgb24")))
            count += 1
        container.mux(stream.encode())
    truth = {"frames": count, "cuts": [[cut.first, cut.last, cut.kind] for cut in cuts]}
    path.with_suffix(".json").write_bytes(orjson.dumps(truth))
    return MadeClip(path, count, tuple(cuts))


def read_clip(path: Path) -> MadeClip:
    """Return a clip that was made before."""
    truth = orjson.loads(path.with_suffix(".json").read_bytes())
    return MadeClip(path, truth["frames"], tuple(TrueCut(*cut) for cut in truth["cuts"]))
