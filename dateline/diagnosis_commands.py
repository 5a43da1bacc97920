"""`dateline status`, `doctor` and `settings`: what is here, what is wrong, what is in force."""

from __future__ import annotations

from typing import Annotated

import orjson
import typer
from rich.table import Table

from dateline.archive import archive_status
from dateline.diagnosis import Finding, diagnose
from dateline.options import AsJson, Data, Models, console, escape, reported, settings_for
from dateline.settings import Settings, configure


def status(as_json: AsJson = False, data: Data = None, models: Models = None) -> None:
    """Show what the archive holds and how far the indexes are."""
    with reported():
        found = archive_status(settings_for(data=data, models=models))
    if as_json:
        typer.echo(orjson.dumps(found, option=orjson.OPT_INDENT_2))
        return
    engine = found["engine"]
    owner = "this command" if engine["owner"] else "another process"
    console.print(f"archive {escape(engine['folder'])}, indexes owned by {owner}")
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


def doctor(as_json: AsJson = False, data: Data = None, models: Models = None) -> None:
    """Check installation, models and archive; say what is wrong and how to mend it.

    Exit code 1 when something is wrong.
    """
    with reported():
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
