"""What SageMaker asks of a container: `/ping`, `/execution-parameters` and `/invocations`.

An endpoint, an asynchronous endpoint and a batch transform send the same request. Its content type
says for which model it is; for plain JSON, the custom attribute `task` or the members of the body
say so. No key is asked for: SageMaker checks who calls by IAM, and nobody else reaches the
container. So these routes exist only in a service that was started for SageMaker.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import orjson
from fastapi import APIRouter, Request
from pydantic import BaseModel
from starlette.responses import Response

from api.access.bodies import JSON, parse_object, read_body
from api.access.callers import SurfaceDep
from api.access.checks import model_of
from api.envelope import Json, base, problem_response
from api.models.bodies import EmbeddingsBody, RerankBody, TagBody
from api.models.frames import NPY, array_of, npy_of
from api.models.names import named, of_role
from api.models.served_models import ServedModels
from api.models.work import embed, rerank, tag
from api.problems import (
    BodyTooLargeError,
    MediaTypeError,
    ModelAbsentError,
    ParameterError,
    Problem,
    UnknownModelError,
    problem_of,
)
from core.callers import Caller
from core.errors import DatelineError
from core.threads import Threads

ATTRIBUTES = "x-amzn-sagemaker-custom-attributes"
LINES = "application/jsonlines"
MOST_LINES = 10_000
_LINES_AT_ONCE = 8  # they wait for one another in the model's queue, which makes batches of them
_LONGEST_ATTRIBUTES = 1024  # characters, SageMaker's bound
_SAGEMAKER = Caller("sagemaker", frozenset(), may_use_models=True)

router = APIRouter(tags=["sagemaker"])


@dataclass(frozen=True, slots=True)
class _Task:
    """Work of a model on a JSON object. `member` is in the bodies of this task alone."""

    role: str
    body: type[BaseModel]
    work: Callable[[Any, Any, int], dict[str, Any]]
    member: str


TASKS = {
    "embeddings": _Task("encoder", EmbeddingsBody, embed, "input"),
    "rerank": _Task("reranker", RerankBody, rerank, "documents"),
    "tag": _Task("tagger", TagBody, tag, "texts"),
}
_BY_TYPE = {f"application/vnd.dateline.{name}+json": name for name in TASKS}


@dataclass(frozen=True, slots=True)
class _Asked:
    """An invocation: its content type, its custom attributes and its body."""

    kind: str
    attributes: Mapping[str, str]
    body: bytes
    accepts: str


@dataclass(frozen=True, slots=True)
class _Answer:
    """An answer's body, its content type and the name and digest of the model that made it."""

    body: bytes
    kind: str
    model: str = ""
    digest: str = ""


@router.get("/ping", summary="Is every model here?", response_model=None)
async def ping(request: Request, surface: SurfaceDep) -> Response:
    """200 if every named model runs; else 503, with each missing one and the reason."""
    models = surface.services.models
    if not models.missing:
        return Json(base(request, data={"serves": served_types(models)}))
    said = "; ".join(models.missing.values())
    mend = "Put the model into model.tar.gz: `dateline models package`."
    return problem_response(request, Problem(503, "model_missing", said, mend))


