"""AP's operations on monitors, on the sessions that they watch, and on alerts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from api.access.bodies import parse_object, read_body
from api.access.callers import CallerDep, Surface, SurfaceDep
from api.access.checks import no_parameters
from api.customers.monitor_json import alert_json, monitor_json, session_json
from api.media.account_routes import title_of
from api.media.answers import answer
from api.media.contract import RESPONSES, served
from api.media.links import PREFIX, addresses_of
from api.media.parameters import Truth
from core.callers import Caller
from core.errors import NotFoundError
from customers.monitoring import Monitoring, Session

router = APIRouter(prefix=PREFIX, tags=["AP Media API: monitors"])
PATH = "/account/monitors"
_MOST_BYTES = 64 * 1024
_PLAIN = [Depends(no_parameters)]
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {"type": "object", "required": ["monitor"]}}},
    }
}


class DetailAsked(BaseModel):
    """What operations on one session take."""

    model_config = ConfigDict(extra="forbid")

    show_detail: Truth = Field(default=False, description="true: also monitors and latest alerts.")


class AgentAsked(BaseModel):
    """What enabling and disabling take."""

    model_config = ConfigDict(extra="forbid")

    agentid: str = Field(default="", max_length=200, description="Only of this agent.")


class SessionsAsked(DetailAsked, AgentAsked):
    """What lists of sessions and of alerts take."""


PARAMETERS: dict[str, type[BaseModel]] = {
    f"{PREFIX}{PATH}/alerts": SessionsAsked,
    f"{PREFIX}{PATH}/sessions": SessionsAsked,
    f"{PREFIX}{PATH}/sessions/{{session_id}}": DetailAsked,
    f"{PREFIX}{PATH}/sessions/{{session_id}}/enable": AgentAsked,
    f"{PREFIX}{PATH}/sessions/{{session_id}}/disable": AgentAsked,
}


def monitoring_of(surface: Surface) -> Monitoring:
    """Return the monitors of the service. Raises NotFoundError if the service has none."""
    if surface.services.monitoring is None:
        raise NotFoundError("This service has no monitors.", mend="Watch next_page yourself.")
    return surface.services.monitoring


async def _told(
    request: Request, surface: Surface, caller: Caller, read: Callable[[], dict[str, Any]]
) -> Response:
    """Return the answer with what `read` returns; it may ask the database."""
    data = await surface.accounts.run(read, caller)
    return answer(request, title_of(surface.services, caller), data)


def _sessions_root(request: Request) -> str:
    """Return the address that those of single sessions begin with."""
    return f"{addresses_of(request).base}{PATH}/sessions"


def _sessions_json(
    found: Sequence[Session], monitoring: Monitoring, caller: Caller, root: str, asked: DetailAsked
) -> list[dict[str, Any]]:
    """Return watched sessions; with `show_detail` also their monitors and latest alerts."""
    told = [session_json(one, root, detail=asked.show_detail) for one in found]
    if asked.show_detail:
        latest = {one.session: one for one in reversed(monitoring.alerts(caller))}
        for one in told:
            if alert := latest.get(one["session_id"]):
                one["latest_alert"] = alert_json(alert)
    return told


async def _sent(request: Request, surface: Surface) -> Mapping[str, Any]:
    seconds = surface.services.settings.body_timeout_seconds
    return parse_object(await read_body(request, _MOST_BYTES, seconds))


@router.post(
    f"{PATH}/create",
    summary="AP: create a monitor",
    response_model=None,
    responses=RESPONSES,
    openapi_extra=_BODY,
    dependencies=_PLAIN,
)
async def create(request: Request, surface: SurfaceDep, caller: CallerDep) -> Response:
    """A monitor watches the sessions of feeds that name it in `with_monitor`, and mails."""
    monitoring, body = monitoring_of(surface), await _sent(request, surface)
    make = partial(monitoring.create, caller, body)
    return await _told(request, surface, caller, lambda: {"monitor": monitor_json(make())})


@router.post(
    f"{PATH}/{{monitorId}}/update",
    summary="AP: update a monitor",
    response_model=None,
    responses=RESPONSES,
    openapi_extra=_BODY,
    dependencies=_PLAIN,
)
async def update(
    request: Request,
    surface: SurfaceDep,
    caller: CallerDep,
    monitorId: str,  # noqa: N803 - the contract's name
) -> Response:
    """The monitor of this name or id becomes what the body says."""
    monitoring, body = monitoring_of(surface), await _sent(request, surface)
    change = partial(monitoring.update, caller, monitorId, body)
    return await _told(request, surface, caller, lambda: {"monitor": monitor_json(change())})


@router.delete(
    f"{PATH}/{{monitorId}}/delete",
    summary="AP: delete a monitor",
    response_model=None,
    responses=RESPONSES,
    dependencies=_PLAIN,
)
async def delete(
    request: Request,
    surface: SurfaceDep,
    caller: CallerDep,
    monitorId: str,  # noqa: N803 - the contract's name
) -> Response:
    """Its sessions are no longer watched."""
    remove = partial(monitoring_of(surface).remove, caller, monitorId)
    return await _told(request, surface, caller, lambda: {"monitor": monitor_json(remove())})


@served(router, PATH, "AP: the monitors", dependencies=_PLAIN)
async def monitors(request: Request, surface: SurfaceDep, caller: CallerDep) -> Response:
    """All monitors of the account."""
    monitoring = monitoring_of(surface)

    def read() -> dict[str, Any]:
        return {"monitors": [monitor_json(one) for one in monitoring.all(caller)]}

    return await _told(request, surface, caller, read)


@served(router, f"{PATH}/alerts", "AP: recent alerts")
async def alerts(
    request: Request,
    surface: SurfaceDep,
    caller: CallerDep,
    asked: Annotated[SessionsAsked, Query()],
) -> Response:
    """Notices of the account, the newest first."""
    monitoring = monitoring_of(surface)

    def read() -> dict[str, Any]:
        own = monitoring.all(caller) if asked.show_detail else ()
        details = {one.name: {"monitor_detail": monitor_json(one)} for one in own}
        found = monitoring.alerts(caller, asked.agentid)
        return {"alerts": [alert_json(one) | details.get(one.monitor, {}) for one in found]}

    return await _told(request, surface, caller, read)


@served(router, f"{PATH}/sessions", "AP: the sessions that monitors watch")
async def sessions(
    request: Request,
    surface: SurfaceDep,
    caller: CallerDep,
    asked: Annotated[SessionsAsked, Query()],
) -> Response:
    """The watched sessions of the account's feeds."""
    monitoring, root = monitoring_of(surface), _sessions_root(request)

    def read() -> dict[str, Any]:
        found = monitoring.sessions(caller, asked.agentid)
        return {"sessions": _sessions_json(found, monitoring, caller, root, asked)}

    return await _told(request, surface, caller, read)


