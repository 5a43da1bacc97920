"""Measures of one ranked list against judgements, by the names of ir_measures (`nDCG@10`).

Conventions, as in trec_eval unless said:

- A grade of 1 or more is relevant. A grade of 0 or below is judged and not relevant and gives no
  gain, also where a collection writes -1 or -2 for junk (trec_eval leaves those out of Bpref).
- A document without a judgement counts as not relevant. How much that may hide is said by
  Judged@k, by Bpref, and by the condensed view of a measure (`nDCG@10 condensed`), which leaves
  such documents out of the list first (Sakai, 2007).
- nDCG: gain is the grade, the discount of rank r is log2(r + 1) (Jaervelin and Kekaelaeinen, 2002).
  The ideal is made of *all* judgements of the query, whether the run or the corpus has them or not.
- R, AP: out of all relevant documents of the query. P@k is out of k, however short the list is.
- Bpref (Buckley and Voorhees, 2004, as trec_eval has it): of each relevant document found, how few
  of the judged ones above it are not relevant; unjudged documents play no part.
- A judged query that the run lacks scores 0 and counts; so does one without a relevant document.
- Equal scores go by document id, descending, as trec_eval has it: `ranked`.
- Judged@k: the share of the first k that has a judgement, out of as many as are there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from core.errors import InputError
from eval.graded_lists import Floats64, GradedLists, graded_lists
from eval.graded_lists import Grades as Grades
from eval.graded_lists import Qrels as Qrels
from eval.graded_lists import Ranking as Ranking
from eval.graded_lists import Run as Run

DEFAULT_MEASURES = ("nDCG@10", "R@100", "RR@10")
VIEWS = ("nDCG@10 condensed", "Bpref", "Judged@10")  # what unjudged documents may hide
_CONDENSED = " condensed"
_NAME = re.compile(rf"([A-Za-z]+)(?:@([1-9]\d{{0,6}}))?({_CONDENSED})?")


@dataclass(frozen=True, slots=True)
class Measure:
    """A measure and how deep it looks; `cutoff` 0 is the whole list. `condensed`: of the list
    without unjudged documents.
    """

    kind: str
    cutoff: int = 0
    condensed: bool = False

    def __str__(self) -> str:
        cut = f"@{self.cutoff}" if self.cutoff else ""
        return f"{self.kind}{cut}{_CONDENSED if self.condensed else ''}"

    def of(self, ranking: Ranking, grades: Grades) -> float:
        """The value in 0..1 of one query's documents, best first, each once."""
        return per_query([self], {"": grades}, {"": ranking})[""][str(self)]

    def of_all(self, lists: GradedLists, condensed: GradedLists) -> Floats64:
        """float64 [queries], each in 0..1; `condensed` are the same lists condensed."""
        chosen = condensed if self.condensed else lists
        width = chosen.gains.shape[1]
        return _KINDS[self.kind](chosen, min(self.cutoff or width, width), self.cutoff)


def parse_measure(name: str) -> Measure:
    """The measure of a name. Raises InputError for a name that is none."""
    match = _NAME.fullmatch(name.strip())
    if match is None or match[1] not in _KINDS:
        known = ", ".join(kind if kind in _WHOLE else f"{kind}@k" for kind in _KINDS)
        mend = f"one of {known}; or one of them and {_CONDENSED.strip()!r}"
        raise InputError(f"there is no measure {name!r}", mend=mend)
    if match[1] in _NEED_CUTOFF and match[2] is None:
        raise InputError(f"{name} needs a cutoff", mend=f"as in {match[1]}@10")
    if match[1] in _WHOLE and match[2] is not None:
        raise InputError(f"{name} has a cutoff", mend=f"{match[1]} is of the whole list")
    if match[1] in _NOT_CONDENSED and match[3]:
        raise InputError(f"{name} says nothing", mend=f"use {match[1]} without {match[3].strip()}")
    return Measure(match[1], int(match[2] or 0), bool(match[3]))


def parse_measures(names: Iterable[str]) -> tuple[Measure, ...]:
    """The measures of names, each once. Raises InputError for a name that is none, or for none."""
    found = tuple(dict.fromkeys(parse_measure(name) for name in names))
    if not found:
        raise InputError("no measure is named", mend=f"such as {', '.join(DEFAULT_MEASURES)}")
    return found


