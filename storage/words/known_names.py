"""What a text names, of the names that a caller sees: the part of `core.ports.Names` that every
engine shares. An engine says which spellings there are, and what of them is seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from core.entities import Entity, EntityLabel, KnownName, NameMatch
from storage.words.names import NameBook

KIND_OF = {
    EntityLabel.PER: "person",
    EntityLabel.ORG: "organisation",
    EntityLabel.LOC: "place",
}


class SeenNames(Protocol):
    """The names of one member of the items, as a caller sees them. Spellings have numbers."""

    @property
    def field(self) -> str:
        """The member."""
        ...

    @property
    def book(self) -> NameBook:
        """The spellings that are known, seen or not."""
        ...

    def label(self, number: int) -> str:
        """The spelling, in one of the cases that items write it in."""
        ...

    def key(self, number: int) -> str:
        """What it folds to (`storage.words.names.key_of`)."""
        ...

    def is_seen(self, number: int) -> bool:
        """Whether an item that the caller sees has it."""
        ...

    def count(self, number: int) -> int:
        """How many items that the caller sees have it."""
        ...

    def only_code(self, numbers: Iterable[int]) -> str:
        """The one code that these spellings have in items that are seen, casefolded; "" where they
        have none or several, and where it is no name's own.
        """
        ...

    def coded(self, code: str) -> Sequence[int]:
        """The spellings that have the code in items that are seen; none of a code of too many."""
        ...


def known_name(
    entity: Entity,
    same: Callable[[str, str], KnownName | None],
    similar: Callable[[str, str], KnownName | None],
    fields: Iterable[str],
) -> KnownName | None:
    """The name's own kind first; a tagger that takes a town for a person is set right by a name
    that is the same, but never by one that is only similar. Both are asked by field and text.
    """
    own = KIND_OF.get(entity.label)
    for field in sorted(fields, key=lambda field: field != own):
        if found := same(field, entity.text):
            return found
    return None if own is None else similar(own, entity.text)


def same_name(names: SeenNames, text: str) -> KnownName | None:
    """The name that `text` is, as it is written or but for what folding takes away; of several
    spellings the one that differs in case only, else the commonest.
    """
    spellings = _counted(names, names.book.same(text))
    if not spellings:
        return None
    folded = text.casefold()
    number = next((n for n in spellings if names.label(n).casefold() == folded), spellings[0])
    match = NameMatch.EXACT if names.label(number) == text else NameMatch.FOLDED
    return _known(names, number, match, spellings)


def similar_name(names: SeenNames, text: str) -> KnownName | None:
    """The one name that `text` is nearly."""
    numbers = names.book.similar(
        text,
        names.is_seen,
        lambda key: names.only_code(names.book.spellings(key)) or key,
    )
    spellings = _counted(names, numbers)
    return _known(names, spellings[0], NameMatch.FUZZY, spellings) if spellings else None


def _known(names: SeenNames, number: int, match: NameMatch, spellings: Sequence[int]) -> KnownName:
    """The name with its aliases: the commonest of all is what the archive calls it."""
    name = names.label(number)
    keys = _aliases(names, names.key(number))
    if not keys:
        return KnownName(name, names.field, match, _labels(names, spellings))
    every = (names.key(number), *keys)
    everything = _counted(names, [n for key in every for n in names.book.spellings(key)])
    firsts: dict[str, int] = {}
    for spelling in everything:
        firsts.setdefault(names.key(spelling), spelling)
    canonical, *others = firsts.values()
    labels, aliases = _labels(names, everything), _labels(names, others)
    if canonical in spellings:
        return KnownName(name, names.field, match, labels, aliases)
    return KnownName(names.label(canonical), names.field, match, labels, aliases, read_as=name)


def _aliases(names: SeenNames, key: str) -> tuple[str, ...]:
    """The keys of the names that have the same code and no other one."""
    code = names.only_code(names.book.spellings(key))
    if not code:
        return ()
    keys = dict.fromkeys(map(names.key, names.coded(code)))
    return tuple(
        other
        for other in keys
        if other != key and names.only_code(names.book.spellings(other)) == code
    )


def _counted(names: SeenNames, numbers: Iterable[int]) -> tuple[int, ...]:
    """The spellings that are seen, the commonest first. Equally common ones go by the alphabet: in
    the order of writing, hidden items would have a say.
    """
    shown = [number for number in numbers if names.is_seen(number)]
    if len(shown) > 1:
        shown.sort(key=lambda n: (-names.count(n), names.label(n).casefold()))
    return tuple(shown)


def _labels(names: SeenNames, numbers: Iterable[int]) -> tuple[str, ...]:
    return tuple(names.label(number) for number in numbers)
