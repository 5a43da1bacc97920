"""Finds how an item spells a word of the index."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from core.items import Item
from core.retrieval import Ids
from core.standing import SeenWord
from storage.words.analysis import analyzer

_WORD = re.compile(r"[^\W_]+")
_LONGEST_TEXT = 20_000  # characters of a text that are searched, word by word


def all_as_written(
    found: Sequence[Sequence[tuple[SeenWord, int]]],
    items_of: Callable[[Ids], Sequence[Item | None]],
) -> tuple[tuple[SeenWord, ...], ...]:
    """Return near words of several words as their items spell them. `found` has for each near word
    the id of an item with it; words with a hidden item are left out. All items are read together.
    """
    items = iter(items_of(np.array([seq for near in found for _, seq in near], np.int64)))
    return tuple(
        tuple(
            replace(seen, text=as_written(seen.text, item))
            for (seen, _), item in zip(near, items, strict=False)
            if item is not None
        )
        for near in found
    )


def nearest_first(folded: str, seen: SeenWord) -> tuple[int, bool, int, str]:
    """Return the sort key of a word near `folded`: the nearest and then the commonest first. Counts
    are of visible items; the index's own counts would tell of hidden ones.
    """
    return seen.distance, seen.text[:1] != folded[:1], -seen.count, seen.text


def as_written(term: str, item: Item) -> str:
    """Return `term` as the item spells it, or as it is if it only occurs far down."""
    names = (concept.name for concept in (*item.person, *item.organisation, *item.place))
    own = (item.headline, item.description, item.body)
    media = (item.speech_text, item.seen_text, item.looks_text, item.file_words)
    for text in (*own, *names, item.agency_shotlist, item.machine_text, *media):
        for found in _WORD.finditer(text, 0, _LONGEST_TEXT):
            if "".join(analyzer("und").analyze(found[0])) == term:
                return found[0]
    return term
