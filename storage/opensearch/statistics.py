"""What the index knows of itself: how many items, in which languages, and how many have a term.

Scores of machines' words and the bound of BM25 are made of these numbers, beside the search itself.
They are asked for when they are needed first, and kept until the index has changed by more than a
thousandth: a rarity moves by less than that matters.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from core.query_tree import MACHINE
from storage.analysis import analyzer, primary_subtag
from storage.item_fields import unstemmed_field
from storage.opensearch.connection import Cluster, Reply, error_of, reason_of
from storage.opensearch.index_body import EMBEDDED, HOLDS_ITEM
from storage.stop_words import is_stop_word, main_languages

Ask = Callable[[Sequence[Mapping[str, Any]]], list[Reply]]
Term = tuple[str, str]  # field and term
LookUp = Callable[[Sequence[Term]], dict[Term, int]]
RARE = 32  # items; of so few it counts who may see them
_KEPT_TERMS = 50_000
_MOST_LANGUAGES = 200
_STILL = 1000  # the share of changes, one in so many, for which numbers are kept
OF_MACHINES = frozenset({MACHINE, unstemmed_field(MACHINE)})


@dataclass(frozen=True, slots=True)
class Basics:
    """Of the index as of a change: documents, those by primary language subtag, those that machines
    say something of, and those that were not embedded for each vector field.
    """

    generation: int = -1
    documents: int = 0
    languages: Mapping[str, int] = field(default_factory=dict)
    of_machines: int = 0
    lacking: Mapping[str, int] = field(default_factory=dict)

    @property
    def main(self) -> tuple[str, ...]:
        """The languages whose stop words are left out."""
        return main_languages(dict(self.languages))

    @property
    def all_languages(self) -> tuple[str, ...]:
        """Every language, in order."""
        return tuple(sorted(self.languages))


class Statistics:
    """The numbers behind `ask`; `generation` tells how far the index is. `look_up` reads how many
    documents have terms from the index's dictionaries, which costs next to nothing and counts what
    is deleted and not merged away, as BM25 does. Thread-safe.
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
        self._counts: OrderedDict[Term, int] = OrderedDict()
        self._frequencies = OrderedDict[Term, int]()
        self._lock = threading.Lock()

    def basics(self) -> Basics:
        """The numbers of the whole index."""
        known, now = self._basics, self._generation()
        if known.generation < 0 or now - known.generation > known.documents // _STILL:
            known = _basics_of(self.ask([_basics_body(self._fields)])[0], now, self._fields)
            with self._lock:
                self._basics = known
                self._counts.clear()
                self._frequencies.clear()
        return known

    def held(self, terms: Sequence[Term]) -> dict[Term, int]:
        """How many documents have each term."""
        return self._through(self._counts, terms, self._counted)

    def frequencies(self, terms: Sequence[Term]) -> dict[Term, int]:
        """How many documents BM25 takes each term to have."""
        return self._through(self._frequencies, terms, self._look_up)

    def known(self, terms: Sequence[Term]) -> dict[Term, int]:
        """Those of `frequencies` that need no look at the index."""
        return self._known(self._frequencies, terms)

    def _through(
        self, kept: OrderedDict[Term, int], terms: Sequence[Term], ask: LookUp
    ) -> dict[Term, int]:
        """The numbers, asking for those that were not asked for lately."""
        found = self._known(kept, terms)
        missing = [term for term in dict.fromkeys(terms) if term not in found]
        fresh = ask(missing) if missing else {}
        with self._lock:
            kept.update(fresh)
            while len(kept) > _KEPT_TERMS:
                kept.popitem(last=False)
        return found | fresh

    def _counted(self, terms: Sequence[Term]) -> dict[Term, int]:
        replies = self.ask([count_body(term) for term in terms])
        return {term: total(reply) for term, reply in zip(terms, replies, strict=True)}

    def _known(self, kept: OrderedDict[Term, int], terms: Sequence[Term]) -> dict[Term, int]:
        silent = self._basics.of_machines == 0
        found: dict[Term, int] = {}
        with self._lock:
            for term in terms:
                if silent and term[0] in OF_MACHINES:
                    found[term] = 0
                elif term in kept:
                    kept.move_to_end(term)
                    found[term] = kept[term]
        return found

    def readings(self, word: str) -> set[str]:
        """The terms that a word of one term may be, by language."""
        languages = self.basics().all_languages or ("en",)
        found = (analyzer(language).analyze(word) for language in languages)
        return {terms[0] for terms in found if len(terms) == 1}

    def is_common(self, word: str) -> bool:
        """Whether it is a stop word of the archive's main languages."""
        return is_stop_word(word, self.basics().main)


