"""The page of drift."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from eval.compare.drift import WEEK, Week
from eval.report.page import draw_page
from eval.report.parts import Plot, Section, Sentences, Table, count, number, word
from eval.report.plots import Line, Point, curves


def drift_page(found: Sequence[Week]) -> str:
    """Return an HTML file about the weeks."""
    sections = [
        Section("Week by week", (_table(found),)),
        Section("Plots", (_shares(found), _latency(found)) if found else ()),
        Section("How to read it", (Sentences(_RULES),)),
    ]
    summary = f"{sum(week.queries for week in found):,} queries of {len(found)} weeks."
    return draw_page("What searches became", summary, sections)


_RULES = (
    "No strong hit: more may mean new subjects, missing items, or a floor that is too high.",
    "First hit clicked: fewer may mean a worse ranking, or answers that are read in the list.",
    "Unknown names: more of them mean that the archive lacks whom callers ask for.",
    "The first and the last week may be incomplete; what has left the log is not here.",
)
_SHARES: tuple[tuple[str, Callable[[Week], float]], ...] = (
    ("no strong hit", lambda week: week.zero_results),
    ("first hit clicked", lambda week: week.clicks_at_1),
    ("unknown names", lambda week: week.unknown_names),
)
_TIMES: tuple[tuple[str, Callable[[Week], float]], ...] = (
    ("half", lambda week: week.p50_ms),
    ("95 %", lambda week: week.p95_ms),
)


def _table(found: Sequence[Week]) -> Table:
    rows = tuple(
        (
            word(f"{week.start:%Y-%m-%d}"),
            count(week.queries),
            *(number(100 * share(week), 1) for _, share in _SHARES),
            *(number(time(week), 1) for _, time in _TIMES),
        )
        for week in found
    )
    head = ("week from", "queries", *(f"{name}, %" for name, _ in _SHARES), "p50 ms", "p95 ms")
    return Table(head, rows)


def _shares(found: Sequence[Week]) -> Plot:
    lines = [_line(found, name, lambda week, of=share: 100 * of(week)) for name, share in _SHARES]  # type: ignore[misc]
    return curves(lines, ("weeks", "% of queries"), "Shares of queries")


def _latency(found: Sequence[Week]) -> Plot:
    lines = [_line(found, name, time) for name, time in _TIMES]
    return curves(lines, ("weeks", "milliseconds"), "Time of an answer")


def _line(found: Sequence[Week], name: str, value: Callable[[Week], float]) -> Line:
    first = found[0].start
    points = (Point(f"{w.start:%Y-%m-%d}", (w.start - first) / WEEK, value(w)) for w in found)
    return Line(name, tuple(points))
