"""Names in a query: the tagger finds them, the archive knows them, and they boost or filter.

A known name boosts: the share of the query's known names that an item has among its persons,
organisations and places, under any alias, is part of its score (search/ranking.py). Names are
looked up in the candidates, so that they can be found while retrieval runs. They cost no candidate
its place if no item has such fields. On request they filter instead. A name that is not typed as
the archive writes it ("merkle", an alias) is also searched in the archive's spelling.

The tagger reads English. In a query that is not in English, neighbouring words that are a name of
the archive are a name, too, and take the place of what the tagger made of them.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from core.callers import Caller
from core.entities import NAME_FIELDS, Entity, EntityLabel, KnownName, NameMatch
from core.languages import LANGUAGES
from core.ports.engine import Names
from core.ports.models import Tagger, TextAnalysis
from core.query_tree import (
    EVERYTHING,
    Bool,
    Everything,
    Keyword,
    Node,
    Phrase,
    all_of,
    constraint,
)
from core.retrieval import Floats, Ids
from core.tracing import Span
from search.answers import EntityUse, FoundName, Understood
from search.understanding.dated import as_ignored

_LABELS = {field: label for label, field in NAME_FIELDS.items()}
_WORD = re.compile(r"[^\W\d_]+")
_MOST_WORDS = 10  # of a query that are looked up as names of the archive
_LONGEST_NAME = 4  # words
_SHORTEST = 3  # letters of a name of one word


@dataclass(frozen=True, slots=True)
class Found:
    """The names in a query, notes on them, and a flag if wanted names could not be searched for."""

    names: tuple[FoundName, ...] = ()
    notes: tuple[str, ...] = ()
    degraded: tuple[str, ...] = ()


class NameFinder:
    """Finds names in a query's text.

    Without a tagger it finds none; that is flagged if names were wanted. `tagger_missing` says why
    there is no tagger. Without `archive` every name is unknown.
    """

    def __init__(
        self, tagger: Tagger | None, archive: Names | None = None, *, tagger_missing: str = ""
    ) -> None:
        self._tagger = tagger
        self._archive = archive
        self._tagger_missing = tagger_missing

    @property
    def can_look(self) -> bool:
        """Whether there is a tagger."""
        return self._tagger is not None

    def find(
        self,
        text: str,
        places: Sequence[int],
        caller: Caller,
        use: EntityUse,
        ignore: Collection[str] = frozenset(),
        language: str = "en",
    ) -> Found:
        """Return the names in `text`, whose character i was typed at `places[i]`, and what could
        not be done. `language` is that of the text, "" if not known.

        Names are an extra: if the tagger fails, is busy or unavailable, the search goes on. Names
        in `ignore`, written as by `as_ignored`, have no effect.
        """
        if use is EntityUse.OFF or not text:
            return Found()
        filtering = use is EntityUse.FILTER
        if self._tagger is None:
            reason = self._tagger_missing or ("there is no tagger" if filtering else "")
            return _missing(reason, use) if reason else Found()
        try:
            with Span("tag"):
                entities = self._tagger.tag([text])[0]
        except Exception as error:  # noqa: BLE001 - names are an extra; the search goes on
            return _missing(type(error).__name__, use)
        known: Sequence[KnownName | None] = (None,) * len(entities)
        if self._archive is not None:
            known = self._archive.known(entities, caller) if entities else ()
        named = list(zip(entities, known, strict=True))
        if self._archive is not None and language != "en":
            named = _with_held(self._archive, text, language, caller, named)
        found = tuple(
            _found(entity, places, name, use, ignored=as_ignored(entity.text) in ignore)
            for entity, name in named
        )
        return Found(found, _unfiltered(found) if filtering else ())

    def recheck(self, said: Understood, caller: Caller) -> Understood:
        """Return `said` with the known names that the caller may see at this moment."""
        found = said.entities
        if self._archive is None or not any(entity.known for entity in found):
            return said
        asked = [Entity(_own_name(entity.known), entity.label, 0, 0, 1.0) for entity in found]
        now = self._archive.known(asked, caller)
        return replace(
            said,
            entities=tuple(
                replace(entity, known=_still(entity.known, name))
                for entity, name in zip(found, now, strict=True)
            ),
        )


_Named = tuple[Entity, KnownName | None]


def _with_held(
    archive: Names, text: str, language: str, caller: Caller, named: Sequence[_Named]
) -> list[_Named]:
    """Return the tagger's names, and the longest names of the archive among the words beside them.
    A name that the archive does not know is left out if one of these shares a word with it.
    """
    sure = [one for one, known in named if known is not None]
    tried = [one for one in _spans(text, language) if not any(_overlap(one, own) for own in sure)]
    if not tried:
        return list(named)
    held: list[tuple[Entity, KnownName]] = []
    for one, known in zip(tried, archive.known(tried, caller), strict=True):
        if known is not None and not any(_overlap(one, other) for other, _ in held):
            held.append((replace(one, label=_LABELS[known.field]), known))
    kept = [each for each in named if not any(_overlap(each[0], one) for one, _ in held)]
    return sorted([*kept, *held], key=lambda each: each[0].start)


def _spans(text: str, language: str) -> Iterator[Entity]:
    """Yield runs of neighbouring words as entities, the longest first. No run ends with a stop
    word, and none begins with one, except a capitalised one in a run of several words. The label
    MISC lets the archive look for equal names alone, and not for similar ones. If the language of
    the query is not known, a single word is no name.
    """
    words = list(_WORD.finditer(text))[:_MOST_WORDS]
    own = LANGUAGES.get(language)
    stops = (own.stop_words if own else None) or frozenset[str]()
    for count in range(_LONGEST_NAME, 0 if language else 1, -1):
        for first, last in zip(words, words[count - 1 :], strict=False):
            named = count > 1 and first[0][0].isupper()
            if last[0].casefold() in stops or (first[0].casefold() in stops and not named):
                continue
            start, end = first.start(), last.end()
            if end - start >= _SHORTEST:
                yield Entity(text[start:end], EntityLabel.MISC, start, end, 1.0)


def _overlap(one: Entity, other: Entity) -> bool:
    return one.start < other.end and other.start < one.end


def known_names(found: Sequence[FoundName], use: EntityUse) -> tuple[KnownName, ...]:
    """Return the known names with that use, each once."""
    names = [entity.known for entity in found if entity.known and entity.use is use]
    return tuple({(name.field, name.name): name for name in names}.values())


def only_told(said: Understood) -> Understood:
    """Return `said` for an answer that names do not rank: names that would boost are only shown."""
    return replace(
        said,
        entities=tuple(
            replace(entity, use=EntityUse.OFF) if entity.use is EntityUse.BOOST else entity
            for entity in said.entities
        ),
    )


def name_filters(found: Sequence[FoundName]) -> Node:
    """Return all known names that filter, as facts: each matches any of its spellings."""
    names = known_names(found, EntityUse.FILTER)
    return all_of(*(Keyword(name.field, name.spellings) for name in names))


def name_shares(archive: Names, ids: Ids, found: Sequence[FoundName]) -> Floats | None:
    """Return float32 [len(ids)]: the share, 0 to 1, of the boosting known names that each candidate
    has; None if no name boosts.
    """
    names = known_names(found, EntityUse.BOOST)
    if not names:
        return None
    shares: Floats = archive.holding(ids, names).mean(axis=1, dtype=np.float32)
    return shares


def respelt(tree: Node, found: Sequence[FoundName], analysis: TextAnalysis) -> Node:
    """Return the tree with optional phrases in the field of names: the archive's spelling of each
    used name, if its words differ from the query's.
    """
    names = dict.fromkeys(
        entity.known.name
        for entity in found
        if entity.known and entity.use is not EntityUse.OFF and _differs(entity, analysis)
    )
    phrases = tuple(Phrase(name, "names") for name in names)
    return _with_optional(tree, phrases)


def _with_optional(tree: Node, phrases: tuple[Node, ...]) -> Node:
    """Return the tree with additional clauses that only rank; what it requires stays the same."""
    if not phrases or isinstance(tree, Everything):
        return tree
    if not isinstance(tree, Bool):
        optional = constraint(tree) == EVERYTHING
        return Bool(should=(tree, *phrases)) if optional else Bool(must=(tree,), should=phrases)
    if not tree.must and constraint(Bool(should=tree.should)) != EVERYTHING:
        return Bool(must=(tree,), should=phrases)
    return Bool(tree.must, (*tree.should, *phrases), tree.must_not)


def _differs(entity: FoundName, analysis: TextAnalysis) -> bool:
    """Return whether a typed word is none of the known name's words."""
    if entity.known is None:
        return False
    return bool(
        set(analysis.terms(entity.text, "und")) - set(analysis.terms(entity.known.name, "und"))
    )


