"""A tuning as text: what to do and why, then the figures behind it (Markdown)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import isinf

from eval.tune.fusion.tuning import FEWEST, Tuning, Verdict

SET_HEAD = ("set", "queries", "groups", "in force", "outer", "points", "95 % interval")

_FOLDS = (
    "`inner best` is what the best setting reached on the queries that chose it, `inner` what the "
    "chosen one did there, `outer` what it reached on the fold's own queries."
)


def verdict_lines(found: Tuning) -> list[str]:
    """Return what to do, in a few sentences."""
    gain = (
        f"Chosen without the queries that judge it, {found.measure} is {found.outer:.4f} against "
        f"{found.shipped_mean:.4f} in force: {_points(found.difference)} points"
    )
    if found.groups < FEWEST:
        few = (
            f"{gain}, which {found.groups} groups of queries are too few to support or to refute: "
            f"it takes at least {FEWEST}."
        )
        return [_advice(found), few]
    gain += f" (95 % interval {_span(found.low, found.high)})."
    needed = (
        f"To see a difference of 1 point with power .8 takes about {found.needed:,} queries in "
        f"these proportions; there are {found.queries:,}."
    )
    return [_advice(found), gain, needed]


def _advice(found: Tuning) -> str:
    names = found.tuned
    kept = f"keep {found.shipped.words(names)}"
    match found.verdict:
        case Verdict.CHANGE:
            return (
                f"Change to {found.chosen.words(names)} (in force: {found.shipped.words(names)})."
            )
        case Verdict.TOO_LITTLE:
            return f"Too little to tell: {kept}."
        case _ if all(fold.setting == found.shipped for fold in found.folds):
            return f"In no fold can the best be told from what is in force: {kept}."
        case _ if found.high < 0:
            return f"Choosing on these queries makes it worse: {kept}."
        case _ if found.low > 0:
            return (
                "The folds gained with other settings, but on all queries the best can't be told "
                f"from what is in force: {kept}."
            )
        case _:
            return f"No gain of a point is to be had on these queries: {kept}."


def markdown(found: Tuning, command: str) -> str:
    """Return the whole report; `command` makes it again."""
    parts = [
        "# Fusion weights",
        " ".join(verdict_lines(found)),
        f"`{command}`",
        _method(found),
        "## Sets",
        table(SET_HEAD, set_cells(found)),
        "## Folds",
        _FOLDS,
        table(
            ("fold", "chosen", "inner best", "inner", "outer", "in force"), list(_fold_cells(found))
        ),
        "How often each value was chosen:",
        table(("parameter", "values"), _stability_cells(found)),
        "## One parameter at a time",
        "All others as in force, on all queries: the shape of the curve, not a figure to expect.",
        table(
            ("parameter", "value", found.measure, "points", "standard error"), _curve_cells(found)
        ),
    ]
    if found.notes:
        parts += ["## Doubts", "\n".join(f"- {note}" for note in found.notes)]
    return "\n\n".join(parts) + "\n"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table; bars in cells are escaped."""
    lines = [head, ["---"] * len(head), *rows]
    cells = ([cell.replace("|", "\\|").replace("\n", " ") for cell in line] for line in lines)
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)


def _method(found: Tuning) -> str:
    inert = ""
    if found.inert:
        inert = f" No query's value depends on {', '.join(found.inert)} here."
    return (
        f"{found.settings:,} settings of {', '.join(found.tuned)}; {len(found.folds)} outer folds, "
        "queries that share a relevant document in one fold, every set counted alike, seed "
        f"{found.seed}. Of the settings within one standard error of the best, the one nearest to "
        f"what is in force is chosen. On all queries that is {found.chosen.words(found.tuned)} "
        f"({found.chosen_mean:.4f}); the best there is {found.best.words(found.tuned)} "
        f"({found.best_mean:.4f}, which is what choosing without nesting would have "
        f"reported).{inert}"
    )


def set_cells(found: Tuning) -> list[tuple[str, ...]]:
    """Return one row per set, then their mean, with the columns of `SET_HEAD`."""
    rows = [
        (
            row.label,
            f"{row.queries:,}",
            f"{row.groups:,}",
            f"{row.shipped:.4f}",
            f"{row.outer:.4f}",
            _points(row.outer - row.shipped),
            _span(row.low, row.high),
        )
        for row in found.sets
    ]
    mean = (f"{found.shipped_mean:.4f}", f"{found.outer:.4f}", _points(found.difference))
    span = _span(found.low, found.high)
    return [*rows, ("mean of sets", f"{found.queries:,}", "", *mean, span)]


def _fold_cells(found: Tuning) -> Iterable[tuple[str, ...]]:
    for number, row in enumerate(found.folds, 1):
        figures = (row.inner_best, row.inner, row.outer, row.shipped)
        yield (str(number), row.setting.words(found.tuned), *(f"{one:.4f}" for one in figures))


def _stability_cells(found: Tuning) -> list[tuple[str, str]]:
    return [
        (name, ", ".join(f"{value} ({count} x)" for value, count in counts.items()))
        for name, counts in found.stability.items()
    ]


def _curve_cells(found: Tuning) -> list[tuple[str, ...]]:
    return [
        (
            row.parameter,
            f"{row.value:g}" if isinstance(row.value, int | float) else row.value,
            f"{row.mean:.4f}",
            _points(row.difference),
            f"{row.error * 100:.2f}",
        )
        for row in found.curves
    ]


def _span(low: float, high: float) -> str:
    """Return an interval in points; a dash where there are too few queries for one."""
    return "–" if isinf(low) else f"{_points(low)} to {_points(high)}"


def _points(difference: float) -> str:
    return f"{difference * 100:+.2f}"
