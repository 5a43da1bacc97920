"""`dateline models`: which models there are, whether they are sound, where to get more."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated, Literal

import orjson
import typer
from rich.table import Table

from core.errors import InputError, ModelError
from dateline.build.models.runtimes import model_store
from dateline.commands.options import AsJson, Models, console, escape, reported, settings_for
from dateline.model_pull import PullPlan, pull_bar, pull_model
from dateline.shown.model_list import ListedModel, listed_models
from inference.models.card import CARD
from inference.models.card import card as written_card
from inference.models.catalogue import Catalogue
from inference.models.manifest import ModelManifest
from inference.models.packed import ROLES, write_packed
from inference.models.store import CheckedFile

_LICENCE = 10  # characters in the table; the card has the whole

_WIDTHS = {"role": 8}

Pulled = Annotated[
    Path | None,
    typer.Option(
        help="Folder of the models that were pulled.", show_default="the setting pulled_models"
    ),
]


def list_models(
    as_json: AsJson = False, models: Models = None, pulled_models: Pulled = None
) -> None:
    """List the models that are here and those that can be pulled."""
    with reported():
        rows = listed_models(settings_for(models=models, pulled_models=pulled_models))
    if as_json:
        typer.echo(orjson.dumps([row.as_dict() for row in rows], option=orjson.OPT_INDENT_2))
        return
    console.print(_table(rows))
    for row in rows:
        if row.problem:
            console.print(f"[red]bad[/]  {escape(row.name)}: {escape(row.problem)}")
    for row in rows:
        if row.runtime_by not in ("", "default"):
            console.print(f"{escape(row.name)} runs in {escape(row.runtime)} ({row.runtime_by})")
    if any(row.research_only for row in rows):
        console.print("[yellow]*[/] learned from texts for research only; see `models card NAME`")


def verify(
    names: Annotated[list[str] | None, typer.Argument(help="Models; all if none is named.")] = None,
    as_json: AsJson = False,
    models: Models = None,
    pulled_models: Pulled = None,
) -> None:
    """Check every file of the models by checksum and kind. Exit code 1 on a problem."""
    with reported():
        store = model_store(settings_for(models=models, pulled_models=pulled_models))
        rows = store.verify(names or ())
        if not rows:
            raise ModelError("there are no models", where=str(store.root), mend="set `models`")
    if as_json:
        found = [{"model": r.model, "path": r.path, "problem": r.problem} for r in rows]
        typer.echo(orjson.dumps(found, option=orjson.OPT_INDENT_2))
    else:
        for row in rows:
            console.print(_line(row))
    raise typer.Exit(0 if all(row.ok for row in rows) else 1)


def pull(
    name: Annotated[str, typer.Argument(help="A name that `models list` shows.")],
    revision: Annotated[str, typer.Option(help="A commit, branch or tag of the hub's.")] = "",
    endpoint: Annotated[
        str, typer.Option(help="A hub or a mirror of one.", show_default="HF_ENDPOINT")
    ] = "",
    folder: Annotated[
        Path | None, typer.Option("--from", help="A folder with its files, instead of a hub.")
    ] = None,
    formats: Annotated[
        list[str] | None, typer.Option("--format", help="onnx or safetensors. Repeatable.")
    ] = None,
    models: Models = None,
    pulled_models: Pulled = None,
) -> None:
    """Fetch a model, check it and put it in place; continue where an earlier attempt stopped.

    Nothing else that Dateline does fetches anything. HF_TOKEN is sent where it is set.
    """
    with reported():
        if folder is not None and (revision or endpoint):
            raise InputError("--from goes with neither --revision nor --endpoint")
        settings = settings_for(models=models, pulled_models=pulled_models)
        plan = PullPlan(name, revision, endpoint, folder, tuple(formats or ()))
        with pull_bar() as progress:
            found = pull_model(settings, plan, progress)
        where = escape(str(found.folder.path))
        state = "is there, and sound" if found.fresh else "was there already, and is sound"
        console.print(f"{escape(name)} {state}: {where}, {found.folder.size:,} bytes")
        for path in found.unchecked:
            console.print(
                f"[yellow]note:[/] {escape(path)} was taken as found: no checksum is known"
            )
        if name in _names_in(settings.models):
            console.print(f"[yellow]note:[/] the bundled {escape(name)} goes before it")


def package(
    out: Annotated[Path, typer.Argument(help="The file to write, such as model.tar.gz.")],
    encoder: Annotated[
        str | None, typer.Option(help="The encoder; empty for none.", show_default="the settings'")
    ] = None,
    tagger: Annotated[
        str | None, typer.Option(help="The tagger; empty for none.", show_default="the settings'")
    ] = None,
    reranker: Annotated[
        str | None, typer.Option(help="The reranker; empty for none.", show_default="the settings'")
    ] = None,
    shots: Annotated[
        str | None,
        typer.Option(help="The shot detector; empty for none.", show_default="the settings'"),
    ] = None,
    models: Models = None,
    pulled_models: Pulled = None,
) -> None:
    """Pack models as model.tar.gz, which SageMaker puts into a container.

    Every file is checked by its manifest. The same models give the same bytes.
    """
    with reported():
        settings = settings_for(models=models, pulled_models=pulled_models)
        chosen = dict(zip(ROLES, (encoder, tagger, reranker, shots), strict=True))
        wanted = {role: getattr(settings, role) if n is None else n for role, n in chosen.items()}
        roles = {role: name for role, name in wanted.items() if name}
        if not roles:
            raise InputError("no model is named", mend="name one, such as --tagger NAME")
        store = model_store(settings)
        try:
            write_packed(out, roles, [store.find(name) for name in dict.fromkeys(roles.values())])
        except OSError as error:
            raise InputError(f"can't be written: {error.strerror}", where=str(out)) from error
        with out.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
    told = ", ".join(f"{role} {name}" for role, name in roles.items())
    console.print(f"{escape(str(out))}: {out.stat().st_size:,} bytes, {escape(told)}")
    console.print(f"sha256 {digest}")


def card(
    name: Annotated[str, typer.Argument(help="A name that `models list` shows.")],
    write: Annotated[
        bool, typer.Option("--write", help="Write it to README.md in the model's folder.")
    ] = False,
    models: Models = None,
    pulled_models: Pulled = None,
) -> None:
    """Print a model's card: what it is, its licences, its figures with their commands."""
    with reported():
        store = model_store(settings_for(models=models, pulled_models=pulled_models))
        if not write:
            typer.echo(written_card(_manifest(name, models, pulled_models)), nl=False)
            return
        folder = store.describe(name)
        place = folder.path / CARD
        try:
            place.write_text(written_card(folder.manifest), encoding="utf-8")
        except OSError as error:
            what = f"the card can't be written: {error.strerror or error}"
            raise ModelError(what, where=str(place), mend="print it without --write") from error
        console.print(escape(str(place)))


