"""`GET /v1/media/{rendition}/{item_id}`: thumbnails, previews, stills of shots, and originals.

Every request asks the record of truth. What the key may not see at this moment, because it is
killed, embargoed, superseded or not in the key's products, is not found. A long answer asks again
while it is sent, and stops when the item is gone.
"""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from functools import partial
from typing import Annotated, BinaryIO

from fastapi import APIRouter, Depends, Request, Security
from starlette.responses import Response, StreamingResponse

from api import contract
from api.access.callers import KEY_HEADER, Surface, SurfaceDep, admitted, caller_of, keys_for
from api.access.receipts import receiving
from api.content.byte_ranges import ByteRange, asked_range, same_version, unchanged
from api.content.media_links import ORIGINAL, PATH, PREVIEW, THUMBNAIL
from api.customers.ordering import order_rendition
from api.envelope import problem_response
from api.problems import RangeError, UnknownKeyError, problem_of
from core.callers import Caller
from core.errors import NotFoundError
from core.items import Item, MediaFile

router = APIRouter(tags=["media"])
CHUNK_BYTES = 256 * 1024
LOOK_AGAIN_SECONDS = 2.0
_PATH = f"{PATH}/{{rendition}}/{{item_id:path}}"
_SHOT = re.compile(r"shot-([1-9]\d{0,8})", re.ASCII)
# Types that a browser shows without running any of it; other types are downloads.
_SHOWN = re.compile(r"(?:image/(?:jpeg|png|gif|webp|avif|bmp|tiff)|video/[\w.+-]+|audio/[\w.+-]+)")
_STILL_TYPES = {"jpg": "image/jpeg", "png": "image/png", "webp": "image/webp"}


@dataclass(frozen=True, slots=True)
class _File:
    """An open file, its type, its size in bytes, and a name for exactly these bytes."""

    stream: BinaryIO
    mimetype: str
    size: int
    etag: str


async def media_caller_of(
    request: Request,
    surface: SurfaceDep,
    key: Annotated[str | None, Security(KEY_HEADER)],
    rendition: str,
    item_id: str,
) -> Caller:
    """Return the caller of the request's key, or else of its signature; raises UnknownKeyError."""
    if key:
        return await caller_of(request, surface, key)
    caller = surface.signer.caller(
        keys_for(request, surface), item_id, rendition, request.query_params
    )
    if caller is None:
        raise UnknownKeyError(
            "This address is not signed, or its signature has ended.",
            mend="Send your key in the header x-api-key, or take the address from a new answer.",
        )
    request.state.caller = caller.name
    return admitted(request, surface, caller)


@router.head(_PATH, include_in_schema=False, response_model=None)
@router.get(
    _PATH,
    summary="A picture, a still or a video, whole or in part",
    response_model=None,
    responses=contract.answers(None, 400, 401, 404, 416, 503)
    | {
        200: {"description": "The file", "content": {"image/jpeg": {}, "video/mp4": {}}},
        206: {"description": "The part of it that Range asks for"},
        304: {"description": "The client has it already"},
    },
)
async def read_media(
    request: Request,
    surface: SurfaceDep,
    caller: Annotated[Caller, Depends(media_caller_of)],
    rendition: str,
    item_id: str,
) -> Response:
    """`rendition` is `thumbnail`, `preview`, `original` or `shot-N`, with N from 1.

    The key is in the header, or the address is one from an answer: signed for its key, and valid
    for an hour. One range of bytes is served at a time.
    """
    file = await surface.media.run(partial(_open, surface, caller, item_id, rendition), caller)
    headers = _headers(file)
    if unchanged(request.headers.get("if-none-match", ""), file.etag):
        file.stream.close()
        return Response(status_code=304, headers=headers)
    wanted = request.headers.get("range", "")
    if not same_version(request.headers.get("if-range", ""), file.etag):
        wanted = ""
    try:
        part = asked_range(wanted, file.size)
    except RangeError as error:
        file.stream.close()
        size = {"content-range": f"bytes */{file.size}"}
        return problem_response(request, problem_of(error), size)
    headers["content-length"] = str(part.length)
    if part.partial:
        headers["content-range"] = f"bytes {part.start}-{part.end - 1}/{file.size}"
    status = 206 if part.partial else 200
    if request.method == "HEAD":
        file.stream.close()
        return Response(status_code=status, headers=headers)
    try:
        await surface.media.run(
            partial(_ordered, surface, caller, request, item_id, rendition), caller
        )
    except BaseException:
        file.stream.close()
        raise
    shown = partial(_still_shown, surface, caller, item_id, file)
    body = _sent(surface, caller, file, part, shown)
    return StreamingResponse(body, status_code=status, headers=headers)


