"""How much of a text a model reads."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reading:
    """Of one text: the tokens that a model reads, special ones counted, and whether the text goes
    on after them.
    """

    tokens: int
    truncated: bool
