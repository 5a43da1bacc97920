"""What an item's own terms decide of a stored query, without an index."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from threading import Lock
from typing import TypeAlias

from core.items import Item
from core.query_fields import FACT, ID
from core.query_tree import (
    Bool,
    DateRange,
    Everything,
    Keyword,
    Node,
    Nothing,
    Phrase,
    Prefix,
    Recorded,
    Word,
)
from storage.record.item_fields import indexed_texts, keywords_of, plain_keywords_of
from storage.record.item_rows import to_micros
from storage.record.source_facts import DOCUMENT_FIELDS
from storage.words.analysis import LONGEST_TERM, analyzer
from storage.words.query_readings import terms_of, text_readings
from storage.words.topics import Topics

_SUBJECT = "subject"
_OF_DOCUMENT = (FACT, ID, *DOCUMENT_FIELDS)
_MARK = "\x1f"  # reading a document removes this sign
_APART = " \n "  # between the terms of two fields
_SHORTEST_PREFIX = 2
_KEPT = 256  # items
_LONGEST_KEPT = 20_000  # characters of an item's texts
_UTF8 = 4  # bytes of a character at most


def topic_key(code: str) -> str:
    """Return the value of a subject field that stands for a topic and all below it."""
    return _MARK + code


def broader_keys(item: Item, topics: Topics) -> set[str]:
    """Return the keys of the topics at and above the codes of an item's subjects."""
    codes = (topics.code(concept.code) for concept in item.subject if concept.code)
    return {topic_key(topic) for code in codes for topic in topics.line(code)}


def subject_keys(values: Sequence[str], topics: Topics) -> tuple[str, ...]:
    """Return the keys that stand for the topics that `values` mean."""
    return tuple(topic_key(topic) for value in values for topic in topics.meant(value))


class ItemTerms:
    """The terms of an item as an index has them, each kind made when it is first asked for."""

    def __init__(self, item: Item, topics: Topics) -> None:
        self.item = item
        self._topics = topics
        self._keywords: dict[str, frozenset[str]] = {}

    @cached_property
    def texts(self) -> list[str]:
        """The texts of the item's fields."""
        return [text for text in indexed_texts(self.item).values() if text]

    @cached_property
    def terms(self) -> frozenset[str]:
        """The terms of all texts, in the item's language."""
        return frozenset(analyzer(self.item.language).analyze("\n".join(self.texts)))

    @cached_property
    def words(self) -> frozenset[str]:
        """The unstemmed words of all texts."""
        return frozenset(analyzer("und").analyze("\n".join(self.texts)))

    @cached_property
    def in_order(self) -> str:
        """The terms in order with a blank on both sides of each; fields stand apart."""
        analyze = analyzer(self.item.language).analyze
        return f" {_APART.join(' '.join(analyze(text)) for text in self.texts)} "

    @cached_property
    def has_long_words(self) -> bool:
        """Whether a word may be too long for the index, which leaves a gap in its place."""
        words = (word for text in self.texts for word in text.split())
        return any(
            len(word) * _UTF8 >= LONGEST_TERM for word in words if not word.isascii()
        ) or any(len(word) >= LONGEST_TERM for text in self.texts for word in text.split())

    def keywords(self, field: str) -> frozenset[str]:
        """Return the values of a keyword field, casefolded, and the keys of topics among the
        subjects.
        """
        if field not in self._keywords:
            made = keywords_of if field in _OF_DOCUMENT else plain_keywords_of
            for name, values in made(self.item).items():
                self._keywords[name] = frozenset(value.casefold() for value in values)
            self._keywords[_SUBJECT] |= broader_keys(self.item, self._topics)
        return self._keywords[field]


