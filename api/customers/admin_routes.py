"""`/v1/admin`: what an administrator does with accounts. Keys of the settings that may `administer`
have these routes; the command line has the same (`dateline accounts`).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal, TypeVar

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from api import contract
from api.access.callers import Surface, SurfaceDep, known_caller_of
from api.access.checks import Model, no_parameters, read_model
from api.customers.account_routes import CSV, parts_of
from api.envelope import Json, base
from core.audit import AuditFilter
from core.callers import Caller
from core.customers.accounts import Entitlement, Interval, Method, PlanStyle, Quota
from core.errors import AccessError
from customers.accounts import rules as rules
from customers.accounts.trees import account_tree, entitlement_tree, key_tree, plan_tree
from customers.accounts.usage import USAGE_COLUMNS, csv_text

router = APIRouter(prefix="/v1/admin", tags=["administration"])
Made = TypeVar("Made")
_MOST_BODY = 64 * 1024
_ACCOUNT = "/accounts/{account}"
_plain = [Depends(no_parameters)]


async def administrator_of(caller: Annotated[Caller, Depends(known_caller_of)]) -> Caller:
    """Return a caller who may administer, whatever its share. Raises AccessError (403)."""
    if not caller.may_administer:
        raise AccessError(
            "This key may not administer accounts.",
            mend="Use a key of the settings with administer = true.",
        )
    return caller


AdministratorDep = Annotated[Caller, Depends(administrator_of)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class NewAccount(_Body):
    """An account to create."""

    id: str = Field(description="Its short name: lower-case letters, digits, dots and hyphens.")
    title: str = Field(default="", description="Its name as customers read it.")


class NewEntitlement(_Body):
    """An entitlement to keep."""

    name: str
    products: list[str] = Field(min_length=1, max_length=1000)
    tier: str = ""
    ticks: int = Field(default=1, description="What a download takes of a plan's limit.")
    cost: Decimal = Field(default=Decimal(0), max_digits=16, decimal_places=6)
    overage: Decimal | None = Field(default=None, max_digits=16, decimal_places=6)
    currency: str = "USD"
    day_part: str = ""


class NewPlan(_Body):
    """A plan to add; with a limit it counts downloads."""

    name: str
    entitlements: list[int] = Field(min_length=1, max_length=1000)
    limit: int = 0
    interval: Interval = Interval.MONTH


class NewKey(_Body):
    """A key to create."""

    name: str = "key"
    writes: list[str] = Field(default_factory=list, max_length=1000)
    inspect: bool = False
    models: bool = False
    expires: datetime | None = None


class Rotation(_Body):
    """How long the old key stays valid."""

    overlap_seconds: int = Field(default=86_400, ge=0)


class Expiry(_Body):
    """When a key ends."""

    expires: datetime


class NewQuota(_Body):
    """The most requests of a method."""

    minute: int
    day: int


class UsageParameters(_Body):
    """What `GET /v1/admin/usage` takes."""

    first: date | None = Field(default=None, description="The first day, such as 2026-03-01.")
    last: date | None = Field(default=None, description="The last day; today if not given.")
    account: str = Field(default="", description="Only this account.")
    format: Literal["json", "csv"] = "json"


class AuditParameters(_Body):
    """What `GET /v1/admin/audit` takes."""

    account: str = Field(default="", description="Only what this account did.")
    action: str = Field(default="", description="Only this action, such as kill.")
    item: str = Field(default="", description="Only what concerns this uri.")
    limit: int = Field(default=100, ge=1, le=1000, description="Most entries.")


@router.get(
    "/accounts",
    summary="The accounts",
    response_model=None,
    responses=contract.answers(contract.BaseAnswer, 400, 401, 403, 404, 503),
    dependencies=_plain,
)
async def list_accounts(request: Request, surface: SurfaceDep, caller: AdministratorDep) -> Json:
    """Every account with its plans and keys. The keys themselves are not kept."""
    book = parts_of(surface).in_force.book
    trees = [account_tree(book, name) for name in sorted(book.accounts)]
    return _told(request, caller, {"accounts": trees})


@router.post(
    "/accounts",
    summary="Create an account",
    response_model=None,
    responses=contract.answers(None, 400, 401, 403, 404, 409, 408, 413, 415, 503)
    | {201: {"model": contract.BaseAnswer, "description": "Created"}},
    openapi_extra=contract.body_of(NewAccount),
    dependencies=_plain,
)
async def create_account(request: Request, surface: SurfaceDep, caller: AdministratorDep) -> Json:
    """An account reads nothing before it has a plan."""
    body = await _body(request, surface, NewAccount)
    parts = parts_of(surface)
    await _at_desk(surface, caller, lambda: parts.desk(caller).create_account(body.id, body.title))
    return _told(request, caller, account_tree(parts.in_force.book, body.id), 201)


@router.get(
    _ACCOUNT,
    summary="One account",
    response_model=None,
    responses=contract.answers(contract.BaseAnswer, 400, 401, 403, 404, 503),
    dependencies=_plain,
)
async def show_account(
    request: Request, account: str, surface: SurfaceDep, caller: AdministratorDep
) -> Json:
    """An account with its plans, its keys and its quotas."""
    book = parts_of(surface).in_force.book
    rules.account_of(book, account)
    return _told(request, caller, account_tree(book, account))


@router.post(
    f"{_ACCOUNT}/plans",
    summary="Add a plan to an account",
    response_model=None,
    responses=contract.answers(None, 400, 401, 403, 404, 408, 413, 415, 503)
    | {201: {"model": contract.BaseAnswer, "description": "Added"}},
    openapi_extra=contract.body_of(NewPlan),
    dependencies=_plain,
)
async def add_plan(
    request: Request, account: str, surface: SurfaceDep, caller: AdministratorDep
) -> Json:
    """The account reads the products of the plan's entitlements at once."""
    body = await _body(request, surface, NewPlan)
    desk = parts_of(surface).desk(caller)
    style = PlanStyle.DOWNLOADS if body.limit else PlanStyle.DURATION
    plan = await _at_desk(
        surface,
        caller,
        lambda: desk.add_plan(
            account, body.name, body.entitlements, style, body.limit, body.interval
        ),
    )
    return _told(request, caller, plan_tree(plan), 201)


