"""Accounts as tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Column, Table

from dateline.commands.options import escape


def table_of(rows: Sequence[Mapping[str, Any]], *columns: str) -> Table:
    """Return a table of these members of trees."""
    table = Table(*(Column(name, no_wrap=number == 0) for number, name in enumerate(columns)))
    for row in rows:
        table.add_row(*(escape(_cell(row[name])) for name in columns))
    return table


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else ""
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "" if value is None else str(value)
