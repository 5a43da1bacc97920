"""`dateline audit`: who did what, and whether the log of it is whole."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import orjson
import typer

from core.audit import AuditAction, AuditFilter, AuditHead, verified
from core.errors import InputError
from dateline.build.customers.accounts import open_customers
from dateline.commands.options import (
    EXIT_STORAGE,
    AsJson,
    Data,
    console,
    errors,
    escape,
    reported,
    settings_for,
)
from dateline.shown.account_tables import table_of
from search.understanding.dates import parse_span
from storage.customers.audit import StoredAudit

app = typer.Typer(no_args_is_help=True, help="The audit log: show it, and check its chain.")
_HEAD = re.compile(r"([0-9]{1,18}):([0-9a-f]{64})", re.ASCII)


@app.command("show")
def show(
    account: Annotated[str, typer.Option(help="Only what this account did.")] = "",
    action: Annotated[
        AuditAction | None, typer.Option(help="Only this action, such as kill.")
    ] = None,
    item: Annotated[str, typer.Option(help="Only what concerns this uri.")] = "",
    since: Annotated[str, typer.Option(help="Only what was done since, such as 2026-03.")] = "",
    limit: Annotated[int, typer.Option(help="Most entries.", min=1)] = 100,
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """Show entries of the audit log, the newest first."""
    with _log(data) as log:
        begin = parse_span(since)[0] if since else None
        found = log.newest(AuditFilter(account, action or "", item, begin), limit)
    trees = [one.members() for one in found]
    if as_json:
        console.print_json(orjson.dumps(trees).decode())
        return
    console.print(table_of(trees, "n", "at", "who", "key", "action", "item", "detail"))


@app.command("verify")
def verify(
    head: Annotated[
        str, typer.Option(help="A head that an earlier check printed: it must be in the log.")
    ] = "",
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """Check the chain of the audit log and print its head, to be noted elsewhere.

    Without --head, only somebody who made every digest again could have removed the newest entries.
    With it, nobody could. Exit code 4 if an entry is missing, changed or out of order.
    """
    with _log(data) as log:
        noted = _noted(head) if head else None
        kept = log.head()  # read first, because entries may be added
        verdict = verified(log.rows_until(kept.n), kept, noted)
    tree = {
        "whole": verdict.fault is None,
        "entries": verdict.head.n,
        "head": str(verdict.head),
        "fault": verdict.fault and str(verdict.fault),
        "at": verdict.n,
    }
    if as_json:
        console.print_json(orjson.dumps(tree).decode())
    elif verdict.fault is None:
        console.print(f"{verdict.head.n:,} entries, none missing or changed")
        console.print(f"head {verdict.head}")
    else:
        errors.print(f"[bold red]error:[/] entry {verdict.n} is {verdict.fault}")
        errors.print(f"  whole until {verdict.head}")
    if verdict.fault is not None:
        raise typer.Exit(EXIT_STORAGE)


@contextmanager
def _log(data: Any) -> Iterator[StoredAudit]:
    with reported():
        database = open_customers(settings_for(data=data))
        try:
            yield StoredAudit(database)
        finally:
            database.close()


def _noted(text: str) -> AuditHead:
    found = _HEAD.fullmatch(text.strip())
    if not found:
        raise InputError(
            f"{escape(text[:100])!r} is no head",
            where="--head",
            mend="give what `dateline audit verify` printed: NUMBER:DIGEST",
        )
    return AuditHead(int(found[1]), found[2])