class KeptTerms:
    """The terms of the items asked for last, so that a story of many pages is read once.
    Thread-safe.
    """

    def __init__(self, topics: Topics) -> None:
        self._topics = topics
        self._kept: dict[str, ItemTerms] = {}
        self._lock = Lock()

    def of(self, item: Item) -> ItemTerms:
        """Return the terms of an item: the same object as before for an equal item."""
        with self._lock:
            known = self._kept.get(item.uri)
            if known is not None and known.item == item:
                return known
            made = ItemTerms(item, self._topics)
            self._kept.pop(item.uri, None)
            if sum(map(len, made.texts)) <= _LONGEST_KEPT:
                if len(self._kept) >= _KEPT:
                    del self._kept[next(iter(self._kept))]
                self._kept[item.uri] = made
            return made


Verdict: TypeAlias = Callable[[ItemTerms], bool | None]
"""Whether an item matches a query; None if only an index can tell."""


def _always(_: ItemTerms) -> bool:
    return True


def _never(_: ItemTerms) -> bool:
    return False


def verdict(node: Node, languages: Sequence[str], topics: Topics) -> Verdict:
    """Return what decides whether an item matches `node`, its words read in `languages`. It agrees
    with `storage.embedded.lexical.query.Compiler.throughout`.
    """
    match node:
        case Word(text, field):
            return _of_words(text_readings(text, languages), exact=not field)
        case Phrase(text, field, slop):
            return _of_words(text_readings(text, languages), exact=not (field or slop), slop=slop)
        case Prefix(text, field):
            return _of_beginning(terms_of(text, "und"), exact=not field)
        case Keyword(field, values):
            keys = {value.casefold() for value in values}
            if field == _SUBJECT:
                keys.update(subject_keys(values, topics))
            return lambda item: not keys.isdisjoint(item.keywords(field))
        case DateRange() | Recorded():
            return _of_dates(node)
        case Everything():
            return _always
        case Nothing():
            return _never
        case Bool(must, should, must_not):
            needed = [verdict(one, languages, topics) for one in must]
            some = [] if must else [verdict(one, languages, topics) for one in should]
            return _of_all(needed, some, [verdict(one, languages, topics) for one in must_not])


def _of_words(readings: Sequence[tuple[str, ...]], *, exact: bool, slop: int = 0) -> Verdict:
    """Return terms in any reading. With `exact` they may stand in any field, side by side."""

    def read(item: ItemTerms, terms: tuple[str, ...]) -> bool | None:
        if not item.terms.issuperset(terms):
            return False
        if len(terms) == 1:
            return exact or None
        if not slop and f" {' '.join(terms)} " not in item.in_order:
            return False
        return None if item.has_long_words else exact or None

    return lambda item: _any(read(item, terms) for terms in readings)


def _of_beginning(words: tuple[str, ...], *, exact: bool) -> Verdict:
    if len("".join(words)) < _SHORTEST_PREFIX:
        return _never
    *whole, last = words

    def begins(item: ItemTerms) -> bool | None:
        if not item.words.issuperset(whole) or not any(w.startswith(last) for w in item.words):
            return False
        return (exact and not whole) or None

    return begins


def _of_dates(node: DateRange | Recorded) -> Verdict:
    if isinstance(node, Recorded):
        raise TypeError("a stored query has no time of arrival")
    since = None if node.since is None else to_micros(node.since)
    until = None if node.until is None else to_micros(node.until)

    def within(item: ItemTerms) -> bool:
        moment = to_micros(getattr(item.item, node.field))
        return (since is None or since <= moment) and (until is None or moment < until)

    return within


def _of_all(must: Sequence[Verdict], some: Sequence[Verdict], never: Sequence[Verdict]) -> Verdict:
    def every(item: ItemTerms) -> bool | None:
        sure = True
        for each in must:
            if (found := each(item)) is False:
                return False
            sure &= found is True
        if some:
            if (found := _any(each(item) for each in some)) is False:
                return False
            sure &= found is True
        for each in never:
            if found := each(item):
                return False
            sure &= found is False
        return True if sure else None

    return every


def _any(found: Iterable[bool | None]) -> bool | None:
    """Return True if one is true, else None if one is not known."""
    answer: bool | None = False
    for one in found:
        if one:
            return True
        if one is None:
            answer = None
    return answer
