"""What one index, with the record's guard, answers besides candidates. The engine brings the index
up to date before it asks here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from core.callers import Caller
from core.items import Item
from core.media import Undescribed
from core.query_tree import Node, is_fact
from core.retrieval import Ids
from core.standing import SeenWord
from storage.media.items import MEDIA
from storage.opensearch.query.facts import RecordedFacts
from storage.opensearch.query.names import IndexNames
from storage.opensearch.query.statistics import Statistics, total
from storage.opensearch.query.suggestions import IndexSuggestions
from storage.opensearch.query.word_counts import WordCounts
from storage.opensearch.query.words import IndexWords
from storage.opensearch.seen import Ask, Clause, Now, all_of, shown_at
from storage.record.arrivals import with_arrivals
from storage.record.guard import Guard
from storage.record.port import RecordOfTruth, RecordReads
from storage.record.stories import standing_of
from storage.words.topics import Topics, WrittenTopics
from storage.words.written_words import all_as_written

_PAGE = 500


def undescribed_items(ask: Ask, now: Now, reads: RecordReads, limit: int) -> Undescribed:
    """Return the first `limit` visible media without a description, read page by page."""
    media = [*shown_at(now()), {"terms": {"type": [str(kind) for kind in MEDIA]}}]
    silent: list[Clause] = [*media, {"term": {"described": False}}]
    every, few = ask([_search(media, 0, ()), _search(silent, min(limit, _PAGE), ())])
    found: list[Item] = []
    page: dict[str, Any] = few
    while seqs := [hit["sort"][0] for hit in page["hits"]["hits"]]:
        items = reads.items_by_seq(seqs)
        found += [items[seq] for seq in seqs if seq in items]
        if len(found) >= limit or len(seqs) < _PAGE:
            break
        (page,) = ask([_search(silent, min(limit - len(found), _PAGE), seqs[-1:])])
    return Undescribed(total(every), total(few), tuple(found[:limit]))


def _search(clauses: list[Clause], size: int, after: tuple[int, ...] | list[int]) -> Clause:
    """Return the search that counts the items and finds the first `size` by seq, behind `after`."""
    search: Clause = {
        "size": size,
        "_source": False,
        "track_total_hits": True,
        "sort": [{"seq": "asc"}],
        "query": all_of(*clauses),
    }
    return search | ({"search_after": list(after)} if after else {})


class IndexCatalogue:
    """Facts, names, words and suggestions, which answer for themselves, and what needs several of
    them. `condition` compiles a node to a query that scores nothing. Thread-safe.
    """

    def __init__(
        self,
        record: RecordOfTruth,
        guard: Guard,
        ask: Ask,
        now: Now,
        condition: Callable[[Node], Clause],
        statistics: Statistics,
        counts: WordCounts,
        topics: Topics,
    ) -> None:
        self.facts = RecordedFacts(guard.facts, topics)
        self.names = IndexNames(ask, now)
        self.words = IndexWords(ask, now, counts, statistics)
        self.suggestions = IndexSuggestions(ask, now)
        self._record = record
        self._guard = guard
        self._ask = ask
        self._now = now
        self._condition = condition
        self._topics = WrittenTopics(topics)

    def shown(self, uris: Sequence[str], caller: Caller, filters: Node) -> Ids:
        """Return the ids of the allowed items, in the given order."""
        now = self._now()
        ids = np.array([standing_of(self._record.reads, uri, now).id for uri in uris], np.int64)
        seen = self._guard.visible(ids[ids >= 0], caller)
        return self.facts.satisfying(seen, self._tree(filters))

    def satisfies(self, id_: int, nodes: Sequence[Node]) -> tuple[bool, ...]:
        """Return which nodes the item matches; one request asks for all nodes of text."""
        expanded = [self._tree(node) for node in nodes]
        texts = [node for node in expanded if not is_fact(node)]
        replies = self._ask([self._within(id_, node) for node in texts]) if texts else []
        found = iter([bool(reply["hits"]["total"]["value"]) for reply in replies])
        one = np.array([id_], np.int64)
        return tuple(
            bool(len(self.facts.satisfying(one, node))) if is_fact(node) else next(found)
            for node in expanded
        )

    def _tree(self, node: Node) -> Node:
        return with_arrivals(self._topics.expanded(node), self._record.reads.last_before)

    def _within(self, id_: int, node: Node) -> Clause:
        query = all_of({"term": {"seq": id_}}, self._condition(node))
        return {"size": 0, "track_total_hits": 1, "query": query}

    def similar_words(
        self, words: Sequence[tuple[str, int]], caller: Caller
    ) -> tuple[tuple[SeenWord, ...], ...]:
        """Return similar words, each spelled as the newest item with it spells it."""
        found = self.words.similar(words, caller)
        return all_as_written(found, lambda ids: self._guard.items(ids, caller))

    def undescribed(self, limit: int) -> Undescribed:
        """Return the visible media without a description."""
        return undescribed_items(self._ask, self._now, self._record.reads, limit)
