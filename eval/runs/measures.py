"""Measures of one ranked list against judgements, by the names of ir_measures (`nDCG@10`), which
computes them.

Conventions:

- A grade of 1 or more is relevant. A grade of 0 or below is judged and not relevant and gives no
  gain, also where a collection writes -1 or -2 for junk (trec_eval leaves those out of Bpref).
- A document without a judgement counts as not relevant. Three measures show how much that may
  hide: Judged@k, Bpref, and the condensed view of a measure (`nDCG@10 condensed`), which leaves
  such documents out of the list first (Sakai, 2007).
- nDCG: gain is the grade, the discount of rank r is log2(r + 1) (Jaervelin and Kekaelaeinen, 2002).
  The ideal is made of *all* judgements of the query, whether the run or the corpus has them or not.
- R, AP: out of all relevant documents of the query. P@k is out of k, however short the list is.
- Bpref (Buckley and Voorhees, 2004, as trec_eval has it): a relevant document counts less, the
  more documents above it are judged and not relevant. Unjudged documents play no part.
- A judged query that the run lacks scores 0 and counts; so does one without a relevant document.
- Equal scores go by document id, descending, as trec_eval has it: `ranked`.
- Judged@k: the share of the first k that has a judgement, out of as many as are there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from core.errors import InputError

Grades = Mapping[str, int]
Qrels = Mapping[str, Grades]
Ranking = Sequence[str]
Run = Mapping[str, Ranking]

DEFAULT_MEASURES = ("nDCG@10", "R@100", "RR@10")
VIEWS = ("nDCG@10 condensed", "Bpref", "Judged@10")  # what unjudged documents may hide
KINDS = (
    "nDCG",
    "R",
    "P",
    "RR",
    "AP",
    "Success",
    "Judged",
    "Bpref",
)  # measures of ir_measures with values in 0..1
_CONDENSED = " condensed"
_NAME = re.compile(rf"([A-Za-z]+)(?:@([1-9]\d{{0,6}}))?({_CONDENSED})?")
_Scores = dict[str, dict[str, int]]


@dataclass(frozen=True, slots=True)
class Measure:
    """A measure and how deep it looks; `cutoff` 0 is the whole list. A `condensed` measure is of
    the list without unjudged documents.
    """

    kind: str
    cutoff: int = 0
    condensed: bool = False

    def __str__(self) -> str:
        cut = f"@{self.cutoff}" if self.cutoff else ""
        return f"{self.kind}{cut}{_CONDENSED if self.condensed else ''}"


def parse_measure(name: str) -> Measure:
    """Return the measure of that name. Raises InputError for a name that no measure has."""
    match = _NAME.fullmatch(name.strip())
    if match is None or match[1] not in KINDS:
        raise InputError(f"there is no measure {name!r}", mend=_known_like(name))
    accepts = _theirs(match[1]).SUPPORTED_PARAMS
    if "cutoff" in accepts and accepts["cutoff"].required and match[2] is None:
        raise InputError(f"{name} needs a cutoff", mend=f"as in {match[1]}@10")
    if "cutoff" not in accepts and match[2] is not None:
        raise InputError(f"{name} has a cutoff", mend=f"{match[1]} is of the whole list")
    if "judged_only" not in accepts and match[3]:
        raise InputError(f"{name} says nothing", mend=f"use {match[1]} without {match[3].strip()}")
    return Measure(match[1], int(match[2] or 0), bool(match[3]))


def parse_measures(names: Iterable[str]) -> tuple[Measure, ...]:
    """Return the measures of the names, each once. Raises InputError for a wrong name, and for no
    name at all.
    """
    found = tuple(dict.fromkeys(parse_measure(name) for name in names))
    if not found:
        raise InputError("no measure is named", mend=f"such as {', '.join(DEFAULT_MEASURES)}")
    return found


def names_of(text: str) -> tuple[str, ...]:
    """Return the names in a text that separates them by commas."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def ranked(scores: Mapping[str, float]) -> tuple[str, ...]:
    """Return the documents from best to worst; equal scores go by id, descending."""
    by_name = sorted(scores, reverse=True)
    return tuple(sorted(by_name, key=scores.__getitem__, reverse=True))  # keeps ties as they are


def per_query(measures: Iterable[Measure], qrels: Qrels, run: Run) -> dict[str, dict[str, float]]:
    """Return every measure of every judged query, 0 for queries that the run lacks. Raises
    InputError for a list that has a document twice: its second place would count as a find.
    """
    chosen = tuple(dict.fromkeys(measures))
    grades = {
        query: {document: max(0, grade) for document, grade in judged.items()}
        for query, judged in qrels.items()
    }
    scores = {query: _scores(query, run[query]) for query in qrels if run.get(query)}
    values = {query: {str(measure): 0.0 for measure in chosen} for query in qrels}
    _fill(values, [measure for measure in chosen if not measure.condensed], grades, scores)
    if condensed := [measure for measure in chosen if measure.condensed]:
        _fill(values, condensed, grades, _judged_only(scores, grades))
    return values


def means(values: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Return the mean of each measure over the queries."""
    sums: dict[str, float] = {}
    for row in values.values():
        for name, value in row.items():
            sums[name] = sums.get(name, 0.0) + value
    return {name: total / len(values) for name, total in sums.items()}


def _known_like(name: str) -> str:
    """Say which measure has nearly that name, else which there are."""
    kind, at, rest = name.strip().partition("@")
    by_letters = {known.lower(): known for known in KINDS}
    if near := get_close_matches(kind.lower(), by_letters, n=1):
        return f"did you mean {by_letters[near[0]]}{at}{rest}?"
    return f"one of {', '.join(KINDS)}, such as nDCG@10; or one of them and {_CONDENSED.strip()!r}"


def _theirs(kind: str) -> Any:
    """Return ir_measures' own measure; the library is imported only when something is measured."""
    import ir_measures

    return getattr(ir_measures, kind)


def _scores(query: str, ranking: Ranking) -> dict[str, int]:
    """Return scores that put the documents in the order of the list."""
    found = dict(zip(ranking, range(len(ranking), 0, -1), strict=True))
    if len(found) < len(ranking):
        raise InputError(
            f"the run has a document twice for query {query!r}", mend="keep its first place"
        )
    return found


def _judged_only(scores: _Scores, qrels: Qrels) -> _Scores:
    """Return the lists without unjudged documents. ir_measures' own `judged_only` does not support
    RR with a cutoff.
    """
    kept = {
        query: {document: score for document, score in found.items() if document in qrels[query]}
        for query, found in scores.items()
    }
    return {query: found for query, found in kept.items() if found}


def _fill(
    values: dict[str, dict[str, float]], measures: Sequence[Measure], qrels: Qrels, run: _Scores
) -> None:
    """Write the measures of the queries that the run has into `values`."""
    from ir_measures import iter_calc

    named = {}
    for measure in measures:
        theirs = _theirs(measure.kind)
        named[theirs @ measure.cutoff if measure.cutoff else theirs] = str(measure)
    for found in iter_calc(named, qrels, run) if named else ():
        values[found.query_id][named[found.measure]] = found.value
