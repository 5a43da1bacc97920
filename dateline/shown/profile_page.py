"""The page of a profile in the style of the other reports: two plots, then a table for each
shape.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from matplotlib.axes import Axes

from dateline.shown.profile_figure import BARS, ROOFLINE, colours_of, draw_bars, draw_roofline
from dateline.shown.profile_report import (
    GROUP_HEAD,
    PLACE_HEAD,
    Row,
    group_rows,
    heading,
    machine_line,
    opportunity_line,
    place_rows,
)
from eval.report.page import draw_page
from eval.report.parts import Cell, Part, Plot, Section, Table, said, sentences, word
from eval.report.svg import INK, svg_of
from inference.measuring.model_profile import ModelProfile

_BARS_NOTE = "From texts in to results out, on one thread."
_ROOFLINE_NOTE = (
    "A point on a roof is as fast as this machine can be; below the slanted roof a part waits for "
    "memory, below the flat one for arithmetic. A point's area is its share of the time."
)


def profile_page(profiles: Sequence[ModelProfile]) -> str:
    """Return an HTML page about profiles of one model on one machine."""
    model = profiles[0].model
    sections = [Section("Overview", _plots(profiles))]
    sections += [Section(f"{each.shape} tokens", _details(each)) for each in profiles]
    title = f"Where {model} spends its time"
    return draw_page(title, _headed(machine_line(profiles[0].limits)), sections)


def _plots(profiles: Sequence[ModelProfile]) -> tuple[Part, ...]:
    def bars(axes: Axes) -> None:
        draw_bars(axes, profiles)
        axes.grid(visible=False)
        axes.legend(
            handles=colours_of(profiles),
            loc="upper center",
            bbox_to_anchor=(0.5, -0.15),
            ncols=3,
            frameon=False,
        )

    shapes = "; ".join(heading(each).partition("\n")[0] for each in profiles)
    height = 1.6 + 0.7 * len(profiles)
    return (
        Plot(svg_of(bars, f"{BARS}: {shapes}", height), _headed(BARS), _BARS_NOTE),
        Plot(
            svg_of(lambda axes: draw_roofline(axes, profiles, INK), f"{ROOFLINE}: {shapes}", 4.4),
            _headed(ROOFLINE),
            _ROOFLINE_NOTE,
        ),
    )


def _details(profile: ModelProfile) -> tuple[Part, ...]:
    gains = [opportunity_line(each) for each in profile.opportunities()]
    return (
        *sentences(heading(profile).splitlines()),
        *sentences(gains, "Most to gain"),
        _table(GROUP_HEAD, group_rows(profile), "Parts"),
        _table(PLACE_HEAD, place_rows(profile), "Operators, layers added up"),
    )


def _table(head: Row, rows: Iterable[Row], title: str) -> Table:
    texts = sum(name in ("part", "place", "operator") for name in head)
    return Table(
        head,
        tuple(
            (*(word(text) for text in row[:texts]), *(_number(text) for text in row[texts:]))
            for row in rows
        ),
        title,
    )


def _number(text: str) -> Cell:
    """Return a formatted number that is sorted by its value; an empty text has no value."""
    plain = text.replace(",", "").removesuffix("%")
    return said(float(plain) if plain else math.nan, text)


def _headed(title: str) -> str:
    return title[:1].upper() + title[1:]
