"""`dateline models profile`: where a model's time goes, and what bounds it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

import orjson
import typer

from core.errors import InputError
from core.extras import need_extra
from dateline.build.models.runtimes import model_store
from dateline.build.models.subject import open_subject
from dateline.commands.options import AsJson, Models, console, escape, reported, settings_for
from dateline.settings import Settings
from dateline.shown.profile_report import (
    GROUP_HEAD,
    PLACE_HEAD,
    as_tree,
    group_rows,
    heading,
    machine_line,
    opportunity_line,
    place_rows,
    table_of,
)
from eval.report import need_packages
from inference.measuring.machine import measure_limits
from inference.measuring.model_profile import ModelProfile
from inference.measuring.profiling import profile_model

SHAPES = ("1x16", "64x128")
WINDOW_SHAPES = ("1x100",)  # shapes for a model that reads frames
_SHAPE = re.compile(r"(\d{1,4})x(\d{1,5})")
LEAST_SHOWN = 0.005  # share of the time; an operator with less has no separate line
_MOST_TEXTS = 1024

Shapes = Annotated[
    list[str] | None,
    typer.Option(
        "--shape",
        help="Texts x tokens of a call, such as 64x128. Repeatable.",
        show_default="1x16 64x128; 1x100 for shots",
    ),
]


def profile(
    model: Annotated[str, typer.Argument(help="Name of a model, as `dateline models list` says.")],
    shape: Shapes = None,
    seconds: Annotated[
        float, typer.Option(min=0.01, max=600, help="Seconds to measure each shape.")
    ] = 5.0,
    html: Annotated[
        Path | None, typer.Option(help="Write it as an HTML page with the picture, too.")
    ] = None,
    svg: Annotated[Path | None, typer.Option(help="Write the picture, an SVG file.")] = None,
    as_json: AsJson = False,
    models: Models = None,
) -> None:
    """Show where a model's time goes, by operator, and how near each is to the machine's bounds.

    The graph is ONNX and runs on one thread. Arithmetic and memory are measured first, here.
    """
    with reported():
        settings = settings_for(models=models)
        sizes = [read_shape(text) for text in shape or _usual(settings, model)]
        if html is not None:
            need_packages()
        if svg is not None:
            _need_plots()
        measure = partial(measure_limits, min(0.3, seconds))
        profiles = [
            profile_model(open_subject(settings, model, texts, tokens), measure, seconds)
            for texts, tokens in sizes
        ]
        _draw(profiles, html, svg)
    if as_json:
        trees = [as_tree(each) for each in profiles]
        typer.echo(orjson.dumps(trees, option=orjson.OPT_INDENT_2))
        return
    for each in profiles:
        _show(each)


def read_shape(text: str) -> tuple[int, int]:
    """Return the shape in `64x128`: 64 texts of 128 tokens. Raises InputError for anything else."""
    found = _SHAPE.fullmatch(text)
    if found is None or not 1 <= int(found[1]) <= _MOST_TEXTS or int(found[2]) < 1:
        raise InputError(
            f"{text!r} is no shape",
            where="--shape",
            mend=f"texts x tokens, such as 64x128, with at most {_MOST_TEXTS} texts",
        )
    return int(found[1]), int(found[2])


def _usual(settings: Settings, model: str) -> Sequence[str]:
    """Return the shapes that are measured if none is asked for."""
    task = model_store(settings).describe(model).manifest.task
    return WINDOW_SHAPES if task == "shots" else SHAPES


def _show(found: ModelProfile) -> None:
    console.print(f"\n[bold]{escape(heading(found))}[/]\n")
    console.print(table_of(GROUP_HEAD, group_rows(found), console.width))
    console.print()
    console.print(table_of(PLACE_HEAD, place_rows(found, LEAST_SHOWN), console.width))
    console.print("\n[bold]Most to gain[/]")
    for number, each in enumerate(found.opportunities(), 1):
        console.print(f"  {number}. {escape(opportunity_line(each))}")
    console.print(f"\n{machine_line(found.limits)}", style="dim")


def _need_plots() -> None:
    """Raise InputError, before anything is measured, if pictures can't be drawn."""
    otherwise = ", or leave the picture out"
    need_extra("plots", "a picture", ["matplotlib"], where="--svg", otherwise=otherwise)


def _draw(profiles: Sequence[ModelProfile], html: Path | None, svg: Path | None) -> None:
    """Write the picture and the page, if they are asked for."""
    if svg is not None:
        from dateline.shown.profile_figure import profile_svg  # half a second nobody else needs

        _write(svg, profile_svg(profiles))
    if html is not None:
        from dateline.shown.profile_page import profile_page

        _write(html, profile_page(profiles))


def _write(path: Path, text: str) -> None:
    """Raise InputError if nothing can be written."""
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"can't be written: {error.strerror or error}", where=str(path)) from error
