"""The ports of the cluster engine other than writing and retrieval.

Answers about single items come from the record of truth; answers about the whole archive come from
the index. The engine brings the index up to date before it asks here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

import numpy as np

from core.callers import Caller
from core.entities import Entity, KnownName
from core.exemplars import Exemplar, Rarities
from core.items import Item, Passage
from core.near_duplicates import TextSignatures
from core.query_tree import Node, is_fact
from core.retrieval import DateBuckets, FacetCount, Ids, Marks
from core.standing import SeenWord, Sight, Standing
from core.suggestions import Suggestion
from core.undescribed import Undescribed
from storage.media.items import newest_versions
from storage.opensearch.media import undescribed_items
from storage.opensearch.query.facts import RecordedFacts
from storage.opensearch.query.names import IndexNames
from storage.opensearch.query.statistics import Statistics
from storage.opensearch.query.suggestions import IndexSuggestions
from storage.opensearch.query.words import IndexWords
from storage.opensearch.seen import Ask, Clause, Now, all_of
from storage.record.exemplars import exemplar_of
from storage.record.guard import Guard
from storage.record.port import RecordOfTruth, RecordReads
from storage.record.signatures import StoredSignatures
from storage.record.standing import standing_of
from storage.record.stories import MOST_VERSIONS, chain_sizes, passages_at, sights_of, story_of
from storage.words.topic_trees import WrittenTopics
from storage.words.topics import Topics
from storage.words.written_words import all_as_written


class IndexCatalogue:
    """The ports of `core.ports` other than Writer and Retriever. `condition` compiles a node to a
    query that scores nothing; `encoders` has the digest of the index's encoder by vector field.
    Thread-safe.
    """

    def __init__(
        self,
        record: RecordOfTruth,
        guard: Guard,
        ask: Ask,
        now: Now,
        condition: Callable[[Node], Clause],
        statistics: Statistics,
        topics: Topics,
        encoders: Mapping[str, str],
    ) -> None:
        self._record = record
        self._guard = guard
        self._ask = ask
        self._now = now
        self._condition = condition
        self._encoders = encoders
        self._topics = WrittenTopics(topics)
        self._facts = RecordedFacts(guard.facts, topics)
        self._signatures = StoredSignatures()
        self._names = IndexNames(ask, now)
        self._words = IndexWords(ask, now, condition, statistics)
        self._suggestions = IndexSuggestions(ask, now)

    def _reads(self) -> RecordReads:
        return self._record.reads

    # Catalogue, NearDuplicates, Names

    def facets(
        self, ids: Ids, fields: Sequence[str], limit: int, buckets: DateBuckets, *, broader: bool
    ) -> Mapping[str, tuple[FacetCount, ...]]:
        """Return counts by field, as `core.ports.Catalogue` says."""
        return self._facts.facets(ids, fields, limit, buckets, broader=broader)

    def created(self, ids: Ids) -> Ids:
        """Return when each version was created, in microseconds."""
        return self._facts.created(ids)

    def chain_sizes(self, ids: Ids, caller: Caller) -> Sequence[int]:
        """Return how many versions of each story the caller may see."""
        return chain_sizes(self._reads(), ids, caller, self._now())

    def passages(self, ids: Ids, field: str, numbers: Sequence[int]) -> tuple[Passage | None, ...]:
        """Return where each passage lies in its item."""
        encoder = self._encoders.get(field, "")
        return passages_at(self._reads(), ids, field, encoder, numbers)

    def signatures(self, ids: Ids) -> TextSignatures:
        """Return the text signatures of the versions, one row each."""
        return self._signatures.of(self._reads(), ids)

    def known(self, entities: Sequence[Entity], caller: Caller) -> tuple[KnownName | None, ...]:
        """Return the archive's name for each entity."""
        return self._names.known(entities, caller)

    def holding(self, ids: Ids, names: Sequence[KnownName]) -> Marks:
        """Return which versions have which name."""
        return self._facts.holding(ids, names)

    # Standings

    def standing(self, uri: str) -> Standing:
        """Return how the item stands, whoever asks."""
        return standing_of(self._reads(), uri, self._now())

    def shown(self, uris: Sequence[str], caller: Caller, filters: Node) -> Ids:
        """Return the ids of the allowed items, in the given order."""
        ids = np.array([self.standing(uri).id for uri in uris], np.int64)
        seen = self._guard.visible(ids[ids >= 0], caller)
        return self._facts.satisfying(seen, self._topics.expanded(filters))

    def satisfies(self, id_: int, nodes: Sequence[Node]) -> tuple[bool, ...]:
        """Return which nodes the item matches; one request asks for all nodes of text."""
        expanded = [self._topics.expanded(node) for node in nodes]
        texts = [node for node in expanded if not is_fact(node)]
        replies = self._ask([self._within(id_, node) for node in texts]) if texts else []
        found = iter([bool(reply["hits"]["total"]["value"]) for reply in replies])
        one = np.array([id_], np.int64)
        return tuple(
            bool(len(self._facts.satisfying(one, node))) if is_fact(node) else next(found)
            for node in expanded
        )

    def _within(self, id_: int, node: Node) -> Clause:
        query = all_of({"term": {"seq": id_}}, self._condition(node))
        return {"size": 0, "track_total_hits": 1, "query": query}

    # Vocabulary, Exemplars, Suggestions

    def seen_counts(self, words: Sequence[str], few: int, caller: Caller) -> tuple[int, ...]:
        """Return in how many items a search finds each word."""
        return self._words.seen_counts(words, few, caller)

    def similar_words(
        self, words: Sequence[tuple[str, int]], caller: Caller
    ) -> tuple[tuple[SeenWord, ...], ...]:
        """Return similar words, each spelled as the newest item with it spells it."""
        found = self._words.similar(words, caller)
        return all_as_written(found, lambda ids: self._guard.items(ids, caller))

    def exemplar(self, uri: str, caller: Caller) -> Exemplar | None:
        """Return the item to find similar items of."""
        item = self.item(uri, caller)
        if item is None:
            return None
        return exemplar_of(self._record, self._guard.stories, item, self._encoders)

    def rarities(self, words: Sequence[str], language: str, caller: Caller) -> Rarities:
        """Return the idf of each word."""
        return self._words.rarities(words, language, caller)

    def suggest(self, text: str, limit: int, caller: Caller) -> tuple[Suggestion, ...]:
        """Return the best completions of `text`."""
        return self._suggestions.suggest(text, limit, caller)

    # Library, MediaItems

    def item(self, uri: str, caller: Caller) -> Item | None:
        """Return the item if it is the head of its story. An item that a write-through replaced is
        in `chain` only.
        """
        shown = self._story(uri, caller, 1)
        return shown[0] if shown and shown[0].uri == uri else None

    def chain(self, uri: str, caller: Caller) -> tuple[Item, ...]:
        """Return the visible versions of the item's story, newest first."""
        shown = self._story(uri, caller, MOST_VERSIONS)
        return tuple(shown) if any(item.uri == uri for item in shown) else ()

    def sights(self, named: Mapping[str, Collection[str]], caller: Caller) -> Mapping[str, Sight]:
        """Return what the caller sees of each named uri."""
        return sights_of(self._reads(), named, caller, self._now())

    def _story(self, uri: str, caller: Caller, most: int) -> list[Item]:
        return story_of(self._reads(), uri, caller, self._now(), most)

    def newest(self, uris: Sequence[str]) -> tuple[Item | None, ...]:
        """Return the newest recorded version of each item, in any state."""
        return newest_versions(self._reads(), uris)

    def undescribed(self, limit: int) -> Undescribed:
        """Return the visible media without a description."""
        return undescribed_items(self._ask, self._now, self._reads(), limit)
