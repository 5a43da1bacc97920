"""The embedded engine: the record of truth and its projections behind one object."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from core.callers import Caller
from core.entities import Entity, KnownName
from core.items import Item
from core.languages import primary_subtag
from core.media import Undescribed
from core.ports.engine import Clock
from core.query_tree import Node, Word, is_fact
from core.retrieval import (
    Browse,
    Browsed,
    DateBuckets,
    Exemplar,
    FacetCount,
    Ids,
    Marks,
    Rarities,
    Retrieval,
    Retrieved,
    Suggestion,
)
from core.standing import SeenWord
from storage.embedded.background import Background
from storage.embedded.beside import Beside
from storage.embedded.browsing import browse, matching
from storage.embedded.columns.facets import TopicCodes, TopicFacet, count_facets
from storage.embedded.columns.facts import Columns
from storage.embedded.columns.media_items import undescribed_items
from storage.embedded.columns.names import ColumnsNames
from storage.embedded.lexical import vocabulary
from storage.embedded.lexical.suggestions import ColumnsSuggestions
from storage.embedded.live_recall import FieldRecall, RecallChecks, recall_of
from storage.embedded.moments import Moments
from storage.embedded.projections import Projections
from storage.embedded.record.archive import Record
from storage.embedded.record.copies import PROJECTIONS
from storage.embedded.retrieval import retrieve
from storage.embedded.vectors.merge_plan import ProjectionSettings
from storage.graphs.settings import HnswSettings
from storage.record.arrivals import request_with_arrivals, with_arrivals
from storage.record.kept_items import KeptItems
from storage.record.port import RecordOfTruth
from storage.record.recorded_engine import RecordedEngine
from storage.record.stories import (
    exemplar_of,
)
from storage.words.topics import Topics
from storage.words.written_words import all_as_written

log = logging.getLogger(__name__)
_COVERED_S = 2.0  # the longest wait of a write until searches by words find it


@dataclass(frozen=True, slots=True)
class EmbeddedSettings:
    """The engine's folder and the settings of its parts. `spaces` maps each vector field to the
    digest of its encoder; `topics` is the tree of subjects.
    """

    folder: Path
    spaces: Mapping[str, str]
    hnsw: HnswSettings = field(default_factory=HnswSettings)
    projections: ProjectionSettings = field(default_factory=ProjectionSettings)
    background: bool = True
    topics: Topics = field(default_factory=Topics)


class EmbeddedEngine(RecordedEngine):
    """`core.ports.engine.Engine` on a record of truth (in SQLite in `settings.folder`, unless
    `record` is given), with tantivy and faiss in that folder.

    The first process owns the projections and writes them in the background. Other processes search
    too, and any process may write to the record.
    """

    def __init__(
        self, settings: EmbeddedSettings, clock: Clock, record: RecordOfTruth | None = None
    ) -> None:
        self._settings = settings
        super().__init__(record or Record(settings.folder, settings.spaces, clock), clock)
        self._beside = Beside()
        self._kept = KeptItems()
        self._columns = Columns()
        subjects, codes = (self._columns.values[name] for name in ("subject", "subject_code"))
        self._topics = TopicCodes(settings.topics, codes)
        self._topic_facet = TopicFacet(settings.topics, subjects, codes)
        self._names = ColumnsNames(self._columns)
        self._dictionary = vocabulary.Dictionary()
        self._suggestions = ColumnsSuggestions(self._columns, self._headlines)
        try:
            self.projections = Projections(
                settings.folder / PROJECTIONS,
                settings.spaces,
                self.record,
                self._columns,
                clock,
                settings.hnsw,
                settings.projections,
            )
        except BaseException:
            self._release()
            raise
        self.moments = Moments(self._columns, self.projections)
        self._recall_checks: RecallChecks | None = None
        self._background = Background(self.projections) if settings.background else None
        if self._background is not None:
            self.record.follow(self._background.wake)

    # Writer

    def cover(self) -> str:
        """Make recorded items searchable by words; return "" or how many are not."""
        try:
            lacking = self.projections.cover(_COVERED_S)
        except Exception:
            log.exception("what was recorded could not be indexed")  # the background tries again
            lacking = max(1, self.pending)  # the number is unknown, but not 0
        return f"words: {lacking:,} items are not found by words yet" if lacking else ""

    # Retriever

    def retrieve(self, request: Retrieval) -> Retrieved:
        """Return the candidates for a request."""
        self.projections.refresh()
        request = self._read(request)
        moment = self.moments.of(request)
        if moment.unindexed and self.projections.look_for_words():
            moment = self.moments.of(request)
        left_out = request.incomplete(moment.unembedded)
        asked = request.without(left_out)
        checks = self._recall_checks
        chosen = None if checks is None else checks.chosen(asked)
        with self._beside.search():
            found = retrieve(moment, chosen or asked, self._beside)
        if checks is not None and chosen is not None:
            checks.check(moment, chosen, found)
        partly = self.moments.uncovered(moment, left_out)
        partly.append(self.moments.unworded(moment, request))
        flags = [flag for flag in partly if flag]
        return replace(found, degraded=(*found.degraded, *flags)) if flags else found

    def check_recall(self, checks: RecallChecks) -> None:
        """Let `checks` compare some of the searches from now on with the exact scan."""
        self._recall_checks = checks

    def recall(self, request: Retrieval) -> tuple[FieldRecall, ...]:
        """Search, and return the recall of this search in each vector field."""
        self.projections.refresh()
        request = self._read(request)
        moment = self.moments.of(request)
        with self._beside.search():
            found = retrieve(moment, request, self._beside)
        return recall_of(moment, request, found)

    def browse(self, request: Browse) -> Browsed:
        """Return a stretch of everything that matches, by date."""
        self.projections.refresh()
        request = replace(request, asked=self._read(request.asked))
        moment = self.moments.of(request.asked)
        if moment.unindexed and self.projections.look_for_words():
            moment = self.moments.of(request.asked)
        marks, wanted = matching(moment, request), request.facets
        found = browse(moment, request, marks)
        every = np.flatnonzero(marks) if wanted.names else found.ids
        facets = self.facets(
            every, wanted.names, wanted.limit, wanted.buckets, broader=wanted.broader
        )
        flag = self.moments.unworded(moment, request.asked)
        return replace(found, facets=facets, degraded=(flag,) if flag else ())

    def _read(self, request: Retrieval) -> Retrieval:
        """Return the request as the columns and the index read it: subjects with the topics below
        them, and numbers of versions for times of arrival.
        """
        expanded = self._topics.retrieval(request)
        return request_with_arrivals(expanded, self.record.reads.last_before)

    def _tree(self, node: Node) -> Node:
        """Return a tree likewise."""
        return with_arrivals(self._topics.expanded(node), self.record.reads.last_before)

    def visible(self, ids: Ids, caller: Caller) -> Ids:
        """Return the ids that the caller may see now, after following the record of truth."""
        self.projections.refresh()
        return self.moments.shown(ids, caller)

    # Catalogue

    def items(self, ids: Ids, caller: Caller) -> tuple[Item | None, ...]:
        """Return the items, None for a hidden one."""
        shown = set(self.visible(ids, caller).tolist())
        found = self._kept.of(self.record.reads, sorted(shown))
        return tuple(found.get(seq) if seq in shown else None for seq in ids.tolist())

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
        return {
            name: self._topic_facet.counts(ids, limit)
            if broader and name == "subject"
            else count_facets(self._columns, ids, name, limit, buckets)
            for name in fields
        }

    def created(self, ids: Ids) -> Ids:
        """Return when each version was created, in microseconds."""
        times: Ids = self._columns.dates["versioncreated"].view()[ids]
        return times

    def languages_of(self, ids: Ids) -> Sequence[str]:
        """Return the primary language of each version."""
        return [primary_subtag(tag) for tag in self._columns.values["language"].first_of(ids)]

    def chains(self, ids: Ids) -> Ids:
        """Return a number for each id; equal numbers are one story."""
        return self._columns.stories(ids)

    # Names

    def known(self, entities: Sequence[Entity], caller: Caller) -> tuple[KnownName | None, ...]:
        """Return the archive's name for each entity."""
        self.projections.refresh()
        return self._names.known(entities, self.moments.allowed(caller))

    def holding(self, ids: Ids, names: Sequence[KnownName]) -> Marks:
        """Return which versions have which name."""
        return self._names.holding(ids, names)

    # Standings

    def shown(self, uris: Sequence[str], caller: Caller, filters: Node) -> Ids:
        """Return the ids of the allowed items, in the given order."""
        ids = np.array([self.standing(uri).id for uri in uris], np.int64)
        return self.moments.shown(ids, caller, self._tree(filters))

    def having(self, facts: Node, caller: Caller, filters: Node, most: int) -> Ids:
        """Return the newest indexed items with `facts`. The index of words has a list of the items
        for each fact; the columns would have to be read whole.
        """
        self.projections.refresh()
        ids = self.moments.lexical().having(facts)
        if not len(ids):
            return ids
        shown = self.moments.shown(ids, caller, self._tree(filters))
        return self._columns.by_date.sorted(shown)[::-1][:most]

    def satisfies(self, id_: int, nodes: Sequence[Node]) -> tuple[bool, ...]:
        """Return which nodes the item matches."""
        lexical = self.moments.lexical()
        return tuple(
            self._columns.satisfies(id_, node) if is_fact(node) else lexical.holds(id_, node)
            for node in map(self._tree, nodes)
        )

    # Vocabulary

    def seen_counts(
        self, words: Sequence[str], few: int, caller: Caller, field: str = ""
    ) -> tuple[int, ...]:
        """Return in how many items a search finds each word."""
        self.projections.refresh()
        lexical, seen = self.moments.words(caller)
        asked = [Word(word, field) for word in words]
        return vocabulary.counts(lexical, asked, few, caller, seen)

    def similar_words(
        self, words: Sequence[tuple[str, int]], caller: Caller
    ) -> tuple[tuple[SeenWord, ...], ...]:
        """Return similar words, each spelled as an item with it spells it."""
        self.projections.refresh()
        lexical, seen = self.moments.words(caller)
        found = [
            vocabulary.similar(self._dictionary, lexical, word, most, caller, seen)
            for word, most in words
        ]
        return all_as_written(found, lambda ids: self.items(ids, caller))

    # Exemplars

    def exemplar(self, uri: str, caller: Caller) -> Exemplar | None:
        """Return the item to find similar items of."""
        item = self.item(uri, caller)
        if item is None:
            return None
        return exemplar_of(self.record, self._columns.stories, item, self._settings.spaces)

    def rarities(self, words: Sequence[str], language: str, caller: Caller) -> Rarities:
        """Return the idf of each word."""
        self.projections.refresh()
        lexical, seen = self.moments.words(caller)
        return Rarities(lexical.rarities(words, language, seen.allowed))

    # Suggestions

    def suggest(self, text: str, limit: int, caller: Caller) -> tuple[Suggestion, ...]:
        """Return the best completions of `text`."""
        self.projections.refresh()
        allowed = self.moments.allowed(caller)
        return self._suggestions.suggest(text, limit, caller.products, allowed)

    def _headlines(self, since: int, until: int) -> Iterator[tuple[int, str]]:
        return self.record.reads.headlines(since, until)

    # Media items

    def undescribed(self, limit: int) -> Undescribed:
        """Return the visible media without a description."""
        self.projections.refresh()
        return undescribed_items(self.record.reads, self._columns, limit)

    # Life

    def catch_up(self) -> None:
        """Bring every projection up to date now; only the owner writes files."""
        self.projections.catch_up()

    def compact(self) -> None:
        """Seal tails and merge segments as an idle process would."""
        self.projections.compact()

    @property
    def pending(self) -> int:
        """The number of documents by which the lexical index is behind."""
        return self.projections.projector.progress.lexical_pending

    def products(self) -> frozenset[str]:
        """Return every product code of the items."""
        return frozenset(self._columns.values["product"].labels)

    def languages(self) -> frozenset[str]:
        """Return the primary language subtags of the items, in which a search reads each word."""
        return frozenset(self.moments.languages())

    def status(self) -> dict[str, Any]:
        """Return what the archive holds and how far the projections are, as values for JSON."""
        visible = self._columns.view().visible
        return {
            "engine": "embedded",
            "folder": str(self._settings.folder),
            "record": {"where": self.record.where, **self.record.facts()},
            "versions": self.record.reads.count_items(),
            "visible": int(np.count_nonzero(visible)),
            "last_change": self.record.last_change(),
            **self.projections.status(visible),
        }

    def close(self) -> None:
        """End background work and close every file; no acknowledged write depends on them."""
        if self._recall_checks is not None:
            self._recall_checks.close()
        if self._background is not None:
            self._background.stop()
        try:
            self.projections.close()
        finally:
            self._release()

    def _release(self) -> None:
        self._beside.close()
        self.record.close()

    def _encoder(self, field: str) -> str:
        return self._settings.spaces[field]

    def _refresh(self) -> None:
        self.projections.refresh()

    def _written(self) -> None:
        self.projections.refresh()
        if self._background is not None:
            self._background.wake()
