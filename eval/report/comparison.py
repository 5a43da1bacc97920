"""The page of a comparison: what differs, for whom, which queries, at what latency."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from eval.compare.comparison import Comparison, Cost
from eval.compare.outcomes import ALIKE, COLLECTION, SLICE, WHOLE
from eval.compare.swings import Placed, Swing
from eval.report.outcomes import outcome_forests, outcome_line, outcome_table, outcome_tone
from eval.report.page import draw_page
from eval.report.parts import (
    Answers,
    Cell,
    Headline,
    Listed,
    Part,
    Section,
    Table,
    count,
    facts_of,
    number,
    said,
    sentences,
    word,
)
from eval.report.plots import Floats64, Point, quality_against_latency, waterfall
from eval.report.run import mean_interval, provenance
from eval.report.texts import decimal, milliseconds, shown
from eval.runs.results import RunResult

ALPHA = 0.05


def comparison_page(comparison: Comparison, runs: Sequence[RunResult]) -> str:
    """Return an HTML file about a comparison; `runs` are all compared results, the baseline's
    too.
    """
    measure = comparison.measures[0]
    sections = [
        Section("Summary", _summary(comparison)),
        Section("Quality against latency", _latency(comparison, runs)),
        Section("Collections", _groups(comparison, COLLECTION, "By collection")),
        Section("Slices", _groups(comparison, SLICE, "By slice")),
        Section("Every query", _every_query(comparison, runs, measure)),
        *_swung(comparison),
        Section("What was set otherwise", _changes(comparison)),
        Section("How this was made", _provenance(runs)),
    ]
    names = " and ".join(comparison.systems)
    labels = ", ".join(asked.label for asked in comparison.collections)
    return draw_page(
        f"{names} against {comparison.baseline}",
        f"On {labels}: {sum(asked.queries for asked in comparison.collections):,} judged queries.",
        sections,
        f"Measured {min(run.made_at for run in runs)}" if runs else "",
    )


def _summary(comparison: Comparison) -> tuple[Part, ...]:
    whole = [row for row in comparison.of(WHOLE) if row.measure == comparison.measures[0]]
    lines = [Headline(outcome_line(row, ALPHA), outcome_tone(row, ALPHA)) for row in whole]
    table = outcome_table(comparison.of(WHOLE, ALIKE), "over", ALPHA)
    return (*lines, table, *sentences(comparison.notes, "Notes", "doubt"))


def _latency(comparison: Comparison, runs: Sequence[RunResult]) -> tuple[Part, ...]:
    measure = comparison.measures[0]
    points = []
    for cost in comparison.costs:
        values = _values(runs, cost.system, measure)
        if len(values):
            within = mean_interval(values)
            mean = float(values.mean())
            points.append(Point(cost.system, cost.p50, mean, *within, until=cost.p95))
    head = ("system", "p50 ms", "p95 ms", "p99 ms", "degraded", "refused", "unjudged %")
    table = Table(head, tuple(_cost_row(cost) for cost in comparison.costs))
    return (*([quality_against_latency(points, measure)] if points else []), table)


def _cost_row(cost: Cost) -> tuple[Cell, ...]:
    flags = sum(cost.degraded.values())
    stages = ", ".join(f"{stage} {many:,}" for stage, many in cost.degraded.items())
    return (
        word(cost.system),
        *(said(value, milliseconds(value)) for value in (cost.p50, cost.p95, cost.p99)),
        replace(count(flags, "doubt"), detail=shown(stages) if stages else ""),
        count(cost.refused, "bad"),
        number(100 * cost.unjudged, 1),
    )


def _groups(comparison: Comparison, kind: str, title: str) -> tuple[Part, ...]:
    """Return a forest plot of the first measure for each system, and the table of all measures."""
    rows = comparison.of(kind)
    if not rows:
        return ()
    forests = outcome_forests(rows, comparison.measures[0], title, ALPHA)
    return (*forests, outcome_table(rows, kind, ALPHA, title=title))


def _every_query(
    comparison: Comparison, runs: Sequence[RunResult], measure: str
) -> tuple[Part, ...]:
    before = _by_query(runs, comparison.baseline, measure)
    parts = []
    for system in comparison.systems:
        after = _by_query(runs, system, measure)
        keys = sorted(before.keys() | after.keys()) if after and before else []
        differences = np.array([after.get(key, 0.0) - before.get(key, 0.0) for key in keys])
        if len(differences):
            parts.append(waterfall(differences, measure, shown(system, 60)))
    return tuple(parts)


def _by_query(runs: Sequence[RunResult], system: str, measure: str) -> dict[tuple[str, str], float]:
    """Return values by collection and query id."""
    return {
        (run.collection.label, row.query_id): row.values[measure]
        for run in runs
        if run.system.name == system
        for row in run.rows
    }


def _values(runs: Sequence[RunResult], system: str, measure: str) -> Floats64:
    return np.array(list(_by_query(runs, system, measure).values()), np.float64)


def _swung(comparison: Comparison) -> list[Section]:
    """Return a section for each system that has queries that won or lost."""
    return [
        Section(f"Won and lost most: {shown(system, 60)}", tuple(_answers(mine)))
        for system in comparison.systems
        if (mine := [swing for swing in comparison.swings if swing.system == system])
    ]


def _answers(swings: Sequence[Swing]) -> list[Answers]:
    judged = any(
        placed.grade is not None
        for swing in swings
        for placed in (*swing.baseline_documents, *swing.documents)
    )
    return [
        Answers(
            query=shown(swing.text),
            detail=f"{decimal(swing.difference, 3, signed=True)} "
            f"({decimal(swing.before, 3)} to {decimal(swing.after, 3)})",
            lists=(
                ("baseline", _listed(swing.baseline_documents, judged)),
                (shown(swing.system, 60), _listed(swing.documents, judged)),
            ),
            tone="good" if swing.difference > 0 else "bad",
            note=f"{shown(swing.measure, 40)}, query {shown(swing.query_id, 80)} of "
            f"{shown(swing.collection, 60)}",
        )
        for swing in swings
    ]


def _listed(documents: Sequence[Placed], judged: bool) -> tuple[Listed, ...]:
    return tuple(
        Listed(
            shown(each.document, 80),
            grade=_grade(each.grade) if judged else "",
            tone="good" if (each.grade or 0) > 0 else "",
            elsewhere=f"also at {each.rank_elsewhere}" if each.rank_elsewhere else "only here",
        )
        for each in documents
    )


def _grade(grade: int | None) -> str:
    return "not judged" if grade is None else f"grade {grade}".replace("-", "\u2212")


def _changes(comparison: Comparison) -> tuple[Part, ...]:
    rows = [
        (word(system), word(name), word(before), word(after))
        for system, changed in comparison.changed.items()
        for name, (before, after) in changed.items()
    ]
    if not rows:
        return sentences(["Settings, models, profile and version are the same for all."])
    return (Table(("system", "what", comparison.baseline, "instead"), tuple(rows)),)


def _provenance(runs: Sequence[RunResult]) -> tuple[Part, ...]:
    return tuple(
        facts_of(provenance(run), f"{run.system.name} on {run.collection.label}", folded=True)
        for run in runs
    )
