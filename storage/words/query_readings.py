"""How both engines read the words of a query, before each compiles them in its own way: which terms
a word may be, in which fields to search them, and what each adds to a score.

Pairs of neighbouring words add to the score of an item that has them close. The sequential
dependence model (Metzler and Croft, 2005) scores such pairs besides the words: in
order, and within a window.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from core.query_tree import APART, SCRIPT, SPEECH, Bool, Node, Word, without_words
from core.retrieval import LexicalWeights
from storage.words.analysis import LONGEST_TERM, analyzer
from storage.words.apart_words import ApartWords
from storage.words.stop_words import is_stop_word

K1 = 1.2  # tantivy's and Lucene's
PLAIN = LexicalWeights()


def read_beside(field: str) -> tuple[str, ...]:
    """Return the fields of the item's own text that a query for one of the fields APART reads, too:
    what is said may be in the agency's own script. Few items have one, so its words are scored as
    those of the field APART.
    """
    return (SCRIPT,) if field == SPEECH else ()


def terms_of(text: str, language: str) -> tuple[str, ...]:
    """Return the index terms of a word or a phrase, in order. They are kept, because one query and
    others need them many times; those of long texts are not.
    """
    return _kept_terms(text, language) if len(text) <= LONGEST_TERM else _terms(text, language)


def _terms(text: str, language: str) -> tuple[str, ...]:
    return tuple(analyzer(language).analyze(text))


_kept_terms = lru_cache(maxsize=16_384)(_terms)


def text_readings(text: str, languages: Iterable[str]) -> list[tuple[str, ...]]:
    """Return the different readings of a word or a phrase, as tuples of terms, sorted."""
    return sorted({terms_of(text, language) for language in languages} - {()})


def readings(word: str, languages: Iterable[str]) -> set[str]:
    """Return the terms that a word of one term may become, over the languages."""
    return {terms[0] for terms in text_readings(word, languages) if len(terms) == 1}


def without_stop_words(node: Node, languages: tuple[str, ...]) -> Node:
    """Return the query without optional stop words, unless all optional words are some."""
    return without_words(node, lambda word: is_stop_word(word, languages))


MOST_PAIRS = 32  # of a query; more pairs of a pasted text add nothing


@dataclass(frozen=True, slots=True)
class WordPair:
    """Two terms, the second `distance` positions behind the first: more than 1 if stop words are
    between them.
    """

    first: str
    second: str
    distance: int


def word_pairs(
    query: Node, languages: tuple[str, ...], main: tuple[str, ...]
) -> tuple[tuple[WordPair, ...], ...]:
    """Return the query's pairs of neighbours, each once and at most MOST_PAIRS, each with its
    readings in the `languages`. Only adjacent words without a field in a list of optional words are
    neighbours. Stop words of the `main` languages are in no pair but keep their position, unless
    the list has only stop words.
    """
    found: dict[tuple[WordPair, ...], None] = {}
    for words in _lists(query):
        by_language = [_pairs(words, language, main) for language in languages]
        for readings in zip(*by_language, strict=True):  # languages differ only in stems
            found[tuple(dict.fromkeys(readings))] = None
    return tuple(found)[:MOST_PAIRS]


def _lists(node: Node) -> Iterator[tuple[str, ...]]:
    """Yield every run of words without a field in the lists of a tree, in order."""
    if not isinstance(node, Bool):
        return
    run: list[str] = []
    for child in node.should:
        if isinstance(child, Word) and not child.field:
            run.append(child.text)
            continue
        if len(run) > 1:
            yield tuple(run)
        run = []
    if len(run) > 1:
        yield tuple(run)
    for child in node.must:
        yield from _lists(child)


def _pairs(words: tuple[str, ...], language: str, main: tuple[str, ...]) -> list[WordPair]:
    """Return pairs of neighbouring terms in one language; all terms of a word take part."""
    telling = {word for word in words if not is_stop_word(word, main)} or set(words)
    placed: list[tuple[int, str]] = []
    place = 0
    for word in words:
        terms = terms_of(word, language)
        if word in telling:
            placed += [(place + offset, term) for offset, term in enumerate(terms)]
        place += len(terms)
    return [
        WordPair(first, second, there - here) for (here, first), (there, second) in pairwise(placed)
    ]


WHOLE, LOOSE = 0, -1  # slop of a word of several terms: side by side, or any of them
SILENT = ApartWords(0, lambda _field, _term: 0)
_SHORTEST_PREFIX = 2


@dataclass(frozen=True, slots=True)
class QueryReadings:
    """Reads the words of queries. A word has a reading in each of `languages` (those of the
    archive's items); the scores of its readings are not added up. The stop words of the `main`
    languages are left out of lists of optional words. `weights` say what is added to a word's
    score; `apart` scores words that are no part of an item's text.
    """

    languages: tuple[str, ...]
    main: tuple[str, ...]
    weights: LexicalWeights
    apart: ApartWords

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

    def apart_weight(self, name: str) -> float:
        """Return the weight of one of the fields APART in the score of a word without a field. At 0
        its words still match, because matching does not depend on the profile.
        """
        return max(0.0, self.weights.apart.get(name, 0.0))

    def found_apart(
        self, terms: Sequence[str], slop: int, field: str = ""
    ) -> list[tuple[str, Sequence[str], float]]:
        """Return the fields APART that have the terms, or those that a query for `field` reads,
        with the terms and their score there: one by one if `slop` is LOOSE, else all together.
        Without a field the score has the field's weight.
        """
        wholes = [[term] for term in self.telling(terms)] if slop == LOOSE else [terms]
        named = dict.fromkeys((field, *read_beside(field)), 1.0)
        fields = named if field else {name: self.apart_weight(name) for name in APART}
        scored = [
            (name, whole, weight, self.apart.score(name, whole))
            for name, weight in fields.items()
            for whole in wholes
        ]
        return [(name, whole, weight * score) for name, whole, weight, score in scored if score > 0]

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
