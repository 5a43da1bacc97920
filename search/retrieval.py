"""Retrieval: makes the request to the engine, by words and by vectors, and gets the candidates."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from functools import cache, partial

import numpy as np

from core.callers import Caller, folded
from core.errors import ModelError
from core.items import FloatMatrix
from core.model_ports import TextEncoder, TruncatingEncoder
from core.ports import Retriever
from core.query_tree import all_of, is_fact, within_products
from core.retrieval import Ids, Retrieval, Retrieved, SortOrder, VectorQuery
from search.answers import SearchRequest
from search.profiles import Profile
from search.ranking import ranking
from search.similar import item_queries
from search.understanding.encoder_languages import silent_fields
from search.understanding.long_questions import field_share
from search.understanding.understand import Meaning


@dataclass(frozen=True, slots=True)
class Answer:
    """The request that the engine answered in the end, what it found, and the flags of what was
    left out.
    """

    asked: Retrieval
    found: Retrieved
    degraded: tuple[str, ...]


def given_order(asked: Retrieval, found: Retrieved) -> Ids | None:
    """The places of the candidates, best first, where the engine gives the order: the request asks
    for an order by date, or there is nothing to score by. None where scores give the order.
    """
    browsing = is_fact(asked.query) and not asked.vectors
    if asked.order is SortOrder.SCORE and not browsing:
        return None
    return ranking(-found.lexical_ranks.astype(np.float32), found.ids)


NO_LANGUAGES: Mapping[str, Collection[str]] = {}


class QueryEncoders:
    """The encoders of queries, by vector field."""

    def __init__(
        self,
        encoders: Mapping[str, TextEncoder],
        languages: Mapping[str, Collection[str]] = NO_LANGUAGES,
    ) -> None:
        """`languages` are those that each field's encoder reads, where that is known."""
        self._encoders = encoders
        self._languages = languages
        self._digests: dict[str, tuple[TextEncoder, str]] = {}  # by field

    def languages(self, profile: Profile) -> Collection[str] | None:
        """The languages that the profile's encoders read together; None where it has no vectors, or
        where that is not known of one.
        """
        read = [self._languages.get(name, ()) for name in _weighed(profile)]
        return {code for codes in read for code in codes} if read and all(read) else None

    def silent(self, language: str, profile: Profile) -> tuple[str, ...]:
        """The profile's vector fields that have no say on a query in `language`."""
        fields = {name: self._languages.get(name, ()) for name in _weighed(profile)}
        return silent_fields(language, fields)

    def queries(
        self, text: str, profile: Profile, language: str = ""
    ) -> tuple[list[VectorQuery], list[str]]:
        """The request to each of the profile's vector fields, and the flags of fields that are left
        out. A field without a say on `language` is left out; the others take over its weight.
        """
        weights = _without_silent(profile.vector_weights, self.silent(language, profile))
        queries: list[VectorQuery] = []
        flags: list[str] = []
        for name, weight in weights.items() if text else ():
            encoder = self._encoders.get(name)
            if encoder is None:
                flags.append(f"vectors: no encoder for field {name}")
            elif weight > 0:
                encode = cache(partial(_encode, encoder, name, text))
                queries.append(VectorQuery(name, weight, encode, self._digest(name, encoder)))
        return queries, flags

    def unread(self, text: str, asked: Retrieval) -> list[str]:
        """Notes on the fields whose encoder does not read `text` to the end."""
        return [
            f"vectors: not all of the query was read for field {query.field}"
            for query in asked.vectors
            if text and _cuts(self._encoders.get(query.field), text)
        ]

    def _digest(self, name: str, encoder: TextEncoder) -> str:
        """The encoder's digest, which is a hash of its files' hashes. It is computed once for each
        encoder that a field gets while its archive moves from one encoder to another.
        """
        known = self._digests.get(name)
        if known is None or known[0] is not encoder:
            known = self._digests[name] = (encoder, encoder.digest)
        return known[1]


def retrieval_of(
    meaning: Meaning,
    request: SearchRequest,
    caller: Caller,
    profile: Profile,
    encoders: QueryEncoders,
) -> tuple[Retrieval, tuple[str, ...]]:
    """The request to the engine, and the flags of what is left out.

    An order by date asks for BM25's matches only. The nearest vectors are near by comparison, not
    in themselves, and would put unrelated items on top.
    """
    vectors: list[VectorQuery] = []
    degraded: list[str] = []
    if meaning.like is not None:
        vectors, degraded = item_queries(meaning.like, profile)
    elif request.order is SortOrder.SCORE:
        said = meaning.said
        vectors, degraded = encoders.queries(said.vector_text, profile, said.language)
    lexical = profile.lexical_weight > 0 or not vectors
    weights = profile.lexical.with_fields(field_share(meaning.tree))
    retrieval = Retrieval(
        meaning.tree,
        caller,
        all_of(meaning.filters, within_products(request.filters, folded(caller.products))),
        tuple(vectors),
        profile.lexical_depth if lexical else 0,
        profile.vector_depth,
        request.order,
        weights if meaning.like is None else profile.lexical.of_words(),
    )
    return retrieval, tuple(degraded)


def retrieve(
    engine: Retriever, asked: Retrieval, profile: Profile, degraded: tuple[str, ...] = ()
) -> Answer:
    """The engine's answer, without the fields whose encoders fail; `degraded` are the
    flags so far.
    """
    while True:
        try:
            return Answer(asked, engine.retrieve(asked), degraded)
        except _EncoderError as failure:
            degraded = (*degraded, str(failure))
            asked = _without(asked, failure.field, profile)


class _EncoderError(Exception):
    """The query could not be embedded; the message says which field is left out and why."""

    def __init__(self, field: str, why: str) -> None:
        super().__init__(f"vectors: the encoder of field {field} failed, {why}")
        self.field = field


def _without(asked: Retrieval, field: str, profile: Profile) -> Retrieval:
    """The request without a vector field: the others take over its weight; without others BM25
    answers alone.
    """
    if all(query.field == field for query in asked.vectors):
        return replace(asked, vectors=(), lexical_depth=profile.lexical_depth)
    return asked.without({field})


def _encode(encoder: TextEncoder, field: str, text: str) -> FloatMatrix:
    try:
        return encoder.encode_queries([text])
    except Exception as error:
        raise _EncoderError(field, type(error).__name__) from error


def _weighed(profile: Profile) -> list[str]:
    """The profile's vector fields that have a weight."""
    return [name for name, weight in profile.vector_weights.items() if weight > 0]


def _without_silent(weights: Mapping[str, float], silent: Collection[str]) -> dict[str, float]:
    """The weights of vector fields, where those that are not `silent` have the weight of all."""
    heard = {name: weight for name, weight in weights.items() if name not in silent}
    share = sum(weights.values()) / (sum(heard.values()) or 1.0)
    return {name: weight * share for name, weight in heard.items()} if silent else dict(weights)


def _cuts(encoder: object, text: str) -> bool:
    """Whether an encoder does not read `text` to the end, as far as it can tell."""
    if not isinstance(encoder, TruncatingEncoder):
        return False
    try:
        return encoder.truncated([text])[0]
    except ModelError:
        return False  # without its tokenizer there is an answer, but no note
