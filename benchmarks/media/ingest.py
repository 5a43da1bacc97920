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
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from pathlib import Path
from statistics import median
from time import sleep, time
from typing import Any

import av
import numpy as np
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from PIL import Image

from benchmarks.machine import arguments, show, this_machine
from benchmarks.media.decode import Side, computing_s
from core.media import FrameBatch
from core.work import AssetState, FoundAsset, JobState, Priority, Stage, Tracked
from dateline.build.media.shots import shot_detector_of, shot_finder_of
from dateline.build.media.stages import Stages, build_stages
from dateline.build.media.work import Worker, build_worker
from dateline.build.service import Service, build_service
from dateline.measuring.capacity.made_media import textured, write_photo
from dateline.settings import Settings, configure
from indexing.media.reading import CagedReader
from indexing.media.shots.windows import FrameWindows, WindowLayout
from indexing.work.request import Request
from indexing.work.sources.listing import look_at
from indexing.work.stages.decode import PREVIEW_EDGE, THUMBNAIL_EDGE
from inference.runtimes.loading import cores

Times = Callable[[], Sequence[float]]  # when each chunk was applied, and the end: s since 1970
PRODUCTS = ("bench",)
_LOOK_S = 2.0  # seldom: each look takes the interpreter from the work
CHUNKS = 3  # chunks that a worker decodes at the same time
RATE, SHOT_S, SIZE = 25, 3, (1280, 720)


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


@dataclass(slots=True)
class Bench:
    """A worker in this process. `late_s` is how long after its end the last job was seen to have
    ended; this time is not the job's.
    """

    settings: Settings
    service: Service
    worker: Worker
    late_s: float = 0.0

    def ingest(self, folder: Path) -> int:
        """Ingest a folder to the end; return the number of its files."""
        request = Request((str(folder),), (), PRODUCTS)
        job = self.worker.desk.desk.start(request, Priority.BACKFILL)
        jobs = self.worker.desk.jobs
        while jobs.job(job.id).state is JobState.RUNNING:
            sleep(_LOOK_S)
        self.late_s = time() - jobs.job(job.id).ended
        counts = jobs.counts(job.id)
        if counts.past(Stage.APPLY) != counts.found or not counts.made["written"]:
            raise SystemExit(f"not all was ingested: {counts}")
        return counts.found

    def applied(self, folder: Path) -> Times:
        """Ingest a folder; return a function that gives the times of its chunks and of its end."""
        self.ingest(folder)
        return self._times

    def _times(self) -> Sequence[float]:
        job = self.worker.desk.jobs.jobs()[0]
        found = self.worker.desk.jobs.find(job.id, [AssetState.DONE], limit=10**6)
        chunks: dict[int, float] = {}
        for asset in found:
            chunks[asset.chunk] = max(chunks.get(asset.chunk, 0.0), asset.updated)
        return [*chunks.values(), job.ended]

    def ingest_frames(self, folder: Path, frames: int) -> int:
        """Ingest a folder of videos; return `frames`, their number of frames."""
        self.ingest(folder)
        return frames


@contextmanager
def opened(folder: Path) -> Iterator[Bench]:
    """A worker over a new archive, after a warm-up."""
    settings = settings_in(folder)
    service = build_service(settings)
    worker = build_worker(settings, service)
    try:
        bench = Bench(settings, service, worker)
        warm = folder / "warm"
        warm.mkdir()
        small_photo(warm / "warm.jpg", 10**6)
        bench.ingest(warm)
        yield bench
    finally:
        worker.close()
        service.close()


def settings_in(folder: Path) -> Settings:
    """Return the settings of an archive in `folder`, without models that ingest does not need."""
    folder.mkdir(parents=True)
    flags = {"data": str(folder), "tagger": "", "reranker": ""}
    return configure(flags).settings


