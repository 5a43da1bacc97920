"""`/v1/admin/jobs`: ingests and operations that a scheduler orders and waits for.

The caller names a job, so an order that is sent twice is one job. Workers carry jobs out
(`dateline worker`), so they outlive this process.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Request
from pydantic import BaseModel, ConfigDict, Field

from api import contract
from api.access.callers import Surface, SurfaceDep
from api.access.checks import model_of, no_parameters, read_object
from api.customers.admin_routes import AdministratorDep
from api.envelope import Json, base
from api.problems import ParameterError
from core.callers import Caller
from core.errors import NotFoundError
from core.work import INGEST
from indexing.work.desk import JobDesk
from indexing.work.operations import check_places
from indexing.work.request import Request as IngestRequest

router = APIRouter(
    prefix="/v1/admin/jobs", tags=["administration"], dependencies=[Depends(no_parameters)]
)
_MOST_BODY = 64 * 1024
Name = Annotated[
    str,
    Path(
        pattern="^[a-z0-9][a-z0-9-]{0,39}$",
        description="Lower-case letters, digits and hyphens, at most 40.",
    ),
]
Place = Annotated[str, Field(min_length=1, max_length=4000)]
Places = Annotated[list[Place], Field(max_length=1000)]
Numbers = Annotated[list[Annotated[int, Field(ge=1, le=10_000)]], Field(min_length=1, max_length=8)]


class _Job(BaseModel):
    model_config = ConfigDict(extra="forbid")

    def places(self) -> dict[str, str]:
        """Return what the job would read, by the name of its option."""
        return {}

    def request(self) -> dict[str, Any]:
        """Return the request that is kept, as values for JSON."""
        return self.model_dump(exclude={"kind"})


class IngestJob(_Job):
    """Photos and videos that go through every stage, as `dateline ingest` takes them."""

    kind: Literal["ingest"] = "ingest"
    paths: Places = []
    manifests: Places = []
    products: list[Annotated[str, Field(min_length=1, max_length=200)]] = Field([], max_length=1000)

    def places(self) -> dict[str, str]:
        """Return the paths and the manifests."""
        named = {f"paths.{at}": place for at, place in enumerate(self.paths)}
        return named | {f"manifests.{at}": place for at, place in enumerate(self.manifests)}

    def request(self) -> dict[str, Any]:
        """Return it as an ingest keeps it. Raises ParameterError if it names nothing."""
        if not (self.paths or self.manifests):
            raise ParameterError(
                "There are neither paths nor manifests.",
                field="paths",
                mend="Name a folder in paths.",
            )
        return IngestRequest(
            tuple(self.paths), tuple(self.manifests), tuple(self.products)
        ).as_dict()


class EvaluateJob(_Job):
    """Judged sets through the pipeline that serves; with a baseline also a gate's verdict."""

    kind: Literal["evaluate"] = "evaluate"
    sets: Places = Field(min_length=1, description="Folders, each perhaps with :split.")
    profile: str = Field("", max_length=100, description="The setting's if not given.")
    baseline: str = Field("", max_length=4000, description="What `dateline eval gate` wrote.")
    rule: str = Field("", max_length=4000, description="The gate's rule, a TOML file.")

    def places(self) -> dict[str, str]:
        """Return the sets' folders, the baseline and the rule."""
        files = {"baseline": self.baseline, "rule": self.rule}
        return _folders(self.sets) | {name: place for name, place in files.items() if place}


class SweepJob(_Job):
    """A sweep of vector graphs over the passages of a judged set, and what it recommends."""

    kind: Literal["sweep"] = "sweep"
    set: Place
    target: str = Field("recall .99", max_length=200)
    queries: int = Field(500, ge=1, le=100_000)
    precision: list[Literal["fp32", "fp16", "int8", "pq", "binary"]] = ["fp32"]
    m: Numbers = [16, 32, 48]
    ef_construction: Numbers = [100, 200]
    ef: Numbers = [32, 64, 128, 256]
    k: Numbers = [10, 100]

    def places(self) -> dict[str, str]:
        """Return the set's folder."""
        return _folders([self.set])


