"""The shapes of the answers, for the OpenAPI document; names follow AP Media API.

Answers are written from plain values (`envelope.Json`), not through these models. Tests check that
the two agree.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class BaseAnswer(BaseModel):
    """AP's `baseresponse`."""

    model_config = ConfigDict(extra="allow")

    api_version: str
    id: str = Field(description="The id of this answer, also in the header x-request-id.")
    method: str
    org_name: str = ""
    session_label: str = ""
    params: dict[str, Any]


class ErrorDetail(BaseModel):
    """What went wrong and how to mend it. `code` is a word; the HTTP status is in `status`."""

    status: int
    code: str
    message: str
    mend: str
    field: str = ""
    timestamp: str


class ErrorAnswer(BaseAnswer):
    """AP's `errorresponse`, for every error of every route."""

    error: ErrorDetail


class Product(BaseModel):
    """A product that the key holds and that includes the item."""

    id: int | None = None
    name: str


class FollowedName(BaseModel):
    """A followed topic that an item matches."""

    model_config = ConfigDict(extra="forbid")

    id: int
    name: str


class ShotTold(BaseModel):
    """A shot of a video. `made_by` names model and prompt if a machine describes the shot."""

    model_config = ConfigDict(extra="forbid")

    number: int = Field(description="From 1, in the video's order.")
    start_s: float
    end_s: float
    timecode: str = Field(description="hh:mm:ss.mmm–hh:mm:ss.mmm of presentation.")
    transition: str = Field(description="How it begins: start, cut, gradual or gap.")
    description: str = ""
    made_by: str = ""
    thumbnail: str = Field(default="", description="The address of its still, signed.")


class FoundIn(BaseModel):
    """A field apart from the item's text that has a word of the query: `machine` (descriptions),
    `speech`, `seen`, `looks` or `filename`. `made_by` names the machine that wrote or found it.
    """

    model_config = ConfigDict(extra="forbid")

    field: str
    made_by: str = ""


class OpensAt(BaseModel):
    """The line of what is in a hit's media that answers best."""

    model_config = ConfigDict(extra="forbid")

    second: float = Field(description="Of the media, from 0.")
    timecode: str = Field(description="hh:mm:ss.mmm of presentation.")
    field: str = Field(description="shots, speech, seen or looks.")
    text: str
    shot: int = Field(default=0, description="The shot's number, from 1; absent without shots.")
    made_by: str = ""


class ResultMeta(BaseModel):
    """What the search says of a hit; ranks count from 1 over all pages."""

    model_config = ConfigDict(extra="forbid")

    score: float = 0.0
    products: list[Product] = []
    rank: int = 0
    versions: int = Field(1, description="Versions and write-throughs in the story's chain.")
    highlights: dict[str, str] = Field(
        default={}, description="Texts with matched words between U+E000 and U+E001."
    )
    passage: str = Field(default="", description="The best passage, marked the same way.")
    explanation: dict[str, Any] | None = None
    followed_topics: list[FollowedName] = Field(
        default=[], description="Topics of your account that the item matches."
    )
    pinned: bool = Field(default=False, description="Editors put it there for this query.")
    exact: bool = Field(
        default=False,
        description="The whole query is its slugline, byline, credit, source, uri or itemid.",
    )
    relevance: str | None = Field(
        default=None,
        description="strong, or related: only among the nearest there are. null: no floor.",
    )
    near_duplicates: list[str] = Field(
        default=[], description="The uris of the stories that are folded under it, best first."
    )
    live: dict[str, str] | None = Field(
        default=None,
        description="It is a live source: `state` is running, broken off or ended, `since` when.",
    )
    found_in: list[FoundIn] = Field(
        default=[], description="Fields apart from its text that have a word of the query."
    )
    opens_at: OpensAt | None = Field(default=None, description="Where to open its media.")
    shot: ShotTold | None = Field(
        default=None, description="The video's shot that answers best: where to open it."
    )
    film_strip: list[ShotTold] = Field(default=[], description="The shots around that one.")
    cut: dict[str, int | None] = Field(
        default={},
        description="Members that this answer cuts or leaves out, with their number of entries "
        "(null if that is not told). A long list has its first 50 entries; a member that is too "
        "long is left out. The item's own answer has them whole, and so does `include`.",
    )


class ContentItem(BaseModel):
    """AP's `contentitem` as far as it is filled; the agency's other members are kept beside it."""

    model_config = ConfigDict(extra="allow")

    uri: str
    version: int | None = None
    type: str = ""
    language: str = ""
    versioncreated: str = ""
    firstcreated: str = ""
    pubstatus: str = ""
    headline: str = ""


class ContentResult(BaseModel):
    """AP's `contentresult`."""

    meta: ResultMeta
    item: ContentItem


class ContentWithVersions(ContentResult):
    """One item; with `versions=all` also its chain, newest first."""

    versions: list[ContentResult] | None = None


class ContentAnswer(BaseAnswer):
    """AP's `contentresponse`."""

    data: ContentWithVersions


