"""`dateline search`: one query from the shell."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo
from typing import Annotated, Any

import typer

from core.callers import Caller
from core.errors import QueryError
from dateline.archive import envelope_json
from dateline.build.engine import SECOND_FIELD
from dateline.build.service import build_service, profiles
from dateline.commands.options import (
    AsJson,
    Data,
    Models,
    Profile,
    archive_settings,
    chosen_products,
    console,
    escape,
    listed,
    note_missing_models,
    reported,
)
from dateline.settings import Settings
from dateline.shown.search_output import show
from search.answers import FACTS, OPTIONS, Facts, SearchRequest
from search.options import Declared
from search.understanding.dates import calendar_of, parse_span


def search(**given: Any) -> None:
    """Search the archive as the operator of this machine, who sees every product.

    For example: `dateline search "ferry accident march 2026" --facet place` or
    `dateline search 'place:Kalymira NOT "coral dawn"' --type picture --explain`. The words AND, OR
    and NOT, quotes, fields and dates are told in docs/query-language.md.
    """
    as_json = given["as_json"]
    with reported():
        zone = calendar_of(datetime.now(UTC), given["tz"], given["locale"]).zone
        folders = {name: given[name] for name in ("data", "models", "profile")}
        settings = archive_settings(**folders)
        service = build_service(_asked(settings))
        note_missing_models(service.models.missing)
        try:
            service.engine.catch_up()
            caller = Caller(
                "command line",
                chosen_products(service.engine.products(), given["products"]),
                may_inspect=True,
            )
            request = _request(given, zone)
            response = service.pipeline.search(request, caller)
            if as_json:
                typer.echo(envelope_json(request, response, caller, service.engine))
            else:
                show(response, zone, explain=request.explain)
                if not response.hits and not caller.products:
                    console.print(
                        f"the archive {escape(str(settings.data))} has no item of any product:"
                        " `dateline ingest --products CODE` takes some in"
                    )
        finally:
            service.close()


def _request(given: Mapping[str, Any], zone: tzinfo) -> SearchRequest:
    """Return the request that the options make; days are of `zone`."""
    facts = Facts(**{one.member: _value(one, given[one.name]) for one in FACTS})
    asked = {one.member: _value(one, given[one.name]) for one in OPTIONS if one.option.in_shell}
    start = parse_span(given["since"], zone)[0] if given["since"] else None
    end = parse_span(given["until"], zone)[1] if given["until"] else None
    explain = given["explain"] or given["as_json"]
    filters = facts.filters(start, end)
    return SearchRequest(**{**asked, "q": given["query"], "filters": filters, "explain": explain})


def _value(one: Declared, given: Any) -> Any:
    """Return the member's value. Raises QueryError for a number that is out of bounds."""
    option = one.option
    if one.kind is int and not (option.least or given) <= given <= (option.most or given):
        mend = f"it must be {option.least} to {option.most}"
        raise QueryError(f"{one.flag} is {given}", mend=mend)
    if one.kind is not tuple:
        return given
    return tuple(given or ()) if option.written else tuple(listed(given))


def _shell_option(one: Declared) -> inspect.Parameter:
    """Return the option of the shell for a declared member."""
    option, default = one.option, one.default
    kind: Any = one.kind
    told = typer.Option(one.flag, help=option.brief)
    if kind is tuple:
        kind, default = (list[str] | None, None) if option.written else (str, "")
    if option.shell_default is not None:
        default = option.shell_default
    return _parameter(one.name, Annotated[kind, told], default)


def _parameter(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    kind = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(name, kind, default=default, annotation=annotation)


_SINCE = typer.Option(help="From this date on (2024, 2024-03, 2024-03-05).")
_UNTIL = typer.Option(help="Up to this date and with it.")
_PRODUCTS = typer.Option(help="Search as a caller with these product codes; all when left out.")
_QUERY = typer.Argument(help='Words, "phrases", AND/OR/NOT, field:value.')
search.__signature__ = inspect.Signature(  # type: ignore[attr-defined]  # typer looks for it
    [
        _parameter("query", Annotated[str, _QUERY], ""),
        *map(_shell_option, FACTS),
        _parameter("since", Annotated[str, _SINCE], ""),
        _parameter("until", Annotated[str, _UNTIL], ""),
        *(_shell_option(one) for one in OPTIONS if one.option.in_shell),
        _parameter("products", Annotated[str, _PRODUCTS], ""),
        _parameter("profile", Profile, None),
        _parameter("as_json", AsJson, default=False),
        _parameter("data", Data, None),
        _parameter("models", Models, None),
    ]
)


def _asked(settings: Settings) -> Settings:
    """Return the settings without the models that their profile does not ask."""
    profile = profiles(settings)[settings.profile]
    if not profile.rerank_depth:
        settings = settings.model_copy(update={"reranker": ""})
    return settings if SECOND_FIELD in profile.vector_weights else settings.with_one_encoder()
