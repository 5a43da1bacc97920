"""The page of a tuning of fusion: what cross-validation chose, and whether it is worth it."""

from __future__ import annotations

from collections.abc import Sequence

from eval.report.page import draw_page
from eval.report.parts import (
    Cell,
    Headline,
    Part,
    Plot,
    Section,
    Table,
    Tone,
    anything,
    count,
    facts_of,
    number,
    sentences,
    word,
)
from eval.report.plots import Line, Point, curves, forest
from eval.report.texts import decimal, interval
from eval.tune.fusion.settings import FusionSetting
from eval.tune.fusion.tuning import Tuning, ValueRow, Verdict

_TONES: dict[Verdict, Tone] = {
    Verdict.CHANGE: "good",
    Verdict.TOO_LITTLE: "doubt",
    Verdict.NO_GAIN: "",
}
_WORDS = {
    Verdict.CHANGE: "Change the weights",
    Verdict.TOO_LITTLE: "Too little to tell: keep what is in force",
    Verdict.NO_GAIN: "No gain: keep what is in force",
}


def fusion_page(tuning: Tuning) -> str:
    """Return an HTML file about a tuning."""
    sections = [
        Section("Verdict", _verdict(tuning)),
        Section("Sets", _sets(tuning)),
        Section("Folds", (_folds(tuning), _stability(tuning))),
        Section("One weight at a time", _curves(tuning)),
        Section("Settings", (_settings(tuning),)),
        Section("How this was made", (_provenance(tuning),)),
    ]
    summary = f"{tuning.settings:,} settings on {tuning.queries:,} judged queries, each set alike."
    return draw_page("Weights of fusion", summary, sections)


def _verdict(tuning: Tuning) -> tuple[Part, ...]:
    figure = (
        f"{tuning.measure} {decimal(tuning.difference, signed=True)} "
        f"{interval(tuning.low, tuning.high, signed=True)}"
    )
    head = Headline(f"{_WORDS[tuning.verdict]}. {figure}", _TONES[tuning.verdict])
    rows = [
        (word("what is in force"), number(tuning.shipped_mean)),
        (word("nested: the figure to report"), number(tuning.outer)),
        (word("best on the queries that chose it: too high"), number(tuning.inner_best)),
        (word("recommended setting on all queries"), number(tuning.chosen_mean)),
        (word("best setting on all queries: too high"), number(tuning.best_mean)),
    ]
    note = f"{tuning.needed:,} queries in these proportions would show one point with power .8; "
    note += f"there are {tuning.queries:,}."
    table = Table(("mean of sets", tuning.measure), tuple(rows), "", note)
    inert = [f"{name} changes no query's value here" for name in tuning.inert]
    return (head, table, *sentences((*inert, *tuning.notes), "Notes", "doubt"))


def _sets(tuning: Tuning) -> tuple[Part, ...]:
    points = [
        Point(f"{row.label} (n {row.queries:,})", row.outer - row.shipped, 0.0, row.low, row.high)
        for row in tuning.sets
    ]
    label = f"difference in {tuning.measure}, 95 % interval"
    rows = [
        (
            word(row.label),
            count(row.queries),
            count(row.groups),
            number(row.shipped),
            number(row.outer),
            number(row.outer - row.shipped, within=(row.low, row.high), signed=True),
        )
        for row in tuning.sets
    ]
    head = ("set", "queries", "groups", "what is in force", "nested", "difference")
    note = "A group is the queries that share a relevant document; it lies in one fold."
    return (
        forest(points, label, "Nested choice against what is in force"),
        Table(head, tuple(rows), "", note),
    )


def _folds(tuning: Tuning) -> Table:
    rows = [
        (
            Cell(str(place), float(place)),
            word(fold.setting.words(tuning.tuned)),
            number(fold.inner_best),
            number(fold.inner),
            number(fold.outer),
            number(fold.shipped),
            number(fold.outer - fold.shipped, signed=True),
        )
        for place, fold in enumerate(tuning.folds, 1)
    ]
    head = ("fold", "chosen without it", "best inside", "inside", "on the fold", "what is in force")
    note = "Inside are the queries that chose; what is in force is on the fold."
    return Table((*head, "difference"), tuple(rows), "Outer folds", note)


def _stability(tuning: Tuning) -> Table:
    rows = [
        (word(name), word(value), count(times))
        for name, values in tuning.stability.items()
        for value, times in values.items()
    ]
    title = f"How often each value was chosen, of {len(tuning.folds)} folds"
    return Table(("parameter", "value", "folds"), tuple(rows), title)


def _curves(tuning: Tuning) -> tuple[Part, ...]:
    names = list(dict.fromkeys(row.parameter for row in tuning.curves))
    return tuple(_curve(tuning, name) for name in names)


def _curve(tuning: Tuning, name: str) -> Plot | Table:
    """Return the mean over one parameter's values, with the other parameters unchanged; a table for
    a parameter that is not a number.
    """
    rows = [row for row in tuning.curves if row.parameter == name]
    note = "On the queries that the choice looks at: to see the curve, not to report."
    if not all(isinstance(row.value, int | float) for row in rows):
        head = (name, tuning.measure, "difference", "standard error")
        return Table(head, tuple(_value_row(row) for row in rows), name, note)
    ordered = sorted(rows, key=lambda row: float(row.value))
    points = tuple(_value_point(row, name) for row in ordered)
    current = [point for point, row in zip(points, ordered, strict=True) if not row.error]
    note += (
        " Bars are one standard error of the difference from what is in force, which has the ring."
    )
    return curves([Line(name, points)], (name, tuning.measure), name, marked=current[:1], note=note)


def _value_row(row: ValueRow) -> tuple[Cell, ...]:
    figures = (number(row.mean), number(row.difference, signed=True), number(row.error))
    return (word(str(row.value)), *figures)


def _value_point(row: ValueRow, name: str) -> Point:
    low, high = row.mean - row.error, row.mean + row.error
    return Point(f"{name} {row.value}", float(row.value), row.mean, low, high)


def _settings(tuning: Tuning) -> Table:
    chosen: Sequence[tuple[str, FusionSetting]] = (
        ("what is in force", tuning.shipped),
        ("recommended", tuning.recommended),
        ("chosen on all queries", tuning.chosen),
        ("best on all queries", tuning.best),
    )
    names = tuple(tuning.shipped.as_dict())
    rows = [
        (word(what), *(anything(value) for value in setting.as_dict().values()))
        for what, setting in chosen
    ]
    return Table(("which", *names), tuple(rows))


def _provenance(tuning: Tuning) -> Part:
    return facts_of(
        {
            "measure": tuning.measure,
            "parameters": ", ".join(tuning.tuned),
            "settings tried": tuning.settings,
            "folds": len(tuning.folds),
            "seed": tuning.seed,
            "sets": ", ".join(row.label for row in tuning.sets),
        }
    )
