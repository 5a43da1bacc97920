"""The port of the record of truth: what an engine asks of it.

    RecordReads     the log of changes, versions of items, what stories show, vectors, signatures
    RecordOfTruth   the writes, the reads, and an end

Everything that follows a record relies on two promises. The numbers of changes rise in the order in
which writes become visible, so a reader a reader that has read up to number n never misses a lower
one. Seqs do too: a version that becomes visible later has a higher seq, and no seq is used twice.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from core.items import FloatMatrix, Item, Passage, PassageVectors
from core.ports.engine import Writer
from storage.record.facts import FactRow
from storage.record.holds import Hold
from storage.record.item_rows import State
from storage.record.unsettled import Unsettled
from storage.record.visibility import StoryView, VersionRow

LogLine = tuple[int, str, int, str, int]  # number, chain, seq, kind, microseconds


VECTORS = "vectors"  # the kind of a change that brings vectors to a version


def vectors_kind(encoder: str, used: bool) -> str:
    """Return the kind of a change that brings vectors of `encoder`. If the encoder is not `used`,
    the kind names it, so that readers with other encoders can skip the change.
    """
    return VECTORS if used else f"{VECTORS}:{encoder}"


@dataclass(frozen=True, slots=True)
class Change:
    """One line of the log: the story that it touched, and the version (0 for none)."""

    n: int
    chain: str
    seq: int
    kind: str

    @property
    def encoder(self) -> str:
        """The encoder, if only vectors of one that is not in use came; "" else."""
        return self.kind.partition(":")[2]

    @property
    def brings_vectors(self) -> bool:
        """Whether the change brings vectors to a recorded version."""
        return self.kind.partition(":")[0] == VECTORS


class RecordReads(Protocol):
    """All reads of a record. Each method reads a whole batch at once, so that a record on another
    host is asked once.
    """

    # The log of changes

    def changes_after(self, n: int, limit: int) -> list[Change]:
        """Return at most `limit` changes after number `n`, in order."""
        ...

    def line(self, n: int | None) -> LogLine | None:
        """Return change number `n` (None: the newest) as it was recorded; None if there is none."""
        ...

    def last_before(self, at: int) -> int:
        """Return the seq of the last version recorded before `at` (microseconds), 0 if none was."""
        ...

    # Recorded versions of items, by seq or by uri

    def facts_from(self, seq: int) -> Iterator[list[FactRow]]:
        """Yield the facts of every version from `seq` on, in order, some thousands at a time."""
        ...

    def facts_by_seq(self, seqs: Sequence[int]) -> dict[int, FactRow]:
        """Return the facts of the recorded versions among `seqs`."""
        ...

    def items_by_seq(self, seqs: Sequence[int]) -> dict[int, Item]:
        """Return the recorded versions among `seqs`."""
        ...

    def states_by_seq(self, seqs: Sequence[int]) -> dict[int, State]:
        """Return the states of the recorded versions among `seqs`, as `items_by_seq` would have
        them.
        """
        ...

    def versions_of(self, uri: str) -> list[VersionRow]:
        """Return every version of an item, the newest first."""
        ...

    def versions_of_each(self, uris: Collection[str]) -> dict[str, list[VersionRow]]:
        """Return every version of each recorded item of `uris`, the newest first."""
        ...

    def holds_of(self, uris: Collection[str]) -> dict[str, list[Hold]]:
        """Return the holds of each of `uris` that has some, whether the item is recorded or not."""
        ...

    def seq_of(self, uri: str, version: int) -> int | None:
        """Return the seq of a recorded version, None if it is not recorded."""
        ...

    def headlines(self, since: int, until: int) -> Iterator[tuple[int, str]]:
        """Yield (seq, headline) of every version from seq `since` up to `until`, in order."""
        ...

    def all_items(self) -> Iterator[Item]:
        """Yield every recorded version, in the order of writing."""
        ...

    def count_items(self) -> int:
        """Return the number of recorded versions."""
        ...

    # What stories show at a moment, by the rule of `storage.record.visibility`

    def chain_of(self, uri: str) -> str | None:
        """Return the chain that the item's newest version names; None if none is recorded."""
        ...

    def views_of(
        self, chains: Sequence[str], now: int
    ) -> dict[str, tuple[StoryView, tuple[int, ...]]]:
        """Return each story's view at `now` (microseconds), and the seqs of all versions of its
        items. An item that has moved to another chain belongs to that chain only.
        """
        ...

    def stories_of(self, seqs: Sequence[int]) -> dict[int, str]:
        """Return the chain of each version's item, as the item's newest version names it. A seq
        that is not recorded is left out.
        """
        ...

    def versions_of_stories(self, chains: Collection[str]) -> dict[str, list[VersionRow]]:
        """Return, for each of `chains`, every version of each item that has a version in it, also
        of an item that has moved to another chain.
        """
        ...

    def all_views(self, now: int) -> Iterator[tuple[str, StoryView]]:
        """Yield the view of every story at `now` (microseconds)."""
        ...

    def chains_with_several(self, seqs: Sequence[int]) -> dict[int, str]:
        """Return the chain (as the item's newest version names it) of each of `seqs` whose story
        may have more than one recorded version.
        """
        ...

    # Passage vectors of recorded versions

    def vectors_by_seq(
        self, field: str, encoder: str, seqs: Sequence[int]
    ) -> Iterator[tuple[int, FloatMatrix]]:
        """Yield (seq, float32 [n, d]) for the `seqs` that this encoder embedded for this field; [0,
        0] for an item without passages.
        """
        ...

    def passages_by_seq(
        self, field: str, encoder: str, seqs: Sequence[int]
    ) -> dict[int, tuple[Passage, ...]]:
        """Return the passages of each of `seqs` that this encoder embedded for this field."""
        ...

    def items_lacking(self, field: str, encoder: str, after: int, limit: int) -> dict[int, Item]:
        """Return at most `limit` recorded versions by seq, above `after` and in order, that lack
        vectors of this encoder in this field.
        """
        ...

    def count_lacking(self, field: str, encoder: str) -> int:
        """Return how many recorded versions lack vectors of this encoder in this field."""
        ...

    # Text signatures of recorded versions

    def signatures_by_seq(self, scheme: int, seqs: Sequence[int]) -> dict[int, bytes]:
        """Return the recorded signatures of a scheme; empty bytes for an item without text."""
        ...

    def without_signature(self, scheme: int, after: int, limit: int) -> list[int]:
        """Return at most `limit` seqs above `after`, in order, of versions without a recorded
        signature of the scheme.
        """
        ...


