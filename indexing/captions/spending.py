"""The costs of captions, and a cap for each day.

The price of a call is reserved before it is made and corrected by the provider's count. The
reservation is durable first, so a process that is killed in between has recorded too much, never
too little. Days are in UTC.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

from indexing.captions.prompt import INSTRUCTIONS, MOST_TOKENS

IMAGE_TOKENS = 1_600  # before a provider has counted one; 768 x 768 is 750 to 1,500 for most
_MOST_IMAGE_TOKENS = 100_000
_FRAME_TOKENS = 200  # the schema, and what providers add to messages
_MILLION = 1e6


class SpendBook(Protocol):
    """Keeps spending by day for every process of an archive. Amounts are in the prices' currency;
    both writes are durable when they return, and raise StorageError if they fail.
    """

    def reserve(self, key: str, day: str, amount: float, most: float) -> bool:
        """Reserve `amount` for `key` unless the day's sum would pass `most`, in one step."""
        ...

    def settle(self, key: str, amount: float) -> bool:
        """Replace the reservation of `key` by `amount`; a second time changes nothing, and returns
        False.
        """
        ...

    def spent(self, day: str) -> float:
        """Return the day's sum of settled and reserved amounts."""
        ...


@dataclass(frozen=True, slots=True)
class Prices:
    """Prices of a million tokens, in and out, and the share of them that a batch costs."""

    tokens_in: float = 0.0
    tokens_out: float = 0.0
    batch: float = 0.5

    def of(self, tokens_in: int, tokens_out: int) -> float:
        """Return the price of a call."""
        return (tokens_in * self.tokens_in + tokens_out * self.tokens_out) / _MILLION


@dataclass(frozen=True, slots=True)
class Usage:
    """The tokens that a provider counted for one call."""

    tokens_in: int
    tokens_out: int


@dataclass(slots=True)
class TokenEstimate:
    """The most tokens that a call may take, estimated before it is made. Thread-safe.

    Texts count a token for two bytes, more than tokenizers need in most languages. Providers count
    a picture differently, from 250 to 25,000: the largest count seen is assumed.
    """

    image: int = IMAGE_TOKENS
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def before(self, text: str) -> Usage:
        """Return the most that a call with this text and one picture is expected to take."""
        return Usage(_text_tokens(text) + self.image, MOST_TOKENS)

    def learn(self, text: str, used: Usage) -> None:
        """Update the estimate with a call's real tokens."""
        image = min(used.tokens_in - _text_tokens(text), _MOST_IMAGE_TOKENS)
        with self._lock:
            self.image = max(self.image, image)


def _text_tokens(text: str) -> int:
    return _FRAME_TOKENS + (len(INSTRUCTIONS.encode()) + len(text.encode("utf-8", "replace"))) // 2


@dataclass(frozen=True, slots=True)
class Spending:
    """The day's cap over a book. If `most` is None there is no cap; spending is still recorded."""

    book: SpendBook
    prices: Prices
    most: float | None
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)

    def reserve(self, amount: float, key: str = "") -> str | None:
        """Reserve `amount` and return its key; None if that would pass the day's cap."""
        key = key or uuid.uuid4().hex
        most = float("inf") if self.most is None else self.most
        return key if self.book.reserve(key, self.today, amount, most) else None

    def room(self) -> float:
        """Return the amount that may still be spent today."""
        if self.most is None:
            return float("inf")
        return max(0.0, self.most - self.book.spent(self.today))

    @property
    def today(self) -> str:
        """Today's date in UTC, as 2026-03-18."""
        return self.clock().astimezone(UTC).date().isoformat()
