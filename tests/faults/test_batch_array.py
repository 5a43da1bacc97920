"""An array of jobs over one archive, interrupted in three ways: each photo once, none lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.work import AssetState, JobState, Stage
from dateline.archive import archive_status
from dateline.build.media.desk import open_desk
from dateline.settings import Settings
from tests.metadata_server import metadata

pytestmark = [pytest.mark.faults, pytest.mark.timeout(1200)]

ROOT = Path(__file__).resolve().parents[2]
PHOTOS, SIZE, PATIENCE_S = 120, 2, 300.0
START = "from dateline.cli import main; main()"


def started(folder: Path, index: int, **variables: str) -> subprocess.Popen[str]:
    """One job of the array, as Batch starts it."""
    flags = ["--shard", "array", "--products", "wire", "--data", str(folder / "data"), "--json"]
    told = {
        "AWS_BATCH_JOB_ARRAY_INDEX": str(index),
        "AWS_BATCH_JOB_ARRAY_SIZE": str(SIZE),
        "DATELINE_SECOND_ENCODER": "",
        "DATELINE_TAGGER": "",
        "DATELINE_RERANKER": "",
        "DATELINE_SHOTS": "",
        "DATELINE_WORK_CHUNK": "1",
        "DATELINE_WORK_AHEAD": "2",
        "PYTHONPATH": str(ROOT),
    }
    return subprocess.Popen(
        [sys.executable, "-P", "-c", START, "ingest", str(folder / "photos"), *flags],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **told, **variables},
    )


def done(folder: Path) -> int:
    """How many photos are in the archive, by all jobs."""
    desk = open_desk(Settings(data=folder / "data"))
    try:
        counts = [desk.jobs.counts(job.id) for job in desk.jobs.jobs()]
        return sum(c.standing.get((Stage.DONE, AssetState.DONE), 0) for c in counts)
    finally:
        desk.close()


def interrupted(
    folder: Path, process: subprocess.Popen[str], least: int, stop: Callable[[], object]
) -> int:
    """Stop a job once `least` photos more are done; its exit code."""
    deadline = time.monotonic() + PATIENCE_S
    before = done(folder) if (folder / "data").exists() else 0
    while (folder / "data" / "record.sqlite3").exists() is False or done(folder) < before + least:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    stop()
    process.communicate(timeout=PATIENCE_S)
    return process.returncode


def test_each_photo_is_done_once(folder: Path) -> None:
    (folder / "photos").mkdir()
    rng = np.random.default_rng(7)
    for number in range(PHOTOS):
        cells = rng.integers(0, 256, (6, 8, 3), np.uint8)
        Image.fromarray(cells).resize((480, 360)).save(folder / "photos" / f"{number:03}.jpg")
    with metadata() as instance:
        warned = {"DATELINE_SPOT": "true", "AWS_EC2_METADATA_SERVICE_ENDPOINT": instance.url}
        process = started(folder, 0, **warned)
        assert interrupted(folder, process, 2, instance.warns.set) == 130
    process = started(folder, 0)
    assert interrupted(folder, process, 2, process.kill) == -signal.SIGKILL
    process = started(folder, 1)
    assert interrupted(folder, process, 2, process.terminate) == 130
    for index in range(SIZE):
        process = started(folder, index)
        _, errors = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 0, errors
    settings = Settings(data=folder / "data")
    desk = open_desk(settings)
    jobs = desk.jobs.jobs()
    counts = [desk.jobs.counts(job.id) for job in jobs]
    desk.close()
    assert all(job.state is JobState.FINISHED for job in jobs)
    assert archive_status(settings)["items"] == PHOTOS
    # A job whose orders another one carried out is a new job when it is started again; it finds
    # everything done. What was decoded when a process was killed is not counted.
    assert sum(found.made.get("decoded", 0) for found in counts) <= PHOTOS
    assert sum(found.made.get("embedded", 0) for found in counts) <= PHOTOS
