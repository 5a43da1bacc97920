"""`dateline eval compare`: two or more systems on the same judged questions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

import orjson
import typer

from core.errors import InputError
from dateline.commands.options import AsJson, Html, console, escape, reported, write_page
from dateline.measuring.run_sets import named_folder
from dateline.shown.outcome_tables import print_comparison
from eval.compare.comparison import compare
from eval.compare.pairing import read_system
from eval.report import comparison_page, need_packages
from eval.runs.measures import Qrels
from eval.runs.results import RunResult
from eval.sets.datasets import read_judged_set


def compare_systems(
    systems: Annotated[
        list[str],
        typer.Argument(
            metavar="FOLDER…",
            help="What `dateline eval run` wrote: the baseline first, then one or more others. A "
            "folder of several results is one system. NAME=FOLDER gives it a name.",
        ),
    ],
    measure: Annotated[
        list[str] | None, typer.Option(help="Measure, such as nDCG@10; all by default. Repeatable.")
    ] = None,
    queries: Annotated[
        int, typer.Option(min=0, help="Queries to show of those that won and that lost most.")
    ] = 3,
    judgements: Annotated[
        list[str] | None,
        typer.Option(
            help="Judged set (FOLDER[:SPLIT]) to give documents their grades. Repeatable."
        ),
    ] = None,
    by_slice: Annotated[bool, typer.Option("--slices/--no-slices", help="Slices too.")] = True,
    allow_missing: Annotated[
        bool, typer.Option("--allow-missing", help="Queries that one of them lacks count 0 there.")
    ] = False,
    as_json: AsJson = False,
    html: Html = None,
) -> None:
    """Say what differs between systems, by how much, and whether it is more than chance."""
    with reported():
        if html is not None:
            need_packages()
        runs = _read(systems)
        baseline, *others = runs.values()
        found = compare(
            baseline,
            others,
            measure or (),
            by_slice=by_slice,
            queries=queries,
            judgements=_judgements(judgements or ()),
            allow_missing=allow_missing,
        )
        if html is not None:
            every = [result for results in runs.values() for result in results]
            write_page(html, comparison_page(found, every))
    if as_json:
        typer.echo(orjson.dumps(found.as_dict(), option=orjson.OPT_INDENT_2))
        return
    print_comparison(found)
    if html is not None:
        console.print(escape(f"page: {html}"))


def _read(systems: Sequence[str]) -> dict[str, tuple[RunResult, ...]]:
    if len(systems) < 2:
        raise InputError("one system is nothing to compare", mend="name a second folder")
    runs: dict[str, tuple[RunResult, ...]] = {}
    for text in systems:
        name, folder = named_folder(text)
        results = read_system(folder, name)
        name = results[0].system.name
        if name in runs:
            raise InputError(
                f"two systems are named {name!r}", where=text, mend=f"name it: NAME={folder}"
            )
        runs[name] = results
    return runs


def _judgements(names: Sequence[str]) -> Mapping[str, Qrels]:
    sets = [read_judged_set(name) for name in names]
    return {f"{judged.name}:{judged.split}": judged.qrels for judged in sets}
