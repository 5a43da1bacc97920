"""Named entities found in a text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class EntityLabel(StrEnum):
    """CoNLL-2003's four types (Tjong Kim Sang and De Meulder, 2003)."""

    PER = "PER"
    ORG = "ORG"
    LOC = "LOC"
    MISC = "MISC"


NAME_FIELDS: Mapping[EntityLabel, str] = {
    EntityLabel.PER: "person",
    EntityLabel.ORG: "organisation",
    EntityLabel.LOC: "place",
}
"""The field of an item that has names of a kind; other names have none."""


class NameMatch(StrEnum):
    """How well a name in a text matches a name of the archive.

    EXACT: the same characters. FOLDED: the same except for case, accents, punctuation, a leading
    "the" or a closing 's. FUZZY: nearly the same, or a surname that only one person has. NONE: no
    match.
    """

    EXACT = "exact"
    FOLDED = "folded"
    FUZZY = "fuzzy"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class KnownName:
    """A name as the archive writes it, from the member `field` of its items ("person", "place" or
    "organisation").

    `spellings` are all spellings of this name, the commonest first; a filter for the name takes any
    of them. `aliases` are other names of the same thing, one spelling each: items give them one
    code. `read_as` is the alias that the text was read as, "" if that is `name`.
    """

    name: str
    field: str
    match: NameMatch
    spellings: tuple[str, ...]
    aliases: tuple[str, ...] = ()
    read_as: str = ""


@dataclass(frozen=True, slots=True)
class Entity:
    """A name in a text: `text[start:end]` in characters, with the tagger's confidence in 0..1."""

    text: str
    label: EntityLabel
    start: int
    end: int
    score: float
