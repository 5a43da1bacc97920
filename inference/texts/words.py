"""Texts to words as a tagger knows them, and words to windows that fit a model."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from inference.texts.word_tokens import Pieces, WordTokens

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
    """The words of `text` in order; nothing but white space is between them."""
    found: list[str] = _WORD.findall(text)
    return found


def places(text: str, words: Sequence[str]) -> list[tuple[int, int]]:
    """Where each of the words that `split_words` gave stands: `text[start:end]` in characters."""
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
    """Each text's words in windows of at most `limit` tokens, all of them and in order.

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
    """One text's windows, each with at most `room` tokens between the `edges`."""
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
