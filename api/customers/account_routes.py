"""`GET /v1/account`: what the account of a key has bought, used and downloaded."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from starlette.responses import Response

from api import contract
from api.access.callers import CallerDep, Surface, SurfaceDep
from api.access.checks import no_parameters
from api.envelope import Json, base
from api.search.parameters import read_time
from core.callers import Caller
from core.customers.accounts import AccountBook, Method, Plan, Quota
from core.errors import NotFoundError
from customers.accounts.downloads import DOWNLOAD_COLUMNS, download_row
from customers.accounts.parts import AccountParts
from customers.accounts.pricing import next_interval
from customers.accounts.trees import entitlement_tree, plan_tree, time_text
from customers.accounts.usage import csv_text

router = APIRouter(tags=["account"])
CSV = "text/csv; charset=utf-8"


def _begin(value: Any) -> Any:
    return read_time(value, end=False) if isinstance(value, str) else value


def _end(value: Any) -> Any:
    return read_time(value, end=True) if isinstance(value, str) else value


class DownloadParameters(BaseModel):
    """What `GET /v1/account/downloads` takes."""

    model_config = ConfigDict(extra="forbid")

    min_date: Annotated[datetime | None, BeforeValidator(_begin)] = Field(
        default=None, description="From this time on; 30 days before max_date if not given."
    )
    max_date: Annotated[datetime | None, BeforeValidator(_end)] = Field(
        default=None, description="Until this time; now if not given."
    )
    order: int = Field(default=0, ge=0, le=2**53, description="Only the order of this number.")
    format: Literal["json", "csv"] = Field(default="json", description="json or csv.")


def parts_of(surface: Surface) -> AccountParts:
    """Return the accounts of the service. Raises NotFoundError if it has none."""
    accounts = surface.services.accounts
    if accounts is None:
        raise NotFoundError("This service has no accounts.")
    return accounts


@router.get(
    "/v1/account",
    summary="What the key's account has bought and used",
    response_model=None,
    responses=contract.answers(contract.BaseAnswer, 400, 401, 404, 503),
    dependencies=[Depends(no_parameters)],
)
async def account(request: Request, surface: SurfaceDep, caller: CallerDep) -> Json:
    """The account's name, products, plans with their meters, and quotas by method."""
    parts = parts_of(surface)
    read = partial(_account, parts, caller)
    data = await surface.operations.run(read, caller)
    return Json(base(request, org_name=parts.title(caller), data=data))


def _account(parts: AccountParts, caller: Caller) -> dict[str, Any]:
    book, now = parts.in_force.book, datetime.now(UTC)
    used = parts.downloads.used(caller.account)
    return {
        "id": caller.account,
        "title": parts.title(caller),
        "products": sorted(caller.products),
        "plans": [
            _plan(book, plan, used.get(plan.id, 0), now) for plan in book.plans_of(caller.account)
        ],
        "quotas": _quotas(parts.quotas.of(caller.account)),
    }


def _plan(book: AccountBook, plan: Plan, used: int, now: datetime) -> dict[str, Any]:
    sold = [entitlement_tree(book.entitlements[number]) for number in plan.entitlements]
    return {
        **plan_tree(plan),
        "entitlements": sold,
        "used": used,
        "next_interval": time_text(next_interval(plan.interval, now)),
    }


def _quotas(quotas: Any) -> dict[str, dict[str, int]]:
    found: dict[Method, Quota] = dict(quotas)
    return {str(name): {"minute": q.minute, "day": q.day} for name, q in found.items()}


@router.get(
    "/v1/account/downloads",
    summary="What the key's account has downloaded",
    response_model=None,
    responses=contract.answers(contract.BaseAnswer, 400, 401, 404, 503),
)
async def downloads(
    request: Request,
    surface: SurfaceDep,
    caller: CallerDep,
    parameters: Annotated[DownloadParameters, Query()],
) -> Response:
    """Orders of the last 365 days, the newest first, at most 60 days at once."""
    parts = parts_of(surface)
    title = parts.title(caller)
    read = partial(
        parts.downloads.history,
        caller.account,
        parameters.min_date,
        parameters.max_date,
        parameters.order,
    )
    rows = [download_row(one, title) for one in await surface.operations.run(read, caller)]
    if parameters.format == "csv":
        return Response(csv_text(DOWNLOAD_COLUMNS, rows), media_type=CSV)
    return Json(base(request, org_name=title, data={"total_items": len(rows), "downloads": rows}))
