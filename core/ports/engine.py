"""The ports of an archive: what writing, searching and showing ask of the engine that holds it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from core.callers import OPERATOR, Caller
from core.entities import Entity, KnownName
from core.items import Item, Passage, PassageVectors
from core.media import Undescribed
from core.query_tree import Node
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
    TextSignatures,
)
from core.standing import Head, SeenWord, Sight, Standing, Story
from core.writes import PutItem, SetStatus, Written

Clock = Callable[[], datetime]
"""Tells the time, aware and in UTC; tests bring their own."""


class StatusWriter(Protocol):
    """The part of the write path that changes states, and what follows every write."""

    def set_status(self, changes: Sequence[SetStatus], by: Caller) -> tuple[Written, ...]:
        """Change states, if `by` may do that; the change is in force on every surface when this
        returns.
        """
        ...

    def cover(self) -> str:
        """Make recorded items searchable by words in this process, within a few seconds. Return a
        note for the user if that time is too short, else "".

        Hidden items need no such step: they are hidden in every process when their write returns.
        """
        ...


class Writer(Protocol):
    """The one write path to the record of truth. The write's transaction refuses what `by` may not
    write, with its own outcome. The operator of the machine may write everything.
    """

    def put(self, writes: Sequence[PutItem], by: Caller = OPERATOR) -> tuple[Written, ...]:
        """Return what became of the first of `writes`, in order; durable when it returns.

        Many writes take more than one transaction. If a later transaction fails, the answers end
        before it; the caller puts the others again and gets the error. Raises StorageError if
        nothing was written. Raises DocumentError, before anything is written, for a write that is
        impossible.
        """
        ...

    def set_status(
        self, changes: Sequence[SetStatus], by: Caller = OPERATOR
    ) -> tuple[Written, ...]:
        """Change states, all or none, before other writes that wait; durable when it returns."""
        ...

    def unknown(self, items: Sequence[Item], by: Caller = OPERATOR) -> tuple[bool, ...]:
        """Return, for each item, whether its put would change anything. Callers ask before costly
        work.
        """
        ...


class VectorKeeper(Protocol):
    """Finds recorded versions that lack vectors of an encoder in use, and adds the vectors."""

    def count_lacking(self, field: str) -> int:
        """Return how many recorded versions lack vectors of the field's encoder."""
        ...

    def lacking(self, field: str, after: int, limit: int) -> Mapping[int, Item]:
        """Return at most `limit` of these versions, by id in order, with ids above `after`."""
        ...

    def add_vectors(self, vectors: Mapping[int, PassageVectors]) -> int:
        """Add vectors to recorded versions by id; return how many versions got theirs.

        They replace another encoder's vectors of the same field, and are durable and searchable
        when it returns. Versions that are gone, or have these vectors by now, are skipped.
        """
        ...


class Retriever(Protocol):
    """Finds candidates for a query by BM25 and by vectors, with the same filters, or by date."""

    def retrieve(self, request: Retrieval) -> Retrieved: ...

    def browse(self, request: Browse) -> Browsed:
        """Return a stretch of the list, in the same order in every process. Raises QueryError if
        `skip` is larger than an engine allows.
        """
        ...

    def visible(self, ids: Ids, caller: Caller) -> Ids:
        """Return the ids that the record of truth lets `caller` see at this moment, in the given
        order.
        """
        ...


class Catalogue(Protocol):
    """Facts and contents of candidates. Hidden items are None or are not counted."""

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
        """Count by field, at most `limit` for each field. With `broader`, a subject also counts for
        each topic above it.
        """
        ...

    def created(self, ids: Ids) -> Ids:
        """Return the time at which each candidate's version was created, in microseconds since 1970
        UTC.
        """
        ...

    def languages_of(self, ids: Ids) -> Sequence[str]:
        """Return the primary language of each candidate, in lower case: "es" of "es-MX"; "" if it
        is not known.
        """
        ...

    def chains(self, ids: Ids) -> Ids:
        """Return the number of each candidate's story; equal numbers are one story."""
        ...

    def chain_sizes(self, ids: Ids, caller: Caller) -> Sequence[int]:
        """Return how many versions and write-throughs of each candidate's story the caller sees in
        its chain.
        """
        ...

    def passages(self, ids: Ids, field: str, numbers: Sequence[int]) -> tuple[Passage | None, ...]:
        """Return the place of passage `numbers[i]` of item `ids[i]`; None if there is no such
        passage.
        """
        ...

    def signatures(self, ids: Ids) -> TextSignatures:
        """Return the signatures of the candidates' texts, one row each."""
        ...


class Names(Protocol):
    """The names that the archive knows: its items' persons, organisations and places."""

    def known(self, entities: Sequence[Entity], caller: Caller) -> tuple[KnownName | None, ...]:
        """Return the name that each entity means; None if there is no such name or more than one.
        Only items that `caller` may see at this moment count: a name that only other items have is
        unknown, and makes no name ambiguous.
        """
        ...

    def holding(self, ids: Ids, names: Sequence[KnownName]) -> Marks:
        """Return which candidates have which name in the name's field: bool [len(ids),
        len(names)].
        """
        ...


