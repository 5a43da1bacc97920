"""Measures of one ranked list against judgements, by the names of ir_measures (`nDCG@10`).

Conventions, as in trec_eval unless said:

- A grade of 1 or more is relevant, 0 is not. A document without a judgement counts as not relevant.
- nDCG: gain is the grade, the discount of rank r is log2(r + 1) (Jaervelin and Kekaelaeinen, 2002).
  The ideal is made of *all* judgements of the query, whether the run or the corpus has them or not.
- R, AP: out of all relevant documents of the query. P@k is out of k, however short the list is.
- A judged query that the run lacks scores 0 and counts; so does one without a relevant document.
- Equal scores go by document id, descending, as trec_eval has it: `ranked`.
- Judged@k: the share of the first k that has a judgement, out of as many as are there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import log2

from core.errors import InputError

Grades = Mapping[str, int]
Qrels = Mapping[str, Grades]
Ranking = Sequence[str]
Run = Mapping[str, Ranking]

DEFAULT_MEASURES = ("nDCG@10", "R@100", "RR@10")
_NAME = re.compile(r"([A-Za-z]+)(?:@([1-9]\d{0,6}))?")


@dataclass(frozen=True, slots=True)
class Measure:
    """A measure and how deep it looks; `cutoff` 0 is the whole list."""

    kind: str
    cutoff: int = 0

    def __str__(self) -> str:
        return f"{self.kind}@{self.cutoff}" if self.cutoff else self.kind

    def of(self, ranking: Ranking, grades: Grades) -> float:
        """The value in 0..1 of one query's documents, best first, each once."""
        return _KINDS[self.kind](ranking[: self.cutoff] if self.cutoff else ranking, grades, self)


def parse_measure(name: str) -> Measure:
    """The measure of a name. Raises InputError for a name that is none."""
    match = _NAME.fullmatch(name.strip())
    if match is None or match[1] not in _KINDS:
        known = ", ".join(f"{kind}@k" for kind in _KINDS)
        raise InputError(f"there is no measure {name!r}", mend=f"one of {known}")
    if match[1] in _NEED_CUTOFF and match[2] is None:
        raise InputError(f"{name} needs a cutoff", mend=f"as in {name}@10")
    return Measure(match[1], int(match[2] or 0))


def ranked(scores: Mapping[str, float]) -> tuple[str, ...]:
    """Documents from best to worst; equal scores by id, descending."""
    return tuple(sorted(scores, key=lambda document: (scores[document], document), reverse=True))


def per_query(measures: Iterable[Measure], qrels: Qrels, run: Run) -> dict[str, dict[str, float]]:
    """Every measure of every judged query; 0 for queries that the run lacks. Raises InputError for
    a list that has a document twice: its second place would be counted as a find.
    """
    chosen = {str(measure): measure for measure in measures}
    values: dict[str, dict[str, float]] = {}
    for query, grades in qrels.items():
        ranking = run.get(query, ())
        if len(set(ranking)) < len(ranking):
            raise InputError(
                f"the run has a document twice for query {query!r}", mend="keep its first place"
            )
        values[query] = {name: measure.of(ranking, grades) for name, measure in chosen.items()}
    return values


def means(values: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """The mean of each measure over the queries."""
    sums: dict[str, float] = {}
    for row in values.values():
        for name, value in row.items():
            sums[name] = sums.get(name, 0.0) + value
    return {name: total / len(values) for name, total in sums.items()}


def unjudged(qrels: Qrels, run: Run, depth: int) -> int:
    """How many of the first `depth` documents of all judged queries have no judgement."""
    return sum(
        document not in grades
        for query, grades in qrels.items()
        for document in run.get(query, ())[:depth]
    )


def _relevant(grades: Grades) -> int:
    return sum(grade > 0 for grade in grades.values())


def _hits(ranking: Ranking, grades: Grades) -> list[int]:
    """1-based ranks of the relevant documents."""
    return [rank for rank, document in enumerate(ranking, 1) if grades.get(document, 0) > 0]


def _gain(grades: Iterable[int]) -> float:
    return sum(grade / log2(rank + 1) for rank, grade in enumerate(grades, 1) if grade)


def _ndcg(ranking: Ranking, grades: Grades, measure: Measure) -> float:
    best = sorted(grades.values(), reverse=True)
    ideal = _gain(best[: measure.cutoff] if measure.cutoff else best)
    return _gain(grades.get(document, 0) for document in ranking) / ideal if ideal else 0.0


def _recall(ranking: Ranking, grades: Grades, _: Measure) -> float:
    relevant = _relevant(grades)
    return len(_hits(ranking, grades)) / relevant if relevant else 0.0


def _precision(ranking: Ranking, grades: Grades, measure: Measure) -> float:
    return len(_hits(ranking, grades)) / measure.cutoff


def _reciprocal_rank(ranking: Ranking, grades: Grades, _: Measure) -> float:
    hits = _hits(ranking, grades)
    return 1 / hits[0] if hits else 0.0


def _average_precision(ranking: Ranking, grades: Grades, _: Measure) -> float:
    relevant = _relevant(grades)
    found = enumerate(_hits(ranking, grades), 1)
    return sum(count / rank for count, rank in found) / relevant if relevant else 0.0


def _success(ranking: Ranking, grades: Grades, _: Measure) -> float:
    return float(bool(_hits(ranking, grades)))


def _judged(ranking: Ranking, grades: Grades, _: Measure) -> float:
    return sum(document in grades for document in ranking) / len(ranking) if ranking else 0.0


_KINDS: dict[str, Callable[[Ranking, Grades, Measure], float]] = {
    "nDCG": _ndcg,
    "R": _recall,
    "P": _precision,
    "RR": _reciprocal_rank,
    "AP": _average_precision,
    "Success": _success,
    "Judged": _judged,
}
_NEED_CUTOFF = frozenset({"P", "R", "Success"})
