"""What an engine answers from its record of truth alone: both engines answer it alike."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence

from core.callers import OPERATOR, Caller
from core.items import Item, Passage, PassageVectors
from core.ports.engine import Clock
from core.retrieval import Ids, TextSignatures
from core.standing import Head, Sight, Standing, Story
from core.writes import PutItem, SetStatus, Written
from storage.media.items import newest_versions
from storage.record.item_rows import to_micros
from storage.record.port import RecordOfTruth
from storage.record.signatures import StoredSignatures, add_missing
from storage.record.stories import (
    chain_sizes,
    heads_of,
    passages_at,
    shown_chain,
    shown_item,
    sights_of,
    standing_of,
    whole_story,
)


class RecordedEngine(ABC):
    """The part of `core.ports.engine.Engine` that needs no index."""

    def __init__(self, record: RecordOfTruth, clock: Clock) -> None:
        self.record = record
        self._clock = clock
        self._signatures = StoredSignatures()

    @abstractmethod
    def _written(self) -> None:
        """Have the index follow the record after a write."""

    @abstractmethod
    def _encoder(self, field: str) -> str:
        """Return the digest of the encoder that the settings name for a vector field."""

    def _encoder_in_use(self, field: str) -> str:
        """Return the digest of the encoder whose vectors are searched; "" for none."""
        return self._encoder(field)

    @abstractmethod
    def _refresh(self) -> None:
        """Take in what was recorded since, if the engine answers from its own memory."""

    def _now(self) -> int:
        return to_micros(self._clock())

    # Writer

    def put(self, writes: Sequence[PutItem], by: Caller = OPERATOR) -> tuple[Written, ...]:
        """Record the items; searches by vector find them when this returns, unless the index can't
        take them now.
        """
        written = self.record.put(writes, by)
        self._written()
        return written

    def set_status(
        self, changes: Sequence[SetStatus], by: Caller = OPERATOR
    ) -> tuple[Written, ...]:
        """Change the states; when this returns, nothing shows what they hide."""
        written = self.record.set_status(changes, by)
        self._written()
        return written

    def unknown(self, items: Sequence[Item], by: Caller = OPERATOR) -> tuple[bool, ...]:
        """Return for each item whether a put would change anything."""
        return self.record.unknown(items, by)

    # VectorKeeper

    def count_lacking(self, field: str) -> int:
        """Return how many versions lack vectors of the field's encoder."""
        return self.record.reads.count_lacking(field, self._encoder(field))

    def lacking(self, field: str, after: int, limit: int) -> Mapping[int, Item]:
        """Return at most `limit` of them with an id above `after`."""
        return self.record.reads.items_lacking(field, self._encoder(field), after, limit)

    def add_vectors(self, vectors: Mapping[int, PassageVectors]) -> int:
        """Add vectors to versions; return how many versions got theirs."""
        added = self.record.add_vectors(vectors)
        self._written()
        return added

    # Catalogue

    def chain_sizes(self, ids: Ids, caller: Caller) -> Sequence[int]:
        """Return how many versions of each story the caller may see."""
        return chain_sizes(self.record.reads, ids, caller, self._now())

    def passages(self, ids: Ids, field: str, numbers: Sequence[int]) -> tuple[Passage | None, ...]:
        """Return where each passage lies in its item."""
        return passages_at(self.record.reads, ids, field, self._encoder_in_use(field), numbers)

    def signatures(self, ids: Ids) -> TextSignatures:
        """Return the text signatures of the versions, one row each."""
        return self._signatures.of(self.record.reads, ids)

    def add_signatures(self) -> int:
        """Record missing text signatures; return how many were missing."""
        return add_missing(self.record)

    # Standings

    def standing(self, uri: str) -> Standing:
        """Return how the item stands, whoever asks."""
        self._refresh()
        return standing_of(self.record.reads, uri, self._now())

    def story(self, uri: str) -> Story:
        """Return the item's story in any state."""
        self._refresh()
        return whole_story(self.record.reads, uri, self._now())

    # Library

    def item(self, uri: str, caller: Caller) -> Item | None:
        """Return the item if it is the head of its story and visible to the caller. An item that a
        write-through replaced is in `chain` only.
        """
        self._refresh()
        return shown_item(self.record.reads, uri, caller, self._now())

    def chain(self, uri: str, caller: Caller) -> tuple[Item, ...]:
        """Return the visible versions of the item's story, newest first."""
        self._refresh()
        return shown_chain(self.record.reads, uri, caller, self._now())

    def sights(self, named: Mapping[str, Collection[str]], caller: Caller) -> Mapping[str, Sight]:
        """Return what the caller sees of each named uri."""
        self._refresh()
        return sights_of(self.record.reads, named, caller, self._now())

    # Heads

    def heads(self, uris: Collection[str], caller: Caller) -> Mapping[str, Head]:
        """Return what the caller may see of each uri that stands for its story."""
        self._refresh()
        return heads_of(self.record.reads, uris, caller, self._now())

    def versions(self, ids: Collection[int]) -> Mapping[int, Item]:
        """Return the recorded versions among `ids`, whatever their state."""
        return self.record.reads.items_by_seq(sorted(ids))

    # Media items

    def newest(self, uris: Sequence[str]) -> tuple[Item | None, ...]:
        """Return the newest recorded version of each item, in any state."""
        return newest_versions(self.record.reads, uris)

    def all_items(self) -> Iterator[Item]:
        """Return every recorded item."""
        return self.record.reads.all_items()
