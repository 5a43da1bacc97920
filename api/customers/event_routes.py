"""`POST /v1/events`: what a caller did with hits of its own queries, in UBI's words."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import Any

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict, Field

from api import contract
from api.access.callers import CallerDep, SurfaceDep
from api.access.checks import model_of, no_parameters, read_object
from api.envelope import Json, base
from core.customers.use import Action, Event
from core.errors import NotFoundError

router = APIRouter(tags=["events"])
PATH = "/v1/events"
MOST_EVENTS = 100
_MOST_BYTES = 256 * 1024


class EventObject(BaseModel):
    """The hit: UBI's `event_attributes.object`. Other members are not read."""

    object_id: str = Field(max_length=2048, description="The uri of the hit.")


class EventAttributes(BaseModel):
    """UBI's `event_attributes`. The position is the service's own, whatever is sent."""

    object: EventObject


class UbiEvent(BaseModel):
    """An event after the UBI schema. What is not listed here is not read, so it is not kept."""

    action_name: Action = Field(description="click, download or save.")
    query_id: str = Field(max_length=64, description="`data.query_id` of the answer.")
    event_attributes: EventAttributes


class EventsBody(BaseModel):
    """Events, or one of them as the whole body."""

    model_config = ConfigDict(extra="forbid")

    events: list[UbiEvent] = Field(max_length=MOST_EVENTS)


class EventsTold(BaseModel):
    """How many events were kept. The others were of hits that this key was not shown, or of a query
    that is not in the log.
    """

    kept: int
    dropped: int


class EventsAnswer(contract.BaseAnswer):
    """What became of the events."""

    data: EventsTold


@router.post(
    PATH,
    summary="Tell what was clicked",
    response_model=None,
    responses=contract.answers(EventsAnswer, 400, 401, 404, 408, 413, 415, 503),
    openapi_extra=contract.body_of(EventsBody),
    dependencies=[Depends(no_parameters)],
)
async def post_events(request: Request, surface: SurfaceDep, caller: CallerDep) -> Json:
    """Clicks, downloads and saves of hits of a query whose answer had a `query_id`.

    An answer has one only if its account agreed that its searches are kept. The same event twice
    is one event.
    """
    log = surface.services.use
    if log is None:
        raise NotFoundError("This service keeps no events.", mend="Send none: nothing is missing.")
    seconds = surface.services.settings.body_timeout_seconds
    sent: dict[str, Any] = await read_object(request, _MOST_BYTES, seconds)
    body = model_of({"events": [sent]} if "action_name" in sent else sent, EventsBody)
    now = datetime.now(UTC)
    events = [
        Event(one.query_id, one.event_attributes.object.object_id, one.action_name, now)
        for one in body.events
    ]
    kept = await surface.accounts.run(partial(log.note, events, caller), caller)
    data = {"kept": kept, "dropped": len(events) - kept}
    return Json(base(request, org_name=caller.name, data=data))
