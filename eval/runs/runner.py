"""Asks the serving system every judged query, and scores its answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from core.callers import Caller
from core.errors import InputError, QueryError
from core.threads import Threads
from eval.runs.answering import Answer, Answering, PipelineAnswers
from eval.runs.measures import DEFAULT_MEASURES, Measure, Run, parse_measures, per_query
from eval.runs.results import Collection, QueryRow, RunResult, System
from eval.runs.slices import slices_of
from eval.sets.judged import JudgedSet
from search.answers import Searches

DEPTH = 100
_WARM_UP = ("warming up the models", "opening the index", "before the first query")

Said = Callable[[int, int], None]


def _silent(_done: int, _total: int) -> None:
    """Do nothing."""


def evaluate(
    search: Searches,
    judged: JudgedSet,
    profile: str,
    caller: Caller,
    depth: int = DEPTH,
    measures: Sequence[str] = DEFAULT_MEASURES,
    *,
    system: System | None = None,
    said: Said = _silent,
) -> RunResult:
    """Ask a pipeline every judged query once for its best `depth` documents, and score the lists
    as served. Raises as `evaluate_answers` does.
    """
    answering = PipelineAnswers(search, profile, caller)
    named = system or System(profile, profile)
    return evaluate_answers(answering, judged, named, depth, measures, said=said)


def evaluate_answers(
    answering: Answering,
    judged: JudgedSet,
    system: System,
    depth: int = DEPTH,
    measures: Sequence[str] = DEFAULT_MEASURES,
    *,
    clients: int = 1,
    said: Said = _silent,
) -> RunResult:
    """Ask every judged query once, `clients` at a time, and score the answers; `said` gets the
    progress.

    Raises InputError for an unknown measure and one that looks deeper than `depth`, and QueryError
    for an unknown profile.
    """
    chosen = parse_measures(measures)
    check_depth(chosen, depth)
    for text in _WARM_UP:
        refused = answering.answer(text, depth).refused
        if refused:
            raise QueryError(refused)
    answers = _asked(answering, judged, depth, clients, said)
    return replace(scored(judged, system, answers, chosen, depth), clients=clients)


def _asked(
    answering: Answering, judged: JudgedSet, depth: int, clients: int, said: Said
) -> dict[str, Answer]:
    """Return the answer of each query, in the set's order, whichever finished first."""

    def ask(text: str) -> Answer:
        return answering.answer(text, depth, judged.dates)

    answers: dict[str, Answer] = {}
    with Threads(clients, thread_name_prefix="client") as pool:
        texts = judged.queries.values()
        each = map(ask, texts) if clients == 1 else pool.map(ask, texts)
        for query, answer in zip(judged.queries, each, strict=True):
            said(len(answers), len(judged.queries))
            answers[query] = answer
    said(len(answers), len(answers))
    return answers


def check_depth(measures: Sequence[Measure], depth: int) -> None:
    """Raise InputError for measures that look deeper than `depth`."""
    if depth < 1:
        raise InputError(f"depth is {depth}", mend="it must be 1 or more")
    for measure in measures:
        if measure.cutoff > depth:
            raise InputError(f"{measure} looks deeper than {depth}", mend="ask for more depth")


def scored(
    judged: JudgedSet,
    system: System,
    answers: Mapping[str, Answer],
    measures: Sequence[Measure],
    depth: int,
) -> RunResult:
    """Return the result of answers by query; a judged query without an answer counts 0."""
    nothing = Answer((), (), 0.0)
    given = {query: answers.get(query, nothing) for query in judged.qrels}
    run: Run = {
        query: tuple(judged.document_id(uri) for uri in answer.uris)
        for query, answer in given.items()
    }
    values = per_query(measures, judged.qrels, run)
    slices = slices_of(judged)
    rows = tuple(
        QueryRow(
            query_id=query,
            text=judged.queries[query],
            values=values[query],
            documents=tuple(run[query]),
            milliseconds=answer.milliseconds,
            slices=slices.get(query, {}),
            degraded=answer.degraded,
            refused=answer.refused,
            unjudged=sum(document not in judged.qrels[query] for document in run[query]),
        )
        for query, answer in given.items()
    )
    return RunResult(
        collection=collection_of(judged),
        system=system,
        rows=rows,
        depth=depth,
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        notes=_notes(judged, answers),
    )


def collection_of(judged: JudgedSet) -> Collection:
    """Return the collection as a result keeps it."""
    return Collection(
        name=judged.name,
        split=judged.split,
        documents=judged.documents,
        queries=len(judged.queries),
        corpus_sha256=judged.corpus_sha256,
        judgements_sha256=judged.judgements_sha256,
    )


def _notes(judged: JudgedSet, answers: Mapping[str, Answer]) -> tuple[str, ...]:
    missing = sum(query not in answers for query in judged.qrels)
    notes = list(judged.doubts.lines())
    if missing:
        notes.append(f"{missing} judged queries are not in the run and count 0")
    if not any(answer.uris for answer in answers.values()):
        notes.append("no query found anything")
    return tuple(notes)
