"""kill -9 of a worker at random moments of a backfill: each asset done once, none lost.

What the ledger had kept when a worker was killed is never computed again, so that a photo is
decoded anew only where it was under way at that moment. KILL_ROUNDS says how often; `make deep` has
the most.
"""

from __future__ import annotations

import hashlib
import os
import random
import selectors
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import orjson
import pytest
from PIL import Image

from core.work import AssetState, Job, JobState, Priority, Stage
from indexing.work.desk import JobDesk
from indexing.work.request import Request
from indexing.work.sources.stores import FileStores
from indexing.work.stages.decode import picture_key
from storage.databases import open_database
from storage.work.jobs import StoredJobs
from tests.faults.world import open_archive

pytestmark = [pytest.mark.faults, pytest.mark.timeout(1200)]

ROOT = Path(__file__).resolve().parents[2]
ASSETS = 200
KILLS = min(100, int(os.environ.get("KILL_ROUNDS", "8")))  # more would find nothing left to do
THREADS = 6  # of a worker's that decode
STEPS = ("begin", "kept", "applied")
PATIENCE_S = 300.0


class Workers:
    """The program whose processes are killed; `said` is everything that they ever said."""

    def __init__(self, folder: Path, tokenizer: Path) -> None:
        script = Path(__file__).with_name("ingest_worker.py")
        self._program = subprocess.Popen(
            [sys.executable, "-P", str(script), str(folder), str(tokenizer)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        assert self._program.stdin is not None
        assert self._program.stdout is not None
        self._input, self._output = self._program.stdin, self._program.stdout
        self.said: list[list[object]] = []
        self._rest = b""

    def run(self, steps: int, seconds: float) -> bool:
        """Lets one work until it has said `steps` times that it got on, and for `seconds` more, and
        kills it; whether it had nothing left to do.
        """
        self._input.write(b"\n")
        self._input.flush()
        start = len(self.said)
        self._hear(start, time.monotonic() + PATIENCE_S, "pid")
        if steps:
            self._hear(start, time.monotonic() + PATIENCE_S, *STEPS, "idle", times=steps)
        self._hear(start, time.monotonic() + seconds)
        pid = next(said[1] for said in self.said[start:] if said[0] == "pid")
        assert isinstance(pid, int)
        os.kill(pid, signal.SIGKILL)
        self._hear(start, time.monotonic() + PATIENCE_S, "ended")
        assert self.said[-1] == ["ended", -signal.SIGKILL]
        return ["idle"] in self.said[start:]

    def _hear(self, start: int, deadline: float, *until: str, times: int = 1) -> None:
        """Reads what is said until something of the kinds `until` was said so often, or "idle", or
        until the deadline where there are none.
        """
        with selectors.DefaultSelector() as selector:
            selector.register(self._output, selectors.EVENT_READ)
            while (left := deadline - time.monotonic()) > 0:
                fresh = [said[0] for said in self.said[start:]]
                if until and sum(kind in until for kind in fresh) >= times:
                    return
                if "idle" in until and "idle" in fresh:
                    return
                if selector.select(left):
                    data = os.read(self._output.fileno(), 65536)
                    assert data, "the workers ended by themselves"
                    *lines, self._rest = (self._rest + data).split(b"\n")
                    self.said += [orjson.loads(line) for line in lines]
        assert not until, f"{until} was not said in time: {self.said[-3:]}"

    def close(self) -> None:
        """Ends the program."""
        self._input.close()
        self._output.close()
        self._program.kill()
        self._program.wait()


@pytest.fixture
def photos(folder: Path) -> list[str]:
    """Small photos, no two the same; the digests of their bytes."""
    rng = np.random.default_rng(7)
    place = folder / "photos"
    place.mkdir()
    digests = []
    for number in range(ASSETS):
        cells = rng.integers(0, 256, (6, 8, 3), np.uint8)
        path = place / f"{number:03}.jpg"
        Image.fromarray(cells).resize((480, 360)).save(path, quality=85)
        digests.append(hashlib.sha256(path.read_bytes()).hexdigest())
    assert len(set(digests)) == ASSETS
    return digests


@pytest.fixture
def workers(folder: Path, tokenizer_file: Path) -> Iterator[Workers]:
    made = Workers(folder, tokenizer_file)
    yield made
    made.close()


def ordered(folder: Path) -> Job:
    """A backfill of the photos, ordered and not begun."""
    database = open_database(folder / "work.sqlite")
    desk = JobDesk(StoredJobs(database), FileStores())
    job = desk.start(Request((str(folder / "photos"),), (), ("wire",)), Priority.BACKFILL)
    database.close()
    return job


def test_each_asset_is_done_once_and_none_is_lost(
    folder: Path, photos: list[str], workers: Workers
) -> None:
    job = ordered(folder)
    rng = random.Random(20261126)
    idle = sum(workers.run(rng.randrange(6), rng.uniform(0, 0.05)) for _ in range(KILLS))
    assert idle < KILLS / 4, "too many kills met a worker that had nothing to do"
    workers.run(10**9, 0.0)
    check_job(folder, job)
    check_computed(workers.said, photos)
    check_record(folder, photos)


def check_job(folder: Path, job: Job) -> None:
    database = open_database(folder / "work.sqlite")
    jobs = StoredJobs(database)
    assert jobs.job(job.id).state is JobState.FINISHED
    assert jobs.counts(job.id).standing == {(Stage.DONE, AssetState.DONE): ASSETS}
    database.close()


def check_computed(said: list[list[object]], photos: list[str]) -> None:
    """No photo is decoded after its result was kept; and every result was kept."""
    keys = {picture_key(digest): digest for digest in photos}
    begun: Counter[object] = Counter()
    done: set[object] = set()
    for message in said:
        if message[0] == "begin":
            assert message[1] not in done, "decoded again although the ledger had it"
            begun[message[1]] += 1
        elif message[0] == "kept":
            done |= {keys[key] for key in message[1] if key in keys}  # type: ignore[attr-defined]
    assert set(begun) == set(photos)
    again = sum(count - 1 for count in begun.values())
    assert again <= THREADS * KILLS, "more was under way than there are threads"


def check_record(folder: Path, photos: list[str]) -> None:
    engine = open_archive(folder / "archive", background=False)
    try:
        assert engine.projections.repairs == []
        recorded = Counter(item.uri for item in engine.all_items())
        assert recorded == {f"urn:sha256:{digest}": 1 for digest in photos}
    finally:
        engine.close()
