"""Patterns that find every keyword a few edits from a word; `storage.words.names.NearWords` then
checks what they find.

A word is cut into k + 1 parts with one letter between them. Each edit, even a swap of neighbours,
touches at most one part. So after at most k edits one part is unchanged, at most k places from its
old place (the pigeonhole principle; Wu and Manber, Fast text searching allowing errors, 1992). Each
part gives one regular expression. Together they find more than the near words and miss none.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from storage.opensearch.seen import literal
from storage.record.facts import LINK
from storage.words.names import most_edits
from storage.words.sounds import CLASSES, SHORTEST, VOWELS, sound_of

_SIGN = f"[^{LINK}]"  # any sign but LINK, which ends the key


def near_patterns(word: str) -> tuple[str, ...]:
    """Return Lucene regular expressions for keywords that begin with a word similar to `word`, with
    the same first letter, and then LINK; none if `word` is too short for edits.
    """
    edits = most_edits(len(word))
    return tuple(_around(word, start, stop, edits) for start, stop in _parts(len(word), edits))


def sounding_pattern(word: str) -> str:
    """Return the Lucene regular expression for keywords that begin with a word that sounds like
    `word`, and then LINK; "" if `word` is too short to sound like others.
    """
    if len(word) < SHORTEST:
        return ""
    sound = sound_of(word)
    found = _class(sound[0])
    for before, kind in pairwise(sound):
        found += f"[{VOWELS}]{'+' if before == kind else '*'}{_class(kind)}"
    return f"{found}[{VOWELS}]*{LINK}.*"


def _class(kind: str) -> str:
    return f"[{kind}]+" if kind == VOWELS or kind in CLASSES else f"{literal(kind)}+"


def _parts(length: int, edits: int) -> Iterator[tuple[int, int]]:
    """Yield where the parts begin and end, as long as possible; none without edits."""
    if not edits:
        return
    letters, longer = divmod(length - edits, edits + 1)
    start = 0
    for part in range(edits + 1):
        stop = start + letters + (part < longer)
        yield start, stop
        start = stop + 1


def _around(word: str, start: int, stop: int, edits: int) -> str:
    part, rest = literal(word[start:stop]), len(word) - stop
    after = f"{_between(rest - edits, rest + edits)}{LINK}.*"
    first, found = literal(word[0]), []
    if start <= edits and word[start] == word[0]:
        found.append(f"{part}{after}")
    if start + edits > 0:
        before = _between(max(start - edits, 1) - 1, start + edits - 1)
        found.append(f"{first}{before}{part}{after}")
    return "|".join(found)


def _between(least: int, most: int) -> str:
    return f"{_SIGN}{{{max(least, 0)},{most}}}"
