"""Words to token numbers, which are kept: a tokenizer takes microseconds, and words repeat."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from core.errors import ModelError
from inference.texts.tokens import well_formed

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer

KEPT = 32_768  # words, 13 to 30 MB; a million words of news have 40,000 different ones
LONGEST_KEPT = 64  # characters; longer words hardly ever come again
WORDS_AT_ONCE = 128  # in one task of the tokenizer's threads
Pieces = tuple[int, ...]


@dataclass(slots=True)
class WordTokens:
    """The token numbers of words that were split before.

    A tokenizer then normalizes and cuts each word by itself, so its answer for a word holds in any
    text. Up to `size` words are kept; if there would be more, all are forgotten. `hits` counts the
    words that were known, `misses` those that were not. Safe to use from several threads.
    """

    tokenizer: Tokenizer
    edges: tuple[int, int]
    size: int
    hits: int = 0
    misses: int = 0
    _known: dict[str, Pieces] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def over(cls, tokenizer: Tokenizer, *, size: int = KEPT) -> WordTokens:
        """The words of a `tokenizer` that neither pads nor truncates. `edges` are the tokens that
        it puts before and after a text. Nothing is kept of a tokenizer that cuts words at random
        (BPE with dropout).

        Raises ModelError if it does not put a text between two tokens.
        """
        ids = tokenizer.encode("").ids
        if len(ids) != 2:
            what = f"the tokenizer puts {len(ids)} tokens around a text"
            raise ModelError(what, mend="taggers need one token before a text and one after it")
        model: Any = tokenizer.model
        by_chance = bool(getattr(model, "dropout", None))
        return cls(tokenizer, (ids[0], ids[1]), 0 if by_chance else size)

    def of(self, texts: Sequence[Sequence[str]]) -> list[list[Pieces]]:
        """The token numbers of each word of each text; some words, such as control characters, have
        none.
        """
        known = self._known  # it grows and may be replaced, but no entry is removed
        unknown: list[str] = []
        try:
            found = [[known[word] for word in words] for words in texts]
        except KeyError:
            unknown = [word for words in texts for word in words if word not in known]
            fresh = self._learned(list(dict.fromkeys(unknown)))
            found = [[fresh.get(word) or known.get(word, ()) for word in words] for words in texts]
        with self._lock:
            self.hits += sum(map(len, texts)) - len(unknown)
            self.misses += len(unknown)
        return found

    def _learned(self, words: Sequence[str]) -> dict[str, Pieces]:
        """The token numbers of different words by the tokenizer; they are kept."""
        fresh = dict(zip(words, self._cut([well_formed(word) for word in words]), strict=True))
        kept = {word: pieces for word, pieces in fresh.items() if len(word) <= LONGEST_KEPT}
        with self._lock:
            if len(kept) <= self.size:
                if len(self._known) + len(kept) > self.size:
                    self._known = {}
                self._known.update(kept)
        return fresh

    def _cut(self, words: Sequence[str]) -> Iterator[Pieces]:
        """The token numbers of words that a tokenizer takes."""
        parts = [words[at : at + WORDS_AT_ONCE] for at in range(0, len(words), WORDS_AT_ONCE)]
        for part, encoding in zip(parts, self._encodings(parts), strict=True):
            pieces: list[list[int]] = [[] for _ in part]
            for token, word in zip(encoding.ids, encoding.word_ids, strict=True):
                pieces[word or 0].append(token)  # None is for special tokens
            yield from map(tuple, pieces)

    def _encodings(self, parts: Sequence[Sequence[str]]) -> list[Encoding]:
        """The encodings of each part. A single part, a query's new words, skips the batch call,
        which would hand it to a thread pool and back.
        """
        if len(parts) == 1:
            found = self.tokenizer.encode(parts[0], is_pretokenized=True, add_special_tokens=False)
            return [found]
        return self.tokenizer.encode_batch(parts, is_pretokenized=True, add_special_tokens=False)
