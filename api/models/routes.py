"""Routes of the models: `/v1/embeddings`, `/v1/rerank`, `/v1/tag` and `/v1/models`.

Answers have the published shapes, without the envelope of the other routes; errors are the same
problems as everywhere. The header `x-model-digest` of each answer identifies the model's files.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from fastapi import APIRouter, Depends, Request

from api import contract
from api.access.callers import ModelCallerDep, Surface, SurfaceDep
from api.access.checks import no_parameters, read_model
from api.envelope import Json, request_id
from api.models.bodies import (
    EmbeddingsAnswer,
    EmbeddingsBody,
    ModelBody,
    ModelsAnswer,
    RerankAnswer,
    RerankBody,
    TagAnswer,
    TagBody,
)
from api.models.served_models import Port, Served
from api.models.work import embed, listed, rerank, tag
from api.problems import ModelAbsentError, UnknownModelError
from core.callers import Caller

DIGEST_HEADER = "x-model-digest"
router = APIRouter(tags=["models"], dependencies=[Depends(no_parameters)])
_ERRORS = (400, 401, 403, 404, 408, 413, 415, 503)
Body = TypeVar("Body", bound=ModelBody)


@router.get(
    "/v1/models",
    summary="Which models are here",
    response_model=None,
    responses=contract.answers(ModelsAnswer, 400, 401, 403),
)
async def list_models(surface: SurfaceDep, _: ModelCallerDep) -> Json:
    """Every model that clients can ask, with its task and the digest of its files."""
    return Json(listed(surface.services.models))


@router.post(
    "/v1/embeddings",
    summary="Texts to unit vectors",
    response_model=None,
    responses=contract.answers(EmbeddingsAnswer, *_ERRORS),
    openapi_extra=contract.body_of(EmbeddingsBody),
)
async def embeddings(request: Request, surface: SurfaceDep, caller: ModelCallerDep) -> Json:
    """OpenAI's shape. Vectors have unit norm. A text that is longer than the model reads is cut;
    `warnings` says so, and names empty texts.
    """
    served = surface.services.models.encoder
    answer, digest = await _computed(
        request, surface, caller, "encoder", served, EmbeddingsBody, embed
    )
    return _answer(answer, digest)


@router.post(
    "/v1/rerank",
    summary="Documents by relevance to a query",
    response_model=None,
    responses=contract.answers(RerankAnswer, *_ERRORS),
    openapi_extra=contract.body_of(RerankBody),
)
async def rerank_documents(request: Request, surface: SurfaceDep, caller: ModelCallerDep) -> Json:
    """Cohere's shape. `meta.warnings` says what was not read to the end, or is empty."""
    served = surface.services.models.scorer
    answer, digest = await _computed(
        request, surface, caller, "reranker", served, RerankBody, rerank
    )
    return _answer({"id": request_id(request), **answer}, digest)


@router.post(
    "/v1/tag",
    summary="Names in texts",
    response_model=None,
    responses=contract.answers(TagAnswer, *_ERRORS),
    openapi_extra=contract.body_of(TagBody),
)
async def tag_texts(request: Request, surface: SurfaceDep, caller: ModelCallerDep) -> Json:
    """People, organisations, places and other names, with offsets in characters."""
    served = surface.services.models.tagger
    answer, digest = await _computed(request, surface, caller, "tagger", served, TagBody, tag)
    return _answer(answer, digest)


async def _computed(
    request: Request,
    surface: Surface,
    caller: Caller,
    role: str,
    served: Served[Port] | None,
    kind: type[Body],
    work: Callable[[Served[Port], Body, int], dict[str, Any]],
) -> tuple[dict[str, Any], str]:
    """Return what `work` makes of the request's body with the model that serves `role`, in a thread
    of the models' pool; and the digest of that model. Raises the errors of `read_model` and
    `_named`.
    """
    services = surface.services
    settings = services.settings
    body = await read_model(request, kind, settings.max_body_bytes, settings.body_timeout_seconds)
    model = _named(served, body.model, role, services.models.missing.get(role, ""))
    limit = settings.max_model_tokens
    return await surface.models.run(partial(work, model, body, limit), caller), model.digest


def _named(served: Served[Port] | None, asked: str, role: str, reason: str) -> Served[Port]:
    """Return the model for a task; raises UnknownModelError (404) or ModelAbsentError (503)."""
    if served is None and reason:
        raise ModelAbsentError(
            f"The {role} of this service could not be loaded.",
            mend="Tell its operator; `dateline doctor` says why.",
        )
    if served is None:
        raise UnknownModelError(
            f"This service runs no {role}.",
            mend=f"Its operator can name one in the setting {role}; GET /v1/models lists the rest.",
        )
    if asked and asked != served.name:
        raise UnknownModelError(
            f"There is no {role} '{asked[:80]}' here.",
            mend=f"Use '{served.name}', or leave model out.",
        )
    return served


def _answer(content: object, digest: str) -> Json:
    return Json(content, headers={DIGEST_HEADER: digest})
