"""Durable ingest of photos and 720p video against its parts, and what durability costs.

    python -m benchmarks.media_ingest [--photos N] [--clips N] [--json]

Everything is made here, and no two files are the same. Sides alternate, turn by turn, so that a
noisy machine is noisy for all of them; each turn has files that none had before.

- Video: clips of 720p in H.264 with a cut every 3 seconds. `decode` is `CagedReader.frames` alone
  and `model` the shot detector alone over the same frames' windows, each with the whole machine to
  itself. `ingest` is the job from its order to its end: digests, facts, frames, shots, stills,
  hashes, items, vectors, the record of truth. The bound is 1 / (1/decode + 1/model).
- Photos: distinct ones of 8 megapixels. `decode` is `CagedReader.picture` as the ingest asks for
  it, on as many threads.
- Durability: chunks of 32 small photos through the same stages, with the orders, the jobs' table
  and the ledger on disk, and by plain calls over a ledger in memory. Both put the same items into
  a record of truth on disk. The overhead is the median over the turns, of the whole job and from
  its first chunk that was applied to its last: a job waits some tenths of a second for its queues
  when it begins and ends, however large it is.

`computing` compares what the sides compute instead of how long they take, children included; it
tells more where the machine has other work.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter, sleep, time
from typing import Any

from benchmarks.decode import Side, computing_s, write_photo
from benchmarks.machine import arguments, show, this_machine
from benchmarks.media_parts import (
    RATE,
    decoded_frames,
    decoded_photos,
    scored_frames,
    shares,
    small_photo,
    windows_of,
    write_cuts,
)
from core.work import AssetState, FoundAsset, JobState, Priority, Stage, Tracked
from dateline.build import Service, build_service
from dateline.build_detector import shot_detector_of
from dateline.build_media import Worker, build_worker
from dateline.build_stages import Stages, build_stages
from dateline.settings import Settings, configure
from indexing.media.reading import CagedReader
from indexing.work.request import Request
from indexing.work.sources import look_at

PRODUCTS = ("bench",)
CHUNKS = 3  # that a worker decodes at the same time
_LOOK_S = 0.05


def main() -> None:
    """Runs the benchmark."""
    parser = arguments(__doc__)
    parser.add_argument("--photos", type=int, default=1000, help="photos of 8 megapixels")
    parser.add_argument("--clips", type=int, default=8, help="clips of 720p")
    parser.add_argument("--seconds", type=int, default=30, help="length of a clip")
    parser.add_argument("--small", type=int, default=2048, help="small photos for durability")
    parser.add_argument("--turns", type=int, default=4)
    chosen = parser.parse_args()
    machine = this_machine()
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        if chosen.clips:
            figures |= videos(place / "video", chosen.clips, chosen.seconds, chosen.turns)
        if chosen.photos:
            figures |= photos(place / "photos", chosen.photos, chosen.turns)
        if chosen.small:
            figures |= durability(place / "small", chosen.small, chosen.turns)
    show("durable ingest of media", figures, machine, as_json=chosen.json)


def videos(place: Path, clips: int, seconds: int, turns: int) -> dict[str, float]:
    """720p archive ingest against decoding alone and the model alone."""
    sides = {name: Side() for name in ("decode", "model", "ingest")}
    with opened(place / "archive") as bench, CagedReader() as reader:
        detector = shot_detector_of(bench.settings)
        for turn, part in enumerate(shares(clips, turns)):
            folder = place / f"turn-{turn}"
            paths = [write_cuts(folder / f"{n}.mp4", n, seconds) for n in part]
            windows = list(windows_of(reader, paths[:1], bench.settings.shot_stride))
            count = len(paths)
            files, frames = bench.settings.decode_files, count * seconds * RATE
            works: list[tuple[str, Callable[[], int]]] = [
                ("decode", partial(decoded_frames, reader, paths, files)),
                ("model", partial(scored_frames, detector.transitions, windows, count)),
                ("ingest", partial(bench.ingest_frames, folder, frames)),
            ]
            for name, work in works[turn % 3 :] + works[: turn % 3]:
                sides[name].run(work)
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


def photos(place: Path, count: int, turns: int) -> dict[str, float]:
    """8-megapixel photos: ingest against decoding alone."""
    decode, ingest = Side(), Side()
    with opened(place / "archive") as bench, CagedReader() as reader:
        for turn, part in enumerate(shares(count, turns)):
            folder = place / f"turn-{turn}"
            folder.mkdir(parents=True)
            paths = [write_photo(folder / f"{n}.jpg", n) for n in part]
            works: list[tuple[Side, Callable[[], int]]] = [
                (decode, partial(decoded_photos, reader, paths, bench.settings.decode_files)),
                (ingest, partial(bench.ingest, folder)),
            ]
            for side, work in works if turn % 2 else works[::-1]:
                side.run(work)
            shutil.rmtree(folder)
    return {
        "photo_decode_per_s": decode.made / decode.seconds,
        "photo_ingest_per_s": ingest.made / ingest.seconds,
        "photo_ingest_to_decode": decode.seconds / ingest.seconds,
        "photo_computing_to_decode": _computing(ingest, decode),
    }


def durability(place: Path, count: int, turns: int) -> dict[str, float]:
    """The same work with and without orders, jobs and a ledger on disk."""
    pairs: list[tuple[Lap, Lap]] = []
    with opened(place / "durable") as bench, plainly(place / "plain") as parts:
        for turn, part in enumerate(shares(count, turns)):
            folder = place / f"turn-{turn}"
            folder.mkdir(parents=True)
            paths = [small_photo(folder / f"{n}.jpg", n) for n in part]
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
    """One side's turn: seconds of it all, seconds from the first applied chunk to the last, and
    seconds of computing.
    """

    seconds: float
    steady_s: float
    computing: float


def lap_of(work: Callable[[], Sequence[float]]) -> Lap:
    """Runs a turn that gives the times at which its chunks were applied."""
    started, computed = perf_counter(), computing_s()
    applied = work()
    seconds = perf_counter() - started
    return Lap(seconds, max(applied) - min(applied), computing_s() - computed)


@dataclass(frozen=True, slots=True)
class Bench:
    """A worker in this process."""

    settings: Settings
    service: Service
    worker: Worker

    def ingest(self, folder: Path) -> int:
        """Ingests a folder to the end; how many files it had."""
        request = Request((str(folder),), (), PRODUCTS)
        job = self.worker.desk.desk.start(request, Priority.BACKFILL)
        jobs = self.worker.desk.jobs
        while jobs.job(job.id).state is JobState.RUNNING:
            sleep(_LOOK_S)
        counts = jobs.counts(job.id)
        if counts.past(Stage.APPLY) != counts.found or not counts.made["written"]:
            raise SystemExit(f"not all was ingested: {counts}")
        return counts.found

    def applied(self, folder: Path) -> list[float]:
        """Ingests a folder; when each chunk of it was applied, in seconds since 1970."""
        self.ingest(folder)
        job = self.worker.desk.jobs.jobs()[0]
        found = self.worker.desk.jobs.find(job.id, [AssetState.DONE], limit=10**6)
        chunks: dict[int, float] = {}
        for asset in found:
            chunks[asset.chunk] = max(chunks.get(asset.chunk, 0.0), asset.updated)
        return list(chunks.values())

    def ingest_frames(self, folder: Path, frames: int) -> int:
        """Ingests a folder of videos; how many frames they have."""
        self.ingest(folder)
        return frames


@contextmanager
def opened(folder: Path) -> Iterator[Bench]:
    """A worker over a new archive, warm."""
    settings = _settings(folder)
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


@contextmanager
def plainly(folder: Path) -> Iterator[Stages]:
    """The same stages over a new archive and a ledger in memory."""
    settings = _settings(folder)
    service = build_service(settings)
    parts = build_stages(settings, service, DictLedger(), "plain")
    try:
        plain_ingest(parts, [small_photo(folder / "warm.jpg", 10**6)])
        yield parts
    finally:
        parts.close()
        service.close()


def plain_ingest(parts: Stages, paths: Sequence[Path], chunk: int = 32) -> list[float]:
    """Chunk by chunk through the stages: as many are decoded at the same time as a worker does, and
    each is applied as soon as it is decoded. When each was applied, in seconds since 1970.
    """
    chunks = [paths[at : at + chunk] for at in range(0, len(paths), chunk)]
    with ThreadPoolExecutor(CHUNKS) as decoding, ThreadPoolExecutor(1) as rest:
        decoded = [decoding.submit(_decode, parts.stages, some) for some in chunks]
        return [done.result() for done in [rest.submit(_rest, parts.stages, d) for d in decoded]]


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
    """An asset that no job knows."""
    if not isinstance(found, FoundAsset):
        raise SystemExit(f"not read: {found}")
    return Tracked("bench", number, 0, found, state=AssetState.WAITING)


@dataclass(slots=True)
class DictLedger:
    """`core.media_ports.Ledger` in memory."""

    kept: dict[str, bytes] = field(default_factory=dict)

    def get(self, keys: Sequence[str]) -> tuple[bytes | None, ...]:
        return tuple(self.kept.get(key) for key in keys)

    def put(self, results: Mapping[str, bytes]) -> None:
        for key, value in results.items():
            self.kept.setdefault(key, value)


def _computing(whole: Side, *parts: Side) -> float:
    """Seconds of computing of a side against those of others, which other work does not touch."""
    return whole.computing / sum(part.computing for part in parts)


def _settings(folder: Path) -> Settings:
    folder.mkdir(parents=True)
    flags = {"data": str(folder), "tagger": "", "reranker": ""}
    return configure(flags).settings


if __name__ == "__main__":
    main()
