"""The output of `dateline search`: how the query was understood, hits, facets, a missing item."""

from __future__ import annotations

from datetime import tzinfo

from rich.padding import Padding

from core.items import Item, ItemType
from dateline.commands.options import console, escape
from dateline.shown.explained_table import days, explained, query_lines, ranked
from indexing.media.shots.timecodes import timecode
from search.answers import (
    EntityUse,
    Fold,
    FoundName,
    Hit,
    KindSpan,
    Missing,
    Relevance,
    SearchResponse,
)
from search.highlight import END, START

_SAID = {"exact": "exactly {}", "lower_bound": "at least {}", "window": "the {} nearest"}


def show(response: SearchResponse, zone: tzinfo, *, explain: bool) -> None:
    """Print an answer with its times in `zone`; `explain` shows why each hit is there."""
    total = _SAID[response.total.relation].format(f"{response.total.value:,}")
    if response.related is not None:
        total = f"{response.total.value:,} found, {response.related:,} related"
        if response.related and not response.total.value:
            total = "nothing found; the nearest are"
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
    before: Relevance | None = None
    for hit in response.hits:
        if hit.relevance is Relevance.RELATED and before is Relevance.STRONG:
            console.print("[dim]── related ──[/]")
        before = hit.relevance
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
    for kind in response.understood.kinds:
        console.print(f"[dim]{escape(kind.text)}: {_kinds(kind)}[/]")
    if explain:
        for label, text in query_lines(response):
            console.print(f"[dim]{label}: {escape(text)}[/]", highlight=False)


def _kinds(kind: KindSpan) -> str:
    """Return what words for kinds of item do."""
    types = " or ".join(kind.types)
    if kind.ignored:
        return "taken as words"
    return f"no {types} with this, other kinds are shown" if kind.widened else f"only {types}"


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


KINDS = {"PER": "a person", "ORG": "an organisation", "LOC": "a place", "MISC": "a name"}


def _named(found: FoundName) -> str:
    """Return how a name in the query was understood."""
    if found.ignored:
        return f"{found.text}: taken as words"
    if found.known is None:
        return f"{found.text}: {KINDS[found.label]}"
    does = {EntityUse.BOOST: ", boosts", EntityUse.FILTER: ", filters", EntityUse.OFF: ""}
    also = f", also {', '.join(found.known.aliases)}" if found.known.aliases else ""
    return f"{found.text}: {found.known.field} {found.known.name}{also}{does[found.use]}"


def _untitled(item: Item) -> str:
    """Return what is printed in place of a missing headline."""
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
    found = hit.opening is not None and hit.opening.field in hit.highlights  # printed below
    text = hit.highlights.get("description", "") if found else hit.passage
    if text := text or hit.highlights.get("description", ""):
        console.print("    " + _marked(" ".join(text.split())))
    if hit.shot:
        shot = item.shots[hit.shot - 1]
        console.print(
            f"    [dim]shot {hit.shot}, {timecode(shot.start_s)}–{timecode(shot.end_s)}"
            f"{_by(shot.described_by)}[/]"
        )
    if said := hit.highlights.get("caption", ""):
        console.print(f"    [dim]machine-made ({escape(item.caption_by)}):[/] {_marked(said)}")
    _show_found(hit)
    if explain and hit.explanation:
        console.print(Padding(explained(hit), (0, 0, 0, 4)))


FOUND = {
    "speech": "said",
    "seen": "written there",
    "looks": "looks like",
    "filename": "name of the file",
}


def _show_found(hit: Hit) -> None:
    """Print where the media opens, and the words of the query that are found in it."""
    opening = hit.opening
    if opening and opening.field in FOUND and hit.item.type in (ItemType.VIDEO, ItemType.AUDIO):
        where = f"{timecode(opening.second)}, {FOUND[opening.field]}{_by(opening.made_by)}"
        console.print(f"    [dim]opens at {where}[/]")
    for name, maker in hit.found_in.items():
        if name in FOUND and name in hit.highlights:
            console.print(f"    [dim]{FOUND[name]}{_by(maker)}:[/] {_marked(hit.highlights[name])}")


def _by(maker: str) -> str:
    return f", machine-made ({escape(maker)})" if maker else ""


def _marked(text: str) -> str:
    """Return a text from the highlighter, with its marks in bold."""
    pieces = []
    for number, part in enumerate(text.split(START)):
        if number == 0:
            pieces.append(escape(part))
            continue
        inside, _, outside = part.partition(END)
        pieces.append(f"[bold yellow]{escape(inside)}[/]{escape(outside)}")
    return "".join(pieces)
