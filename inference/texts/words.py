"""Texts to words as a tagger knows them, words to token numbers, and words to a model's windows.

The token numbers of words are kept: a tokenizer takes microseconds, and words repeat.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from core.errors import ModelError
from inference.texts.tokens import well_formed

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer

# Like the words of the corpora that taggers learn from: signs are words of their own, but
# abbreviations (U.S.), hyphens (Al-Ain), initials (J.) and names like O'Brien and AT&T stay whole.
_WORD = re.compile(
    r"(?:[^\W\d_]\.){2,}"
    r"|['’]s\b"
    r"|\d+(?:[.,:/-]\d+)*"
    r"|\w+(?:(?:[-&.]|['’](?!s\b))\w+)*"
    r"|\S"
)
_SENTENCE_END = frozenset({".", "!", "?"})


@dataclass(frozen=True, slots=True)
class Window:
    """Part of a text that goes through the model at once.

    `tokens` are the row's numbers, special ones included. `heads[i]` is the place in the row of the
    first token of word `words[i]`, which is a number into the text's words.
    """

    text: int
    tokens: tuple[int, ...]
    words: tuple[int, ...]
    heads: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.tokens)


def split_words(text: str) -> list[str]:
    """Return the words of `text` in order; nothing but white space is between them."""
    found: list[str] = _WORD.findall(text)
    return found


def places(text: str, words: Sequence[str]) -> list[tuple[int, int]]:
    """Return where each of the words that `split_words` gave stands: `text[start:end]` in
    characters.
    """
    found: list[tuple[int, int]] = []
    end = 0
    for word in words:
        start = text.find(word, end)
        end = start + len(word)
        found.append((start, end))
    return found


def windows(
    tokens: WordTokens, texts: Sequence[Sequence[str]], *, limit: int
) -> tuple[Window, ...]:
    """Return each text's words in windows of at most `limit` tokens, all of them and in order.

    A long text is cut after the last sentence that fits, or between words if none does, so that
    names are rarely cut. Words without tokens (control characters) are in no window.
    """
    rows = zip(texts, tokens.of(texts), strict=True)
    made: list[Window] = []
    for text, (words, pieces) in enumerate(rows):
        made += _windows_of(text, words, pieces, tokens.edges, limit - 2)
    return tuple(made)


def _windows_of(
    text: int, words: Sequence[str], pieces: Sequence[Pieces], edges: tuple[int, int], room: int
) -> list[Window]:
    """Return one text's windows, each with at most `room` tokens between the `edges`."""
    opening, closing = edges
    row, numbers, heads = [opening], [], []
    for number, own in enumerate(pieces):
        if own:
            numbers.append(number)
            heads.append(len(row))
            row += own
    if numbers and len(row) - 1 <= room:  # a query, and nearly every sentence
        return [Window(text, (*row, closing), tuple(numbers), tuple(heads))]
    seen = [words[number] for number in numbers]
    made, first = [], 0
    while first < len(heads):
        last = _end_of_window(heads, len(row), first, room, seen)
        begin = heads[first]
        end = heads[last] if last < len(heads) else len(row)
        tokens = (opening, *row[begin : min(end, begin + room)], closing)
        inside = tuple(head - begin + 1 for head in heads[first:last])
        made.append(Window(text, tokens, tuple(numbers[first:last]), inside))
        first = last
    return made


def _end_of_window(
    heads: Sequence[int], size: int, first: int, room: int, words: Sequence[str]
) -> int:
    """Return the number of the first word that is no more in the window that starts at word
    `first`.
    """
    if size - heads[first] <= room:
        return len(heads)
    last = first + 1
    while last < len(heads) and heads[last] - heads[first] <= room:
        last += 1
    last = max(first + 1, last - 1)
    for place in range(last, first, -1):
        if words[place - 1] in _SENTENCE_END:
            return place
    return last


KEPT = 32_768  # words, 13 to 30 MB; a million words of news have 40,000 different ones
LONGEST_KEPT = 64  # characters; longer words hardly ever come again
WORDS_AT_ONCE = 128  # words in one task of the tokenizer's threads
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
        """Return the words of a `tokenizer` that neither pads nor truncates. `edges` are the tokens
        that it puts before and after a text. Nothing is kept of a tokenizer that cuts words at
        random (BPE with dropout).

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
        """Return the token numbers of each word of each text; some words, such as control
        characters, have none.
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
        """Return the token numbers of different words by the tokenizer; they are kept."""
        fresh = dict(zip(words, self._cut([well_formed(word) for word in words]), strict=True))
        kept = {word: pieces for word, pieces in fresh.items() if len(word) <= LONGEST_KEPT}
        with self._lock:
            if len(kept) <= self.size:
                if len(self._known) + len(kept) > self.size:
                    self._known = {}
                self._known.update(kept)
        return fresh

    def _cut(self, words: Sequence[str]) -> Iterator[Pieces]:
        """Yield the token numbers of words that a tokenizer takes."""
        parts = [words[at : at + WORDS_AT_ONCE] for at in range(0, len(words), WORDS_AT_ONCE)]
        for part, encoding in zip(parts, self._encodings(parts), strict=True):
            pieces: list[list[int]] = [[] for _ in part]
            for token, word in zip(encoding.ids, encoding.word_ids, strict=True):
                pieces[word or 0].append(token)  # None is for special tokens
            yield from map(tuple, pieces)

    def _encodings(self, parts: Sequence[Sequence[str]]) -> list[Encoding]:
        """Return the encodings of each part. A single part, a query's new words, skips the batch
        call, which would hand it to a thread pool and back.
        """
        if len(parts) == 1:
            found = self.tokenizer.encode(parts[0], is_pretokenized=True, add_special_tokens=False)
            return [found]
        return self.tokenizer.encode_batch(parts, is_pretokenized=True, add_special_tokens=False)
