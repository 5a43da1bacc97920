"""`dateline tune hnsw`: build and search parameters of the vector graphs, by measuring them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import orjson
import typer

from dateline.archive_folder import archive_folder
from dateline.commands.options import (
    EXIT_REFUSED,
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
    Count,
    Queries,
    Seconds,
    Threads,
    VectorsFile,
    What,
    choices,
)
from dateline.measuring.pipeline_loss import settings_of
from dateline.measuring.sweep_subjects import vectors_of
from dateline.measuring.tune_hnsw import Plan, kinds_of, tune_hnsw
from dateline.settings import FILE, Settings
from dateline.settings_file import write_settings
from dateline.shown.progress import Lazily, SweepBar, progress_bar
from dateline.shown.sweep_tables import print_sweep
from eval.report import need_packages, sweep_page
from eval.tune.graphs.sweep_grid import Grid, names, numbers
from eval.tune.graphs.sweep_report import Sweep
from eval.tune.graphs.sweep_target import parse_target


def hnsw(
    what: What = "",
    file: VectorsFile = None,
    count: Count = 0,
    queries: Queries = 500,
    implementations: Annotated[
        str, typer.Option(help="Libraries of graphs, by commas: faiss, hnswlib.")
    ] = "faiss",
    precision: Annotated[
        str,
        typer.Option(help="Precisions of the vectors, by commas: fp32, fp16, int8, pq, binary."),
    ] = "fp32",
    m: Annotated[str, typer.Option(help="M, links of a node, by commas.")] = "16,32,48",
    ef_construction: Annotated[
        str, typer.Option(help="Widths of building, by commas.")
    ] = "100,200",
    ef: Annotated[
        str, typer.Option(help="Widths of searching, by commas.")
    ] = "32,64,96,128,192,256,300,400",
    k: Annotated[
        str, typer.Option(help="Rows asked for, by commas; the service asks for 100.")
    ] = "10,100",
    target: Annotated[
        str,
        typer.Option(
            help="What to meet, such as 'recall .99, p95 under 20 ms': recall, recall@10, p50, "
            "p95, p99, memory, qps."
        ),
    ] = "recall .99",
    threads: Threads = 0,
    seconds: Seconds = 0.3,
    filters: Annotated[
        bool, typer.Option("--filters/--no-filters", help="Measure recall under filters, too.")
    ] = True,
    churn: Annotated[
        bool,
        typer.Option("--churn/--no-churn", help="Measure recall after rows were replaced, too."),
    ] = True,
    pipeline: Annotated[
        bool,
        typer.Option("--pipeline/--no-pipeline", help="Measure what judged queries lose, too."),
    ] = True,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="Folder to work in.", show_default="in the data folder"
        ),
    ] = None,
    keep_graphs: Annotated[
        bool, typer.Option("--keep-graphs", help="Leave the graphs in that folder.")
    ] = False,
    apply: Annotated[
        bool, typer.Option("--apply", help=f"Write what is recommended into {FILE} here.")
    ] = False,
    html: Html = None,
    as_json: AsJson = False,
    data: Kept = None,
    models: Models = None,
) -> None:
    """Build graphs, ask them, and recommend the fastest that meets a target.

    Each graph is built once and asked at every ef. Builds and timings take turns. A sweep that was
    interrupted goes on where it was; another grid keeps what it shares. Exit code 1: nothing meets
    the target; the nearest is named, and --apply writes nothing.
    """
    with reported():
        if html is not None:
            need_packages()
        settings = settings_for(data=data, models=models)
        aim = parse_target(target)
        grid, left_out = _grid(settings, (implementations, precision), (m, ef_construction, ef, k))
        aim.depth(grid.ks)
        plan = Plan(
            grid=grid,
            target=aim,
            threads=threads or settings.threads,
            output=output or archive_folder(settings) / SWEEPS,
            seconds=seconds,
            kinds=tuple(kind for kind, on in (("filters", filters), ("churn", churn)) if on),
            pipeline=pipeline,
            keep=keep_graphs,
            notes=left_out,
        )
        with progress_bar(hidden=as_json) as progress:
            vectors = vectors_of(
                settings, what, file, count=count, queries=queries, observer=Lazily(progress)
            )
            found = tune_hnsw(settings, vectors, plan, SweepBar(progress))
        if html is not None:
            write_page(html, sweep_page(found))
        change = _applied(found) if apply and found.recommendation.met else ""
    _show(found, plan, as_json=as_json)
    if apply and found.recommendation.met and not as_json:
        console.print(escape(change or f"{FILE} stays as it is"))
        console.print("new segments are built with it; `dateline rebuild` builds all of them again")
    if not found.recommendation.met:
        raise typer.Exit(EXIT_REFUSED)


def _grid(
    settings: Settings, words: tuple[str, str], axes: tuple[str, str, str, str]
) -> tuple[Grid, tuple[str, ...]]:
    """Return the grid of implementations and precisions (`words`) and of M, efConstruction, ef and
    k, and what was left out of it.
    """
    implementations, precisions = words
    kinds, rescored, left_out = kinds_of(
        settings,
        names(implementations, "implementations", choices("hnsw_implementation")),
        names(precisions, "precision", choices("hnsw_precision")),
    )
    m, ef_construction, ef, k = axes
    grid = Grid(
        kinds=kinds,
        m=numbers(m, "m"),
        ef_construction=numbers(ef_construction, "ef-construction"),
        ef=numbers(ef, "ef"),
        ks=numbers(k, "k"),
        rescored=rescored,
    )
    return grid, left_out


def _show(found: Sweep, plan: Plan, *, as_json: bool) -> None:
    if as_json:
        typer.echo(orjson.dumps(found.as_dict(), option=orjson.OPT_INDENT_2))
        return
    facts = ", ".join(f"{name}: {value}" for name, value in found.about.items())
    console.print(escape(facts))
    print_sweep(found)
    console.print(escape(f"results in {plan.output}"))


def _applied(found: Sweep) -> str:
    return write_settings(Path(FILE), settings_of(found.recommendation.cell))
