"""The page of growth: how the cost of one cell grows with the vectors, and the predictions from
that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from eval.report.page import draw_page
from eval.report.parts import (
    Cell,
    Part,
    Plot,
    Section,
    Table,
    count,
    facts_of,
    number,
    said,
    sentences,
    word,
)
from eval.report.plots import Line, Point, curves
from eval.report.texts import MISSING, milliseconds, percent, shown
from eval.tune.graphs.growth import Fit, Grown, Growth, Prediction
from eval.tune.graphs.sweep_target import size

_STEPS = 24  # steps of a fitted line


def growth_page(
    growth: Growth,
    predictions: Sequence[Prediction] = (),
    *,
    about: Mapping[str, object] | None = None,
    notes: Sequence[str] = (),
) -> str:
    """Return an HTML file about one cell at growing sizes."""
    sections = [
        Section("Measured", (_sizes(growth), *sentences(notes, "Notes", "doubt"))),
        Section("Predicted", (_predicted(predictions),) if predictions else ()),
        Section("Fits", (*_plots(growth, predictions), _fits(growth))),
        Section("How this was made", (facts_of(about),) if about else ()),
    ]
    counts = ", ".join(f"{each.rows:,}" for each in growth.sizes)
    summary = f"{growth.cell}, {counts} vectors, at recall@{growth.k} {growth.recall:g}."
    return draw_page("How HNSW grows", summary, sections)


def _sizes(growth: Growth) -> Table:
    rows = [
        (
            count(each.rows),
            number(100 * each.real / each.rows, 1),
            number(each.build_seconds, 1),
            said(each.memory, size(each.memory)),
            said(each.disk, size(each.disk)),
            number(each.ef, 0),
            number(each.qps, 0),
            said(each.p95, milliseconds(each.p95)),
        )
        for each in growth.sizes
    ]
    head = ("vectors", "real %", "build s", "memory", "disk", "ef", "queries/s", "p95 ms")
    note = (
        "Real are vectors of real texts; others repeat them with noise. A dash: no width reached "
    )
    note += "the recall."
    return Table(head, tuple(rows), "", note)


def _predicted(predictions: Sequence[Prediction]) -> Table:
    rows = [_predicted_row(each) for each in predictions]
    head = ("vectors", "build s", "memory", "queries/s", "p95 ms", "shards", "memory of a shard")
    note = "Merging the shards' answers and waiting for the slowest are not in it."
    return Table((*head, "p95 ms of a shard", "doubt"), tuple(rows), "", note)


def _predicted_row(each: Prediction) -> tuple[Cell, ...]:
    shards = count(each.shards) if each.shards else said(float("inf"), "none will do", tone="bad")
    far = word("a guess: far beyond what was measured", "doubt") if each.far else word(MISSING)
    return (
        count(each.rows),
        number(each.build_seconds, 0),
        said(each.memory, size(each.memory)),
        number(each.qps, 0),
        said(each.p95, milliseconds(each.p95)),
        shards,
        said(each.shard_memory, size(each.shard_memory)),
        said(each.shard_p95, milliseconds(each.shard_p95)),
        far,
    )


def _plots(growth: Growth, predictions: Sequence[Prediction]) -> tuple[Part, ...]:
    quantities: Sequence[tuple[str, Callable[[Grown], float], Fit | None]] = (
        ("build, seconds", lambda each: each.build_seconds, growth.build),
        ("memory, MB", lambda each: each.memory / 1e6, growth.memory),
        ("time of a query, ms", lambda each: 1000 / each.qps, growth.query),
        ("p95 of a query, ms", lambda each: each.p95, growth.p95),
    )
    largest = max(*(each.rows for each in growth.sizes), *(each.rows for each in predictions))
    return tuple(
        _plot(growth, quantity, value, fit, largest)
        for quantity, value, fit in quantities
        if fit is not None
    )


def _plot(
    growth: Growth, quantity: str, value: Callable[[Grown], float], fit: Fit, largest: float
) -> Plot:
    measured = tuple(
        Point(f"{each.rows:,} vectors", float(each.rows), value(each)) for each in growth.sizes
    )
    scale = 1e-6 if quantity.endswith("MB") else 1.0
    steps = np.geomspace(min(each.rows for each in growth.sizes), largest, _STEPS)
    law = tuple(Point("", float(at), scale * fit.at(at)) for at in steps)
    lines = [Line("measured", measured), Line(f"fitted: {fit.law}", law, predicted=True)]
    note = f"The fit is off by at most {percent(round(fit.worst, 3))} where it was measured."
    return curves(lines, ("vectors", quantity), quantity, log="xy", note=note)


def _fits(growth: Growth) -> Table:
    fits = (
        ("build", growth.build),
        ("memory", growth.memory),
        ("query", growth.query),
        ("p95", growth.p95),
    )
    rows = [
        (
            word(name),
            word(fit.law),
            said(fit.a, f"{fit.a:.4g}"),
            said(fit.b, f"{fit.b:.4g}"),
            word(shown(", ".join(f"{each:+.1%}" for each in fit.residuals))),
        )
        for name, fit in fits
        if fit is not None
    ]
    head = ("quantity", "law", "a", "b", "residuals by size")
    return Table(head, tuple(rows), "Coefficients")
