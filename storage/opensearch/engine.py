"""The cluster engine: a record of truth, and an index on OpenSearch that follows it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from core.callers import Caller
from core.entities import Entity, KnownName
from core.errors import BusyError, DatelineError
from core.items import Item
from core.media import Undescribed
from core.ports.engine import Clock
from core.query_tree import Node
from core.retrieval import (
    Browse,
    Browsed,
    DateBuckets,
    Exemplar,
    FacetCount,
    Floats,
    Ids,
    Marks,
    Rarities,
    Retrieval,
    Retrieved,
    SortOrder,
    Suggestion,
)
from core.standing import SeenWord
from core.threads import Threads
from storage.opensearch.catalogue import IndexCatalogue
from storage.opensearch.following.follower import Follower
from storage.opensearch.following.projector import Projector
from storage.opensearch.index.body import IndexSettings, VectorSpace
from storage.opensearch.index.bulk import BulkSettings
from storage.opensearch.index.family import IndexFamily
from storage.opensearch.index.holdings import holdings_of, products_in
from storage.opensearch.nodes.connection import Cluster, ClusterSettings
from storage.opensearch.query.retrieval import SearchSettings
from storage.opensearch.query.statistics import RARE, Statistics
from storage.opensearch.query.words import rarities_of
from storage.opensearch.served_retrieval import ServedRetrieval
from storage.opensearch.view import View
from storage.opensearch.views import Views
from storage.record.guard import Guard
from storage.record.port import RecordOfTruth
from storage.record.recorded_engine import RecordedEngine
from storage.record.stories import (
    exemplar_of,
)
from storage.words.topics import Topics, WrittenTopics


@dataclass(frozen=True, slots=True)
class OpenSearchSettings:
    """Where the index is and how it is searched. `spaces` are the vector fields; `topics` is the
    tree of subjects. A search waits at most `patience_s` until recorded changes are searchable.
    `vector_bytes` is the memory for candidates' vectors, for each field; `guard_bytes` that for
    what the guard knows of versions.

    While an archive moves to another encoder, the alias may also point to an index with the spaces
    `beside`. `concrete` names an index to use instead of the alias's. Every `follow_s` a process
    looks where the alias points; after a move it also answers from the old index for `overlap_s`.
    """

    spaces: Mapping[str, VectorSpace]
    name: str = "dateline"
    cluster: ClusterSettings = field(default_factory=ClusterSettings)
    index: IndexSettings = field(default_factory=IndexSettings)
    bulk: BulkSettings = field(default_factory=BulkSettings)
    search: SearchSettings = field(default_factory=SearchSettings)
    patience_s: float = 1.0
    vector_bytes: int = 512 * 2**20
    guard_bytes: int = 60 * 2**20
    background: bool = True
    topics: Topics = field(default_factory=Topics)
    beside: Mapping[str, VectorSpace] = field(default_factory=dict)
    concrete: str = ""
    follow_s: float = 1.0
    overlap_s: float = 30.0


class OpenSearchEngine(RecordedEngine):
    """`core.ports.engine.Engine` on a record of truth and an index on a cluster. It keeps no state
    that another process needs.
    """

    def __init__(self, settings: OpenSearchSettings, clock: Clock, record: RecordOfTruth) -> None:
        self._settings = settings
        super().__init__(record, clock)
        self._pool = Threads(2, thread_name_prefix="snapshots")
        self.cluster = Cluster(settings.cluster)
        self.guard = Guard(record, clock, settings.guard_bytes)
        try:
            self._views = Views(self._opened, settings.follow_s, settings.overlap_s)
        except BaseException:
            self._release()
            raise
        self._retrieval = ServedRetrieval(
            self._views,
            self.guard,
            WrittenTopics(settings.topics),
            lambda at: record.reads.last_before(at),  # the reads of the thread that asks
            self.cluster,
            settings.cluster.nodes,
            settings.search,
            settings.patience_s,
            self._now,
        )
        background = settings.background
        self._follower = Follower(self._followed, self.read_ahead) if background else None
        if self._follower is not None:
            record.follow(self._follower.wake)

    def _opened(self, any_space: bool) -> View:
        """Open a view of the index that the alias points to."""
        settings = self._settings
        family = IndexFamily(
            self.cluster,
            settings.name,
            settings.index,
            settings.spaces,
            settings.beside,
            settings.concrete,
        )
        family.open(any_space=any_space)
        return View(
            family,
            self.record,
            self.guard,
            settings.bulk,
            self._clock,
            self._pool,
            settings.topics,
            settings.vector_bytes,
        )

    def _followed(self) -> Projector:
        """Return the projector of the index that the alias points to now."""
        self.record.settle()
        self._views.look()
        return self.projector

    def read_ahead(self) -> bool:
        """Read some of the newest vectors and facts into memory; return whether there are more."""
        return self._views.current.read_ahead() or self.guard.read_ahead()

    @property
    def family(self) -> IndexFamily:
        """The index that is served."""
        return self._views.current.family

    @property
    def projector(self) -> Projector:
        """What keeps the served index up with the record."""
        return self._views.current.projector

    @property
    def statistics(self) -> Statistics:
        """The statistics of the served index."""
        return self._views.current.statistics

    @property
    def encoders(self) -> Mapping[str, str]:
        """The digest of the encoder of each vector field in the index that is served."""
        self._views.look()
        return self._views.current.encoders

    @property
    def _catalogue(self) -> IndexCatalogue:
        return self._views.current.catalogue

    def _freshened(self) -> tuple[View, str]:
        """Return a view that sees every acknowledged change, and "" or why it lacks some. The alias
        may move meanwhile, so the caller must go on with this view, not with the current one.
        """
        self._views.look()
        view = self._views.current
        return view, view.projector.make_searchable(self._settings.patience_s)

    # Writer

    def cover(self) -> str:
        """Make recorded changes searchable; return "" or why some are not."""
        return self._freshened()[1]

    def _encoder(self, field: str) -> str:
        return self._settings.spaces[field].encoder

    def _refresh(self) -> None:
        """Do nothing: the record is asked at each call."""

    def _encoder_in_use(self, field: str) -> str:
        return self._views.current.encoders.get(field, "")

    def _written(self) -> None:
        """Project the write. A failure is only noted: the write is recorded and acknowledged."""
        try:
            self.projector.project(within_s=self._settings.cluster.nodes.timeout_s)
        except DatelineError as error:
            self.projector.failed(error)
            if self._follower is not None:
                self._follower.wake()

    # Retriever

    def retrieve(self, request: Retrieval) -> Retrieved:
        """Return the candidates for a request."""
        return self._retrieval.retrieve(request)

    def browse(self, request: Browse) -> Browsed:
        """Return a stretch of everything that matches, by date."""
        return self._retrieval.browse(request, self._settings.index.window)

    def visible(self, ids: Ids, caller: Caller) -> Ids:
        """Return the ids that the caller may see now, by the record of truth."""
        return self.guard.visible(ids, caller)

    # Catalogue, Names

    def items(self, ids: Ids, caller: Caller) -> tuple[Item | None, ...]:
        """Return the items, None for a hidden one."""
        return self.guard.items(ids, caller)

    def facets(
        self,
        ids: Ids,
        fields: Sequence[str],
        limit: int,
        buckets: DateBuckets = DateBuckets(),  # noqa: B008 - a frozen value
        *,
        broader: bool = False,
    ) -> Mapping[str, tuple[FacetCount, ...]]:
        """Return counts by field."""
        return self._catalogue.facts.facets(ids, fields, limit, buckets, broader=broader)

    def created(self, ids: Ids) -> Ids:
        """Return when each version was created, in microseconds."""
        return self._catalogue.facts.created(ids)

    def languages_of(self, ids: Ids) -> Sequence[str]:
        """Return the primary language of each version."""
        return self._catalogue.facts.languages_of(ids)

    def chains(self, ids: Ids) -> Ids:
        """Return a number for each id; equal numbers are one story."""
        return self.guard.stories(ids)

    def known(self, entities: Sequence[Entity], caller: Caller) -> tuple[KnownName | None, ...]:
        """Return the archive's name for each entity. While the index is behind the record, all are
        None, because a name could come from an item that was killed since.
        """
        view, behind = self._freshened()
        if behind:
            return (None,) * len(entities)
        return view.catalogue.names.known(entities, caller)

    def holding(self, ids: Ids, names: Sequence[KnownName]) -> Marks:
        """Return which versions have which name."""
        return self._catalogue.facts.holding(ids, names)

    # Standings, Vocabulary, Exemplars, Suggestions

    def shown(self, uris: Sequence[str], caller: Caller, filters: Node) -> Ids:
        """Return the ids of the allowed items, in the given order."""
        return self._catalogue.shown(uris, caller, filters)

    def having(self, facts: Node, caller: Caller, filters: Node, most: int) -> Ids:
        """Return the newest indexed items with `facts`."""
        asked = Retrieval(facts, caller, filters, (), 1, 0, SortOrder.NEWEST)
        return self.browse(Browse(asked, most)).ids

    def satisfies(self, id_: int, nodes: Sequence[Node]) -> tuple[bool, ...]:
        """Return which nodes the item matches."""
        view, _ = self._freshened()
        return view.catalogue.satisfies(id_, nodes)

    def seen_counts(
        self, words: Sequence[str], few: int, caller: Caller, field: str = ""
    ) -> tuple[int, ...]:
        """Return in how many items a search finds each word. While the index is behind the record,
        every word counts as one that more than `few` items have, so that none looks misspelled.
        """
        view, behind = self._freshened()
        if behind:
            return (few + 1,) * len(words)
        return view.catalogue.words.seen_counts(words, few, caller, field)

    def similar_words(
        self, words: Sequence[tuple[str, int]], caller: Caller
    ) -> tuple[tuple[SeenWord, ...], ...]:
        """Return similar words; none while the index is behind the record, as in `known`."""
        view, behind = self._freshened()
        if behind:
            return ((),) * len(words)
        return view.catalogue.similar_words(words, caller)

    def exemplar(self, uri: str, caller: Caller) -> Exemplar | None:
        """Return the item to find similar items of."""
        item = self.item(uri, caller)
        if item is None:
            return None
        encoders = self._views.current.encoders
        return exemplar_of(self.record, self.guard.stories, item, encoders)

    def rarities(self, words: Sequence[str], language: str, caller: Caller) -> Rarities:
        """Return the idf of each word. While the index is behind the record, a word that few items
        have gets 0, because one of those items may have been killed since.
        """
        view, behind = self._freshened()
        found = view.catalogue.words.rarities(words, language, caller)
        if not behind:
            return found
        few = np.array([RARE], np.float32)
        least = rarities_of(few, view.statistics.basics().documents)
        common: Floats = np.where(found.values < least, found.values, np.float32(0))
        return replace(found, values=common)

    def suggest(self, text: str, limit: int, caller: Caller) -> tuple[Suggestion, ...]:
        """Return completions; none while the index is behind the record, as in `known`."""
        view, behind = self._freshened()
        return () if behind else view.catalogue.suggestions.suggest(text, limit, caller)

    # Media items

    def undescribed(self, limit: int) -> Undescribed:
        """Return the visible media without a description. Raises BusyError while the index is
        behind the record, because an item that was killed since could be among them.
        """
        view, behind = self._freshened()
        if behind:
            raise BusyError(behind, where=self.cluster.where, mend="try again")
        return view.catalogue.undescribed(limit)

    # Life

    def catch_up(self) -> None:
        """Bring the index up to date now."""
        self.projector.project()
        self._freshened()

    def compact(self) -> None:
        """Merge each shard into one segment, which is fastest to search. Use it when nothing is
        written for a while.
        """
        self.family.merge()

    @property
    def pending(self) -> int:
        """The number of changes of the record that the index lacks."""
        return self._pending(self._views.current)

    def _pending(self, view: View) -> int:
        return max(0, self.record.last_change() - view.projector.applied)

    def products(self) -> frozenset[str]:
        """Return every product code of the items in the index, casefolded."""
        view, _ = self._freshened()
        return products_in(view.searcher)

    def languages(self) -> frozenset[str]:
        """Return the primary language subtags of the items, in which a search reads each word."""
        return frozenset(self._views.current.statistics.basics().all_languages)

    def status(self) -> dict[str, Any]:
        """Return what the archive holds and how far the index is, as values for JSON."""
        view, behind = self._freshened()
        held = holdings_of(view, self._now())
        return {
            "engine": "opensearch",
            "cluster": self.cluster.where,
            "index": {"name": view.family.name, "concrete": view.family.concrete},
            "record": {"where": self.record.where, **self.record.facts()},
            "versions": self.record.reads.count_items(),
            "visible": held["visible"],
            "last_change": self.record.last_change(),
            "applied_change": view.projector.applied,
            "behind": behind,
            "lexical": {"pending": self._pending(view), "documents": held["documents"]},
            "vectors": held["vectors"],
            "repairs": [],
            "failures": list(view.projector.failures),
        }

    def close(self) -> None:
        """End background work and close all connections; no acknowledged write depends on them."""
        if self._follower is not None:
            self._follower.stop()
        self._views.close()
        self._retrieval.close()
        self._release()

    def _release(self) -> None:
        self._pool.shutdown()
        self.cluster.close()
        self.record.close()
