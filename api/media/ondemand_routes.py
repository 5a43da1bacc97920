"""AP's operation `/content/ondemand`: what editors sent to an account, for each consumer once."""

from __future__ import annotations

import hashlib
import re
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from api.access.callers import CallerDep, LinksDep, SurfaceDep
from api.access.receipts import receiving
from api.media.account_routes import title_of
from api.media.answers import answer, now
from api.media.content_routes import results
from api.media.contract import served
from api.media.items import asked_view
from api.media.links import PREFIX, addresses_of
from api.media.parameters import PAGE_SIZE, PageSize, Priced
from core.errors import NotFoundError
from customers.on_demand import CHANNEL, DEFAULT_QUEUE, QueuePage

router = APIRouter(prefix=PREFIX, tags=["AP Media API: content"])
PATH = "/content/ondemand"
_NAME = r"^[A-Za-z0-9._-]{1,64}$"


class OnDemandAsked(Priced):
    """What `GET /media/v/content/ondemand` takes."""

    consumer_id: str = Field(
        default="", max_length=512, description="Who reads: each consumer gets every item once."
    )
    queue: str = Field(default=DEFAULT_QUEUE, pattern=_NAME, description="The queue's name.")
    page_size: PageSize = Field(default=PAGE_SIZE, description="Items per page, 1 to 100.")
    seq: int | None = Field(
        default=None, ge=0, le=2**62, description="The place in the queue, as next_page has it."
    )


PARAMETERS: dict[str, type[BaseModel]] = {f"{PREFIX}{PATH}": OnDemandAsked}


@served(router, PATH, "AP: items that were sent to your account")
async def on_demand(
    request: Request,
    surface: SurfaceDep,
    caller: CallerDep,
    links: LinksDep,
    asked: Annotated[OnDemandAsked, Query()],
) -> Response:
    """The next items of a queue. Following `next_page` confirms them; until then they come again. A
    queue keeps items for seven days.
    """
    services, addresses = surface.services, addresses_of(request)
    queues = services.on_demand
    if queues is None:
        raise NotFoundError("This service sends nothing on demand.", mend="Read the feed.")
    receive = receiving(services, caller, CHANNEL)
    view = asked_view(
        caller, asked.include, asked.exclude, links, addresses, receive=receive, whole=True
    )

    def read() -> tuple[QueuePage, list[dict[str, Any]]]:
        consumer = _consumer(asked.consumer_id)
        page = queues.page(caller, consumer, asked.queue, asked.seq, asked.page_size)
        told = results(page.items, [{} for _ in page.items], view, asked, services)
        return page, told

    page, told = await surface.reads.run(read, caller)
    request.state.items = len(told)
    given = [pair for pair in request.query_params.multi_items() if pair[0] != "seq"]
    data = {
        "updated": now(),
        "page_size": asked.page_size,
        "current_item_count": len(told),
        "next_page": addresses.of(PATH, [*given, ("seq", str(page.position))]),
        "items": told,
    }
    return answer(request, title_of(services, caller), data)


def _consumer(name: str) -> str:
    """Return the name by which our queues know a consumer: AP's clients name themselves by any
    text.
    """
    if not name or re.fullmatch(_NAME, name, re.ASCII):
        return name
    return hashlib.sha256(name.encode()).hexdigest()
