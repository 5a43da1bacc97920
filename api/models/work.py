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

from api.models.bodies import EmbeddingsBody, RerankBody, TagBody
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
_RERANK_VERSION = "2"
Readings = Sequence[Reading]


def listed(models: ServedModels) -> dict[str, Any]:
    """Return the models in OpenAI's list."""
    tasks = (("encode", models.encoder), ("tag", models.tagger), ("score", models.scorer))
    data = [
        {
            "id": served.name,
            "object": "model",
            "created": 0,
            "owned_by": "dateline",
            "task": task,
            "digest": served.digest,
            "max_tokens": served.longest,
            "dimension": served.dimension,
        }
        for task, served in tasks
        if served is not None
    ]
    return {"object": "list", "data": data}


def embed(served: Served[TextEncoder], body: EmbeddingsBody, limit: int) -> dict[str, Any]:
    """Return OpenAI's answer; raises ParameterError, BodyTooLargeError and the encoder's errors."""
    if body.dimensions not in (None, served.dimension):
        raise ParameterError(
            f"dimensions should be {served.dimension}, which is all that {served.name} gives.",
            field="dimensions",
            mend="Leave it out.",
        )
    queries = body.input_type == "query"
    measured = _bounded(served.meter.measure(body.input, queries=queries), limit)
    encode = served.port.encode_queries if queries else served.port.encode_passages
    vectors = _finite(encode(body.input), served.name)
    in_base64 = body.encoding_format == "base64"
    shown = _in_base64(vectors) if in_base64 else list(np.ascontiguousarray(vectors))
    return {
        "object": "list",
        "data": [
            {"object": "embedding", "index": index, "embedding": vector}
            for index, vector in enumerate(shown)
        ],
        "model": served.name,
        "usage": _usage(measured),
        "warnings": [*_warnings(measured, "input"), *_empty(body.input, "input")],
    }


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
    _bounded((measured.query, *measured.passages), limit)
    readings = tuple(
        Reading(reading.tokens, reading.truncated or cut)
        for reading, cut in zip(measured.passages, shortened, strict=True)
    )
    scores = _finite(_scores(served, body.query, texts, asked), served.name)[:, 0]
    order = np.argsort(-scores, kind="stable")[: body.top_n]
    results = [_result(body, int(index), float(scores[index])) for index in order]
    return {
        "results": results,
        "meta": _meta(body, PairsReading(measured.query, readings)),
        "model": served.name,
    }


def _scores(
    served: Served[PairScorer], query: str, texts: Sequence[str], limit: int | None
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
    measured = _bounded(served.meter.measure(body.texts), limit)
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


def _bounded(readings: Readings, limit: int) -> Readings:
    """Return `readings`; raises BodyTooLargeError if they have more tokens than one request may."""
    total = _tokens(readings)
    if total > limit:
        raise BodyTooLargeError(
            f"These texts have {total} tokens; {limit} are taken at once.",
            mend="Send them in several requests.",
        )
    return readings


def _finite(values: FloatMatrix, name: str) -> FloatMatrix:
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


def _result(body: RerankBody, index: int, score: float) -> dict[str, Any]:
    result: dict[str, Any] = {
        "index": index,
        "relevance_score": 0.5 + 0.5 * math.tanh(score / 2),  # the logistic function
        "score": score,
    }
    if body.return_documents:
        result["document"] = {"text": body.documents[index]}
    return result


def _meta(body: RerankBody, readings: PairsReading) -> dict[str, Any]:
    tokens = _tokens((readings.query, *readings.passages))
    return {
        "api_version": {"version": _RERANK_VERSION},
        "billed_units": {"search_units": 0},
        "tokens": {"input_tokens": tokens, "output_tokens": 0},
        "truncated": _truncated(readings.passages),
        "query_truncated": readings.query.truncated,
        "warnings": [
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
    return [f"Not all of {word} {_named(places)} was read (counted from 0): too long."]


def _empty(texts: Sequence[str], word: str) -> list[str]:
    """Return one sentence about the texts without a word, for which the answer means nothing; no
    sentence if all have words.
    """
    places = [place for place, text in enumerate(texts) if not text.strip()]
    if not places:
        return []
    are = f"{word} {places[0]} is" if len(places) == 1 else f"{word}s {_named(places)} are"
    return [f"{are.capitalize()} empty (counted from 0)."]


def _named(places: Sequence[int]) -> str:
    named = ", ".join(str(place) for place in places[:_NAMED])
    return f"{named} and {len(places) - _NAMED} more" if len(places) > _NAMED else named