class MigrateJob(_Job):
    """One step of a migration to another encoder, as `dateline migration` makes them."""

    kind: Literal["migrate"] = "migrate"
    step: Literal["start", "catch-up", "evaluate", "flip", "abandon"]
    again: bool = Field(False, description="Start even if the index is as it should be.")
    sets: Places = Field([], description="For evaluate: judged sets in the archive.")

    def places(self) -> dict[str, str]:
        """Return the sets' folders."""
        return _folders(self.sets)


_KINDS: Mapping[str, type[_Job]] = {
    INGEST: IngestJob,
    "evaluate": EvaluateJob,
    "sweep": SweepJob,
    "migrate": MigrateJob,
}


@router.put(
    "/{job_id}",
    summary="Order a job",
    response_model=None,
    responses=contract.answers(contract.BaseAnswer, 400, 401, 403, 404, 408, 409, 413, 415, 503),
    openapi_extra=contract.body_of(*_KINDS.values()),
)
async def order_job(
    request: Request, job_id: Name, surface: SurfaceDep, caller: AdministratorDep
) -> Json:
    """The same name and request are the same job, however often they are sent; an operation that
    failed is tried again. Another request under the name of a job is refused (409).
    """
    settings = surface.services.settings
    sent = await read_object(request, _MOST_BODY, settings.body_timeout_seconds)
    body = _read(sent)
    check_places(body.places(), settings.job_sources)
    kind, wanted = str(sent["kind"]), body.request()

    def order(desk: JobDesk) -> Mapping[str, Any]:
        desk.order(job_id, kind, wanted)
        return desk.told(job_id)

    return await _at_desk(request, surface, caller, order)


@router.get(
    "/{job_id}",
    summary="A job's state and result",
    response_model=None,
    responses=contract.answers(contract.BaseAnswer, 400, 401, 403, 404, 503),
)
async def show_job(
    request: Request, job_id: Name, surface: SurfaceDep, caller: AdministratorDep
) -> Json:
    """`state` is running, paused, canceled, finished or failed. A job that finished has a
    `result`, and the `digest` of that.
    """
    return await _at_desk(request, surface, caller, lambda desk: desk.told(job_id))


@router.delete(
    "/{job_id}",
    summary="Cancel a job",
    response_model=None,
    responses=contract.answers(contract.BaseAnswer, 400, 401, 403, 404, 503),
)
async def cancel_job(
    request: Request, job_id: Name, surface: SurfaceDep, caller: AdministratorDep
) -> Json:
    """What it has put into the archive stays there. A worker that carries out an operation ends it,
    and its result is not kept.
    """

    def cancel(desk: JobDesk) -> Mapping[str, Any]:
        desk.cancel(job_id)
        return desk.told(job_id)

    return await _at_desk(request, surface, caller, cancel)


def _read(sent: Mapping[str, Any]) -> _Job:
    kind = _KINDS.get(str(sent.get("kind", "")))
    if kind is None:
        known = ", ".join(_KINDS)
        raise ParameterError("There is no such kind of job.", field="kind", mend=f"One of {known}.")
    return model_of(sent, kind)


def _folders(sets: list[str]) -> dict[str, str]:
    """Return the folders of judged sets, with and without what may be their split."""
    whole = {f"sets.{at}": name for at, name in enumerate(sets)}
    folders = {f"{at} before :": name.rpartition(":")[0] for at, name in whole.items()}
    return whole | {at: folder for at, folder in folders.items() if folder}


async def _at_desk(
    request: Request,
    surface: Surface,
    caller: Caller,
    told: Callable[[JobDesk], Mapping[str, Any]],
) -> Json:
    jobs = surface.services.jobs
    if jobs is None:
        raise NotFoundError("This service takes no jobs.", mend="Ask the archive's own service.")
    found = await surface.accounts.run(lambda: told(jobs()), caller)
    return Json(base(request, org_name=caller.name, data=dict(found)))
