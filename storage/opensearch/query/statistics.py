"""Statistics of the index: the numbers of items, of items by language, and of items with a term.

The scores of words that are no part of a text and the bound of BM25 come from these numbers. They
are read when they are first needed, and kept until the index has changed by more than a thousandth;
a smaller change does not matter to how rare a word is.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from time import monotonic
from typing import Any

from core.languages import primary_subtag
from core.query_tree import APART, SCRIPT
from storage.opensearch.index.body import EMBEDDED, HOLDS_ITEM, vector_path
from storage.opensearch.nodes.connection import Reply
from storage.record.item_fields import unstemmed_field
from storage.words.query_readings import readings
from storage.words.stop_words import is_stop_word, main_languages

Ask = Callable[[Sequence[Mapping[str, Any]]], list[Reply]]
Term = tuple[str, str]  # field and term
RARE = 32  # items; of a term in at most this many, only the items that the caller sees count
_KEPT_TERMS = 50_000
_MOST_LANGUAGES = 200
_STILL = 1000  # numbers are kept while at most one in this many documents has changed
_LACKING_S = 1.0  # how long numbers that lack a shard are kept
_SOME_HAVE = (*APART, SCRIPT)  # fields that most items lack
_MAY_BE_SILENT = {name: field for field in _SOME_HAVE for name in (field, unstemmed_field(field))}


@dataclass(frozen=True, slots=True)
class Counts:
    """How many documents have each term (`held`). `lacking` says why a part of the index is not
    counted, "" if all is. Terms without a count are left out.
    """

    held: Mapping[Term, int] = field(default_factory=dict)
    lacking: str = ""


LookUp = Callable[[Sequence[Term]], Counts]


@dataclass(frozen=True, slots=True)
class Basics:
    """Numbers of the index as of the change `generation`: documents, documents by primary language
    subtag, which fields that most documents lack some have, and for each vector field documents
    that lack vectors and passages. `failed` shards are not counted.
    """

    generation: int = -1
    documents: int = 0
    languages: Mapping[str, int] = field(default_factory=dict)
    some_have: frozenset[str] = frozenset()
    lacking: Mapping[str, int] = field(default_factory=dict)
    passages: Mapping[str, int] = field(default_factory=dict)
    failed: int = 0

    def is_silent(self, name: str) -> bool:
        """Return whether a field is one that most items lack, and no document has a word in it."""
        field = _MAY_BE_SILENT.get(name)
        return field is not None and not self.failed and field not in self.some_have

    @property
    def main(self) -> tuple[str, ...]:
        """The languages whose stop words are left out."""
        return main_languages(dict(self.languages))

    @property
    def all_languages(self) -> tuple[str, ...]:
        """All languages, sorted."""
        return tuple(sorted(self.languages))


class Statistics:
    """Reads the numbers with `ask`; `generation` returns how far the index is. `look_up` reads from
    the index's dictionaries how many documents have terms. Counts that lack a shard are not kept.
    Thread-safe.
    """

    def __init__(
        self,
        ask: Ask,
        generation: Callable[[], int],
        fields: Sequence[str],
        look_up: LookUp,
    ) -> None:
        self.ask = ask
        self._generation = generation
        self._fields = tuple(fields)
        self._look_up = look_up
        self._basics = Basics()
        self._until = inf  # when they are read again in any case
        self._counts: OrderedDict[Term, int] = OrderedDict()
        self._frequencies = OrderedDict[Term, int]()
        self._lock = threading.Lock()

    def basics(self) -> Basics:
        """Return the numbers of the whole index. Raises as `ask`."""
        known, now = self._basics, self._generation()
        if self._serve(known, now):
            return known
        fresh = _basics_of(self.ask([_basics_body(self._fields)])[0], now, self._fields)
        with self._lock:
            self._basics = fresh
            self._until = monotonic() + _LACKING_S if fresh.failed else inf
            if now != known.generation:
                self._counts.clear()
                self._frequencies.clear()
        return fresh

    def _serve(self, known: Basics, now: int) -> bool:
        if known.generation < 0 or monotonic() > self._until:
            return False
        return now - known.generation <= known.documents // _STILL

    def held(self, terms: Sequence[Term]) -> Counts:
        """Return how many documents have each term, by searches. Raises as `ask`."""
        return self._through(self._counts, terms, self._counted)

    def frequencies(self, terms: Sequence[Term]) -> Counts:
        """Return each term's document frequency in BM25, for the shards that answer."""
        return self._through(self._frequencies, terms, self._look_up)

    def known(self, terms: Sequence[Term]) -> dict[Term, int]:
        """Return the frequencies that are known without asking the index."""
        return self._known(self._frequencies, terms)

    def _through(self, kept: OrderedDict[Term, int], terms: Sequence[Term], ask: LookUp) -> Counts:
        """Return the counts; ask for those that are not kept."""
        found = self._known(kept, terms)
        missing = [term for term in dict.fromkeys(terms) if term not in found]
        fresh = ask(missing) if missing else Counts()
        if not fresh.lacking:
            with self._lock:
                kept.update(fresh.held)
                while len(kept) > _KEPT_TERMS:
                    kept.popitem(last=False)
        return Counts({**found, **fresh.held}, fresh.lacking)

    def _counted(self, terms: Sequence[Term]) -> Counts:
        replies = self.ask([count_body(term) for term in terms])
        counts = {term: total(reply) for term, reply in zip(terms, replies, strict=True)}
        return Counts(counts, lacking_parts(failed_of(replies)))

    def _known(self, kept: OrderedDict[Term, int], terms: Sequence[Term]) -> dict[Term, int]:
        basics = self._basics
        is_known = basics.generation >= 0
        found: dict[Term, int] = {}
        with self._lock:
            for term in terms:
                if is_known and basics.is_silent(term[0]):
                    found[term] = 0
                elif term in kept:
                    kept.move_to_end(term)
                    found[term] = kept[term]
        return found

    def readings(self, word: str) -> set[str]:
        """Return the terms that a word may become, over all languages."""
        return readings(word, self.basics().all_languages or ("en",))

    def is_common(self, word: str) -> bool:
        """Return whether the word is a stop word of the archive's main languages."""
        return is_stop_word(word, self.basics().main)


