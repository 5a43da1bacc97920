"""A view: everything in a process that is bound to one index and its vector spaces.

A request keeps one view. So one index answers it even if the alias moves meanwhile, and its vectors
are compared with those of one encoder only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor

from core.ports.engine import Clock
from core.query_tree import Node
from core.retrieval import Retrieval
from storage.opensearch.catalogue import IndexCatalogue
from storage.opensearch.following.projector import Projector
from storage.opensearch.index.bulk import BulkSettings, BulkWriter
from storage.opensearch.index.family import IndexFamily
from storage.opensearch.nodes.connection import MissingError
from storage.opensearch.nodes.searcher import Searcher
from storage.opensearch.query.dictionary import Dictionary
from storage.opensearch.query.exact import ExactCosines
from storage.opensearch.query.query_dsl import Clause, Compiler, any_word
from storage.opensearch.query.statistics import Counts, LookUp, Statistics, Term
from storage.opensearch.query.word_counts import WordCounts
from storage.record.guard import Guard
from storage.record.item_rows import to_micros
from storage.record.port import RecordOfTruth, RecordReads
from storage.words.topics import Topics


class View:
    """Reads and writes the index of `family`, which is open. Raises StorageError if that index
    follows another record.
    """

    def __init__(
        self,
        family: IndexFamily,
        record: RecordOfTruth,
        guard: Guard,
        bulk: BulkSettings,
        clock: Clock,
        pool: Executor,
        topics: Topics,
        vector_bytes: int,
    ) -> None:
        self.family = family
        self._record = record
        self._clock = clock
        self.projector = projector_on(family, self._record, bulk, clock)
        self.projector.open()
        self.searcher = Searcher(
            family.cluster,
            family.concrete,
            self._generation,
            lambda: family.uuid,
            pool,
            family.search_type,
            self.projector.lost,
        )
        spaces = family.spaces
        self.encoders: Mapping[str, str] = {name: each.encoder for name, each in spaces.items()}
        several = family.search_type() != "query_then_fetch"  # shards, each with a dictionary
        look_up = Dictionary(
            family.cluster,
            family.concrete,
            self.searcher.preferred,
            self.searcher.look,
            several=several,
        )
        self.statistics = Statistics(
            self.searcher.ask, self._generation, tuple(spaces), self._noticing(look_up)
        )
        self.exact = {
            name: ExactCosines(self._reads, name, encoder, vector_bytes)
            for name, encoder in self.encoders.items()
        }
        self.counts = WordCounts(self.condition, self.statistics, self._generation)
        self.catalogue = IndexCatalogue(
            self._record,
            guard,
            self.searcher.ask,
            self._now,
            self.condition,
            self.statistics,
            self.counts,
            topics,
        )

    def read_ahead(self) -> bool:
        """Read some of the vectors into memory before a search asks for them, newest first; return
        whether there are more.
        """
        newest = self._record.last_change  # about the highest number of a version
        return any(each.read_ahead(newest) for each in self.exact.values())

    def _noticing(self, look_up: LookUp) -> LookUp:
        """Wrap `look_up`: tell the searcher when the index is gone."""

        def noticed(terms: Sequence[Term]) -> Counts:
            try:
                return look_up(terms)
            except MissingError as error:
                raise self.searcher.lost_error() from error

        return noticed

    def _reads(self) -> RecordReads:
        return self._record.reads

    def _now(self) -> int:
        return to_micros(self._clock())

    def _generation(self) -> int:
        return self.projector.searchable

    def condition(self, node: Node) -> Clause:
        """Return the node as a clause that scores nothing."""
        basics = self.statistics.basics()
        words = any_word(basics.some_have)
        return Compiler(basics.all_languages, basics.main, apart=words).required(node)

    def foreign(self, request: Retrieval) -> frozenset[str]:
        """Return the fields whose vectors in the request come from another encoder."""
        return frozenset(
            query.field
            for query in request.vectors
            if query.encoder and self.encoders.get(query.field) != query.encoder
        )

    def close(self) -> None:
        """Close the point in time on the cluster."""
        self.searcher.close()


def projector_on(
    family: IndexFamily, record: RecordOfTruth, bulk: BulkSettings, clock: Clock
) -> Projector:
    """Return the projector that keeps the index of `family` (open) up with `record`."""
    return Projector(record, family, BulkWriter(family.cluster, family.writes_to, bulk), clock)
