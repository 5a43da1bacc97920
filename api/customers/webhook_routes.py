"""Routes of an account's webhooks."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from api import contract
from api.access.callers import CallerDep, Surface, SurfaceDep
from api.access.checks import Model, no_parameters, read_model
from api.envelope import Json, base, rfc3339
from core.callers import Caller
from core.customers.transitions import TransitionKind
from core.customers.webhooks import TEST, Endpoint, EndpointState, Message
from core.errors import ConflictError, NotFoundError
from customers.webhooks.ports import WebhookPorts
from customers.webhooks.signing import new_secret

router = APIRouter(tags=["webhooks"])
MOST = 20  # of an account
OVERLAP_HOURS = 24.0
_PATH = "/v1/webhooks"
_ONE = f"{_PATH}/{{webhook_id}}"
DEAD_PATH = f"{_ONE}/dead"


class WebhookSettings(BaseModel):
    """What an account sets of a webhook."""

    model_config = ConfigDict(extra="forbid")

    url: str = Field(default="", max_length=2000, description="The https address to send to.")
    q: str = Field(
        default="",
        max_length=4096,
        description="Send only items that match this query of words and filters. Empty: everything "
        "that your plans include.",
    )
    topics: list[int] = Field(
        default=[], max_length=100, description="Send only items of these followed topics, by id."
    )
    kinds: list[TransitionKind] = Field(
        default=[],
        description="Send only these kinds of transition; kills are always sent. Empty: all.",
    )
    state: Literal["active", "paused"] = Field(
        default="active", description="paused: messages wait, 72 hours at most."
    )


class SecretChange(BaseModel):
    """How a secret is replaced."""

    model_config = ConfigDict(extra="forbid")

    overlap_hours: float = Field(
        default=OVERLAP_HOURS,
        ge=0,
        le=720,
        description="How long messages are signed by the old secret too.",
    )


class Replay(BaseModel):
    """Which dead letters are sent again."""

    model_config = ConfigDict(extra="forbid")

    numbers: list[int] | None = Field(
        default=None, max_length=1000, description="Their numbers; none for all."
    )


class DeadParameters(BaseModel):
    """What `GET /v1/webhooks/{webhook_id}/dead` takes."""

    model_config = ConfigDict(extra="forbid")

    after: int = Field(default=0, ge=0, le=2**62, description="Only numbers above this one.")
    limit: int = Field(default=100, ge=1, le=1000, description="How many, 1 to 1000.")


class WebhookTold(BaseModel):
    """A webhook. `secret` is told when it is made, and never again."""

    id: str
    url: str
    state: str = Field(description="active, paused, or disabled after the receiver answered 410.")
    q: str
    topics: list[int]
    kinds: list[str]
    created: str
    sent: int = Field(description="How many messages the receiver accepted.")
    last_sent: str = ""
    last_failed: str = ""
    why: str = Field("", description="The last failure.")
    old_secret_until: str = ""
    secret: str = ""


class WebhookAnswer(contract.BaseAnswer):
    """One webhook."""

    data: WebhookTold


class WebhookList(BaseModel):
    """Webhooks, the oldest first."""

    items: list[WebhookTold]


class WebhookListAnswer(contract.BaseAnswer):
    """The webhooks of an account."""

    data: WebhookList


class DeadLetter(BaseModel):
    """A message that was given up. It has no content: that is looked up when it is sent again."""

    number: int
    id: str
    kind: str
    uri: str
    version: int
    position: int
    timestamp: str
    attempts: int
    why: str


class DeadLetters(BaseModel):
    """Dead letters, by number."""

    items: list[DeadLetter]


class DeadAnswer(contract.BaseAnswer):
    """The dead letters of a webhook."""

    data: DeadLetters


class CountAnswer(contract.BaseAnswer):
    """How many messages are queued now."""

    data: dict[str, int]


_ERRORS = (400, 401, 404, 408, 413, 415, 503)


@router.get(
    _PATH,
    summary="The webhooks of your account",
    response_model=None,
    responses=contract.answers(WebhookListAnswer, 400, 401, 404, 503),
    dependencies=[Depends(no_parameters)],
)
async def list_webhooks(request: Request, surface: SurfaceDep, caller: CallerDep) -> Json:
    """All webhooks of the key's account, without their secrets."""
    ports = _ports(surface)

    def read() -> dict[str, Any]:
        found = ports.endpoints.of_account(caller.account)
        return {"items": [endpoint_json(endpoint) for endpoint in found]}

    return await _answer(request, surface, caller, read)


