"""Routes of the models: `/v1/embeddings` and `/v1/models` in OpenAI's shape, `/v1/rerank`,
`/v2/rerank`, `/v1/embed` and `/v2/embed` in Cohere's, and `/v1/tag`, our own.

Answers have the published shapes, without the envelope of the other routes, and so have refusals
(`refusals.py`). The header `x-model-digest` of each answer identifies the model's files.
"""

from __future__ import annotations

from fastapi import APIRouter, Depends, Request

from api import contract
from api.access.callers import ModelCallerDep, SurfaceDep
from api.access.checks import no_parameters
from api.envelope import Json, request_id
from api.models.asked import answer, computed, read
from api.models.bodies import (
    CohereRefusal,
    EmbedAnswer,
    EmbedBody,
    EmbeddingsAnswer,
    EmbeddingsBody,
    ListedModel,
    ModelsAnswer,
    OpenAiRefusal,
    RerankAnswer,
    RerankBody,
    TagAnswer,
    TagBody,
)
from api.models.names import found, named
from api.models.work import described, embed, embed_by_type, listed, rerank, tag

router = APIRouter(tags=["models"], dependencies=[Depends(no_parameters)])
_ERRORS = (400, 401, 403, 404, 408, 413, 415, 503)
_EMBED_V1 = "/v1/embed"


@router.get(
    "/v1/models",
    summary="Which models are here",
    response_model=None,
    responses=contract.answers(ModelsAnswer, 400, 401, 403, error=OpenAiRefusal),
)
async def list_models(surface: SurfaceDep, _: ModelCallerDep) -> Json:
    """Every model that clients can ask, with its task and the digest of its files."""
    return Json(listed(surface.services.models))


@router.get(
    "/v1/models/{model:path}",
    summary="One model",
    response_model=None,
    responses=contract.answers(ListedModel, 400, 401, 403, 404, error=OpenAiRefusal),
)
async def one_model(model: str, surface: SurfaceDep, _: ModelCallerDep) -> Json:
    """OpenAI's shape. A hub's name with its owner, and a usual name of OpenAI's or Cohere's, give
    the model that answers to it.
    """
    models = surface.services.models
    served = found(models, model)
    return answer(described(models, served), served.digest)


@router.post(
    "/v1/embeddings",
    summary="Texts to unit vectors",
    **contract.reading(EmbeddingsBody, EmbeddingsAnswer, *_ERRORS, error=OpenAiRefusal),
)
async def embeddings(request: Request, surface: SurfaceDep, caller: ModelCallerDep) -> Json:
    """OpenAI's shape. Vectors have unit norm. A text that is longer than the model reads is cut;
    `warnings` says so, and names empty texts, and members that were not read.
    """
    body = await read(request, surface, EmbeddingsBody)
    served = named(surface.services.models, "encoder", body.model)
    return answer(await computed(surface, caller, served, body, embed), served.digest)


@router.post(
    "/v2/embed",
    summary="Texts to unit vectors, in Cohere's shape",
    **contract.reading(EmbedBody, EmbedAnswer, *_ERRORS, error=CohereRefusal),
)
@router.post(
    _EMBED_V1,
    summary="Texts to unit vectors, in the shape of Cohere's first version",
    **contract.reading(EmbedBody, EmbedAnswer, *_ERRORS, error=CohereRefusal),
)
async def embed_texts(request: Request, surface: SurfaceDep, caller: ModelCallerDep) -> Json:
    """Cohere's shape, for texts. The first version gives a bare list if no type is named."""
    body = await read(request, surface, EmbedBody)
    served = named(surface.services.models, "encoder", body.model)
    content = await computed(surface, caller, served, body, embed_by_type)
    if request.scope["route"].path == _EMBED_V1 and body.embedding_types is None:
        bare = content["embeddings"]["float"]
        content = {**content, "embeddings": bare, "response_type": "embeddings_floats"}
    return answer({"id": request_id(request), **content}, served.digest)


@router.post(
    "/v1/rerank",
    summary="Documents by relevance to a query",
    **contract.reading(RerankBody, RerankAnswer, *_ERRORS, error=CohereRefusal),
)
@router.post(
    "/v2/rerank",
    summary="Documents by relevance to a query, at the address of Cohere's second version",
    **contract.reading(RerankBody, RerankAnswer, *_ERRORS, error=CohereRefusal),
)
async def rerank_documents(request: Request, surface: SurfaceDep, caller: ModelCallerDep) -> Json:
    """Cohere's shape. `meta.warnings` says what was not read to the end, or is empty."""
    body = await read(request, surface, RerankBody)
    served = named(surface.services.models, "reranker", body.model)
    content = await computed(surface, caller, served, body, rerank)
    return answer({"id": request_id(request), **content}, served.digest)


@router.post(
    "/v1/tag",
    summary="Names in texts",
    **contract.reading(TagBody, TagAnswer, *_ERRORS),
)
async def tag_texts(request: Request, surface: SurfaceDep, caller: ModelCallerDep) -> Json:
    """People, organisations, places and other names, with offsets in characters."""
    body = await read(request, surface, TagBody)
    served = named(surface.services.models, "tagger", body.model)
    return answer(await computed(surface, caller, served, body, tag), served.digest)
