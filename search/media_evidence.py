"""How much of a query is said, read or seen in an item's media, and what that does to the floor.

The floor is learned from texts: there two words that match say little, and a low cosine says much.
Who asks for what is said has no other words, and a line of speech is near to nothing. So a hit is
strong, too, if one moment of its media has what the query asks for. Its headline, description and
names may have a part of it: they say who speaks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from core.items import Item
from core.ports.engine import Catalogue
from core.query_tree import Bool, Word
from search.candidates import CandidateSet
from search.highlight import Highlighter, read

LEAST_SHARE = 0.75  # of the query's words: one of four may be heard wrong
_FIRST = 10  # candidates that are looked at


def with_media_evidence(
    catalogue: Catalogue, highlighter: Highlighter, typed: Sequence[Word], candidates: CandidateSet
) -> CandidateSet:
    """Return the candidates, with strong ones down to the last of the first ten whose media have
    the words of the query as it was `typed`; its chance is at least their share. Without a floor
    they stay as they are.
    """
    strong, chances = candidates.strong, candidates.chances
    ids = candidates.ids[:_FIRST]
    if strong is None or chances is None or strong >= len(ids):
        return candidates
    items = catalogue.items(ids[strong:], candidates.caller)
    query = Bool(should=tuple(typed))
    shares = [_share(highlighter, query, item) for item in items]
    found = [strong + place for place, share in enumerate(shares) if share >= LEAST_SHARE]
    if not found:
        return candidates
    chances = chances.copy()
    chances[found] = np.maximum(chances[found], [shares[place - strong] for place in found])
    return replace(candidates, strong=found[-1] + 1, chances=chances)


def _share(highlighter: Highlighter, query: Bool, item: Item | None) -> float:
    """Return the largest share of the query's words that a moment of the item's media has, with the
    words that say whom it shows; 0 if none of them is in the media.
    """
    texts = [] if item is None else moments(item)
    if item is None or not texts:
        return 0.0
    wanted = _wanted(highlighter, query, item.language)
    texts.append(_own(item))
    words = highlighter.words(query, [*map(read, texts)], item.language)
    *found, own = highlighter.matches(words, texts, item.language)
    shares = [sum(not one.isdisjoint(here | own) for one in wanted) for here in found if here]
    return max(shares, default=0) / len(wanted) if wanted else 0.0


def moments(item: Item) -> list[str]:
    """Return what each moment of the item's media has, as one text each: an utterance with the next
    one, the text of a frame, what is seen in a frame; and the name of the file.
    """
    spoken = [one.text for one in item.speech]
    said = [f"{one}\n{other}" for one, other in pairwise(spoken)] or spoken
    seen: dict[tuple[str, float], list[str]] = {}
    for text in item.seen:
        seen.setdefault(("seen", text.at_s), []).append(text.text)
    for look in item.looks:
        seen.setdefault(("looks", look.at_s), []).append(look.name)
    named = [item.file_words] if item.file_words else []
    return [*said, *map("\n".join, seen.values()), *named]


def _wanted(highlighter: Highlighter, query: Bool, language: str) -> list[frozenset[str]]:
    """Return the terms of each word of the query, common words left out."""
    telling = highlighter.terms(query, language)
    found = (highlighter.terms(word, language) & telling for word in query.should)
    return [terms for terms in found if terms]


def _own(item: Item) -> str:
    """Return the words that say whom and what the item shows."""
    named = (*item.person, *item.organisation, *item.place)
    return "\n".join((item.headline, item.description, *(one.name for one in named)))
