"""Answers checked requests with a model: runs in a pool's thread and returns plain values.

Lengths are measured before the model runs. Too much text is refused without work, and what a model
does not read to the end is reported.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from api.models.bodies import EmbedBody, EmbeddingsBody, RerankBody, TagBody
from api.models.names import OPENAI_NAMES, notes
from api.models.served_models import Served, ServedModels
from api.problems import BodyTooLargeError, ParameterError
from core.errors import ModelError
from core.items import FloatMatrix
from core.ports.models import (
    BoundedScorer,
    PairScorer,
    PairsReading,
    Reading,
    ScoreLimits,
    Tagger,
    TextEncoder,
)

_NAMED = 10  # a warning names at most this many inputs and counts the rest
_COHERE_VERSION = "2"
Readings = Sequence[Reading]


def listed(models: ServedModels) -> dict[str, Any]:
    """Return the models in OpenAI's list."""
    every = (models.encoder, models.tagger, models.scorer)
    data = [described(models, served) for served in every if served is not None]
    return {"object": "list", "data": data}


def described(models: ServedModels, served: Served[Any]) -> dict[str, Any]:
    """Return a model as OpenAI's object, with what a client must know to share its vectors."""
    tasks = ((models.encoder, "encode"), (models.tagger, "tag"), (models.scorer, "score"))
    return {
        "id": served.name,
        "object": "model",
        "created": 0,
        "owned_by": "dateline",
        "task": next(task for one, task in tasks if one is served),
        "digest": served.digest,
        "max_tokens": served.longest,
        "dimension": served.dimension,
    }


def embed(served: Served[TextEncoder], body: EmbeddingsBody, limit: int) -> dict[str, Any]:
    """Return OpenAI's answer; raises ParameterError, BodyTooLargeError and the encoder's errors."""
    check_dimension(served, "dimensions", body.dimensions)
    texts = as_texts(served, body.input, body.model)
    vectors, measured = vectors_of(served, texts, body.input_type == "query", limit)
    in_base64 = body.encoding_format == "base64"
    shown = _in_base64(vectors) if in_base64 else list(vectors)
    return {
        "object": "list",
        "data": [
            {"object": "embedding", "index": index, "embedding": vector}
            for index, vector in enumerate(shown)
        ],
        "model": served.name,
        "usage": _usage(measured),
        "warnings": [
            *notes(served, body),
            *_warnings(measured, "input"),
            *_empty(texts, "input"),
        ],
    }


def embed_by_type(served: Served[TextEncoder], body: EmbedBody, limit: int) -> dict[str, Any]:
    """Return Cohere's answer without its id; raises ParameterError, BodyTooLargeError and the
    encoder's errors.
    """
    check_dimension(served, "output_dimension", body.output_dimension)
    texts: Sequence[str] = body.texts
    if body.truncate == "START":
        texts = served.meter.ending(texts)
    queries = body.input_type == "search_query"
    if body.truncate == "NONE":
        check_whole(served, served.meter.measure(texts, queries=queries), "texts")
    vectors, measured = vectors_of(served, texts, queries, limit)
    kinds = body.embedding_types or ["float"]
    return {
        "embeddings": {
            kind: _in_base64(vectors) if kind == "base64" else list(vectors) for kind in kinds
        },
        "texts": body.texts,
        "meta": {
            "api_version": {"version": _COHERE_VERSION},
            "billed_units": {"input_tokens": _tokens(measured)},
            "warnings": [
                *notes(served, body),
                *_warnings(measured, "text"),
                *_empty(body.texts, "text"),
            ],
        },
        "response_type": "embeddings_by_type",
    }


def vectors_of(
    served: Served[TextEncoder], texts: Sequence[str], queries: bool, limit: int
) -> tuple[FloatMatrix, Readings]:
    """Return unit vectors, float32 [n, d], and how each text was read; raises BodyTooLargeError and
    the encoder's errors.
    """
    measured = bounded(served.meter.measure(texts, queries=queries), limit)
    encode = served.port.encode_queries if queries else served.port.encode_passages
    return np.ascontiguousarray(finite(encode(texts), served.name)), measured


def as_texts(
    served: Served[Any], inputs: Sequence[str | tuple[int, ...]], asked: str = ""
) -> tuple[str, ...]:
    """Return the inputs as texts, those in token numbers too. Raises InputError for a number that
    is not in the model's vocabulary, and ParameterError for numbers of another model's.
    """
    if asked in OPENAI_NAMES and not all(isinstance(each, str) for each in inputs):
        raise ParameterError(
            f"input has token numbers of {asked}, which mean something else to {served.name}.",
            field="input",
            mend=f"Send text, or name '{served.name}' and send numbers of its own tokenizer. In "
            "LangChain, set check_embedding_ctx_length=False.",
        )
    return tuple(each if isinstance(each, str) else served.meter.text_of(each) for each in inputs)


def check_dimension(served: Served[Any], field: str, asked: int | None) -> None:
    """Raise ParameterError for a dimension that the model does not give."""
    if asked not in (None, served.dimension):
        raise ParameterError(
            f"{field} should be {served.dimension}, which is all that {served.name} gives.",
            field=field,
            mend="Leave it out.",
        )


def check_whole(served: Served[Any], readings: Readings, field: str) -> None:
    """Raise ParameterError if a text is longer than the model reads."""
    if places := _truncated(readings):
        raise ParameterError(
            f"{field} {_listed(places)} (counted from 0) are longer than the {served.longest} "
            f"tokens that {served.name} reads.",
            field=field,
            mend="Send less of them, or let them be cut with truncate.",
        )


