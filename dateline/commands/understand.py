"""`dateline understand`: what a query is taken to ask for, without searching."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import orjson
import typer

from api.search.search_json import understood_json
from core.errors import QueryError
from dateline.archive import opened_understanding
from dateline.commands.options import (
    AsJson,
    Data,
    Ignore,
    Locale,
    Models,
    Tz,
    console,
    escape,
    reported,
    settings_for,
)
from dateline.shown.search_output import KINDS
from search.answers import DateSpan, DateUse, EntityUse, FoundName, Understood
from search.understanding.dates import Calendar, calendar_of
from search.understanding.understand import Meaning, describe


def understand(
    query: Annotated[str, typer.Argument(help='Words, "phrases", AND/OR/NOT, field:value, dates.')],
    now: Annotated[
        str, typer.Option(help="Ask as if at this time (RFC 3339; without a zone, in --tz).")
    ] = "",
    ignore: Ignore = None,
    tz: Tz = "",
    locale: Locale = "",
    entities: Annotated[
        EntityUse, typer.Option(help="What names in the query do that the archive knows.")
    ] = EntityUse.BOOST,
    dates: Annotated[
        DateUse, typer.Option(help="What dates in plain words in the query do.")
    ] = DateUse.FILTER,
    as_json: AsJson = False,
    data: Data = None,
    models: Models = None,
) -> None:
    """Show how a query is understood: text for each retriever, names, dates, filters, notes.

    Without an archive names are recognised and none is known.
    """
    with reported():
        calendar = calendar_of(datetime.now(UTC), tz, locale)
        calendar = calendar_of(_moment(now, calendar), tz, locale)
        with opened_understanding(settings_for(data=data, models=models)) as (parser, caller):
            meaning = parser.understand(
                query, caller, entities, calendar=calendar, dates=dates, ignore=ignore or ()
            )
            said = meaning.told()
        if as_json:
            told = _plain(query, meaning, said, calendar)
            typer.echo(orjson.dumps(told, option=orjson.OPT_INDENT_2))
        else:
            _show(meaning, said, calendar)


def _moment(text: str, calendar: Calendar) -> datetime:
    if not text:
        return calendar.now
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise QueryError(
            f"{text[:40]!r} is not a time", where="--now", mend="write 2026-03-18T10:00:00+01:00"
        ) from error
    return moment if moment.tzinfo else moment.replace(tzinfo=calendar.zone)


def _plain(query: str, meaning: Meaning, said: Understood, calendar: Calendar) -> dict[str, Any]:
    """Return the understood query as JSON: `understood` of an answer, with the filters
    separately.
    """
    return {
        "query": query,
        "now": calendar.now.isoformat(),
        "tz": str(calendar.zone),
        "locale": calendar.locale,
        **understood_json(said),
        "lexical": describe(meaning.tree),
        "filters": describe(meaning.filters),
    }


def _show(meaning: Meaning, said: Understood, calendar: Calendar) -> None:
    _line("words", describe(meaning.tree))
    _line("vectors", said.vector_text or "nothing to embed")
    _line("filters", describe(meaning.filters))
    for name in said.entities:
        _line("name", _named(name))
    for span in said.dates:
        _line("date", _dated(span, calendar))
    for note in said.notes:
        _line("note", note)


def _line(label: str, text: str) -> None:
    console.print(f"[dim]{label:9}[/]{escape(text)}", highlight=False)


def _named(name: FoundName) -> str:
    place = f'"{name.text}" at {name.start} to {name.end}: {KINDS[name.label]}'
    if name.known is None:
        return f"{place}, not known here"
    also = f", also {', '.join(name.known.aliases)}" if name.known.aliases else ""
    used = "ignored" if name.ignored else name.use
    return f"{place}, {name.known.field} {name.known.name}{also} ({name.known.match}), {used}"


def _dated(span: DateSpan, calendar: Calendar) -> str:
    since, until = _local(span.since, calendar), _local(span.until, calendar)
    ignored = ", ignored" if span.ignored else ""
    times = f"{since} to {until} {calendar.zone}{ignored}"
    return f'"{span.text}" at {span.start} to {span.end}: {times}'


def _local(moment: str, calendar: Calendar) -> str:
    if not moment:
        return "…"
    return f"{datetime.fromisoformat(moment).astimezone(calendar.zone):%Y-%m-%d %H:%M}"
