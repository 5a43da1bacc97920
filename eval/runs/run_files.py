"""Scores a run that another system made, like one of ours."""

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
    """Return the values of a TREC run, with its lists cut at `depth` (0: not cut).

    Milliseconds are 0, because they are unknown. The system's only setting is the sha256 of the
    file. Raises DocumentError for a malformed line, a score that is not a number and a document
    that appears twice for a query. Raises InputError for documents that the corpus lacks, because
    they are of another version of it, and for a run without any judged query.
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
