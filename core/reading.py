"""How much of a text, or of a query and its passages, a model reads."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reading:
    """Of one text: the tokens that a model reads, special ones counted, and whether the text goes
    on after them.
    """

    tokens: int
    truncated: bool


@dataclass(frozen=True, slots=True)
class PairsReading:
    """Of a query and its passages, `passages` in the order given. Where the model reads the two
    apart, `query` has the query's own tokens; where it reads them together, each passage's reading
    counts the query's tokens and the query's has none.
    """

    query: Reading
    passages: tuple[Reading, ...]
