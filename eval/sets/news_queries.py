"""Judged news queries: the facets of a query, and the grades of several judges.

    queries.jsonl      {"_id": "q1", "text": "ferry accident", "facets": {"kind": "event",
                        "entity_heavy": false, "date_bound": true, "frequency": "torso"}}
    judgements.jsonl   {"query_id": "q1", "document_id": "urn:x:1", "judge": "ada", "grade": 2,
                        "at": "2026-03-14T09:30:00Z", "note": "the first report"}

Facets may be left out, and a set may have more of its own; each becomes a slice. `at` and `note`
may be left out.

The grade of a document is the median of its judges' grades; for an even number of judges it is the
lower of the two in the middle, so that no document counts as better than half of its judges say. A
line with `"adjudicates": true` is the last word: it was given in sight of the other grades, so it
alone counts as the grade, and not as a judge's in the agreement.

Krippendorff's alpha for ordinal grades says how far judges of the same documents agree: K.
Krippendorff, Computing Krippendorff's Alpha-Reliability, 2011
(https://repository.upenn.edu/asc_papers/43). It allows any number of judges, and pairs that a judge
has not seen. 1 is full agreement, 0 is what chance gives.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from statistics import median_low
from typing import Any

import numpy as np
import numpy.typing as npt

from core.errors import InputError
from eval.runs.measures import Qrels
from eval.sets.about import About
from eval.sets.lines import Line, read_lines

Floats64 = npt.NDArray[np.float64]


def ordinal_alpha(units: Iterable[Sequence[int]]) -> float | None:
    """Return Alpha over units (query and document); each unit has the grades that its judges gave.

    Units with one grade say nothing about agreement and are left out. None if no unit has two
    grades, or if all grades are equal, because alpha is not defined then.
    """
    paired = [unit for unit in units if len(unit) > 1]
    grades = sorted({grade for unit in paired for grade in unit})
    if len(grades) < 2:
        return None
    coincidences = _coincidences(paired, grades)
    totals = coincidences.sum(axis=1)
    distances = _distances(totals)
    expected = np.outer(totals, totals) / (totals.sum() - 1)
    return float(1 - (coincidences * distances).sum() / (expected * distances).sum())


def _coincidences(units: Iterable[Sequence[int]], grades: Sequence[int]) -> Floats64:
    """Return float64 [grades, grades]: how often each two grades met in a unit, in both orders.
    Each unit weighs as much as it has judges.
    """
    place = {grade: index for index, grade in enumerate(grades)}
    found = np.zeros((len(grades), len(grades)))
    for unit in units:
        counts = np.bincount([place[grade] for grade in unit], minlength=len(grades))
        found += (np.outer(counts, counts) - np.diag(counts)) / (len(unit) - 1)
    return found


def _distances(totals: Floats64) -> Floats64:
    """Return float64 [grades, grades]: the squared number of grades given between two ranks,
    counting half of those at the two ranks themselves.
    """
    middle = np.cumsum(totals) - totals / 2
    return np.square(middle[:, None] - middle[None, :])


FREQUENCIES = ("head", "torso", "tail")
_BOOLEANS = ("entity_heavy", "date_bound")


@dataclass(frozen=True, slots=True)
class Judgements:
    """The grades by this rule, the judges (sorted), and their agreement: ordinal alpha, None if no
    document has two judges. `by_machine` of the grades are a language model's.
    """

    qrels: Qrels
    judges: tuple[str, ...]
    agreement: float | None
    by_machine: int = 0

    def before(self, others: Judgements) -> Judgements:
        """Return these grades, and those of `others` for pairs that have none here."""
        qrels = {query: dict(grades) for query, grades in self.qrels.items()}
        more = 0
        for query, grades in others.qrels.items():
            kept = qrels.setdefault(query, {})
            more += len(grades.keys() - kept.keys())
            qrels[query] = {**grades, **kept}
        judges = tuple(sorted({*self.judges, *others.judges}))
        return Judgements(qrels, judges, self.agreement, self.by_machine + more)


def read_facets(line: Line, tree: Mapping[str, Any]) -> dict[str, str]:
    """Return the facets of one query as text: true and false become `yes` and `no`. A text under
    `metadata.kind` is the kind of a query that states none. Raises DocumentError.
    """
    metadata, stated = tree.get("metadata"), tree.get("facets", {})
    facets: dict[str, str] = {}
    if isinstance(metadata, dict) and isinstance(kind := metadata.get("kind"), str) and kind:
        facets["kind"] = kind
    if not isinstance(stated, dict):
        raise line.mistake("is no object", field="facets", mend='as in {"kind": "event"}')
    for name, value in stated.items():
        facets[name] = _facet(line, name, value)
    return facets


def _facet(line: Line, name: str, value: object) -> str:
    field = f"facets.{name}"
    if name in _BOOLEANS and not isinstance(value, bool):
        raise line.mistake(f"{value!r} is no boolean", field=field, mend="true or false")
    if name == "frequency" and value not in FREQUENCIES:
        mend = f"one of {', '.join(FREQUENCIES)}"
        raise line.mistake(f"{value!r} is no frequency", field=field, mend=mend)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int) or (isinstance(value, str) and value.strip()):
        return str(value).strip()
    raise line.mistake(
        f"{value!r} can't be a slice", field=field, mend="a text, a whole number, true or false"
    )


def grade_of(given: Iterable[int], settled: int | None) -> int:
    """Return the grade of a document: the adjudicated one, else the median of the judges' grades,
    the lower of two in the middle.
    """
    return median_low(given) if settled is None else settled


def read_judgements(
    path: Path, queries: Container[str], about: About, *, by_machine: bool = False
) -> Judgements:
    """Read and aggregate judgements.jsonl, or a file like it in which all are `by_machine`.

    Raises DocumentError for a mistake in a line: an unknown query, a grade that is not a whole
    number from 0 on or not allowed, or a judge who graded a document twice.
    """
    given: dict[tuple[str, str], dict[str, int]] = {}
    settled: dict[tuple[str, str], int] = {}
    for line in read_lines(path):
        tree = line.json_object()
        query, document, judge, grade = _judgement(line, tree, about)
        if query not in queries:
            raise line.mistake(
                f"query {query!r} is not in queries.jsonl", field="query_id", mend="add it there"
            )
        by_judge = given.setdefault((query, document), {})
        if judge in by_judge:
            raise line.mistake(
                f"{judge!r} judged document {document!r} twice for query {query!r}",
                field="judge",
                mend="keep one of the judgements",
            )
        if tree.get("adjudicates") is True:
            settled[query, document] = grade
        else:
            by_judge[judge] = grade
    if not given:
        raise InputError("no judgements", where=str(path), mend="add some")
    qrels: dict[str, dict[str, int]] = {}
    for pair, by_judge in given.items():
        qrels.setdefault(pair[0], {})[pair[1]] = grade_of(by_judge.values(), settled.get(pair))
    judges = tuple(sorted({judge for by_judge in given.values() for judge in by_judge}))
    alpha = ordinal_alpha([tuple(by_judge.values()) for by_judge in given.values()])
    return Judgements(qrels, judges, alpha, len(given) if by_machine else 0)


def _judgement(line: Line, tree: Mapping[str, Any], about: About) -> tuple[str, str, str, int]:
    names = (line.string(tree, field) for field in ("query_id", "document_id", "judge"))
    query, document, judge = (name.strip() for name in names)
    grade = tree.get("grade")
    if not isinstance(grade, int) or isinstance(grade, bool) or grade < 0:
        raise line.mistake(
            f"{grade!r} is no grade", field="grade", mend="grades are whole numbers from 0 on"
        )
    if "at" in tree:
        _check_time(line, tree)
    return query, document, judge, about.check_grade(line, grade, "grade")


def _check_time(line: Line, tree: Mapping[str, Any]) -> None:
    at = line.string(tree, "at")
    try:
        datetime.fromisoformat(at)
    except ValueError as error:
        mend = "ISO 8601, as in 2026-03-14T09:30:00Z"
        raise line.mistake(f"{at!r} is no time", field="at", mend=mend) from error
