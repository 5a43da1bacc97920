"""The output of `dateline eval compare` and `dateline eval gate`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import isfinite
from typing import Literal

from rich.console import Console
from rich.table import Table

from dateline.commands.options import console, escape
from eval.compare.comparison import Comparison, Cost
from eval.compare.gate import Verdict
from eval.compare.outcomes import ALIKE, COLLECTION, SLICE, WHOLE, Outcome, p_text
from eval.compare.swings import Placed, Swing

_WIDE = 200  # a file or a pipe has no width: nothing must be cut off there
_UNKNOWN = "–"
_LISTED = 5  # documents of a query's two lists
_LONGEST = 100  # characters of a query
_IN_WORDS = (
    "from, to: 95 % bootstrap interval of the change; p: paired randomization; Holm: p after its "
    "correction over all rows of a kind; d: Cohen's; shows: the least true change that so many "
    "queries show (power .8, alpha .05)"
)


def print_comparison(found: Comparison) -> None:
    """Print everything about a comparison."""
    for system in found.systems:
        _say(f"{escape(system)} against {escape(found.baseline)}; a change below 0 is a loss")
        _print_groups([outcome for outcome in found.outcomes if outcome.system == system])
        _say()
    _say(_IN_WORDS)
    _say()
    _print(_costs(found.costs))
    for system, changed in found.changed.items():
        for line in _changed(system, changed):
            _say(line)
    for swing in found.swings:
        _print_swing(swing, found.baseline)
    _print_notes(found.notes)


def print_verdict(verdict: Verdict) -> None:
    """Print the gate's verdict and its reasons, then the figures."""
    said = "[bold green]passed[/]" if verdict.passed else "[bold red]FAILED[/]"
    system, baseline = verdict.system.name, verdict.baseline.name
    about = escape(f": {system} against {baseline} of {verdict.baseline_made_at}")
    _say(said + about)
    for reason in verdict.reasons:
        _say(f"  [red]why:[/] {escape(reason)}")
    _print_groups(verdict.outcomes)
    if verdict.floors:
        _say()
        _print(_floors(verdict))
    rule = verdict.rule
    _say()
    _say(
        f"fails where all queries' loss has p under {rule.alpha} after Holm's correction and its "
        f"{1 - rule.alpha:.0%} interval reaches {-rule.least_effect}; shows: the least true loss "
        "that so many queries show with power .8"
    )
    _print_notes(verdict.warnings)


def _print_groups(outcomes: Sequence[Outcome]) -> None:
    """Print one system's outcomes: for each measure the whole, then collections, then slices."""
    for measure in dict.fromkeys(outcome.measure for outcome in outcomes):
        for kinds in ((WHOLE, ALIKE), (COLLECTION,), (SLICE,)):
            rows = [row for row in outcomes if row.measure == measure and row.kind in kinds]
            if rows:
                _say()
                _print(_outcomes(measure, rows))


def _outcomes(measure: str, rows: Iterable[Outcome]) -> Table:
    numbers = ("n", "before", "after", "change", "from", "to", "p", "Holm", "d", "won", "lost")
    table = _table(measure, *numbers, "shows")
    for row in rows:
        ends = (row.low, row.high)
        table.add_row(
            escape(row.group),
            f"{row.queries:,}",
            _short(row.baseline),
            _short(row.mean),
            _short(row.difference, "+"),
            *(_UNKNOWN if row.too_few else _short(end, "+") for end in ends),
            p_text(row.p),
            p_text(row.p_holm),
            _known(row.effect_size, "+.2f"),
            f"{row.wins:,}",
            f"{row.losses:,}",
            _short(row.least_effect),
        )
    return table


def _costs(costs: Iterable[Cost]) -> Table:
    table = _table("system", "p50 ms", "p95 ms", "p99 ms", "degraded", "refused", "unjudged")
    for cost in costs:
        degraded = ", ".join(f"{flag} {count}" for flag, count in cost.degraded.items())
        table.add_row(
            escape(cost.system),
            *(f"{value:.1f}" for value in (cost.p50, cost.p95, cost.p99)),
            escape(degraded) or "0",
            f"{cost.refused:,}",
            f"{cost.unjudged:.1%}",
        )
    return table


def _floors(verdict: Verdict) -> Table:
    table = _table("floor of", "queries", "mean", "floor", "allowance", "held")
    for floor in verdict.floors:
        numbers = (floor.mean, floor.floor, floor.allowance)
        held = "yes" if floor.passed else "NO"
        count = f"{floor.queries:,}"
        table.add_row(escape(floor.group), count, *(f"{n:.4f}" for n in numbers), held)
    return table


def _changed(system: str, changed: Mapping[str, tuple[str, str]]) -> Iterator[str]:
    for name, (before, after) in changed.items():
        yield escape(f"{system}: {name} is {after}, was {before}")


def _print_swing(swing: Swing, baseline: str) -> None:
    _say()
    text = swing.text if len(swing.text) <= _LONGEST else swing.text[: _LONGEST - 1] + "…"
    change = f"{swing.measure} {swing.before:.4f} to {swing.after:.4f} ({swing.difference:+.4f})"
    place = f"{swing.collection} {swing.query_id}"
    _say(f"[bold]{escape(text)}[/] " + escape(f"({place}, {swing.system}): {change}"))
    table = _table("rank", escape(baseline), escape(swing.system), words=3)
    for rank in range(min(_LISTED, max(len(swing.documents), len(swing.baseline_documents)))):
        lists = (swing.baseline_documents, swing.documents)
        table.add_row(str(rank + 1), *(_document(each, rank) for each in lists))
    _print(table)


def _document(documents: Sequence[Placed], rank: int) -> str:
    if rank >= len(documents):
        return ""
    placed = documents[rank]
    grade = "" if placed.grade is None else f" grade {placed.grade}"
    return escape(f"{placed.document}{grade}")


def _print_notes(notes: Sequence[str]) -> None:
    for note in notes:
        _say(f"[yellow]note:[/] {escape(note)}")


def _short(value: float, sign: str = "") -> str:
    """Return four decimals, without the zero before them."""
    shown = _known(value, f"{sign}.4f")  # a dash for an unknown value
    return shown.replace("0.", ".", 1) if abs(value) < 1 else shown


def _say(line: str = "") -> None:
    console.print(line, highlight=False)


def _known(value: float, how: str) -> str:
    return format(value, how) if isfinite(value) else _UNKNOWN


def _table(*columns: str, words: int = 1) -> Table:
    """Return a table; the first `words` columns are aligned left, the numbers right."""
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    for number, column in enumerate(columns):
        named = number < words
        justify: Literal["left", "right"] = "left" if named else "right"
        table.add_column(column, justify=justify, no_wrap=not named, overflow="fold")
    return table


def _print(table: Table) -> None:
    Console(width=None if console.is_terminal else _WIDE, emoji=False).print(table)
