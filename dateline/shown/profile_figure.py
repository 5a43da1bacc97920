"""The picture of a profile: where the time goes, and how near each part is to the machine's bounds.

The right half is a roofline (Williams, Waterman and Patterson 2009): a point on a roof is as fast
as this machine can be; below the slanted roof a part waits for memory, below the flat one for
arithmetic. A point far below both waits for neither: there is something to gain.
"""

from __future__ import annotations

import io
from collections.abc import Sequence

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from inference.measuring.machine import MachineLimits
from inference.measuring.model_profile import GroupTime, ModelProfile
from inference.measuring.operators import Group

# Okabe and Ito's colours, which colour-blind people can tell apart; greys for parts without
# operators.
COLOURS = {
    Group.TOKENISE: "#E69F00",
    Group.EMBEDDINGS: "#56B4E9",
    Group.ROUNDING: "#009E73",
    Group.DENSE: "#0072B2",
    Group.ATTENTION: "#D55E00",
    Group.NORM: "#CC79A7",
    Group.OTHER: "#F0E442",
    Group.BETWEEN: "#BBBBBB",
    Group.PYTHON: "#777777",
}
BARS, ROOFLINE = "share of the time", "speed against this machine's bounds"
_MARKERS = "osD^vP"
_LEFT, _RIGHT = 0.05, 2000.0  # ends of the roofline's axis, in operations a byte
_LEAST_LABELLED = 0.04  # share of a bar with room for a number
_LEAST_SHOWN = 0.005  # share of the time from which a group gets a point and a name
_DARK = frozenset({Group.DENSE, Group.ATTENTION, Group.PYTHON})


def profile_svg(profiles: Sequence[ModelProfile]) -> str:
    """Return an SVG document of one or more profiles of one model on one machine."""
    # Text stays text, and the same profile gives the same file.
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "dateline", "font.size": 9}):
        figure = Figure(figsize=(12, 4.6 + 0.25 * len(profiles)), layout="constrained")
        bars, roofs = figure.subplots(1, 2, width_ratios=(1, 1.15))
        for axes in (bars, roofs):
            axes.spines[["top", "right"]].set_visible(False)
        draw_bars(bars, profiles)
        bars.set_title(f"{BARS}, texts in to results out", loc="left")
        draw_roofline(roofs, profiles)
        roofs.set_title(ROOFLINE, loc="left")
        figure.legend(
            handles=colours_of(profiles), loc="outside lower center", ncols=5, frameon=False
        )
        figure.suptitle(f"{profiles[0].model}: where the time goes, one thread", weight="bold")
        target = io.StringIO()
        figure.savefig(target, format="svg", metadata={"Date": None})
    return target.getvalue()


def draw_bars(axes: Axes, profiles: Sequence[ModelProfile]) -> None:
    """Draw a bar for each shape, cut into the groups' shares of the time."""
    for place, profile in enumerate(profiles):
        left = 0.0
        for each in profile.groups():
            colour = COLOURS[each.group]
            axes.barh(place, each.share, 0.6, left, color=colour, edgecolor="white")
            if each.share >= _LEAST_LABELLED:
                middle = left + each.share / 2
                ink = "white" if each.group in _DARK else "black"
                axes.text(middle, place, f"{each.share:.0%}", ha="center", va="center", color=ink)
            left += each.share
    names = [f"{p.shape} tokens\n{_milliseconds(p.total)}" for p in profiles]
    axes.set_yticks(range(len(profiles)), names)
    axes.invert_yaxis()
    axes.set_xlim(0, 1)
    axes.xaxis.set_major_formatter(lambda share, _: f"{share:.0%}")


def draw_roofline(axes: Axes, profiles: Sequence[ModelProfile], ink: str = "#444444") -> None:
    """Draw the machine's bounds in `ink`, and the groups of each profile."""
    _draw_roofs(axes, profiles[0].limits, ink)
    for profile, marker in zip(profiles, _MARKERS, strict=False):
        _draw_points(axes, profile.groups(), marker)
    markers = [
        Line2D([], [], marker=marker, ls="", color=ink, label=f"{profile.shape} tokens")
        for profile, marker in zip(profiles, _MARKERS, strict=False)
    ]
    axes.legend(handles=markers, loc="lower right", frameon=False)


def colours_of(profiles: Sequence[ModelProfile]) -> list[Line2D]:
    """Return the legend of the colours, for the groups that any of the profiles has."""
    shown = [group for group in Group if any(_has(profile, group) for profile in profiles)]
    return [Line2D([], [], marker="s", ls="", color=COLOURS[g], label=str(g)) for g in shown]


def _draw_roofs(axes: Axes, limits: MachineLimits, ink: str) -> None:
    """Draw both arithmetic peaks, and the memory's speed for its smallest and its largest block."""
    axes.set(xscale="log", yscale="log", xlim=(_LEFT, _RIGHT))
    top = max(limits.int8, limits.float32)
    for (size, speed), side in zip((limits.memory[0], limits.memory[-1]), "lr", strict=True):
        edge = top / speed
        axes.plot([_LEFT, edge], [_LEFT * speed / 1e9, top / 1e9], color=ink, lw=1)
        said = f"block of {_size(size)}: {speed / 1e9:.0f} GB/s"
        if side == "l":
            axes.text(edge * 0.45, top * 0.5 / 1e9, said, ha="right", fontsize=8)
        else:
            axes.text(_LEFT * 1.1, _LEFT * speed / 1e9, said, va="top", fontsize=8)
    for name, peak in (("int8", limits.int8), ("float32", limits.float32)):
        axes.plot([peak / limits.memory[0][1], _RIGHT], [peak / 1e9] * 2, color=ink, lw=1)
        axes.text(
            _RIGHT, peak / 1e9 * 1.08, f"{name}, {peak / 1e9:.0f} GFLOP/s", ha="right", fontsize=8
        )
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(lambda value, _: f"{value:,.12g}")
    axes.set_xlabel("operations for each byte moved")
    axes.set_ylabel("GFLOP/s")


def _draw_points(axes: Axes, groups: Sequence[GroupTime], marker: str) -> None:
    """Draw each group that computes; a point's area is its share of the time."""
    for each in groups:
        if each.operations and each.share >= _LEAST_SHOWN:
            intensity = min(max(each.operations / each.bytes, _LEFT), _RIGHT)
            axes.scatter(
                [intensity],
                [each.gflop_per_s],
                s=30 + 400 * each.share,
                marker=marker,
                color=COLOURS[each.group],
                edgecolor="black",
                linewidth=0.6,
                zorder=3,
            )


def _has(profile: ModelProfile, group: Group) -> bool:
    return any(each.group is group and each.share >= _LEAST_SHOWN for each in profile.groups())


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:,.2f} ms" if seconds < 1 else f"{seconds:,.2f} s"


def _size(size: int) -> str:
    return f"{size >> 20} MiB" if size >= 1 << 20 else f"{size >> 10} KiB"
