"""The ports of the models, and what goes through them.

Besides texts and arrays that is: the limits of a scorer in time and length, the scores that it
gives within them, and how much of a text a model reads.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from core.entities import Entity
from core.items import FloatMatrix, Item, PassageVectors


@dataclass(frozen=True, slots=True)
class Reading:
    """How a model reads one text. `tokens` counts what it reads, special tokens included;
    `truncated` says that the text is longer.
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


@dataclass(frozen=True, slots=True)
class PassageScores:
    """`scores` are float32 [n, 1] in the given order. A passage has NaN if time did not suffice or
    the model failed at it; `failure` is then the class of the first error.

    `truncated` counts the passages that lost their end to `tokens`, the limit in force;
    `query_truncated` says whether the query did.
    """

    scores: FloatMatrix
    truncated: int
    tokens: int
    failure: str = ""
    query_truncated: bool = False


@dataclass(frozen=True, slots=True)
class ScoreLimits:
    """The limits of a scorer. `until` is a reading of `time.perf_counter`: pairs without a score by
    then are left out, but those that entered the model at once get one. None waits for all. At most
    `tokens` of a pair are read, and never more than the model can read.
    """

    until: float | None = None
    tokens: int | None = None


NO_LIMITS = ScoreLimits()

Told = Callable[[PassageScores], None]
"""Gets the scores that are ready; called from any thread, and must not take long."""


@runtime_checkable
class BoundedScorer(Protocol):
    """A PairScorer that can stop in time and reports what it did not read."""

    def score_within(
        self,
        query: str,
        passages: Sequence[str],
        limits: ScoreLimits = NO_LIMITS,
        told: Told | None = None,
    ) -> PassageScores:
        """Return the scores of `passages` for `query`, within `limits`; higher is more relevant.

        `told` gets the scores as soon as there are more of them, so that a caller who stops at
        `limits.until` has the scores that were ready. Each call gets a new array. Raises BusyError
        if too much waits for the model already.
        """
        ...


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
        """Return float32 [n, d], rows of unit norm."""
        ...

    def encode_passages(self, texts: Sequence[str]) -> FloatMatrix:
        """Return float32 [n, d], rows of unit norm."""
        ...


@runtime_checkable
class TruncatingEncoder(Protocol):
    """A TextEncoder that says which queries it does not read to the end."""

    def truncated(self, texts: Sequence[str]) -> tuple[bool, ...]:
        """Return, for each text, whether it is longer than the model reads. The check is free for
        short texts.
        """
        ...


class Tagger(Protocol):
    """Finds people, organisations, places and other names."""

    def tag(self, texts: Sequence[str]) -> tuple[tuple[Entity, ...], ...]: ...


class PairScorer(Protocol):
    """Scores (query, passage) pairs; higher is more relevant."""

    def score(self, queries: Sequence[str], passages: Sequence[str]) -> FloatMatrix:
        """Return float32 [n, 1] for the n pairs (queries[i], passages[i])."""
        ...


class TextMeter(Protocol):
    """Counts and cuts texts by a model's own tokens, without running the model."""

    def measure(self, texts: Sequence[str], *, queries: bool = False) -> tuple[Reading, ...]:
        """Return what the model reads of each text, as a query or as a passage."""
        ...

    def measure_pairs(
        self, query: str, passages: Sequence[str], *, limit: int | None = None
    ) -> PairsReading:
        """Return what the model reads of `query` and each passage within `limit` tokens."""
        ...

    def cut(self, texts: Sequence[str], limit: int) -> tuple[str, ...]:
        """Return each text up to the end of its token number `limit`, special ones not counted."""
        ...


@dataclass(frozen=True, slots=True)
class Token:
    """One token of a text: its `number` in the vocabulary, and the characters `start` to `end`.
    A `special` one stands for no characters, and `text` is its name in the vocabulary.
    """

    number: int
    text: str
    special: bool
    start: int
    end: int


class TokenizingMeter(TextMeter, Protocol):
    """A TextMeter that also shows the tokens themselves."""

    def tokens(
        self, texts: Sequence[str], *, special: bool = True
    ) -> tuple[tuple[Token, ...], ...]:
        """Return all tokens of each text, with the special ones around it or without."""
        ...

    def text_of(self, numbers: Sequence[int], *, special: bool = False) -> str:
        """Return the text of token numbers, with special tokens or without. Raises InputError for
        a number that the vocabulary does not have.
        """
        ...

    def ending(self, texts: Sequence[str]) -> tuple[str, ...]:
        """Return the end of each text that the model reads whole; a text that fits as it is."""
        ...


class TextAnalysis(Protocol):
    """The engine's view of a text as index terms, for highlights and spelling."""

    def terms(self, text: str, language: str) -> tuple[str, ...]: ...

    def is_stop_word(self, word: str, language: str) -> bool:
        """Return whether the word is too common in the language to rank by."""
        ...


class Embedder(Protocol):
    """Cuts items into passages and embeds them, one entry per vector field."""

    def embed(self, items: Sequence[Item]) -> tuple[tuple[PassageVectors, ...], ...]: ...
