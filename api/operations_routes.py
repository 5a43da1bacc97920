"""Routes for operators: alive, ready, metrics."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Security
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer
from prometheus_client import CONTENT_TYPE_LATEST, Metric
from starlette.responses import Response

from api import contract
from api.access.callers import Surface, SurfaceDep, caller_of
from api.access.checks import no_parameters
from api.access.keys import HEADER
from api.envelope import Json, base, problem_response
from api.metrics import Figures
from api.problems import Problem
from core.callers import NOBODY
from core.errors import AccessError

router = APIRouter(tags=["operations"], dependencies=[Depends(no_parameters)])
_key = APIKeyHeader(name=HEADER, auto_error=False, scheme_name="apikey")
_bearer = HTTPBearer(auto_error=False, scheme_name="bearer")


@router.get(
    "/healthz",
    summary="Is the process alive?",
    response_model=None,
    responses=contract.answers(contract.BaseAnswer, 400),
)
async def healthz(request: Request) -> Json:
    """Answers as long as the event loop runs; checks nothing else."""
    return Json(base(request, data={"alive": True}))


@router.get(
    "/readyz",
    summary="Can it answer searches?",
    response_model=None,
    responses=contract.answers(contract.BaseAnswer, 400, 503),
)
async def readyz(request: Request, surface: SurfaceDep) -> Json:
    """200 if searches can be answered, else 503 with the reason."""
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
    responses=contract.answers(None, 400, 401, 403)
    | {200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
async def metrics(
    request: Request,
    surface: SurfaceDep,
    key: Annotated[str | None, Security(_key)],
    bearer: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)],
) -> Response:
    """For keys that may inspect or write, also as a bearer token, as Prometheus sends it; for
    everybody with the setting `open_metrics`.
    """
    if not surface.services.settings.open_metrics:
        sent = key or (bearer.credentials if bearer else None)
        caller = await caller_of(request, surface, sent)
        if not (caller.may_inspect or caller.may_write):
            raise AccessError(
                "This key may not read the service's figures.",
                mend="Use a key with inspect or write, or the setting open_metrics.",
            )

    def page() -> bytes:
        return surface.metrics.page(*_counted(surface))

    written = await surface.operations.run(page, NOBODY)
    return Response(written, headers={"content-type": CONTENT_TYPE_LATEST})


def metrics_of(surface: Surface) -> Iterable[Metric]:
    """Return the metrics of all processes of a service, for whoever sends them."""
    return surface.metrics.collected(*_counted(surface))


def _counted(surface: Surface) -> tuple[Mapping[str, Any], Iterable[Figures]]:
    """Return the service's status, and the counts of its other processes."""
    status, elsewhere = surface.services.status.status(), surface.services.elsewhere
    if elsewhere is None:
        return status, ()
    surface.metrics.searchers.set(elsewhere.running)
    return status, elsewhere.figures()
