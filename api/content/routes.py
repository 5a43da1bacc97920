"""Routes of single items: read them, write them, change their status."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from api import contract
from api.access.bodies import XML, Unreadable, media_type, parse_documents, read_body
from api.access.callers import (
    CallerDep,
    LinksDep,
    Surface,
    SurfaceDep,
    UncountedWriterDep,
    admitted,
)
from api.access.checks import no_parameters, read_model
from api.access.lanes import covered, write_documents
from api.access.receipts import Receive, receiving
from api.access.services import ApiSettings
from api.content.difference import difference
from api.content.status_change import StatusChange, status_write
from api.content.writes import refusal, result_json, single_status, uri_of
from api.envelope import Json, base, problem_response, rfc3339
from api.formats.items import ItemView, items_json
from api.formats.ninjs import Ninjs, ninjs
from api.formats.renditions import MEDIA_TYPES, text_rendition
from api.problems import BodyTooLargeError, ParameterError, TooManyError, no_item
from api.search.elsewhere import ReadRoute
from api.search.parameters import (
    WHAT_TO_EXCLUDE,
    WHAT_TO_INCLUDE,
    MemberNames,
    Values,
)
from api.search.search_json import cut_json, products_json
from core.callers import Caller, covers
from core.errors import NotFoundError
from core.items import Item
from core.ports.engine import Library

router = APIRouter(tags=["content"])
reads = APIRouter(tags=["content"], route_class=ReadRoute)
NINJS_VERSION = "x-ninjs-version"  # the header of an answer in ninjs
_TEXT_CONTENT = tuple(kind.partition(";")[0] for kind in MEDIA_TYPES.values())
_MOST_OF_A_REFUSED_KEY = 64 * 1024  # bytes of a body, which is enough for kills


Format = Literal[
    "json", "ninjs", "ninjs-1.4", "ninjs-1.6", "ninjs-2.1", "ninjs-2.2", "ninjs-3.0", "ninjs-3.1"
]


class ItemParameters(BaseModel):
    """What `GET /content/{item_id}` takes."""

    model_config = ConfigDict(extra="forbid")

    versions: Literal["", "all"] = Field(
        default="", description="all: also the story's versions and write-throughs, newest first."
    )
    include: MemberNames = Field(default_factory=list, description=WHAT_TO_INCLUDE)
    exclude: MemberNames = Field(default_factory=list, description=WHAT_TO_EXCLUDE)
    format: Format = Field(
        default="json",
        description="json: AP's content item in our envelope. ninjs: the item alone, as ninjs of "
        "the version that it arrived in; ninjs-2.1 and so on: of this version.",
    )


class DifferenceParameters(BaseModel):
    """What `GET /content/{item_id}/diff` takes."""

    model_config = ConfigDict(extra="forbid")

    since: int = Field(alias="from", ge=0, description="The version to compare with.")
    until: int | None = Field(
        default=None, alias="to", ge=0, description="The version to compare; else the newest."
    )


class WriteParameters(BaseModel):
    """What `POST /content` takes."""

    model_config = ConfigDict(extra="forbid")

    products: Values = Field(
        default_factory=list,
        description="Product codes that may see these items; the key must be allowed to write them."
        " Without any, the service's default.",
    )


@reads.get(
    "/content/{item_id:path}/renditions/{form}",
    summary="A story as NITF, NewsML-G2 or plain text",
    response_model=None,
    responses=contract.answers(None, 400, 401, 404, 503)
    | {200: {"description": "The story", "content": {kind: {} for kind in _TEXT_CONTENT}}},
    dependencies=[Depends(no_parameters)],
)
async def read_text(
    surface: SurfaceDep, caller: CallerDep, item_id: str, form: Literal["nitf", "newsmlg2", "plain"]
) -> Response:
    """`nitf` is NITF 3.6, `newsmlg2` a NewsML-G2 item with that inside, `plain` plain text. Each is
    made from the body with its markup: paragraphs, lists, tables and links stay.
    """
    library = surface.services.library

    def read() -> bytes:
        item = library.item(item_id, caller)
        if item is None:
            raise no_item(item_id)
        receiving(surface.services, caller, "download", synced=True)([item])
        return text_rendition(form, item, caller, library)

    return Response(await surface.reads.run(read, caller), media_type=MEDIA_TYPES[form])


@reads.get(
    "/content/{item_id:path}/diff",
    summary="What changed between two versions of an item",
    response_model=None,
    responses=contract.answers(contract.DifferenceAnswer, 400, 401, 404, 503),
)
async def read_difference(
    request: Request,
    item_id: str,
    surface: SurfaceDep,
    caller: CallerDep,
    parameters: Annotated[DifferenceParameters, Query()],
) -> Json:
    """The members that differ, each before and after, and the changed lines of the text.

    Both versions must be among those that `versions=all` shows this key: a version that is killed,
    or never was, gets the same 404.
    """
    library = surface.services.library
    receive = receiving(surface.services, caller, "item")
    view = ItemView(caller, whole=True, receive=receive)

    def read() -> dict[str, Any]:
        pair = _two_versions(library, caller, item_id, parameters)
        (old, cut_old), (new, cut_new) = items_json(pair, view, library)
        told = difference(old, new) | {"uri": item_id}
        left_out = sorted({*cut_old, *cut_new})
        return told | ({"left_out": left_out} if left_out else {})

    request.state.items = 2
    data = await surface.reads.run(read, caller)
    return Json(base(request, org_name=caller.name, data=data))


def _two_versions(
    library: Library, caller: Caller, uri: str, asked: DifferenceParameters
) -> tuple[Item, Item]:
    """Return the versions to compare. Raises NotFoundError if the caller does not see both."""
    shown = {item.version: item for item in library.chain(uri, caller) if item.uri == uri}
    if not shown:
        raise no_item(uri)
    latest = max(shown) if asked.until is None else asked.until
    for number in (asked.since, latest):
        if number not in shown:
            raise NotFoundError(
                f"There is no version {number} of '{uri[:200]}' for this key.",
                mend="versions=all on the item lists the versions.",
            )
    return shown[asked.since], shown[latest]


@reads.get(
    "/content/{item_id:path}",
    summary="One item by its uri",
    response_model=None,
    responses=contract.answers(contract.ItemAnswer, 400, 401, 404, 503),
)
async def read_content(
    request: Request,
    item_id: str,
    surface: SurfaceDep,
    caller: CallerDep,
    links: LinksDep,
    parameters: Annotated[ItemParameters, Query()],
) -> Json:
    """The newest usable version of the item, whole, with the agency's own members.

    An item that doesn't exist and one that this key may not see give the same 404. `item_id` is
    the item's uri, percent-encoded.
    """
    library = surface.services.library
    receive = receiving(surface.services, caller, "item")
    if parameters.format != "json":
        _refuse_choices(parameters)
        made = await surface.reads.run(
            partial(_ninjs, receive, item_id, parameters.format, caller, library), caller
        )
        return Json(made.document, headers={NINJS_VERSION: made.version})
    include, exclude = parameters.include, parameters.exclude
    view = ItemView(caller, include, exclude, links, whole=True, receive=receive)

    def read() -> dict[str, Any]:
        item = library.item(item_id, caller)
        if item is None:
            raise no_item(item_id)
        (data,) = _results((item,), view, library)
        if parameters.versions == "all":
            before = replace(view, links=None)  # media of superseded versions are not served
            data["versions"] = _results(library.chain(item_id, caller), before, library)
        return data

    request.state.items = 1
    data = await surface.reads.run(read, caller)  # one call, so that no half of the work is wasted
    return Json(base(request, org_name=caller.name, data=data))


def _refuse_choices(parameters: ItemParameters) -> None:
    """Raise ParameterError for what can't be chosen of ninjs."""
    for name in ("include", "exclude", "versions"):
        if getattr(parameters, name):
            raise ParameterError(
                f"{name} does not apply to format={parameters.format}.",
                field=name,
                mend="Leave it out, or ask for format=json.",
            )


