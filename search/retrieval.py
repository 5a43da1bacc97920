"""Retrieval: makes the request to the engine, by words and by vectors, and gets the candidates."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Protocol, runtime_checkable

import numpy as np

from core.callers import Caller, folded
from core.errors import ModelError, QueryError
from core.items import FloatMatrix
from core.model_ports import TextAnalysis, TextEncoder, TruncatingEncoder
from core.ports import (
    Browser,
    Catalogue,
    Exemplars,
    Names,
    NearDuplicates,
    Retriever,
    Standings,
    Vocabulary,
)
from core.query_tree import Node, all_of, is_fact, within_products, without_field
from core.retrieval import Floats, Ids, Ints, Marks, Retrieval, Retrieved, SortOrder, VectorQuery
from search.answers import Fold, SearchRequest
from search.profiles import Profile
from search.similar import mean_passage
from search.understanding.encoder_languages import silent_fields
from search.understanding.long_questions import field_share
from search.understanding.names import name_shares
from search.understanding.understand import Meaning


class Engine(
    Retriever, Browser, Catalogue, NearDuplicates, Names, Exemplars, Standings, Vocabulary, Protocol
):
    """What the query path needs of a storage engine."""


@dataclass(frozen=True, slots=True)
class Question:
    """The understood request of `caller`, and the profile that ranks the answer.

    `asked` is the request to the engine, and `degraded` has the flags of what was left out. `wider`
    has the filters without its own for each open facet whose own filter is set. The answer is a
    list `by_date` if that order is asked for, or if there is nothing to score by.
    """

    request: SearchRequest
    caller: Caller
    profile: Profile
    meaning: Meaning
    asked: Retrieval
    wider: Mapping[str, Node]
    by_date: bool
    degraded: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of a question's candidates before any weight applies.

    `names` float32 [m] are the shares of boosting known names, None where no name boosts. `foreign`
    bool [m] marks items in another language than the query, None where the profile weighs them
    alike.
    """

    question: Question
    found: Retrieved
    names: Floats | None = None
    foreign: Marks | None = None

    def flags(self, *more: str) -> tuple[str, ...]:
        """Every flag so far, and `more`."""
        flags = (*self.question.degraded, *self.found.degraded, *more)
        return tuple(flag for flag in flags if flag)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the engine found, the request that it answered, and the flags of what was left out of
    the first request.
    """

    asked: Retrieval
    found: Retrieved
    degraded: tuple[str, ...]


def question_of(
    request: SearchRequest,
    caller: Caller,
    profile: Profile,
    meaning: Meaning,
    encoders: QueryEncoders,
) -> Question:
    """The request with what the engine is asked for it: no tree names a product that the caller
    lacks. Raises QueryError for a filter that is no fact.

    An order by date asks for BM25's matches only. The nearest vectors are near by comparison, not
    in themselves, and would put unrelated items on top.
    """
    vectors: tuple[VectorQuery, ...] = ()
    degraded: tuple[str, ...] = ()
    if meaning.like is not None:
        vectors, degraded = meaning.like.vectors, meaning.like.degraded
    elif request.order is SortOrder.SCORE and meaning.passages:
        vectors, degraded = encoders.of_passages(meaning.passages, profile)
    elif request.order is SortOrder.SCORE:
        said = meaning.said
        vectors, degraded = encoders.queries(said.vector_text, profile, said.language)
    if not is_fact(request.filters):
        raise QueryError("a filter asks for text", mend="filters are facts; put words into q")
    held = folded(caller.products)
    own, filters = within_products(meaning.filters, held), within_products(request.filters, held)
    left = {name: without_field(filters, name) for name in request.open_facets}
    meaning = replace(meaning, tree=within_products(meaning.tree, held), filters=own)
    weights = profile.lexical.with_fields(field_share(meaning.tree))
    asked = Retrieval(
        meaning.tree,
        caller,
        all_of(own, filters),
        vectors,
        profile.lexical_depth if profile.lexical_weight > 0 or not vectors else 0,
        profile.vector_depth,
        request.order,
        profile.lexical.of_words() if meaning.like or meaning.passages else weights,
    )
    wider = {name: all_of(own, x) for name, x in left.items() if x is not filters}
    by_date = request.order is not SortOrder.SCORE or is_fact(meaning.tree)
    # Folding compares within a list of candidates.
    if request.similar_to or request.fold is not Fold.NONE:
        by_date = False
    return Question(request, caller, profile, meaning, asked, wider, by_date, degraded)


def gather(engine: Engine, question: Question) -> Evidence:
    """The candidates, by words and by vectors, without names."""
    answer = retrieve(engine, question.asked, question.profile, question.degraded)
    found = answer.found
    if (like := question.meaning.like) is not None:
        found = _left_out(found, engine.chains(found.ids) == like.story)
    return Evidence(replace(question, asked=answer.asked, degraded=answer.degraded), found)


def named(question: Question, analysis: TextAnalysis) -> Question:
    """The question with the names that were searched for meanwhile, in the archive's spelling."""
    request, meaning = question.request, question.meaning
    boosts = question.profile.entity_boost > 0 and request.order is SortOrder.SCORE
    meaning = meaning.with_names(request.entities, analysis, boosts=boosts)
    return replace(
        question,
        meaning=meaning,
        asked=replace(question.asked, query=meaning.tree),
        degraded=(*question.degraded, *meaning.degraded),
    )


