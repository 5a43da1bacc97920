"""`dateline eval datasets`: the judged sets that are here, and doubts about them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Annotated

import orjson
import typer
from rich.console import Console
from rich.table import Table

from dateline.commands.options import (
    EXIT_REFUSED,
    AsJson,
    console,
    errors,
    escape,
    reported,
)
from dateline.default_folders import demo_folder
from dateline.shown.progress import progress_bar
from eval.sets.corpus_place import shared_sets
from eval.sets.dataset_listing import NOT_STATED, Listed, names_in, read_listed
from eval.sets.ir_sets import is_name

WIDTH = 100
_HEAD = (  # title, whether it is a number, its width
    ("set", False, 24),
    ("documents", True, 9),
    ("queries", True, 7),
    ("judged a query", True, 15),
    ("grades", False, 7),
    ("language", False, 10),
    ("licence", False, 16),
)


def datasets(
    folders: Annotated[
        list[str] | None,
        typer.Argument(
            help="Judged sets, folders of them, or irds:NAME; "
            "otherwise those beside the program and the demo.",
        ),
    ] = None,
    download: Annotated[
        bool, typer.Option("--download", help="Let ir_datasets fetch missing data.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List judged sets: sizes, judgements, languages, licences, and doubts.

    Every file is read and checked. Exit code 1: some set could not be read; its error is shown, and
    the rest is listed.
    """
    with reported():
        names = [name for place in folders or default_places() for name in names_in(place)]
        listed = _read(list(dict.fromkeys(names)), download=download, hidden=as_json)
    if as_json:
        trees = [each.as_dict() for each in listed]
        typer.echo(orjson.dumps(trees, option=orjson.OPT_INDENT_2))
    else:
        terminal = console if console.is_terminal else Console(width=WIDTH, emoji=False)
        terminal.print(table_of(listed))
        _show_doubts(listed)
    raise typer.Exit(EXIT_REFUSED if any(each.error for each in listed) else 0)


def default_places() -> list[str]:
    """Return the sets in the shared folder ($DATELINE_SHARED, or `shared` beside the checkout) and
    the demo. Raises InputError if $DATELINE_SHARED names no folder.
    """
    return [str(place) for place in (shared_sets(), demo_folder()) if place and place.is_dir()]


def table_of(listed: Sequence[Listed]) -> Table:
    """Return a table of at most `WIDTH` columns: a row for each split, and the error of a set that
    can't be read.
    """
    table = Table(box=None, pad_edge=False)
    for title, number, width in _HEAD:
        table.add_column(
            title, justify="right" if number else "left", overflow="fold", max_width=width
        )
    for each in listed:
        table.add_row(*(escape(cell) for cell in _cells(each)))
    return table


def _cells(each: Listed) -> tuple[str, ...]:
    if each.error:
        return (each.label, "-", "-", "-", "-", "-", "can't be read: see below")
    if each.least == each.most:
        judged = str(each.least)
    else:
        judged = f"{each.mean:,.1f} ({each.least:,}-{each.most:,})"
    return (
        each.label,
        f"{each.documents:,}",
        f"{each.queries:,}",
        judged,
        " ".join(str(grade) for grade in each.grades),
        ", ".join(each.languages) or NOT_STATED,
        each.licence or NOT_STATED,
    )


def _show_doubts(listed: Sequence[Listed]) -> None:
    for each in listed:
        for doubt in each.doubts:
            console.print(f"[yellow]{escape(each.label)}:[/] {escape(doubt)}")
        if each.agreement is not None:
            said = f"{each.judges} judges, ordinal alpha {each.agreement:.2f}"
            console.print(f"{escape(each.label)}: {said}")
        if each.error:
            errors.print(f"[red]{escape(each.label)}:[/] {escape(each.error)}")


def _short(name: str) -> str:
    return name if is_name(name) else Path(name).name


def _read(names: Sequence[str], *, download: bool, hidden: bool) -> list[Listed]:
    found: list[Listed] = []
    with progress_bar(hidden=hidden) as progress:
        task = progress.add_task("sets", total=len(names), rate="")
        for name in names:
            started = perf_counter()

            def said(documents: int, started: float = started, name: str = name) -> None:
                rate = documents / max(perf_counter() - started, 1e-9)
                text = f"{_short(name)}: {documents:,} documents converted, {rate:,.0f}/s"
                progress.update(task, rate=escape(text))

            progress.update(task, rate=escape(_short(name)))
            found.append(read_listed(name, download=download, said=said))
            progress.advance(task)
    return found