def durability(
    place: Path, count: int, turns: int, write: Callable[[Path, int], Path]
) -> dict[str, float]:
    """Return the same work with and without orders, jobs and a ledger on disk, over photos from
    `write`.
    """
    pairs: list[tuple[Lap, Lap]] = []
    with opened(place / "durable") as bench, plainly(place / "plain") as parts:
        for turn, part in enumerate(shares(count, turns)):
            folder = place / f"turn-{turn}"
            folder.mkdir(parents=True)
            paths = [write(folder / f"{n}.jpg", n) for n in part]
            works = [partial(bench.applied, folder), partial(plain_ingest, parts, paths)]
            laps = {n: lap_of(works[n]) for n in ((0, 1) if turn % 2 else (1, 0))}
            pairs.append((laps[0], laps[1]))
            shutil.rmtree(folder)

    def overhead(of: Callable[[Lap], float]) -> float:
        return median(of(durable) / of(plain) for durable, plain in pairs) - 1

    return {
        "durable_per_s": count / sum(durable.seconds for durable, _ in pairs),
        "plain_per_s": count / sum(plain.seconds for _, plain in pairs),
        "durability_overhead": overhead(lambda lap: lap.seconds),
        "durability_overhead_steady": overhead(lambda lap: lap.steady_s),
        "durability_overhead_computing": overhead(lambda lap: lap.computing),
    }


@dataclass(frozen=True, slots=True)
class Lap:
    """One side's turn: its seconds, the seconds from the first applied chunk to the last, and its
    processor seconds.
    """

    seconds: float
    steady_s: float
    computing: float


def lap_of(work: Callable[[], Times]) -> Lap:
    """Run a turn, and ask afterwards when its chunks were applied and when it ended."""
    started, computed = time(), computing_s()
    times = work()
    computing = computing_s() - computed
    *applied, ended = times()
    return Lap(ended - started, max(applied) - min(applied), computing)


@contextmanager
def plainly(folder: Path) -> Iterator[Stages]:
    """The same stages over a new archive and a ledger in memory."""
    settings = settings_in(folder)
    service = build_service(settings)
    parts = build_stages(settings, service, DictLedger(), "plain")
    try:
        plain_ingest(parts, [small_photo(folder / "warm.jpg", 10**6)])
        yield parts
    finally:
        parts.close()
        service.close()


def plain_ingest(parts: Stages, paths: Sequence[Path], chunk: int = 32) -> Times:
    """Put chunks through the stages. As many are decoded at the same time as in a worker, and each
    is applied as soon as it is decoded.
    """
    chunks = [paths[at : at + chunk] for at in range(0, len(paths), chunk)]
    with ThreadPoolExecutor(CHUNKS) as decoding, ThreadPoolExecutor(1) as rest:
        decoded = [decoding.submit(_decode, parts.stages, some) for some in chunks]
        applied = [rest.submit(_rest, parts.stages, some) for some in decoded]
        times = [*(done.result() for done in applied), time()]
    return lambda: times


def _decode(stages: Mapping[Stage, Any], paths: Sequence[Path]) -> list[Tracked]:
    assets = [tracked(n, look_at(path, PRODUCTS)) for n, path in enumerate(paths)]
    return [worked.asset for worked in stages[Stage.DECODE].work(assets, lambda: False)]


def _rest(stages: Mapping[Stage, Any], decoded: Future[list[Tracked]]) -> float:
    assets: Sequence[Tracked] = decoded.result()
    for stage in (Stage.DESCRIBE, Stage.APPLY):
        worked = list(stages[stage].work(assets, lambda: False))
        failed = [each for each in worked if each.failure is not None]
        if failed or len(worked) != len(assets):
            raise SystemExit(f"not all was ingested: {failed}")
        assets = [each.asset for each in worked]
    return time()


def tracked(number: int, found: object) -> Tracked:
    """Return an asset that belongs to no job."""
    if not isinstance(found, FoundAsset):
        raise SystemExit(f"not read: {found}")
    return Tracked("bench", number, 0, found, state=AssetState.WAITING)


@dataclass(slots=True)
class DictLedger:
    """`core.ports.media.Ledger` in memory."""

    kept: dict[str, bytes] = field(default_factory=dict)

    def get(self, keys: Sequence[str]) -> tuple[bytes | None, ...]:
        return tuple(self.kept.get(key) for key in keys)

    def put(self, results: Mapping[str, bytes]) -> None:
        for key, value in results.items():
            self.kept.setdefault(key, value)


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


if __name__ == "__main__":
    main()
