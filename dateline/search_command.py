"""`dateline search`: one query from the shell."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo
from typing import Annotated

import typer
from rich.padding import Padding

from api.parameters import MAX_PAGE
from core.callers import Caller
from core.errors import QueryError
from core.items import Item
from core.query_tree import DateRange, Keyword, Node, all_of
from core.retrieval import DateInterval, SortOrder
from dateline.archive import envelope_json
from dateline.build import build_service
from dateline.explained_table import days, explained, query_lines, ranked
from dateline.options import (
    AsJson,
    Data,
    Ignore,
    Locale,
    Models,
    Profile,
    Tz,
    console,
    escape,
    reported,
    settings_for,
)
from indexing.media.timecodes import timecode
from search.answers import (
    DateUse,
    EntityUse,
    FacetSubjects,
    Fold,
    FoundName,
    Hit,
    Missing,
    SearchRequest,
    SearchResponse,
)
from search.dates import calendar_of, parse_span
from search.highlight import END, START


def search(
    query: Annotated[str, typer.Argument(help='Words, "phrases", AND/OR/NOT, field:value.')] = "",
    type_: Annotated[str, typer.Option("--type", help="text, picture, video, …, by commas.")] = "",
    subject: Annotated[str, typer.Option(help="Subjects, by commas.")] = "",
    place: Annotated[str, typer.Option(help="Places, by commas.")] = "",
    person: Annotated[str, typer.Option(help="People, by commas.")] = "",
    organisation: Annotated[str, typer.Option(help="Organisations, by commas.")] = "",
    language: Annotated[str, typer.Option(help="Languages, by commas.")] = "",
    rights: Annotated[
        str, typer.Option(help="Rights, by commas: commercial, editorial, restricted, owned.")
    ] = "",
    since: Annotated[str, typer.Option(help="From this date on (2024, 2024-03, 2024-03-05).")] = "",
    until: Annotated[str, typer.Option(help="Up to this date and with it.")] = "",
    facet: Annotated[str, typer.Option(help="Facets to count, by commas.")] = "",
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
    page_size: Annotated[int, typer.Option(help="Hits per page.")] = 10,
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
    """Search the archive, as the operator of this machine: with every product unless told less."""
    with reported():
        zone = calendar_of(datetime.now(UTC), tz, locale).zone
        settings = settings_for(data=data, models=models, profile=profile)
        service = build_service(settings)
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
                typer.echo(envelope_json(request, response, caller))
            else:
                _show(response, zone, explain=explain)
                if not response.hits and not caller.products:
                    console.print(
                        f"the archive {escape(str(settings.data))} has no item of any product:"
                        " `dateline ingest --products CODE` takes some in"
                    )
        finally:
            service.close()


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


_SAID = {"exact": "exactly {}", "lower_bound": "at least {}", "window": "the {} nearest"}


def _show(response: SearchResponse, zone: tzinfo, *, explain: bool) -> None:
    total = _SAID[response.total.relation].format(f"{response.total.value:,}")
    took = response.milliseconds["total"]
    if response.fold is Fold.NEAR_DUPLICATES:
        total += " groups of stories"
    console.print(f"[dim]{total}, profile {response.profile}, {took:.1f} ms[/]")
    _show_understood(response, zone, explain=explain)
    if response.suggestion:
        console.print(f"Did you mean [bold]{escape(response.suggestion)}[/]?")
    if response.missing:
        _show_missing(response.missing)
    if not response.hits:
        console.print("nothing found; try fewer or other words, or a wider date")
    for hit in response.hits:
        _show_hit(hit, zone, explain=explain)
    for name, counts in response.facets.items():
        listed = ", ".join(f"{escape(count.value)} {count.count:,}" for count in counts)
        console.print(f"[bold]{name}[/]: {listed}")


def _show_understood(response: SearchResponse, zone: tzinfo, *, explain: bool) -> None:
    for line in (*response.understood.notes, *response.degraded):
        console.print(f"[yellow]note:[/] {escape(line)}")
    for found in response.understood.entities:
        console.print(f"[dim]{escape(_named(found))}[/]")
    for span in response.understood.dates:
        read = "taken as words" if span.ignored else f"{days(span, zone)} ({zone})"
        console.print(f"[dim]{escape(span.text)}: {read}[/]")
        if span.other:
            console.print(f"[dim]    the other reading: {escape(span.other)}[/]")
    if explain:
        for label, text in query_lines(response):
            console.print(f"[dim]{label}: {escape(text)}[/]", highlight=False)


def _show_missing(missing: Missing) -> None:
    console.print(f"[bold]{escape(missing.uri)}[/] ({missing.stage}): {escape(missing.reason)}")
    for miss in missing.retrievers:
        own = "–" if miss.score is None else f"{miss.score:.3f}"
        last = "–" if miss.last is None else f"{miss.last:.3f}"
        console.print(
            f"    [dim]{miss.retriever}: rank {ranked(miss.rank)}, score {own}; "
            f"the last of the best {miss.depth:,} has {last}[/]"
        )
    if missing.words or missing.words_missing:
        has, lacks = ", ".join(missing.words) or "–", ", ".join(missing.words_missing) or "–"
        console.print(f"    [dim]words in it: {escape(has)}; not in it: {escape(lacks)}[/]")
    console.print(f"    what would show it: {escape(missing.mend)}")


_KINDS = {"PER": "a person", "ORG": "an organisation", "LOC": "a place", "MISC": "a name"}


def _named(found: FoundName) -> str:
    """What was made of a name in the query."""
    if found.ignored:
        return f"{found.text}: taken as words"
    if found.known is None:
        return f"{found.text}: {_KINDS[found.label]}"
    does = {EntityUse.BOOST: ", boosts", EntityUse.FILTER: ", filters", EntityUse.OFF: ""}
    also = f", also {', '.join(found.known.aliases)}" if found.known.aliases else ""
    return f"{found.text}: {found.known.field} {found.known.name}{also}{does[found.use]}"


def _untitled(item: Item) -> str:
    """What stands for a headline: that of which nothing is said is told so."""
    said = " ".join((item.description or item.caption).split())
    return escape(said) if said else f"[italic]{item.type} without a description[/]"


def _show_hit(hit: Hit, zone: tzinfo, *, explain: bool) -> None:
    item = hit.item
    pinned = " [dim](pinned)[/]" if hit.pinned else ""
    headline = _marked(hit.highlights.get("headline", item.headline)) or _untitled(item)
    versions = f", {hit.versions} versions" if hit.versions > 1 else ""
    when = f"{item.versioncreated.astimezone(zone):%Y-%m-%d %H:%M}"
    console.print(f"\n[bold]{hit.rank:>3}[/] {headline}{pinned}")
    console.print(
        f"    [dim]{item.type} {when} {escape(item.located)}{versions}  {escape(item.uri)}[/]"
    )
    for uri in hit.near_duplicates:
        console.print(f"    [dim]nearly the same text: {escape(uri)}[/]")
    text = hit.passage or hit.highlights.get("description", "")
    if text:
        console.print("    " + _marked(" ".join(text.split())))
    if hit.shot:
        shot = item.shots[hit.shot - 1]
        console.print(
            f"    [dim]shot {hit.shot}, {timecode(shot.start_s)}–{timecode(shot.end_s)}[/]"
        )
    if said := hit.highlights.get("caption", ""):
        console.print(f"    [dim]machine-made ({escape(item.caption_by)}):[/] {_marked(said)}")
    if explain and hit.explanation:
        console.print(Padding(explained(hit), (0, 0, 0, 4)))


def _marked(text: str) -> str:
    """A text from the highlighter, with its marks as bold type."""
    pieces = []
    for number, part in enumerate(text.split(START)):
        if number == 0:
            pieces.append(escape(part))
            continue
        inside, _, outside = part.partition(END)
        pieces.append(f"[bold yellow]{escape(inside)}[/]{escape(outside)}")
    return "".join(pieces)
