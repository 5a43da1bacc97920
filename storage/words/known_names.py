"""Finds the name that a text stands for among the names that a caller sees: the part of
`core.ports.engine.Names` that all engines share. An engine supplies the spellings, and says which
of them the caller sees.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from core.entities import NAME_FIELDS, Entity, KnownName, NameMatch
from storage.words.names import NameBook


class SeenNames(Protocol):
    """The names in one field of the items, as a caller sees them. Each spelling has a number."""

    @property
    def field(self) -> str:
        """The field of the items."""
        ...

    @property
    def book(self) -> NameBook:
        """All known spellings, visible to the caller or not."""
        ...

    def label(self, number: int) -> str:
        """Return the spelling, in one of the case variants in items."""
        ...

    def key(self, number: int) -> str:
        """Return the folded form of the spelling (`storage.words.names.key_of`)."""
        ...

    def is_seen(self, number: int) -> bool:
        """Return whether an item that the caller sees has the spelling."""
        ...

    def count(self, number: int) -> int:
        """Return how many items that the caller sees have the spelling."""
        ...

    def only_code(self, numbers: Iterable[int]) -> str:
        """Return the only code of these spellings in items that the caller sees, casefolded. Return
        "" if they have none or several, or if too many names have the code.
        """
        ...

    def coded(self, code: str) -> Sequence[int]:
        """Return the spellings with the code in items that the caller sees; none if too many names
        have the code.
        """
        ...


def known_name(
    entity: Entity,
    same: Callable[[str, str], KnownName | None],
    similar: Callable[[str, str], KnownName | None],
    fields: Iterable[str],
) -> KnownName | None:
    """Return the known name that an entity stands for, or None. The entity's own kind is searched
    first. The same name in another kind also counts (the tagger may have taken a town for a
    person), but a similar name in another kind does not. `same` and `similar` take a field and a
    text.
    """
    own = NAME_FIELDS.get(entity.label)
    for field in sorted(fields, key=lambda field: field != own):
        if found := same(field, entity.text):
            return found
    return None if own is None else similar(own, entity.text)


def same_name(names: SeenNames, text: str) -> KnownName | None:
    """Return the name that is equal to `text`, as written or after folding. Of several spellings,
    return the one that differs only in case, else the commonest.
    """
    spellings = _counted(names, names.book.same(text))
    if not spellings:
        return None
    folded = text.casefold()
    number = next((n for n in spellings if names.label(n).casefold() == folded), spellings[0])
    match = NameMatch.EXACT if names.label(number) == text else NameMatch.FOLDED
    return _known(names, number, match, spellings)


def similar_name(names: SeenNames, text: str) -> KnownName | None:
    """Return the only name that is similar to `text`, or None."""
    numbers = names.book.similar(
        text,
        names.is_seen,
        lambda key: names.only_code(names.book.spellings(key)) or key,
    )
    spellings = _counted(names, numbers)
    return _known(names, spellings[0], NameMatch.FUZZY, spellings) if spellings else None


def _known(names: SeenNames, number: int, match: NameMatch, spellings: Sequence[int]) -> KnownName:
    """Return the name with its aliases; the commonest of all is the archive's name for it."""
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
    """Return the keys of the other names that have the same code and no other code."""
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
    """Return the visible spellings, the commonest first, ties alphabetically. By the order of
    writing, hidden items would influence ties.
    """
    shown = [number for number in numbers if names.is_seen(number)]
    if len(shown) > 1:
        shown.sort(key=lambda n: (-names.count(n), names.label(n).casefold()))
    return tuple(shown)


def _labels(names: SeenNames, numbers: Iterable[int]) -> tuple[str, ...]:
    return tuple(names.label(number) for number in numbers)
