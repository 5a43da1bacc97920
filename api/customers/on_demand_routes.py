"""Routes of items on demand: what editors send to an account, and what its consumers read."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from api import contract
from api.access.callers import CallerDep, LinksDep, Surface, SurfaceDep
from api.access.checks import no_parameters, read_model
from api.access.receipts import receiving
from api.envelope import Json, base
from api.formats.items import ItemView, items_json
from api.search.search_json import cut_json, products_json
from core.errors import AccessError, NotFoundError
from customers.on_demand import CHANNEL, DEFAULT_QUEUE, MOST_SENT, OnDemand

router = APIRouter(tags=["on demand"])
PATH = "/content/ondemand"
SEND = "/v1/ondemand"
_MOST_BYTES = 2**20


class OnDemandParameters(BaseModel):
    """What `GET /content/ondemand` takes."""

    model_config = ConfigDict(extra="forbid")

    consumer_id: str = Field(
        default="",
        max_length=64,
        description="Who reads: each consumer gets every item. Your key if not named.",
    )
    queue: str = Field(default=DEFAULT_QUEUE, max_length=64, description="The queue.")
    position: int | None = Field(
        default=None, ge=0, le=2**62, description="Go on after this place; confirms all up to it."
    )
    page_size: int = Field(default=20, ge=1, le=100, description="How many items, 1 to 100.")


class SentItems(BaseModel):
    """Items for an account."""

    model_config = ConfigDict(extra="forbid")

    account: str = Field(max_length=200, description="The account that gets them.")
    queue: str = Field(default=DEFAULT_QUEUE, description="The queue.")
    items: list[str] = Field(
        min_length=1, max_length=MOST_SENT, description="The items' uris, in order."
    )


class SentAnswer(contract.BaseAnswer):
    """How many items were sent."""

    data: dict[str, int]


class OnDemandAnswer(contract.BaseAnswer):
    """Items of a queue. Ask with `position` to confirm them and to get what comes after them."""

    data: dict[str, Any]


def on_demand_of(surface: Surface) -> OnDemand:
    """Return the queues. Raises NotFoundError if the service has none."""
    if surface.services.on_demand is None:
        raise NotFoundError("This service has no items on demand.", mend="Search for them.")
    return surface.services.on_demand


@router.get(
    PATH,
    summary="Items that editors sent to your account",
    response_model=None,
    responses=contract.answers(OnDemandAnswer, 400, 401, 404, 503),
)
async def read_queue(
    request: Request,
    surface: SurfaceDep,
    caller: CallerDep,
    links: LinksDep,
    parameters: Annotated[OnDemandParameters, Query()],
) -> Json:
    """In the order in which they were sent, for seven days. The same items come again until you ask
    with `position`, as `next_page` does. What this key may no longer see is passed over.
    """
    queues = on_demand_of(surface)
    asked = parameters

    def read() -> dict[str, Any]:
        page = queues.page(caller, asked.consumer_id, asked.queue, asked.position, asked.page_size)
        receive = receiving(surface.services, caller, CHANNEL, synced=True)
        view = ItemView(caller, links=links, receive=receive)
        told = items_json(page.items, view, surface.services.library)
        items = [
            {
                "meta": {"products": products_json(item.products, caller)} | cut_json(cut),
                "item": members,
            }
            for item, (members, cut) in zip(page.items, told, strict=True)
        ]
        return {"items": items, "position": page.position, "more": page.more}

    data = await surface.reads.run(read, caller)
    kept = [(n, v) for n, v in request.query_params.multi_items() if n != "position"]
    following = urlencode([*kept, ("position", str(data["position"]))])
    data["next_page"] = f"{request.url.path}?{following}"
    return Json(base(request, org_name=caller.name, data=data))


@router.post(
    SEND,
    summary="Send items to an account",
    response_model=None,
    responses=contract.answers(SentAnswer, 400, 401, 403, 404, 408, 413, 415, 503),
    openapi_extra=contract.body_of(SentItems),
    dependencies=[Depends(no_parameters)],
)
async def send_items(request: Request, surface: SurfaceDep, caller: CallerDep) -> Json:
    """For keys that may write. The account sees those of the items that its plans include."""
    if not caller.may_write:
        raise AccessError(
            "This key may not send items.", mend="Ask the operator for a key that may write."
        )
    seconds = surface.services.settings.body_timeout_seconds
    body = await read_model(request, SentItems, _MOST_BYTES, seconds)
    send = partial(on_demand_of(surface).send, body.account, body.items, body.queue)
    count = await surface.writes.run(send, caller)
    return Json(base(request, org_name=caller.name, data={"sent": count}))
