"""Spelling: suggests what was perhaps meant where few items or none have a word of the query.

A suggestion never changes the query. The words come from items that the caller may see
(`core.ports.Vocabulary`), so no suggestion tells of a word that only hidden items have. Quoted
phrases, fielded words, wildcards, numbers and excluded words stay as typed.

Names come first. A name that the archive knows, and a word of a name, is never doubted, however
rare it is. A misspelt name is corrected whole, as the archive writes it. A name that the archive
does not have becomes no common word: what reads as a person or a place is corrected to words of
names only, and so is a word with a capital letter where only the order of its letters differs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass

from core.callers import Caller
from core.entities import EntityLabel
from core.ports import Names, Vocabulary
from core.query_tree import Bool, Node, Word
from core.standing import SeenWord
from search.answers import FoundName
from search.understanding.misspelt_names import misspelt_names, with_names

_SHORTEST = 4  # letters; a shorter word is never doubted
_ANOTHER_LETTER = 6  # letters; in a shorter word another letter makes another word
_TWO_EDITS = 9  # letters; in a shorter word only one edit is allowed
_MOST_WORDS = 12  # in a query; longer ones are prose
_NAMES = "names"  # the text field of names, sluglines, bylines and subjects
_NEVER_WORDS = (EntityLabel.PER, EntityLabel.LOC)  # kinds of name that are corrected to names only
_WORD = re.compile(r"[^\W\d_]+")
_QUOTED = re.compile(r'("[^"]*"?)')


@dataclass(frozen=True, slots=True)
class Doubt:
    """When a word is doubted: at most `few` items have it. A word that some items have is doubted
    only for a word one edit away that `times` as many have, because a common error is in the
    archive too.
    """

    few: int = 3
    times: int = 50


class Speller:
    """Suggests other spellings from an archive's own words."""

    def __init__(
        self, archive: Vocabulary, doubt: Doubt | None = None, names: Names | None = None
    ) -> None:
        self._archive = archive
        self._doubt = doubt or Doubt()
        self._names = names

    def suggestion(
        self, query: str, tree: Node, caller: Caller, found: Sequence[FoundName] = ()
    ) -> str:
        """`query` with its doubtful words replaced, "" without a suggestion. `tree` is the parsed
        query, and `found` are the names in it.
        """
        words = list(dict.fromkeys(_bare_words(tree)))
        if not words or len(words) > _MOST_WORDS:
            return ""
        counts = self._archive.seen_counts(words, self._doubt.few, caller)
        few = {word: n for word, n in zip(words, counts, strict=True) if n <= self._doubt.few}
        if not few:
            return ""
        in_names = self._archive.seen_counts(list(few), 0, caller, _NAMES)
        few = {word: n for (word, n), named in zip(few.items(), in_names, strict=True) if not named}
        names = misspelt_names(query, few, found, self._names, caller) if few else []
        taken = {word for name in names for word in name.words}
        suggested = with_names(query, names)
        rest = {word: count for word, count in few.items() if word not in taken}
        asked = [(word, _most_edits(word, count)) for word, count in rest.items()]
        near_words = self._archive.similar_words(asked, caller) if asked else ()
        tagged = _unknown_names(found)
        for (word, count), near in zip(rest.items(), near_words, strict=True):
            better = self._better(word, count, near)
            if not better or self._is_name(word, better, tagged, caller):
                continue
            suggested = _replaced(suggested, word, better)
        return suggested if suggested != query else ""

    def _better(self, word: str, count: int, near: Sequence[SeenWord]) -> str:
        for seen in near:
            if _is_likely(word, seen) and seen.count >= count * self._doubt.times:
                return seen.text
        return ""

    def _is_name(self, word: str, better: str, tagged: Set[str], caller: Caller) -> bool:
        """Whether `word` is probably a name that the archive does not have, and `better` is a
        common word: no name has it.
        """
        if word not in tagged and not _is_capitalised_anagram(word, better):
            return False
        (named,) = self._archive.seen_counts([better], 0, caller, _NAMES)
        return not named


def _unknown_names(found: Sequence[FoundName]) -> frozenset[str]:
    """The words of the people and places in the query that the archive does not have."""
    names = [one.text for one in found if one.label in _NEVER_WORDS and one.known is None]
    return frozenset(word for name in names for word in _WORD.findall(name))


def _is_capitalised_anagram(word: str, better: str) -> bool:
    return word.istitle() and sorted(word.casefold()) == sorted(better.casefold())


def _most_edits(word: str, count: int) -> int:
    return 2 if len(word) >= _TWO_EDITS and not count else 1


def _bare_words(node: Node) -> Iterator[str]:
    """The bare words of the query that are long enough to be doubted; excluded words
    are left out.
    """
    match node:
        case Word(text, "") if text.isalpha() and len(text) >= _SHORTEST:
            yield text
        case Bool(must, should, _):
            for child in (*must, *should):
                yield from _bare_words(child)


def _is_likely(word: str, seen: SeenWord) -> bool:
    """Whether a near word may be meant. Compared with a short word, it may lack a letter, have one
    more, or have them in another order; with another letter in it ("cops", "cope") it is probably
    another word.
    """
    text, typed = seen.text.casefold(), word.casefold()
    if text == typed or not text.isalpha() or len(text) < _SHORTEST:
        return False
    if len(typed) >= _ANOTHER_LETTER:
        return True
    return len(text) != len(typed) or sorted(text) == sorted(typed)


def _replaced(query: str, word: str, better: str) -> str:
    """`query` with `word` replaced where it stands outside quotes and names no field."""
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
    rest = better[1:]  # capitals come from a story's dateline
    return better[:1].upper() + (rest.lower() if better.isupper() else rest)
