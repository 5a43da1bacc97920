"""The ports of the models, for the rooms that use them; `core.ports` has the engine's ports."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from core.entities import Entity
from core.items import FloatMatrix, Item, PassageVectors
from core.reading import PairsReading, Reading


class TextEncoder(Protocol):
    """Turns texts into unit vectors of one space."""

    @property
    def name(self) -> str: ...

    @property
    def digest(self) -> str:
        """sha256 over the model's files: it names the space of the vectors."""
        ...

    @property
    def dimension(self) -> int: ...

    def encode_queries(self, texts: Sequence[str]) -> FloatMatrix:
        """float32 [n, d], rows of unit norm."""
        ...

    def encode_passages(self, texts: Sequence[str]) -> FloatMatrix:
        """float32 [n, d], rows of unit norm."""
        ...


@runtime_checkable
class TruncatingEncoder(Protocol):
    """A TextEncoder that says which queries it does not read to the end."""

    def truncated(self, texts: Sequence[str]) -> tuple[bool, ...]:
        """For each text, whether it is longer than the model reads. The check is free for short
        texts.
        """
        ...


class Tagger(Protocol):
    """Finds people, organisations, places and other names."""

    def tag(self, texts: Sequence[str]) -> tuple[tuple[Entity, ...], ...]: ...


class PairScorer(Protocol):
    """Scores (query, passage) pairs; higher is more relevant."""

    def score(self, queries: Sequence[str], passages: Sequence[str]) -> FloatMatrix:
        """float32 [n, 1] for the n pairs (queries[i], passages[i])."""
        ...


class TextMeter(Protocol):
    """Counts and cuts texts by a model's own tokens, without running the model."""

    def measure(self, texts: Sequence[str], *, queries: bool = False) -> tuple[Reading, ...]:
        """What the model reads of each text, as a query or as a passage."""
        ...

    def measure_pairs(
        self, query: str, passages: Sequence[str], *, limit: int | None = None
    ) -> PairsReading:
        """What the model reads of `query` and each passage within `limit` tokens."""
        ...

    def cut(self, texts: Sequence[str], limit: int) -> tuple[str, ...]:
        """Each text up to the end of its token number `limit`, special ones not counted."""
        ...


class TextAnalysis(Protocol):
    """The engine's view of a text as index terms, for highlights and spelling."""

    def terms(self, text: str, language: str) -> tuple[str, ...]: ...

    def is_stop_word(self, word: str, language: str) -> bool:
        """Whether the word is too common in the language to rank by."""
        ...


class Embedder(Protocol):
    """Cuts items into passages and embeds them, one entry per vector field."""

    def embed(self, items: Sequence[Item]) -> tuple[tuple[PassageVectors, ...], ...]: ...
