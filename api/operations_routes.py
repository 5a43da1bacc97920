"""For operators: alive, ready, figures."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Security
from fastapi.security import APIKeyHeader
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import Response

from api import contract
from api.access import SurfaceDep, caller_of, writer_of
from api.checks import no_parameters
from api.envelope import Json, base, problem_response
from api.keys import HEADER
from api.locality import is_local
from api.problems import Problem
from core.callers import NOBODY

router = APIRouter(tags=["operations"], dependencies=[Depends(no_parameters)])
_key = APIKeyHeader(name=HEADER, auto_error=False, scheme_name="apikey")


@router.get(
    "/healthz",
    summary="Is the process alive?",
    response_model=None,
    responses=contract.answers(contract.BaseAnswer),
)
async def healthz(request: Request) -> Json:
    """Answers as long as the event loop runs; looks at nothing else."""
    return Json(base(request, data={"alive": True}))


@router.get(
    "/readyz",
    summary="Can it answer searches?",
    response_model=None,
    responses=contract.answers(contract.BaseAnswer, 503),
)
async def readyz(request: Request, surface: SurfaceDep) -> Json:
    """200 where searches can be answered, 503 with the reason where not."""
    ready, reason = await surface.operations.run(surface.services.status.ready, NOBODY)
    if ready:
        return Json(base(request, data={"ready": True}))
    problem = Problem(503, "not_ready", reason, "Wait for it; it mends itself.", retry_after=2)
    return problem_response(request, problem)


@router.get(
    "/metrics",
    summary="Figures in Prometheus's text format",
    response_model=None,
    response_class=Response,
    responses=contract.answers(None, 401, 403)
    | {200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
async def metrics(
    request: Request, surface: SurfaceDep, key: Annotated[str | None, Security(_key)]
) -> Response:
    """Open to this machine where the service listens on loopback; elsewhere for the ingest key."""
    settings = surface.services.settings
    if not (settings.open_metrics or is_local(request, settings)):
        await writer_of(await caller_of(request, surface, key))
    status = await surface.operations.run(surface.services.status.status, NOBODY)
    return Response(surface.metrics.page(status), headers={"content-type": CONTENT_TYPE_LATEST})