def count_body(term: Term) -> Reply:
    """Return the search that counts the documents with a term."""
    return {"size": 0, "track_total_hits": True, "query": term_clause(term)}


def term_clause(term: Term) -> Reply:
    """Return the clause for documents with a term."""
    return {"term": {term[0]: {"value": term[1]}}}


def total(reply: Reply) -> int:
    """Return how many documents a search has found."""
    return int(reply["hits"]["total"]["value"])


def failed_parts(reply: Reply) -> int:
    """Return how many shards a search's reply lacks."""
    return int(reply["_shards"]["failed"])


def failed_of(replies: Sequence[Reply]) -> int:
    """Return how many shards the replies of one request lack."""
    return max(map(failed_parts, replies), default=0)


def lacking_parts(failed: int) -> str:
    """Return the message for numbers that lack `failed` shards, "" for none."""
    return f"{failed} parts of the index do not answer" if failed else ""


def _basics_body(fields: Sequence[str]) -> Reply:
    lacking = {
        f"lacking_{name}": {"filter": {"bool": {"must_not": [{"term": {EMBEDDED: name}}]}}}
        for name in fields
    }
    passages = {f"passages_{name}": {"nested": {"path": vector_path(name)}} for name in fields}
    return {
        "size": 0,
        "track_total_hits": True,
        "query": HOLDS_ITEM,
        "aggs": {
            "languages": {"terms": {"field": "language", "size": _MOST_LANGUAGES}},
            **{f"some_have_{name}": {"filter": {"exists": {"field": name}}} for name in _SOME_HAVE},
            **lacking,
            **passages,
        },
    }


def _basics_of(reply: Reply, generation: int, fields: Sequence[str]) -> Basics:
    found = reply["aggregations"]
    languages: dict[str, int] = {}
    for bucket in found["languages"]["buckets"]:
        subtag = primary_subtag(bucket["key"])
        languages[subtag] = languages.get(subtag, 0) + bucket["doc_count"]
    return Basics(
        generation,
        total(reply),
        languages,
        frozenset(name for name in _SOME_HAVE if found[f"some_have_{name}"]["doc_count"]),
        {name: found[f"lacking_{name}"]["doc_count"] for name in fields},
        {name: found[f"passages_{name}"]["doc_count"] for name in fields},
        failed_parts(reply),
    )
