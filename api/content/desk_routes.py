"""Routes of the desk: the state of an item and who received it, corrections, and the desk's log.

A correction needs a key that may write, as every change of an item does. What is told of an item
whatever its state needs one that may inspect, too. An item that the key may not change is unknown
to it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, ConfigDict, Field, model_validator

from api import contract
from api.access.callers import Surface, SurfaceDep, UncountedWriterDep
from api.access.checks import no_parameters, read_model
from api.access.lanes import covered
from api.content.status_change import Reason
from api.content.writes import refusal, result_json, single_status
from api.envelope import Json, base, problem_response, rfc3339
from core.audit import Chained
from core.callers import Caller
from core.errors import AccessError, NotFoundError
from core.standing import Hiding, VersionState
from core.writes import Outcome, Written
from customers.newsdesk import DeskView, NewsDesk, Recipient
from indexing.fields import identifier

router = APIRouter(tags=["desk"])


async def desk_of(caller: UncountedWriterDep) -> Caller:
    """Return a caller who may write and inspect. Raises AccessError (403)."""
    if not caller.may_inspect:
        raise AccessError(
            "This key may not see who received an item.",
            mend="Ask the operator for a key with inspect = true.",
        )
    return caller


DeskDep = Annotated[Caller, Depends(desk_of)]
LOG_PATH = "/v1/desk/log"
_MARK = " reason="  # comes last in the detail of an entry
_FORMS = ("json", "ninjs", "nitf", "newsmlg2", "plain")
_MEDIA_FORMS = ("original", "preview", "thumbnail")


class LogParameters(BaseModel):
    """What `GET /v1/desk/log` takes."""

    model_config = ConfigDict(extra="forbid")

    limit: int = Field(default=50, ge=1, le=200, description="How many entries.")


class Correction(BaseModel):
    """New texts of an item, and why. What is not named stays as it is."""

    model_config = ConfigDict(extra="forbid")

    version: int = Field(ge=0, description="The version that you saw; it must be the newest.")
    headline: str | None = Field(default=None, description="The headline.")
    description: str | None = Field(default=None, description="The caption or summary.")
    body: str | None = Field(
        default=None, description="The text, plain; a blank line ends a paragraph."
    )
    ednote: str | None = Field(default=None, description="The note to editors.")
    reason: Reason = Field(min_length=1, description="Why, for the audit log.")

    @model_validator(mode="after")
    def _says_something(self) -> Correction:
        if not self.texts():
            raise ValueError("needs headline, description, body or ednote")
        return self

    def texts(self) -> dict[str, str]:
        """Return the texts that change."""
        names = ("headline", "description", "body", "ednote")
        told = {name: getattr(self, name) for name in names}
        return {name: text for name, text in told.items() if text is not None}


@router.get(
    "/content/{item_id:path}/status",
    summary="What the desk sees of an item: its state, who received it, what was done to it",
    response_model=None,
    responses=contract.answers(contract.DeskAnswer, 400, 401, 403, 404, 503),
    dependencies=[Depends(no_parameters)],
)
async def read_status(request: Request, item_id: str, surface: SurfaceDep, caller: DeskDep) -> Json:
    """For a key that may change the item and inspect, whatever the item's state. `recipients` are
    the accounts that received it: a kill and its undo go to all of them. `hidden` is what a kill
    hides; `otherwise` is the item that the story shows then.
    """
    desk = newsdesk_of(surface)
    view = await surface.accounts.run(
        partial(desk.look, identifier(item_id, "uri"), caller), caller
    )
    return Json(base(request, org_name=caller.name, data=desk_json(view)))


@router.post(
    "/content/{item_id:path}/correction",
    summary="Correct the texts of an item",
    **contract.reading(
        Correction, contract.WriteAnswer, 400, 401, 403, 404, 408, 409, 413, 415, 503, 507
    ),
    dependencies=[Depends(no_parameters)],
)
async def correct(
    request: Request, item_id: str, surface: SurfaceDep, caller: UncountedWriterDep
) -> Json:
    """Records the next version of the item with these texts. Everything else of it stays, and so
    does its state. It is in the audit log with the reason, and customers are told as of any new
    version. 409 if `version` is not the newest.
    """
    settings = surface.services.settings
    desk = newsdesk_of(surface)
    asked = await read_model(
        request, Correction, settings.max_body_bytes, settings.body_timeout_seconds
    )
    put = partial(_correct, surface, desk, identifier(item_id, "uri"), asked, caller)
    result = result_json(1, await surface.writes.run(put, caller))
    if problem := refusal(result):
        return problem_response(request, problem)
    data: dict[str, Any] = {"written": 1, "refused": 0, "items": [result]}
    if behind := await covered(surface, caller, surface.writes):
        data["degraded"] = [behind]
    return Json(base(request, org_name=caller.name, data=data), status_code=single_status(result))


@router.get(
    LOG_PATH,
    summary="What was killed, withheld, embargoed, released and corrected lately",
    response_model=None,
    responses=contract.answers(contract.DeskLogAnswer, 400, 401, 403, 404, 503),
)
async def read_log(
    request: Request,
    surface: SurfaceDep,
    caller: DeskDep,
    parameters: Annotated[LogParameters, Query()],
) -> Json:
    """The newest entries of the audit log about items that the key may change, the newest first."""
    desk = newsdesk_of(surface)
    found = await surface.accounts.run(partial(desk.log, caller, parameters.limit), caller)
    return Json(base(request, org_name=caller.name, data={"entries": [*map(entry_json, found)]}))


def newsdesk_of(surface: Surface) -> NewsDesk:
    """Return the desk. Raises NotFoundError where the service has none."""
    if surface.services.newsdesk is None:
        raise NotFoundError("This service has no desk.", mend="Ask a service with an archive.")
    return surface.services.newsdesk


def _correct(
    surface: Surface, desk: NewsDesk, uri: str, asked: Correction, caller: Caller
) -> Written:
    item = desk.recorded(uri, caller)
    if item.version != asked.version:
        return Written(uri, item.version, Outcome.STALE)
    return surface.services.ingest.correct(item, asked.texts(), caller, asked.reason)


# --- as JSON


def desk_json(view: DeskView) -> dict[str, Any]:
    """Return what the desk sees of an item."""
    item, standing = view.item, view.standing
    own = [one for one in view.story.versions if one.uri == item.uri]
    return {
        "uri": item.uri,
        "version": item.version,
        "state": _state(standing.hiding),
        **({"until": rfc3339(standing.moment)} if standing.moment is not None else {}),
        "recipients": [*map(_recipient_json, view.recipients)],
        "hidden": {
            "versions": [_version_json(one) for one in own],
            "forms": [*_FORMS, *(_MEDIA_FORMS if item.media else ())],
        },
        "story": [_version_json(one) for one in view.story.versions if one.uri != item.uri],
        "head": view.story.head,
        "otherwise": view.story.otherwise,
        "log": [entry_json(one) for one in view.log],
    }


def _state(hiding: Hiding) -> str:
    return hiding.value or "usable"


def _version_json(one: VersionState) -> dict[str, Any]:
    times: Mapping[str, Any] = {"embargoed": one.embargoed, "expires": one.expires}
    return {
        "uri": one.uri,
        "version": one.version,
        "versioncreated": rfc3339(one.versioncreated),
        "pubstatus": one.pubstatus.value,
        "shown": one.shown,
        **{name: rfc3339(moment) for name, moment in times.items() if moment is not None},
    }


def _recipient_json(one: Recipient) -> dict[str, Any]:
    return {
        "account": one.account,
        "title": one.title,
        "channels": [*one.channels],
        "version": one.version,
        "at": rfc3339(one.at),
        "sessions": one.sessions,
        "webhooks": one.webhooks,
    }


def entry_json(one: Chained) -> dict[str, Any]:
    """Return an entry of the log, with its reason apart."""
    detail, _, reason = one.entry.detail.partition(_MARK)
    facts: Sequence[str] = detail.split()
    known = dict(fact.partition("=")[::2] for fact in facts)
    version = known.get("version", "")
    return {
        "n": one.n,
        "at": rfc3339(one.entry.at),
        "who": one.entry.who,
        "key": one.entry.key,
        "action": one.entry.action,
        "uri": one.entry.item,
        "version": int(version) if version.isdecimal() else 0,
        "outcome": known.get("outcome", ""),
        "reason": reason,
    }
