"""The figure of the race: quality against queries a second."""

from __future__ import annotations

import io
from collections.abc import Mapping

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.race.sums import MEASURE, Row

_MARKERS = "oooosD^vP*X<>hpd"
# Okabe and Ito's colours, which colour-blind people can tell apart.
_COLOURS = ("#D55E00", "#E69F00", "#CC79A7", "#0072B2", "#56B4E9", "#009E73", "#000000", "#777777")


def race_svg(rows: Mapping[str, Row]) -> str:
    """Return an SVG document with one panel for each number of clients."""
    # Text stays text, and the same rows give the same file.
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "race", "font.size": 9}):
        counts = [*next(iter(rows.values())).per_second]
        figure = Figure(figsize=(10, 4.6), layout="constrained")
        panels = figure.subplots(1, len(counts), sharey=True, squeeze=False)[0]
        for axes, count in zip(panels, counts, strict=True):
            _draw(axes, rows, count)
        panels[0].set_ylabel(f"mean {MEASURE} over the sets")
        handles, names = panels[0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower center", ncols=3, frameon=False)
        target = io.StringIO()
        figure.savefig(target, format="svg", metadata={"Date": None}, facecolor="white")
    return "\n".join(line.rstrip() for line in target.getvalue().splitlines()) + "\n"


def _draw(axes: Axes, rows: Mapping[str, Row], clients: int) -> None:
    for number, (name, row) in enumerate(rows.items()):
        axes.plot(
            [row.per_second[clients]],
            [row.mean_quality],
            _MARKERS[number % len(_MARKERS)],
            ms=8,
            color=_COLOURS[number % len(_COLOURS)],
            label=name,
        )
    axes.set_xscale("log")
    axes.set_xlabel("queries a second")
    axes.set_title("one client" if clients == 1 else f"{clients} clients", loc="left")
    axes.grid(visible=True, color="#DDDDDD", lw=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(x=0.1, y=0.1)