def names_of(text: str) -> tuple[str, ...]:
    """What stands between commas, as the command line takes measures."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def ranked(scores: Mapping[str, float]) -> tuple[str, ...]:
    """Documents from best to worst; equal scores by id, descending."""
    by_name = sorted(scores, reverse=True)
    return tuple(sorted(by_name, key=scores.__getitem__, reverse=True))  # keeps ties as they are


def per_query(measures: Iterable[Measure], qrels: Qrels, run: Run) -> dict[str, dict[str, float]]:
    """Every measure of every judged query; 0 for queries that the run lacks. Raises InputError for
    a list that has a document twice: its second place would be counted as a find.
    """
    chosen = {str(measure): measure for measure in measures}
    values: dict[str, dict[str, float]] = {}
    for queries, lists in graded_lists(qrels, run):
        wanted = any(measure.condensed for measure in chosen.values())
        condensed = lists.condensed() if wanted else lists
        columns = [measure.of_all(lists, condensed).tolist() for measure in chosen.values()]
        for query, row in zip(queries, zip(*columns, strict=True), strict=True):
            values[query] = dict(zip(chosen, row, strict=True))
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


# Each below gives float64 [queries]. `width` is how many columns to look at, `cutoff` the measure's
# own (0 for none), which may lie behind the end of every list.


def _ndcg(lists: GradedLists, width: int, cutoff: int) -> Floats64:
    gains, ideal = lists.gains[:, :width], lists.ideal
    if cutoff:
        ideal = ideal[:, :cutoff]
    found, best = gains @ _discounts(gains.shape[1]), ideal @ _discounts(ideal.shape[1])
    return _ratio(found, best)


def _recall(lists: GradedLists, width: int, _: int) -> Floats64:
    return _ratio((lists.gains[:, :width] > 0).sum(axis=1), lists.relevant)


def _precision(lists: GradedLists, width: int, cutoff: int) -> Floats64:
    found = (lists.gains[:, :width] > 0).sum(axis=1)
    return _ratio(found, np.full(len(found), cutoff))


def _reciprocal_rank(lists: GradedLists, width: int, _: int) -> Floats64:
    reciprocals = (lists.gains[:, :width] > 0) / _ranks(width)
    best: Floats64 = reciprocals.max(axis=1, initial=0.0)
    return best


def _average_precision(lists: GradedLists, width: int, _: int) -> Floats64:
    hits = lists.gains[:, :width] > 0
    precisions = hits.cumsum(axis=1) / _ranks(width)
    return _ratio((precisions * hits).sum(axis=1), lists.relevant)


def _success(lists: GradedLists, width: int, _: int) -> Floats64:
    found = (lists.gains[:, :width] > 0).sum(axis=1)
    return _ratio(np.minimum(found, 1), np.ones(len(found)))


def _judged(lists: GradedLists, width: int, _: int) -> Floats64:
    return _ratio(lists.judged[:, :width].sum(axis=1), np.minimum(lists.lengths, width))


def _bpref(lists: GradedLists, _width: int, _cutoff: int) -> Floats64:
    hits = lists.gains > 0
    above = (lists.judged & ~hits).cumsum(axis=1)
    most = np.minimum(lists.relevant, lists.not_relevant)[:, None]
    misplaced = np.minimum(above, lists.relevant[:, None]) / np.maximum(most, 1)
    return _ratio(((1 - misplaced) * hits).sum(axis=1), lists.relevant)


def _ranks(count: int) -> Floats64:
    return np.arange(1, count + 1, dtype=np.float64)


def _discounts(count: int) -> Floats64:
    return 1 / np.log2(_ranks(count) + 1)


def _ratio(above: np.typing.NDArray[np.generic], below: np.typing.NDArray[np.generic]) -> Floats64:
    """Their quotient, 0 where `below` is 0."""
    numbers, quotients = np.asarray(below, np.float64), np.zeros(len(below))
    np.divide(np.asarray(above, np.float64), numbers, out=quotients, where=numbers > 0)
    return quotients


_KINDS: dict[str, Callable[[GradedLists, int, int], Floats64]] = {
    "nDCG": _ndcg,
    "R": _recall,
    "P": _precision,
    "RR": _reciprocal_rank,
    "AP": _average_precision,
    "Success": _success,
    "Judged": _judged,
    "Bpref": _bpref,
}
_NEED_CUTOFF = frozenset({"P", "R", "Success"})
_WHOLE = frozenset({"Bpref"})
_NOT_CONDENSED = frozenset({"Bpref", "Judged"})
