"""`dateline tune growth`: one HNSW cell at growing sizes, and what that predicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import orjson
import typer

from core.errors import InputError
from dateline.archive_folder import archive_folder
from dateline.commands.options import (
    AsJson,
    Html,
    Kept,
    Models,
    console,
    escape,
    reported,
    settings_for,
    write_page,
)
from dateline.commands.tune.flags import (
    SWEEPS,
    Queries,
    Seconds,
    Threads,
    VectorsFile,
    What,
    choices,
)
from dateline.measuring.sweep_subjects import Vectors, vectors_of
from dateline.measuring.tune_hnsw import Plan, bench_of, kinds_of, measured_on
from dateline.settings import Settings
from dateline.shown.progress import Lazily, SweepBar, progress_bar
from dateline.shown.sweep_tables import (
    fit_rows,
    growth_rows,
    named_fits,
    prediction_rows,
    print_rows,
)
from eval.report import growth_page, need_packages
from eval.tune.graphs.growth import Grown, Growth, Prediction, fitted, predict
from eval.tune.graphs.growth_sweep import filled_up, grow
from eval.tune.graphs.neighbours import cached_neighbours
from eval.tune.graphs.sweep_grid import BuildCell, Grid, names, numbers
from eval.tune.graphs.sweep_target import Target, parse_target
from eval.tune.graphs.vector_source import COSINE
from eval.tune.graphs.vector_sweep import Subject

_PREDICTED = (10_000_000, 100_000_000)
_MOST = 10**9
_POOR = 0.25  # the error from which a law does not fit the measurements


def growth(
    what: What = "",
    file: VectorsFile = None,
    sizes: Annotated[
        str, typer.Option(help="Numbers of vectors, by commas.")
    ] = "10000,30000,100000",
    queries: Queries = 200,
    implementation: Annotated[
        str, typer.Option(help="faiss or hnswlib.", show_default="the setting's")
    ] = "",
    precision: Annotated[
        str, typer.Option(help="fp32, fp16, int8, pq or binary.", show_default="the setting's")
    ] = "",
    m: Annotated[int, typer.Option(min=0, help="Links of a node; 0: the setting's.")] = 0,
    ef_construction: Annotated[
        int, typer.Option(min=0, help="Width of building; 0: the setting's.")
    ] = 0,
    ef: Annotated[
        str, typer.Option(help="Widths of searching, by commas: tried until the recall is reached.")
    ] = "100,128,160,200,256,320,400,512,640,800,1000,1280,1600",
    k: Annotated[int, typer.Option(min=1, max=1000, help="Rows asked for.")] = 100,
    target: Annotated[
        str, typer.Option(help="Recall to compare at; p95 and memory of one shard.")
    ] = "recall .99, p95 under 20 ms, under 16 GB",
    threads: Threads = 0,
    seconds: Seconds = 0.3,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="Folder to work in.", show_default="in the data folder"
        ),
    ] = None,
    html: Html = None,
    as_json: AsJson = False,
    data: Kept = None,
    models: Models = None,
) -> None:
    """Measure one graph at growing sizes, fit laws to it, and say what they predict for 10 and 100
    million vectors, and in how many shards a target is met.

    Where there are fewer real vectors, copies with noise fill up, and the table says how many.
    """
    with reported():
        if html is not None:
            need_packages()
        settings = settings_for(data=data, models=models)
        aim = parse_target(target)
        cell, grid = _cell(settings, implementation, precision, m, ef_construction, ef, k)
        aim.depth(grid.ks)
        rows = _sizes(sizes)
        plan = Plan(
            grid=grid,
            target=aim,
            threads=threads or settings.threads,
            output=output or archive_folder(settings) / SWEEPS,
            seconds=seconds,
        )
        with progress_bar(hidden=as_json) as progress:
            vectors = vectors_of(
                settings, what, file, count=0, queries=queries, observer=Lazily(progress)
            )
            found = _grown(settings, vectors, plan, cell, rows, SweepBar(progress))
        predictions = [
            predict(found, each, aim.limit("p95"), aim.limit("memory")) for each in _PREDICTED
        ]
        about = {**vectors.facts, "cell": str(cell), "target": str(aim), "machine": measured_on()}
        notes = _notes(found, vectors, rows[-1])
        if html is not None:
            write_page(html, growth_page(found, predictions, about=about, notes=notes))
    if as_json:
        tree = {
            "about": about,
            "growth": asdict(found),
            "predictions": [asdict(each) for each in predictions],
            "notes": notes,
        }
        typer.echo(orjson.dumps(tree, option=orjson.OPT_INDENT_2))
        return
    _show(found, predictions, aim, about, notes)


def _cell(
    settings: Settings,
    implementation: str,
    precision: str,
    m: int,
    ef_construction: int,
    ef: str,
    k: int,
) -> tuple[BuildCell, Grid]:
    """Return the graph to measure, by the settings if no flag says otherwise, and the search
    widths.
    """
    kinds, rescored, _ = kinds_of(
        settings,
        names(
            implementation or settings.hnsw_implementation,
            "implementation",
            choices("hnsw_implementation"),
        ),
        names(precision or settings.hnsw_precision, "precision", choices("hnsw_precision")),
    )
    if len(kinds) > 1:
        raise InputError("growth is of one graph", mend="one implementation and one precision")
    links = numbers(str(m or settings.hnsw_m), "m")
    widths = numbers(str(ef_construction or settings.hnsw_ef_construction), "ef-construction")
    grid = Grid(kinds, links, widths, numbers(ef, "ef"), (k,), rescored)
    return grid.builds()[0], grid


def _sizes(text: str) -> tuple[int, ...]:
    where = f"--sizes {text}"
    try:
        found = sorted({int(part.replace("_", "")) for part in text.split(",")})
    except ValueError as error:
        mend = "numbers with commas between, such as 10000,30000,100000"
        raise InputError("sizes are whole numbers", where=where, mend=mend) from error
    if len(found) < 2 or found[0] < 2 or found[-1] > _MOST:
        raise InputError("growth needs two sizes at least, of 2 vectors or more", where=where)
    return tuple(found)


def _grown(
    settings: Settings,
    vectors: Vectors,
    plan: Plan,
    cell: BuildCell,
    sizes: tuple[int, ...],
    bar: SweepBar,
) -> Growth:
    """Measure each size: the first vectors, real ones in random order, then copies."""
    (k,) = plan.grid.ks
    if k > sizes[0]:
        raise InputError(f"{k} of {sizes[0]} vectors", mend="lower --k or raise --sizes")
    clause = plan.target.recall
    recall = clause.limit if clause else 0.99
    all_vectors = filled_up(vectors.vectors, sizes[-1])

    def sized(rows: int) -> Subject:
        part = all_vectors[:rows]
        return Subject(
            part, vectors.queries, cached_neighbours(part, vectors.queries, k, plan.output)
        )

    found: list[Grown] = []
    bar("growth", 0, sum(sizes))
    bench = bench_of(settings, vectors, plan)
    for each in grow(sizes, sized, vectors.real, cell, plan.grid, recall, bench):
        found.append(each)
        bar("growth", sum(one.rows for one in found), sum(sizes))
    return fitted(str(cell), recall, k, found)


def _notes(found: Growth, vectors: Vectors, most: int) -> tuple[str, ...]:
    notes = [*vectors.notes]
    if most > vectors.real:
        copies = f"beyond {vectors.real:,} vectors are copies of those"
        notes.append(f"{copies}, at a cosine of {COSINE:g}")
    for what, law in named_fits(found):
        if law.worst > _POOR:
            off = f"the law of {what} is off by {law.worst:.0%} at a size that was measured"
            notes.append(f"{off}: what it predicts is not to be relied on")
    return tuple(notes)


def _show(
    found: Growth,
    predictions: Sequence[Prediction],
    target: Target,
    about: Mapping[str, str | int | float],
    notes: Sequence[str],
) -> None:
    console.print(escape(", ".join(f"{name}: {value}" for name, value in about.items())))
    console.print(escape(f"\nmeasured, at recall@{found.k} {found.recall:g}"))
    print_rows(growth_rows(found))
    console.print("\nlaws, with what they say over what was seen, less 1, by size")
    print_rows(fit_rows(found))
    console.print(
        escape(f"\npredictions, and the shards that meet {target}: merging their answers and ")
        + "waiting for the slowest are not in it"
    )
    print_rows(prediction_rows(predictions))
    for line in notes:
        console.print(f"[yellow]note:[/] {escape(line)}")