@router.delete(
    f"{_ACCOUNT}/plans/{{plan}}",
    summary="Remove a plan from an account",
    response_model=None,
    responses=contract.answers(contract.BaseAnswer, 400, 401, 403, 404, 503),
    dependencies=_plain,
)
async def remove_plan(
    request: Request, account: str, plan: int, surface: SurfaceDep, caller: AdministratorDep
) -> Json:
    """The account reads its products no more."""
    parts = parts_of(surface)
    await _at_desk(surface, caller, lambda: parts.desk(caller).remove_plan(account, plan))
    left = sorted(parts.in_force.book.products_of(account))
    return _told(request, caller, {"removed": plan, "products": left})


@router.put(
    f"{_ACCOUNT}/quotas/{{method}}",
    summary="Give an account a quota of its own",
    response_model=None,
    responses=contract.answers(contract.BaseAnswer, 400, 401, 403, 404, 408, 413, 415, 503),
    openapi_extra=contract.body_of(NewQuota),
    dependencies=_plain,
)
async def set_quota(
    request: Request, account: str, method: Method, surface: SurfaceDep, caller: AdministratorDep
) -> Json:
    """The most requests of one method."""
    body = await _body(request, surface, NewQuota)
    parts, quota = parts_of(surface), Quota(body.minute, body.day)
    await _at_desk(surface, caller, lambda: parts.desk(caller).set_quota(account, method, quota))
    return _told(request, caller, account_tree(parts.in_force.book, account))


@router.delete(
    f"{_ACCOUNT}/quotas/{{method}}",
    summary="Give an account the service's quota again",
    response_model=None,
    responses=contract.answers(contract.BaseAnswer, 400, 401, 403, 404, 503),
    dependencies=_plain,
)
async def clear_quota(
    request: Request, account: str, method: Method, surface: SurfaceDep, caller: AdministratorDep
) -> Json:
    """The setting `account_quotas` counts again."""
    parts = parts_of(surface)
    await _at_desk(surface, caller, lambda: parts.desk(caller).set_quota(account, method, None))
    return _told(request, caller, account_tree(parts.in_force.book, account))


