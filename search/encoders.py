"""The encoders of queries, by vector field: which of them have a say, and what they are asked."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Protocol, runtime_checkable

import numpy as np

from core.errors import ModelError
from core.items import FloatMatrix
from core.ports.models import TextEncoder, TruncatingEncoder
from core.retrieval import SortOrder, VectorQuery
from core.tracing import Span
from search.profiles import LOOKS, Profile
from search.understanding.encoder_languages import note_on_silent, silent_fields
from search.understanding.understand import Likeness, Meaning

NO_LANGUAGES: Mapping[str, Collection[str]] = {}


class EncoderError(Exception):
    """The query could not be embedded; the message says which field is left out and why."""

    def __init__(self, field: str, why: str) -> None:
        super().__init__(f"vectors: the encoder of field {field} failed, {why}")
        self.field = field


@dataclass(frozen=True, slots=True)
class VectorPart:
    """What vectors are asked: a request to each field, the flags of fields that are left out, notes
    on languages, and the fields whose encoder leaves a part of the query `unread`.
    """

    queries: tuple[VectorQuery, ...] = ()
    degraded: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()


class QueryEncoders:
    """The encoders of queries, by vector field."""

    def __init__(
        self,
        encoders: Mapping[str, TextEncoder],
        languages: Mapping[str, Collection[str]] = NO_LANGUAGES,
    ) -> None:
        """`languages` are those that each field's encoder reads, if that is known."""
        self._encoders = encoders
        self._languages = languages
        self._digests: dict[str, tuple[TextEncoder, str]] = {}  # by field

    def languages(self, profile: Profile) -> Collection[str] | None:
        """Return the languages that the profile's encoders read together; None if it has no
        vectors, or if the languages of one encoder are not known.
        """
        read = [self._languages.get(name, ()) for name in _weighed(profile)]
        return {code for codes in read for code in codes} if read and all(read) else None

    def part(self, meaning: Meaning, profile: Profile, order: SortOrder) -> VectorPart:
        """Return what each of the profile's vector fields is asked for a meaning. An order by date
        asks for BM25's matches only: the nearest vectors are near by comparison, not in themselves,
        and would put unrelated items on top.
        """
        if meaning.like is not None:
            return self._of_item(meaning.like, profile, meaning.said.language)
        if order is not SortOrder.SCORE:
            return VectorPart()
        if meaning.passages:
            return self._of_passages(meaning.passages, profile, meaning.said.language)
        return self._of_words(meaning.said.vector_text, profile, meaning.said.language)

    def _of_item(self, like: Likeness, profile: Profile, language: str) -> VectorPart:
        """Return the request to each field for the passages of an item in `language`; to all of
        them, if only fields whose encoder does not read it have its passages.
        """
        weights, notes = self._heard(profile, language)
        heard = tuple(
            replace(one, weight=weights.get(one.field, one.weight))
            for one in like.vectors
            if one.field in weights or one.field == LOOKS
        )
        if not heard:
            return VectorPart(like.vectors, like.degraded)
        return VectorPart(heard, like.degraded, notes)

    def _of_words(self, text: str, profile: Profile, language: str) -> VectorPart:
        """Return the request to each field for a query in `language`. A field whose encoder does
        not read the language is left out; the others take over its weight.
        """
        weights, notes = self._heard(profile, language)
        if not text:
            return VectorPart(notes=notes)
        part = self._part(weights, lambda encoder: encoder.encode_queries([text]))
        unread = [one.field for one in part.queries if _cuts(self._encoders.get(one.field), text)]
        return replace(part, notes=notes, unread=tuple(unread))

    def _of_passages(self, passages: Sequence[str], profile: Profile, language: str) -> VectorPart:
        """Return the request to each field for a text: the mean of its passages, encoded like the
        passages of items.
        """
        weights, notes = self._heard(profile, language)
        part = self._part(weights, lambda encoder: mean_passage(encoder.encode_passages(passages)))
        return replace(part, notes=notes)

    def _heard(self, profile: Profile, language: str) -> tuple[dict[str, float], tuple[str, ...]]:
        """Return the weight of each field that has a say on a text in `language`, and a note on the
        others.
        """
        fields = {name: self._languages.get(name, ()) for name in _weighed(profile)}
        silent = silent_fields(language, fields)
        return _without_silent(profile.vector_weights, silent), note_on_silent(language, silent)

    def _part(
        self, weights: Mapping[str, float], encode: Callable[[TextEncoder], FloatMatrix]
    ) -> VectorPart:
        queries: list[VectorQuery] = []
        flags: list[str] = []
        for name, weight in weights.items():
            encoder = self._encoders.get(name)
            if encoder is None:
                flags.append(f"vectors: no encoder for field {name}")
            elif weight > 0:
                once = cache(partial(_encoded, encode, encoder, name))
                queries.append(VectorQuery(name, weight, once, self._digest(name, encoder)))
        return VectorPart(tuple(queries), tuple(flags))

    def _digest(self, name: str, encoder: TextEncoder) -> str:
        """Return the encoder's digest, which is a hash of its files' hashes. It is computed once
        for each encoder that a field gets while its archive moves from one encoder to another.
        """
        known = self._digests.get(name)
        if known is None or known[0] is not encoder:
            known = self._digests[name] = (encoder, encoder.digest)
        return known[1]


