"""How both engines read the words of a query, before each compiles them in its own way: which terms
a word may be, in which fields to search them, and what each adds to a score.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from core.query_tree import Node
from core.retrieval import LexicalWeights
from storage.words.machine_words import MachineWords
from storage.words.query_words import terms_of, text_readings
from storage.words.stop_words import is_stop_word
from storage.words.word_pairs import WordPair, word_pairs

WHOLE, LOOSE = 0, -1  # slop of a word of several terms: side by side, or any of them
SILENT = MachineWords(0, lambda _field, _term: 0)
_SHORTEST_PREFIX = 2


@dataclass(frozen=True, slots=True)
class QueryReadings:
    """Reads the words of queries. A word has a reading in each of `languages` (those of the
    archive's items); the scores of its readings are not added up. The stop words of the `main`
    languages are left out of lists of optional words. `weights` say what is added to a word's
    score; `machine` scores machines' words.
    """

    languages: tuple[str, ...]
    main: tuple[str, ...]
    weights: LexicalWeights
    machine: MachineWords

    def of(self, text: str) -> list[tuple[str, ...]]:
        """Return the readings of a word or a phrase that have terms, as tuples of terms."""
        return text_readings(text, self.languages)

    def telling(self, terms: Sequence[str]) -> Sequence[str]:
        """Return the terms without stop words, or all if they are all stop words."""
        return [term for term in terms if not is_stop_word(term, self.main)] or terms

    @property
    def fields(self) -> list[tuple[str, float]]:
        """The fields to search for a word without a field, besides that of all text, with their
        weights.
        """
        return [(name, weight) for name, weight in self.weights.fields.items() if weight > 0]

    @property
    def machine_weight(self) -> float:
        """The weight of machines' words in the score of a word without a field. At 0 they still
        match, because matching does not depend on the profile.
        """
        return max(0.0, self.weights.machine)

    def said(self, terms: Sequence[str], slop: int) -> list[tuple[Sequence[str], float]]:
        """Return the terms that machines' texts have, with their scores: one by one if `slop` is
        LOOSE, else all together.
        """
        wholes = [[term] for term in self.telling(terms)] if slop == LOOSE else [terms]
        scored = [(whole, self.machine.score(whole)) for whole in wholes]
        return [(whole, score) for whole, score in scored if score > 0]

    def pairs(self, query: Node) -> Iterator[tuple[tuple[WordPair, ...], int, float]]:
        """Yield pairs of neighbouring words of the query in their readings, each with a slop and
        the weight that it adds if the words are that close.
        """
        kinds = [(0, self.weights.phrase), (self.weights.slop, self.weights.proximity)]
        used = [(slop, weight) for slop, weight in kinds if weight > 0]
        if not used:
            return
        for pair in word_pairs(query, self.languages, self.main):
            for slop, weight in used:
                yield pair, slop, weight

    def beginning(self, text: str) -> tuple[str, ...]:
        """Return the unstemmed words of a prefix, the last one cut short; none if too short."""
        words = terms_of(text, "und")
        return words if len("".join(words)) >= _SHORTEST_PREFIX else ()
