"""`dateline search`: one query from the shell."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo
from typing import Annotated

import typer

from api.parameters import MAX_PAGE
from core.callers import Caller
from core.errors import QueryError
from core.query_tree import DateRange, Keyword, Node, all_of
from core.retrieval import DateInterval, SortOrder
from dateline.archive import envelope_json
from dateline.build import build_service, profiles
from dateline.options import (
    AsJson,
    Data,
    Ignore,
    Locale,
    Models,
    Profile,
    Tz,
    archive_settings,
    console,
    escape,
    note_missing_models,
    reported,
)
from dateline.search_output import show
from dateline.settings import Settings
from search.answers import (
    FACET_FIELDS,
    MAX_PAGE_SIZE,
    DateUse,
    EntityUse,
    FacetSubjects,
    Fold,
    SearchRequest,
)
from search.dates import calendar_of, parse_span


def search(
    query: Annotated[str, typer.Argument(help='Words, "phrases", AND/OR/NOT, field:value.')] = "",
    type_: Annotated[
        str, typer.Option("--type", help="Only these types, by commas: text, picture, video, …")
    ] = "",
    subject: Annotated[str, typer.Option(help="Only these subjects, by commas.")] = "",
    place: Annotated[str, typer.Option(help="Only these places, by commas.")] = "",
    person: Annotated[str, typer.Option(help="Only these people, by commas.")] = "",
    organisation: Annotated[str, typer.Option(help="Only these organisations, by commas.")] = "",
    language: Annotated[str, typer.Option(help="Only these languages, by commas.")] = "",
    rights: Annotated[
        str,
        typer.Option(
            help="Only these rights, by commas: commercial, editorial, restricted, owned."
        ),
    ] = "",
    since: Annotated[str, typer.Option(help="From this date on (2024, 2024-03, 2024-03-05).")] = "",
    until: Annotated[str, typer.Option(help="Up to this date and with it.")] = "",
    facet: Annotated[
        str, typer.Option(help=f"Facets to count, by commas: {', '.join(FACET_FIELDS)}.")
    ] = "",
    open_facet: Annotated[
        str, typer.Option(help="Facets to count without their own filter, by commas.")
    ] = "",
    facet_interval: Annotated[
        DateInterval, typer.Option(help="Stretches of the facet versioncreated, in --tz.")
    ] = DateInterval.MONTH,
    facet_subjects: Annotated[
        FacetSubjects, typer.Option(help="broader: subjects count for the topics above them, too.")
    ] = FacetSubjects.OWN,
    facet_limit: Annotated[int, typer.Option(help="Values per facet.", min=1, max=200)] = 20,
    sort: Annotated[SortOrder, typer.Option(help="Order of the hits.")] = SortOrder.SCORE,
    page: Annotated[int, typer.Option(help="Page number, from 1.", min=1, max=MAX_PAGE)] = 1,
    page_size: Annotated[int, typer.Option(help=f"Hits per page, up to {MAX_PAGE_SIZE}.")] = 10,
    products: Annotated[
        str, typer.Option(help="Search as a caller with these product codes; all when left out.")
    ] = "",
    profile: Profile = None,
    entities: Annotated[
        EntityUse, typer.Option(help="What names in the query do that the archive knows.")
    ] = EntityUse.BOOST,
    dates: Annotated[
        DateUse, typer.Option(help="What dates in plain words in the query do.")
    ] = DateUse.FILTER,
    ignore: Ignore = None,
    tz: Tz = "",
    locale: Locale = "",
    fold: Annotated[
        Fold, typer.Option(help="near_duplicates: stories with nearly the same text are one hit.")
    ] = Fold.NONE,
    explain: Annotated[bool, typer.Option("--explain", help="Say why each hit is there.")] = False,
    similar_to: Annotated[
        str, typer.Option(help="Find what is like the item with this uri, instead of a query.")
    ] = "",
    missing: Annotated[
        str, typer.Option("--why-missing", help="Say why this uri is not among the hits.")
    ] = "",
    as_json: AsJson = False,
    data: Data = None,
    models: Models = None,
) -> None:
    """Search the archive, as the operator of this machine: with every product unless told less.

    For example: `dateline search "ferry accident march 2026" --facet place` or
    `dateline search 'place:Kalymira NOT "coral dawn"' --type picture --explain`. The words AND, OR
    and NOT, quotes, fields and dates are told in docs/query-language.md.
    """
    with reported():
        zone = calendar_of(datetime.now(UTC), tz, locale).zone
        settings = archive_settings(data=data, models=models, profile=profile)
        service = build_service(_asked(settings))
        note_missing_models(service.models.missing)
        try:
            service.engine.catch_up()
            caller = Caller(
                "command line",
                chosen_products(service.engine.products(), products),
                may_inspect=True,
            )
            request = SearchRequest(
                q=query,
                filters=_filters(
                    {
                        "type": type_,
                        "subject": subject,
                        "place": place,
                        "person": person,
                        "organisation": organisation,
                        "language": language,
                        "rights": rights,
                    },
                    *_span(since, until, zone),
                ),
                order=sort,
                page=page,
                page_size=page_size,
                facets=tuple(_listed(facet)),
                open_facets=tuple(_listed(open_facet)),
                facet_interval=facet_interval,
                facet_subjects=facet_subjects,
                facet_limit=facet_limit,
                explain=explain or as_json,
                entities=entities,
                dates=dates,
                ignore=tuple(ignore or ()),
                tz=tz,
                locale=locale,
                why_missing=missing,
                similar_to=similar_to,
                fold=fold,
            )
            response = service.pipeline.search(request, caller)
            if as_json:
                typer.echo(envelope_json(request, response, caller, service.engine))
            else:
                show(response, zone, explain=explain)
                if not response.hits and not caller.products:
                    console.print(
                        f"the archive {escape(str(settings.data))} has no item of any product:"
                        " `dateline ingest --products CODE` takes some in"
                    )
        finally:
            service.close()


def _asked(settings: Settings) -> Settings:
    """The settings without the reranker where their profile does not rerank."""
    if profiles(settings)[settings.profile].rerank_depth:
        return settings
    return settings.model_copy(update={"reranker": ""})


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def chosen_products(known: frozenset[str], wanted: str) -> frozenset[str]:
    """The product codes that are `wanted`, by commas, or all that are `known`. Raises QueryError
    for one that no item has.
    """
    chosen = frozenset(_listed(wanted))
    if chosen - known:
        raise QueryError(
            f"no item belongs to {', '.join(sorted(chosen - known))}",
            mend=f"products here: {', '.join(sorted(known)) or 'none'}",
        )
    return chosen or known


def _span(since: str, until: str, zone: tzinfo) -> tuple[datetime | None, datetime | None]:
    """From the first day's start to the last one's end, in the caller's zone."""
    start = parse_span(since, zone)[0] if since else None
    return start, parse_span(until, zone)[1] if until else None


def _filters(named: Mapping[str, str], since: datetime | None, until: datetime | None) -> Node:
    nodes: list[Node] = [
        Keyword(name, tuple(_listed(text))) for name, text in named.items() if _listed(text)
    ]
    if since or until:
        nodes.append(DateRange("versioncreated", since, until))
    return all_of(*nodes)
