"""Durable ingest of photos and 720p video against its parts, and what durability costs.

    python -m benchmarks.media.ingest [--photos N] [--clips N] [--json]

All files are made here, and no two are the same. Sides alternate, turn by turn, so that a noisy
machine is noisy for all of them; each turn has new files.

- Video: clips of 720p in H.264 with a cut every 3 seconds. `decode` is `CagedReader.frames` alone
  and `model` the shot detector alone over the same frames' windows, each with the whole machine.
  `ingest` is the job from its order to its end: digests, facts, frames, shots, stills, hashes,
  items, vectors, the record of truth. The bound is 1 / (1/decode + 1/model).
- Photos: one job of distinct photos of 8 megapixels. `decode` is `CagedReader.picture` as the
  ingest calls it, on as many threads, for half of the photos before the job and for the others
  after it.
- Durability: chunks of 32 photos through the same stages, with the orders, the jobs' table and the
  ledger on disk, and by plain calls over a ledger in memory. Both put the same items into a record
  of truth on disk. The photos are small (half a megapixel, so that there is little other work), and
  as large as a camera's (8 megapixels). The overhead is the median over the turns, for the whole
  job and from its first applied chunk to its last: a job waits some tenths of a second for its
  queues at its start and end, whatever its size.

`computing` compares the processor time of the sides, children included, instead of their duration;
it says more if the machine has other work.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.machine import arguments, show, this_machine
from benchmarks.media.decode import Side, write_photo
from benchmarks.media.durability import durability
from benchmarks.media.parts import (
    RATE,
    decoded_frames,
    decoded_photos,
    scored_frames,
    shares,
    small_photo,
    windows_of,
    write_cuts,
)
from benchmarks.media.worker import opened
from dateline.build.media.shots import shot_detector_of, shot_finder_of
from indexing.media.reading import CagedReader
from inference.runtimes.loading import cores


def main() -> None:
    """Run the benchmark."""
    parser = arguments(__doc__)
    parser.add_argument("--photos", type=int, default=1000, help="photos of 8 megapixels")
    parser.add_argument("--clips", type=int, default=8, help="clips of 720p")
    parser.add_argument("--seconds", type=int, default=30, help="length of a clip")
    parser.add_argument("--small", type=int, default=2048, help="small photos for durability")
    parser.add_argument("--large", type=int, default=768, help="8-megapixel ones for durability")
    parser.add_argument("--turns", type=int, default=4)
    chosen = parser.parse_args()
    machine = this_machine()
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        if chosen.clips:
            figures |= videos(place / "video", chosen.clips, chosen.seconds, chosen.turns)
        if chosen.photos:
            figures |= photos(place / "photos", chosen.photos)
        for name, count, write in (
            ("small", chosen.small, small_photo),
            ("large", chosen.large, write_photo),
        ):
            if count:
                found = durability(place / name, count, chosen.turns, write)
                figures |= {f"{name}_{figure}": value for figure, value in found.items()}
    show("durable ingest of media", figures, machine, as_json=chosen.json)


def videos(place: Path, clips: int, seconds: int, turns: int) -> dict[str, float]:
    """Measure the ingest of a 720p archive against decoding alone and the model alone."""
    sides = {name: Side() for name in ("decode", "model", "ingest")}
    with opened(place / "archive") as bench, CagedReader() as reader:
        detector = shot_detector_of(bench.settings)
        layout = shot_finder_of(detector).settings.layout
        for turn, part in enumerate(shares(clips, turns)):
            folder = place / f"turn-{turn}"
            paths = [write_cuts(folder / f"{n}.mp4", n, seconds) for n in part]
            windows = list(windows_of(reader, paths[:1], layout))
            count = len(paths)
            files, frames = bench.settings.decode_files, count * seconds * RATE
            works: list[tuple[str, Callable[[], int]]] = [
                ("decode", partial(decoded_frames, reader, paths, files)),
                ("model", partial(scored_frames, detector.transitions, windows, count)),
                ("ingest", partial(bench.ingest_frames, folder, frames)),
            ]
            for name, work in works[turn % 3 :] + works[: turn % 3]:
                late_s = (lambda: bench.late_s) if name == "ingest" else (lambda: 0.0)
                sides[name].run(work, late_s)
            shutil.rmtree(folder)
        detector.close()
    rates = {name: side.made / side.seconds for name, side in sides.items()}
    bound = 1 / (1 / rates["decode"] + 1 / rates["model"])
    return {
        **{f"video_{name}_frames_per_s": rate for name, rate in rates.items()},
        "video_bound_frames_per_s": bound,
        "video_ingest_to_bound": rates["ingest"] / bound,
        "video_computing_to_parts": _computing(sides["ingest"], sides["decode"], sides["model"]),
    }


def photos(place: Path, count: int) -> dict[str, float]:
    """Measure 8-megapixel photos: one job against decoding alone, half before it and half after
    it.
    """
    decode, ingest = Side(), Side()
    folder = place / "photos"
    folder.mkdir(parents=True)
    with ThreadPoolExecutor(cores()) as pool:
        names = {folder / f"{number}.jpg": number for number in range(count)}
        paths = list(pool.map(write_photo, names, names.values()))
    os.sync()  # else the disk would still write them while they are read
    with opened(place / "archive") as bench, CagedReader() as reader:
        files = bench.settings.decode_files
        decoded_photos(reader, paths[:files], files)  # this starts its child processes
        decode.run(partial(decoded_photos, reader, paths[: count // 2], files))
        ingest.run(partial(bench.ingest, folder), lambda: bench.late_s)
        decode.run(partial(decoded_photos, reader, paths[count // 2 :], files))
    return {
        "photo_decode_per_s": decode.made / decode.seconds,
        "photo_ingest_per_s": ingest.made / ingest.seconds,
        "photo_ingest_to_decode": decode.seconds / ingest.seconds,
        "photo_computing_to_decode": _computing(ingest, decode),
    }


def _computing(whole: Side, *parts: Side) -> float:
    """Return a side's processor seconds over those of others; other work does not affect the
    ratio.
    """
    return whole.computing / sum(part.computing for part in parts)


if __name__ == "__main__":
    main()
