"""Matches results by collection and query before anything is subtracted. A mismatch is an error
that says what differs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from core.errors import InputError
from eval.compare.significance import Values
from eval.runs.results import QueryRow, RunResult, read_result, same_questions

_RESULT = "result.json"
_QUERIES_DIFFER = "queries are in one of them only"


@dataclass(frozen=True, slots=True)
class Pair:
    """One collection answered by two systems; their rows are of the same queries in the same order.
    `missing` counts queries that one of the two lacked and that were filled in with zeros.
    """

    baseline: RunResult
    other: RunResult
    missing: int = 0

    @property
    def label(self) -> str:
        """The collection's label."""
        return self.baseline.collection.label

    def differences(self, measure: str) -> Values:
        """Return float64 [queries]: other less baseline. Raises InputError as `checked_values`
        does.
        """
        return checked_values(self.other, measure) - checked_values(self.baseline, measure)


def read_system(folder: Path, name: str = "") -> tuple[RunResult, ...]:
    """Return the results of one system, from `folder` itself or from every folder in it.

    `name` replaces the name in the results. Raises InputError if there are no results, if a
    collection appears twice, or if they are of several systems and no `name` is given.
    """
    whole = (folder / _RESULT).is_file()
    folders = [folder] if whole else sorted(path.parent for path in folder.glob(f"*/{_RESULT}"))
    if not folders:
        raise InputError(
            f"there is no {_RESULT} here or one folder down",
            where=str(folder),
            mend="name a folder that `dateline eval run --output` wrote",
        )
    results = tuple(read_result(each) for each in folders)
    names = sorted({result.system.name for result in results})
    if len(names) > 1 and not name:
        raise InputError(
            f"there are results of {' and of '.join(names)}",
            where=str(folder),
            mend=f"name one of its folders, or give all one name: NAME={folder}",
        )
    by_collection(results, str(folder))
    if not name:
        return results
    return tuple(replace(each, system=replace(each.system, name=name)) for each in results)


def by_collection(results: Iterable[RunResult], where: str = "") -> dict[str, RunResult]:
    """Return results by their collection's label. Raises InputError for a label that appears
    twice.
    """
    found: dict[str, RunResult] = {}
    for result in results:
        label = result.collection.label
        if label in found:
            raise InputError(
                f"there are two results of {label}", where=where, mend="keep one of them"
            )
        found[label] = result
    return found


def paired(
    baseline: Sequence[RunResult], other: Sequence[RunResult], *, allow_missing: bool = False
) -> tuple[Pair, ...]:
    """Return the collections of `baseline`, each with the other's result.

    Raises InputError if the other lacks one, has more, or did not answer the same questions. With
    `allow_missing`, a query that one of them lacks counts 0 there.
    """
    theirs = by_collection(other)
    ours = by_collection(baseline)
    strange = sorted(set(theirs) ^ set(ours))
    if strange:
        raise InputError(
            f"{', '.join(strange)}: answered by one of the two only",
            mend="compare systems on the same collections",
        )
    return tuple(aligned(each, theirs[label], allow_missing) for label, each in ours.items())


def aligned(one: RunResult, other: RunResult, allow_missing: bool = False) -> Pair:
    """Return the two results with their rows in the same order. Raises InputError if
    `same_questions` finds a difference.
    """
    first, second = rows_by_query(one), rows_by_query(other)
    differs = [
        what
        for what in same_questions(one, other)
        if not (allow_missing and what.endswith(_QUERIES_DIFFER))
    ]
    if differs:
        raise InputError(
            f"{one.system.name} and {other.system.name} can't be compared: {'; '.join(differs)}",
            where=one.collection.label,
            mend="run both on the same documents, judgements and depth",
        )
    queries = list(dict.fromkeys((*first, *second)))
    return Pair(
        replace(one, rows=_filled(queries, first, second)),
        replace(other, rows=_filled(queries, second, first)),
        len(first.keys() ^ second.keys()),
    )


def rows_by_query(result: RunResult) -> dict[str, QueryRow]:
    """Return the rows by query id. Raises InputError if there are no rows or a query appears
    twice.
    """
    counts = Counter(row.query_id for row in result.rows)
    twice = [query for query, count in counts.items() if count > 1]
    if twice or not counts:
        what = f"query {twice[0]!r} is there twice" if twice else "there are no queries"
        raise InputError(what, where=f"{result.system.name} on {result.collection.label}")
    return {row.query_id: row for row in result.rows}


def checked_values(result: RunResult, measure: str) -> Values:
    """Return float64 [queries] of a measure, all finite. Raises InputError if the measure or one of
    its values is missing, or a value is not a number.
    """
    where = f"{result.system.name} on {result.collection.label}"
    if not any(measure in row.values for row in result.rows):
        raise InputError(
            f"{measure} was not measured",
            where=where,
            mend=f"measured were {', '.join(result.measures) or 'none'}",
        )
    values = np.array([row.values.get(measure, np.nan) for row in result.rows], np.float64)
    bad = np.flatnonzero(~np.isfinite(values))
    if len(bad):
        query = result.rows[int(bad[0])].query_id
        raise InputError(
            f"{measure} of query {query!r} is no number ({len(bad)} such)",
            where=where,
            mend="a query without an answer counts 0, not nothing: run it again",
        )
    return values


def _filled(
    queries: Sequence[str], rows: Mapping[str, QueryRow], others: Mapping[str, QueryRow]
) -> tuple[QueryRow, ...]:
    return tuple(rows[query] if query in rows else _unanswered(others[query]) for query in queries)


def _unanswered(row: QueryRow) -> QueryRow:
    """Return the row of a system that did not answer this query."""
    values = dict.fromkeys(row.values, 0.0)
    return replace(
        row, values=values, documents=(), milliseconds=0.0, degraded=(), refused="", unjudged=0
    )
