"""Marks the words of a text that match a query, and picks the part of the text to show."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Iterator
from functools import lru_cache, partial
from threading import Lock
from typing import NewType

from core.ports.models import TextAnalysis
from core.query_tree import Bool, Node, Phrase, Prefix, Word

START, END = "\ue000", "\ue001"  # private use: removed from texts, so that no text can fake a mark
_WORD = re.compile(r"\w+")
# A table of bytes: those of ASCII that belong to no word become spaces, others stay.
_SPACED = bytes(
    code if code > 127 or _WORD.fullmatch(chr(code)) else ord(" ") for code in range(256)
)
# The pattern begins with a class of characters, so that the engine can skip to the next of them. It
# also finds a full stop inside a number, without a space after it.
_SENTENCE_END = re.compile(r"[.!?…。\n]\s*")
SNIPPET_CHARACTERS = 320
_SURELY_READ = 32  # letters; the analyzers drop words of more than 40
_KNOWN_WORDS, _KNOWN_TEXTS = 200_000, 50_000
_FEW = 50  # words; looking for more of them takes longer than dividing a text into its own
_SHORTEST_PREFIX = 2  # as in the lexical index


ReadText = NewType("ReadText", str)
"""A text without the two mark characters, so that no character of it looks like a mark of ours."""


def read(text: str) -> ReadText:
    """Return the text, read."""
    return ReadText(text if text.isascii() else text.replace(START, "").replace(END, ""))


class _KnownWords:
    """The words of one language that were analyzed, and the words of each term.

    Many thousand words are in no cache of the processor, so that looking up those of a text takes
    most of the time of a page. Of a text that was taken in before only its hash is looked up.
    """

    def __init__(self, first_terms: Callable[[Collection[str]], dict[str, str]]) -> None:
        self.terms: dict[str, str] = {}  # the first term of each word, "" without one
        self._words: dict[str, tuple[str, ...]] = {}
        self._texts: set[int] = set()  # hashes of those that were taken in
        self._first_terms = first_terms
        self._lock = Lock()

    def take_in(self, texts: Collection[ReadText]) -> None:
        """Analyze the words of texts that are not known yet."""
        fresh = {hash(text): text for text in texts if hash(text) not in self._texts}
        if not fresh:
            return
        words = set(words_of(_together(fresh.values())))
        with self._lock:
            for word, term in self._first_terms(words.difference(self.terms)).items():
                if term:
                    self._words[term] = (*self._words.get(term, ()), word)
                self.terms[word] = term
            if len(self._texts) >= _KNOWN_TEXTS:
                self._texts.clear()
            self._texts.update(fresh)  # only now: another thread may look at once

    def of(self, term: str) -> tuple[str, ...]:
        """Return the known words whose first term is `term`."""
        return self._words.get(term, ())


class Highlighter:
    """Finds a query's words by the index's own terms, so that "floods" marks "flooding"."""

    def __init__(self, analysis: TextAnalysis) -> None:
        self._analysis = analysis
        self._known: dict[str, _KnownWords] = {}
        self.terms = lru_cache(maxsize=512)(self._terms)

    def _terms(self, query: Node, language: str) -> frozenset[str]:
        """Return the index terms to mark in a text in `language`; "term*" stands for every term
        with this beginning.
        """
        nodes = list(positive_texts(query))
        telling = [n for n in nodes if not self._analysis.is_stop_word(n.text, language)]
        found: set[str] = set()
        for node in telling or nodes:
            if isinstance(node, Prefix):
                begun = self._analysis.terms(node.text, "und")
                found.update(f"{term}*" for term in begun if len(term) >= _SHORTEST_PREFIX)
            else:
                found.update(self._analysis.terms(node.text, language))
        return frozenset(found)

    def words(self, query: Node, texts: Collection[ReadText], language: str) -> frozenset[str]:
        """Return the words of `texts` (all in `language`) to mark. One call takes a whole page, so
        that each distinct word is analyzed once. A text that was taken in before is not divided
        into words again: the known words of the query's terms are looked for in it.
        """
        terms = self.terms(query, language)
        if not terms:
            return frozenset()
        known = self._known_words(language)
        known.take_in(texts)
        together = _together(texts)
        said = {word for term in terms for word in known.of(term)}
        prefixes = tuple(term[:-1] for term in terms if term.endswith("*"))
        if not prefixes and len(said) <= _FEW:
            return frozenset(word for word in said if _place(together, word, 0) >= 0)
        every = set(words_of(together))
        begun = {word for word in every if known.terms[word].startswith(prefixes)}
        return frozenset(begun | said.intersection(every))

    def matches(
        self, words: frozenset[str], texts: Collection[str], language: str
    ) -> list[frozenset[str]]:
        """Return the terms behind `words` that each of `texts` has."""
        if not words:
            return [frozenset()] * len(texts)
        known = self._first_terms(language, words)
        found = (
            words.intersection(words_of(read(text))) if any(word in text for word in words) else ()
            for text in texts
        )
        return [frozenset(known[word] for word in each) for each in found]

    def _known_words(self, language: str) -> _KnownWords:
        known = self._known.get(language)
        if known is None or len(known.terms) > _KNOWN_WORDS:
            known = self._known[language] = _KnownWords(partial(self._first_terms, language))
        return known

    def _first_terms(self, language: str, words: Collection[str]) -> dict[str, str]:
        """Return the first term of each word, "" without one. Plain words have one term each, and
        are analyzed in one call, in a tenth of the time.
        """
        terms = self._analysis.terms
        plain = [w for w in words if len(w) <= _SURELY_READ and w.isascii() and w.isalnum()]
        together = terms(" ".join(plain), language)
        found = dict(zip(plain, together, strict=True)) if len(together) == len(plain) else {}
        for word in words:
            if word not in found:
                found[word] = next(iter(terms(word, language)), "")
        return found


def mark(text: ReadText, words: frozenset[str]) -> str:
    """Return the text with START and END around each of `words` in it."""
    return _marked(text, _spans(text, words), 0, len(text))


def snippet(text: ReadText, words: frozenset[str]) -> str:
    """Return about SNIPPET_CHARACTERS of the text, marked: the part with most of the words."""
    spans = _spans(text, words)
    if len(text) <= SNIPPET_CHARACTERS:
        return _marked(text, spans, 0, len(text))
    start = _best_start(text, [span[0] for span in spans])
    end = _word_end(text, start + SNIPPET_CHARACTERS)
    before, after = "… " if start else "", " …" if end < len(text) else ""
    return before + _marked(text, spans, start, end).strip() + after


def positive_texts(node: Node) -> Iterator[Word | Phrase | Prefix]:
    """Yield the words and phrases of a tree that are not negated."""
    match node:
        case Word() | Phrase() | Prefix():
            yield node
        case Bool(must, should, _):
            for child in (*must, *should):
                yield from positive_texts(child)


def words_of(text: ReadText) -> list[str]:
    """Return the words of `text` as `_WORD` finds them, in a fifth of the time: only pieces with
    other characters than those of ASCII are matched with it.
    """
    pieces = text.encode("utf-8", "surrogatepass").translate(_SPACED)
    found = pieces.decode("utf-8", "surrogatepass").split()
    if text.isascii():
        return found
    words = [piece for piece in found if piece.isascii()]
    for piece in found:
        if not piece.isascii():
            words += _WORD.findall(piece)
    return words


def _together(texts: Iterable[ReadText]) -> ReadText:
    """Return the texts as one, with the same words."""
    return ReadText("\n".join(texts))


def _spans(whole: ReadText, words: Collection[str]) -> list[tuple[int, int]]:
    """Return the places of `words` in a text as whole words, in order."""
    spans: list[tuple[int, int]] = []
    if len(words) > _FEW:
        words = frozenset(words).intersection(words_of(whole))
    for word in words:
        start = _place(whole, word, 0)
        while start >= 0:
            end = start + len(word)
            spans.append((start, end))
            start = _place(whole, word, end)
    spans.sort()
    return spans


def _place(whole: ReadText, word: str, start: int) -> int:
    """Return the first place of `word` as a whole word in a text from `start` on, -1 for none."""
    start = whole.find(word, start)
    while start >= 0:
        end = start + len(word)
        before, after = whole[start - 1 : start], whole[end : end + 1]
        # Tests what `_WORD` takes into words.
        if not (before.isalnum() or after.isalnum() or before == "_" or after == "_"):
            return start
        start = whole.find(word, end)
    return -1


def _marked(text: str, spans: list[tuple[int, int]], start: int, end: int) -> str:
    """Return `text[start:end]` with marks around the spans that lie in it."""
    pieces: list[str] = []
    done = start
    for first, last in spans:
        if start <= first and last <= end:
            pieces += (text[done:first], START, text[first:last], END)
            done = last
    return "".join((*pieces, text[done:end]))


def _best_start(text: str, places: list[int]) -> int:
    """Return where a snippet should begin: at a sentence from which most of the ascending `places`
    fit into the snippet, the first such group. If all places are too deep in their sentences, a
    little before the first place.
    """
    if not places:
        return 0

    last = max(0, len(text) - SNIPPET_CHARACTERS // 2)
    best, held, passed = 0, bisect_left(places, SNIPPET_CHARACTERS), 0
    for start in _sentence_starts(text, places[0] - SNIPPET_CHARACTERS, places[-1] + 1):
        if start > last:
            break
        skipped = bisect_left(places, start)
        fitting = bisect_left(places, start + SNIPPET_CHARACTERS, skipped) - skipped
        # Of those with most places: the one with fewest places before it, and then the latest.
        if fitting > held or (fitting == held and skipped == passed):
            best, held, passed = start, fitting, skipped
    if held:
        return best
    early = places[0] - SNIPPET_CHARACTERS // 4
    return text.rfind(" ", early, places[0]) + 1 or places[0]


def _sentence_starts(text: str, first: int, end: int) -> Iterator[int]:
    """Yield the places after the end of each sentence or line that lie between `first` and `end`,
    and perhaps a few before.
    """
    first = max(0, first)
    while first and text[first - 1].isspace():
        first -= 1
    for match in _SENTENCE_END.finditer(text, max(0, first - 1), end):
        if match.end() > match.start() + 1 or text[match.start()] == "\n":
            yield match.end()


def _word_end(text: str, place: int) -> int:
    if place >= len(text):
        return len(text)
    space = text.rfind(" ", 0, place)
    return space if space > place - 40 else place
