"""A story's versions as a caller may see them: its chain view, from the record."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from core.callers import Caller
from core.items import Item
from storage.embedded import reading


def story_of(connection: sqlite3.Connection, uri: str, caller: Caller, now: int) -> list[Item]:
    """The versions of the story that `uri` belongs to, newest first; `now` in microseconds."""
    row = connection.execute(
        "SELECT chain FROM items WHERE uri = ? ORDER BY version DESC LIMIT 1", (uri,)
    ).fetchone()
    return shown_story(connection, row[0], caller, now) if row else []


def shown_story(connection: sqlite3.Connection, chain: str, caller: Caller, now: int) -> list[Item]:
    """The shown versions that the caller may see; none where the story's head is hidden."""
    view, _ = reading.view_of(connection, chain, now)
    items = reading.items_by_seq(connection, list(view.members))
    members = [items[seq] for seq in view.members if seq in items]
    held = _codes(caller.products)
    allowed = [item for item in members if held & _codes(item.products)]
    if not members or view.head not in items or items[view.head] not in allowed:
        return []
    return allowed


def _codes(products: Iterable[str]) -> frozenset[str]:
    """Product codes as the columns compare them."""
    return frozenset(code.casefold() for code in products if code)
