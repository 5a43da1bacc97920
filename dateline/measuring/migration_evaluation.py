"""Compares the next index with the served one, on judged sets in the archive and on live
queries.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from core.callers import Caller
from core.errors import BusyError, InputError
from dateline.build.migration import Moving
from dateline.build.service import Service
from dateline.measuring.evaluate import reader_of
from dateline.measuring.run_sets import read_sets
from eval.runs.answering import PipelineAnswers
from eval.runs.results import System
from eval.runs.runner import evaluate_answers
from eval.sets.datasets import JudgedSet
from storage.words.sampled_queries import sampled_queries

MEASURE = "nDCG@10"
_DEPTH = 10


@dataclass(frozen=True, slots=True)
class SetVerdict:
    """Means of nDCG@10 over a judged set's queries, for the served index and the next one."""

    name: str
    queries: int
    served: float
    following: float

    def holds(self, loss: float) -> bool:
        """Return whether the next one loses no more than `loss`."""
        return self.following >= self.served - loss


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result of an evaluation. `overlap` is the mean share of the best 10 stories that both
    have, over `sampled` live queries that both answer in full. `passed` says whether no set loses
    more than the setting allows.
    """

    sets: tuple[SetVerdict, ...]
    sampled: int
    overlap: float
    passed: bool

    def as_dict(self) -> Mapping[str, Any]:
        """Return it as values for JSON."""
        return asdict(self)


def evaluate_migration(moving: Moving, sets: Sequence[str]) -> Verdict:
    """Ask the next index what the served one is asked, by judged sets and sampled queries, and note
    the verdict. Raises InputError if there is nothing to ask, and as `evaluated`.
    """
    settings = moving.settings
    judged, queries = read_sets(sets), sampled_queries(settings.data)
    if not judged and not queries:
        raise InputError("there is nothing to ask", mend="name a judged set")
    migration = moving.mover.state()
    with moving.served() as served, moving.shadow(migration) as shadow:
        verdict = evaluated(served, shadow, judged, queries, settings.migration_loss)
    moving.mover.judged(migration, verdict.as_dict())
    return verdict


def evaluated(
    served: Service,
    shadow: Service,
    sets: Sequence[JudgedSet],
    queries: Sequence[str],
    loss: float,
) -> Verdict:
    """Return the verdict on the same questions to both; a query of `queries` with an incomplete
    answer does not count. Raises InputError if the archive has no document of a set, BusyError if
    an answer to a query of a set is incomplete: a verdict on it would be wrong.
    """
    verdicts = tuple(_of_set(served, shadow, judged) for judged in sets)
    caller = Caller("evaluation", served.engine.products())
    found = [_overlap(served, shadow, query, caller) for query in queries]
    shares = [share for share in found if share is not None]
    return Verdict(
        verdicts,
        len(shares),
        float(np.mean(shares)) if shares else 1.0,
        bool(verdicts) and all(each.holds(loss) for each in verdicts),
    )


def _of_set(served: Service, shadow: Service, judged: JudgedSet) -> SetVerdict:
    means = [_mean(service, judged) for service in (served, shadow)]
    return SetVerdict(f"{judged.name}:{judged.split}", len(judged.qrels), *means)


def _mean(service: Service, judged: JudgedSet) -> float:
    profile = service.settings.profile
    answers = PipelineAnswers(service.pipeline, profile, reader_of(judged))
    system = System(profile, profile)
    result = evaluate_answers(answers, judged, system, _DEPTH, (MEASURE,))
    if not any(row.documents for row in result.rows):
        raise InputError(
            f"the archive has no document of {judged.name}",
            mend="name a set whose documents were ingested",
        )
    if flags := [flag for row in result.rows for flag in row.degraded]:
        raise BusyError(
            f"{sum(bool(row.degraded) for row in result.rows)} answers are degraded: {flags[0]}",
            where=f"{judged.name}:{judged.split}",
            mend="see to that, by `dateline migration step` where the index lacks something,"
            " then evaluate again",
        )
    return float(result.mean(MEASURE))


def _overlap(served: Service, shadow: Service, query: str, caller: Caller) -> float | None:
    tops = [
        PipelineAnswers(service.pipeline, service.settings.profile, caller).answer(query, _DEPTH)
        for service in (served, shadow)
    ]
    if any(answer.degraded for answer in tops):
        return None
    first, second = ({*answer.uris} for answer in tops)
    return len(first & second) / max(len(first), len(second), 1)
