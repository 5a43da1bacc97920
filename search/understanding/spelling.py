"""Spelling: what was perhaps meant, where a word of the query is in few items or none.

A suggestion, never a change. The words come from what the caller may see (`core.ports.Vocabulary`),
so no suggestion tells of a word that only hidden items hold. Quoted phrases, fielded words,
wildcards, numbers and what is excluded are left as they are typed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from core.callers import Caller
from core.ports import Vocabulary
from core.query_tree import Bool, Node, Word
from core.standing import SeenWord

_SHORTEST = 4  # letters of a word that is doubted
_ANOTHER_LETTER = 6  # letters from which on one may be another: shorter, it makes another word
_TWO_EDITS = 9  # letters from which on two may be wrong
_MOST_WORDS = 12  # of a query that is looked at; longer ones are prose
_QUOTED = re.compile(r'("[^"]*"?)')


@dataclass(frozen=True, slots=True)
class Doubt:
    """When a word is doubted: at most `few` items hold it. One that some hold is doubted only for
    a word one edit away that `times` as many hold: a common error is in the archive too.
    """

    few: int = 3
    times: int = 50


class Speller:
    """Suggests other spellings from an archive's own words."""

    def __init__(self, archive: Vocabulary, doubt: Doubt | None = None) -> None:
        self._archive = archive
        self._doubt = doubt or Doubt()

    def suggestion(self, query: str, tree: Node, caller: Caller) -> str:
        """`query` with its doubtful words replaced, "" where there is nothing to suggest. `tree` is
        what the query was read as.
        """
        words = list(dict.fromkeys(_bare_words(tree)))
        if not words or len(words) > _MOST_WORDS:
            return ""
        counts = self._archive.seen_counts(words, self._doubt.few, caller)
        few = {word: n for word, n in zip(words, counts, strict=True) if n <= self._doubt.few}
        if not few:
            return ""
        asked = [(word, _most_edits(word, count)) for word, count in few.items()]
        found = self._archive.similar_words(asked, caller)
        suggested = query
        for (word, count), near in zip(few.items(), found, strict=True):
            if better := self._better(word, count, near):
                suggested = _replaced(suggested, word, better)
        return suggested if suggested != query else ""

    def _better(self, word: str, count: int, near: Sequence[SeenWord]) -> str:
        for seen in near:
            if _is_likely(word, seen) and seen.count >= count * self._doubt.times:
                return seen.text
        return ""


def _most_edits(word: str, count: int) -> int:
    return 2 if len(word) >= _TWO_EDITS and not count else 1


def _bare_words(node: Node) -> Iterator[str]:
    """The words that were typed as words and ask to be found."""
    match node:
        case Word(text, "") if text.isalpha() and len(text) >= _SHORTEST:
            yield text
        case Bool(must, should, _):
            for child in (*must, *should):
                yield from _bare_words(child)


def _is_likely(word: str, seen: SeenWord) -> bool:
    """Whether a near word may be meant. In a short word a letter is missing, too many or out of its
    place; with another letter in it ("cops", "cope") it is likely another word.
    """
    text, typed = seen.text.casefold(), word.casefold()
    if text == typed or not text.isalpha() or len(text) < _SHORTEST:
        return False
    if len(typed) >= _ANOTHER_LETTER:
        return True
    return len(text) != len(typed) or sorted(text) == sorted(typed)


def _replaced(query: str, word: str, better: str) -> str:
    """`query` with `word` replaced where it stands outside of quotes and names no field."""
    pattern = re.compile(rf"(?<![\w:]){re.escape(word)}(?![\w:*~])")
    parts = _QUOTED.split(query)
    return "".join(
        part if part.startswith('"') else pattern.sub(lambda _: _cased(word, better), part)
        for part in parts
    )


def _cased(word: str, better: str) -> str:
    """`better` in the case that `word` was typed in."""
    if word.islower():
        return better.lower()
    if word.isupper():
        return better.upper()
    rest = better[1:]  # in capitals where a story's place line was looked at
    return better[:1].upper() + (rest.lower() if better.isupper() else rest)
