"""The ports: what each room asks of the others. One or two methods, the batch as the unit.

Only dateline/build/service.py knows which class stands behind a port.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from core.callers import OPERATOR, Caller
from core.entities import Entity, KnownName
from core.exemplars import Exemplar, Rarities
from core.items import Item, Passage, PassageVectors
from core.near_duplicates import TextSignatures
from core.query_tree import Node
from core.retrieval import DateBuckets, FacetCount, Ids, Marks, Retrieval, Retrieved
from core.standing import SeenWord, Sight, Standing
from core.suggestions import Suggestion
from core.undescribed import Undescribed
from core.writes import PutItem, SetStatus, Written


class Clock(Protocol):
    """Tells the time, aware and in UTC; tests bring their own."""

    def __call__(self) -> datetime: ...


class Writer(Protocol):
    """The one write path to the record of truth. What `by` may not write is refused inside the
    write's transaction, with an outcome of its own; who runs the machine may write everything.
    """

    def put(self, writes: Sequence[PutItem], by: Caller = OPERATOR) -> tuple[Written, ...]:
        """What became of the first of `writes`, in order; durable when it returns. Many take more
        than one transaction. Where a later one fails, the answers end before it, and who puts the
        rest again hears why. Raises StorageError where nothing was written; DocumentError, before
        anything is, for what can't be.
        """
        ...

    def set_status(
        self, changes: Sequence[SetStatus], by: Caller = OPERATOR
    ) -> tuple[Written, ...]:
        """Changes states, all or none, before other writes that wait; durable when it returns."""
        ...

    def unknown(self, items: Sequence[Item], by: Caller = OPERATOR) -> tuple[bool, ...]:
        """For each item, whether its put would change anything: asked before costly work."""
        ...


class Coverer(Protocol):
    """Keeps searches up with the record."""

    def cover(self) -> str:
        """Lets searches in this process find by words what is recorded, as far as a few seconds
        suffice; what is to be said where they don't, "" where they do. What is hidden needs no such
        step: it is hidden when its write returns, in every process.
        """
        ...


class VectorKeeper(Protocol):
    """What is recorded without the vectors of an encoder in use, and the way to give it its own."""

    def count_lacking(self, field: str) -> int:
        """How many recorded versions lack vectors of the field's encoder."""
        ...

    def lacking(self, field: str, after: int, limit: int) -> Mapping[int, Item]:
        """At most `limit` of them by id, in order, of those with a higher id than `after`."""
        ...

    def add_vectors(self, vectors: Mapping[int, PassageVectors]) -> int:
        """Adds vectors to recorded versions by id, in the place of another encoder's in the same
        field; durable and found by searches when it returns. What is gone or has them by now is
        passed over; returns how many got theirs.
        """
        ...


class Retriever(Protocol):
    """Finds candidates for a query: BM25 and vectors, the same filters inside both."""

    def retrieve(self, request: Retrieval) -> Retrieved: ...

    def visible(self, ids: Ids, caller: Caller) -> Ids:
        """Those of `ids` that the record of truth lets `caller` see at this moment, in order."""
        ...


class Catalogue(Protocol):
    """Facts and contents of candidates; what is hidden is None or not counted."""

    def items(self, ids: Ids, caller: Caller) -> tuple[Item | None, ...]: ...

    def facets(
        self,
        ids: Ids,
        fields: Sequence[str],
        limit: int,
        buckets: DateBuckets = DateBuckets(),  # noqa: B008 - a frozen value
        *,
        broader: bool = False,
    ) -> Mapping[str, tuple[FacetCount, ...]]:
        """Counts by field, at most `limit` of each. With `broader` a subject counts for each topic
        above it, too.
        """
        ...

    def created(self, ids: Ids) -> Ids:
        """When each candidate's version was created, in microseconds since 1970 UTC."""
        ...

    def chains(self, ids: Ids) -> Ids:
        """A number per candidate; equal numbers are one story."""
        ...

    def chain_sizes(self, ids: Ids, caller: Caller) -> Sequence[int]:
        """How many versions and write-throughs each candidate's chain view shows the caller."""
        ...

    def passages(self, ids: Ids, field: str, numbers: Sequence[int]) -> tuple[Passage | None, ...]:
        """Where passage `numbers[i]` of item `ids[i]` lies; None where there is none."""
        ...


class NearDuplicates(Protocol):
    """What tells candidates with nearly the same text."""

    def signatures(self, ids: Ids) -> TextSignatures:
        """The signatures of the candidates' texts, one row each."""
        ...