def with_names(engine: Engine, analysis: TextAnalysis, evidence: Evidence) -> Evidence:
    """The evidence with the query's names. Where the archive spells one of them otherwise, the
    engine is asked again.
    """
    question = named(evidence.question, analysis)
    if question.asked.query is evidence.question.asked.query:
        evidence = replace(evidence, question=question)
    else:
        evidence = gather(engine, question)
    ids, said = evidence.found.ids, question.meaning.said
    foreign = _foreign_items(engine, ids, said.language, question.profile)
    return replace(evidence, names=name_shares(engine, ids, said.entities), foreign=foreign)


def _foreign_items(archive: Catalogue, ids: Ids, language: str, profile: Profile) -> Marks | None:
    """Which items are in another language than the query, bool [m]: not those whose language is not
    known. None where that of the query is not, or where the profile weighs both alike.
    """
    if not language or profile.foreign_share == 1.0:
        return None
    own = ("", language)
    return np.array([code not in own for code in archive.languages_of(ids)], np.bool_)


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


def _left_out(found: Retrieved, own: Marks) -> Retrieved:
    """The candidates without those marked in `own` (bool [m]). Ranks close up."""
    if not own.any():
        return found
    kept = ~own
    vectors = tuple(
        replace(
            part,
            cosines=part.cosines[kept],
            passages=part.passages[kept],
            ranks=_closed_up(part.ranks, own)[kept],
        )
        for part in found.vectors
    )
    matching = int(np.count_nonzero(own & (found.lexical_ranks > 0)))
    return replace(
        found,
        ids=found.ids[kept],
        bm25=found.bm25[kept],
        lexical_ranks=_closed_up(found.lexical_ranks, own)[kept],
        lexical_matches=max(0, found.lexical_matches - matching),
        vectors=vectors,
    )


def _closed_up(ranks: Ints, left_out: Marks) -> Ints:
    """The 1-based ranks, counted anew without the candidates that are `left_out`. A rank of 0, of a
    candidate that the retriever did not find, stays 0.
    """
    gone = np.sort(ranks[left_out & (ranks > 0)])
    closed: Ints = (ranks - np.searchsorted(gone, ranks)).astype(np.int32)
    return closed


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
    ) -> tuple[tuple[VectorQuery, ...], tuple[str, ...]]:
        """The request to each of the profile's vector fields, and the flags of fields that are left
        out. A field without a say on `language` is left out; the others take over its weight.
        """
        weights = _without_silent(profile.vector_weights, self.silent(language, profile))
        return (
            self._queries(weights, lambda encoder: encoder.encode_queries([text]))
            if text
            else ((), ())
        )

    def of_passages(
        self, passages: Sequence[str], profile: Profile
    ) -> tuple[tuple[VectorQuery, ...], tuple[str, ...]]:
        """The same for the mean of the passages of a text, encoded as those of items are."""
        return self._queries(
            profile.vector_weights, lambda encoder: mean_passage(encoder.encode_passages(passages))
        )

    def _queries(
        self, weights: Mapping[str, float], encode: Callable[[TextEncoder], FloatMatrix]
    ) -> tuple[tuple[VectorQuery, ...], tuple[str, ...]]:
        queries: list[VectorQuery] = []
        flags: list[str] = []
        for name, weight in weights.items():
            encoder = self._encoders.get(name)
            if encoder is None:
                flags.append(f"vectors: no encoder for field {name}")
            elif weight > 0:
                once = cache(partial(_encoded, encode, encoder, name))
                queries.append(VectorQuery(name, weight, once, self._digest(name, encoder)))
        return tuple(queries), tuple(flags)

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


def _encoded(
    encode: Callable[[TextEncoder], FloatMatrix], encoder: TextEncoder, field: str
) -> FloatMatrix:
    try:
        return encode(encoder)
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
