"""How an item writes a word of the index."""

from __future__ import annotations

import re

from core.items import Item
from storage.analysis import analyzer

_WORD = re.compile(r"[^\W_]+")


def as_written(term: str, item: Item) -> str:
    """The folded `term` as the item writes it."""
    names = (concept.name for concept in (*item.person, *item.organisation, *item.place))
    own = (item.headline, item.description, item.body)
    for text in (*own, *names, item.agency_shotlist, item.machine_text):
        for found in _WORD.finditer(text):
            if "".join(analyzer("und").analyze(found[0])) == term:
                return found[0]
    return term