def _ninjs(receive: Receive, uri: str, form: str, caller: Caller, library: Library) -> Ninjs:
    item = library.item(uri, caller)
    if item is None:
        raise no_item(uri)
    version = form.removeprefix("ninjs").removeprefix("-")
    return ninjs(item, caller, library, version, receive=receive)


def _results(items: Sequence[Item], view: ItemView, library: Library) -> list[dict[str, Any]]:
    return [
        {
            "meta": {"products": products_json(item.products, view.caller)} | cut_json(cut),
            "item": members,
        }
        for item, (members, cut) in zip(items, items_json(items, view, library), strict=True)
    ]


@router.post(
    "/content",
    summary="Write one or many ninjs documents",
    response_model=None,
    responses=contract.answers(contract.WriteAnswer, 400, 401, 403, 408, 409, 413, 415, 503, 507)
    | {
        201: {"model": contract.WriteAnswer, "description": "One document, newly created"},
        207: {"model": contract.WriteAnswer, "description": "Many, of which some were refused"},
    },
    openapi_extra=contract.DOCUMENT_BODY,
)
async def write_content(
    request: Request,
    surface: SurfaceDep,
    caller: UncountedWriterDep,
    parameters: Annotated[WriteParameters, Query()],
) -> Json:
    """A ninjs document, an array of them, JSON lines, or NewsML-G2, NITF, RSS or Atom as XML; each
    document gets an answer, in order.

    What is answered as written survives a crash. A bad document does not stop the others. Documents
    that hide their item go first, even if the key's share is used up. For a single document: 201
    created; 200 superseded, updated or unchanged; 409 where it contradicts the record or its uri or
    story is not the key's to write; 403 where its products are not; 400 where it can't be read.
    `held` says that an earlier kill, withhold or embargo of this uri hides what was written.
    """
    settings = surface.services.settings
    kind = media_type(request, lines=True)
    body, refused = await _read(request, surface, caller)
    # XML takes longer to parse than JSON: other requests go on meanwhile.
    parse = partial(parse_documents, body, kind)
    alone, documents = await asyncio.to_thread(parse) if kind in XML else parse()
    if len(documents) > settings.max_documents:
        raise BodyTooLargeError(
            f"There are {len(documents)} documents; {settings.max_documents} are taken at once.",
            mend="Send them in several requests.",
        )
    products = tuple(parameters.products) or _default_products(settings, caller)
    read = [document for document in documents if not isinstance(document, Unreadable)]
    written, behind = await write_documents(surface, caller, read, products, len(body), refused)
    outcomes = iter(written)
    results = [
        result_json(
            number, entry if isinstance(entry, Unreadable) else next(outcomes), uri_of(entry)
        )
        for number, entry in enumerate(documents, start=1)
    ]
    if alone and (problem := refusal(results[0])):
        return problem_response(request, problem)
    failed = sum("error" in result for result in results)
    status = single_status(results[0]) if alone else (207 if failed else 200)
    data = {"written": len(results) - failed, "refused": failed, "items": results}
    data |= {"degraded": [behind]} if behind else {}
    return Json(base(request, org_name=caller.name, data=data), status_code=status)