def _manifest(name: str, models: Path | None, pulled: Path | None) -> ModelManifest:
    """Return the manifest of a model that is here, else the catalogue's."""
    store = model_store(settings_for(models=models, pulled_models=pulled))
    if name not in store.names() and name in Catalogue().names():
        return Catalogue().find(name)
    return store.describe(name).manifest


def _names_in(folder: Path) -> set[str]:
    return {place.parent.name for place in folder.glob("*/manifest.json")}


def _table(rows: list[ListedModel]) -> Table:
    table = Table(box=None, show_edge=False, pad_edge=False, header_style="bold")
    for column in ("name", "role", "task", "weights", "size", "source", "licence"):
        justify: Literal["left", "right"] = "right" if column == "size" else "left"
        table.add_column(
            column, no_wrap=column != "role", justify=justify, min_width=_WIDTHS.get(column)
        )
    for row in rows:
        star = "*" if row.research_only else ""
        size = "" if row.size is None else f"{row.size / 1e6:,.0f} MB"
        whole = len(row.licence) <= _LICENCE
        licence = row.licence if whole else row.licence[: _LICENCE - 1] + "…"
        cells = (row.name + star, ", ".join(row.roles), row.task, row.precision.partition(",")[0])
        table.add_row(*(escape(cell) for cell in (*cells, size, row.source, licence)))
    return table


def _line(row: CheckedFile) -> str:
    what = f"{escape(row.model)}/{escape(row.path)}"
    return f"[green]ok[/]   {what}" if row.ok else f"[red]bad[/]  {what}: {escape(row.problem)}"
