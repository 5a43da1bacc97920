"""`dateline ingest --queue`: from a bucket over SQS to a search, by a process of its own."""

from __future__ import annotations

import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest
from PIL import Image

import dateline
from dateline.build.media.desk import open_desk
from dateline.settings import configure
from tests.dateline.conftest import Cli
from tests.s3_server import bucket, put

pytestmark = pytest.mark.service

ROOT = Path(dateline.__file__).parent.parent
PATIENCE_S = 240.0
TRIES = 2


def queues() -> tuple[Any, str, str]:
    """A client, the queue that the bucket tells, and that of its dead letters."""
    sqs = boto3.client("sqs")
    dead = sqs.create_queue(QueueName="dead")["QueueUrl"]
    redrive = {"deadLetterTargetArn": arn_of(sqs, dead), "maxReceiveCount": TRIES}
    told = {"VisibilityTimeout": "1", "RedrivePolicy": json.dumps(redrive)}
    arrivals = sqs.create_queue(QueueName="arrivals", Attributes=told)["QueueUrl"]
    events = {"QueueArn": arn_of(sqs, arrivals), "Events": ["s3:ObjectCreated:*"]}
    boto3.client("s3").put_bucket_notification_configuration(
        Bucket="photos", NotificationConfiguration={"QueueConfigurations": [events]}
    )
    return sqs, arrivals, dead


def arn_of(sqs: Any, url: str) -> str:
    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    return str(found["Attributes"]["QueueArn"])


def until(holds: Callable[[], object], process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.1)


def counted(folder: Path) -> tuple[int, int]:
    """How many files are known, and how many are done."""
    if not (folder / "work.sqlite").exists():
        return 0, 0
    desk = open_desk(configure({"data": folder}).settings)
    try:
        counts = [desk.jobs.counts(job.id) for job in desk.jobs.jobs()]
    finally:
        desk.close()
    done = [n for c in counts for (stage, _), n in c.standing.items() if stage == "done"]
    return sum(c.found for c in counts), sum(done)


def again(data: bytes) -> str:
    """The event of the photo as S3 may send it a second time."""
    etag = hashlib.md5(data, usedforsecurity=False).hexdigest()
    part = {
        "bucket": {"name": "photos"},
        "object": {"key": "ferry.jpg", "size": len(data), "eTag": etag},
    }
    return json.dumps({"Records": [{"eventName": "ObjectCreated:Put", "s3": part}]})


def test_a_file_that_is_put_into_a_bucket_is_found(cli: Cli) -> None:
    stream = io.BytesIO()
    Image.radial_gradient("L").resize((320, 240)).save(stream, "JPEG")
    photo = stream.getvalue()
    with bucket("photos"):
        sqs, arrivals, dead = queues()
        put("photos", "ferry.jpg.json", b'{"headline": "Ferry at the quay"}')
        put("photos", "ferry.jpg", photo)
        sqs.send_message(QueueUrl=arrivals, MessageBody="no event at all")
        for _ in range(2):
            sqs.send_message(QueueUrl=arrivals, MessageBody=again(photo))
        command = [Path(sys.executable).with_name("dateline"), "ingest", "--queue", arrivals]
        process = subprocess.Popen(
            [*command, "--products", "demo", "--data", str(cli.data)],
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        try:
            until(lambda: counted(cli.data)[1], process)
            letters: list[Any] = []

            def dead_letter_came() -> bool:
                found = sqs.receive_message(QueueUrl=dead, WaitTimeSeconds=1)
                letters.extend(found.get("Messages", ()))
                return bool(letters)

            until(dead_letter_came, process)
            names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]

            def queue_is_empty() -> bool:
                left = sqs.get_queue_attributes(QueueUrl=arrivals, AttributeNames=names)
                return sum(int(left["Attributes"][name]) for name in names) == 0

            until(queue_is_empty, process)
        finally:
            process.send_signal(signal.SIGINT)
            _, told = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130, told
    assert [letter["Body"] for letter in letters] == ["no event at all"]
    assert told.count(b"left in the queue") == TRIES
    assert counted(cli.data) == (1, 1)
    assert len(cli.found("ferry", "--products", "demo")) == 1
