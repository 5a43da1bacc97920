"""`dateline eval gate`: may these results go out? A verdict for CI, by its exit code."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import orjson
import typer

from core.errors import InputError
from dateline.commands.options import AsJson, Html, console, escape, reported, write_page
from dateline.measuring.gate_rule import GateFile, changed, read_rule
from dateline.measuring.run_sets import named_folder
from dateline.shown.outcome_tables import print_verdict
from eval.compare.gate import Rule, judge
from eval.compare.gate_baseline import read_baseline, write_baseline
from eval.compare.pairing import read_system
from eval.report import gate_page, need_packages

EXIT_FAILED = 1  # the results are worse; 0 is a pass, 2 a mistake in what was asked
DEFAULT_MEASURE = "nDCG@10"


def gate(
    runs: Annotated[
        str, typer.Argument(help="What `dateline eval run` wrote: a result, or several in one.")
    ],
    baseline: Annotated[Path, typer.Option(help="The baseline's file, JSON, to commit.")],
    write: Annotated[
        bool, typer.Option("--write", help="Make these results the baseline instead.")
    ] = False,
    measure: Annotated[
        list[str] | None, typer.Option(help=f"Measure; {DEFAULT_MEASURE} by default. Repeatable.")
    ] = None,
    least_effect: Annotated[
        float | None, typer.Option(help="The least true loss that matters.", show_default="0.02")
    ] = None,
    alpha: Annotated[
        float | None, typer.Option(help="Chance of an alarm accepted.", show_default="0.05")
    ] = None,
    slice_floor: Annotated[
        list[str] | None,
        typer.Option(help="facet=value:MEAN, or collection=name:split:MEAN. Repeatable."),
    ] = None,
    each_collection: Annotated[
        bool | None,
        typer.Option("--each-collection/--pooled", help="Fail for a loss of one collection too."),
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="TOML with measures, least_effect, alpha, floors …")
    ] = None,
    as_json: AsJson = False,
    html: Html = None,
) -> None:
    """Hold new results against a baseline; exit with 0 for a pass, 1 for a fail, 2 for a mistake.

    It fails if the mean over all queries fell by more than chance explains and by perhaps as much
    as the least effect, if a slice is under its floor, or if results can't be compared.
    """
    with reported():
        if html is not None:
            need_packages()
        name, folder = named_folder(runs)
        results = read_system(folder, name)
        rule = _rule(config, measure, least_effect, alpha, each_collection, slice_floor or ())
        if write:
            write_baseline(results, rule.measures or (DEFAULT_MEASURE,), baseline)
            count = sum(len(result.rows) for result in results)
            console.print(escape(f"{count:,} queries of {len(results)} sets in {baseline}"))
            return
        verdict = judge(read_baseline(baseline), results, rule)
        if html is not None:
            write_page(html, gate_page(verdict))
    if as_json:
        typer.echo(orjson.dumps(verdict.as_dict(), option=orjson.OPT_INDENT_2))
    else:
        print_verdict(verdict)
        if html is not None:
            console.print(escape(f"page: {html}"))
    raise typer.Exit(0 if verdict.passed else EXIT_FAILED)


def _rule(
    config: Path | None,
    measures: Sequence[str] | None,
    least_effect: float | None,
    alpha: float | None,
    each_collection: bool | None,
    floors: Sequence[str],
) -> Rule:
    """Return the file's rule, changed by the flags; the floors of both apply."""
    rule = read_rule(config) if config is not None else Rule()
    flags = GateFile(
        measures=list(measures) if measures else None,
        least_effect=least_effect,
        alpha=alpha,
        each_collection=each_collection,
        floors={**rule.floors, **dict(map(_floor, floors))},
    )
    return changed(rule, flags)


def _floor(text: str) -> tuple[str, float]:
    group, _, floor = text.rpartition(":")
    mend = "write facet=value:MEAN, such as kind=photo:0.80"
    if "=" not in group:
        raise InputError(f"{text!r} is no floor", mend=mend)
    try:
        return group, float(floor)
    except ValueError as error:
        raise InputError(f"{floor!r} in {text!r} is no number", mend=mend) from error
