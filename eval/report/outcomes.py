"""Shows outcomes of a comparison: as rows of a table, as a forest plot, in one line."""

from __future__ import annotations

from collections.abc import Sequence

from eval.compare.outcomes import Outcome
from eval.report.parts import Cell, Part, Table, Tone, count, number, said, word
from eval.report.plots import Point, forest
from eval.report.texts import decimal, interval, percent, probability, shown

_HEAD = (
    *("difference", "p (Holm)", "baseline", "mean", "queries"),
    *("won / same / lost", "d", "p", "least effect"),
)


def outcome_tone(row: Outcome, alpha: float) -> Tone:
    """Return good or bad if the corrected p says that the difference is more than chance, else
    neutral.
    """
    if row.too_few or row.p_holm >= alpha:
        return ""
    return "good" if row.difference > 0 else "bad"


def outcome_line(row: Outcome, alpha: float) -> str:
    """Return one outcome in a sentence."""
    words = {"good": "better", "bad": "worse"}.get(
        outcome_tone(row, alpha), "no difference is shown"
    )
    within = "" if row.too_few else f" {interval(row.low, row.high, signed=True)}"
    figure = f"{row.measure} {decimal(row.difference, signed=True)}{within}"
    return f"{shown(row.system, 60)}: {words}, {figure}, p {probability(row.p_holm)}"


def outcome_table(
    rows: Sequence[Outcome], over: str, alpha: float, *, title: str = "", one_system: bool = False
) -> Table:
    """Return a table with a row for each outcome; `over` heads the column of its group."""
    head = (over, *(() if one_system else ("system",)), "measure", *_HEAD)
    cells = [
        (
            word(row.group),
            *(() if one_system else (word(row.system),)),
            word(row.measure),
            *_cells(row, alpha),
        )
        for row in rows
    ]
    return Table(head, tuple(cells), title, _note(alpha))


def outcome_forests(
    rows: Sequence[Outcome], measure: str, title: str, alpha: float
) -> tuple[Part, ...]:
    """Return a forest plot of one measure for each system."""
    plots = []
    for system in dict.fromkeys(row.system for row in rows):
        points = [
            Point(f"{row.group} (n {row.queries:,})", row.difference, 0.0, *_within(row))
            for row in rows
            if row.system == system and row.measure == measure
        ]
        label = f"difference in {measure}, {percent(1 - alpha)} interval"
        plots.append(forest(points, label, f"{title}: {shown(system, 60)}"))
    return tuple(plots)


def _cells(row: Outcome, alpha: float) -> tuple[Cell, ...]:
    within = None if row.too_few else (row.low, row.high)
    return (
        number(row.difference, within=within, signed=True, tone=outcome_tone(row, alpha)),
        said(row.p_holm, probability(row.p_holm)),
        number(row.baseline),
        number(row.mean),
        count(row.queries),
        said(row.wins - row.losses, f"{row.wins:,} / {row.ties:,} / {row.losses:,}"),
        number(row.effect_size, 2, signed=True),
        said(row.p, probability(row.p)),
        number(row.least_effect),
    )


def _within(row: Outcome) -> tuple[float, float]:
    return (float("nan"), float("nan")) if row.too_few else (row.low, row.high)


def _note(alpha: float) -> str:
    return (
        "A difference is a system's mean less the baseline's, with its "
        f"{percent(1 - alpha)} interval. p is of a paired randomization test; Holm's is corrected "
        "for all rows of its kind. d is "
        "Cohen's, of paired differences. Least effect is what so many queries show with power .8: "
        "a smaller true difference would likely go unseen here."
    )