@router.post(
    _PATH,
    summary="Create a webhook",
    response_model=None,
    responses=contract.answers(None, *_ERRORS, 409)
    | {201: {"model": WebhookAnswer, "description": "Created, with its secret"}},
    openapi_extra=contract.body_of(WebhookSettings),
    dependencies=[Depends(no_parameters)],
)
async def create_webhook(request: Request, surface: SurfaceDep, caller: CallerDep) -> Json:
    """The service sends a message for each transition from now on. It signs each by the Standard
    Webhooks specification. Only this answer contains the secret for the signatures.

    The address is https, and resolves to addresses on the internet only: private, loopback and
    link-local networks are refused with the reason.
    """
    ports = _ports(surface)
    given = await _body(request, surface, WebhookSettings)

    def create() -> dict[str, Any]:
        endpoint = Endpoint(
            id=f"wh_{secrets.token_hex(8)}",
            account=caller.account,
            url="",
            secret=new_secret(),
            begins=ports.last(),
            created=time.time(),
        )
        endpoint = _changed(endpoint, given, ports, caller)
        if not ports.endpoints.create(endpoint, MOST):
            raise ConflictError(f"An account has {MOST} webhooks at most.", mend="Delete one.")
        return endpoint_json(endpoint) | {"secret": endpoint.secret}

    return await _answer(request, surface, caller, create, status=201)


@router.get(
    _ONE,
    summary="One webhook",
    response_model=None,
    responses=contract.answers(WebhookAnswer, 400, 401, 404, 503),
    dependencies=[Depends(no_parameters)],
)
async def read_webhook(
    request: Request, webhook_id: str, surface: SurfaceDep, caller: CallerDep
) -> Json:
    """How it is set, how many messages were accepted, and the last failure."""
    ports = _ports(surface)
    return await _answer(
        request,
        surface,
        caller,
        lambda: endpoint_json(ports.endpoints.endpoint(caller.account, webhook_id)),
    )


@router.patch(
    _ONE,
    summary="Change, pause or resume a webhook",
    response_model=None,
    responses=contract.answers(WebhookAnswer, *_ERRORS),
    openapi_extra=contract.body_of(WebhookSettings),
    dependencies=[Depends(no_parameters)],
)
async def change_webhook(
    request: Request, webhook_id: str, surface: SurfaceDep, caller: CallerDep
) -> Json:
    """Changes the given members and leaves the others. A disabled webhook that is active again gets
    what happens from now on.
    """
    ports = _ports(surface)
    given = await _body(request, surface, WebhookSettings)

    def change() -> dict[str, Any]:
        before = ports.endpoints.endpoint(caller.account, webhook_id)
        after = _changed(before, given, ports, caller)
        if before.state is EndpointState.DISABLED and after.state is not EndpointState.DISABLED:
            after = replace(after, begins=ports.last(), why="")
        ports.endpoints.change(after)
        return endpoint_json(after)

    return await _answer(request, surface, caller, change)


@router.delete(
    _ONE,
    summary="Delete a webhook",
    response_model=None,
    responses=contract.answers(CountAnswer, 400, 401, 404, 503),
    dependencies=[Depends(no_parameters)],
)
async def delete_webhook(
    request: Request, webhook_id: str, surface: SurfaceDep, caller: CallerDep
) -> Json:
    """Deletes it with its messages, those that wait and those that were given up."""
    ports = _ports(surface)

    def delete() -> dict[str, Any]:
        ports.endpoints.delete(caller.account, webhook_id)
        return {"deleted": 1}

    return await _answer(request, surface, caller, delete)


@router.post(
    f"{_ONE}/secret",
    summary="Replace a webhook's secret",
    response_model=None,
    responses=contract.answers(WebhookAnswer, *_ERRORS),
    openapi_extra=contract.body_of(SecretChange),
    dependencies=[Depends(no_parameters)],
)
async def rotate_secret(
    request: Request, webhook_id: str, surface: SurfaceDep, caller: CallerDep
) -> Json:
    """The answer has the new secret. Until the overlap ends, each message has a signature by the
    old secret too, so that no receiver has to change at a moment.
    """
    ports = _ports(surface)
    given = await _body(request, surface, SecretChange)

    def rotate() -> dict[str, Any]:
        before = ports.endpoints.endpoint(caller.account, webhook_id)
        until = time.time() + given.overlap_hours * 3600
        after = replace(before, secret=new_secret(), old_secret=before.secret, old_until=until)
        ports.endpoints.change(after)
        return endpoint_json(after) | {"secret": after.secret}

    return await _answer(request, surface, caller, rotate)