class NinjsAnswer(BaseModel):
    """An item alone, as ninjs; the header x-ninjs-version names its version."""

    model_config = ConfigDict(extra="allow")

    uri: str


class Differing(BaseModel):
    """A member before and after; null if a version has none."""

    model_config = ConfigDict(populate_by_name=True)

    before: Any = Field(None, alias="from")
    after: Any = Field(None, alias="to")


class VersionTold(BaseModel):
    """A version that is compared."""

    version: int
    versioncreated: str


class LinesChanged(BaseModel):
    """A changed stretch of the text."""

    line: int = Field(description="Where it begins in the text before, from 1.")
    removed: list[str]
    added: list[str]


class Difference(BaseModel):
    """What changed between two versions."""

    uri: str
    before: VersionTold = Field(alias="from")
    after: VersionTold = Field(alias="to")
    fields: dict[str, Differing]
    body: list[LinesChanged]
    left_out: list[str] = Field(
        default=[], description="Members that are too long for an answer and were not compared."
    )


class DifferenceAnswer(BaseAnswer):
    """What changed between two versions of an item."""

    data: Difference


ItemAnswer = ContentAnswer | NinjsAnswer


class FacetValue(BaseModel):
    """A facet's value, and how many of the stories have it."""

    value: str
    count: int


class SearchData(BaseModel):
    """AP's `searchresponse.data`, plus Dateline's members."""

    query: str
    updated: str
    page_size: int
    total_items: int
    total_relation: str = Field(description="exact, lower_bound or window.")
    related_items: int | None = Field(
        None,
        description="Hits below the strong ones, which are only the nearest there are. total_items "
        "and the facets do not count them. null: the answer has no floor, and all hits count.",
    )
    depth: int = Field(0, description="How many hits the pages of this answer reach.")
    counted: str = Field(
        "stories",
        description="What total_items and the facets count: stories, or groups of stories with "
        "nearly the same text.",
    )
    fold: str = Field("none", description="What makes one hit of stories: none, near_duplicates.")
    current_page: int
    current_item_count: int
    next_page: str = ""
    previous_page: str = ""
    page_template: str
    items: list[ContentResult]
    facets: dict[str, list[FacetValue]]
    cursor: str
    profile: str
    query_id: str = Field(
        default="",
        description="The query's name in the use log, for events; empty: it is not kept.",
    )
    understood: dict[str, Any]
    degraded: list[str]
    suggestion: str = Field(
        default="", description="The query in another spelling, which was not searched for."
    )
    missing: dict[str, Any] | None = Field(
        default=None, description="The answer to why_missing: stage, reason, mend."
    )
    timings_ms: dict[str, float]


class SearchAnswer(BaseAnswer):
    """AP's `searchresponse`."""

    data: SearchData


class FeedData(BaseModel):
    """A page of a feed. `next_page` goes on from its end and is always given; `more` says whether
    it has something at once.
    """

    model_config = ConfigDict(extra="allow")

    session: str
    started: str
    query: str
    current_item_count: int
    more: bool
    next_page: str
    items: list[dict[str, Any]] = Field(
        description="`meta.transition` has `id`, `position`, `kind` (shown, updated, hidden, killed"
        " or expired) and `at`; `item` is whole, or has `uri`, `altids.itemid`, `version` and"
        " `pubstatus` (canceled, expired, hidden) of what was taken away."
    )


class FeedAnswer(BaseAnswer):
    """The answer to `GET /content/feed`."""

    data: FeedData


class SuggestedText(BaseModel):
    """A completion, the member of the stories that it comes from, and how many of them have it."""

    text: str
    kind: str = Field(description="person, organisation, place, subject or headline.")
    count: int


class SuggestData(BaseModel):
    """The typed text and its completions, best first."""

    query: str
    items: list[SuggestedText]


class SuggestAnswer(BaseAnswer):
    """The answer to `GET /v1/suggest`."""

    data: SuggestData


class WriteResult(BaseModel):
    """What became of one document: an outcome, or an error."""

    model_config = ConfigDict(extra="allow")

    number: int
    line: int | None = None
    uri: str = ""
    version: int | None = None
    outcome: str = ""
    held: str = Field(default="", description="What an earlier change of status made of it")
    words_only: list[str] = Field(
        default=[],
        description="Members that are too long to embed whole; the rest is found by words only",
    )
    error: dict[str, Any] | None = None


class WriteData(BaseModel):
    """One result per document, in order."""

    written: int = 0
    refused: int = 0
    items: list[WriteResult]
    degraded: list[str] = Field(
        default=[], description="What is recorded and not found yet; usually nothing."
    )


class WriteAnswer(BaseAnswer):
    """The answer to a write."""

    data: WriteData


class DeskVersion(BaseModel):
    """A recorded version in any state. `shown` is whether its story shows it now."""

    uri: str
    version: int
    versioncreated: str
    pubstatus: str
    shown: bool
    embargoed: str = ""
    expires: str = ""


