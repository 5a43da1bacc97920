"""The index's own words that a caller may see: `core.ports.engine.Vocabulary`, and how rare words
are for `core.ports.engine.Exemplars`.

Lucene's automata over all terms of the index find similar words (the term suggester; Schulz and
Mihov, 2002). A word is returned only if the caller sees an item with it, and its count is of such
items.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from rapidfuzz.distance import OSA

from core.callers import Caller
from core.query_tree import TEXT_FIELDS
from core.retrieval import Floats, Rarities
from core.standing import SeenWord
from storage.opensearch.query.statistics import (
    RARE,
    Statistics,
    Term,
    failed_of,
    lacking_parts,
    total,
)
from storage.opensearch.query.word_counts import WordCounts
from storage.opensearch.seen import Ask, Clause, Now, all_of, count_of, seen_by
from storage.record.item_fields import unstemmed_field
from storage.words.analysis import analyzer
from storage.words.apart_words import EVERY_TEXT
from storage.words.written_words import nearest_first

COUNTED = 1000  # items with a word are counted up to this number
_MOST_EDITS = 2  # the limit of Lucene's automata
_SUGGESTED = 50  # near terms of each text field
_SHORTLIST = 24  # near terms for which this checks whether the caller sees one
_ENOUGH = 6  # near words that are returned
_FIRST_LOOK = 8  # near terms to check first, enough for most words
_FIELDS = tuple(unstemmed_field(name) for name in TEXT_FIELDS)


class IndexWords:
    """Words by searches."""

    def __init__(self, ask: Ask, now: Now, counts: WordCounts, statistics: Statistics) -> None:
        self._ask = ask
        self._now = now
        self._counts = counts
        self._statistics = statistics

    def seen_counts(
        self, words: Sequence[str], few: int, caller: Caller, field: str = ""
    ) -> tuple[int, ...]:
        """Return in how many items a search finds each word, counted up to `few` + 1."""
        counting = self._counts.counting(words, few, caller, self._now(), field)
        counts = counting.counts(self._ask(counting.bodies) if counting.bodies else ()) or {}
        return tuple(counts[word] for word in words)

    def similar(
        self, words: Sequence[tuple[str, int]], caller: Caller
    ) -> list[list[tuple[SeenWord, int]]]:
        """Return, for each word, a few folded words at most the given number of edits (one or two)
        away, the nearest and then the commonest first, each with the newest visible item that has
        it. All words are looked up together: first the near terms, then who has them, at first only
        the nearest few.
        """
        folded = ["".join(analyzer("und").analyze(word)) for word, _ in words]
        near = self._near([*zip(folded, (most for _, most in words), strict=True)])
        seen = seen_by(caller, self._now())
        found: list[list[tuple[SeenWord, int]]] = [[] for _ in words]
        for start, stop in pairwise((0, _FIRST_LOOK, _SHORTLIST + 1)):
            asked = [
                (place, term, edits)
                for place, terms in enumerate(near)
                if len(found[place]) < _ENOUGH
                for term, edits in terms[start:stop]
            ]
            replies = self._ask([_held_by(term, seen) for _, term, _ in asked]) if asked else []
            for (place, term, edits), reply in zip(asked, replies, strict=True):
                if hits := reply["hits"]["hits"]:
                    held = SeenWord(term, total(reply), edits)
                    found[place].append((held, int(hits[0]["sort"][0])))
        return [
            sorted(each[:_ENOUGH], key=lambda pair: nearest_first(word, pair[0]))
            for word, each in zip(folded, found, strict=True)
        ]

    def rarities(self, words: Sequence[str], language: str, caller: Caller) -> Rarities:
        """Return the idf of each word, read as one of `language`."""
        analyze = analyzer(language).analyze
        firsts = [analyze(word)[:1] for word in words]
        terms = [(name, term) for found in firsts for term in found for name in EVERY_TEXT]
        basics = self._statistics.basics()
        every = self._statistics.held(terms)
        held, failed = self._seen_of_few(every.held, caller)
        counts = np.array(
            [
                max((held[name, term] for term in found for name in EVERY_TEXT), default=0)
                for found in firsts
            ],
            np.float32,
        )
        found = rarities_of(counts, basics.documents)
        rare: Floats = np.where(counts > 1, found, np.float32(0))
        return Rarities(rare, every.lacking or lacking_parts(max(failed, basics.failed)))

    def _seen_of_few(self, held: Mapping[Term, int], caller: Caller) -> tuple[dict[Term, int], int]:
        """Return the counts, with only visible items for terms that few items have, and how many
        shards these lack.
        """
        few = [term for term, count in held.items() if 0 < count <= RARE]
        seen = seen_by(caller, self._now())
        replies = self._ask([count_of(*term, seen) for term in few]) if few else []
        counts = {term: total(reply) for term, reply in zip(few, replies, strict=True)}
        return {**held, **counts}, failed_of(replies)

    def _near(self, words: Sequence[tuple[str, int]]) -> list[list[tuple[str, int]]]:
        """Return for each folded word the near terms that begin with its first or second letter,
        with their edits, the nearest and then the commonest first.
        """
        asked = [(word, min(most, _MOST_EDITS)) for word, most in words]
        bodies = {
            each: {"size": 0, "suggest": _suggest(*each, self._fields())}
            for each in asked
            if len(each[0]) > 1
        }
        replies = dict(zip(bodies, self._ask([*bodies.values()]), strict=True)) if bodies else {}
        return [self._ranked(*each, replies[each]) if each in replies else [] for each in asked]

    def _fields(self) -> Sequence[str]:
        """Return the text fields that have any words."""
        basics = self._statistics.basics()
        return [name for name in _FIELDS if not basics.is_silent(name)]

    def _ranked(self, folded: str, most: int, reply: Clause) -> list[tuple[str, int]]:
        frequencies: dict[str, int] = {}
        for entries in reply["suggest"].values():
            for option in (option for entry in entries for option in entry["options"]):
                known = frequencies.get(option["text"], 0)
                frequencies[option["text"]] = max(known, option["freq"])
        ranked = sorted(
            (OSA.distance(folded, term), term[:1] != folded[:1], -frequency, term)
            for term, frequency in frequencies.items()
            if term != folded and term[:1] in folded[:2]
        )
        return [
            (term, int(edits))
            for edits, _, _, term in ranked
            if edits <= most and not self._statistics.is_common(term)
        ]


def rarities_of(counts: Floats, documents: int) -> Floats:
    """Return the idf of words that `counts` of the documents have; both float32 [n]."""
    idf = np.log1p(np.maximum(documents - counts + 0.5, 0) / (counts + 0.5))
    found: Floats = idf.astype(np.float32)
    return found


def _suggest(folded: str, most: int, fields: Sequence[str]) -> dict[str, Any]:
    """Return the request for near terms in every text field. Lucene's thresholds are off, because
    this file sorts by itself. At two edits Lucene keeps the first letter. So words that begin with
    the second letter need separate requests: without the first letter, and with the second one
    before it.
    """
    options = {
        "size": _SUGGESTED,
        "shard_size": _SUGGESTED,
        "suggest_mode": "always",
        "max_edits": most,
        "prefix_length": 0,
        "min_word_length": 1,
        "max_term_freq": 2**31 - 1,
        "accuracy": 0.0,
        "string_distance": "damerau_levenshtein",
        "sort": "score",
    }
    texts = (folded, folded[1:], folded[1] + folded) if most > 1 else (folded,)
    return {
        f"{place} {name}": {"text": text, "term": {"field": name, **options}}
        for place, text in enumerate(texts)
        for name in fields
    }


def _held_by(term: str, seen: Sequence[Clause]) -> Clause:
    """Return the search for the newest visible item with the unstemmed `term`, and their number."""
    held = {"bool": {"should": [{"term": {name: term}} for name in _FIELDS]}}
    return {
        "size": 1,
        "_source": False,
        "track_total_hits": COUNTED,
        "sort": [{"seq": "desc"}],
        "query": all_of(held, *seen),
    }
