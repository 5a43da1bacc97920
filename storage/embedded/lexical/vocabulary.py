"""The index's own words that a caller may see: `core.ports.engine.Vocabulary`.

The term dictionary is of the whole archive, hidden items included. So a word is returned only if
the caller may now see an item with it, and its count is of such items.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from threading import Lock
from time import monotonic

import numpy as np
import numpy.typing as npt
from rapidfuzz import process
from rapidfuzz.distance import OSA

from core.callers import Caller
from core.query_tree import EVERYTHING, Keyword, Node, Word
from core.retrieval import Ids
from core.standing import SeenWord
from storage.embedded.lexical.reader import LexicalReader
from storage.words.analysis import analyzer
from storage.words.written_words import nearest_first

Mask = npt.NDArray[np.bool_]
COUNTED = 1000  # items with a word are counted up to this number
_FIRST_LOOK = 16  # items to read first, enough for most words
_WALKED = 200_000  # of the terms with one prefix, the commonest are read
_SHORTLIST = 24  # near terms for which this checks whether the caller sees one
_ENOUGH = 6  # near words that are returned
_KEPT_S = 60.0
_GROWN = 0.01  # terms are read again after the archive changes by this share


@dataclass(frozen=True, slots=True)
class _Terms:
    """Terms with the same first letter, by length, and the document frequency of each."""

    by_length: Mapping[int, tuple[list[str], list[int]]]
    documents: int
    read_at: float


@dataclass(frozen=True, slots=True)
class Seen:
    """What a caller may see (bool by seq), and whether that is all that is indexed: then the
    index's own frequencies hold for the caller.
    """

    allowed: Mask
    everything: bool


class Dictionary:
    """The index's terms by first letter, read when they are needed and kept for a while. They only
    say what to look for; visibility is checked each time. Thread-safe.
    """

    def __init__(self) -> None:
        self._letters: dict[str, _Terms] = {}
        self._lock = Lock()

    def near(self, reader: LexicalReader, folded: str, most: int) -> Iterator[tuple[str, int]]:
        """Yield terms at most `most` edits from `folded` that begin with its first or second
        letter, the nearest and then the commonest first, with the number of edits.
        """
        near: list[tuple[int, bool, int, str]] = []
        for letter in dict.fromkeys(folded[:2]):
            terms = self._terms(reader, letter).by_length
            for length in range(len(folded) - most, len(folded) + most + 1):
                same = terms.get(length)
                if same is not None:
                    near += _near(folded, same, most)
        for distance, _, _, term in sorted(near):
            if term != folded and not reader.is_common(term):
                yield term, distance

    def _terms(self, reader: LexicalReader, letter: str) -> _Terms:
        with self._lock:
            known = self._letters.get(letter)
            documents = reader.documents
            if known is None or _is_old(known, documents):
                known = _Terms(_by_length(reader, letter), documents, monotonic())
                self._letters[letter] = known
            return known


def counts(
    reader: LexicalReader, words: Sequence[Word], few: int, caller: Caller, seen: Seen
) -> tuple[int, ...]:
    """Return in how many allowed items a search finds each word: exact up to `few`, else at least
    `few` + 1. A stop word counts COUNTED.
    """
    kept = reader.seen_counts(seen.allowed)
    found = []
    for word in words:
        count = kept.get((word, few))
        if count is None:
            is_common = reader.is_common(word.text)
            count = COUNTED if is_common else _count(reader, word, few, caller, seen)
            kept[word, few] = count
        found.append(count)
    return tuple(found)


def similar(
    dictionary: Dictionary,
    reader: LexicalReader,
    word: str,
    most: int,
    caller: Caller,
    seen: Seen,
) -> tuple[tuple[SeenWord, int], ...]:
    """Return a few words at most `most` edits from `word`, the nearest and then the commonest
    first, each with an allowed item that has it.
    """
    folded = "".join(analyzer("und").analyze(word))
    if len(folded) < 2:
        return ()
    found: list[tuple[SeenWord, int]] = []
    for place, (term, distance) in enumerate(dictionary.near(reader, folded, most)):
        ids = _allowed(reader.written(term, _held(caller, seen), COUNTED), seen.allowed)
        if len(ids):
            found.append((SeenWord(term, len(ids), distance), int(ids[0])))
        if len(found) >= _ENOUGH or place >= _SHORTLIST:
            break
    found.sort(key=lambda pair: nearest_first(folded, pair[0]))
    return tuple(found)


def _by_length(reader: LexicalReader, letter: str) -> dict[int, tuple[list[str], list[int]]]:
    found: dict[int, dict[str, int]] = {}
    for term, count in reader.words_beginning(letter, _WALKED):
        same = found.setdefault(len(term), {})
        same[term] = max(count, same.get(term, 0))
    return {length: (list(same), list(same.values())) for length, same in found.items()}


def _near(
    folded: str, terms: tuple[list[str], list[int]], most: int
) -> Iterator[tuple[int, bool, int, str]]:
    """Yield sort keys of near terms: the edits, whether the first letter differs, the negated
    frequency, the term. `terms` are lists, so that nothing is computed for terms that are not near.
    """
    names, totals = terms
    hits = process.extract(folded, names, scorer=OSA.distance, score_cutoff=most, limit=None)
    for term, distance, place in hits:
        yield int(distance), term[:1] != folded[:1], -totals[place], term


def _is_old(known: _Terms, documents: int) -> bool:
    """Return whether to read terms again: after a while, or at once if much was written."""
    if documents == known.documents:
        return False
    grown = abs(documents - known.documents) > _GROWN * known.documents
    return grown or monotonic() - known.read_at > _KEPT_S


def _count(reader: LexicalReader, word: Word, few: int, caller: Caller, seen: Seen) -> int:
    # The index counts killed items until their segment is merged, but this many items are never all
    # killed.
    if seen.everything and not word.field and reader.frequency(word.text) > COUNTED:
        return COUNTED
    found = 0
    for limit in (max(_FIRST_LOOK, 2 * few), COUNTED):
        ids = reader.some(word, _held(caller, seen), limit)
        found = len(_allowed(ids, seen.allowed))
        if found > few or len(ids) < limit:
            break
    return found


def _held(caller: Caller, seen: Seen) -> Node:
    """Return the caller's products as a filter; no filter if the caller sees everything."""
    if seen.everything:
        return EVERYTHING
    return Keyword("product", tuple(sorted(caller.products)))


def _allowed(ids: Ids, allowed: Mask) -> Ids:
    ids = ids[ids < len(allowed)]
    shown: Ids = ids[allowed[ids]]
    return shown