class Exemplars(Protocol):
    """Items for "more like this", and how common their words are."""

    def exemplar(self, uri: str, caller: Caller) -> Exemplar | None:
        """Return the item that `Library.item` returns, as an exemplar; None if it returns None."""
        ...

    def rarities(self, words: Sequence[str], language: str, caller: Caller) -> Rarities:
        """Return BM25's idf of each word, read as a word of `language`; 0 for a word of fewer than
        two items. For a rare word, only items that `caller` may see at this moment count.
        """
        ...


class Suggestions(Protocol):
    """Completions of an unfinished text, from the archive's names, subjects and headlines."""

    def suggest(self, text: str, limit: int, caller: Caller) -> tuple[Suggestion, ...]:
        """Return the `limit` best names, subjects and headlines that have every word of `text`, in
        any order. The last word may be the beginning of a word; case and accents do not matter.

        A completion that equals `text` comes first, then those that most stories have. Only stories
        that `caller` may see at this moment count.
        """
        ...


class Standings(Protocol):
    """Single items as retrieval sees them: for pinned results, and to say why an item is
    missing.
    """

    def standing(self, uri: str) -> Standing:
        """Return the item's standing. The method checks no rights: its caller decides what may be
        shown.
        """
        ...

    def story(self, uri: str) -> Story:
        """Return the item's story in any state, at most its 100 newest versions; an empty one for
        an unknown item. The method checks no rights, as `standing`.
        """
        ...

    def shown(self, uris: Sequence[str], caller: Caller, filters: Node) -> Ids:
        """Return the ids of the items that `caller` may see at this moment and that pass `filters`
        (facts), in order.
        """
        ...

    def having(self, facts: Node, caller: Caller, filters: Node, most: int) -> Ids:
        """Return the ids of the newest `most` indexed items that have `facts`, that `caller` may
        see at this moment and that pass `filters`, the newest first.
        """
        ...

    def satisfies(self, id_: int, nodes: Sequence[Node]) -> tuple[bool, ...]:
        """Return which of `nodes` the item `id_` matches; only indexed text counts."""
        ...


class Vocabulary(Protocol):
    """The words of the index that are in items that a caller may see."""

    def seen_counts(
        self, words: Sequence[str], few: int, caller: Caller, field: str = ""
    ) -> tuple[int, ...]:
        """Return in how many items a search finds each word, in the text field `field` if one is
        given: exact up to `few`, else a lower bound.
        """
        ...

    def similar_words(
        self, words: Sequence[tuple[str, int]], caller: Caller
    ) -> tuple[tuple[SeenWord, ...], ...]:
        """Return, for each word, a few other words within that number of edits: the nearest first,
        then the commonest. Counts are of items that the caller sees, up to a limit of at least
        1,000.
        """
        ...


class Shelf(Protocol):
    """Bytes by key, kept for a while and shared by every process of one archive."""

    def put(self, key: str, value: bytes) -> bool:
        """Keep `value`; return False if that failed. Never raises: the loss of a value does no
        harm.
        """
        ...

    def get(self, key: str) -> bytes | None:
        """Return the value that was put under `key`; None if the key is unknown or too old, or
        belongs to another state of the archive (a backup was restored since), whose ids may mean
        other items.
        """
        ...


class Sights(Protocol):
    """What a caller sees of items, by uri, at a moment."""

    def sights(self, named: Mapping[str, Collection[str]], caller: Caller) -> Mapping[str, Sight]:
        """Return what `caller` sees of each uri in `named` at this moment. A uri that is not in the
        answer is not an item's.

        `named` has the products with which each uri is named: an item that was killed before it was
        recorded is hidden if it would have these products.
        """
        ...


class Library(Sights, Protocol):
    """Single items and their stories, by uri."""

    def item(self, uri: str, caller: Caller) -> Item | None: ...

    def chain(self, uri: str, caller: Caller) -> tuple[Item, ...]:
        """Return the newest recorded versions of the item's story that the caller may see, newest
        first; empty if the story's head is hidden. Killed items are left out.
        """
        ...


class Heads(Sights, Protocol):
    """The items that are heads of their stories: facts by `heads`, texts separately."""

    def heads(self, uris: Collection[str], caller: Caller) -> Mapping[str, Head]:
        """Return, for each of `uris` that is the head of its story, what `caller` may see of it at
        this moment.
        """
        ...

    def versions(self, ids: Collection[int]) -> Mapping[int, Item]:
        """Return the recorded versions among `ids`, whatever their state: ask for those that
        `heads` returned.
        """
        ...


class Engine(
    Writer,
    StatusWriter,
    Retriever,
    Catalogue,
    Names,
    Standings,
    Vocabulary,
    Exemplars,
    Suggestions,
    Library,
    Protocol,
):
    """A storage engine: all ports above in one object, what operators ask of it, and `close`."""

    def newest(self, uris: Sequence[str]) -> tuple[Item | None, ...]:
        """Return the newest recorded version of each item, whatever its state; None for an unknown
        uri.
        """
        ...

    def undescribed(self, limit: int) -> Undescribed:
        """Return the visible media without any description: the first `limit` of them, in the order
        of recording.
        """
        ...

    def close(self) -> None: ...
