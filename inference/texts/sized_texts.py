"""Texts of an exact number of tokens, for measuring, of words from a model's own vocabulary."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.errors import InputError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

QUERY_TOKENS = 6  # tokens of a pair's query, or a third of the pair if that is less
_LEAST_LETTERS = 3
_MARKS = "▁Ġ"  # before a word's first piece, in SentencePiece's and in byte-level vocabularies
_ENOUGH = 2000  # words to draw from


@dataclass(frozen=True, slots=True)
class SizedPairs:
    """As many queries as passages; the query is the same in all pairs."""

    queries: list[str]
    passages: list[str]


def sized_texts(
    tokenizer: Tokenizer, count: int, tokens: int, *, prefix: str = "", seed: int = 1
) -> list[str]:
    """Return `count` texts of `tokens` tokens each, with special tokens and those of `prefix`.

    Raises InputError if no such text can be made.
    """
    words = _Words(tokenizer, seed)
    return [
        words.text(tokens, lambda text: len(tokenizer.encode(prefix + text))) for _ in range(count)
    ]


def sized_pairs(tokenizer: Tokenizer, count: int, tokens: int, *, seed: int = 1) -> SizedPairs:
    """Return `count` pairs of `tokens` tokens each when they are put together, with special tokens.

    Raises InputError if no such pair can be made.
    """
    words = _Words(tokenizer, seed)
    special = len(tokenizer.encode(""))
    own = max(1, min(QUERY_TOKENS, tokens // 3))
    query = words.text(own + special, lambda text: len(tokenizer.encode(text)))
    passages = [
        words.text(tokens, lambda text: len(tokenizer.encode(query, text))) for _ in range(count)
    ]
    return SizedPairs([query] * count, passages)


class _Words:
    """Draws words that are one token each."""

    def __init__(self, tokenizer: Tokenizer, seed: int) -> None:
        self._words = _whole_words(tokenizer)
        self._chance = random.Random(seed)  # noqa: S311 - for samples, not for secrets

    def text(self, tokens: int, count: Callable[[str], int]) -> str:
        """Return a text for which `count` gives `tokens`. The missing words are added, then the
        text is corrected, because some vocabularies split a text's first word in another way.
        """
        chosen: list[str] = []
        for _ in range(8):
            missing = tokens - count(" ".join(chosen))
            if not missing and chosen:
                return " ".join(chosen)
            if not self._words:
                break
            more = [self._chance.choice(self._words) for _ in range(missing)]
            chosen = [*chosen, *more] if missing > 0 else chosen[:missing]
        raise InputError(
            f"no text of {tokens} tokens can be made of the model's vocabulary",
            mend="some tokens are the model's own marks: ask for more",
        )


def _whole_words(tokenizer: Tokenizer) -> list[str]:
    """Return words of the vocabulary, by rising number, that are one token each."""
    vocabulary = sorted(tokenizer.get_vocab().items(), key=lambda entry: entry[1])
    special = len(tokenizer.encode(""))
    found: list[str] = []
    for piece, _ in vocabulary:
        word = piece.strip(_MARKS)
        plain = word.isascii() and word.isalpha() and word.islower() and len(word) >= _LEAST_LETTERS
        if plain and len(tokenizer.encode(f"{word} {word}")) == 2 + special:
            found.append(word)
        if len(found) == _ENOUGH:
            break
    return found