def _ordered(surface: Surface, caller: Caller, request: Request, uri: str, rendition: str) -> None:
    """Keep the order of an account's original, once a period. Raises NotFoundError, and PriceError
    if it costs something that neither an earlier order nor the parameters `price` and `currency`
    acknowledge.
    """
    if rendition != ORIGINAL or not caller.customer:
        return
    item = surface.services.library.item(uri, caller)
    if item is None:
        raise _missing(uri)
    asked = request.query_params
    price, currency = asked.get("price", ""), asked.get("currency", "")
    order_rendition(surface.services, caller, item, rendition, price, currency, once=True)


def _headers(file: _File) -> dict[str, str]:
    headers = {
        "etag": file.etag,
        "accept-ranges": "bytes",
        "content-type": file.mimetype,
        # The browser keeps it but asks each time, because it may be gone by then.
        "cache-control": "private, no-cache",
    }
    if not _SHOWN.fullmatch(file.mimetype):
        headers["content-disposition"] = "attachment"
    return headers


def _open(surface: Surface, caller: Caller, uri: str, rendition: str) -> _File:
    """Return the file of a rendition that the caller may see now. Raises NotFoundError, with the
    same message whatever is missing.
    """
    item = surface.services.library.item(uri, caller)
    media = surface.services.media
    if item is None or item.media is None or media is None:
        raise _missing(uri)
    receiving(surface.services, caller, "media", synced=rendition == ORIGINAL)([item])
    try:
        if rendition == ORIGINAL:
            return _original(media.original(item.media), item.media)
        name = _still(item, rendition)
        stream = media.still(name) if name else None
    except NotFoundError as error:
        raise _missing(uri) from error
    if stream is None:
        raise _missing(uri)
    kind = _STILL_TYPES.get(name.rpartition(".")[2], "application/octet-stream")
    return _File(stream, kind, _size(stream), f'"{name}"')


def _still(item: Item, rendition: str) -> str:
    """Return the name of a still in the media store, "" for an unknown rendition."""
    assert item.media is not None
    if rendition in (THUMBNAIL, PREVIEW):
        return item.media.thumbnail if rendition == THUMBNAIL else item.media.preview
    found = _SHOT.fullmatch(rendition)
    number = int(found[1]) if found else 0
    return item.shots[number - 1].thumbnail if 1 <= number <= len(item.shots) else ""


def _original(stream: BinaryIO, media: MediaFile) -> _File:
    kind = media.mimetype if re.fullmatch(r"[\w.+-]+/[\w.+-]+", media.mimetype) else ""
    return _File(stream, kind or "application/octet-stream", _size(stream), f'"{media.digest}"')


def _size(stream: BinaryIO) -> int:
    size = stream.seek(0, 2)
    stream.seek(0)
    return size


def _still_shown(surface: Surface, caller: Caller, uri: str, file: _File) -> bool:
    """Return whether the caller may still see the item, and the file is still the item's own."""
    item = surface.services.library.item(uri, caller)
    if item is None or item.media is None:
        return False
    names = {item.media.digest, item.media.thumbnail, item.media.preview}
    names.update(shot.thumbnail for shot in item.shots)
    return file.etag.strip('"') in names


async def _sent(
    surface: Surface, caller: Caller, file: _File, part: ByteRange, shown: Callable[[], bool]
) -> AsyncIterator[bytes]:
    """Yield the part of the file in chunks. It ends early if the item is hidden meanwhile, has
    another file, or the file is shorter: the client sees a broken transfer, never the rest.
    """
    left, looked = part.length, time.monotonic()
    try:
        await surface.media.run(partial(file.stream.seek, part.start), caller)
        while left:
            if time.monotonic() - looked > LOOK_AGAIN_SECONDS:
                if not await surface.media.run(shown, caller):
                    return
                looked = time.monotonic()
            read = partial(file.stream.read, min(CHUNK_BYTES, left))
            chunk = await surface.media.run(read, caller)
            if not chunk:
                return
            left -= len(chunk)
            yield chunk
    finally:
        # Closing waits for a read that is in progress, which the event loop must not do.
        surface.media.leave(file.stream.close)


def _missing(uri: str) -> NotFoundError:
    return NotFoundError(
        f"There is no such rendition of '{uri[:200]}' for this key.",
        mend="The item's member renditions lists those that there are.",
    )
