"""The first half of the query path: what was meant, and which candidates there are for it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cache, partial

import numpy as np

from core.callers import Caller
from core.errors import ModelError
from core.items import FloatMatrix
from core.model_ports import TextEncoder, TruncatingEncoder
from core.query_tree import all_of, is_fact
from core.retrieval import Floats, Ids, Retrieval, Retrieved, SortOrder, VectorQuery
from search.answers import EntityUse, SearchRequest, Understood
from search.editorial import expanded
from search.fusion import ranking
from search.names import known_names, name_shares, only_told, respelt
from search.parts import Parts
from search.pins import padded, with_items
from search.profiles import Profile, profile_named
from search.similar import Likeness, likeness
from search.stopwatch import Stopwatch
from search.understand import Meaning


@dataclass(frozen=True, slots=True)
class Gathered:
    """What one query's answer is made from. `given_order` is that of an answer by date."""

    profile: Profile
    meaning: Meaning
    retrieval: Retrieval
    found: Retrieved
    names: Floats | None
    given_order: Ids | None
    degraded: tuple[str, ...]

    def flags(self, last: str) -> tuple[str, ...]:
        """Every flag so far, and the last one."""
        return tuple(flag for flag in (*self.degraded, *self.found.degraded, last) if flag)


@dataclass(frozen=True, slots=True)
class Gathering:
    """Understands and retrieves: everything before the first weight has a say."""

    parts: Parts
    _digests: dict[str, tuple[TextEncoder, str]] = field(default_factory=dict)  # by field

    def gather(self, request: SearchRequest, caller: Caller, watch: Stopwatch) -> Gathered:
        """Understands and retrieves: everything before the first weight has a say."""
        profile = profile_named(self.parts.profiles, request.profile or self.parts.default_profile)
        like: Likeness | None = None
        if request.similar_to:
            engine, analysis = self.parts.engine, self.parts.analysis
            like = likeness(engine, analysis, request.similar_to, caller, profile)
            meaning = like.meaning
        else:
            meaning = self._widened(self._understood(request, caller))
        watch.lap("understand")
        retrieval, degraded = self._retrieval(request, caller, profile, meaning, like)
        retrieval, found = self.retrieve(retrieval, profile, degraded)
        watch.lap("retrieve")
        meaning, retrieval, found, names = self._named(
            request, profile, meaning, retrieval, found, degraded
        )
        watch.lap("names")
        if like is not None:
            found = like.others(found, self.parts.engine.chains(found.ids))
        by_date = _is_by_date(request, retrieval)
        given = ranking(_newest_first(found), found.ids) if by_date else None
        return Gathered(profile, meaning, retrieval, found, names, given, tuple(degraded))

    def _understood(self, request: SearchRequest, caller: Caller) -> Meaning:
        understanding = self.parts.understanding
        return understanding.understand(
            request.q,
            caller,
            request.entities,
            calendar=understanding.calendar(request.tz, request.locale),
            filters=request.filters,
            dates=request.dates,
            ignore=request.ignore,
        )

    def _widened(self, meaning: Meaning) -> Meaning:
        """With the editors' synonyms of its words; the text that is embedded stays."""
        tree, notes = expanded(meaning.tree, self.parts.editorial())
        if not notes:
            return meaning
        said = replace(meaning.said, notes=(*meaning.said.notes, *notes))
        return replace(meaning, tree=tree, said=said)

    def retrieve(
        self, retrieval: Retrieval, profile: Profile, degraded: list[str]
    ) -> tuple[Retrieval, Retrieved]:
        """The candidates, and what was asked for them: without the field whose encoder fails."""
        while True:
            try:
                return retrieval, self.parts.engine.retrieve(retrieval)
            except _EncoderError as failure:
                degraded.append(str(failure))
                retrieval = _without(retrieval, failure.field, profile)

    def _named(
        self,
        request: SearchRequest,
        profile: Profile,
        meaning: Meaning,
        retrieval: Retrieval,
        found: Retrieved,
        degraded: list[str],
    ) -> tuple[Meaning, Retrieval, Retrieved, Floats | None]:
        """What names change, which were being looked for meanwhile: the candidates are retrieved
        again where the archive spells a name otherwise, and get their shares of the known names.
        """
        said = meaning.told()
        boosts = profile.entity_boost > 0 and request.order is SortOrder.SCORE
        if boosts or request.entities is EntityUse.FILTER:
            degraded.extend(meaning.flags())
        if not boosts:
            said = only_told(said)
        tree = respelt(meaning.tree, said.entities, self.parts.analysis)
        if tree is not meaning.tree:
            retrieval = replace(retrieval, query=tree)
            retrieval, found = self.retrieve(retrieval, profile, degraded)
        boosting = known_names(said.entities, EntityUse.BOOST)
        shares = name_shares(self.parts.engine, found.ids, boosting) if boosting else None
        return replace(meaning, tree=tree, said=said, names=None), retrieval, found, shares

    def _retrieval(
        self,
        request: SearchRequest,
        caller: Caller,
        profile: Profile,
        meaning: Meaning,
        like: Likeness | None,
    ) -> tuple[Retrieval, list[str]]:
        """What to ask the engine. A date order asks BM25's matches only: the vectors' nearest are
        near by comparison, not by themselves, and would put strangers on top.
        """
        vectors: list[VectorQuery] = []
        degraded: list[str] = []
        if like is not None:
            vectors, degraded = like.vectors(profile)
        elif request.order is SortOrder.SCORE:
            vectors, degraded = self._vectors(meaning.said.vector_text, profile)
        lexical = profile.lexical_weight > 0 or not vectors
        retrieval = Retrieval(
            meaning.tree,
            caller,
            all_of(meaning.filters, request.filters),
            tuple(vectors),
            profile.lexical_depth if lexical else 0,
            profile.vector_depth,
            request.order,
            profile.lexical if like is None else profile.lexical.of_words(),
        )
        return retrieval, degraded

    def _vectors(self, text: str, profile: Profile) -> tuple[list[VectorQuery], list[str]]:
        """What to ask each of the profile's vector fields, and the flags of those left out."""
        queries: list[VectorQuery] = []
        flags: list[str] = []
        for name, weight in profile.vector_weights.items() if text else ():
            encoder = self.parts.encoders.get(name)
            if encoder is None:
                flags.append(f"vectors: no encoder for field {name}")
            elif weight > 0:
                encode = cache(partial(_encode, encoder, name, text))
                queries.append(VectorQuery(name, weight, encode, self._digest(name, encoder)))
        return queries, flags

    def _digest(self, name: str, encoder: TextEncoder) -> str:
        """The encoder's digest, which is a hash of its files' hashes: made once for each encoder
        that a field comes to have while its archive moves from one to another.
        """
        known = self._digests.get(name)
        if known is None or known[0] is not encoder:
            known = self._digests[name] = (encoder, encoder.digest)
        return known[1]

    def told_of_reading(self, got: Gathered, of_rerank: str) -> Understood:
        """What was made of the query, with the notes of what models did not read to its end:
        encoders, and the reranker (`of_rerank`, "" where it read all).
        """
        said = got.meaning.said
        asked = got.retrieval.vectors if said.vector_text else ()
        notes = [
            f"vectors: not all of the query was read for field {query.field}"
            for query in asked
            if _cuts(self.parts.encoders.get(query.field), said.vector_text)
        ]
        if of_rerank:
            notes.append(of_rerank)
        return replace(said, notes=(*said.notes, *notes)) if notes else said

    def with_pins(
        self, request: SearchRequest, caller: Caller, got: Gathered
    ) -> tuple[Gathered, Ids]:
        """The candidates with the items that editors pinned to this query, and those items' ids. An
        answer by date is in the order that was asked for.
        """
        uris = self.parts.editorial().pinned(request.q)
        if not uris or got.given_order is not None:
            return got, np.zeros(0, np.int64)
        pins = self.parts.engine.shown(uris, caller, got.retrieval.filters)
        found = with_items(got.found, pins)
        return replace(got, found=found, names=padded(got.names, len(found.ids))), pins


