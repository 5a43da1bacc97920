"""Routes of an account's baskets: items that it keeps together, and may show to others."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict, Field

from api import contract
from api.access.callers import CallerDep, LinksDep, Surface, SurfaceDep
from api.access.checks import no_parameters, read_model
from api.access.receipts import receiving
from api.envelope import Json, base, rfc3339
from api.formats.items import ItemView, items_json
from api.search.search_json import cut_json, products_json
from core.callers import Caller
from core.customers.baskets import Basket
from core.errors import NotFoundError
from customers.baskets import CHANNEL, LONGEST_NAME, MOST_ITEMS, Baskets, Held

router = APIRouter(tags=["baskets"], dependencies=[Depends(no_parameters)])
PATH = "/v1/baskets"
_ONE = f"{PATH}/{{basket_id}}"
_ITEM = f"{_ONE}/items/{{item_id:path}}"
_MOST_BYTES = 16 * 1024


class BasketBody(BaseModel):
    """A new basket."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(description=f"What the account calls it, at most {LONGEST_NAME} characters.")


class BasketChange(BaseModel):
    """Another name, or whether others may read it."""

    model_config = ConfigDict(extra="forbid")

    name: str | None = Field(default=None, description="What the account calls it.")
    shared: bool | None = Field(
        default=None, description="true: every key that knows its id may read it."
    )


class BasketTold(BaseModel):
    """A basket. `own` says that it is your account's; `count` has entries in any state."""

    id: str
    name: str
    shared: bool
    own: bool
    count: int | None = None
    created: str
    changed: str


class BasketAnswer(contract.BaseAnswer):
    """One basket."""

    data: BasketTold


class BasketList(BaseModel):
    """Baskets, the last changed first."""

    items: list[BasketTold]


class BasketListAnswer(contract.BaseAnswer):
    """The baskets of an account."""

    data: BasketList


class BasketItems(BasketTold):
    """A basket with what is in it, the last one put in first: items, and tombstones of what was
    taken away (`uri`, `version`, and `pubstatus` that is not usable).
    """

    items: list[dict[str, Any]]


class BasketItemsAnswer(contract.BaseAnswer):
    """One basket with what this key may see in it."""

    data: BasketItems


def baskets_of(surface: Surface) -> Baskets:
    """Return the baskets. Raises NotFoundError if the service has none."""
    if surface.services.baskets is None:
        raise NotFoundError("This service keeps no baskets.", mend="Keep the items' uris.")
    return surface.services.baskets


@router.get(
    PATH,
    summary="The baskets of your account",
    response_model=None,
    responses=contract.answers(BasketListAnswer, 400, 401, 404, 503),
)
async def list_baskets(request: Request, surface: SurfaceDep, caller: CallerDep) -> Json:
    """All keys of an account have the same baskets."""
    found = await surface.reads.run(partial(baskets_of(surface).all, caller), caller)
    data = {"items": [basket_json(basket, caller) for basket in found]}
    return Json(base(request, org_name=caller.name, data=data))


@router.post(
    PATH,
    summary="Begin a basket",
    response_model=None,
    status_code=201,
    responses=contract.answers(None, 400, 401, 404, 408, 409, 413, 415, 503)
    | {201: {"model": BasketAnswer, "description": "The new basket"}},
    openapi_extra=contract.body_of(BasketBody),
)
async def create_basket(request: Request, surface: SurfaceDep, caller: CallerDep) -> Json:
    """It is empty, and only your account reads it."""
    seconds = surface.services.settings.body_timeout_seconds
    body = await read_model(request, BasketBody, _MOST_BYTES, seconds)
    made = await surface.reads.run(partial(baskets_of(surface).create, caller, body.name), caller)
    envelope = base(request, org_name=caller.name, data=basket_json(made, caller))
    return Json(envelope, status_code=201)