def count_body(term: Term) -> Reply:
    """A search for the number of documents that have a term."""
    return {"size": 0, "track_total_hits": True, "query": term_clause(term)}


def term_clause(term: Term) -> Reply:
    """What documents satisfy that have a term."""
    return {"term": {term[0]: {"value": term[1]}}}


def dictionary(cluster: Cluster, index: str, *, several: bool = False) -> LookUp:
    """Reads document frequencies from the index's dictionaries, of which each of its parts has one
    (`several` tells that there is more than one part), in one request. Parts that do not answer
    count nothing, as in a search.
    """
    routings: list[str] = []

    def look_up(terms: Sequence[Term]) -> dict[Term, int]:
        if several and not routings:
            routings[:] = _routings(cluster, index)
        parts = [{"routing": routing} for routing in routings] or [{}]
        asked = {"_index": index, **_frequencies_body(terms)}
        body = {"docs": [{**asked, **part} for part in parts]}
        docs = cluster.ask("POST", "/_mtermvectors", body, filter_path=_FREQUENCIES).get("docs", ())
        errors = [part["error"] for part in docs if "error" in part]
        if any(_NO_INDEX in reason_of(error) for error in errors):
            raise error_of(404, errors[0], cluster.where)
        counts = dict.fromkeys(terms, 0)
        for name, term in terms:
            found = (part.get("term_vectors", {}).get(name, {}).get("terms", {}) for part in docs)
            counts[name, term] = sum(own.get(term, {}).get("doc_freq", 0) for own in found)
        return counts

    return look_up


_FREQUENCIES = "docs.term_vectors.*.terms.*.doc_freq,docs.error"
_NO_INDEX = "index_not_found_exception"
_MOST_ROUTINGS = 10_000  # that are tried until each part is hit


def _frequencies_body(terms: Sequence[Term]) -> Reply:
    texts: dict[str, list[str]] = {}
    for name, term in terms:
        texts.setdefault(name, []).append(term)
    return {
        "doc": {name: " ".join(words) for name, words in texts.items()},
        "term_statistics": True,
        **dict.fromkeys(("field_statistics", "positions", "offsets", "payloads"), False),
    }


def _routings(cluster: Cluster, index: str) -> list[str]:
    """For each part of an index a routing that leads there."""
    path = f"/{index}/_search_shards"
    count = len(cluster.ask("GET", path)["shards"])
    found: dict[int, str] = {}
    for number in map(str, range(_MOST_ROUTINGS)):
        ((copy, *_),) = cluster.ask("GET", path, routing=number)["shards"]
        found.setdefault(copy["shard"], number)
        if len(found) == count:
            break
    return [*found.values()]


def total(reply: Reply) -> int:
    """How many documents a search has found."""
    return int(reply["hits"]["total"]["value"])


def _basics_body(fields: Sequence[str]) -> Reply:
    lacking = {
        f"lacking_{name}": {"filter": {"bool": {"must_not": [{"term": {EMBEDDED: name}}]}}}
        for name in fields
    }
    return {
        "size": 0,
        "track_total_hits": True,
        "query": HOLDS_ITEM,
        "aggs": {
            "languages": {"terms": {"field": "language", "size": _MOST_LANGUAGES}},
            "machines": {"filter": {"exists": {"field": MACHINE}}},
            **lacking,
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
        found["machines"]["doc_count"],
        {name: found[f"lacking_{name}"]["doc_count"] for name in fields},
    )