@router.post(
    f"{_ACCOUNT}/keys",
    summary="Create a key",
    response_model=None,
    responses=contract.answers(None, 400, 401, 403, 404, 408, 413, 415, 503)
    | {201: {"model": contract.BaseAnswer, "description": "Created"}},
    openapi_extra=contract.body_of(NewKey),
    dependencies=_plain,
)
async def create_key(
    request: Request, account: str, surface: SurfaceDep, caller: AdministratorDep
) -> Json:
    """The answer has the key, which is kept nowhere and can't be shown again."""
    body = await _body(request, surface, NewKey)
    desk = parts_of(surface).desk(caller)
    kept, key = await _at_desk(
        surface,
        caller,
        lambda: desk.create_key(
            account,
            body.name,
            body.writes,
            may_inspect=body.inspect,
            may_use_models=body.models,
            expires=_aware(body.expires) if body.expires else None,
        ),
    )
    return _told(request, caller, {**key_tree(kept), "key": key}, 201)


@router.post(
    "/keys/{key}/rotate",
    summary="Create a key in place of another one",
    response_model=None,
    responses=contract.answers(None, 400, 401, 403, 404, 409, 408, 413, 415, 503)
    | {201: {"model": contract.BaseAnswer, "description": "Created"}},
    openapi_extra=contract.body_of(Rotation),
    dependencies=_plain,
)
async def rotate_key(
    request: Request, key: str, surface: SurfaceDep, caller: AdministratorDep
) -> Json:
    """A key with the same name and rights. The old one stays valid for the overlap."""
    body = await _body(request, surface, Rotation)
    desk = parts_of(surface).desk(caller)
    seconds = min(body.overlap_seconds, 10**9)  # what is too long is refused by the rule
    overlap = timedelta(seconds=seconds)
    kept, fresh = await _at_desk(surface, caller, lambda: desk.rotate_key(key, overlap))
    return _told(request, caller, {**key_tree(kept), "key": fresh}, 201)


@router.patch(
    "/keys/{key}",
    summary="Let a key end at a moment",
    response_model=None,
    responses=contract.answers(contract.BaseAnswer, 400, 401, 403, 404, 409, 408, 413, 415, 503),
    openapi_extra=contract.body_of(Expiry),
    dependencies=_plain,
)
async def expire_key(
    request: Request, key: str, surface: SurfaceDep, caller: AdministratorDep
) -> Json:
    """A later call may change the moment."""
    body = await _body(request, surface, Expiry)
    desk, at = parts_of(surface).desk(caller), _aware(body.expires)
    kept = await _at_desk(surface, caller, lambda: desk.expire_key(key, at))
    return _told(request, caller, key_tree(kept))


@router.delete(
    "/keys/{key}",
    summary="Revoke a key",
    response_model=None,
    responses=contract.answers(contract.BaseAnswer, 400, 401, 403, 404, 409, 503),
    dependencies=_plain,
)
async def revoke_key(
    request: Request, key: str, surface: SurfaceDep, caller: AdministratorDep
) -> Json:
    """Ends a key for good: here when this is answered, in other processes within a second."""
    desk = parts_of(surface).desk(caller)
    kept = await _at_desk(surface, caller, lambda: desk.revoke_key(key))
    return _told(request, caller, key_tree(kept))


@router.get(
    "/entitlements",
    summary="The entitlements",
    response_model=None,
    responses=contract.answers(contract.BaseAnswer, 400, 401, 403, 404, 503),
    dependencies=_plain,
)
async def list_entitlements(
    request: Request, surface: SurfaceDep, caller: AdministratorDep
) -> Json:
    """Products that are sold together."""
    book = parts_of(surface).in_force.book
    trees = [entitlement_tree(one) for _, one in sorted(book.entitlements.items())]
    return _told(request, caller, {"entitlements": trees})


