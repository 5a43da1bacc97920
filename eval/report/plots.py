"""The plots of all reports. Each function takes plain arrays or points and returns an inline
SVG.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from eval.report.parts import Plot
from eval.report.svg import BAD, GOOD, INK, QUIET, SERIES, svg_of
from eval.report.texts import compact, decimal, interval, milliseconds, short

Floats64 = npt.NDArray[np.float64]
_MOST_BARS = 400  # bars of a waterfall; more could not be distinguished
_MOST_ROWS = 40  # rows of a forest plot


@dataclass(frozen=True, slots=True)
class Point:
    """A named point; `low` and `high` are its interval in y, and its x extends to `until`."""

    name: str
    x: float
    y: float
    low: float = math.nan
    high: float = math.nan
    until: float = math.nan

    @property
    def drawn(self) -> bool:
        """Whether the point has a place."""
        return math.isfinite(self.x) and math.isfinite(self.y)


@dataclass(frozen=True, slots=True)
class Line:
    """Named points in order, joined; `predicted` is a fit, drawn with dashes."""

    name: str
    points: tuple[Point, ...]
    predicted: bool = False


def quality_against_latency(points: Sequence[Point], measure: str) -> Plot:
    """Return a point for each result: its p50 with a line to p95, and the measure with its
    interval.
    """
    places = [point for point in points if point.drawn and point.x > 0]
    tips = {
        f"tip{index}": f"{point.name}: {measure} {decimal(point.y)} "
        f"{interval(point.low, point.high)}, p50 {milliseconds(point.x)} ms, "
        f"p95 {milliseconds(point.until)} ms"
        for index, point in enumerate(places)
    }

    def draw(axes: Axes) -> None:
        for index, point in enumerate(places):
            _draw_result(axes, index, point)
        axes.set_xscale("log")
        _plain_log(axes, "x")
        axes.set(xlabel="milliseconds a query, p50 (dots reach to p95)", ylabel=measure)
        axes.margins(x=0.12, y=0.15)

    said = f"{measure} against latency: " + "; ".join(tips.values())
    return Plot(
        svg_of(draw, said, 3.4, tips),
        "Quality against latency",
        "Up and to the left is better. Bars are 95 % intervals over queries.",
        tuple(short(point.name, 60) for point in places),
    )


def _draw_result(axes: Axes, index: int, point: Point) -> None:
    colour = SERIES[index % len(SERIES)]
    if math.isfinite(point.low):
        axes.plot([point.x] * 2, [point.low, point.high], color=colour, lw=1)
    if math.isfinite(point.until):
        axes.plot([point.x, point.until], [point.y] * 2, color=colour, lw=1, ls=":")
    axes.plot([point.x], [point.y], "o", ms=6, color=colour, gid=f"tip{index}")
    _numbered(axes, index, point)


def distribution(values: Floats64, measure: str, name: str) -> Plot:
    """Return how many queries have each value; values [queries]."""
    mean, zero = float(values.mean()), int((values <= 0).sum())

    def draw(axes: Axes) -> None:
        top = max(1.0, float(values.max()))
        axes.hist(values, bins=20, range=(min(0.0, float(values.min())), top), color=SERIES[0])
        axes.axvline(mean, color=INK, lw=1)
        axes.set(xlabel=measure, ylabel="queries")
        axes.grid(visible=False, axis="x")

    note = f"The line is the mean, {decimal(mean)}. {zero:,} of {len(values):,} queries have 0."
    said = f"Distribution of {measure} over queries of {name}. {note}"
    return Plot(svg_of(draw, said, 2.4), f"{measure} by query", note)


def waterfall(differences: Floats64, measure: str, name: str) -> Plot:
    """Return the differences [queries] of one system from the baseline, from most won to most
    lost.
    """
    ordered = np.sort(differences)[::-1]
    if len(ordered) > _MOST_BARS:
        ordered = ordered[np.linspace(0, len(ordered) - 1, _MOST_BARS).astype(int)]
    share = np.linspace(0, 100, len(ordered) + 1)

    def draw(axes: Axes) -> None:
        for colour, places in ((GOOD, ordered > 0), (BAD, ordered < 0)):
            side = ordered[places]
            if len(side):
                edges = share[np.flatnonzero(places)[0] :][: len(side) + 1]
                axes.fill_between(
                    edges, np.append(side, side[-1]), step="post", color=colour, linewidth=0
                )
        axes.axhline(0, color=QUIET, lw=0.8)
        axes.set(xlabel="share of queries, per cent", ylabel=f"difference in {measure}")
        axes.margins(x=0)

    won, lost = int((differences > 0).sum()), int((differences < 0).sum())
    note = f"{won:,} won, {lost:,} lost, {len(differences) - won - lost:,} the same."
    said = f"Difference in {measure} by query, {name}. {note}"
    return Plot(svg_of(draw, said, 2.8), f"{name}: {measure} by query, sorted", note)


def forest(points: Sequence[Point], label: str, title: str, reference: float = 0.0) -> Plot:
    """Return a row for each named interval: `x` is the middle, `low` and `high` are the ends, `y`
    is unused. `reference` is a line for comparison.
    """
    rows = [point for point in points if math.isfinite(point.x)][:_MOST_ROWS]
    tips = {
        f"tip{index}": f"{point.name}: {decimal(point.x, signed=True)} "
        f"{interval(point.low, point.high, signed=True)}"
        for index, point in enumerate(rows)
    }

    def draw(axes: Axes) -> None:
        for index, point in enumerate(rows):
            colour = _verdict_colour(point, reference)
            if math.isfinite(point.low):
                axes.plot([point.low, point.high], [index] * 2, color=colour, lw=1.6)
            axes.plot([point.x], [index], "s", ms=5, color=colour, gid=f"tip{index}")
        axes.axvline(reference, color=QUIET, lw=0.8)
        axes.set_yticks(range(len(rows)), [short(point.name, 38) for point in rows])
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_xlabel(label)
        axes.grid(visible=False, axis="y")

    left_out = len(points) - len(rows)
    note = f"{left_out} more are in the table." if left_out else ""
    said = f"{title}: " + "; ".join(tips.values())
    return Plot(svg_of(draw, said, 0.8 + 0.24 * max(len(rows), 2), tips), title, note)


def curves(
    lines: Sequence[Line],
    labels: tuple[str, str],
    title: str,
    *,
    log: str = "",
    marked: Sequence[Point] = (),
    note: str = "",
    missed: bool = False,
) -> Plot:
    """Return lines over (x, y) with `labels`; `log` names the logarithmic axes ("", "x", "xy");
    `marked` points have a ring. With `missed`, x is what is missing to 1, and the axis shows 1 - x.
    """
    tips: dict[str, str] = {}

    def draw(axes: Axes) -> None:
        for index, line in enumerate(lines):
            places = [point for point in line.points if _fits(point, log)]
            _draw_line(axes, index, places, line.predicted)
            if places and len(lines) > 1:
                _numbered(axes, index, places[-1])
            for place, point in enumerate(places):
                said = point.name if missed else f"{point.name}: {compact(point.y)}"
                tips[f"tip{index}x{place}"] = said
        for point in marked:
            if _fits(point, log):
                axes.plot([point.x], [point.y], "o", ms=11, mfc="none", mec=INK, mew=1.4)
        _scale(axes, log, missed)
        axes.set(xlabel=labels[0], ylabel=labels[1])
        axes.margins(0.08)

    names = tuple(short(line.name, 60) for line in lines)
    said = f"{title}: {labels[1]} over {labels[0]}, of {'; '.join(names)}. {note}"
    return Plot(svg_of(draw, said, 3.6, tips), title, note, names if len(lines) > 1 else ())


def _draw_line(axes: Axes, index: int, places: Sequence[Point], predicted: bool) -> None:
    """Draw a line with its points and their intervals; of a fit, the line alone."""
    colour, style = SERIES[index % len(SERIES)], "--" if predicted else "-"
    axes.plot([p.x for p in places], [p.y for p in places], style, lw=1.2, color=colour)
    for place, point in enumerate(() if predicted else places):
        if math.isfinite(point.low):
            axes.plot([point.x] * 2, [point.low, point.high], color=colour, lw=1)
        gid = f"tip{index}x{place}"
        axes.plot([point.x], [point.y], "o", ms=4, color=colour, gid=gid)


def _scale(axes: Axes, log: str, missed: bool) -> None:
    for axis in log:
        (axes.set_xscale if axis == "x" else axes.set_yscale)("log")
        _plain_log(axes, axis)
    if missed:
        axes.invert_xaxis()
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{1 - value:.6g}"))


def _fits(point: Point, log: str) -> bool:
    return point.drawn and (point.x > 0 or "x" not in log) and (point.y > 0 or "y" not in log)


def _numbered(axes: Axes, index: int, point: Point) -> None:
    """Write the number that the legend uses for a point."""
    axes.annotate(
        str(index + 1),
        (point.x, point.y),
        xytext=(5, 5),
        textcoords="offset points",
        color=SERIES[index % len(SERIES)],
        weight="bold",
    )


def _plain_log(axes: Axes, which: str) -> None:
    """Set ticks such as 1, 2, 5, 10 in plain digits."""
    axis = axes.xaxis if which == "x" else axes.yaxis
    low, high = axis.get_view_interval()
    wide = low <= 0 or high / low > 1e3
    axis.set_major_locator(LogLocator(subs=(1.0,) if wide else (1.0, 2.0, 5.0)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.12g}"))
    axis.set_minor_locator(NullLocator())  # minor ticks say little and take most of the time


def _verdict_colour(point: Point, reference: float) -> str:
    """Return good or bad if the whole interval is on one side of the reference."""
    if math.isfinite(point.low) and point.low > reference:
        return GOOD
    if math.isfinite(point.high) and point.high < reference:
        return BAD
    return QUIET
