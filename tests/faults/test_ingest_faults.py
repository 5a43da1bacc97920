"""A full disk and a restarted Postgres in the middle of a backfill: nothing is lost, it goes on."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydantic import SecretStr

from core.work import AssetState, Job, JobState, Priority, Stage
from dateline.build.media.work import Worker, build_worker
from dateline.build.service import Service, build_service
from dateline.settings import Settings
from indexing.work.request import Request
from tests.faults.disk.test_full_disk import Filler, small_disk, unavailable, wait_until
from tests.postgres_server import Server, binaries, server

__all__ = ["small_disk"]

pytestmark = [pytest.mark.faults, pytest.mark.timeout(1200)]
ASSETS = 60


def photos(folder: Path, count: int) -> set[str]:
    """Photos, no two the same; the uris that they get."""
    rng = np.random.default_rng(11)
    folder.mkdir(parents=True)
    uris = set()
    for number in range(count):
        cells = rng.integers(0, 256, (6, 8, 3), np.uint8)
        path = folder / f"{number:03}.jpg"
        Image.fromarray(cells).resize((900, 700)).save(path, quality=92)
        uris.add(f"urn:sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}")
    return uris


@dataclass(frozen=True)
class Running:
    """A worker in this process, and its job."""

    service: Service
    worker: Worker
    job: Job

    def done(self) -> int:
        """Assets that were applied."""
        return self.worker.desk.jobs.counts(self.job.id).past(Stage.APPLY)

    def finished(self) -> bool:
        """Whether nothing waits."""
        return self.worker.desk.jobs.job(self.job.id).state is JobState.FINISHED

    def trouble(self) -> str:
        """What holds the job up."""
        return self.worker.desk.jobs.job(self.job.id).trouble

    def recorded(self) -> list[str]:
        """The uri of every recorded version."""
        return [item.uri for item in self.service.engine.record.reads.all_items()]


@contextmanager
def running(settings: Settings, place: Path) -> Iterator[Running]:
    service = build_service(settings)
    worker = build_worker(settings, service)
    try:
        job = worker.desk.desk.start(Request((str(place),), (), ("wire",)), Priority.BACKFILL)
        yield Running(service, worker, job)
    finally:
        worker.close()
        service.close()


def settings_in(folder: Path, **more: object) -> Settings:
    return Settings.model_validate(
        {
            "data": folder,
            "tagger": "",
            "reranker": "",
            "work_chunk": 8,
            "work_poll_s": 0.05,
            **more,
        }
    )


def check(run: Running, uris: set[str]) -> None:
    counts = run.worker.desk.jobs.counts(run.job.id)
    assert counts.standing == {(Stage.DONE, AssetState.DONE): len(uris)}
    assert sorted(run.recorded()) == sorted(uris)


def test_a_full_disk_holds_an_ingest_up_and_it_goes_on_by_itself(
    small_disk: Path, folder: Path
) -> None:
    uris = photos(folder / "in", ASSETS)
    filler = Filler(small_disk)
    with running(settings_in(small_disk / "archive"), folder / "in") as run:
        wait_until(lambda: run.done() >= 8, "the first chunk")
        filler.fill()
        wait_until(lambda: "no space" in run.trouble() or _is_still(run), "nothing goes on")
        assert not run.finished()
        before = run.done()
        assert len(run.recorded()) >= before
        filler.free()
        wait_until(run.finished, "the rest, after there was space", seconds=600)
        check(run, uris)


def _is_still(run: Running) -> bool:
    """Whether nothing moved for a while: where not even the trouble could be written down."""
    before = run.done()
    time.sleep(5)
    return run.done() == before and not run.finished()


@pytest.fixture
def own_postgres() -> Iterator[Server]:
    """A server that this test may restart."""
    if binaries() is None:
        unavailable("no Postgres is installed")
    with server() as made:
        yield made


@pytest.mark.parametrize("how", ["fast", "crash"])
def test_postgres_is_restarted_in_the_middle(own_postgres: Server, folder: Path, how: str) -> None:
    import signal

    uris = photos(folder / "in", ASSETS)
    own_postgres.run("CREATE DATABASE work", "CREATE DATABASE record")
    settings = settings_in(
        folder / "archive",
        work_url=SecretStr(own_postgres.url("work")),
        record=SecretStr(own_postgres.url("record")),
    )
    with running(settings, folder / "in") as run:
        for wanted in (8, 24):
            wait_until(lambda wanted=wanted: run.done() >= wanted, f"{wanted} assets", seconds=600)  # type: ignore[misc]
            own_postgres.stop(signal.SIGINT if how == "fast" else signal.SIGQUIT)
            threading.Event().wait(1.5)
            own_postgres.start()
        wait_until(run.finished, "the rest, after the restart", seconds=600)
        check(run, uris)
