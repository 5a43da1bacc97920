"""Jobs of a Dateline service, as Airflow orders them and waits for them.

A task orders its job under a name made from its run, so a task that is run again finds its job.
Then it defers: the triggerer asks for the job's state, and no worker is held.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

from airflow.sdk import Asset, BaseHook, BaseOperator, Connection, Context
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowNotFoundException
from airflow.triggers.base import BaseTrigger, TriggerEvent
from dateline_client import AnswerError, AsyncClient, Client, Job, UnreachableError

CONNECTION = "dateline"
FINISHED = "finished"
SOURCES_READ = "sources-read"
POLL_S = 10.0
_STAGES = ("decode", "shots", "describe", "transcribe", "look", "read_text", "embed", "apply")
_WAITS = ("running", "paused")
_MEND = "give its host as an address such as https://archive.example, and its password as the key"


def address_and_key(connection: Connection | None, name: str) -> tuple[str, str]:
    """Return the service's address and key. Raises AirflowFailException, which names what is
    missing and never what is there.
    """
    if connection is None:
        raise AirflowFailException(f"the connection {name!r} is missing: {_MEND}")
    address, key = connection.host or "", connection.password or ""
    if "://" not in address:
        raise AirflowFailException(f"the connection {name!r} has no address as its host: {_MEND}")
    if not key:
        raise AirflowFailException(f"the connection {name!r} has no key as its password: {_MEND}")
    return address, key


def is_past(job: Job, until: str) -> bool:
    """Return whether a job needs no more waiting for: it has ended, or every file of an ingest is
    past the stage `until`.
    """
    if job.state not in _WAITS:
        return True
    if until == FINISHED or not job.progress.get("sources_read"):
        return False
    if until == SOURCES_READ:
        return True
    stages = job.progress["stages"]
    return not any(stages[name]["waiting"] for name in _STAGES[: _STAGES.index(until) + 1])


class JobTrigger(BaseTrigger):
    """Waits, in the triggerer, until a job is past a point. It holds the connection's name; the key
    is read where it is needed and kept nowhere.
    """

    def __init__(self, connection: str, job: str, until: str, poll_s: float = POLL_S) -> None:
        super().__init__()
        self.connection, self.job, self.until, self.poll_s = connection, job, until, poll_s

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class's path and the arguments that make the trigger again."""
        arguments = {name: getattr(self, name) for name in ("connection", "job", "until", "poll_s")}
        return f"{type(self).__module__}.{type(self).__qualname__}", arguments

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield one event when the wait is over; it says whether the job can't be asked for."""
        try:
            found = await self._connection()
            async with AsyncClient(*address_and_key(found, self.connection)) as client:
                while not is_past(await self._asked(client), self.until):
                    await asyncio.sleep(self.poll_s)
        except (AirflowFailException, AnswerError) as error:
            yield TriggerEvent({"trouble": str(error)})
        else:
            yield TriggerEvent({"trouble": ""})

    async def _asked(self, client: AsyncClient) -> Job:
        """Return the job. A service that is away for a while is waited for."""
        while True:
            try:
                return await client.job(self.job)
            except UnreachableError as error:
                self.log.warning("asked again in %s s: %s", self.poll_s, error)
                await asyncio.sleep(self.poll_s)

    async def _connection(self) -> Connection | None:
        try:
            found: Connection = await BaseHook.aget_connection(self.connection)
        except AirflowNotFoundException:
            return None
        return found


class JobOperator(BaseOperator):
    """Orders a job and waits until it has finished, or until its files are past a stage. Returns
    the job's name, state, progress, result and digest.

    Tasks of a run that give the same `job` share one job. Each outlet becomes an asset event with
    the job's name and digest.
    """

    template_fields: Sequence[str] = ("options",)

    def __init__(
        self,
        *,
        kind: str,
        options: Mapping[str, Any],
        job: str = "",
        until: str = FINISHED,
        connection: str = CONNECTION,
        poll_s: float = POLL_S,
        retries: int = 2,
        retry_delay: timedelta = timedelta(minutes=1),
        **kwargs: Any,
    ) -> None:
        super().__init__(retries=retries, retry_delay=retry_delay, **kwargs)
        self.kind, self.options, self.job = kind, options, job
        self.until, self.connection, self.poll_s = until, connection, poll_s

    def execute(self, context: Context) -> dict[str, Any]:
        """Order the job, and defer unless there is nothing to wait for."""
        name = job_name(context, self.job or self.task_id)
        with self._client() as client:
            job = client.order_job(name, self.kind, self.options)
        if not is_past(job, self.until):
            trigger = JobTrigger(self.connection, name, self.until, self.poll_s)
            self.defer(trigger=trigger, method_name="resume", kwargs={"job": name})
        return self._ended(context, job)

    def resume(self, context: Context, event: Mapping[str, Any], job: str) -> dict[str, Any]:
        """Take what came of the job, when the trigger says that it is past the point."""
        if event["trouble"]:
            raise AirflowException(f"job {job}: {event['trouble']}")
        with self._client() as client:
            return self._ended(context, client.job(job))

    def _client(self) -> Client:
        try:
            found = BaseHook.get_connection(self.connection)
        except AirflowNotFoundException:
            found = None
        return Client(*address_and_key(found, self.connection))

    def _ended(self, context: Context, job: Job) -> dict[str, Any]:
        if job.state in ("failed", "canceled"):
            raise AirflowException(f"job {job.name} is {job.state}: {job.trouble}")
        for outlet in self.outlets:
            if isinstance(outlet, Asset):
                context["outlet_events"][outlet].extra = {"job": job.name, "digest": job.digest}
        told = ("name", "state", "progress", "result", "digest")
        return {name: _plain(getattr(job, name)) for name in told}


def job_name(context: Context, job: str) -> str:
    """Return the name of a job in a run: the same for each try and each clearing of the task."""
    run = context["dag_run"]
    digest = hashlib.sha256(f"{run.dag_id}/{run.run_id}/{job}".encode()).hexdigest()
    words = "".join(letter if letter.isalnum() else "-" for letter in job.lower())
    return f"{words[:23].strip('-')}-{digest[:16]}"


def _plain(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else value
