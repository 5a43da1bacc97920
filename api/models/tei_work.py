"""Answers of text-embeddings-inference, made in a thread of the models' pool as plain values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from api.models.bodies import MAX_INPUTS
from api.models.names import named
from api.models.served_models import Served, ServedModels
from api.models.tei_bodies import (
    DecodeBody,
    TeiEmbedBody,
    TeiPredictBody,
    TeiRerankBody,
    TokenizeBody,
    TruncatingBody,
)
from api.models.work import (
    as_texts,
    bounded,
    check_dimension,
    finite,
    relevance,
    scores_of,
    vectors_of,
)
from api.problems import BodyTooLargeError
from core.entities import EntityLabel
from core.ports.models import PairScorer, Reading, Tagger, TextEncoder

_ONE_LABEL = "LABEL_0"  # what a reranker's only output is called


def embed(served: Served[TextEncoder], body: TeiEmbedBody, limit: int) -> list[Any]:
    """Return a vector for each input. Raises BodyTooLargeError, InputError and the encoder's
    errors.
    """
    check_dimension(served, "dimensions", body.dimensions)
    texts = _cut(served, as_texts(served, body.inputs), body)
    queries = body.prompt_name == "query"
    _check_fit(served, served.meter.measure(texts, queries=queries), body)
    return list(vectors_of(served, texts, queries, limit)[0])


def rerank(served: Served[PairScorer], body: TeiRerankBody, limit: int) -> list[dict[str, Any]]:
    """Return the texts by relevance. Raises BodyTooLargeError and the scorer's errors."""
    texts = _cut(served, body.texts, body)
    measured = served.meter.measure_pairs(body.query, texts)
    readings = (measured.query, *measured.passages)
    bounded(readings, limit)
    _check_fit(served, readings, body)
    scores = finite(scores_of(served, body.query, texts), served.name)[:, 0]
    order = np.argsort(-scores, kind="stable")
    ranks: list[dict[str, Any]] = [
        {"index": int(index), "score": _shown(float(scores[index]), body.raw_scores)}
        for index in order
    ]
    if body.return_text:
        ranks = [{**rank, "text": body.texts[rank["index"]]} for rank in ranks]
    return ranks


def predict_names(served: Served[Tagger], body: TeiPredictBody, limit: int) -> list[Any]:
    """Return, for each single text of the body, how surely it has a name of each kind: the score of
    the surest one, 0 without any. Raises BodyTooLargeError and the tagger's errors.
    """
    texts = [texts[0] for texts in body.inputs if len(texts) == 1]
    measured = served.meter.measure(texts)
    bounded(measured, limit)
    _check_fit(served, measured, body)
    found = served.port.tag(texts)
    return [
        _best_first(
            {
                label.value: max(
                    (float(each.score) for each in entities if each.label is label), default=0.0
                )
                for label in EntityLabel
            }
        )
        for entities in found
    ]


def predict_pairs(served: Served[PairScorer], body: TeiPredictBody, limit: int) -> list[Any]:
    """Return, for each pair of the body, how relevant its second text is to the first. Raises
    BodyTooLargeError and the scorer's errors.
    """
    pairs = [texts for texts in body.inputs if len(texts) == 2]
    queries = [query for query, _ in pairs]
    texts = _cut(served, [text for _, text in pairs], body)
    readings: list[Reading] = []
    for query, text in zip(queries, texts, strict=True):
        measured = served.meter.measure_pairs(query, [text])
        readings += (measured.query, *measured.passages)
    bounded(readings, limit)
    _check_fit(served, readings, body)
    scores = finite(served.port.score(queries, texts), served.name)[:, 0]
    return [_best_first({_ONE_LABEL: _shown(float(score), body.raw_scores)}) for score in scores]


def tokenize(served: Served[Any], body: TokenizeBody, limit: int) -> list[Any]:
    """Return the tokens of each text. Raises BodyTooLargeError."""
    _check_size(body.inputs, limit)
    return [
        [
            {
                "id": token.number,
                "text": token.text,
                "special": token.special,
                "start": None if token.special else token.start,
                "stop": None if token.special else token.end,
            }
            for token in tokens
        ]
        for tokens in served.meter.tokens(body.inputs, special=body.add_special_tokens)
    ]


def decode(served: Served[Any], body: DecodeBody, limit: int) -> list[Any]:
    """Return the text of each list of token numbers. Raises InputError."""
    special = not body.skip_special_tokens
    return [served.meter.text_of(numbers, special=special) for numbers in body.ids]


def info(models: ServedModels, batch_tokens: int, requests: int, version: str) -> dict[str, Any]:
    """Return what runs here: the encoder, or without one the model that there is."""
    kind, served = shown(models)
    return {
        "model_id": served.name,
        "model_sha": served.digest,
        "model_dtype": served.precision,
        "model_type": {kind: _type(kind, served)},
        "max_concurrent_requests": requests,
        "max_input_length": served.longest,
        "max_batch_tokens": batch_tokens,
        "max_batch_requests": None,
        "max_client_batch_size": MAX_INPUTS,
        "auto_truncate": False,
        "tokenization_workers": requests,
        "version": version,
        "sha": None,
        "docker_label": None,
    }


def shown(models: ServedModels) -> tuple[str, Served[Any]]:
    """Return the model that `/info` shows and `/tokenize` tokenises for, and its kind: the encoder,
    or without one the model that there is. Raises UnknownModelError.
    """
    kinds = (
        ("embedding", models.encoder),
        ("reranker", models.scorer),
        ("classifier", models.tagger),
    )
    there = ((kind, served) for kind, served in kinds if served is not None)
    return next(there, None) or ("embedding", named(models, "encoder"))


def _type(kind: str, served: Served[Any]) -> dict[str, Any]:
    """Return what `/info` tells of a model of a kind."""
    if kind == "embedding":
        return {"pooling": served.pooling}
    names = [_ONE_LABEL] if kind == "reranker" else [label.value for label in EntityLabel]
    return {
        "id2label": {str(place): name for place, name in enumerate(names)},
        "label2id": {name: place for place, name in enumerate(names)},
    }


def _cut(served: Served[Any], texts: Sequence[str], body: TruncatingBody) -> Sequence[str]:
    return served.meter.ending(texts) if body.keeps_end else texts


def _check_fit(served: Served[Any], readings: Sequence[Reading], body: TruncatingBody) -> None:
    """Raise BodyTooLargeError for a text that is longer than the model reads and may not be cut."""
    if not body.truncate and any(reading.truncated for reading in readings):
        raise BodyTooLargeError(
            f"`inputs` must have at most {served.longest} tokens.",
            mend="Send less text, or truncate: true.",
        )


def _check_size(texts: Sequence[str], limit: int) -> None:
    """Raise BodyTooLargeError for more characters than could be tokens of one request."""
    if (size := sum(map(len, texts))) > limit:
        raise BodyTooLargeError(
            f"These texts have {size} characters; {limit} are taken at once.",
            mend="Send them in several requests.",
        )


def _shown(score: float, raw: bool) -> float:
    return score if raw else relevance(score)


def _best_first(scores: dict[str, float]) -> list[dict[str, Any]]:
    ordered = sorted(scores.items(), key=lambda each: -each[1])
    return [{"score": score, "label": label} for label, score in ordered]
