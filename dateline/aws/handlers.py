"""Handlers for Lambda: names in texts, vectors of texts, and orders for what S3 tells.

What a handler needs is loaded as the function starts, when Lambda gives it a whole processor. An
event is the request's body itself, or comes from a function's URL or a gateway, which want an
answer of HTTP. Only /tmp can be written there, and it does not last: `s3_events` therefore needs
the setting work_url, and leaves decoding to workers.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Callable, Mapping
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar

import orjson
from pydantic import BaseModel, ValidationError

from api.models.bodies import EmbeddingsBody, TagBody
from api.models.names import named
from api.models.served_models import ServedModels
from api.models.work import embed as embedded
from api.models.work import tag as tagged
from api.problems import ParameterError, problem_of
from core.errors import DatelineError, InputError
from core.observation import UNWATCHED
from core.work import Priority
from dateline.build.models.runtimes import open_encoder, open_tagger
from dateline.build.models.served import served_models
from dateline.settings import Settings, configure

if TYPE_CHECKING:
    from dateline.build.media.desk import Desk
    from indexing.work.request import Request

_MOST_TOKENS = 64 * 1024  # of one call
_SQS = "aws:sqs"
Body = TypeVar("Body", bound=BaseModel)
Tree = Mapping[str, Any]


def tag(event: Tree, context: object = None) -> dict[str, Any]:
    """Return the names in texts: the body and the answer are those of `POST /v1/tag`."""
    return _answered(event, TagBody, _tag)


def embed(event: Tree, context: object = None) -> dict[str, Any]:
    """Return vectors of texts: body and answer are those of `POST /v1/embeddings`."""
    return _answered(event, EmbeddingsBody, _embed)


def s3_events(event: Tree, context: object = None) -> dict[str, Any]:
    """Order the photos and videos of S3's events, which come in messages of SQS or directly. Return
    the messages that SQS shall give again, in the form that Lambda expects; a direct event that
    fails raises, so that Lambda tries it again.
    """
    records = event.get("Records")
    messages = [one for one in records or () if one.get("eventSource") == _SQS]
    if not messages:
        return {"ordered": _ordered(event), "batchItemFailures": []}
    ordered, failed = 0, list[dict[str, str]]()
    for message in messages:
        try:
            ordered += _ordered(message["body"])
        except DatelineError as error:
            print(f"message {message['messageId']} stays: {error}")  # noqa: T201 - Lambda's log
            failed.append({"itemIdentifier": message["messageId"]})
    return {"ordered": ordered, "batchItemFailures": failed}


def _tag(body: TagBody) -> dict[str, Any]:
    return tagged(named(_tagger(), "tagger", body.model), body, _MOST_TOKENS)


def _embed(body: EmbeddingsBody) -> dict[str, Any]:
    return embedded(named(_encoder(), "encoder", body.model), body, _MOST_TOKENS)


@cache
def _settings() -> Settings:
    folder = {} if "DATELINE_DATA" in os.environ else {"data": "/tmp/dateline"}  # noqa: S108
    return configure(folder).settings


@cache
def _tagger() -> ServedModels:
    settings = _settings()
    tagger = open_tagger(settings, settings.tagger, UNWATCHED)
    return served_models(settings, None, tagger, None, ())


@cache
def _encoder() -> ServedModels:
    settings = _settings()
    encoder = open_encoder(settings, settings.encoder, UNWATCHED)
    return served_models(settings, encoder, None, None, ())


@cache
def _desk() -> Desk:
    from dateline.build.media.desk import open_desk

    return open_desk(_settings())


def _open_arrivals() -> None:
    _desk()
    import_module("s3fs")  # half of the first answer's time, if that had to load it


def _ordered(event: str | Tree) -> int:
    from indexing.work.sources.s3_events import found_in
    from indexing.work.sources.stores import FileStores
    from indexing.work.stages.reading import order_found

    found = found_in(event, _settings().default_products, FileStores())
    if found:
        desk = _desk()
        job = desk.desk.follow(_request(), Priority.WIRE)
        order_found(desk.jobs, job, found)
    return len(found)


def _request() -> Request:
    from indexing.work.request import Request

    name = os.environ.get("AWS_LAMBDA_FUNCTION_NAME", "s3-events")
    return Request((f"lambda://{name}",), (), _settings().default_products)


def _answered(
    event: Tree, kind: type[Body], work: Callable[[Body], dict[str, Any]]
) -> dict[str, Any]:
    if "requestContext" not in event:
        return _plain(work(_body(event, kind)))
    try:
        return _http(200, _plain(work(_body(_sent(event), kind))))
    except DatelineError as error:
        told = problem_of(error)
        problem = {"code": told.code, "message": told.message, "mend": told.mend}
        return _http(told.status, {"error": {**problem, "field": told.field}})


def _sent(event: Tree) -> Tree:
    """Return the JSON object that a client sent by HTTP. Raises InputError."""
    text = event.get("body") or ""
    try:
        data = base64.b64decode(text) if event.get("isBase64Encoded") else text
        found = orjson.loads(data)
    except ValueError as error:
        raise InputError("The body is no JSON.", mend="Send one JSON object in UTF-8.") from error
    if not isinstance(found, dict):
        raise InputError("The body must be one JSON object.")
    return found


def _body(sent: Tree, kind: type[Body]) -> Body:
    """Return what was sent, checked. Raises ParameterError."""
    try:
        return kind.model_validate(sent)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"])[:80]
        known = ", ".join(kind.model_fields)
        raise ParameterError(
            f"{field} is wrong: {first['msg']}", field=field, mend=f"The members are {known}."
        ) from error


def _plain(tree: dict[str, Any]) -> dict[str, Any]:
    """Return plain values: Lambda's client writes no arrays."""
    plain: dict[str, Any] = orjson.loads(orjson.dumps(tree, option=orjson.OPT_SERIALIZE_NUMPY))
    return plain


def _http(status: int, tree: dict[str, Any]) -> dict[str, Any]:
    body = orjson.dumps(tree).decode()
    headers = {"content-type": "application/json"}
    return {"statusCode": status, "headers": headers, "body": body}


def _load_early() -> None:
    """Load what the function's handler needs; a setting that is missing fails the start."""
    name = os.environ.get("_HANDLER", "").rpartition(".")[2]
    early: Mapping[str, Callable[[], object]]
    early = {"tag": _tagger, "embed": _encoder, "s3_events": _open_arrivals}
    if name in early:
        early[name]()


_load_early()
