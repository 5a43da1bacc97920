"""Texts to words as a tagger knows them, and words to windows that fit a model."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from tokenizers import Encoding, Tokenizer

from core.errors import ModelError
from inference.tokens import well_formed

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
class Word:
    """A word and where it stands: `text[start:end]` in characters."""

    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Window:
    """Part of a text that goes through the model at once.

    `tokens` are the row's numbers, special ones included; `heads[i]` is the place in the row of
    the first token of word `words[i]`, a number into the text's words.
    """

    text: int
    tokens: tuple[int, ...]
    words: tuple[int, ...]
    heads: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.tokens)


def split_words(text: str) -> tuple[Word, ...]:
    """The words of `text` in order."""
    return tuple(Word(found.group(), *found.span()) for found in _WORD.finditer(text))


def windows(
    tokenizer: Tokenizer, texts: Sequence[Sequence[str]], *, limit: int
) -> tuple[Window, ...]:
    """Each text's words in windows of at most `limit` tokens, none lost, all in order.

    A long text is cut after the last sentence that fits, or between words if none does, so that
    names are hardly ever cut. Words without tokens (control characters) are in no window.
    """
    filled = [number for number, words in enumerate(texts) if words]
    inputs = [[well_formed(word) for word in texts[number]] for number in filled]
    found = _encodings(tokenizer, inputs)
    edges = _edges(tokenizer)
    return tuple(
        window
        for number, encoding in zip(filled, found, strict=True)
        for window in _windows_of(number, texts[number], encoding, edges, limit - 2)
    )


def _encodings(tokenizer: Tokenizer, texts: Sequence[Sequence[str]]) -> list[Encoding]:
    """Each text's tokens without special ones. One text, a query, skips the batch call, which
    would hand it to a thread pool and back.
    """
    if len(texts) == 1:
        return [tokenizer.encode(texts[0], is_pretokenized=True, add_special_tokens=False)]
    return tokenizer.encode_batch(texts, is_pretokenized=True, add_special_tokens=False)


@lru_cache(maxsize=8)
def _edges(tokenizer: Tokenizer) -> tuple[int, int]:
    """The numbers of the tokens that open and close a text, whatever a tokenizer calls them;
    raises ModelError if it does not put a text between two. Kept, since finding them takes as long
    as a query's own tokens do.
    """
    ids = tokenizer.encode("").ids
    if len(ids) != 2:
        what = f"the tokenizer puts {len(ids)} tokens around a text"
        raise ModelError(what, mend="taggers need one token before a text and one after it")
    return ids[0], ids[1]


def _windows_of(
    text: int, words: Sequence[str], encoding: Encoding, edges: tuple[int, int], room: int
) -> list[Window]:
    """One text's windows, each with at most `room` tokens between the `edges`."""
    numbers = [number or 0 for number in encoding.word_ids]  # None is for special tokens
    heads = [
        place for place, number in enumerate(numbers) if place == 0 or number != numbers[place - 1]
    ]
    seen = [words[numbers[head]] for head in heads]
    ids, made, first = encoding.ids, [], 0
    while first < len(heads):
        last = _end_of_window(heads, len(ids), first, room, seen)
        begin = heads[first]
        end = heads[last] if last < len(heads) else len(ids)
        inside = heads[first:last]
        made.append(
            Window(
                text,
                (edges[0], *ids[begin : min(end, begin + room)], edges[1]),
                tuple(numbers[head] for head in inside),
                tuple(head - begin + 1 for head in inside),
            )
        )
        first = last
    return made


def _end_of_window(
    heads: Sequence[int], size: int, first: int, room: int, words: Sequence[str]
) -> int:
    """The number of the first word that is no more in the window that starts at word `first`."""
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
