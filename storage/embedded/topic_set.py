"""Holds many stored queries, and asks only those that may match an item of a batch. Each query is
filed under a set of terms of which every match has at least one: the rarest that it requires, as
far as frequencies are known. A query without such terms (a NOT, a span of time or the beginning of
a word alone) is always asked. The item's own terms decide most queries; the rest are asked of an
index in memory. Queries are compiled when they are first asked, and once. What an item matches is
kept as long as its terms are, until a query changes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from threading import Lock
from weakref import WeakKeyDictionary

import tantivy

from core.items import Item
from core.query_tree import Bool, Keyword, Node, Nothing, Phrase, Prefix, Word
from storage.embedded.item_terms import ItemTerms, Verdict, subject_keys, verdict
from storage.embedded.percolation import Percolator, Reading
from storage.words.query_readings import terms_of, text_readings
from storage.words.stop_words import is_stop_word

Share = Callable[[str], float]
_OF_FIELD = "\x1e"  # between a keyword field and its value; no word has this sign
_SHARES = {"person": 1e-4, "organisation": 1e-4, "subject": 0.01, "place": 0.02, "urgency": 0.2}
_COMMON = 0.5  # the share of items with one language, type, product or word for rights
_COMMON_WORD, _EACH_LETTER = 0.3, 0.6
_BEGINS = "\x1d"  # before the first letters of a word
_LETTERS = (2, 3, 4)  # letters of a prefix, by which it is filed


def guessed_share(key: str) -> float:
    """Return a guess at the share of items that have a term: long words are rarer."""
    if key.startswith(_BEGINS):
        return 3 * guessed_share(key[1:])
    field, of_field, _ = key.partition(_OF_FIELD)
    if of_field:
        return _SHARES.get(field, _COMMON)
    return 1.0 if is_stop_word(key, ("en",)) else _COMMON_WORD * _EACH_LETTER ** len(key)


@dataclass(slots=True)
class _Filed:
    """A query, the terms that it is filed under (None: always asked), and its compiled forms."""

    tree: Node
    keys: frozenset[str] | None
    verdict: Verdict | None = None
    query: tantivy.Query | None = None


class TopicSet:
    """`core.ports.customers.TopicIndex`. `share` estimates the share of items that have a term.
    Thread-safe.
    """

    def __init__(self, percolator: Percolator, share: Share = guessed_share) -> None:
        self._percolator = percolator
        self._share = share
        self._reading = percolator.reading(())
        self._filed: dict[int, _Filed] = {}
        self._by_key: dict[str, set[int]] = {}
        self._kinds: Counter[str] = Counter()  # kinds of the keys in use
        self._always: set[int] = set()
        self._answers: WeakKeyDictionary[ItemTerms, frozenset[int]] = WeakKeyDictionary()
        self._lock = Lock()

    def change(self, changed: Mapping[int, Node] | Mapping[int, Node | None]) -> None:
        """Replace the queries with these numbers; None takes one out."""
        with self._lock:
            self._answers.clear()
            for number, tree in changed.items():
                self._drop(number)
                if tree is not None:
                    self._file(number, tree)

    def matching(self, items: Sequence[Item]) -> tuple[frozenset[int], ...]:
        """Return for each item the numbers of the queries that it matches."""
        if not items:
            return ()
        with self._lock:
            if not self._filed:
                return tuple(frozenset() for _ in items)
            reading = self._read_for(items)
            terms = [self._percolator.terms.of(item) for item in items]
            self._match([one for one in terms if one not in self._answers], reading)
            return tuple(self._answers[one] for one in terms)

    def candidates(self, items: Sequence[Item]) -> frozenset[int]:
        """Return the numbers of the queries that may match one of these items."""
        with self._lock:
            self._read_for(items)
            each = (self._candidates(self._percolator.terms.of(item)) for item in items)
            return frozenset().union(*each)

    def _match(self, items: Sequence[ItemTerms], reading: Reading) -> None:
        """Find the answers for these items."""
        found: list[set[int]] = [set() for _ in items]
        unsure: dict[int, list[int]] = {}  # places of items, by number of the query
        for place, item in enumerate(items):
            for number in self._candidates(item):
                answer = self._verdict(number)(item)
                if answer:
                    found[place].add(number)
                elif answer is None:
                    unsure.setdefault(number, []).append(place)
        if unsure:
            self._ask(items, unsure, found, reading)
        for item, numbers in zip(items, found, strict=True):
            self._answers[item] = frozenset(numbers)

    def _ask(
        self,
        items: Sequence[ItemTerms],
        unsure: Mapping[int, Sequence[int]],
        found: list[set[int]],
        reading: Reading,
    ) -> None:
        """Ask an index of the items of which some query is not sure."""
        places = sorted({place for each in unsure.values() for place in each})
        batch = reading.batch([items[place].item for place in places])
        for number in unsure:
            filed = self._filed[number]
            query = filed.query = filed.query or reading.compiled(filed.tree)
            for hit in batch.matching(query or reading.compiled_for(batch, filed.tree)):
                found[places[hit]].add(number)

    def _verdict(self, number: int) -> Verdict:
        filed = self._filed[number]
        if filed.verdict is None:
            languages = self._reading.languages or ("en",)
            filed.verdict = verdict(filed.tree, languages, self._reading.topics)
        return filed.verdict

    def _read_for(self, items: Sequence[Item]) -> Reading:
        """Return the reading for these items; file all queries again if it is another one."""
        reading = self._percolator.reading(items)
        if reading is not self._reading:
            self._reading = reading
            trees = {number: filed.tree for number, filed in self._filed.items()}
            self._filed, self._by_key, self._always = {}, {}, set()
            self._kinds.clear()
            self._answers.clear()
            for number, tree in trees.items():
                self._file(number, tree)
        return reading

    def _candidates(self, item: ItemTerms) -> set[int]:
        found = set(self._always)
        for kind in self._kinds:
            for key in _keys_of(item, kind) & self._by_key.keys():
                found |= self._by_key[key]
        return found

    def _file(self, number: int, tree: Node) -> None:
        keys = self._needed(tree)
        self._filed[number] = _Filed(tree, keys)
        if keys is None:
            self._always.add(number)
        for key in keys or ():
            if key not in self._by_key:
                self._by_key[key] = set()
                self._kinds[_kind(key)] += 1
            self._by_key[key].add(number)

    def _drop(self, number: int) -> None:
        filed = self._filed.pop(number, None)
        self._always.discard(number)
        for key in (filed and filed.keys) or ():
            self._by_key[key].discard(number)
            if not self._by_key[key]:
                del self._by_key[key]
                self._kinds[_kind(key)] -= 1
        self._kinds = +self._kinds

    def _needed(self, node: Node) -> frozenset[str] | None:
        """Return terms of which each match has at least one, the rarest that the node requires;
        None if it requires none.
        """
        match node:
            case Word(text) | Phrase(text):
                readings = text_readings(text, self._reading.languages or ("en",))
                return frozenset(min(terms, key=self._share) for terms in readings)
            case Keyword(field, values):
                keys = {value.casefold() for value in values}
                if field == "subject":
                    keys.update(subject_keys(values, self._reading.topics))
                return frozenset(_key(field, key) for key in keys)
            case Prefix(text):
                *_, last = terms_of(text, "und") or ("",)
                least, *_, most = _LETTERS
                return frozenset({_BEGINS + last[:most]}) if len(last) >= least else None
            case Nothing():
                return frozenset()
            case Bool(must, should, _) if must:
                known = [keys for keys in map(self._needed, must) if keys is not None]
                return min(known, key=self._cost) if known else None
            case Bool(_, should, _) if should:
                each = [self._needed(child) for child in should]
                return None if None in each else frozenset().union(*filter(None, each))
            case _:
                return None

    def _cost(self, keys: frozenset[str]) -> float:
        return sum(map(self._share, keys))


def _kind(key: str) -> str:
    """Return what a key is: "" for a term, _BEGINS for a beginning, else the keyword's field."""
    if key.startswith(_BEGINS):
        return _BEGINS
    field, of_field, _ = key.partition(_OF_FIELD)
    return field if of_field else ""


def _keys_of(item: ItemTerms, kind: str) -> AbstractSet[str]:
    """Return the keys of one kind that an item has."""
    if not kind:
        return item.terms
    if kind == _BEGINS:
        return {_BEGINS + word[:count] for word in item.words for count in _LETTERS}
    return {_key(kind, value) for value in item.keywords(kind)}


def _key(field: str, value: str) -> str:
    return f"{field}{_OF_FIELD}{value}"
