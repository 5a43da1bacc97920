"""Flags that the sweeps of vector graphs share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, get_args

import typer

from dateline.settings import Settings

SWEEPS = "hnsw-sweeps"

What = Annotated[
    str,
    typer.Argument(
        metavar="[DATASET|FOLDER]",
        help="A judged set, or an archive's folder; without, every set in the cache.",
    ),
]
VectorsFile = Annotated[
    Path | None, typer.Option("--vectors", help="A .npy file of vectors, n x d, instead.")
]
Count = Annotated[
    int,
    typer.Option(
        min=0, help="How many vectors; 0 for all. Beyond what there are, copies with noise."
    ),
]
Queries = Annotated[int, typer.Option(min=1, max=10_000, help="Queries to ask.")]
Threads = Annotated[
    int,
    typer.Option(
        min=0, max=256, help="Threads of builds, and of timings on all of them; 0: the setting's."
    ),
]
Seconds = Annotated[float, typer.Option(min=0, max=60, help="Least length of each timing, in s.")]


def choices(name: str) -> tuple[str, ...]:
    """Return the words that a setting can be."""
    return tuple(str(each) for each in get_args(Settings.model_fields[name].annotation))