def _found(
    entity: Entity, places: Sequence[int], name: KnownName | None, use: EntityUse, *, ignored: bool
) -> FoundName:
    start, end = places[entity.start], places[entity.end - 1] + 1
    used = EntityUse.OFF if name is None or ignored else use
    return FoundName(entity.text, entity.label, start, end, entity.score, name, used, ignored)


def _own_name(known: KnownName | None) -> str:
    """Return the name as the text has it, because it may be that only hidden items link an alias to
    `name`.
    """
    return "" if known is None else known.read_as or known.name


def _still(before: KnownName | None, now: KnownName | None) -> KnownName | None:
    """Return the known name with its present spelling; None if it is gone or only a similar name is
    left.
    """
    if before is None or now is None or now.match is NameMatch.FUZZY or now.field != before.field:
        return None
    return replace(now, match=before.match)


def _missing(reason: str, use: EntityUse) -> Found:
    then = ", so none filters" if use is EntityUse.FILTER else ""
    note = f"names were not looked for: {reason}{then}"
    return Found(notes=(note,), degraded=(f"names: skipped, {reason}",))


def _unfiltered(found: Sequence[FoundName]) -> tuple[str, ...]:
    """Return the notes where names were to filter and some or all of them do not."""
    if not found:
        return ("no name was recognised, so none filters",)
    return tuple(
        f"{entity.text}: the archive knows no such name, so it ranks and does not filter"
        for entity in found
        if entity.known is None and not entity.ignored
    )