class DeskRecipient(BaseModel):
    """An account that received the item. Without `sessions` of the feed and `webhooks`, nothing
    tells it by itself.
    """

    account: str
    title: str
    channels: list[str]
    version: int
    at: str
    sessions: int
    webhooks: int


class DeskHidden(BaseModel):
    """What a kill hides."""

    versions: list[DeskVersion]
    forms: list[str]


class DeskEntry(BaseModel):
    """An entry of the audit log about an item."""

    n: int
    at: str
    who: str
    key: str
    action: str = Field(description="kill, withhold, embargo, release or correct.")
    uri: str
    version: int
    outcome: str
    reason: str


class DeskData(BaseModel):
    """What the desk sees of an item."""

    uri: str
    version: int = Field(description="The newest recorded one.")
    state: str = Field(
        description="usable, canceled, withheld, embargoed, expired, superseded or forbidden."
    )
    until: str = Field(default="", description="When an embargo lifts, or when it expired.")
    recipients: list[DeskRecipient] = Field(description="Who received it, those told first.")
    hidden: DeskHidden
    story: list[DeskVersion] = Field(description="The versions of the story's other items.")
    head: str = Field(description="The uri of the item that stands for the story now, or empty.")
    otherwise: str = Field(description="The uri of the one that would without this item.")
    log: list[DeskEntry]


class DeskAnswer(BaseAnswer):
    """The answer to `GET /content/{item_id}/status`."""

    data: DeskData


class DeskLog(BaseModel):
    """Entries, the newest first."""

    entries: list[DeskEntry]


class DeskLogAnswer(BaseAnswer):
    """The answer to `GET /v1/desk/log`."""

    data: DeskLog


_MEANINGS = {
    400: "Something in the request is wrong; the message says what",
    401: "No key, or an unknown one",
    403: "The key may not do this",
    404: "Nothing there, or nothing there for this key",
    408: "The body did not arrive in time",
    409: "The write contradicts the record",
    410: "The cursor's list is no longer kept",
    413: "The body is over the limit",
    415: "The body's content type is not supported",
    416: "The file has no such bytes, or several ranges were asked for at once",
    422: "Something in the request is wrong; the message says what",
    424: "The service has no model for this",
    429: "The key has used up its share; Retry-After says when to come back",
    503: "Too much work at once; Retry-After says when to come back",
    507: "No space left for writes; reads go on",
}


def answers(
    model: Any, *statuses: int, error: type[BaseModel] = ErrorAnswer
) -> dict[int | str, dict[str, Any]]:
    """Return FastAPI's `responses`: the model for 200, and the shape `error` for `statuses` and
    500. Routes that need a key (401) also get 429, for a used-up share.
    """
    told = sorted({*statuses, 429}) if 401 in statuses else statuses
    errors: dict[int | str, dict[str, Any]] = {
        status: {"model": error, "description": _MEANINGS[status]} for status in told
    }
    errors[500] = {"model": error, "description": "An error of the service"}
    if model is None:
        return errors
    return {200: {"model": model, "description": "The answer"}, **errors}


def body_of(model: type[BaseModel], *others: type[BaseModel]) -> dict[str, Any]:
    """Return a JSON body that the route reads itself, for the OpenAPI document; with `others` it is
    one of them.
    """
    schemas = [_schema_of(each) for each in (model, *others)]
    schema = {"oneOf": schemas} if others else schemas[0]
    content = {"application/json": {"schema": schema}}
    return {"requestBody": {"required": True, "content": content}}


def _schema_of(model: type[BaseModel]) -> Any:
    schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
    return _inlined(schema, schema.pop("$defs", {}))


def reading(
    body: type[BaseModel], answer: Any, *statuses: int, error: type[BaseModel] = ErrorAnswer
) -> dict[str, Any]:
    """Return what FastAPI is told of a route that reads its JSON body itself: the body, and what
    `answers` says of the rest.
    """
    told = answers(answer, *statuses, error=error)
    return {"response_model": None, "responses": told, "openapi_extra": body_of(body)}


def _inlined(node: Any, definitions: dict[str, Any]) -> Any:
    """Return `node` with references to its own definitions replaced by them."""
    if isinstance(node, list):
        return [_inlined(child, definitions) for child in node]
    if not isinstance(node, dict):
        return node
    name = str(node.get("$ref", "")).rpartition("/")[2]
    if name in definitions:
        return _inlined(definitions[name], definitions)
    return {key: _inlined(child, definitions) for key, child in node.items()}


_NINJS = {
    "type": "object",
    "description": "A ninjs 1.x, 2.x or 3.x document; members it doesn't know are kept.",
    "required": ["uri"],
    "properties": {"uri": {"type": "string"}, "version": {"type": ["string", "integer"]}},
    "additionalProperties": True,
}
DOCUMENT_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": {"anyOf": [_NINJS, {"type": "array", "items": _NINJS}]}},
            "application/x-ndjson": {"schema": {"type": "string"}},
            "application/xml": {"schema": {"type": "string"}},
        },
    }
}
