"""`dateline status`, `doctor` and `settings`: the state of the archive, its faults, the settings in
force.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Annotated, Any

import orjson
import typer
from rich.table import Table

from dateline.archive import archive_status, archive_undescribed
from dateline.commands.options import (
    AsJson,
    Data,
    Models,
    archive_settings,
    console,
    escape,
    reported,
    settings_for,
)
from dateline.diagnosis import Finding, diagnose
from dateline.settings import Settings, configure
from dateline.shown.undescribed_list import show_undescribed


def status(
    as_json: AsJson = False,
    data: Data = None,
    models: Models = None,
    undescribed: Annotated[
        bool, typer.Option("--undescribed", help="List pictures and videos without description.")
    ] = False,
    limit: Annotated[
        int, typer.Option(help="Most to list with --undescribed.", min=1, max=10**6)
    ] = 1000,
) -> None:
    """Show what the archive holds and whether the indexes are up to date.

    With --undescribed: which pictures, videos and sounds nobody describes, neither the agency nor a
    machine. They can't be found by what they show.
    """
    with reported():
        chosen = archive_settings(data=data, models=models)
        if undescribed:
            show_undescribed(archive_undescribed(chosen, limit), as_json=as_json)
            return
        found = archive_status(chosen)
    if as_json:
        typer.echo(orjson.dumps(found, option=orjson.OPT_INDENT_2))
    else:
        _show_status(found)


def _show_status(found: Mapping[str, Any]) -> None:
    engine = found["engine"]
    console.print(escape(_place(engine)))
    console.print(f"  record of truth: {escape(engine['record']['where'])}")
    console.print(
        f"  {found['items']:,} versions, {found['visible']:,} visible stories and pictures"
    )
    console.print(f"  {found['passages']:,} passages; change {engine['last_change']:,}")
    for name, part in found["projections"].items():
        console.print(f"  {name}: {part['lag']:,} changes behind")
    for name, part in engine["vectors"].items():
        if part["lacking"]:
            what = f"field {name} lacks {part['lacking']:,} visible items; run `dateline embed`"
            console.print(f"  [yellow]note:[/] {escape(what)}")
    for line in (*engine["repairs"], *engine["failures"]):
        console.print(f"  [yellow]note:[/] {escape(line)}")


def _place(engine: Mapping[str, Any]) -> str:
    """Return where the indexes are."""
    if "owner" not in engine:
        return (
            f"index {engine['index']['name']} ({engine['index']['concrete']}), {engine['cluster']}"
        )
    owner = "this command" if engine["owner"] else "another process"
    return f"archive {engine['folder']}, indexes owned by {owner}"


def doctor(
    as_json: AsJson = False,
    data: Data = None,
    models: Models = None,
    service: Annotated[
        str, typer.Option(help="Compare a running service with its objectives instead.")
    ] = "",
    over: Annotated[
        float,
        typer.Option(help="Seconds to look at the service for; 0 is since its start.", min=0),
    ] = 0.0,
) -> None:
    """Check installation, models and archive; say what is wrong and how to mend it.

    With --service URL: its availability, times, freshness, recall, the age of orders and messages
    and the day's costs, by its metrics, with the key in the variable DATELINE_SERVICE_KEY. With
    --over, its metrics are read twice, so many seconds apart, and the shares are of the time
    between.

    Where the index is on OpenSearch: which nodes answer, their version and k-NN plugin, disks
    against the watermarks, heap, and whether the index is as settings and record say.

    Exit code 1 when something is wrong.
    """
    with reported():
        if service:
            from dateline.objectives import objectives, read_page

            key = os.environ.get("DATELINE_SERVICE_KEY", "")
            before = read_page(service, key) if over else None
            time.sleep(over)
            findings = objectives(read_page(service, key), before, over)
        else:
            findings = diagnose(settings_for(data=data, models=models))
    if as_json:
        rows = [{"what": f.what, "ok": f.ok, "says": f.says, "mend": f.mend} for f in findings]
        typer.echo(orjson.dumps(rows, option=orjson.OPT_INDENT_2))
    else:
        for finding in findings:
            _show(finding)
    raise typer.Exit(0 if all(finding.ok for finding in findings) else 1)


def settings(
    as_json: AsJson = False,
    data: Data = None,
    models: Models = None,
    port: Annotated[int | None, typer.Option(help="Port to serve on.")] = None,
) -> None:
    """Print every setting in force and where its value came from; keys are not shown."""
    with reported():
        found = configure({"data": data, "models": models, "port": port})
    values = {name: _value(found.settings, name) for name in Settings.model_fields}
    if as_json:
        rows = {n: {"value": v, "from": found.origins[n]} for n, v in values.items()}
        typer.echo(orjson.dumps(rows, option=orjson.OPT_INDENT_2))
        return
    table = Table(box=None, show_edge=False, header_style="bold")
    for name in ("setting", "value", "from", "what"):
        table.add_column(name)
    for name, field in Settings.model_fields.items():
        value = escape(str(values[name]))
        table.add_row(name, value, escape(found.origins[name]), field.description or "")
    console.print(table)


def _value(settings: Settings, name: str) -> object:
    if name == "keys":
        return [key.name for key in settings.keys]
    value = getattr(settings, name)
    return value if isinstance(value, bool | int | float | str) else str(value)


def _show(finding: Finding) -> None:
    sign = "[green]ok[/]  " if finding.ok else "[red]bad[/] "
    console.print(f"{sign}{escape(finding.what)}: {escape(finding.says)}")
    if not finding.ok and finding.mend:
        console.print(f"     mend: {escape(finding.mend)}")
