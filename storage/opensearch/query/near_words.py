"""Patterns that find every keyword a few edits from a word, for `storage.words.names.NearWords` to
judge.

At most k edits leave one of k + 1 parts of a word whole and at most k places from where it was, if
there is a letter between each two parts: so that an edit, a swap of neighbours too, touches one of
them at most (the pigeonhole principle; Wu and Manber, Fast text searching allowing errors, 1992).
Each part is one regular expression, which finds more than what is near and misses nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

from storage.opensearch.seen import literal
from storage.record.facts import LINK
from storage.words.names import most_edits

_SIGN = f"[^{LINK}]"  # any but what ends the key


def near_patterns(word: str) -> tuple[str, ...]:
    """Lucene regular expressions for keywords that begin with something like `word`, its first
    letter the same, and LINK behind it; none for a word too short to be mistaken.
    """
    edits = most_edits(len(word))
    return tuple(_around(word, start, stop, edits) for start, stop in _parts(len(word), edits))


def _parts(length: int, edits: int) -> Iterator[tuple[int, int]]:
    """Where the parts begin and end, as long as they can be; none without edits."""
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
