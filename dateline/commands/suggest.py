"""`dateline suggest`: completions of the words typed so far."""

from __future__ import annotations

from typing import Annotated

import orjson
import typer

from core.callers import Caller
from core.retrieval import Suggestion
from dateline.build.service import build_service
from dateline.commands.options import (
    AsJson,
    Data,
    Models,
    archive_settings,
    chosen_products,
    console,
    encoder_only,
    escape,
    reported,
)
from search.suggest import MAX_SUGGESTIONS, Suggester


def suggest(
    typed: Annotated[str, typer.Argument(help="What was typed so far, such as 'porto a'.")],
    limit: Annotated[
        int, typer.Option(help="How many suggestions.", min=1, max=MAX_SUGGESTIONS)
    ] = 10,
    products: Annotated[
        str, typer.Option(help="Ask as a caller with these product codes; all when left out.")
    ] = "",
    as_json: AsJson = False,
    data: Data = None,
    models: Models = None,
) -> None:
    """Complete names, subjects and headlines, with how many stories have each."""
    with reported():
        service = build_service(encoder_only(archive_settings(data=data, models=models)))
        try:
            caller = Caller("command line", chosen_products(service.engine.products(), products))
            found = Suggester(service.engine).suggest(typed, limit, caller)
        finally:
            service.close()
        if as_json:
            typer.echo(_json(typed, found))
        else:
            _show(found)


def _show(found: tuple[Suggestion, ...]) -> None:
    for one in found:
        console.print(f"[dim]{one.count:>7,}  {one.kind.value:<12}[/]  {escape(one.text)}")
    if not found:
        console.print("nothing has these words; only the last one may be the beginning of a word")


def _json(typed: str, found: tuple[Suggestion, ...]) -> bytes:
    items = [{"text": one.text, "kind": one.kind.value, "count": one.count} for one in found]
    return orjson.dumps({"query": typed, "items": items}, option=orjson.OPT_INDENT_2)
