"""Named entities found in a text."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class EntityLabel(StrEnum):
    """CoNLL-2003's four types (Tjong Kim Sang and De Meulder, 2003)."""

    PER = "PER"
    ORG = "ORG"
    LOC = "LOC"
    MISC = "MISC"


@dataclass(frozen=True, slots=True)
class Entity:
    """A name in a text: `text[start:end]` in characters, with the tagger's confidence in 0..1."""

    text: str
    label: EntityLabel
    start: int
    end: int
    score: float
