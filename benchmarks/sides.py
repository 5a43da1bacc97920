"""One shape of table for what can be exchanged: models by their runtimes, graphs by what builds
them, on the processor and on a card.

Each row has the milliseconds of a call with one and with many, memory, size on disk, time to start,
quality, and how many points that is above the reference's; one row of a group is chosen. A side
that can't run here has a row that says why.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson

from benchmarks.machine import Machine, show_table

NAN = math.nan


@dataclass(frozen=True, slots=True)
class Side:
    """One row. What was not measured is NaN; memory is what this side adds to a process.

    `what` is a model or an index with the sizes of its two calls, `by` what computes. `points` are
    those of quality above the reference, from `low` to `high` by 95 %. `likeness` is the least
    cosine with the reference's answers, or the share of the same answers.
    """

    what: str
    by: str
    one_ms: float = NAN
    many_ms: float = NAN
    memory_mb: float = NAN
    disk_mb: float = NAN
    start_s: float = NAN
    quality: float = NAN
    measure: str = ""
    points: float = NAN
    low: float = NAN
    high: float = NAN
    likeness: float = NAN
    chosen: bool = False
    problem: str = ""


def side_of(tree: Mapping[str, object]) -> Side:
    """Return the row that `asdict` made; a number that JSON has no word for is NaN again."""
    return Side(**{name: NAN if value is None else value for name, value in tree.items()})  # type: ignore[arg-type]


HEAD = (
    *("what, small and large call", "by", "small ms", "large ms", "memory MB", "disk MB"),
    *("start s", "quality", "points (95 %)", "likeness", "chosen"),
)


def cells(side: Side) -> tuple[str, ...]:
    """Return the row as texts; a problem stands in the place of the figures."""
    if side.problem:
        return (side.what, side.by, *[""] * 8, side.problem)
    quality = f"{side.quality:.4f} {side.measure}" if math.isfinite(side.quality) else ""
    sizes = (_number(side.memory_mb, 0), _number(side.disk_mb, 1), _number(side.start_s, 2))
    likeness = _number(side.likeness, 6)
    times = (_number(side.one_ms, 2), _number(side.many_ms, 1))
    chosen = "yes" if side.chosen else ""
    return (side.what, side.by, *times, *sizes, quality, change(side), likeness, chosen)


def change(side: Side) -> str:
    """Return the points of quality above the reference, with their interval."""
    if not math.isfinite(side.points):
        return ""
    return f"{side.points:+.2f} ({side.low:+.2f} to {side.high:+.2f})"


def markdown(sides: Iterable[Side]) -> str:
    """Return the table in Markdown; what can't run here stands below it, with the reason."""
    found = list(sides)
    lines = [f"| {' | '.join(HEAD)} |", f"|{' --- |' * len(HEAD)}"]
    lines += [f"| {' | '.join(cells(side))} |" for side in found if not side.problem]
    absent = [f"- {side.what} by `{side.by}`: {side.problem}" for side in found if side.problem]
    return "\n".join([*lines, "", *absent]).rstrip() + "\n"


def tell(title: str, sides: Sequence[Side], machine: Machine, *, as_json: bool) -> None:
    """Print the table, or the same as JSON, and the machine."""
    if as_json:
        tree = {"benchmark": title, "rows": [asdict(side) for side in sides]}
        machine_tree = {"machine": asdict(machine)}
        print(orjson.dumps({**tree, **machine_tree}, option=orjson.OPT_INDENT_2).decode())
        return
    print(title)
    show_table(HEAD, [cells(side) for side in sides if not side.problem])
    for side in sides:
        if side.problem:
            print(f"{side.what} by {side.by}: {side.problem}")
    print(machine)


def draw(sides: Sequence[Side], place: Path, title: str) -> None:
    """Write an SVG: bars of both calls' times and of memory, one group for each model or index; the
    chosen one has a full colour.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    shown = [side for side in sides if not side.problem][::-1]
    columns = (("small call, ms", "one_ms"), ("large call, ms", "many_ms"), ("MB", "memory_mb"))
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "dateline", "font.size": 9}):
        figure = Figure(figsize=(12, 1.2 + 0.24 * len(shown)), layout="constrained")
        panels = figure.subplots(1, len(columns), sharey=True, squeeze=False)[0]
        for axes, (name, field) in zip(panels, columns, strict=True):
            values = [getattr(side, field) for side in shown]
            colours = ["#0072B2" if side.chosen else "#9CC5DE" for side in shown]
            bars = axes.barh(range(len(shown)), values, color=colours)
            axes.bar_label(bars, fmt=lambda value: _number(value, 1), padding=2, fontsize=7)
            if any(value > 0 for value in values):
                axes.set_xscale("log")
                axes.xaxis.set_minor_formatter("")  # each bar says its number
            axes.set_title(name, loc="left")
            axes.spines[["top", "right"]].set_visible(False)
            axes.margins(x=0.15, y=0.01)
        labels = [f"{side.what.split(' (')[0]}  {side.by}" for side in shown]
        panels[0].set_yticks(range(len(shown)), labels)
        figure.suptitle(f"{title}; the chosen ones are dark", x=0.01, ha="left", weight="bold")
        target = io.StringIO()
        figure.savefig(target, format="svg", metadata={"Date": None})
    place.write_text(target.getvalue(), encoding="utf-8")


def _number(value: float, digits: int) -> str:
    return f"{value:,.{digits}f}" if math.isfinite(value) else ""
