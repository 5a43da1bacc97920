"""Routes of an account's followed topics."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from api import contract
from api.access.callers import CallerDep, Surface, SurfaceDep
from api.access.checks import model_of, no_parameters, read_object
from api.envelope import Json, base, rfc3339
from api.problems import ParameterError
from core.callers import Caller
from core.customers.topics import FollowedTopic, TopicMatch
from core.errors import NotFoundError
from customers.topics import (
    LONGEST_NAME,
    MOST_CHARACTERS,
    MOST_CLAUSES,
    MOST_EMAILS,
    FollowedTopics,
)
from search.understanding.strict_query import strict_query

router = APIRouter(tags=["followed topics"])
PATH = "/v1/topics"
MATCHES = f"{PATH}/matches"
_ONE = f"{PATH}/{{topic_id}}"
_MOST_BYTES = 64 * 1024
_NO_FILTER = {
    "similar_to": '"more like this" has no yes or no: every item is somewhat like every other',
    "profile": "a profile ranks, and a topic doesn't",
}
_EMAILS = f"Who is mailed when something matches, at most {MOST_EMAILS} addresses."
_WHAT_CAN = 'write the words, "phrases" and field:value that an item must have into query'


class TopicBody(BaseModel):
    """A new topic."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(description=f"What the account calls it, at most {LONGEST_NAME} characters.")
    query: str = Field(
        description="What an item must have, in the language of q: each word counts. At most "
        f"{MOST_CLAUSES} clauses and {MOST_CHARACTERS} characters."
    )
    emails: list[str] = Field(default=[], max_length=MOST_EMAILS, description=_EMAILS)


class TopicChange(BaseModel):
    """Another name, another query, other addresses, or all of them."""

    model_config = ConfigDict(extra="forbid")

    name: str | None = Field(default=None, description="What the account calls it.")
    query: str | None = Field(default=None, description="What an item must have.")
    emails: list[str] | None = Field(default=None, max_length=MOST_EMAILS, description=_EMAILS)


class MatchParameters(BaseModel):
    """What `GET /v1/topics/matches` takes."""

    model_config = ConfigDict(extra="forbid")

    after: int = Field(default=0, ge=0, le=2**62, description="Only matches after this place.")
    limit: int = Field(default=100, ge=1, le=500, description="How many are looked at, 1 to 500.")


class TopicTold(BaseModel):
    """A followed topic. `reads` is its query as it is read: every word counts."""

    id: int
    name: str
    query: str
    reads: str
    created: str
    last_match: str = ""
    emails: list[str] = []


class TopicAnswer(contract.BaseAnswer):
    """One followed topic."""

    data: TopicTold


class TopicList(BaseModel):
    """Followed topics, the oldest first."""

    items: list[TopicTold]


class TopicListAnswer(contract.BaseAnswer):
    """The followed topics of an account."""

    data: TopicList


class MatchTold(BaseModel):
    """An item that matched a topic when it was shown or updated. `id` stays the same."""

    id: str
    topic: int
    kind: str
    uri: str
    version: int
    timestamp: str


class MatchList(BaseModel):
    """Matches of items that the key may see now, in order; `position` is where to go on."""

    items: list[MatchTold]
    position: int


class MatchListAnswer(contract.BaseAnswer):
    """What matched an account's topics, of the last seven days."""

    data: MatchList


def topics_of(surface: Surface) -> FollowedTopics:
    """Return the followed topics. Raises NotFoundError if the service has none."""
    if surface.services.topics is None:
        raise NotFoundError("This service keeps no followed topics.", mend="Search for the words.")
    return surface.services.topics


@router.get(
    PATH,
    summary="The followed topics of your account",
    response_model=None,
    responses=contract.answers(TopicListAnswer, 400, 401, 404, 503),
    dependencies=[Depends(no_parameters)],
)
async def list_topics(request: Request, surface: SurfaceDep, caller: CallerDep) -> Json:
    """All keys of an account have the same topics."""
    found = await surface.reads.run(partial(topics_of(surface).all, caller), caller)
    data = {"items": [topic_json(topic) for topic in found]}
    return Json(base(request, org_name=caller.name, data=data))


@router.post(
    PATH,
    summary="Follow a topic",
    response_model=None,
    status_code=201,
    responses=contract.answers(None, 400, 401, 404, 408, 409, 413, 415, 503)
    | {201: {"model": TopicAnswer, "description": "The new topic"}},
    openapi_extra=contract.body_of(TopicBody),
    dependencies=[Depends(no_parameters)],
)
async def create_topic(request: Request, surface: SurfaceDep, caller: CallerDep) -> Json:
    """What is shown or updated from now on is matched with it. A query that says no clear yes or no
    is refused, with what does.
    """
    body = model_of(await _sent(request, surface), TopicBody)
    make = partial(topics_of(surface).create, caller, body.name, body.query, body.emails)
    made = await surface.reads.run(make, caller)
    envelope = base(request, org_name=caller.name, data=topic_json(made))
    return Json(envelope, status_code=201)


