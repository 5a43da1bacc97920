"""The orders of ingests, each given to whichever process works on its queue.

An order is a workflow whose name says what it is for, so that giving it twice is giving it once.
It holds nothing but names: what is to be done stands in the jobs' table.
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from typing import Any

import sqlalchemy as sa
from dbos import EnqueueOptions
from dbos import error as dbos_error

from core.work import Job, Stage
from indexing.work.orders_database import (
    APPLICATION,
    READ_WORK,
    STAGE_WORK,
    VERSION,
    client_of,
    migrate,
    storage_errors,
)
from indexing.work.queue_names import READ

_AT_ONCE = 200  # orders that are dropped at a time


class OrderBook:
    """`core.work_ports.WorkOrders`: gives orders to whichever process works on them."""

    def __init__(self, engine: sa.Engine) -> None:
        migrate(engine)
        self._client = client_of(engine)

    def give(self, job: Job, chunk: int, stage: Stage, trail: str, *, delay_s: float = 0.0) -> None:
        """See `core.work_ports.WorkOrders`."""
        name = f"{job.id}/{chunk}/{trail}"
        options = _options(STAGE_WORK, str(stage), name, job.priority)
        if delay_s > 0:
            options["delay_seconds"] = delay_s
        self._enqueue(options, job.id, chunk, str(stage), trail)

    def give_reading(self, job: Job, trail: str) -> None:
        """See `core.work_ports.WorkOrders`."""
        options = _options(READ_WORK, READ, f"{job.id}/{READ}/{trail}", job.priority)
        self._enqueue(options, job.id, trail)

    def under_way(self, job_id: str) -> Collection[tuple[int, str]]:
        """See `core.work_ports.WorkOrders`."""
        with storage_errors():
            found = self._client.list_workflows(
                workflow_id_prefix=f"{job_id}/",
                status="PENDING",
                load_input=False,
                load_output=False,
            )
        parts = (status.workflow_id.split("/")[1:] for status in found)
        return [(int(chunk), trail) for chunk, trail in parts if chunk != READ]

    def take_back(self, job_id: str) -> None:
        """See `core.work_ports.WorkOrders`."""
        with storage_errors():
            while True:
                waiting = self._client.list_workflows(
                    workflow_id_prefix=f"{job_id}/",
                    status=["ENQUEUED", "DELAYED"],
                    limit=_AT_ONCE,
                    load_input=False,
                    load_output=False,
                )
                if not waiting:
                    return
                self._client.cancel_workflows([status.workflow_id for status in waiting])

    def forget(self, job_id: str) -> int:
        """See `core.work_ports.WorkOrders`."""
        count = 0
        with storage_errors():
            while True:
                ended = self._client.list_workflows(
                    workflow_id_prefix=f"{job_id}/",
                    status=["SUCCESS", "ERROR", "CANCELLED"],
                    limit=_AT_ONCE,
                    load_input=False,
                    load_output=False,
                )
                if not ended:
                    return count
                self._client.delete_workflows([status.workflow_id for status in ended])
                count += len(ended)

    def left_by(self, process: str) -> list[str]:
        """The names of the orders that a process began and did not end."""
        with storage_errors():
            found = self._client.list_workflows(
                status="PENDING", executor_id=process, load_input=False, load_output=False
            )
            return [status.workflow_id for status in found]

    def give_again(self, names: Collection[str]) -> None:
        """Puts orders back that nobody works on any more."""
        with storage_errors():
            for name in names:
                with suppress(dbos_error.DBOSNonExistentWorkflowError):
                    status = self._client.retrieve_workflow(name).get_status()
                    self._client.resume_workflow(name, queue_name=status.queue_name)

    def close(self) -> None:
        """Lets go of the database."""
        self._client.destroy()

    def _enqueue(self, options: EnqueueOptions, *arguments: Any) -> None:
        with storage_errors():
            self._client.enqueue(options, *arguments)


def _options(workflow: str, queue: str, name: str, priority: int) -> EnqueueOptions:
    return EnqueueOptions(
        workflow_name=workflow,
        queue_name=queue,
        workflow_id=name,
        priority=priority,
        app_version=VERSION,
        application_name=APPLICATION,
    )
