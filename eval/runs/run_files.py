"""A run that was made elsewhere, scored like one of ours."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from core.errors import InputError
from eval.runs.answering import Answer
from eval.runs.measures import parse_measures
from eval.runs.results import RunResult, System
from eval.runs.runner import scored
from eval.sets.datasets import check_run
from eval.sets.judged import JudgedSet
from eval.sets.trec import read_run


def score_run(
    path: Path, judged: JudgedSet, measures: Sequence[str], *, depth: int = 0, name: str = ""
) -> RunResult:
    """The values of a TREC run, its lists cut at `depth` (0: as they are). Milliseconds are 0: they
    are not known. The system's only setting is the sha256 of the file.

    Raises DocumentError for a line that is none, a score that is no number and a document that
    stands twice for a query; InputError for documents that the corpus lacks, which are of another
    version of it, and for a run that has none of the judged queries.
    """
    chosen = parse_measures(measures)
    if depth < 0:
        raise InputError(f"depth is {depth}", mend="it must be 1 or more, or left out")
    run = read_run(path)
    said = check_run(run, judged)
    longest = max(len(ranking) for ranking in run.values())
    deep = depth or longest
    answers = {
        query: Answer(tuple(judged.uri_prefix + document for document in ranking[:deep]), (), 0.0)
        for query, ranking in run.items()
    }
    system = System(
        name=name or path.stem,
        profile="",
        settings={"run_sha256": hashlib.sha256(path.read_bytes()).hexdigest()},
        place=path.name,
    )
    found = scored(judged, system, answers, chosen, deep)
    notes = [*said, *(f"{each} looks deeper than {deep}" for each in chosen if each.cutoff > deep)]
    if longest > deep:
        notes.append(f"lists were cut at {deep}; the longest has {longest}")
    return replace(found, notes=tuple(dict.fromkeys((*found.notes, *notes))))