async def _read(
    request: Request, surface: Surface, caller: Caller
) -> tuple[bytes, TooManyError | None]:
    """Return the body, and the error for documents that don't hide their item, if the caller's
    share is used up. Raises that error if the body is too large for kills.
    """
    limit, refused = surface.services.settings.max_body_bytes, None
    try:
        admitted(request, surface, caller)
    except TooManyError as error:
        limit, refused = min(limit, _MOST_OF_A_REFUSED_KEY), error
    try:
        body = await read_body(request, limit, surface.services.settings.body_timeout_seconds)
    except BodyTooLargeError as error:
        raise refused or error from None
    return body, refused


def _default_products(settings: ApiSettings, caller: Caller) -> tuple[str, ...]:
    """Return the service's products for documents that name none, if the caller may write them."""
    return settings.default_products if covers(caller.writes, settings.default_products) else ()


@router.patch(
    "/content/{item_id:path}/status",
    summary="Kill, withhold, release or embargo an item",
    response_model=None,
    responses=contract.answers(contract.WriteAnswer, 400, 401, 403, 404, 408, 409, 413, 415, 503)
    | {202: {"model": contract.WriteAnswer, "description": "Held until the item is there"}},
    openapi_extra=contract.body_of(StatusChange),
    dependencies=[Depends(no_parameters)],
)
async def change_status(
    request: Request, item_id: str, surface: SurfaceDep, caller: UncountedWriterDep
) -> Json:
    """Changes the state of an item until another change releases it; in force when this is
    answered. A kill or a withhold holds all of its versions and every later one. An embargo holds
    the newest version and later ones; the version before it, if there is one, is shown again.

    An item that is not recorded is held: the answer is 202, and later versions under its uri are
    hidden where the key may write one of their products. An item that the key may not write gets
    the same answer.
    """
    settings = surface.services.settings
    change = await read_model(
        request, StatusChange, settings.max_body_bytes, settings.body_timeout_seconds
    )
    write = status_write(item_id, change)
    written = await surface.statuses.run(
        partial(surface.services.writer.set_status, (write,), caller), caller
    )
    result = result_json(1, written[0])
    if problem := refusal(result):
        return problem_response(request, problem)
    if change.embargoed is not None:
        result["embargoed"] = rfc3339(change.embargoed)
    data: dict[str, Any] = {"items": [result]}
    if not write.hides and (behind := await covered(surface, caller, surface.writes)):
        data["degraded"] = [behind]
    body_of_it = base(request, org_name=caller.name, data=data)
    return Json(body_of_it, status_code=single_status(result))
