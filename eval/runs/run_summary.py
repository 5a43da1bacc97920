"""A short summary of one system's runs: means with intervals, times, and what went wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from core.errors import InputError
from eval.compare.significance import bootstrap_interval
from eval.runs.measures import VIEWS
from eval.runs.results import RunResult

PERCENTILES = (50, 95, 99)
_DRAWS = 4000  # so the seed moves the interval's ends by less than a tenth of its half width


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean, and its 95 % bootstrap interval over queries."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class SetSummary:
    """One collection: `measures` with intervals, milliseconds of a query by percentile ("p50"),
    documents `found` by all queries and how many of them have no judgement, the number of answers
    in which each stage was flagged, and why queries were refused.
    """

    result: RunResult
    measures: Mapping[str, Estimate]
    milliseconds: Mapping[str, float]
    found: int
    unjudged: int
    degraded: Mapping[str, int]
    refused: Mapping[str, str]

    def as_dict(self) -> dict[str, Any]:
        """Return the summary, ready for JSON; the queries themselves are in the result's folder."""
        result = self.result
        return {
            "collection": asdict(result.collection),
            "system": asdict(result.system),
            "depth": result.depth,
            "made_at": result.made_at,
            "measures": {name: asdict(estimate) for name, estimate in self.measures.items()},
            "milliseconds": dict(self.milliseconds),
            "found": self.found,
            "unjudged": self.unjudged,
            "degraded": dict(self.degraded),
            "refused": dict(self.refused),
            "notes": list(result.notes),
        }


@dataclass(frozen=True, slots=True)
class Summary:
    """All collections, and the mean of their means: each collection counts alike."""

    sets: tuple[SetSummary, ...]
    mean: Mapping[str, Estimate]

    @property
    def main(self) -> tuple[str, ...]:
        """The measures that are not among `VIEWS`."""
        return tuple(name for name in self.mean if name not in VIEWS)

    @property
    def views(self) -> tuple[str, ...]:
        """The measures among `VIEWS`, which show what unjudged documents may hide."""
        return tuple(name for name in self.mean if name in VIEWS)


def summary(results: Sequence[RunResult]) -> Summary:
    """Return the summary of these results. Raises InputError for no results, or results of
    different measures.
    """
    if not results:
        raise InputError("there is nothing to summarise", mend="run a judged set")
    names = results[0].measures
    if any(result.measures != names for result in results):
        raise InputError("the runs were measured differently", mend="run them in one command")
    mean = {name: _estimate(results, name) for name in names}
    return Summary(tuple(_of_one(result) for result in results), mean)


def degraded(result: RunResult) -> dict[str, int]:
    """Return the number of answers in which each stage was flagged."""
    stages = ({flag.partition(":")[0] for flag in row.degraded} for row in result.rows)
    return dict(Counter(stage for of_row in stages for stage in sorted(of_row)))


def refused(result: RunResult) -> dict[str, str]:
    """Return why each refused query was refused, by query; refused queries score 0."""
    return {row.query_id: row.refused for row in result.rows if row.refused}


def _of_one(result: RunResult) -> SetSummary:
    return SetSummary(
        result=result,
        measures={name: _estimate([result], name) for name in result.measures},
        milliseconds={f"p{p}": result.milliseconds(p) for p in PERCENTILES},
        found=sum(len(row.documents) for row in result.rows),
        unjudged=sum(row.unjudged for row in result.rows),
        degraded=degraded(result),
        refused=refused(result),
    )


def _estimate(results: Sequence[RunResult], name: str) -> Estimate:
    groups = [result.values(name) for result in results]
    mean = sum(float(values.mean()) for values in groups) / len(groups)
    return Estimate(mean, *bootstrap_interval(groups, draws=_DRAWS))
