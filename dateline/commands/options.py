"""Flags that several commands share, and the start and end that all have."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from core.errors import (
    AccessError,
    CorruptError,
    DatelineError,
    InputError,
    ModelError,
    NotFoundError,
    QueryError,
    SettingsError,
    StorageError,
    StorageFullError,
)
from dateline.settings import Settings, configure

Data = Annotated[Path | None, typer.Option(help="Folder of the archive.", show_default="data")]
Kept = Annotated[
    Path | None,
    typer.Option(
        "--data",
        help="Folder of data that is kept between runs: indexed sets, results, the archive.",
        show_default="data",
    ),
]
Models = Annotated[
    Path | None, typer.Option(help="Folder of the models.", show_default="the bundled ones")
]
Html = Annotated[Path | None, typer.Option(help="Write it as an HTML page with plots, too.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
Tz = Annotated[
    str,
    typer.Option(help="Time zone of dates, such as Europe/Berlin.", show_default="UTC"),
]
Locale = Annotated[
    str,
    typer.Option(
        help="How dates in the query are written, such as en-US.", show_default="day before month"
    ),
]
Ignore = Annotated[
    list[str] | None, typer.Option(help="A date or name in the query to take as words. Repeatable.")
]
Profile = Annotated[
    str | None,
    typer.Option(
        help="Ranking profile, such as hybrid, lexical or vector.",
        show_default="the setting profile",
    ),
]
Stride = Annotated[
    int | None,
    typer.Option(
        help="Frames between two looks of the model at a live source: fewer tell a shot sooner "
        "and cost more.",
        show_default="the setting shot_stride",
    ),
]
Stall = Annotated[
    float, typer.Option(help="Seconds of silence of a live source that are marked as a gap.")
]
Away = Annotated[
    float, typer.Option(help="Seconds after which a live source that broke off is given up.")
]
Grown = Annotated[
    float, typer.Option(help="Seconds after which a live file that does not grow is over.")
]
Hosts = Annotated[
    list[str] | None,
    typer.Option("--host", help="Host that an HLS playlist may name besides its own. Repeatable."),
]
Measures = Annotated[
    str,
    typer.Option(
        help="By commas, named as ir_measures does: nDCG@10, R@100, RR, AP, P@5, Success@1, …",
        show_default="nDCG@10,R@100,RR@10",
    ),
]

# `:x:` in a uri or a text is data, never the name of an emoji.
console = Console(soft_wrap=True, emoji=False)
errors = Console(stderr=True, soft_wrap=True, emoji=False)

EXIT_REFUSED = 1  # some documents were rejected or refused; the others were ingested
EXIT_INPUT = 2  # the request is wrong
EXIT_SETTINGS = 3
EXIT_STORAGE = 4
EXIT_FULL = 5
EXIT_MODEL = 6
EXIT_INTERRUPTED = 130


def settings_for(**flags: object) -> Settings:
    """Return the settings in force with these flags."""
    return configure(flags).settings


def archive_settings(**flags: object) -> Settings:
    """Return the settings in force with these flags. Raises NotFoundError if there is no archive: a
    command that only reads makes none.
    """
    settings = settings_for(**flags)
    if not settings.has_archive:
        raise no_archive(settings)
    return settings


def encoder_only(settings: Settings) -> Settings:
    """Return the settings without the models that only searches use."""
    return settings.model_copy(update={"tagger": "", "reranker": ""})


def no_archive(settings: Settings) -> NotFoundError:
    """Return the error for a folder without an archive."""
    return NotFoundError(
        "there is no archive in this folder",
        where=str(settings.data.absolute()),
        mend="name the archive's folder with --data or the setting data; "
        "`dateline ingest` makes a new one",
    )


def note_new_archive(settings: Settings) -> None:
    """Print a note if there is no archive yet and an empty one will be made, so that the user
    notices a mistake in the folder's name.
    """
    if not settings.has_archive:
        place = escape(str(settings.data.absolute()))
        errors.print(f"[yellow]note:[/] there was no archive in {place}; an empty one is made")


def note_missing_models(missing: Iterable[str]) -> None:
    """Print a note for each optional model that could not be loaded, with the reason."""
    for what in missing:
        line = escape(" ".join(what.split()))
        errors.print(f"[yellow]note:[/] not loaded: {line}")


def exit_code(error: DatelineError) -> int:
    """Return the exit code of an error of this kind."""
    match error:
        case SettingsError():
            return EXIT_SETTINGS
        case InputError() | AccessError():
            return EXIT_INPUT
        case StorageFullError():
            return EXIT_FULL
        case CorruptError():
            return EXIT_STORAGE
        case _:
            return EXIT_MODEL if isinstance(error, ModelError) else EXIT_STORAGE


@contextmanager
def interrupted_by_sigterm() -> Iterator[None]:
    """Let SIGTERM interrupt as Ctrl-C does: the command then prints what it did."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def reported() -> Iterator[None]:
    """Print our errors as what, where and how to mend, without a traceback, and exit."""
    try:
        yield
    except DatelineError as error:
        show_error(error)
        raise typer.Exit(exit_code(error)) from error
    except KeyboardInterrupt as error:
        errors.print("interrupted; everything acknowledged is kept")
        raise typer.Exit(EXIT_INTERRUPTED) from error
    except BrokenPipeError:
        sys.stderr.close()
        raise typer.Exit(0) from None


def show_error(error: DatelineError) -> None:
    """Print one error on the error stream."""
    errors.print(f"[bold red]error:[/] {escape(error.what)}")
    if error.where:
        errors.print(f"  where: {escape(error.where)}")
    if error.mend:
        errors.print(f"  mend:  {escape(error.mend)}")


def show_progress(line: str) -> None:
    """Print what a long command does now. The line goes to stderr, apart from the result."""
    errors.print(f"[dim]{escape(line)}[/]")


def escape(text: str) -> str:
    """Return a text as data: it has no markup and can't move the terminal's cursor."""
    printable = "".join(c if c.isprintable() or c in "\n\t" else "\ufffd" for c in text)
    return printable.replace("[", r"\[")


def write_page(path: Path, page: str) -> None:
    """Write a page to a file. Raises InputError if that is not possible."""
    try:
        path.write_text(page, "utf-8")
    except OSError as error:
        raise InputError(f"can't be written: {error.strerror}", where=str(path)) from error


def write_result(path: Path, data: bytes) -> None:
    """Write a result to a file, in folders that are made if missing. Raises StorageError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    except OSError as error:
        raise StorageError(f"can't be written: {error}", where=str(path)) from error


def listed(text: str) -> list[str]:
    """Return the parts of a text that are set apart by commas."""
    return [part.strip() for part in text.split(",") if part.strip()]


def chosen_products(known: frozenset[str], wanted: str) -> frozenset[str]:
    """Return the product codes that are `wanted`, by commas, or all that are `known`. Raises
    QueryError for one that no item has.
    """
    chosen = frozenset(listed(wanted))
    if chosen - known:
        raise QueryError(
            f"no item belongs to {', '.join(sorted(chosen - known))}",
            mend=f"products here: {', '.join(sorted(known)) or 'none'}",
        )
    return chosen or known