class Names(Protocol):
    """The names that the archive knows: its items' persons, organisations and places."""

    def known(self, entities: Sequence[Entity], caller: Caller) -> tuple[KnownName | None, ...]:
        """The name that each entity stands for, None where there is none or no telling which. Only
        what `caller` may see at this moment counts: a name that stands nowhere else is unknown,
        and makes no other name doubtful.
        """
        ...

    def holding(self, ids: Ids, names: Sequence[KnownName]) -> Marks:
        """Which candidates have which name in its field: bool [len(ids), len(names)]."""
        ...


class Exemplars(Protocol):
    """Items to find the like of, and how common their words are."""

    def exemplar(self, uri: str, caller: Caller) -> Exemplar | None:
        """The item that `Library.item` gives; None where that is none."""
        ...

    def rarities(self, words: Sequence[str], language: str, caller: Caller) -> Rarities:
        """BM25's idf of each word, read as one of `language`; 0 for a word that fewer than two
        items have. Of a word that few have, only items that `caller` may see at this
        moment count.
        """
        ...


class Suggestions(Protocol):
    """Completions of what is being typed, from what the archive holds."""

    def suggest(self, text: str, limit: int, caller: Caller) -> tuple[Suggestion, ...]:
        """The `limit` best names, subjects and headlines that have every word of `text`, in any
        order, the last one at least as the beginning of a word; case and accents aside. Best is
        what `text` is whole, then what most stories have. Only stories that `caller` may see at
        this moment count.
        """
        ...


class Standings(Protocol):
    """Single items as retrieval sees them: for pinned results, and for why one is missing."""

    def standing(self, uri: str) -> Standing:
        """How the item stands, whoever asks: what of it may be told is the asker's affair."""
        ...

    def shown(self, uris: Sequence[str], caller: Caller, filters: Node) -> Ids:
        """The ids of those items that `caller` may see at this moment and `filters` (facts) let
        through, in order.
        """
        ...

    def satisfies(self, id_: int, nodes: Sequence[Node]) -> tuple[bool, ...]:
        """Which of `nodes` item `id_` matches; text as far as it is indexed."""
        ...


class Vocabulary(Protocol):
    """The index's own words, as far as a caller sees items that hold them."""

    def seen_counts(self, words: Sequence[str], few: int, caller: Caller) -> tuple[int, ...]:
        """In how many items a search finds each word: exact up to `few`, else at least so many."""
        ...

    def similar_words(
        self, words: Sequence[tuple[str, int]], caller: Caller
    ) -> tuple[tuple[SeenWord, ...], ...]:
        """For each word a few others at most so many edits away, the nearest and then the commonest
        first; counts are of items that the caller sees, up to a limit of at least 1,000.
        """
        ...


class Shelf(Protocol):
    """Bytes by key, kept for a while and shared by every process of one archive."""

    def put(self, key: str, value: bytes) -> bool:
        """Keeps `value`; False where that failed. Never raises: a shelf is no record."""
        ...

    def get(self, key: str) -> bytes | None:
        """What was put under `key`; None where it is unknown, too old, or of an archive that this
        one does not go on from (a backup was restored since), so that ids may mean other items.
        """
        ...


class Library(Protocol):
    """Single items and their stories, by uri."""

    def item(self, uri: str, caller: Caller) -> Item | None: ...

    def chain(self, uri: str, caller: Caller) -> tuple[Item, ...]:
        """The newest recorded versions of the item's story that the caller may see, newest first;
        empty where the story's head is hidden. Killed items are not in it.
        """
        ...

    def sights(self, named: Mapping[str, Collection[str]], caller: Caller) -> Mapping[str, Sight]:
        """What `caller` sees of each uri in `named` at this moment. A uri that is not in the answer
        is no item's. `named` says with which products a uri is named: an item that is killed before
        it is recorded is hidden where it would have these.
        """
        ...


class MediaItems(Protocol):
    """Pictures, videos and sounds, for those who look after the archive: no caller's view."""

    def newest(self, uris: Sequence[str]) -> tuple[Item | None, ...]:
        """The newest recorded version of each item, whatever its state; None for an unknown one."""
        ...

    def undescribed(self, limit: int) -> Undescribed:
        """The visible media that nobody describes, the first `limit` of them by their recording."""
        ...


class Exporter(Protocol):
    """Reads the whole record, for backups and rebuilds."""

    def all_items(self) -> Iterator[Item]: ...


class Engine(
    Writer,
    Coverer,
    Retriever,
    Catalogue,
    NearDuplicates,
    Names,
    Standings,
    Vocabulary,
    Exemplars,
    Suggestions,
    Library,
    MediaItems,
    Protocol,
):
    """A storage engine: everything above behind one object, and an end."""

    def close(self) -> None: ...