def mean_passage(passages: FloatMatrix) -> FloatMatrix:
    """Return float32 [1, d], unit norm: the mean of unit vectors [n, d]. If they cancel out, the
    first vector.
    """
    mean = passages.mean(axis=0, keepdims=True, dtype=np.float32)
    length = float(np.linalg.norm(mean))
    if length < np.finfo(np.float32).eps:
        mean, length = passages[:1], float(np.linalg.norm(passages[0])) or 1.0
    found: FloatMatrix = (mean / np.float32(length)).astype(np.float32)
    return found


def _encoded(
    encode: Callable[[TextEncoder], FloatMatrix], encoder: TextEncoder, field: str
) -> FloatMatrix:
    try:
        with Span("encode", {"dateline.field": field}):
            return encode(encoder)
    except Exception as error:
        raise EncoderError(field, type(error).__name__) from error


def _weighed(profile: Profile) -> list[str]:
    """Return the profile's vector fields that have a weight."""
    return [name for name, weight in profile.vector_weights.items() if weight > 0]


def _without_silent(weights: Mapping[str, float], silent: Collection[str]) -> dict[str, float]:
    """Return the weights of vector fields, where those that are not `silent` have the weight of
    all.
    """
    heard = {name: weight for name, weight in weights.items() if name not in silent}
    share = sum(weights.values()) / (sum(heard.values()) or 1.0)
    return {name: weight * share for name, weight in heard.items()} if silent else dict(weights)


def _cuts(encoder: object, text: str) -> bool:
    """Return whether an encoder knows that it does not read `text` to the end."""
    if not isinstance(encoder, TruncatingEncoder):
        return False
    try:
        return encoder.truncated([text])[0]
    except ModelError:
        return False  # without the encoder's tokenizer there is an answer, but no note


@runtime_checkable
class HoldsSpaces(Protocol):
    """An engine whose index may change to vectors of another encoder."""

    @property
    def encoders(self) -> Mapping[str, str]:
        """The digest of each vector field's encoder at this moment."""
        ...


class ServedEncoders(Mapping[str, TextEncoder]):
    """By vector field, the encoder in `fields` or `following` that made the vectors of the engine's
    index. If neither did, the encoder in `fields`, which the engine then refuses.
    """

    def __init__(
        self,
        fields: Mapping[str, TextEncoder],
        following: Mapping[str, TextEncoder],
        engine: HoldsSpaces,
    ) -> None:
        self._fields = fields
        self._following = following
        self._engine = engine

    def __getitem__(self, field: str) -> TextEncoder:
        following = self._following.get(field)
        if following is not None and self._engine.encoders.get(field) == following.digest:
            return following
        return self._fields[field]

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)
