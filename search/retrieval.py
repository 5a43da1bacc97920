"""Retrieval: asks the engine for the candidates, by words and by vectors, or for a page by date."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from core.ports.engine import (
    Catalogue,
    Exemplars,
    Names,
    Retriever,
    Standings,
    Vocabulary,
)
from core.ports.models import TextAnalysis
from core.query_tree import Node
from core.retrieval import (
    Beside,
    Browse,
    Browsed,
    Floats,
    Ids,
    Ints,
    Marks,
    Retrieval,
    Retrieved,
    SortOrder,
)
from search.cursors import Start, write_start
from search.encoders import EncoderError
from search.profiles import Profile
from search.question import Question
from search.understanding.names import name_shares


class Engine(Retriever, Catalogue, Names, Exemplars, Standings, Vocabulary, Protocol):
    """What the query path needs from a storage engine."""


@dataclass(frozen=True, slots=True)
class ListByDate:
    """One page of a list by date: what the engine was asked, and what it found. It is page number
    `page`, `rank` hits stand before it, and `cursor` leads to the next one ("" at the end). `wider`
    has the filters for each open facet.
    """

    wanted: Browse
    found: Browsed
    rank: int
    page: int
    cursor: str
    wider: Mapping[str, Node]


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of a question's candidates before any weight applies.

    `names` float32 [m] are the shares of boosting known names, None if no name boosts. `foreign`
    bool [m] marks items in another language than the query, None if the profile weighs them alike.
    `by_date` is the page of a list by date, whose items are the candidates.
    """

    question: Question
    found: Retrieved
    names: Floats | None = None
    foreign: Marks | None = None
    by_date: ListByDate | None = None

    def flags(self, *more: str) -> tuple[str, ...]:
        """Return the flags collected so far, and `more`."""
        flags = (*self.question.degraded, *self.found.degraded, *more)
        return tuple(flag for flag in flags if flag)


@dataclass(frozen=True, slots=True)
class Answer:
    """An engine's answer. `asked` is the request that it answered, `found` what it found. The flags
    in `degraded` say what was left out of the first request.
    """

    asked: Retrieval
    found: Retrieved
    degraded: tuple[str, ...]


def gather(engine: Engine, question: Question) -> Evidence:
    """Return the candidates, by words and by vectors, without names; for a list by date its
    page.
    """
    if not question.by_date:
        return _retrieved(engine, question)
    return _browsed(engine, question)


def _retrieved(engine: Engine, question: Question) -> Evidence:
    answer = retrieve(engine, question.asked, question.profile, question.degraded)
    found = answer.found
    if (like := question.meaning.like) is not None:
        found = _left_out(found, engine.chains(found.ids) == like.story)
    asked = replace(answer.asked, beside=Beside())  # nobody needs it twice
    return Evidence(replace(question, asked=asked, degraded=answer.degraded), found)


def _browsed(engine: Retriever, question: Question) -> Evidence:
    """Return the page of a list by date that the question begins at, as candidates in that
    order.
    """
    request, start, asked = question.request, question.start, question.asked
    order = asked.order if asked.order is not SortOrder.SCORE else SortOrder.NEWEST
    asked = replace(asked, order=order, vectors=())
    rank = start.rank if start else (request.page - 1) * request.page_size
    plain = [name for name in question.counted.facets.names if name not in question.wider]
    wanted = Browse(
        asked,
        request.page_size,
        start.place if start else None,
        0 if start else rank,
        question.counted.of(*plain),
    )
    found, page = engine.browse(wanted), start.page if start else request.page
    count, cursor = len(found.ids), ""
    if found.more:
        following = Start(found.places[-1], question.now, rank + count, page + 1)
        cursor = write_start(following, request, question.caller)
    listed = Retrieved(
        found.ids,
        np.zeros(count, np.float32),
        np.arange(1, count + 1, dtype=np.int32),
        found.matches,
        (),
        found.milliseconds,
        degraded=found.degraded,
    )
    by_date = ListByDate(wanted, found, rank, page, cursor, question.wider)
    return Evidence(replace(question, asked=asked), listed, by_date=by_date)


def with_names(engine: Engine, analysis: TextAnalysis, evidence: Evidence) -> Evidence:
    """Return the evidence with the query's names, which were searched for while the engine
    answered. If the archive spells one of them differently, the engine is asked again.
    """
    question = _named(evidence.question, analysis)
    if question.asked.query is evidence.question.asked.query:
        evidence = replace(evidence, question=question)
    else:
        first, evidence = evidence.found, gather(engine, question)
        evidence = replace(evidence, found=replace(evidence.found, named=first.named))
    if question.by_date:
        return evidence
    ids, said = evidence.found.ids, question.meaning.said
    foreign = _foreign_items(engine, ids, said.language, question.profile)
    return replace(evidence, names=name_shares(engine, ids, said.entities), foreign=foreign)


def _named(question: Question, analysis: TextAnalysis) -> Question:
    """Return the question with its names, in the archive's spelling."""
    request, meaning = question.request, question.meaning
    boosts = question.profile.entity_boost > 0 and request.order is SortOrder.SCORE
    meaning = meaning.with_names(request.entities, analysis, boosts=boosts)
    return replace(
        question,
        meaning=meaning,
        asked=replace(question.asked, query=meaning.tree),
        degraded=(*question.degraded, *meaning.degraded),
    )


def _foreign_items(archive: Catalogue, ids: Ids, language: str, profile: Profile) -> Marks | None:
    """Return which items are in another language than the query, bool [m]: not those whose language
    is not known. None if that of the query is not, or where the profile weighs both alike.
    """
    if not language or profile.foreign_share == 1.0:
        return None
    own = ("", language)
    return np.array([code not in own for code in archive.languages_of(ids)], np.bool_)


def retrieve(
    engine: Retriever, asked: Retrieval, profile: Profile, degraded: tuple[str, ...] = ()
) -> Answer:
    """Return the engine's answer, without the fields whose encoders fail; `degraded` are the flags
    so far.
    """
    while True:
        try:
            return Answer(asked, engine.retrieve(asked), degraded)
        except EncoderError as failure:
            degraded = (*degraded, str(failure))
            asked = _without(asked, failure.field, profile)


def _without(asked: Retrieval, field: str, profile: Profile) -> Retrieval:
    """Return the request without a vector field: the others take over its weight; without others
    BM25 answers alone.
    """
    if all(query.field == field for query in asked.vectors):
        return replace(asked, vectors=(), lexical_depth=profile.lexical_depth)
    return asked.without({field})


def _left_out(found: Retrieved, own: Marks) -> Retrieved:
    """Return the candidates without those marked in `own` (bool [m]). Ranks close up."""
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
    """Return the 1-based ranks, counted again without the candidates that are `left_out`. A rank of
    0 (the retriever did not find the candidate) stays 0.
    """
    gone = np.sort(ranks[left_out & (ranks > 0)])
    closed: Ints = (ranks - np.searchsorted(gone, ranks)).astype(np.int32)
    return closed
