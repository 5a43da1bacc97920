"""Runs the pipeline that serves over a judged collection and scores what it answered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any, Protocol

import numpy as np

from core.callers import Caller
from core.errors import InputError, QueryError
from eval.datasets import JudgedSet
from eval.measures import DEFAULT_MEASURES, Measure, means, parse_measure, per_query, unjudged
from search.answers import MAX_PAGE_SIZE, SearchRequest, SearchResponse

DEPTH = 100
_WARM_UP = ("warming up the models", "opening the index", "before the first query")


class Search(Protocol):
    """What is evaluated: `search.pipeline.SearchPipeline`, or what answers like it."""

    def search(self, request: SearchRequest, caller: Caller) -> SearchResponse:
        """One page of stories. Raises QueryError for a query that it refuses."""
        ...


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one query: document ids as served, best first; the flags of stages that were
    skipped or cut short; milliseconds until its last page; why it was refused, if it was.
    """

    documents: tuple[str, ...]
    degraded: tuple[str, ...]
    milliseconds: float
    refused: str = ""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One profile on one collection. `means` are over all judged queries, `per_query` the values
    that they are means of, `answers` what was served. `notes` are doubts about the collection or
    its index.
    """

    dataset: str
    split: str
    profile: str
    depth: int
    documents: int
    body_only: bool
    means: Mapping[str, float]
    per_query: Mapping[str, Mapping[str, float]]
    answers: Mapping[str, Answer]
    unjudged: int
    notes: tuple[str, ...] = ()

    @property
    def degraded(self) -> Mapping[str, int]:
        """In how many answers each stage was flagged."""
        flags = (flag for answer in self.answers.values() for flag in answer.degraded)
        return dict(Counter(flag.partition(":")[0] for flag in flags))

    @property
    def refused(self) -> Mapping[str, str]:
        """The queries that the pipeline refused, with its reason; they score 0."""
        return {query: a.refused for query, a in self.answers.items() if a.refused}

    def milliseconds(self, percentile: float) -> float:
        """That percentile (0..100) of one query's time, one client, `depth` hits without marks."""
        times = [answer.milliseconds for answer in self.answers.values()]
        return float(np.percentile(times, percentile))

    def with_notes(self, notes: Iterable[str]) -> Evaluation:
        """The same with more doubts."""
        return replace(self, notes=(*self.notes, *notes))

    def summary(self) -> str:
        """A few lines for a terminal."""
        titles = ", titles left out" if self.body_only else ""
        about = f"{self.dataset}:{self.split}, profile {self.profile}: "
        size = f"{len(self.answers):,} queries, {self.documents:,} documents{titles}"
        times = f"p50 {self.milliseconds(50):.1f} ms, p99 {self.milliseconds(99):.1f} ms"
        lines = [
            about + size,
            "  ".join(f"{name} {value:.4f}" for name, value in self.means.items()),
            f"{times}, one client, {self.depth} hits a query",
            f"{self.unjudged:,} of the documents found have no judgement",
        ]
        lines += [f"{stage} degraded in {count} answers" for stage, count in self.degraded.items()]
        lines += [f"query {query} was refused: {why}" for query, why in self.refused.items()]
        return "\n".join((*lines, *self.notes))

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON, without the answers themselves (`write_run` has those)."""
        return {
            "dataset": self.dataset,
            "split": self.split,
            "profile": self.profile,
            "depth": self.depth,
            "documents": self.documents,
            "queries": len(self.answers),
            "body_only": self.body_only,
            "measures": {name: round(value, 6) for name, value in self.means.items()},
            "milliseconds": {f"p{p}": round(self.milliseconds(p), 3) for p in (50, 99)},
            "unjudged": self.unjudged,
            "degraded": dict(self.degraded),
            "refused": dict(self.refused),
            "notes": list(self.notes),
            "per_query": {
                query: {name: round(value, 6) for name, value in row.items()}
                for query, row in self.per_query.items()
            },
        }


def evaluate(
    search: Search,
    judged: JudgedSet,
    profile: str,
    caller: Caller,
    depth: int = DEPTH,
    measures: Sequence[str] = DEFAULT_MEASURES,
) -> Evaluation:
    """Asks every judged query once, one after the other, for its best `depth` documents, and
    scores the lists as they were served. Raises InputError for a measure that looks deeper than
    `depth` or is none, and QueryError for a profile that is none.
    """
    chosen = [parse_measure(name) for name in measures]
    _check_depth(chosen, depth)
    for text in _WARM_UP:
        search.search(_request(text, profile, depth), caller)
    answers = {
        query: _ask(search, judged, _request(text, profile, depth), caller, depth)
        for query, text in judged.queries.items()
    }
    run = {query: answer.documents for query, answer in answers.items()}
    values = per_query(chosen, judged.qrels, run)
    return Evaluation(
        dataset=judged.name,
        split=judged.split,
        profile=profile,
        depth=depth,
        documents=judged.documents,
        body_only=judged.conventions.body_only,
        means=means(values),
        per_query=values,
        answers=answers,
        unjudged=unjudged(judged.qrels, run, depth),
        notes=judged.doubts.lines(),
    )


def write_run(evaluation: Evaluation, path: Path) -> None:
    """Writes the answers as a TREC run. Its score falls by 1 with each rank: trec_eval sorts by it
    and ignores the rank, so that served order is what anybody else scores too.
    """
    tag = f"dateline-{evaluation.profile}"
    with path.open("w", encoding="utf-8") as stream:
        for query, answer in evaluation.answers.items():
            for rank, document in enumerate(answer.documents, 1):
                fields = (query, "Q0", document, rank, evaluation.depth + 1 - rank, tag)
                stream.write(" ".join(str(field) for field in fields) + "\n")


def _check_depth(measures: Sequence[Measure], depth: int) -> None:
    if depth < 1:
        raise InputError(f"depth is {depth}", mend="it must be 1 or more")
    for measure in measures:
        if measure.cutoff > depth:
            raise InputError(f"{measure} looks deeper than {depth}", mend="ask for more depth")


def _request(text: str, profile: str, depth: int) -> SearchRequest:
    size = min(depth, MAX_PAGE_SIZE)
    return SearchRequest(q=text, profile=profile, page_size=size, highlight=False)


def _ask(
    search: Search, judged: JudgedSet, request: SearchRequest, caller: Caller, depth: int
) -> Answer:
    """One query's answer, going on page by page; a query that is refused has none."""
    started = perf_counter()
    uris: list[str] = []
    try:
        response = search.search(request, caller)
        uris += [hit.item.uri for hit in response.hits]
        while response.cursor and len(uris) < depth:
            response = search.search(replace(request, cursor=response.cursor), caller)
            uris += [hit.item.uri for hit in response.hits]
    except QueryError as error:
        return Answer((), (), (perf_counter() - started) * 1000, str(error))
    milliseconds = (perf_counter() - started) * 1000
    documents = tuple(judged.document_id(uri) for uri in uris[:depth])
    return Answer(documents, response.degraded, milliseconds)
