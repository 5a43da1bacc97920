"""Decoding inside the cage against decoding in this process, on the same files in the same run.

    python -m benchmarks.media.decode [--rounds N] [--photos N] [--json]

- Video: every frame of a clip, scaled to 48 x 27 RGB. `bare` is PyAV in this process, in the usual
  way (threads AUTO, one scaler, bicubic); `caged` is `CagedReader.frames`, which also transfers the
  frames, times them and checks them. The clips are made here, of moving noise over a photo-like
  picture, in H.264 at 360p and 720p with B-frames.
- Photos: distinct pictures of 8 megapixels, made here. `bare` is the least that any ingest must do:
  Pillow decodes the whole photo. `caged` is `CagedReader.picture` with two renditions, 320 and 1280
  pixels, metadata, and the perceptual hash. `same_work` compares it with the same work in this
  process, which shows the cost of the cage itself.

The two sides alternate, so that a noisy machine is noisy for both. Each side's rate is all frames
over all seconds; `cpu_ms` is the processor time of one frame or photo, child processes included,
which says more if the machine has other work too.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import av
import psutil
from av.video.reformatter import VideoReformatter
from PIL import Image

from benchmarks.machine import arguments, show, this_machine
from core.media import FrameBatch
from dateline.measuring.capacity.made_media import write_clip, write_photo
from indexing.media.cage.limits import CageLimits
from indexing.media.inside.pictures import picture
from indexing.media.reading import CagedReader

SIZES = {"360p": (640, 360), "720p": (1280, 720)}
FRAMES = 750
EDGES = (320, 1280)


def main() -> None:
    """Run the benchmark."""
    parser = arguments(__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="turns of each side")
    parser.add_argument("--photos", type=int, default=100, help="photos of 8 megapixels")
    chosen = parser.parse_args()
    machine = this_machine()
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder, CagedReader() as reader:
        place = Path(folder)
        for kind, size in SIZES.items():
            clip = write_clip(place / f"{kind}.mp4", size, FRAMES)
            bare, caged = alternate(
                partial(bare_frames, clip), partial(caged_frames, reader, clip), chosen.rounds
            )
            figures |= rates(f"{kind}_frames", bare, caged)
        photos = [write_photo(place / f"{n}.jpg", n) for n in range(chosen.photos)]
        step = max(1, len(photos) // chosen.rounds)
        turns = [photos[at : at + step] for at in range(0, len(photos), step)]
        for name, work in (("photos", bare_photos), ("photos_same_work", uncaged_photos)):
            order = iter(turns), iter(turns)
            bare, caged = alternate(
                lambda work=work, order=order: work(next(order[0])),  # type: ignore[misc]
                lambda order=order: caged_photos(reader, next(order[1])),  # type: ignore[misc]
                len(turns),
            )
            figures |= rates(name, bare, caged)
        figures["protection"] = str(reader.protection())
    show("decoding in the cage", figures, machine, as_json=chosen.json)


@dataclass(slots=True)
class Side:
    """One side's frames or photos, its seconds, and its processor time, children included."""

    made: int = 0
    seconds: float = 0.0
    computing: float = 0.0

    def run(self, work: Callable[[], int], late_s: Callable[[], float] = lambda: 0.0) -> None:
        """One turn; `late_s` returns how long after its end the work returned."""
        started, computed = perf_counter(), computing_s()
        self.made += work()
        self.seconds += perf_counter() - started - late_s()
        self.computing += computing_s() - computed


def computing_s() -> float:
    """Return processor seconds of this process and of its children, ended ones included."""
    process = psutil.Process()
    own = process.cpu_times()
    every = [times.user + times.system for times in (own, *_of(process.children()))]
    return float(sum(every) + own.children_user + own.children_system)


def _of(children: Sequence[psutil.Process]) -> Iterator[Any]:
    """Yield the processor times of the processes that are still alive."""
    for child in children:
        with suppress(psutil.NoSuchProcess):
            yield child.cpu_times()


def alternate(one: Callable[[], int], other: Callable[[], int], rounds: int) -> tuple[Side, Side]:
    """Run both sides in turn; which one goes first changes with each pair."""
    sides = Side(), Side()
    for turn in range(rounds):
        for side in (0, 1) if turn % 2 else (1, 0):
            sides[side].run((one, other)[side])
    if sides[0].made != sides[1].made:
        raise SystemExit(f"the two sides differ: {sides}")
    return sides


def rates(name: str, bare: Side, caged: Side) -> dict[str, float]:
    """Return the rates of both sides and their ratio, and the ratio of their processor times."""
    slow, fast = bare.made / bare.seconds, caged.made / caged.seconds
    return {
        f"{name}_per_s_bare": slow,
        f"{name}_per_s_caged": fast,
        f"{name}_caged_to_bare": fast / slow,
        f"{name}_cpu_ms_bare": bare.computing / bare.made * 1000,
        f"{name}_cpu_ms_caged": caged.computing / caged.made * 1000,
    }


def bare_frames(path: Path) -> int:
    """Scale every frame to 48 x 27 in this process."""
    count, scaler = 0, VideoReformatter()
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        for frame in container.decode(stream):
            scaler.reformat(frame, 48, 27, format="rgb24").to_ndarray()
            count += 1
    return count


def caged_frames(reader: CagedReader, path: Path) -> int:
    """Decode every frame through the cage."""
    return sum(len(item.seconds) for item in reader.frames(path) if isinstance(item, FrameBatch))


def bare_photos(paths: list[Path]) -> int:
    """Decode each whole photo."""
    for path in paths:
        with Image.open(path) as image:
            image.load()
    return len(paths)


def uncaged_photos(paths: list[Path]) -> int:
    """Do a child's work without the child."""
    for path in paths:
        with path.open("rb") as stream:
            for _ in picture(stream.fileno(), {"edges": EDGES}, CageLimits()):
                pass
    return len(paths)


def caged_photos(reader: CagedReader, paths: list[Path]) -> int:
    """Return facts, two renditions and the hash of each photo."""
    for path in paths:
        reader.picture(path, EDGES)
    return len(paths)


if __name__ == "__main__":
    main()