@router.get(
    _ONE,
    summary="A basket and what is in it",
    response_model=None,
    responses=contract.answers(BasketItemsAnswer, 400, 401, 404, 503),
)
async def show_basket(
    request: Request, basket_id: str, surface: SurfaceDep, caller: CallerDep, links: LinksDep
) -> Json:
    """A basket of your account, or a shared one. Each reader is shown what its own key may see at
    this moment. What was taken away is a tombstone for an account that received it, and is left
    out for others.
    """
    baskets = baskets_of(surface)

    def read() -> dict[str, Any]:
        basket = baskets.one(caller, basket_id)
        receive = receiving(surface.services, caller, CHANNEL, synced=True)
        view = ItemView(caller, links=links, receive=receive)
        items = _items(baskets.held(caller, basket_id), view, surface)
        return {**basket_json(basket, caller), "items": items}

    data = await surface.reads.run(read, caller)
    return Json(base(request, org_name=caller.name, data=data))


def _items(held: Sequence[Held], view: ItemView, surface: Surface) -> list[dict[str, Any]]:
    """Return an entry of the answer for each of `held`, in order."""
    items = [one.item for one in held if one.item is not None]
    told = iter(zip(items, items_json(items, view, surface.services.library), strict=True))
    found: list[dict[str, Any]] = []
    for one in held:
        meta: dict[str, Any] = {"added": rfc3339(one.entry.added)}
        if one.item is None:
            members: dict[str, Any] = {
                "uri": one.entry.uri,
                "version": one.entry.version,
                "pubstatus": one.pubstatus,
            }
        else:
            item, (members, cut) = next(told)
            meta |= {"products": products_json(item.products, view.caller)} | cut_json(cut)
        found.append({"meta": meta, "item": members})
    return found


@router.patch(
    _ONE,
    summary="Rename or share a basket",
    response_model=None,
    responses=contract.answers(BasketAnswer, 400, 401, 404, 408, 413, 415, 503),
    openapi_extra=contract.body_of(BasketChange),
)
async def change_basket(
    request: Request, basket_id: str, surface: SurfaceDep, caller: CallerDep
) -> Json:
    """A shared basket is read by every key that knows its id; only your account changes it."""
    seconds = surface.services.settings.body_timeout_seconds
    body = await read_model(request, BasketChange, _MOST_BYTES, seconds)
    change = partial(baskets_of(surface).change, caller, basket_id, body.name, body.shared)
    changed = await surface.reads.run(change, caller)
    return Json(base(request, org_name=caller.name, data=basket_json(changed, caller)))


@router.delete(
    _ONE,
    summary="Delete a basket",
    response_model=None,
    responses=contract.answers(contract.BaseAnswer, 400, 401, 404, 503),
)
async def remove_basket(
    request: Request, basket_id: str, surface: SurfaceDep, caller: CallerDep
) -> Json:
    """What was in it stays in the archive."""
    await surface.reads.run(partial(baskets_of(surface).remove, caller, basket_id), caller)
    return Json(base(request, org_name=caller.name))


@router.put(
    _ITEM,
    summary=f"Put an item into a basket, of {MOST_ITEMS} at most",
    response_model=None,
    responses=contract.answers(contract.BaseAnswer, 400, 401, 404, 409, 503),
)
async def put_in(
    request: Request, basket_id: str, item_id: str, surface: SurfaceDep, caller: CallerDep
) -> Json:
    """An item that this key may see."""
    put = partial(baskets_of(surface).put_in, caller, basket_id, item_id)
    await surface.reads.run(put, caller)
    return Json(base(request, org_name=caller.name))


@router.delete(
    _ITEM,
    summary="Take an item out of a basket",
    response_model=None,
    responses=contract.answers(contract.BaseAnswer, 400, 401, 404, 503),
)
async def take_out(
    request: Request, basket_id: str, item_id: str, surface: SurfaceDep, caller: CallerDep
) -> Json:
    """What is not in it is no error."""
    take = partial(baskets_of(surface).take_out, caller, basket_id, item_id)
    await surface.reads.run(take, caller)
    return Json(base(request, org_name=caller.name))


def basket_json(basket: Basket, caller: Caller) -> dict[str, Any]:
    """Return a basket as the routes tell it. Its number of entries is its account's to know."""
    own = basket.account == caller.account
    return {
        "id": basket.id,
        "name": basket.name,
        "shared": basket.shared,
        "own": own,
        "count": basket.count if own else None,
        "created": rfc3339(basket.created),
        "changed": rfc3339(basket.changed),
    }
