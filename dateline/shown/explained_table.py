"""`dateline search --explain`: what each stage gave a hit, as a table whose last column adds up."""

from __future__ import annotations

from datetime import datetime, tzinfo

from rich.table import Table

from search.answers import DateSpan, Explanation, Hit, SearchResponse

_COLUMNS = ("stage", "rank", "score", "on 0 to 1", "weight", "gives")


def explained(hit: Hit) -> Table:
    """Return the table of one hit: retrievers and names, the fused sum, age, the reranker, the
    score.
    """
    table = Table(box=None, padding=(0, 2, 0, 0), show_edge=False, header_style="dim")
    for name in _COLUMNS:
        table.add_column(name, justify="left" if name == "stage" else "right", no_wrap=True)
    told = hit.explanation
    if told is None:
        return table
    _add_retrievers(table, told)
    table.add_row("fused", ranked(told.fused_rank), "", "", "", f"{told.fused:.3f}")
    if told.recency != 1.0:
        table.add_row("recency keeps", "", "", "", "", f"× {told.recency:.3f}")
    if told.rerank_score is not None or told.mix is not None:
        _add_reranker(table, told)
    table.add_row("[bold]score[/]", "", "", "", "", f"[bold]{hit.score:.3f}[/]")
    return table


def _add_retrievers(table: Table, told: Explanation) -> None:
    if told.lexical_weight:
        own = "–" if told.bm25 is None else f"{told.bm25:.3f}"
        share, weight = told.bm25_normalized, told.lexical_weight
        table.add_row("bm25", ranked(told.lexical_rank), own, *_product(share, weight))
    for part in told.vectors:
        own = "–" if part.cosine is None else f"{part.cosine:.3f}"
        product = _product(part.normalized, part.weight)
        table.add_row(f"vectors {part.field}", ranked(part.rank), own, *product)
    if told.names_weight:
        table.add_row("names", "", "", *_product(told.names, told.names_weight))


def _add_reranker(table: Table, told: Explanation) -> None:
    own = "no score" if told.rerank_score is None else f"{told.rerank_score:.3f}"
    if told.mix is None:
        table.add_row("reranked", ranked(told.reranked_rank), own, "", "", "")
        return
    mix = told.mix
    table.add_row("fused, among the reranked", "", "", *_product(mix.fused, 1 - mix.weight))
    product = _product(mix.reranked, mix.weight)
    table.add_row("reranked", ranked(told.reranked_rank), own, *product)
    if mix.floor:
        table.add_row("read in time", "", "", "", "", f"+{mix.floor:.3f}")


def _product(share: float, weight: float) -> tuple[str, str, str]:
    return f"{share:.3f}", f"{weight:.3f}", f"+{share * weight:.3f}"


def query_lines(response: SearchResponse) -> list[tuple[str, str]]:
    """Return (label, text) of the retrievers' queries, and of the time of each stage."""
    said = response.understood
    spent = [
        f"{name} {ms:.1f}"
        for name, ms in response.milliseconds.items()
        if name != "total" and ms >= 0.05
    ]
    return [
        ("words", said.lexical),
        ("meaning", said.vector_text or "nothing to embed"),
        ("ms", ", ".join(spent)),
    ]


def days(span: DateSpan, zone: tzinfo) -> str:
    """Return the span of a date in the query, in the caller's zone: with its last day, or to the
    minute if it does not begin and end at midnight.
    """
    first, end = _local(span.since, zone), _local(span.until, zone)
    ends = [moment for moment in (first, end) if moment]
    if any((moment.hour, moment.minute) != (0, 0) for moment in ends):
        shown = [f"{moment:%Y-%m-%d %H:%M}" if moment else "…" for moment in (first, end)]
        return f"{shown[0]} to {shown[1]}"
    since = f"{first:%Y-%m-%d}" if first else "…"
    if end is None:
        return f"{since} to …"
    last = datetime.fromordinal(end.toordinal() - 1)
    return since if since == f"{last:%Y-%m-%d}" else f"{since} to {last:%Y-%m-%d}"


def _local(text: str, zone: tzinfo) -> datetime | None:
    return datetime.fromisoformat(text).astimezone(zone) if text else None


def ranked(rank: int) -> str:
    """Return a rank, or a dash for an item that was not found."""
    return str(rank) if rank else "–"
