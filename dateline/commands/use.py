"""`dateline use`: the log of searches and clicks of the accounts that agreed to it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import orjson
import typer

from core.callers import Caller
from core.customers.use import LoggedQuery
from core.ports.engine import Sights
from customers.use_log import UseLog
from dateline.build.customers.accounts import open_customers
from dateline.build.customers.use import use_log
from dateline.build.service import archive_clock, build_service
from dateline.commands.options import (
    AsJson,
    Data,
    Html,
    Models,
    archive_settings,
    console,
    encoder_only,
    escape,
    reported,
    write_page,
)
from dateline.settings import Settings
from dateline.shown.account_tables import table_of
from eval.compare.drift import weeks
from eval.judging.click_set import write_click_set
from eval.judging.ubi import write_ubi
from eval.report import drift_page

app = typer.Typer(
    no_args_is_help=True, help="Searches and clicks of the accounts that agreed to keep them."
)
_AT_ONCE = 200  # queries whose hits are looked up together


class Form(StrEnum):
    """What an export is for."""

    UBI = "ubi"
    EVAL = "eval"


@dataclass(frozen=True, slots=True)
class Visible:
    """What was logged, without the hits that no caller may see now, and without their events."""

    log: UseLog
    library: Sights
    caller: Caller

    def queries(self) -> Iterator[LoggedQuery]:
        """Yield the queries that are in time, the oldest first."""
        held: list[LoggedQuery] = []
        for query in self.log.kept():
            held.append(query)
            if len(held) == _AT_ONCE:
                yield from self._shown(held)
                held = []
        yield from self._shown(held)

    def _shown(self, queries: list[LoggedQuery]) -> Iterator[LoggedQuery]:
        uris = {uri for query in queries for uri in query.hits}
        sights = self.library.sights(dict.fromkeys(uris, ()), self.caller)
        seen = {uri for uri, sight in sights.items() if sight.item is not None}
        return (query.with_hits(seen) for query in queries)


@app.command("status")
def status(as_json: AsJson = False, data: Data = None) -> None:
    """Show how much is in the log, whose it may be, and when it is deleted."""
    with reported():
        settings = archive_settings(data=data)
        with _log(settings) as log:
            queries = clicked = words = 0
            for query in log.kept():
                queries += 1
                clicked += query.first_click is not None
                words += bool(query.words)
    told = {
        "accounts": [*settings.use_log_accounts],
        "days": settings.use_log_days,
        "callers": settings.use_log_callers,
        "queries": queries,
        "clicked": clicked,
        "with_words": words,
    }
    if as_json:
        console.print_json(orjson.dumps(told).decode())
        return
    whose = ", ".join(settings.use_log_accounts) or "no account: nothing is kept"
    console.print(escape(f"agreed: {whose} (setting use_log_accounts)"))
    kept = f"{queries:,} queries of the last {settings.use_log_days} days, {clicked:,} clicked"
    console.print(f"{kept}, {words:,} with their words")


@app.command("export", no_args_is_help=True)
def export(
    folder: Annotated[Path, typer.Argument(help="Folder to write to; it is made.")],
    form: Annotated[
        Form,
        typer.Option(
            "--as", help="ubi: ubi_queries and ubi_events; eval: queries and weak grades."
        ),
    ] = Form.UBI,
    corpus: Annotated[
        str, typer.Option(help="For eval: the set or folder that has the archive's documents.")
    ] = "",
    most: Annotated[
        int, typer.Option("--queries", min=1, help="For eval: the most frequent queries, so many.")
    ] = 500,
    data: Data = None,
    models: Models = None,
) -> None:
    """Write the log for other tools or for evaluation.

    Hits that are killed, withheld, under embargo or expired by now are left out, and so are their
    clicks. A query without words has only a hash. Grades from clicks are marked as such, and lie in
    a folder of their own: a folder with people's grades is refused.
    """
    with reported():
        settings = archive_settings(data=data, models=models)
        service = build_service(encoder_only(settings))
        try:
            service.engine.catch_up()
            reader = Caller("command line", service.engine.products())
            with _log(settings) as log:
                queries = Visible(log, service.engine, reader).queries()
                if form is Form.UBI:
                    said = write_ubi(folder, queries)
                else:
                    said = write_click_set(folder, [*queries], most, corpus)
        finally:
            service.close()
    console.print(escape(f"{said} in {folder}"))


@app.command("drift")
def drift(as_json: AsJson = False, html: Html = None, data: Data = None) -> None:
    """Show what searches became, week by week: no strong hit, clicks at 1, unknown names, times."""
    with reported():
        settings = archive_settings(data=data)
        with _log(settings) as log:
            found = weeks(log.kept())
        if html is not None:
            write_page(html, drift_page(found))
    rows = [week.tree() for week in found]
    if as_json:
        console.print_json(orjson.dumps(rows).decode())
    elif rows:
        console.print(table_of(rows, *rows[0]))
    else:
        console.print("the log has no search")


@app.command("erase", no_args_is_help=True)
def erase(
    account: Annotated[str, typer.Argument(help="The account whose searches are deleted.")],
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """Delete every search and click of an account, and words that are rare without it."""
    with reported():
        settings = archive_settings(data=data)
        with _log(settings) as log:
            gone = log.erase(account)
    if as_json:
        console.print_json(orjson.dumps({"account": account, "erased": gone}).decode())
        return
    console.print(escape(f"{gone:,} queries of {account} are deleted"))


@contextmanager
def _log(settings: Settings) -> Iterator[UseLog]:
    database = open_customers(settings)
    try:
        yield use_log(settings, database, archive_clock(settings))
    finally:
        database.close()
