"""How much a model reads of a text, or of a query and its passages."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reading:
    """How many tokens of one text a model reads (special tokens included), and whether the text is
    cut.
    """

    tokens: int
    truncated: bool


@dataclass(frozen=True, slots=True)
class PairsReading:
    """What a model reads of a query and its passages, `passages` in the given order.

    A model that reads the two apart gives `query` the query's own tokens. Where a model reads them
    together, each passage's reading includes the query's tokens and `query` has 0 tokens.
    """

    query: Reading
    passages: tuple[Reading, ...]
