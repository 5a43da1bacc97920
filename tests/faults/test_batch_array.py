"""An array of jobs as AWS Batch runs it, interrupted in three ways: each photo once, none lost.

Photos and stills are in S3, the record and the orders on Postgres, and captions come from a
provider over a socket, which counts what it is paid for. Each try of a job has a disk of its own.
BATCH_FILES=2000 takes the long form: eight jobs, two at a time.
"""

from __future__ import annotations

import hashlib
import io
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import boto3
import numpy as np
import pytest
from PIL import Image

from core.threads import Threads
from core.work import AssetState, JobState, Stage
from dateline.archive import archive_status
from dateline.aws.spot import EVERY_S
from dateline.build.media.desk import Desk, open_desk
from dateline.settings import configure
from indexing.work.request import request_of
from tests.caption_looks import picture_in
from tests.caption_provider import KEY, CaptionServer, Reply
from tests.metadata_server import MetadataServer, metadata
from tests.postgres_server import Server
from tests.s3_server import bucket
from tests.storage.postgres_world import address_of

pytestmark = [pytest.mark.faults, pytest.mark.timeout(3600)]

ROOT = Path(__file__).resolve().parents[2]
PHOTOS = int(os.environ.get("BATCH_FILES", "24"))
SIZE = 8 if PHOTOS >= 1000 else 3
SIDE_BY_SIDE = 2
CALLS = 4  # to the provider at once, by a process
TERM_TO_KILL_S = 30.0  # what a container has
PATIENCE_S = 1200.0
COMMAND = [
    *(sys.executable, "-P", "-c", "from dateline.cli import main; main()"),
    *("ingest", "--shard", "array", "--json"),
]
APART = ("SECOND_ENCODER", "TAGGER", "RERANKER", "SHOTS")

Stop = Callable[[subprocess.Popen[bytes]], None]


@dataclass(frozen=True)
class Array:
    """The array: where its tries lie, what they are told, and the orders that they share."""

    folder: Path
    told: Mapping[str, str]
    desk: Desk
    instance: MetadataServer

    @contextmanager
    def started(self, index: int, attempt: int) -> Iterator[subprocess.Popen[bytes]]:
        """A try of one job, as Batch starts it. It does not outlive the block."""
        data = self.folder / f"job-{index}-{attempt}"
        data.mkdir()
        told = {
            "AWS_BATCH_JOB_ID": f"backfill:{index}",
            "AWS_BATCH_JOB_ATTEMPT": str(attempt),
            "AWS_BATCH_JOB_ARRAY_INDEX": str(index),
            "AWS_BATCH_JOB_ARRAY_SIZE": str(SIZE),
        }
        with (data / "log").open("wb") as log:
            process = subprocess.Popen(
                [*COMMAND, "s3://photos/2025/", "--products", "wire", "--data", str(data)],
                stdout=log,
                stderr=log,
                env={**os.environ, **self.told, **told},
            )
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    def said(self, index: int, attempt: int) -> str:
        return (self.folder / f"job-{index}-{attempt}" / "log").read_text("utf-8")[-3000:]

    def done(self) -> int:
        """How many photos are done, by all jobs."""
        counts = [self.desk.jobs.counts(job.id) for job in self.desk.jobs.jobs()]
        return sum(c.standing.get((Stage.DONE, AssetState.DONE), 0) for c in counts)

    def has_begun(self, index: int) -> bool:
        """Whether the job knows photos of its part."""
        jobs = self.desk.jobs.jobs()
        mine = [job for job in jobs if request_of(job.request).shard.number == index + 1]
        return any(self.desk.jobs.counts(job.id).found for job in mine)


def killed(process: subprocess.Popen[bytes]) -> None:
    process.kill()


def ended(process: subprocess.Popen[bytes]) -> None:
    """As a container is: told, and killed if it does not obey in time."""
    process.terminate()
    try:
        process.wait(TERM_TO_KILL_S)
    except subprocess.TimeoutExpired:
        process.kill()


