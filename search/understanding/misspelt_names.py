"""Finds misspelt names in a query, to be corrected whole.

The tagger's names come first: it said which kind each is. Neighbouring doubtful words that it took
for no name are tried as a name of each kind.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise

from core.callers import Caller
from core.entities import Entity, EntityLabel, KnownName, NameMatch
from core.ports import Names
from search.answers import FoundName

_WORD = re.compile(r"[^\W\d_]+")
_QUOTED = re.compile(r'"[^"]*"?')
_KINDS = (EntityLabel.PER, EntityLabel.ORG, EntityLabel.LOC)
_MOST_TRIED = 6  # groups of words, each as a name of three kinds


@dataclass(frozen=True, slots=True)
class Misspelt:
    """A name of which `query[start:end]` is no spelling. `better` is the archive's, "" where the
    words stay. `words` are the doubtful ones.
    """

    start: int
    end: int
    better: str
    words: frozenset[str]


def misspelt_names(
    query: str,
    doubtful: Collection[str],
    found: Sequence[FoundName],
    archive: Names | None,
    caller: Caller,
) -> list[Misspelt]:
    """The names of `query` with any of the `doubtful` words, in order, none over another."""
    names = [
        Misspelt(one.start, one.end, _better(query[one.start : one.end], one.known), words)
        for one in found
        if (words := _doubtful_in(query[one.start : one.end], doubtful))
        and (one.known or one.ignored)
    ]
    if archive is None:
        return names
    taken = {word for name in names for word in name.words}
    for start, end in islice(_groups(query, set(doubtful) - taken), _MOST_TRIED):
        text = query[start:end]
        asked = [Entity(text, label, 0, len(text), 1.0) for label in _KINDS]
        known = [name for name in archive.known(asked, caller) if name is not None]
        if known and not any(name.start < end and start < name.end for name in names):
            nearest = next((name for name in known if name.match is not NameMatch.FUZZY), known[0])
            words = _doubtful_in(text, doubtful)
            names.append(Misspelt(start, end, _better(text, nearest), words))
    return sorted(names, key=lambda name: name.start)


def with_names(query: str, names: Sequence[Misspelt]) -> str:
    """`query` with the names as the archive spells them."""
    for name in sorted(names, key=lambda name: -name.start):
        if name.better:
            query = query[: name.start] + name.better + query[name.end :]
    return query


def _better(typed: str, known: KnownName | None) -> str:
    """The archive's spelling of a name that was typed otherwise, as many words of it as typed; ""
    where each typed word is in it.
    """
    if known is None or known.match is not NameMatch.FUZZY:
        return ""
    words, name = _WORD.findall(typed), known.read_as or known.name
    own = name.split()
    if {word.casefold() for word in words} <= {word.casefold() for word in _WORD.findall(name)}:
        return ""
    better = " ".join(own[-len(words) :])
    return better.lower() if len(words) == 1 and typed.islower() else better


def _doubtful_in(text: str, doubtful: Collection[str]) -> frozenset[str]:
    return frozenset(word for word in _WORD.findall(text) if word in doubtful)


def _groups(query: str, doubtful: Collection[str]) -> Iterator[tuple[int, int]]:
    """Where groups of words stand that may be a name: neighbours of which both are doubtful, then
    those of which one is, then doubtful words alone.
    """
    quoted = [found.span() for found in _QUOTED.finditer(query)]
    words = [
        found.span()
        for found in _WORD.finditer(query)
        if not any(start <= found.start() < end for start, end in quoted)
    ]
    doubted = [query[start:end] in doubtful for start, end in words]
    pairs = [
        (one + two, (words[place][0], words[place + 1][1]))
        for place, (one, two) in enumerate(pairwise(doubted))
        if query[words[place][1] : words[place + 1][0]].isspace() and (one or two)
    ]
    yield from (span for count, span in pairs if count == 2)
    yield from (span for count, span in pairs if count == 1)
    yield from (span for span, doubt in zip(words, doubted, strict=True) if doubt)
