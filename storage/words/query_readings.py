"""How both engines read the words of a query before each compiles them in its own terms: which
terms a word may be, where they are looked for, and what each adds to a score.
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
    """A word means what it means in any of `languages` (those that the archive holds); scores of
    its readings are not added up. The stop words of the `main` ones are left out of lists of
    optional words. `weights` say what is added to a word's score, and `machine` what a machine's
    words count.
    """

    languages: tuple[str, ...]
    main: tuple[str, ...]
    weights: LexicalWeights
    machine: MachineWords

    def of(self, text: str) -> list[tuple[str, ...]]:
        """The terms of a word or a phrase, in each of its readings that has some."""
        return text_readings(text, self.languages)

    def telling(self, terms: Sequence[str]) -> Sequence[str]:
        """The terms without stop words, unless there is nothing else."""
        return [term for term in terms if not is_stop_word(term, self.main)] or terms

    @property
    def fields(self) -> list[tuple[str, float]]:
        """Where a bare word is looked for besides the field of all text, and what that adds."""
        return [(name, weight) for name, weight in self.weights.fields.items() if weight > 0]

    @property
    def machine_weight(self) -> float:
        """What a machine's words count in a bare word's score. At 0 they still match: what an item
        says does not depend on the profile.
        """
        return max(0.0, self.weights.machine)

    def said(self, terms: Sequence[str], slop: int) -> list[tuple[Sequence[str], float]]:
        """The terms as machines say them, one by one where they are loose, each with its score;
        without those that no machine says.
        """
        wholes = [[term] for term in self.telling(terms)] if slop == LOOSE else [terms]
        scored = [(whole, self.machine.score(whole)) for whole in wholes]
        return [(whole, score) for whole, score in scored if score > 0]

    def pairs(self, query: Node) -> Iterator[tuple[tuple[WordPair, ...], int, float]]:
        """Neighbouring words of the query, each in its readings, with the slop within which they
        are near each other and what that adds.
        """
        kinds = [(0, self.weights.phrase), (self.weights.slop, self.weights.proximity)]
        used = [(slop, weight) for slop, weight in kinds if weight > 0]
        if not used:
            return
        for pair in word_pairs(query, self.languages, self.main):
            for slop, weight in used:
                yield pair, slop, weight

    def beginning(self, text: str) -> tuple[str, ...]:
        """The unstemmed words of a beginning, whole but for the last; none for one too short."""
        words = terms_of(text, "und")
        return words if len("".join(words)) >= _SHORTEST_PREFIX else ()
