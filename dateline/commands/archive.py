"""Commands that look after an archive: `set-status`, `clock`, `rebuild`, `backup`, `restore`,
`embed` and `migrate`.
"""

from __future__ import annotations

import shlex
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import orjson
import typer

from core.errors import NotFoundError, QueryError
from core.items import PubStatus
from core.writes import Outcome, SetStatus
from dateline.archive import rebuild_projections
from dateline.build.record import backup_archive, migrate_record, restore_archive
from dateline.build.service import archive_clock, build_service
from dateline.commands.options import (
    AsJson,
    Data,
    Models,
    archive_settings,
    console,
    encoder_only,
    escape,
    reported,
    settings_for,
)
from dateline.shown.progress import EmbedBars, progress_bar
from search.understanding.dates import parse_span


def set_status(
    uri: Annotated[str, typer.Argument(help="The item's uri.")],
    pubstatus: Annotated[PubStatus | None, typer.Argument(help="The new state.")] = None,
    embargo: Annotated[
        str, typer.Option(help="Hide the newest version until then, such as 2026-12-01T06:00:00Z.")
    ] = "",
    lift: Annotated[bool, typer.Option("--lift", help="Lift the embargo.")] = False,
    reason: Annotated[str, typer.Option(help="Why, for the audit log.")] = "",
    data: Data = None,
    models: Models = None,
) -> None:
    """Change an item's state: usable, withheld or canceled (a kill), or its embargo.

    When the command returns, the change is in force everywhere, also in a running service. It holds
    for every later version until the next change, and for an item that is not there yet.
    """
    with reported():
        if pubstatus is None and not embargo and not lift:
            raise QueryError("nothing to change", mend="give a state, --embargo TIME or --lift")
        until: datetime | None = parse_span(embargo)[0] if embargo else None
        service = build_service(encoder_only(archive_settings(data=data, models=models)))
        try:
            change = SetStatus(uri, pubstatus, until, lift, " ".join(reason.split())[:500])
            written = service.writer.set_status([change])[0]
        finally:
            service.close()
        if written.outcome is Outcome.MISSING:
            raise NotFoundError("there is no such item", where=uri, mend="check its uri and --data")
        unrecorded = written.outcome in (Outcome.HELD, Outcome.RELEASED)
        version = "not recorded yet" if unrecorded else f"version {written.version}"
        console.print(f"{escape(uri)} {version}: {written.outcome}")


def clock(
    confirm: Annotated[
        bool, typer.Option("--confirm", help="The system's clock is right: trust it from now on.")
    ] = False,
    data: Data = None,
) -> None:
    """Show the archive's time, by which embargoes lift and items expire.

    A step of the system's clock by more than a minute is held: the archive's time goes on as before
    the step, in every process, until --confirm. Exit code 1 while a step is held.
    """
    with reported():
        found = archive_clock(archive_settings(data=data))
        now = found.confirm() if confirm else found()
        console.print(f"archive: {now:%Y-%m-%dT%H:%M:%SZ}")
        if held := found.held_s:
            system = now + timedelta(seconds=held)
            console.print(f"system:  {system:%Y-%m-%dT%H:%M:%SZ}, not confirmed")
    raise typer.Exit(1 if held else 0)


def rebuild(data: Data = None, models: Models = None) -> None:
    """Make the search indexes again from the record of truth; no model runs.

    Stop the service first: no other process may use the archive.
    """
    with reported():
        settings = archive_settings(data=data, models=models)
        status = rebuild_projections(settings)
        console.print(
            f"rebuilt: {status['lexical']['documents']:,} documents,"
            f" {max(sum(v['segments']) for v in status['vectors'].values()):,} passages"
        )


def backup(
    target: Annotated[Path, typer.Argument(help="File to write; must not be there yet.")],
    data: Data = None,
) -> None:
    """Write a consistent copy of the archive, while it is being served.

    A record of truth on Postgres is copied by pg_dump, see docs/postgres.md.
    """
    with reported():
        settings = archive_settings(data=data)
        size = backup_archive(settings, target)
        console.print(f"{escape(str(target))}: {size:,} bytes, checked")


def restore(
    source: Annotated[Path, typer.Argument(help="A file that `dateline backup` wrote.")],
    data: Data = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace an archive that is there.")
    ] = False,
) -> None:
    """Restore a backup; the next start makes the search indexes again.

    Keys of accounts stay as they are in the archive that is replaced. Where there is none, the
    command lists the keys that are in force again. Items that were killed, withheld or embargoed
    since the backup are shown again: the command lists the changes to repeat before a service
    starts.
    """
    with reported():
        settings = settings_for(data=data)
        restored = restore_archive(source, settings, force=force)
        console.print(f"{escape(str(settings.data))} holds what {escape(str(source))} held")
        if restored.keys:
            console.print("keys as they were at the backup; revoke again what was revoked since:")
            for key in restored.keys:
                console.print(f"  {escape(key)}")
        if restored.states:
            console.print("hidden since the backup and shown again; hide again before you serve:")
        for uri, (pubstatus, embargoed) in restored.states:
            typer.echo(f"  {_hides(uri, pubstatus, embargoed)}")  # whole lines, to be run


def _hides(uri: str, pubstatus: str, embargoed: int | None) -> str:
    """Return the command that gives an item this state; an embargo is in microseconds."""
    state = [] if pubstatus == PubStatus.USABLE else [pubstatus]
    if embargoed is not None:
        moment = datetime.fromtimestamp(embargoed / 1_000_000, UTC)
        state += ["--embargo", f"{moment:%Y-%m-%dT%H:%M:%SZ}"]
    return shlex.join(["dateline", "set-status", uri, *state])


def embed(
    as_json: AsJson = False,
    data: Data = None,
    models: Models = None,
) -> None:
    """Embed the items that have no vectors of an encoder in use.

    Run it after you set second_encoder or change encoder. The service may run meanwhile. You can
    interrupt it: the next run goes on from there. Several processes, and hosts whose record is on
    Postgres, share the work: run it in each.
    """
    with reported():
        service = build_service(encoder_only(archive_settings(data=data, models=models)))
        try:
            with progress_bar(hidden=as_json) as progress:
                added = service.embed_lacking(EmbedBars(progress).advance)
        finally:
            service.close()
    if as_json:
        console.print_json(orjson.dumps(added).decode())
        return
    for field, count in added.items():
        console.print(f"{field}: {count:,} items embedded" if count else f"{field}: lacks nothing")


def migrate() -> None:
    """Create or bring up to date the tables of the record of truth on Postgres.

    To move to another model or index is `dateline migration`.

    For the role that owns them: with a role of fewer rights in the setting `record`, services
    refuse tables that are not up to date. All of it or nothing; safe to run twice.
    """
    with reported():
        where, before, after = migrate_record(settings_for())
        if before == after:
            console.print(f"{escape(where)}: schema {after} already")
        else:
            console.print(f"{escape(where)}: schema {before or 'none'} is now {after}")