@contextmanager
def array(postgres: Server, folder: Path, provider: CaptionServer) -> Iterator[Array]:
    address = address_of(postgres, folder)
    shared = {
        "record": address,
        "work_url": address,
        "media_store": "s3://stills/a",
        "captioner": "openai",
        "caption_url": provider.base_url,
        "caption_key": KEY,
        "caption_model": "a-model",
        "caption_at_once": str(CALLS),
        "work_chunk": str(max(2, PHOTOS // SIZE // 16)),
        "spot": "true",
        **{name.lower(): "" for name in APART},
    }
    settings = configure({"data": folder / "desk", **shared}).settings
    desk = open_desk(settings)
    with metadata() as instance:
        told = {f"DATELINE_{name.upper()}": value for name, value in shared.items()}
        told["AWS_EC2_METADATA_SERVICE_ENDPOINT"] = instance.url
        told["PYTHONPATH"] = str(ROOT)
        yield Array(folder, told, desk, instance)
    desk.close()


def put_photos() -> None:
    """Small photos that look different, so that no two share a caption."""
    rng = np.random.default_rng(7)
    client = boto3.client("s3")
    client.create_bucket(Bucket="stills")
    for number in range(PHOTOS):
        cells = rng.integers(0, 256, (6, 8, 3), np.uint8)
        stream = io.BytesIO()
        Image.fromarray(cells).resize((240, 180)).save(stream, "JPEG")
        client.put_object(Bucket="photos", Key=f"2025/{number:04}.jpg", Body=stream.getvalue())


def run(jobs: Array, index: int, stop: Stop | None) -> list[int]:
    """Run one job of the array until it succeeds; the exit codes of its tries."""
    codes = list[int]()
    if stop is not None:
        with jobs.started(index, 1) as process:
            wait_until_it_works(jobs, index, process)
            stop(process)
            codes.append(process.wait(PATIENCE_S))
        jobs.instance.warns.clear()
    with jobs.started(index, len(codes) + 1) as process:
        codes.append(process.wait(PATIENCE_S))
    assert codes[-1] == 0, jobs.said(index, len(codes))
    return codes


def wait_until_it_works(jobs: Array, index: int, process: subprocess.Popen[bytes]) -> None:
    """Wait until photos were done after the job had begun."""
    deadline = time.monotonic() + PATIENCE_S
    before: int | None = None
    while before is None or jobs.done() < before + 2:
        if before is None and jobs.has_begun(index):
            before = jobs.done()
        assert process.poll() is None, jobs.said(index, 1)
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_each_photo_is_done_once(
    postgres: Server, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with bucket("photos"), CaptionServer() as provider, array(postgres, folder, provider) as jobs:
        put_photos()
        began = time.monotonic()
        # The warning is for an instance, so nothing else runs beside the first job. It is asked for
        # every few seconds, in which the job may not end.
        provider.say(*[Reply(delay_s=EVERY_S)] * (PHOTOS // SIZE))

        def warned(process: subprocess.Popen[bytes]) -> None:
            jobs.instance.warns.set()
            process.wait(PATIENCE_S)
            provider.script.clear()

        codes = [run(jobs, 0, warned)]
        stops: Mapping[int, Stop] = {1: killed, SIZE - 1: ended}
        with Threads(SIDE_BY_SIDE) as threads:
            others = range(1, SIZE)
            codes += threads.map(lambda index: run(jobs, index, stops.get(index)), others)
        seconds = time.monotonic() - began
        found = jobs.desk.jobs.jobs()
        counts = [jobs.desk.jobs.counts(job.id) for job in found]
        record = {"data": folder / "status", "record": jobs.told["DATELINE_RECORD"]}
        items = archive_status(configure(record).settings)["items"]
        asked = [hashlib.sha256(picture_in(seen.json)).hexdigest() for seen in provider.asked()]
    paid = Counter(asked)
    twice = sum(paid.values()) - len(paid)
    with capsys.disabled():
        print(f"\n{PHOTOS} photos, {SIZE} jobs, exit codes {codes}, {seconds:.0f} s:", end=" ")
        print(f"{items} items, {len(paid)} captions, {twice} paid again after the kill")
    assert codes[0] == [130, 0]
    assert codes[1] == [-signal.SIGKILL, 0]
    assert codes[-1] == [130, 0]
    assert all(one == [0] for one in codes[2:-1])
    assert items == PHOTOS  # versions: none is lost, none is recorded again
    assert len(paid) == PHOTOS
    assert twice <= CALLS  # what was under way when the process was killed
    assert all(job.state is JobState.FINISHED for job in found)
    # A job whose orders another one carried out is a new job when it is started again; it finds
    # everything done. What was decoded when a process was killed is not counted.
    assert sum(one.made.get("decoded", 0) for one in counts) <= PHOTOS
    assert sum(one.made.get("embedded", 0) for one in counts) <= PHOTOS


def test_without_a_lasting_record_a_job_is_refused(tmp_path: Path) -> None:
    told = {
        "AWS_BATCH_JOB_ID": "backfill:0",
        "AWS_BATCH_JOB_ARRAY_INDEX": "0",
        "AWS_BATCH_JOB_ARRAY_SIZE": "8",
        "PYTHONPATH": str(ROOT),
    }
    refused = subprocess.run(
        [*COMMAND, str(ROOT / "docs" / "page.png"), "--data", str(tmp_path / "data")],
        capture_output=True,
        env={**os.environ, **told},
        check=False,
        timeout=PATIENCE_S,
    )
    assert refused.returncode == 3, refused.stderr
    assert not (tmp_path / "data" / "record.sqlite3").exists()