def rerank(served: Served[PairScorer], body: RerankBody, limit: int) -> dict[str, Any]:
    """Return Cohere's answer without its id; raises BodyTooLargeError, ParameterError and the
    scorer's errors.
    """
    texts: Sequence[str] = body.documents
    shortened = [False] * len(texts)
    if body.max_tokens_per_doc is not None:
        texts = served.meter.cut(texts, body.max_tokens_per_doc)
        pairs = zip(texts, body.documents, strict=True)
        shortened = [len(short) < len(whole) for short, whole in pairs]
    asked = body.max_tokens_per_pair
    measured = served.meter.measure_pairs(body.query, texts, limit=asked)
    bounded((measured.query, *measured.passages), limit)
    readings = tuple(
        Reading(reading.tokens, reading.truncated or cut)
        for reading, cut in zip(measured.passages, shortened, strict=True)
    )
    scores = finite(scores_of(served, body.query, texts, asked), served.name)[:, 0]
    order = np.argsort(-scores, kind="stable")[: body.top_n]
    results = [_result(body, int(index), float(scores[index])) for index in order]
    return {
        "results": results,
        "meta": _meta(served, body, PairsReading(measured.query, readings)),
        "model": served.name,
    }


def scores_of(
    served: Served[PairScorer], query: str, texts: Sequence[str], limit: int | None = None
) -> FloatMatrix:
    """Return the scores, float32 [n, 1], of pairs read to at most `limit` tokens."""
    scorer = served.port
    if limit is None:
        return scorer.score([query] * len(texts), texts)
    if not isinstance(scorer, BoundedScorer):
        raise ParameterError(
            f"{served.name} can't be put to fewer tokens.",
            field="max_tokens_per_pair",
            mend="Use max_tokens_per_doc.",
        )
    return scorer.score_within(query, texts, ScoreLimits(tokens=limit)).scores


def tag(served: Served[Tagger], body: TagBody, limit: int) -> dict[str, Any]:
    """Return the names of each text; raises BodyTooLargeError and the tagger's errors."""
    measured = bounded(served.meter.measure(body.texts), limit)
    found = served.port.tag(body.texts)
    results = [
        [
            {
                "text": entity.text,
                "label": entity.label.value,
                "start": entity.start,
                "end": entity.end,
                "score": float(entity.score),
            }
            for entity in entities
        ]
        for entities in found
    ]
    return {
        "results": results,
        "model": served.name,
        "usage": _usage(measured),
        "warnings": _warnings(measured, "text"),
    }


def bounded(readings: Readings, limit: int) -> Readings:
    """Return `readings`; raises BodyTooLargeError if they have more tokens than one request may."""
    total = _tokens(readings)
    if total > limit:
        raise BodyTooLargeError(
            f"These texts have {total} tokens; {limit} are taken at once.",
            mend="Send them in several requests.",
        )
    return readings


def finite(values: FloatMatrix, name: str) -> FloatMatrix:
    """Return `values`; raises ModelError if one is not finite, which JSON can't express."""
    if not np.isfinite(values).all():
        raise ModelError(f"{name} gave a value that is no number", mend="see `dateline doctor`")
    return values


def _in_base64(vectors: FloatMatrix) -> list[str]:
    rows = np.ascontiguousarray(vectors, dtype="<f4")
    return [base64.b64encode(row.tobytes()).decode("ascii") for row in rows]


def _tokens(readings: Readings) -> int:
    return sum(reading.tokens for reading in readings)


def _usage(readings: Readings) -> dict[str, int]:
    total = _tokens(readings)
    return {"prompt_tokens": total, "total_tokens": total}


def relevance(score: float) -> float:
    """Return the logistic function of a score, in 0..1."""
    return 0.5 + 0.5 * math.tanh(score / 2)


def _result(body: RerankBody, index: int, score: float) -> dict[str, Any]:
    result: dict[str, Any] = {
        "index": index,
        "relevance_score": relevance(score),
        "score": score,
    }
    if body.return_documents:
        result["document"] = {"text": body.documents[index]}
    return result


def _meta(served: Served[Any], body: RerankBody, readings: PairsReading) -> dict[str, Any]:
    tokens = _tokens((readings.query, *readings.passages))
    return {
        "api_version": {"version": _COHERE_VERSION},
        "billed_units": {"search_units": 0},
        "tokens": {"input_tokens": tokens, "output_tokens": 0},
        "truncated": _truncated(readings.passages),
        "query_truncated": readings.query.truncated,
        "warnings": [
            *notes(served, body),
            *(["Not all of the query was read: too long."] if readings.query.truncated else []),
            *_warnings(readings.passages, "document"),
            *([] if body.query.strip() else ["The query is empty."]),
            *_empty(body.documents, "document"),
        ],
    }


def _truncated(readings: Readings) -> list[int]:
    return [place for place, reading in enumerate(readings) if reading.truncated]


def _warnings(readings: Readings, word: str) -> list[str]:
    """Return one sentence about the texts that were not read to the end; no sentence if all
    were.
    """
    places = _truncated(readings)
    if not places:
        return []
    return [f"Not all of {word} {_listed(places)} was read (counted from 0): too long."]


def _empty(texts: Sequence[str], word: str) -> list[str]:
    """Return one sentence about the texts without a word, for which the answer means nothing; no
    sentence if all have words.
    """
    places = [place for place, text in enumerate(texts) if not text.strip()]
    if not places:
        return []
    are = f"{word} {places[0]} is" if len(places) == 1 else f"{word}s {_listed(places)} are"
    return [f"{are.capitalize()} empty (counted from 0)."]


def _listed(places: Sequence[int]) -> str:
    named = ", ".join(str(place) for place in places[:_NAMED])
    return f"{named} and {len(places) - _NAMED} more" if len(places) > _NAMED else named