@router.put(
    "/entitlements/{number}",
    summary="Keep an entitlement",
    response_model=None,
    responses=contract.answers(contract.BaseAnswer, 400, 401, 403, 404, 408, 413, 415, 503),
    openapi_extra=contract.body_of(NewEntitlement),
    dependencies=_plain,
)
async def put_entitlement(
    request: Request, number: int, surface: SurfaceDep, caller: AdministratorDep
) -> Json:
    """In place of one of the same number; plans that have it follow at once."""
    body = await _body(request, surface, NewEntitlement)
    desk = parts_of(surface).desk(caller)
    made = Entitlement(
        number,
        body.name,
        tuple(dict.fromkeys(body.products)),
        body.tier,
        body.ticks,
        body.cost,
        body.overage,
        body.currency,
        body.day_part,
    )
    kept = await _at_desk(surface, caller, lambda: desk.put_entitlement(made))
    return _told(request, caller, entitlement_tree(kept))


@router.delete(
    "/entitlements/{number}",
    summary="Remove an entitlement",
    response_model=None,
    responses=contract.answers(contract.BaseAnswer, 400, 401, 403, 404, 409, 503),
    dependencies=_plain,
)
async def remove_entitlement(
    request: Request, number: int, surface: SurfaceDep, caller: AdministratorDep
) -> Json:
    """One that is in a plan is not removed."""
    desk = parts_of(surface).desk(caller)
    await _at_desk(surface, caller, lambda: desk.remove_entitlement(number))
    return _told(request, caller, {"removed": number})


@router.get(
    "/usage",
    summary="What accounts have used, by day and method",
    response_model=None,
    responses=contract.answers(contract.BaseAnswer, 400, 401, 403, 404, 503),
)
async def usage(
    request: Request,
    surface: SurfaceDep,
    caller: AdministratorDep,
    parameters: Annotated[UsageParameters, Query()],
) -> Response:
    """Requests, items, refusals, downloads and what they cost, of the last 30 days by default. What
    other processes have counted in the last seconds may be missing.
    """
    parts = parts_of(surface)
    last = parameters.last or datetime.now(UTC).date()
    first = parameters.first or max(date.min + timedelta(30), last) - timedelta(days=30)

    def read() -> list[dict[str, Any]]:
        parts.usage.flush()
        return parts.used(first, last, parameters.account)

    rows = await surface.operations.run(read, caller)
    if parameters.format == "csv":
        return Response(csv_text(USAGE_COLUMNS, rows), media_type=CSV)
    return _told(request, caller, {"usage": rows})


@router.get(
    "/audit",
    summary="The audit log",
    response_model=None,
    responses=contract.answers(contract.BaseAnswer, 400, 401, 403, 404, 503),
)
async def audit(
    request: Request,
    surface: SurfaceDep,
    caller: AdministratorDep,
    parameters: Annotated[AuditParameters, Query()],
) -> Json:
    """The newest entries, the newest first, and the head of the chain, to be noted elsewhere."""
    log = parts_of(surface).audit
    chosen = AuditFilter(parameters.account, parameters.action, parameters.item)

    def read() -> dict[str, Any]:
        head = log.head()
        rows = log.newest(chosen, parameters.limit)
        return {"head": str(head), "entries": [row.members() for row in rows]}

    return _told(request, caller, await surface.operations.run(read, caller))


async def _body(request: Request, surface: Surface, model: type[Model]) -> Model:
    seconds = surface.services.settings.body_timeout_seconds
    return await read_model(request, model, _MOST_BODY, seconds)


async def _at_desk(surface: Surface, caller: Caller, change: Callable[[], Made]) -> Made:
    """Return the result of a change, which runs in a thread of its own pool."""
    return await surface.operations.run(change, caller)


def _told(request: Request, caller: Caller, data: dict[str, Any], status: int = 200) -> Json:
    return Json(base(request, org_name=caller.name, data=data), status_code=status)


def _aware(at: datetime) -> datetime:
    """Return a moment in UTC; one without a zone is in UTC."""
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