@router.get(
    MATCHES,
    summary="What matched your topics",
    response_model=None,
    responses=contract.answers(MatchListAnswer, 400, 401, 404, 503),
)
async def list_matches(
    request: Request,
    surface: SurfaceDep,
    caller: CallerDep,
    parameters: Annotated[MatchParameters, Query()],
) -> Json:
    """Items that were shown or updated and matched a topic, in order, as far as this key may see
    them at this moment. Ask again with `after` set to `position`; a repeat has the same ids.
    """
    topics = topics_of(surface)

    def read() -> dict[str, Any]:
        found = topics.store.matches(parameters.after, parameters.limit, caller.account)
        position = found[-1].n if found else parameters.after
        return {"items": _shown(surface, found, caller), "position": position}

    data = await surface.reads.run(read, caller)
    return Json(base(request, org_name=caller.name, data=data))


def _shown(surface: Surface, matches: Sequence[TopicMatch], caller: Caller) -> list[dict[str, Any]]:
    """Return the matches whose item the caller may see now, in the version that it shows."""
    sights = surface.services.library.sights({match.uri: () for match in matches}, caller)
    told: list[dict[str, Any]] = []
    for match in matches:
        sight = sights.get(match.uri)
        if sight is not None and sight.item is not None and sight.item.version >= match.version:
            told.append(match_json(match))
    return told


@router.get(
    _ONE,
    summary="One followed topic",
    response_model=None,
    responses=contract.answers(TopicAnswer, 400, 401, 404, 503),
    dependencies=[Depends(no_parameters)],
)
async def show_topic(
    request: Request, topic_id: str, surface: SurfaceDep, caller: CallerDep
) -> Json:
    """A topic of your account."""
    one = partial(topics_of(surface).one, caller, _number(topic_id))
    found = await surface.reads.run(one, caller)
    return Json(base(request, org_name=caller.name, data=topic_json(found)))


@router.patch(
    _ONE,
    summary="Change a followed topic",
    response_model=None,
    responses=contract.answers(TopicAnswer, 400, 401, 404, 408, 413, 415, 503),
    openapi_extra=contract.body_of(TopicChange),
    dependencies=[Depends(no_parameters)],
)
async def change_topic(
    request: Request, topic_id: str, surface: SurfaceDep, caller: CallerDep
) -> Json:
    """Its id stays. What matched before stays matched."""
    body = model_of(await _sent(request, surface), TopicChange)
    topics = topics_of(surface)
    number = _number(topic_id)
    change = partial(topics.change, caller, number, body.name, body.query, body.emails)
    changed = await surface.reads.run(change, caller)
    return Json(base(request, org_name=caller.name, data=topic_json(changed)))


@router.delete(
    _ONE,
    summary="Stop following a topic",
    response_model=None,
    responses=contract.answers(contract.BaseAnswer, 400, 401, 404, 503),
    dependencies=[Depends(no_parameters)],
)
async def remove_topic(
    request: Request, topic_id: str, surface: SurfaceDep, caller: CallerDep
) -> Json:
    """Its id is never given again."""
    remove = partial(topics_of(surface).remove, caller, _number(topic_id))
    await surface.reads.run(remove, caller)
    return Json(base(request, org_name=caller.name))


async def _sent(request: Request, surface: Surface) -> dict[str, Any]:
    """Return the body. Raises ParameterError for members that ask for what can't be a topic."""
    seconds = surface.services.settings.body_timeout_seconds
    sent = await read_object(request, _MOST_BYTES, seconds)
    for name, why in _NO_FILTER.items():
        if name in sent:
            raise ParameterError(f"A topic can't have {name}: {why}.", field=name, mend=_WHAT_CAN)
    return sent


def _number(topic_id: str) -> int:
    if not (topic_id.isascii() and topic_id.isdigit() and len(topic_id) < 19):
        raise NotFoundError(
            f"There is no followed topic '{topic_id[:40]}'.", mend="Its id is a number."
        )
    return int(topic_id)


def topic_json(topic: FollowedTopic) -> dict[str, Any]:
    """Return a topic as the routes tell it."""
    matched = "" if topic.last_match is None else rfc3339(topic.last_match)
    return {
        "id": topic.id,
        "name": topic.name,
        "query": topic.query,
        "reads": strict_query(topic.query),
        "created": rfc3339(topic.created),
        "last_match": matched,
        "emails": [*topic.emails],
    }


def match_json(match: TopicMatch) -> dict[str, Any]:
    """Return a match as the routes tell it."""
    return {
        "id": match.id,
        "topic": match.topic,
        "kind": match.kind.value,
        "uri": match.uri,
        "version": match.version,
        "timestamp": rfc3339(match.at),
    }
