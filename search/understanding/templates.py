"""Turns the groups of words and the templates of `core.languages` into patterns and tables.

Accents may be left out, and German umlauts written with "e": "märz" is also "marz" and "maerz".
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import TypeVar

Value = TypeVar("Value")

_UMLAUTS = {"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss"}
_SIGNS = {
    "(": "(?:",
    "[": "(?:",
    "]": ")?",
    " ": r"\s+",
    "'": "['’]",
    ".": r"\.",
    "&": "&",
}
_INNERMOST = re.compile(r"\(([^()\[\]]*)\)|\[([^()\[\]]*)\]")
_NAMED = re.compile(r"\{(\w+)\}")
ENDED = r"(?:(?<=['’])|(?!\w))"  # after a word, or after an apostrophe


def words_of(group: str) -> list[str]:
    """Return the words of a group, with a blank for each "_"."""
    return [word.replace("_", " ") for word in group.split()]


def spellings(word: str) -> tuple[str, ...]:
    """Return a word with its accents, without them, and with umlauts written as two letters."""
    two = "".join(_UMLAUTS.get(letter, letter) for letter in word)
    return tuple(dict.fromkeys((word, _bare(word), two, _bare(two))))


def spelt(group: str) -> list[str]:
    """Return each spelling of each word of a group."""
    return [spelling for word in words_of(group) for spelling in spellings(word)]


def table(groups: Mapping[Value, str]) -> dict[str, Value]:
    """Return each spelling of each word of the groups, with the group's key."""
    return {spelling: value for value, group in groups.items() for spelling in spelt(group)}


def any_of(words: Iterable[str]) -> str:
    """Return a pattern that matches any of the words, longest first."""
    longest = sorted(set(words), key=lambda word: (-len(word), word))
    return "|".join(re.escape(word).replace(r"\ ", r"\s+").replace("'", "['’]") for word in longest)


def pattern(template: str, groups: Mapping[str, str] | None = None) -> str:
    """Return the pattern of a template; `groups` are the patterns of what stands in braces."""
    pieces = _NAMED.split(template)
    own = groups or {}
    return "".join(own[piece] if n % 2 else _plain(piece) for n, piece in enumerate(pieces))


def ways(template: str) -> list[str]:
    """Return every text that a template stands for."""
    found = _INNERMOST.search(template)
    if found is None:
        return [template]
    either, left_out = found.groups()
    choices = either.split("|") if either is not None else ["", *left_out.split("|")]
    before, after = template[: found.start()], template[found.end() :]
    return [way for choice in choices for way in ways(f"{before}{choice}{after}")]


def any_template(templates: Iterable[str]) -> str:
    """Return a pattern that matches any of the templates, longest first."""
    return "|".join(map(pattern, sorted(templates, key=len, reverse=True)))


def _plain(text: str) -> str:
    return "".join(_SIGNS.get(sign) or _letter(sign) for sign in text)


def _letter(sign: str) -> str:
    if sign.isascii():
        return sign
    ways = spellings(sign)
    return sign if len(ways) == 1 else f"(?:{'|'.join(ways)})"


def _bare(word: str) -> str:
    """Return a word without accents."""
    letters = unicodedata.normalize("NFD", word)
    return "".join(letter for letter in letters if not unicodedata.combining(letter))
