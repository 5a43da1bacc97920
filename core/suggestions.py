"""Completions of an unfinished text."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class SuggestionKind(StrEnum):
    """The member of the items that a completion comes from."""

    PERSON = "person"
    ORGANISATION = "organisation"
    PLACE = "place"
    SUBJECT = "subject"
    HEADLINE = "headline"


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A name, subject or headline as the archive writes it, and how many stories that the caller
    may see have it.
    """

    text: str
    kind: SuggestionKind
    count: int
