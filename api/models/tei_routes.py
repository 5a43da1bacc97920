"""Routes of text-embeddings-inference: `/embed`, `/rerank`, `/predict`, `/tokenize`, `/decode` and
`/info`, with the answers and the refusals of its OpenAPI document.

That server runs one model; here the encoder embeds and tokenises, the reranker reads pairs, and the
tagger classifies single texts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from fastapi import APIRouter, Depends, Request

from api import contract
from api.access.callers import ModelCallerDep, SurfaceDep
from api.access.checks import no_parameters
from api.envelope import API_VERSION, Json
from api.models import tei_work
from api.models.asked import answer, computed, read
from api.models.names import named
from api.models.served_models import Served
from api.models.tei_bodies import (
    DecodeBody,
    Decoded,
    Info,
    Predictions,
    Ranks,
    TeiEmbedBody,
    TeiPredictBody,
    TeiRefusal,
    TeiRerankBody,
    TokenizeBody,
    Tokens,
    Vectors,
)

router = APIRouter(tags=["models"], dependencies=[Depends(no_parameters)])
_ERRORS = (400, 401, 403, 408, 413, 415, 422, 424)


@router.get(
    "/info",
    summary="What runs here, for clients of text-embeddings-inference",
    response_model=None,
    responses=contract.answers(Info, 401, 403, 422, 424, error=TeiRefusal),
)
async def model_info(surface: SurfaceDep, _: ModelCallerDep) -> Json:
    """The encoder, or without one the reranker or the tagger. GET /v1/models lists all of them."""
    services = surface.services
    settings = services.settings
    tokens, requests = settings.max_model_tokens, settings.max_concurrent_models
    return Json(tei_work.info(services.models, tokens, requests, API_VERSION))


@router.post(
    "/",
    summary="The same as /embed, where clients post to the bare address",
    **contract.reading(TeiEmbedBody, Vectors, *_ERRORS, error=TeiRefusal),
)
@router.post(
    "/embed",
    summary="Texts to unit vectors, as text-embeddings-inference does it",
    **contract.reading(TeiEmbedBody, Vectors, *_ERRORS, error=TeiRefusal),
)
async def embed(request: Request, surface: SurfaceDep, caller: ModelCallerDep) -> Json:
    """A list of vectors in the order of `inputs`."""
    body = await read(request, surface, TeiEmbedBody)
    served = named(surface.services.models, "encoder")
    return answer(await computed(surface, caller, served, body, tei_work.embed), served.digest)


@router.post(
    "/rerank",
    summary="Texts by relevance to a query, as text-embeddings-inference does it",
    **contract.reading(TeiRerankBody, Ranks, *_ERRORS, error=TeiRefusal),
)
async def rerank(request: Request, surface: SurfaceDep, caller: ModelCallerDep) -> Json:
    """A list of indexes and scores, the most relevant first."""
    body = await read(request, surface, TeiRerankBody)
    served = named(surface.services.models, "reranker")
    return answer(await computed(surface, caller, served, body, tei_work.rerank), served.digest)


@router.post(
    "/predict",
    summary="Labels of texts and of pairs, as text-embeddings-inference does it",
    **contract.reading(TeiPredictBody, Predictions, *_ERRORS, error=TeiRefusal),
)
async def predict(request: Request, surface: SurfaceDep, caller: ModelCallerDep) -> Json:
    """A pair gets the reranker's score of its second text for the first. A single text gets, for
    each kind of name, the score of the surest name that the tagger finds in it.
    """
    sent = await read(request, surface, TeiPredictBody)
    models = surface.services.models
    kinds: dict[int, tuple[str, Callable[[Served[Any], TeiPredictBody, int], list[Any]]]] = {
        1: ("tagger", tei_work.predict_names),
        2: ("reranker", tei_work.predict_pairs),
    }
    found: dict[int, Iterator[Any]] = {}
    digest = ""
    for size in sorted({len(texts) for texts in sent.inputs}):
        role, work = kinds[size]
        served = named(models, role)
        found[size] = iter(await computed(surface, caller, served, sent, work))
        digest = served.digest
    labels = [next(found[len(texts)]) for texts in sent.inputs]
    return answer(labels[0] if sent.bare else labels, digest)


@router.post(
    "/tokenize",
    summary="Texts to tokens, as text-embeddings-inference does it",
    **contract.reading(TokenizeBody, Tokens, *_ERRORS, error=TeiRefusal),
)
async def tokenize(request: Request, surface: SurfaceDep, caller: ModelCallerDep) -> Json:
    """The tokens of each text by the encoder's tokenizer, with places in characters."""
    body = await read(request, surface, TokenizeBody)
    _, served = tei_work.shown(surface.services.models)
    return answer(await computed(surface, caller, served, body, tei_work.tokenize), served.digest)


@router.post(
    "/decode",
    summary="Tokens to texts, as text-embeddings-inference does it",
    **contract.reading(DecodeBody, Decoded, *_ERRORS, error=TeiRefusal),
)
async def decode(request: Request, surface: SurfaceDep, caller: ModelCallerDep) -> Json:
    """The text of each list of token numbers by the encoder's tokenizer."""
    body = await read(request, surface, DecodeBody)
    _, served = tei_work.shown(surface.services.models)
    return answer(await computed(surface, caller, served, body, tei_work.decode), served.digest)