class RecordOfTruth(Writer, Protocol):
    """Every version of every item, its state and its vectors. Writes are durable when they return,
    and every process sees them at its next look. No transaction holds the record for longer than
    some 50 ms: large writes are several transactions, and changes of state go before the next of
    these. Thread-safe.
    """

    @property
    def spaces(self) -> Mapping[str, str]:
        """Each vector field in use with its encoder's digest; vectors of another encoder count as
        missing.
        """
        ...

    @property
    def beside(self) -> Mapping[str, str]:
        """Fields with the encoder whose vectors are kept besides those in use, while an archive
        moves from one encoder to the other. Vectors of these two replace those of any third one.
        """
        ...

    @property
    def where(self) -> str:
        """Where the record lies, for messages; never with a password."""
        ...

    @property
    def identity(self) -> str:
        """Identifies this record among all that projections could be made from; "" for a record
        that lies beside its projections.
        """
        ...

    @property
    def reads(self) -> RecordReads:
        """Reads; each sees the newest acknowledged state."""
        ...

    @property
    def unsettled(self) -> Unsettled:
        """Changes of state that are in force, also in every read, but not in the log yet."""
        ...

    def settle(self) -> None:
        """Record the unsettled changes, if that is possible again; called from time to time. Never
        raises: a change that can't be recorded stays in force.
        """
        ...

    def moment(self) -> AbstractContextManager[RecordReads]:
        """Return reads that all see one state of the record."""
        ...

    def last_change(self) -> int:
        """Return the number of the newest acknowledged change, 0 in an empty record."""
        ...

    def add_vectors(self, vectors: Mapping[int, PassageVectors]) -> int:
        """Add vectors to recorded versions by seq, as `core.ports.engine.VectorKeeper` says; return
        how many versions got theirs. The log gets a change of the kind `vectors_kind` for each.
        """
        ...

    def forget_vectors(
        self, field: str, keep: Collection[str], after: int, limit: int
    ) -> Sequence[int]:
        """Delete a field's vectors of encoders not in `keep`, from the first `limit` versions above
        seq `after` that have some, in one transaction. Return their seqs in order. To go through
        all versions, begin with 0 and go on after the last seq.
        """
        ...

    def empty_vectors(self, uri: str, first: int, last: int) -> int:
        """Take the passages and vectors from the versions `first` to `last` of an item; return from
        how many fields of them. Such a version counts as one without passages: it lacks no vectors,
        and searches by vector do not find it.
        """
        ...

    def add_signatures(self, signatures: Mapping[int, bytes]) -> None:
        """Record text signatures of versions, by seq; versions that are gone are skipped."""
        ...

    def facts(self) -> Mapping[str, Any]:
        """Return facts about the record, ready for JSON: `durable` says whether acknowledged writes
        survive a power failure, `schema` which tables it has.
        """
        ...

    def follow(self, changed: Callable[[], None]) -> None:
        """Call `changed`, from any thread, when another process has written. It is a hint to look
        sooner, not a promise.
        """
        ...

    def close(self) -> None:
        """Close every connection; the record can be opened again."""
        ...