class _EncoderError(Exception):
    """A query could not be embedded; says which field is left out and why."""

    def __init__(self, field: str, why: str) -> None:
        super().__init__(f"vectors: the encoder of field {field} failed, {why}")
        self.field = field


def _without(retrieval: Retrieval, field: str, profile: Profile) -> Retrieval:
    """The request without a vector field: the others take over its weight, or BM25 answers alone
    where there is none.
    """
    left = [query for query in retrieval.vectors if query.field != field]
    if not left:
        return replace(retrieval, vectors=(), lexical_depth=profile.lexical_depth)
    whole = sum(query.weight for query in retrieval.vectors)
    share = whole / sum(query.weight for query in left)
    vectors = tuple(replace(query, weight=query.weight * share) for query in left)
    return replace(retrieval, vectors=vectors)


def _encode(encoder: TextEncoder, field: str, text: str) -> FloatMatrix:
    try:
        return encoder.encode_queries([text])
    except Exception as error:
        raise _EncoderError(field, type(error).__name__) from error


def _cuts(encoder: object, text: str) -> bool:
    """Whether an encoder does not read `text` to its end, as far as it can tell."""
    if not isinstance(encoder, TruncatingEncoder):
        return False
    try:
        return encoder.truncated([text])[0]
    except ModelError:
        return False  # its tokenizer is gone: there is an answer without the note


def _is_by_date(request: SearchRequest, retrieval: Retrieval) -> bool:
    """Whether the order is the retriever's own: asked for, or nothing there to score by."""
    return request.order is not SortOrder.SCORE or (
        is_fact(retrieval.query) and not retrieval.vectors
    )


def _newest_first(found: Retrieved) -> Floats:
    """Scores that keep the retriever's order."""
    return -found.lexical_ranks.astype(np.float32)
