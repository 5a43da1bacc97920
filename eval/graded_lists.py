"""Ranked lists as arrays of grades: looked up once, so that every measure is arithmetic on them.

A row is one judged query. Rows are as wide as the longest list; what lies behind a list's end is
neither there nor judged.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice

import numpy as np
import numpy.typing as npt

from core.errors import InputError

Grades = Mapping[str, int]
Qrels = Mapping[str, Grades]
Ranking = Sequence[str]
Run = Mapping[str, Ranking]

Bools = npt.NDArray[np.bool_]
Counts = npt.NDArray[np.int64]
Floats64 = npt.NDArray[np.float64]

_AT_ONCE = 4096  # queries, so that memory does not grow with their number
_NO_JUDGEMENT = -(2**31)


@dataclass(frozen=True, slots=True)
class GradedLists:
    """`gains` float64 [queries, depth]: a document's grade, 0 for what is not relevant or not
    judged; `judged` bool [queries, depth]; `lengths` int64 [queries], how many documents each list
    has.

    `ideal` float64 [queries, most]: the gains of *all* relevant documents of a query, largest
    first, padded with 0. `relevant` and `not_relevant` int64 [queries] count its judgements.
    """

    gains: Floats64
    judged: Bools
    lengths: Counts
    ideal: Floats64
    relevant: Counts
    not_relevant: Counts

    def condensed(self) -> GradedLists:
        """The same lists without the documents that have no judgement (Sakai, 2007)."""
        order = np.argsort(~self.judged, axis=1, kind="stable")
        return GradedLists(
            gains=np.take_along_axis(self.gains, order, axis=1),
            judged=np.take_along_axis(self.judged, order, axis=1),
            lengths=self.judged.sum(axis=1),
            ideal=self.ideal,
            relevant=self.relevant,
            not_relevant=self.not_relevant,
        )


def graded_lists(qrels: Qrels, run: Run) -> Iterator[tuple[tuple[str, ...], GradedLists]]:
    """The judged queries, a few thousand at a time, with their lists; a query that the run lacks
    has an empty one. Raises InputError for a list that has a document twice: its second place would
    be counted as a find.
    """
    pairs = iter(qrels.items())
    while block := dict(islice(pairs, _AT_ONCE)):
        found = [_grades(query, run.get(query, ()), grades) for query, grades in block.items()]
        yield tuple(block), _lists(list(block.values()), found)


def _grades(query: str, ranking: Ranking, grades: Grades) -> list[int]:
    if len(set(ranking)) < len(ranking):
        raise InputError(
            f"the run has a document twice for query {query!r}", mend="keep its first place"
        )
    return [grades.get(document, _NO_JUDGEMENT) for document in ranking]


def _lists(judgements: Sequence[Grades], found: Sequence[Sequence[int]]) -> GradedLists:
    """The arrays of the grades that were `found` in each list, in its order."""
    given, lengths = _padded(found, _NO_JUDGEMENT)
    ideals = [
        sorted((grade for grade in grades.values() if grade > 0), reverse=True)
        for grades in judgements
    ]
    ideal, relevant = _padded(ideals, 0)
    counts = np.array([len(grades) for grades in judgements], np.int64)
    return GradedLists(
        gains=np.maximum(given, 0).astype(np.float64),
        judged=given != _NO_JUDGEMENT,
        lengths=lengths,
        ideal=ideal.astype(np.float64),
        relevant=relevant,
        not_relevant=counts - relevant,
    )


def _padded(rows: Sequence[Sequence[int]], filling: int) -> tuple[Counts, Counts]:
    """int64 [n, longest] with `filling` behind each row's end, and the rows' lengths [n]."""
    lengths = np.array([len(row) for row in rows], np.int64)
    wide = np.full((len(rows), int(lengths.max(initial=0))), filling, np.int64)
    inside = np.arange(wide.shape[1]) < lengths[:, None]
    wide[inside] = np.fromiter(chain.from_iterable(rows), np.int64, lengths.sum())
    return wide, lengths
