"""Learns the floor of an answer's strong hits from judged sets, through the served pipeline."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from core.errors import InputError, ModelError
from dateline.build.engine import vector_fields
from dateline.build.models.served import Models, load_models
from dateline.build.service import Service, profiles
from dateline.measuring.evaluate import (
    LOOKED_AT,
    check_sets,
    hidden_from,
    open_indexed,
    reader_of,
)
from dateline.settings import Settings
from eval.sets.absent_queries import absent_queries, words_of
from eval.sets.datasets import JudgedSet, read_judged_set
from eval.tune.floor_fitting import (
    DEEP,
    ELSEWHERE,
    Calibration,
    FloorQuery,
    FloorSet,
    Kept,
    calibration,
    kept,
    learned,
    left_out,
)
from eval.tune.fusion.features import PATIENCE_MS
from indexing.ingest import Observer
from search.answers import SearchRequest
from search.floor import Floor

OF_EACH = 8  # queries of each set that is elsewhere
Said = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class LearnedFloor:
    """A floor, what it does to each set that it was learned from, and what the floor of the other
    sets does to each. `calibration` is of the sets that are judged to depth, by the floor of the
    others if there are any.
    """

    floor: Floor
    sets: tuple[Kept, ...]
    left_out: tuple[Kept, ...]
    calibration: tuple[Calibration, ...] = ()


@dataclass(frozen=True, slots=True)
class FloorPlan:
    """What to learn from: judged sets, and at most `sample` queries of each (0 for all), of the
    judged ones and of each kind that nothing answers. Some queries of the sets `elsewhere` are
    asked of each other set, too: nothing answers most of them. `deep` are those of the sets that
    are judged to depth.
    """

    sets: tuple[str, ...]
    sample: int = 0
    seed: int = 1
    elsewhere: tuple[str, ...] = ()
    deep: tuple[str, ...] = ()


def tune_floor(
    settings: Settings,
    plan: FloorPlan,
    said: Said = lambda what, done, total: None,
    observer: Observer | None = None,
) -> LearnedFloor:
    """Learn a floor. Raises InputError, DocumentError, ModelError, StorageError and QueryError."""
    if strange := {*plan.deep} - {*plan.sets}:
        raise InputError(f"{min(strange)} is not among the sets", mend="name it as a set, too")
    judged = [read_judged_set(name) for name in plan.sets]
    check_sets(judged)
    foreign = [read_judged_set(name) for name in plan.elsewhere]
    profile = profiles(settings)[settings.profile]
    if not profile.is_hybrid:
        mend = "choose a profile with both kinds of retriever, such as hybrid"
        raise ModelError(f"{profile.name} has no floor", where="profile", mend=mend)
    models = load_models(settings)
    fields = vector_fields(models)
    encoders = tuple(fields[name].digest for name in profile.vector_weights)
    gathered = [
        _gathered(settings, one, foreign, plan, models, encoders, said, observer) for one in judged
    ]
    floor = learned(gathered, encoders)
    others = left_out(gathered, encoders) or (floor,) * len(gathered)
    pairs = [*zip(gathered, others, strict=True)]
    return LearnedFloor(
        floor,
        tuple(kept(one, floor) for one in gathered),
        tuple(kept(one, other) for one, other in pairs if len(pairs) > 1),
        tuple(
            calibration(one, other)
            for name, (one, other) in zip(plan.sets, pairs, strict=True)
            if name in plan.deep
        ),
    )


@dataclass(frozen=True, slots=True)
class _Asked:
    """A query to ask: one of the set's, with its grades, or one that nothing answers."""

    text: str
    grades: Mapping[str, int]
    kind: str = ""
    sealed: bool = False


def _gathered(
    settings: Settings,
    judged: JudgedSet,
    foreign: Sequence[JudgedSet],
    plan: FloorPlan,
    models: Models,
    encoders: tuple[str, ...],
    said: Said,
    observer: Observer | None,
) -> FloorSet:
    label = f"{judged.name}:{judged.split}"
    asked = [*_judged(judged, plan), *_absent(judged, plan), *_elsewhere(judged, foreign, plan)]
    queries: list[FloorQuery] = []
    with open_indexed(settings, judged, observer, models) as service:
        for number, one in enumerate(asked):
            said(label, number, len(asked))
            queries += _answered(service, encoders, judged, one)
        if not any(len(query.features) for query in queries):
            hidden = hidden_from(islice(service.engine.all_items(), LOOKED_AT), reader_of(judged))
            raise InputError("no query found anything", where=label, mend="; ".join(hidden))
    said(label, len(asked), len(asked))
    return FloorSet(label, tuple(queries))


def _judged(judged: JudgedSet, plan: FloorPlan) -> list[_Asked]:
    queries = list(judged.queries.items())
    if 0 < plan.sample < len(queries):
        queries = random.Random(plan.seed).sample(queries, plan.sample)  # noqa: S311 - a sample
    return [_Asked(text, judged.qrels[query]) for query, text in queries]


def _absent(judged: JudgedSet, plan: FloorPlan) -> list[_Asked]:
    """Return the queries that nothing answers, at most `plan.sample` of each kind and half."""
    found: dict[tuple[str, bool], list[_Asked]] = {}
    for query in absent_queries(words_of(judged.corpus), plan.seed):
        one = _Asked(query.text, {}, query.kind.value, query.sealed)
        found.setdefault((one.kind, one.sealed), []).append(one)
    return [one for listed in found.values() for one in listed[: plan.sample or None]]


def _elsewhere(judged: JudgedSet, foreign: Sequence[JudgedSet], plan: FloorPlan) -> list[_Asked]:
    """Return queries of sets over other documents, at most OF_EACH of each; every second one is
    sealed.
    """
    chance, found = random.Random(plan.seed), list[_Asked]()  # noqa: S311 - a sample
    for one in foreign:
        if one.corpus_sha256 != judged.corpus_sha256:
            texts = sorted({*one.queries.values()})
            chosen = chance.sample(texts, min(OF_EACH, len(texts)))
            found += [_Asked(text, {}, ELSEWHERE, bool(n % 2)) for n, text in enumerate(chosen)]
    return found


def _answered(
    service: Service, encoders: tuple[str, ...], judged: JudgedSet, asked: _Asked
) -> list[FloorQuery]:
    """Return the query's stories in the served order, with their features and grades; nothing for a
    query without a floor, such as one in quotes.
    """
    caller, name = reader_of(judged), service.settings.profile
    request = SearchRequest(q=asked.text, profile=name, deadline_ms=PATIENCE_MS, dates=judged.dates)
    given = service.pipeline.floor_input(request, caller)
    if given.degraded or given.encoders != encoders:
        what = f"the answer is degraded: {'; '.join(given.degraded)}"
        raise ModelError(what, where=judged.name, mend="see `dateline doctor`")
    if given.features is None:
        return []
    items = service.engine.items(given.ids[:DEEP], caller)
    uris = ["" if item is None else judged.document_id(item.uri) for item in items]
    grades = np.array([asked.grades.get(uri, 0) for uri in uris], np.int32)
    return [FloorQuery(given.features[:DEEP], grades, asked.kind, asked.sealed)]
