"""Operations: what an error makes of a job, and what a worker that ended leaves to the next."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from core.errors import InputError, StorageError
from core.work import OPERATE, Job, JobState
from indexing.work.operations import OperationRunner
from indexing.work.queues import EVERY_QUEUE, QUEUES, queues_named
from storage.databases import Database, open_database
from storage.work.jobs import StoredJobs
from storage.work.orders import StoredOrders

TRIES = 3


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = open_database(tmp_path / "work.sqlite")
    yield opened
    opened.close()


def begun(database: Database, raised: Exception | None = None) -> Job:
    """Lets the next worker begin the operation `a`; returns the job after that."""
    jobs, orders = StoredJobs(database), StoredOrders(database)
    jobs.order(Job("a", {"n": 1}, 1, JobState.RUNNING, 1.0, kind="count"))
    (order,) = orders.lease("one", {OPERATE: 1})

    def carried_out(job: Job) -> Mapping[str, Any]:
        if raised is not None:
            raise raised
        return {"n": job.request["n"] + 1}

    try:
        OperationRunner(jobs, orders, carried_out, tries=TRIES).run(order, lambda: False)
    except (StorageError, RuntimeError):
        orders.release(order)  # as a worker does
    return jobs.job("a")


def test_an_operation_ends_its_job_with_its_result(database: Database) -> None:
    job = begun(database)
    assert (job.state, job.result, job.trouble) == (JobState.FINISHED, {"n": 2}, "")
    assert job.ended > 0


def test_what_a_person_must_mend_fails_at_once(database: Database) -> None:
    job = begun(database, InputError("no such folder", where="/sets/x"))
    assert (job.state, job.result) == (JobState.FAILED, {})
    assert "/sets/x" in job.trouble
    assert begun(database).state is JobState.FINISHED  # mended, and ordered again


def test_a_failure_of_storage_is_tried_again(database: Database) -> None:
    states = [begun(database, StorageError("no answer")).state for _ in range(TRIES)]
    assert states == [JobState.RUNNING, JobState.RUNNING, JobState.FAILED]
    assert begun(database).state is JobState.FINISHED


def test_an_operation_that_kills_its_workers_fails(database: Database) -> None:
    for _ in range(TRIES):
        assert begun(database, RuntimeError("a defect")).state is JobState.RUNNING
    assert begun(database).state is JobState.FAILED


def test_operations_have_a_queue_that_an_ingest_does_not_serve() -> None:
    assert queues_named("operate") == (OPERATE,)
    assert OPERATE not in QUEUES
    assert set(EVERY_QUEUE) - set(QUEUES) == {OPERATE}
