"""The embedded engine: the record of truth and its projections behind one object."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from core.callers import Caller
from core.entities import Entity, KnownName
from core.exemplars import Exemplar, Rarities
from core.items import Item, Passage, PassageVectors
from core.near_duplicates import TextSignatures
from core.ports import Clock
from core.query_tree import EVERYTHING, Node, is_fact
from core.retrieval import DateBuckets, FacetCount, Ids, Marks, Retrieval, Retrieved
from core.standing import SeenWord, Standing
from core.suggestions import Suggestion
from core.undescribed import Undescribed
from core.writes import PutItem, SetStatus, Written
from storage.analysis import primary_subtag
from storage.embedded import vocabulary
from storage.embedded.allowed import AllowedMasks
from storage.embedded.background import Background
from storage.embedded.beside import Beside
from storage.embedded.columns import Columns
from storage.embedded.facets import count_facets
from storage.embedded.lexical import LexicalIndex
from storage.embedded.lexical_reader import LexicalReader
from storage.embedded.media_items import undescribed_items
from storage.embedded.merge_plan import ProjectionSettings
from storage.embedded.names import ColumnsNames
from storage.embedded.opening import Opening, note_source
from storage.embedded.ownership import Ownership
from storage.embedded.projector import Mask, Projector
from storage.embedded.record import Record
from storage.embedded.retrieval import Moment, retrieve
from storage.embedded.suggestions import ColumnsSuggestions
from storage.embedded.topic_codes import TopicCodes
from storage.embedded.topic_facet import TopicFacet
from storage.exemplars import exemplar_of
from storage.graphs.settings import HnswSettings
from storage.item_rows import to_micros
from storage.media_items import newest_versions
from storage.record_port import RecordOfTruth
from storage.signatures import StoredSignatures, add_missing
from storage.standing import standing_of
from storage.stories import chain_sizes, passages_at, story_of
from storage.topics import Topics
from storage.written_words import all_as_written


@dataclass(frozen=True, slots=True)
class EmbeddedSettings:
    """Where the engine lives and how its parts are tuned. `spaces` maps each vector field to the
    digest of its encoder; `topics` say which subjects lie below which.
    """

    folder: Path
    spaces: Mapping[str, str]
    hnsw: HnswSettings = field(default_factory=HnswSettings)
    projections: ProjectionSettings = field(default_factory=ProjectionSettings)
    background: bool = True
    topics: Topics = field(default_factory=Topics)


class EmbeddedEngine:
    """`core.ports.Engine` on a record of truth (SQLite's in `settings.folder`, unless `record` is
    given), tantivy and faiss in that folder.

    The first process there owns the projections and writes them in the background; others search
    too, and any may write to the record. Damaged projections are made anew by the owner.
    """

    def __init__(
        self, settings: EmbeddedSettings, clock: Clock, record: RecordOfTruth | None = None
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._projections = settings.folder / "projections"
        self.ownership = Ownership(self._projections / "owner.lock")
        self.record = record or Record(settings.folder, settings.spaces, clock)
        self.repairs: list[str] = []
        self._beside = Beside()
        self._columns = Columns()
        subjects, codes = (self._columns.values[name] for name in ("subject", "subject_code"))
        self._topics = TopicCodes(settings.topics, codes)
        self._topic_facet = TopicFacet(settings.topics, subjects, codes)
        self._names = ColumnsNames(self._columns)
        self._dictionary = vocabulary.Dictionary()
        self._suggestions = ColumnsSuggestions(self._columns, self._headlines)
        self._allowed = AllowedMasks()
        self._signatures = StoredSignatures()
        self._noted = -1
        self._known_languages: tuple[int, dict[str, int]] = (0, {})
        try:
            self.ownership.try_acquire()
            self._open()
        except BaseException:
            self._release()
            raise
        self._background = Background(self) if settings.background else None
        if self._background is not None:
            self.record.follow(self._background.wake)

    def _open(self) -> None:
        opening = self._opening()
        opening.check_source(self.record)
        self._fields = {
            name: opening.field(name, encoder, self._settings.hnsw)
            for name, encoder in self._settings.spaces.items()
        }
        self.projector = Projector(
            self.record, self._columns, self._fields, self._clock, self._settings.projections
        )
        self.projector.load()
        self.lexical = self._open_lexical()

    def _opening(self) -> Opening:
        return Opening(self._projections, self.ownership.held, self.repairs)

    def _open_lexical(self) -> LexicalIndex:
        index = self._opening().lexical()
        self.projector.note_lexical(index.ids())
        return index

    # Writer

    def put(self, writes: Sequence[PutItem]) -> tuple[Written, ...]:
        """See `core.ports.Writer`: recorded, visible to searches by vector, then acknowledged."""
        written = self.record.put(writes)
        self._written()
        return written

    def set_status(self, changes: Sequence[SetStatus]) -> tuple[Written, ...]:
        """See `core.ports.Writer`: what it hides is on no surface when this returns."""
        written = self.record.set_status(changes)
        self._written()
        return written

    def unknown(self, items: Sequence[Item]) -> tuple[bool, ...]:
        """See `core.ports.Writer`."""
        return self.record.unknown(items)

    # VectorKeeper

    def count_lacking(self, field: str) -> int:
        """See `core.ports.VectorKeeper`."""
        return self.record.reads.count_lacking(field, self._settings.spaces[field])

    def lacking(self, field: str, after: int, limit: int) -> Mapping[int, Item]:
        """See `core.ports.VectorKeeper`."""
        encoder = self._settings.spaces[field]
        return self.record.reads.items_lacking(field, encoder, after, limit)

    def add_vectors(self, vectors: Mapping[int, PassageVectors]) -> int:
        """See `core.ports.VectorKeeper`."""
        added = self.record.add_vectors(vectors)
        self._written()
        return added

    # Retriever

    def retrieve(self, request: Retrieval) -> Retrieved:
        """See `core.ports.Retriever`."""
        self.projector.refresh()
        request = self._topics.retrieval(request)
        moment = self._moment(request)
        with self._beside.search():
            found = retrieve(moment, request, self._beside)
        partly = [self._coverage(query.field, moment.allowed) for query in request.vectors]
        flags = [flag for flag in partly if flag]
        return replace(found, degraded=(*found.degraded, *flags)) if flags else found

    def _coverage(self, field: str, allowed: Mask) -> str:
        """What is to be said of a vector field that does not cover what a search is over (bool by
        seq); "" where it does.
        """
        lacking = self.projector.lacking(field, allowed)
        if not lacking:
            return ""
        every = int(np.count_nonzero(allowed))
        what = f"vectors: field {field} lacks {lacking:,} of {every:,} items"
        return f"{what}; `dateline embed` adds them"

    def visible(self, ids: Ids, caller: Caller) -> Ids:
        """See `core.ports.Retriever`; asks the record of truth first."""
        self.projector.refresh()
        view = self._columns.view()
        known = ids[ids < len(view.visible)]
        return known[self._allowed.of(view, caller.products, EVERYTHING)[known]]

    # Catalogue

    def items(self, ids: Ids, caller: Caller) -> tuple[Item | None, ...]:
        """See `core.ports.Catalogue`."""
        shown = set(self.visible(ids, caller).tolist())
        found = self.record.reads.items_by_seq(sorted(shown))
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
        """See `core.ports.Catalogue`."""
        return {
            name: self._topic_facet.counts(ids, limit)
            if broader and name == "subject"
            else count_facets(self._columns, ids, name, limit, buckets)
            for name in fields
        }

    def created(self, ids: Ids) -> Ids:
        """See `core.ports.Catalogue`."""
        times: Ids = self._columns.dates["versioncreated"].view()[ids]
        return times

    def chains(self, ids: Ids) -> Ids:
        """See `core.ports.Catalogue`."""
        return self._columns.stories(ids)

    def chain_sizes(self, ids: Ids, caller: Caller) -> Sequence[int]:
        """See `core.ports.Catalogue`."""
        return chain_sizes(self.record.reads, ids, caller, to_micros(self._clock()))

    def passages(self, ids: Ids, field: str, numbers: Sequence[int]) -> tuple[Passage | None, ...]:
        """See `core.ports.Catalogue`."""
        encoder = self._settings.spaces[field]
        return passages_at(self.record.reads, ids, field, encoder, numbers)

    # NearDuplicates

    def signatures(self, ids: Ids) -> TextSignatures:
        """See `core.ports.NearDuplicates`."""
        return self._signatures.of(self.record.reads, ids)

    def add_signatures(self) -> int:
        """Records the text signatures that versions of before lack; how many those were."""
        return add_missing(self.record)

    # Names

    def known(self, entities: Sequence[Entity], caller: Caller) -> tuple[KnownName | None, ...]:
        """See `core.ports.Names`."""
        self.projector.refresh()
        view = self._columns.view()
        return self._names.known(entities, self._allowed.of(view, caller.products, EVERYTHING))

    def holding(self, ids: Ids, names: Sequence[KnownName]) -> Marks:
        """See `core.ports.Names`."""
        return self._names.holding(ids, names)

    # Standings

    def standing(self, uri: str) -> Standing:
        """See `core.ports.Standings`."""
        self.projector.refresh()
        return standing_of(self.record.reads, uri, to_micros(self._clock()))

    def shown(self, uris: Sequence[str], caller: Caller, filters: Node) -> Ids:
        """See `core.ports.Standings`."""
        ids = np.array([self.standing(uri).id for uri in uris], np.int64)
        view = self._columns.view()
        known = ids[(ids >= 0) & (ids < len(view.visible))]
        filters = self._topics.expanded(filters)
        return known[self._allowed.of(view, caller.products, filters)[known]]

    def satisfies(self, id_: int, nodes: Sequence[Node]) -> tuple[bool, ...]:
        """See `core.ports.Standings`."""
        lexical = self.lexical.reader(self._languages())
        return tuple(
            self._columns.satisfies(id_, node) if is_fact(node) else lexical.holds(id_, node)
            for node in map(self._topics.expanded, nodes)
        )

    # Vocabulary

    def seen_counts(self, words: Sequence[str], few: int, caller: Caller) -> tuple[int, ...]:
        """See `core.ports.Vocabulary`."""
        lexical, seen = self._words_seen(caller)
        return vocabulary.counts(lexical, words, few, caller, seen)

    def similar_words(
        self, words: Sequence[tuple[str, int]], caller: Caller
    ) -> tuple[tuple[SeenWord, ...], ...]:
        """See `core.ports.Vocabulary`."""
        lexical, seen = self._words_seen(caller)
        found = [
            vocabulary.similar(self._dictionary, lexical, word, most, caller, seen)
            for word, most in words
        ]
        return all_as_written(found, lambda ids: self.items(ids, caller))

    # Exemplars

    def exemplar(self, uri: str, caller: Caller) -> Exemplar | None:
        """See `core.ports.Exemplars`."""
        shown = self._chain_of(uri, caller)
        if not shown or shown[0].uri != uri:
            return None
        spaces = self._settings.spaces
        return exemplar_of(self.record, self._columns.stories, shown[0], spaces)

    def rarities(self, words: Sequence[str], language: str, caller: Caller) -> Rarities:
        """See `core.ports.Exemplars`."""
        lexical, seen = self._words_seen(caller)
        return Rarities(lexical.rarities(words, language, seen.allowed))

    # Suggestions

    def suggest(self, text: str, limit: int, caller: Caller) -> tuple[Suggestion, ...]:
        """See `core.ports.Suggestions`."""
        self.projector.refresh()
        allowed = self._allowed.of(self._columns.view(), caller.products, EVERYTHING)
        return self._suggestions.suggest(text, limit, caller.products, allowed)

    def _headlines(self, since: int, until: int) -> Iterator[tuple[int, str]]:
        return self.record.reads.headlines(since, until)

    def _words_seen(self, caller: Caller) -> tuple[LexicalReader, vocabulary.Seen]:
        """The words at this moment, and what of them the caller sees. The index's own frequencies
        are the caller's where it lags nowhere and nothing is kept from them.
        """
        self.projector.refresh()
        view = self._columns.view()
        allowed = self._allowed.of(view, caller.products, EVERYTHING)
        every = self._allowed.is_everything(view, allowed)
        every = every and self.projector.lexical_has(view.visible)
        return self.lexical.reader(self._languages()), vocabulary.Seen(allowed, every)

    # Library

    def item(self, uri: str, caller: Caller) -> Item | None:
        """See `core.ports.Library`: the item if it is its story's head; what a write-through took
        the place of is in the chain view only.
        """
        shown = self._chain_of(uri, caller)
        return shown[0] if shown and shown[0].uri == uri else None

    def chain(self, uri: str, caller: Caller) -> tuple[Item, ...]:
        """See `core.ports.Library`."""
        shown = self._chain_of(uri, caller)
        return tuple(shown) if any(item.uri == uri for item in shown) else ()

    def _chain_of(self, uri: str, caller: Caller) -> list[Item]:
        self.projector.refresh()
        return story_of(self.record.reads, uri, caller, to_micros(self._clock()))

    # MediaItems

    def newest(self, uris: Sequence[str]) -> tuple[Item | None, ...]:
        """See `core.ports.MediaItems`."""
        return newest_versions(self.record.reads, uris)

    def undescribed(self, limit: int) -> Undescribed:
        """See `core.ports.MediaItems`."""
        self.projector.refresh()
        return undescribed_items(self.record.reads, self._columns, limit)

    # Exporter

    def all_items(self) -> Iterator[Item]:
        """See `core.ports.Exporter`."""
        return self.record.reads.all_items()

    # Life

    def catch_up(self) -> None:
        """Brings every projection up to date now; only the owner writes files."""
        self.projector.refresh()
        if self.ownership.held:
            self._note_source()
            self.projector.index_lexical(self.lexical)
        else:
            self._follow_lexical()
            self.projector.follow_segments()

    def _note_source(self) -> None:
        """Before the indexes take in what the record has become since."""
        applied = self.projector.progress.applied
        if applied != self._noted:
            note_source(self._projections, self.record, applied)
            self._noted = applied

    def compact(self) -> None:
        """Seals tails and merges segments as far as an idle process would."""
        if self.ownership.held:
            for name in self._fields:
                self.projector.seal(name, 1)
                while self.projector.merge(name, idle=True):
                    pass

    def take_over(self) -> bool:
        """Becomes the owner where there is none; says whether this process owns now."""
        if self.ownership.held:
            return True
        if not self.ownership.try_acquire():
            return False
        self._opening().check_source(self.record)
        self.projector.follow_segments()
        for field_ in self._fields.values():
            field_.sweep()
        self.lexical = self._open_lexical()
        return True

    def _follow_lexical(self) -> None:
        """Sees the owner's newest commit; the owner may have made the index after this opened."""
        if self.lexical.on_disk:
            self.lexical.reload()
        else:
            self.lexical = self._open_lexical()

    def reopen_lexical(self) -> None:
        """Opens the lexical index anew, after a failed write."""
        with suppress(Exception):
            self.lexical.close()
        self.lexical = self._open_lexical()

    @property
    def pending(self) -> int:
        """How many documents the lexical index is behind."""
        return self.projector.progress.lexical_pending

    def products(self) -> frozenset[str]:
        """Every product code that an item belongs to."""
        return frozenset(self._columns.values["product"].labels)

    def status(self) -> dict[str, Any]:
        """What is held and how far the projections are, ready for JSON."""
        view = self._columns.view()
        progress = self.projector.progress
        return {
            "engine": "embedded",
            "folder": str(self._settings.folder),
            "record": {"where": self.record.where, **self.record.facts()},
            "owner": self.ownership.held,
            "versions": self.record.reads.count_items(),
            "visible": int(np.count_nonzero(view.visible)),
            "last_change": self.record.last_change(),
            "applied_change": progress.applied,
            "lexical": {"pending": progress.lexical_pending, "documents": len(self.lexical.ids())},
            "vectors": {
                name: {
                    "segments": list(part.segment_sizes),
                    "tail": part.tail_size,
                    "lacking": self.projector.lacking(name, view.visible),
                }
                for name, part in self._fields.items()
            },
            "repairs": list(self.repairs),
            "failures": list(progress.failures),
        }

    def close(self) -> None:
        """Ends the background work and closes every file; nothing acknowledged depends on it."""
        if self._background is not None:
            self._background.stop()
        if self.ownership.held:
            self.lexical.close()
        self._release()

    def _release(self) -> None:
        self._beside.close()
        self.record.close()
        self.ownership.release()

    def _written(self) -> None:
        self.projector.refresh()
        if self._background is not None:
            self._background.wake()

    def _moment(self, request: Retrieval) -> Moment:
        fields = {query.field: self._fields[query.field].view() for query in request.vectors}
        lexical = self.lexical.reader(self._languages())
        view = self._columns.view()
        allowed = self._allowed.of(view, request.caller.products, request.filters)
        passes = self._allowed.is_everything(view, allowed)
        return Moment(view, lexical, fields, allowed, passes)

    def _languages(self) -> dict[str, int]:
        """The primary language subtags of the archive, with their numbers of versions."""
        size, languages = self._known_languages
        if size != self._columns.size:
            languages = {}
            for label, count in self._columns.values["language"].totals().items():
                subtag = primary_subtag(label)
                languages[subtag] = languages.get(subtag, 0) + count
            self._known_languages = (self._columns.size, languages)
        return languages