@router.post(
    f"{_ONE}/test",
    summary="Send a test message",
    response_model=None,
    responses=contract.answers(CountAnswer, *_ERRORS),
    dependencies=[Depends(no_parameters)],
)
async def test_webhook(
    request: Request, webhook_id: str, surface: SurfaceDep, caller: CallerDep
) -> Json:
    """Queues a message of the type webhook.test. The webhook's `sent`, `last_failed` and `why` say
    what came of it.
    """
    ports = _ports(surface)

    def queue() -> dict[str, Any]:
        endpoint = ports.endpoints.endpoint(caller.account, webhook_id)
        name = f"test-{secrets.token_hex(8)}"
        ports.endpoints.add(Message(endpoint.id, TEST, name, 0, datetime.now(UTC)))
        ports.wake()
        return {"queued": 1}

    return await _answer(request, surface, caller, queue)


@router.get(
    DEAD_PATH,
    summary="Messages that were given up",
    response_model=None,
    responses=contract.answers(DeadAnswer, 400, 401, 404, 503),
)
async def dead_letters(
    request: Request,
    webhook_id: str,
    surface: SurfaceDep,
    caller: CallerDep,
    parameters: Annotated[DeadParameters, Query()],
) -> Json:
    """Messages that the receiver did not accept in 20 attempts or 72 hours; kept for 30 days."""
    ports = _ports(surface)

    def read() -> dict[str, Any]:
        endpoint = ports.endpoints.endpoint(caller.account, webhook_id)
        found = ports.endpoints.dead(endpoint.id, parameters.after, parameters.limit)
        return {"items": [_letter_json(letter) for letter in found]}

    return await _answer(request, surface, caller, read)


@router.post(
    f"{_ONE}/replay",
    summary="Send dead letters again",
    response_model=None,
    responses=contract.answers(CountAnswer, *_ERRORS),
    openapi_extra=contract.body_of(Replay),
    dependencies=[Depends(no_parameters)],
)
async def replay(request: Request, webhook_id: str, surface: SurfaceDep, caller: CallerDep) -> Json:
    """Queues them again, with their ids. What the account may no longer see is not sent."""
    ports = _ports(surface)
    given = await _body(request, surface, Replay)

    def again() -> dict[str, Any]:
        endpoint = ports.endpoints.endpoint(caller.account, webhook_id)
        count = ports.endpoints.replay(endpoint.id, given.numbers)
        ports.wake()
        return {"queued": count}

    return await _answer(request, surface, caller, again)


def endpoint_json(endpoint: Endpoint) -> dict[str, Any]:
    """Return a webhook as its owner sees it; without secrets."""
    overlaps = endpoint.old_secret and endpoint.old_until > time.time()
    return {
        "id": endpoint.id,
        "url": endpoint.url,
        "state": endpoint.state.value,
        "q": endpoint.query,
        "topics": list(endpoint.topics),
        "kinds": sorted(kind.value for kind in endpoint.kinds),
        "created": _moment(endpoint.created),
        "sent": endpoint.sent,
        "last_sent": _moment(endpoint.sent_at),
        "last_failed": _moment(endpoint.failed_at),
        "why": endpoint.why,
        "old_secret_until": _moment(endpoint.old_until) if overlaps else "",
    }


def _letter_json(message: Message) -> dict[str, Any]:
    return {
        "number": message.row,
        "id": message.name,
        "kind": str(message.event),
        "uri": message.uri,
        "version": message.version,
        "position": message.n,
        "timestamp": rfc3339(message.at),
        "attempts": message.attempts,
        "why": message.why,
    }


def _moment(seconds: float) -> str:
    return rfc3339(datetime.fromtimestamp(int(seconds), UTC)) if seconds else ""


def _changed(
    endpoint: Endpoint, given: WebhookSettings, ports: WebhookPorts, caller: Caller
) -> Endpoint:
    """Return the endpoint with what is given. Raises InputError for what can't be served."""
    named = given.model_fields_set
    after = endpoint
    if "url" in named or not endpoint.url:
        ports.check(given.url)
        after = replace(after, url=given.url)
    if "kinds" in named:
        after = replace(after, kinds=frozenset(given.kinds))
    if "state" in named:
        after = replace(after, state=EndpointState(given.state))
    if named & {"q", "topics"}:
        query = given.q if "q" in named else endpoint.query
        topics = tuple(given.topics) if "topics" in named else endpoint.topics
        after = replace(after, query=query, topics=topics)
        ports.check_filter(after, caller)
    return after


def _ports(surface: Surface) -> WebhookPorts:
    ports = surface.services.webhooks
    if ports is None:
        raise NotFoundError("This service sends no webhooks.", mend="Read the feed.")
    return ports


async def _body(request: Request, surface: Surface, model: type[Model]) -> Model:
    settings = surface.services.settings
    return await read_model(request, model, settings.max_body_bytes, settings.body_timeout_seconds)


async def _answer(
    request: Request,
    surface: Surface,
    caller: Caller,
    work: Callable[[], dict[str, Any]],
    status: int = 200,
) -> Json:
    data = await surface.accounts.run(work, caller)
    return Json(base(request, org_name=caller.name, data=data), status_code=status)