@router.get("/execution-parameters", summary="How a batch transform sends", response_model=None)
async def execution_parameters(surface: SurfaceDep) -> Json:
    """What SageMaker asks before a batch transform that does not say it."""
    settings = surface.services.settings
    return Json(
        {
            "MaxConcurrentTransforms": settings.max_concurrent_models,
            "BatchStrategy": "MULTI_RECORD",
            "MaxPayloadInMB": max(1, settings.max_body_bytes // 2**20),
        }
    )


@router.post("/invocations", summary="Ask a model", response_model=None)
async def invocations(request: Request, surface: SurfaceDep) -> Response:
    """One JSON object, lines of them, or an array of frames. In lines, a bad one gets its error in
    its own line, and the others their answers.
    """
    services, settings = surface.services, surface.services.settings
    kind = _content_type(request, services.models)
    attributes = attributes_of(request.headers.get(ATTRIBUTES, ""))
    body = await read_body(request, settings.max_body_bytes, settings.body_timeout_seconds)
    asked = _Asked(kind, attributes, body, request.headers.get("accept", ""))
    work = partial(_answered, services.models, asked, settings.max_model_tokens)
    answer = await surface.models.run(work, _SAGEMAKER)
    told = {"model": answer.model, "digest": answer.digest, "id": attributes.get("id", "")}
    written = ",".join(f"{name}={value}" for name, value in told.items() if value)
    headers = {ATTRIBUTES: written} if written else {}
    return Response(answer.body, headers={**headers, "content-type": answer.kind})


def served_types(models: ServedModels) -> list[str]:
    """Return the content types that have a model here."""
    found = [kind for kind, name in _BY_TYPE.items() if _is_named(models, TASKS[name].role)]
    shared = [JSON, LINES] if found else []
    return [*shared, *found, *([NPY] if _is_named(models, "shots") else [])]


def attributes_of(text: str) -> dict[str, str]:
    """Return the custom attributes: `name=value`, by commas. Others than task, model and id are the
    client's own and not read. Raises ParameterError.
    """
    if len(text) > _LONGEST_ATTRIBUTES or not (text.isascii() and text.isprintable()):
        raise ParameterError(
            f"{ATTRIBUTES} is not at most {_LONGEST_ATTRIBUTES} printable ASCII characters.",
            field=ATTRIBUTES,
            mend="Write name=value, by commas.",
        )
    pairs = (part.partition("=") for part in text.split(","))
    return {name.strip(): value.strip() for name, _, value in pairs}


def _content_type(request: Request, models: ServedModels) -> str:
    """Return the content type. Raises MediaTypeError, which names all that have a model here."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    served = served_types(models)
    if kind in served and request.headers.get("content-encoding", "identity") == "identity":
        return kind
    said = f"The content type '{kind[:80]}' has no model here." if kind else "No content type."
    raise MediaTypeError(said, mend=f"Served here, uncompressed: {', '.join(served)}.")


def _is_named(models: ServedModels, role: str) -> bool:
    found = models.shots if role == "shots" else of_role(models, role)
    return found is not None or role in models.missing


def _answered(models: ServedModels, asked: _Asked, limit: int) -> _Answer:
    if asked.kind == NPY:
        return _transitions(models, asked)
    if asked.kind == LINES:
        return _lines(models, asked, limit)
    task = _BY_TYPE.get(asked.kind) or asked.attributes.get("task", "")
    found, served = _worked(models, parse_object(asked.body), task, asked.attributes, limit)
    return _Answer(orjson.dumps(found, option=orjson.OPT_SERIALIZE_NUMPY), JSON, *served)


def _worked(
    models: ServedModels,
    sent: Mapping[str, Any],
    name: str,
    attributes: Mapping[str, str],
    limit: int,
) -> tuple[dict[str, Any], tuple[str, str]]:
    """Return the answer to one object, and the name and the digest of its model."""
    task = TASKS.get(name or _told_by(sent))
    if task is None:
        raise ParameterError(
            f"There is no task '{name[:40]}'.", field="task", mend=f"One of {', '.join(TASKS)}."
        )
    if "model" in attributes:
        sent = {"model": attributes["model"], **sent}
    body: Any = model_of(sent, task.body)
    served = named(models, task.role, body.model)
    return task.work(served, body, limit), (served.name, served.digest)


def _told_by(sent: Mapping[str, Any]) -> str:
    """Return the one task whose member the request has. Raises ParameterError for none or two."""
    found = [name for name, task in TASKS.items() if task.member in sent]
    if len(found) == 1:
        return found[0]
    members = ", ".join(f"{task.member} ({name})" for name, task in TASKS.items())
    raise ParameterError(
        "The task can't be told.",
        field="task",
        mend=f"Send one of {members}, the content type of the task, or the attribute task.",
    )


def _lines(models: ServedModels, asked: _Asked, limit: int) -> _Answer:
    """Return one line for each line, in order."""
    lines = [line for line in asked.body.split(b"\n") if line.strip()]
    if len(lines) > MOST_LINES:
        raise BodyTooLargeError(
            f"There are {len(lines):,} lines; {MOST_LINES:,} are taken at once.",
            mend="Send fewer; a batch transform sends fewer with a smaller MaxPayloadInMB.",
        )
    task = asked.attributes.get("task", "")

    def answered(line: bytes) -> bytes:
        try:
            found, _ = _worked(models, parse_object(line), task, asked.attributes, limit)
        except DatelineError as error:
            return _refused(error)
        return orjson.dumps(found, option=orjson.OPT_SERIALIZE_NUMPY)

    with Threads(min(_LINES_AT_ONCE, max(1, len(lines))), "lines") as threads:
        answers: Sequence[bytes] = list(threads.map(answered, lines))
    return _Answer(b"".join(answer + b"\n" for answer in answers), LINES)


def _refused(error: DatelineError) -> bytes:
    told = problem_of(error)
    found = {"status": told.status, "code": told.code, "message": told.message, "mend": told.mend}
    return orjson.dumps({"error": found})


def _transitions(models: ServedModels, asked: _Asked) -> _Answer:
    """Return the probabilities, float32 [n, 2 * t]: as an array if the client accepts one, else as
    JSON.
    """
    served, asked_for = models.shots, asked.attributes.get("model", "")
    if served is None:
        raise ModelAbsentError("The shot detector could not be loaded.", mend="See /ping.")
    if asked_for not in ("", served.name):
        raise UnknownModelError(
            f"There is no shot detector '{asked_for[:80]}' here.", mend=f"Use '{served.name}'."
        )
    found = served.port.transitions(array_of(asked.body))
    if NPY in asked.accepts:
        return _Answer(npy_of(found), NPY, served.name, served.digest)
    tree = {"model": served.name, "transitions": list(found)}
    body = orjson.dumps(tree, option=orjson.OPT_SERIALIZE_NUMPY)
    return _Answer(body, JSON, served.name, served.digest)
