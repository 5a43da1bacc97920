"""`dateline status --undescribed`: media that can't be found by what they show, and
their places.
"""

from __future__ import annotations

import orjson
import typer
from rich.table import Table

from core.items import Item
from core.media import Undescribed
from dateline.commands.options import console, escape


def show_undescribed(found: Undescribed, *, as_json: bool) -> None:
    """Print the list, as a table or as JSON."""
    if as_json:
        tree = {
            "media": found.media,
            "described": found.media - found.count,
            "undescribed": found.count,
            "items": [_row(item) for item in found.items],
        }
        typer.echo(orjson.dumps(tree, option=orjson.OPT_INDENT_2))
        return
    console.print(f"{found.count:,} of {found.media:,} pictures, videos and sounds are undescribed")
    table = Table(box=None, show_edge=False, header_style="bold")
    for name in ("type", "uri", "where"):
        table.add_column(name, overflow="fold")
    for item in found.items:
        row = _row(item)
        table.add_row(*(escape(str(row[name])) for name in ("type", "uri", "location")))
    if found.items:
        console.print(table)
        console.print(
            "describe them in the file, in a document beside it, or by the setting captioner"
        )
    if found.count > len(found.items):
        console.print(f"{found.count - len(found.items):,} more: --limit lists them")


def _row(item: Item) -> dict[str, str | int]:
    location = "" if item.media is None else item.media.location
    return {"uri": item.uri, "version": item.version, "type": str(item.type), "location": location}
