"""`dateline eval report`: one page about results that are there already."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from core.errors import InputError
from dateline.commands.options import console, escape, reported, write_page
from dateline.measuring.run_sets import named_folder
from eval.report import run_page
from eval.runs.results import RunResult, read_result

_RESULT = "result.json"


def report(
    folders: Annotated[
        list[str],
        typer.Argument(
            metavar="FOLDER…",
            help="What `dateline eval run` wrote: a result, or a folder of several. NAME=FOLDER "
            "gives what it is of another name.",
        ),
    ],
    html: Annotated[Path, typer.Option(help="File to write.")],
) -> None:
    """Write one page about results: measures with intervals, latency, slices, the worst queries."""
    with reported():
        results = [result for text in folders for result in _read(*named_folder(text))]
        _once(results)
        write_page(html, run_page(results))
    of = "result" if len(results) == 1 else "results"
    console.print(escape(f"{len(results)} {of}, page: {html}"))


def _read(name: str, folder: Path) -> list[RunResult]:
    """Return the result in the folder, or the results in its sub-folders."""
    whole = (folder / _RESULT).is_file()
    places = [folder] if whole else sorted(path.parent for path in folder.glob(f"*/{_RESULT}"))
    if not places:
        raise InputError(
            f"there is no {_RESULT} here or one folder down",
            where=str(folder),
            mend="name a folder that `dateline eval run --output` wrote",
        )
    results = [read_result(place) for place in places]
    if not name:
        return results
    return [replace(each, system=replace(each.system, name=name)) for each in results]


def _once(results: Sequence[RunResult]) -> None:
    """Raise InputError if two results have one name."""
    seen: set[tuple[str, str]] = set()
    for result in results:
        key = (result.system.name, result.collection.label)
        if key in seen:
            raise InputError(
                f"there are two results of {key[0]!r} on {key[1]}",
                mend="give one of them another name: NAME=FOLDER",
            )
        seen.add(key)