@served(router, f"{PATH}/sessions/{{session_id}}", "AP: a session that a monitor watches")
async def session(
    request: Request,
    surface: SurfaceDep,
    caller: CallerDep,
    session_id: str,
    asked: Annotated[DetailAsked, Query()],
) -> Response:
    """One watched session."""
    monitoring, root = monitoring_of(surface), _sessions_root(request)

    def read() -> dict[str, Any]:
        found = (monitoring.session(caller, session_id),)
        (told,) = _sessions_json(found, monitoring, caller, root, asked)
        return {"session": told}

    return await _told(request, surface, caller, read)


def _switch(name: str, *, enabled: bool) -> None:
    """Declare the route that enables, or disables, watching a session."""

    @router.get(
        f"{PATH}/sessions/{{session_id}}/{name}",
        summary=f"AP: {name} watching a session",
        response_model=None,
        responses=RESPONSES,
    )
    async def switched(
        request: Request,
        surface: SurfaceDep,
        caller: CallerDep,
        session_id: str,
        asked: Annotated[AgentAsked, Query()],
    ) -> Response:
        monitoring, root = monitoring_of(surface), _sessions_root(request)

        def change() -> dict[str, Any]:
            if asked.agentid and monitoring.session(caller, session_id).watched.agent != (
                asked.agentid
            ):
                raise NotFoundError(
                    "This agent has no such session.", mend="The list of sessions has their agents."
                )
            changed = monitoring.enable(caller, session_id, enabled=enabled)
            return {"session": session_json(changed, root)}

        return await _told(request, surface, caller, change)


_switch("enable", enabled=True)
_switch("disable", enabled=False)


@served(router, f"{PATH}/{{monitorId}}", "AP: one monitor", dependencies=_PLAIN)
async def monitor(
    request: Request,
    surface: SurfaceDep,
    caller: CallerDep,
    monitorId: str,  # noqa: N803 - the contract's name
) -> Response:
    """The monitor of this name or id."""
    one = partial(monitoring_of(surface).one, caller, monitorId)
    return await _told(request, surface, caller, lambda: {"monitor": monitor_json(one())})
