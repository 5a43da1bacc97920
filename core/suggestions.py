"""Completions of what is being typed."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class SuggestionKind(StrEnum):
    """Which member of the items a completion stands in."""

    PERSON = "person"
    ORGANISATION = "organisation"
    PLACE = "place"
    SUBJECT = "subject"
    HEADLINE = "headline"


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A name, subject or headline as the archive writes it, and how many stories have it that the
    caller may see.
    """

    text: str
    kind: SuggestionKind
    count: int
