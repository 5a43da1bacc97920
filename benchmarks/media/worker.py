"""A worker over its own archive, for the ingest benchmarks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import sleep, time

from benchmarks.media.parts import small_photo
from core.work import AssetState, JobState, Priority, Stage
from dateline.build.media.work import Worker, build_worker
from dateline.build.service import Service, build_service
from dateline.settings import Settings, configure
from indexing.work.request import Request

Times = Callable[[], Sequence[float]]  # when each chunk was applied, and the end: s since 1970
PRODUCTS = ("bench",)
_LOOK_S = 2.0  # seldom: each look takes the interpreter from the work


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
